"""A column, dataset or query that is none blinds its own SLA and no other, and the reason says what to mend."""

import pytest

from hotdash_pipelines.sla import evaluate
from tests.integration.sla.kept import Conn
from tests.integration.sla.test_observers import HOUR, NOW, ORDERS, lag, look, number, one, raw_tables


def test_an_sla_on_an_odd_column_blinds_no_other(warehouse: Conn) -> None:
    raw_tables(warehouse)
    warehouse.execute("insert into raw_shopify.orders values ('toy', 'x', %s)", (NOW - HOUR,))
    warehouse.execute("create table raw_shopify.odd (said text, plain timestamp(3), ever timestamptz)")
    warehouse.execute("insert into raw_shopify.odd values ('soon', '2026-03-10 10:30', '-infinity')")
    odd = [lag(column, "raw_shopify/odd", column) for column in ("said", "plain", "ever")]
    orders, said, plain, ever, whole = look(warehouse, ORDERS, *odd, lag("whole", "pipeline", "said"))
    assert orders.at == NOW - HOUR
    assert said.unknown_reason == "raw_shopify.odd.said is of type text, which is no time"
    assert ever.unknown_reason == "the newest ever of raw_shopify.odd is no instant"
    assert whole.unknown_reason == "pipeline is no table, such as raw_shopify/orders"
    # Sessions run in UTC, and an instant without a zone would end the whole tick.
    verdict = evaluate(odd[1], plain, NOW)
    assert (verdict.state, verdict.actual) == ("ok", 30)


@pytest.mark.parametrize(
    "query, said",
    [
        ("select count(*) from agent.agent_queries where agent like 'a%'", "a sign of percent is %%"),
        ("select %(then)s", "placeholders are %(now)s and %(project)s"),
        ("select count(* from agent.agent_queries", "its query cannot be used (42601)"),
        ("select 1 from agent.nothing", "is not there (42P01)"),
    ],
)
def test_a_query_that_is_wrong_is_not_a_warehouse_that_went_away(warehouse: Conn, query: str, said: str) -> None:
    seen = one(warehouse, number("odd", query))
    assert said in str(seen.unknown_reason)
    assert seen.details.get("cause") != "warehouse"
