"""Whole days and histories that begin before what is loaded, as the marts show them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.integration.dbt.marts import asked
from tests.integration.dbt.raw import Line, RawShop

MODELS = ("+agg_sales_daily",)
DAYS = "select distinct business_date, is_complete, as_of, incomplete_reason from metrics.agg_sales_daily order by 1"
AS_OF = datetime(2026, 3, 6, 9, 5, tzinfo=UTC)


def at(day: int) -> datetime:
    return datetime(2026, 3, day, 17, tzinfo=UTC)


def judge(
    raw: RawShop, day: int, state: str, reason: str | None, source: str = "shopify", stream: str = "orders"
) -> None:
    """What the ledger of completeness says of a day of March."""
    raw.conn.execute(
        """
        insert into ops.stream_days as d
            (project_key, source, stream, business_date, has_source_count, loaded_count, as_of, state, reason)
        values (%s, %s, %s, %s, true, 1, %s, %s, %s)
        on conflict (project_key, source, stream, business_date) do update set
            as_of = excluded.as_of, state = excluded.state, reason = excluded.reason
        """,
        (raw.project, source, stream, date(2026, 3, day), AS_OF, state, reason),
    )


@pytest.fixture
def shop(raw: RawShop) -> RawShop:
    """Customer 1's third order is the earliest loaded, 2's is the first, 3 and 4 buy in the shop, 5 is a guest."""
    for customer, orders, spent in ((1, 4, "400"), (2, 1, "20"), (3, 2, "30"), (4, 4, "40")):
        raw.customer(customer, f"c{customer}@example.com", order_count=orders, spent_amount=Decimal(spent))
    raw.order(11, Line(111, "10.00"), at=at(2), customer_id=1, customer_order_number=3)
    raw.order(21, Line(211, "10.00"), at=at(2), customer_id=2, customer_order_number=1)
    raw.order(31, Line(311, "10.00"), at=at(3), customer_id=3, source_name="pos")
    raw.order(32, Line(321, "10.00"), at=at(4), customer_id=3, source_name="pos")
    raw.order(41, Line(411, "10.00"), at=at(4), customer_id=4, source_name="pos")
    raw.order(51, Line(511, "10.00"), at=at(4), customer_id=None, email="guest@example.com")
    judge(raw, 2, "complete", None)
    judge(raw, 3, "open", "the day is not over")
    return raw


def test_days_say_whether_they_are_whole_and_the_earliest_order_is_not_taken_for_the_first(dbt, shop):
    dbt("run", "--select", *MODELS)
    assert [tuple(row.values()) for row in asked(shop.conn, DAYS)] == [
        (date(2026, 3, 2), True, AS_OF, None),
        (date(2026, 3, 3), False, AS_OF, "the day is not over"),
        (date(2026, 3, 4), False, None, "the day is not in the ledger"),
    ]
    members = asked(
        shop.conn,
        "select customer_id, first_order_id, first_order_date, lifetime_order_count, lifetime_amount"
        " from marts_core.dim_customer where not is_unknown order by customer_id nulls last",
    )
    assert [tuple(row.values()) for row in members] == [
        (1, None, None, 4, 400),
        (2, 21, date(2026, 3, 2), 1, 20),
        (3, 31, date(2026, 3, 3), 2, 30),
        (4, None, None, 4, 40),
        (None, 51, date(2026, 3, 4), None, None),
    ]
    orders = asked(
        shop.conn, "select order_id, customer_order_number, is_first_order from marts_core.fct_order order by 1"
    )
    assert [tuple(row.values()) for row in orders] == [
        (11, 3, False),
        (21, 1, True),
        (31, None, None),
        (32, None, None),
        (41, None, None),
        (51, None, None),
    ]
    won = "select business_date, sum(new_customer_count)::int as n from metrics.agg_sales_daily group by 1 order by 1"
    assert [row["n"] for row in asked(shop.conn, won)] == [1, 1, 0]

    # Nothing changes but what the ledger says of one day: that day is written again, and no other.
    places = "select business_date, xmin::text from metrics.agg_sales_daily order by 1"
    before = shop.conn.execute(places).fetchall()
    judge(shop, 3, "complete", None)
    dbt("run", "--select", *MODELS)
    after = shop.conn.execute(places).fetchall()
    assert {day for (day, was), (_, now) in zip(before, after, strict=True) if was != now} == {date(2026, 3, 3)}
    assert asked(shop.conn, DAYS)[1]["is_complete"]


def test_what_the_shop_deleted_does_not_hide_who_bought_first(dbt, raw):
    """Drafts and sales in the shop have no number. What is told of a customer is of when their own row was read."""
    counted, deleted, counted_again = (at(day) for day in (5, 6, 7))

    def customer(number, orders, told=counted):
        raw.customer(number, f"c{number}@example.com", order_count=orders, updated_at=at(4), _loaded_at=told)

    def order(number, customer_id, day, **values):
        raw.order(number, Line(10 * number, "10.00"), at=at(day), customer_id=customer_id, **values)

    customer(1, 2)
    order(11, 1, 2)
    order(12, 1, 3, customer_order_number=2, _deleted_at=deleted)
    customer(2, 2)
    order(21, 2, 2)
    order(22, 2, 3, _deleted_at=deleted)
    # Counted after the deletion: another order came before what is loaded.
    customer(3, 2, counted_again)
    order(31, 3, 2)
    order(32, 3, 3, _deleted_at=deleted)
    # The third is still to be loaded; the second's number says that nothing came before the first.
    customer(4, 3)
    order(41, 4, 2)
    order(42, 4, 3, customer_order_number=2)
    customer(5, 3)
    order(51, 5, 2)
    order(52, 5, 3, customer_order_number=3)
    # Numbered anew after the deletion, as the second of two.
    customer(6, 2, counted_again)
    order(61, 6, 2)
    order(62, 6, 3, customer_order_number=2, _deleted_at=deleted)
    order(63, 6, 7, customer_order_number=2, _loaded_at=counted_again)
    # The number of what was deleted tells of an order that is not loaded; the other has none.
    customer(7, 2)
    order(71, 7, 3, customer_order_number=2, _deleted_at=deleted)
    order(72, 7, 4)
    # Numbered anew after the deletion, as the second of two: the first is not loaded. Then read before the deletion.
    customer(8, 2, counted_again)
    order(81, 8, 2, _deleted_at=deleted)
    order(82, 8, 3, customer_order_number=2, _loaded_at=counted_again)
    customer(9, 2)
    order(91, 9, 2, _deleted_at=deleted)
    order(92, 9, 3, customer_order_number=2, _loaded_at=counted)
    # The same where the deletion was noticed late: the number of what was deleted tells of the one that is not loaded.
    customer(10, 2, counted_again)
    order(101, 10, 2, customer_order_number=2, _deleted_at=at(8))
    order(102, 10, 3, customer_order_number=2, _loaded_at=counted_again)
    customer(11, 3, counted_again)
    order(111, 11, 2, customer_order_number=2, _deleted_at=at(8))
    order(112, 11, 3)
    order(113, 11, 4, customer_order_number=3, _loaded_at=counted_again)
    # Nothing tells of one that is not loaded.
    customer(12, 2, counted_again)
    order(121, 12, 2)
    order(122, 12, 3, _deleted_at=at(8))
    order(123, 12, 4, customer_order_number=2, _loaded_at=counted_again)
    customer(13, 3, counted_again)
    order(131, 13, 2)
    order(132, 13, 3, _deleted_at=deleted)
    order(133, 13, 4, customer_order_number=3, _loaded_at=counted)
    dbt("run", "--select", "+dim_customer")
    firsts = "select customer_id, first_order_id from marts_core.dim_customer where not is_unknown order by 1"
    told = {row["customer_id"]: row["first_order_id"] for row in asked(raw.conn, firsts)}
    assert told == dict.fromkeys(range(1, 14)) | {1: 11, 2: 21, 4: 41, 6: 61, 9: 92, 12: 121, 13: 131}


def test_a_date_of_ga4_that_settles_without_another_figure_is_written_again(dbt, raw):
    raw.put(
        "raw_ga4.landing_daily",
        property_date=date(2026, 3, 2),
        landing_page="/",
        channel_group="Direct",
        device="mobile",
        sessions=3,
        time_zone="America/New_York",
        currency_code="USD",
    )
    judge(raw, 2, "provisional", "the source may restate it", "ga4", "landing_daily")
    dbt("run", "--select", "+fct_web_sessions_daily")
    told = "select is_complete, as_of, incomplete_reason from marts_core.fct_web_sessions_daily"
    assert [tuple(row.values()) for row in asked(raw.conn, told)] == [(False, AS_OF, "the source may restate it")]
    judge(raw, 2, "complete", None, "ga4", "landing_daily")
    dbt("run", "--select", "+fct_web_sessions_daily")
    assert [tuple(row.values()) for row in asked(raw.conn, told)] == [(True, AS_OF, None)]
