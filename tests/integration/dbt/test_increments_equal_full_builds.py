"""Increments: whatever arrives in whatever order, the marts end where a build from nothing would end."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.marts import content, written
from tests.integration.dbt.raw import LOADED, NOON, Line, RawShop, Refund

LATER = LOADED + timedelta(days=1)
MUCH_LATER = LOADED + timedelta(days=9)


def first_night(raw: RawShop) -> None:
    """Three orders, a guest among them, a listed variant, a conversation and a day of web traffic."""
    raw.variant(501, cost="7.50")
    raw.customer(71, "ann@example.com")
    raw.order(
        1,
        Line(11, "20.00", 2, discount="4.00", tax="3.20"),
        shipping="5.95",
        utm_source="google",
        utm_medium="cpc",
        utm_campaign="brand",
    )
    raw.order(
        2,
        Line(21, "10.00"),
        Line(22, "50.00", gift_card=True, variant_id=None),
        customer_id=None,
        email="guest@example.com",
    )
    raw.order(3, Line(31, "30.00", variant_id=599), Line(32, "5.00", 3), customer_id=99, email=None)
    raw.put("raw_chatwoot.inboxes", inbox_id=5, name="Shop", channel_type="Channel::WebWidget")
    raw.put("raw_chatwoot.contacts", contact_id=8, email="ann@example.com")
    raw.put(
        "raw_chatwoot.conversations",
        conversation_id=40,
        inbox_id=5,
        contact_id=8,
        channel="Channel::WebWidget",
        status="open",
        last_activity_at=NOON,
    )
    raw.put(
        "raw_chatwoot.messages",
        message_id=400,
        conversation_id=40,
        content="Where is it?",
        sender_type="Contact",
        created_at=NOON,
    )
    for day in (1, 2):
        for page in ("/", "/sale"):
            landing(raw, date(2026, 3, day), page, sessions=10 * day)
    raw.put(
        "raw_ga4.traffic_daily",
        property_date=date(2026, 3, 2),
        channel_group="Paid Search",
        source="google",
        medium="cpc",
        campaign="brand",
        sessions=5,
    )


def landing(raw: RawShop, day: date, page: str, sessions: int) -> None:
    """One row of web traffic."""
    raw.put(
        "raw_ga4.landing_daily",
        property_date=day,
        landing_page=page,
        channel_group="Direct",
        device="mobile",
        sessions=sessions,
        engaged_sessions=sessions // 2,
        time_zone="America/New_York",
        currency_code="USD",
    )


def second_night(raw: RawShop) -> None:
    """Everything that can change: refund, edit, removed line, cancellation, late order, new facts about old members."""
    raw.loaded_at = LATER
    taken = Refund(91, NOON + timedelta(days=3), "25.55", lines=((11, 1, "18.00", "1.60"),))
    raw.order(
        1,
        Line(11, "20.00", 2, discount="4.00", tax="3.20", left=1),
        shipping="5.95",
        refunds=(taken,),
        utm_source="google",
        utm_medium="cpc",
        utm_campaign="brand",
    )
    raw.order(2, Line(22, "50.00", gift_card=True, variant_id=None), customer_id=None, email="guest@example.com")
    cancelled = NOON + timedelta(days=1)
    raw.order(
        3, Line(31, "30.00", variant_id=599, left=0), Line(32, "5.00", 3, left=0),
        customer_id=99, email=None, cancelled_at=cancelled, cancel_reason="CUSTOMER", financial_status="VOIDED",
    )  # fmt: skip
    raw.order(4, Line(41, "12.00"), at=NOON - timedelta(days=30))
    raw.variant(501, cost="8.00")
    raw.variant(599, cost="11.00")
    raw.customer(99, "late@example.com", city="Boston")
    raw.customer(72, "new@example.com")
    raw.put(
        "raw_chatwoot.messages",
        message_id=401,
        conversation_id=40,
        message_type=1,
        content="Soon.",
        sender_type="User",
        created_at=NOON + timedelta(minutes=90),
    )
    raw.put(
        "raw_chatwoot.messages",
        message_id=402,
        conversation_id=40,
        message_type=2,
        content="Conversation was marked resolved by Bo",
        created_at=NOON + timedelta(hours=2),
    )
    raw.put(
        "raw_chatwoot.conversations",
        conversation_id=40,
        inbox_id=5,
        contact_id=8,
        channel="Channel::WebWidget",
        status="resolved",
        last_activity_at=NOON + timedelta(hours=2),
    )
    landing(raw, date(2026, 3, 2), "/", sessions=25)
    landing(raw, date(2026, 3, 3), "/", sessions=7)


def rebuilt(dbt: Dbt, raw: RawShop) -> dict[str, Any]:
    """The marts as a build from nothing leaves them."""
    dbt.run(full_refresh=True)
    return content(raw.conn)


def test_an_increment_ends_where_a_full_build_ends(dbt: Dbt, raw: RawShop) -> None:
    first_night(raw)
    dbt.run()
    before = content(raw.conn)
    second_night(raw)
    # A restatement that only takes a row away: no row that stays was loaded anew.
    raw.conn.execute("delete from raw_ga4.landing_daily where property_date = '2026-03-01' and landing_page = '/sale'")
    dbt.run()
    after = content(raw.conn)
    assert after != before
    assert rebuilt(dbt, raw) == after


def test_a_rerun_writes_no_row_again(dbt: Dbt, raw: RawShop) -> None:
    first_night(raw)
    dbt.run()
    before, lying = content(raw.conn), written(raw.conn)
    assert all(before.values())
    dbt.run()
    assert content(raw.conn) == before
    assert written(raw.conn) == lying


def test_a_full_refresh_keeps_the_tables_and_what_hangs_on_them(dbt: Dbt, raw: RawShop, query: Any) -> None:
    first_night(raw)
    dbt.run()
    query_oids = (
        "select relname, oid from pg_class"
        " where relnamespace = 'marts_core'::regnamespace and relkind = 'r' order by relname"
    )
    oids = query(query_oids)
    raw.conn.execute("create view public.hanging as select net_amount from marts_core.fct_order_line")
    dbt.run("fct_order_line", full_refresh=True)
    dbt.run(full_refresh=True)
    assert query(query_oids) == oids
    assert len(query("select * from public.hanging")) == 5


def test_an_order_that_loses_all_its_lines_leaves_no_line_behind(dbt: Dbt, raw: RawShop, query: Any) -> None:
    first_night(raw)
    dbt.run()
    raw.loaded_at = LATER
    raw.order(1)
    dbt.run()
    assert query("select 1 from marts_core.fct_order_line where order_id = 1") == []
    assert query("select line_count, net_amount from marts_core.fct_order where order_id = 1") == [
        {"line_count": 0, "net_amount": Decimal(0)}
    ]
    assert content(raw.conn) == rebuilt(dbt, raw)


def test_an_order_that_turns_out_to_be_a_test_is_no_sale_any_more(dbt: Dbt, raw: RawShop, query: Any) -> None:
    raw.order(1, Line(11, "20.00"))
    raw.order(2, Line(21, "10.00"), at=NOON + timedelta(days=1))
    dbt.run()
    raw.loaded_at = LATER
    raw.order(2, Line(21, "10.00"), at=NOON + timedelta(days=1), is_test=True)
    dbt.run()
    assert [row["order_id"] for row in query("select order_id from marts_core.fct_order")] == [1]
    assert [row["business_date"] for row in query("select business_date from metrics.agg_sales_daily")] == [
        date(2026, 3, 2)
    ]
    assert content(raw.conn) == rebuilt(dbt, raw)


def test_an_order_that_moves_to_another_day_leaves_its_old_day(dbt: Dbt, raw: RawShop, query: Any) -> None:
    raw.order(1, Line(11, "20.00"))
    raw.order(2, Line(21, "10.00"))
    dbt.run()
    raw.loaded_at = LATER
    raw.order(2, Line(21, "10.00"), at=NOON - timedelta(days=3))
    dbt.run()
    days = query("select business_date, net_amount from metrics.agg_sales_daily order by 1")
    assert [(row["business_date"], row["net_amount"]) for row in days] == [
        (date(2026, 2, 27), 10),
        (date(2026, 3, 2), 20),
    ]
    assert content(raw.conn) == rebuilt(dbt, raw)


def test_rows_that_commit_late_within_the_overlap_are_found(dbt: Dbt, raw: RawShop, query: Any) -> None:
    raw.order(1, Line(11, "20.00"))
    dbt.run()
    raw.loaded_at = LOADED - timedelta(hours=2)
    raw.order(2, Line(21, "10.00"))
    dbt.run()
    assert len(query("select 1 from marts_core.fct_order")) == 2


def test_a_refund_much_later_counts_on_its_own_day_and_reaches_the_old_order(
    dbt: Dbt, raw: RawShop, query: Any
) -> None:
    first_night(raw)
    dbt.run()
    raw.loaded_at = MUCH_LATER
    when = datetime(2026, 3, 12, 3, 30, tzinfo=UTC)
    refund = Refund(91, when, "5.00", lines=((32, 1, "5.00", "0"),))
    raw.order(
        3, Line(31, "30.00", variant_id=599), Line(32, "5.00", 3, left=2), customer_id=99, email=None, refunds=(refund,)
    )
    dbt.run()
    days = query(
        "select business_date, returned_amount, net_amount from metrics.agg_sales_daily where returned_amount <> 0"
    )
    assert [(row["business_date"], row["returned_amount"], row["net_amount"]) for row in days] == [
        (date(2026, 3, 11), 5, -5)
    ]
    [order] = query("select returned_amount, refunded_amount, net_amount from marts_core.fct_order where order_id = 3")
    assert (order["returned_amount"], order["refunded_amount"], order["net_amount"]) == (5, 5, 40)
    assert content(raw.conn) == rebuilt(dbt, raw)
