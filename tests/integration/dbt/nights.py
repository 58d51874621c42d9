"""A shop over two nights, so changed that every kind of change happens once: what the dbt tests of the store look at.

Belongs here: the rows of both nights, and the databases in which each night and a build from nothing ended.
Does not belong here: assertions. Where it matters, the orders of one story have a day to themselves and no variant
whose cost changes: nothing else makes a model touch that day or that order.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from tests.integration.dbt.raw import LOADED, NOON, Agreement, Line, RawShop, Refund, Sale

LATER = LOADED + timedelta(days=1)
MUCH_LATER = LOADED + timedelta(days=9)
UTM: dict[str, Any] = {"utm_source": "google", "utm_medium": "cpc", "utm_campaign": "brand"}


@dataclass
class Nights:
    """The databases as the first night, the second and a full refresh left them; nobody changes them any more."""

    first: psycopg.Connection[Any]
    # The first night's once more, after a second build without news.
    rerun: psycopg.Connection[Any]
    second: psycopg.Connection[Any]
    rebuilt: psycopg.Connection[Any]
    # What an earlier version left, without the columns that have come since, after the next build.
    upgraded: psycopg.Connection[Any]
    # How every node of the second night's build ended, data tests included.
    statuses: dict[str, str]


def forget_columns(conn: psycopg.Connection[Any]) -> None:
    """Take from the marts what they have had only since they say whether their day is whole, and whose order is gone.

    They get a column that their models no longer know.
    """
    marts = conn.execute(
        "select format('%I.%I', table_schema, table_name),"
        " string_agg(format('drop column %I cascade', column_name), ', ')"
        " from information_schema.columns where table_schema in ('marts_core', 'metrics')"
        " and column_name in ('is_complete', 'as_of', 'incomplete_reason', 'is_deleted')"
        " and table_name not like 'agg_agent%' group by 1"
    ).fetchall()
    assert len(marts) > 3
    for mart, drops in marts:
        conn.execute(f"alter table {mart} {drops}, add former integer not null default 0")
        conn.execute(f"alter table {mart} alter column former drop default")


def first_night(raw: RawShop) -> None:
    """Three orders, a guest among them, listed variants, a conversation, web traffic, and how the stories begin."""
    raw.variant(501, cost="7.50")
    raw.customer(71, "ann@example.com")
    raw.order(1, Line(11, "20.00", 2, discount="4.00", tax="3.20"), shipping="5.95", **UTM)
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
    _stories_begin(raw)


def _stories_begin(raw: RawShop) -> None:
    # An order that loses all its lines, one that turns out to be a test, one that moves to another day.
    raw.order(51, own_line(511), at=_february(3))
    raw.order(52, own_line(521), at=_february(5))
    raw.order(53, own_line(531), at=_february(7))
    # One that the shop deletes, the first of its buyer, who buys again.
    raw.order(56, own_line(561), at=_february(13), customer_id=174, customer_order_number=1)
    raw.order(57, own_line(571), at=_february(15), customer_id=174, customer_order_number=2)
    # One of which a unit comes back much later.
    raw.order(54, Line(541, "5.00", 3, variant_id=None), at=_february(9))
    # One that tells of its edit and its refund; the refund is no longer there the next night, and no agreement is.
    sold = Agreement(_february(17), (Sale("30.00", 581, 3),))
    edited = Agreement(_february(18), (Sale("-10.00", 581, -1, action="RETURN"),), "ORDER_EDIT")
    returned = Agreement(_february(19), (Sale("-10.00", 581, -1, action="RETURN"),), "REFUND", 92)
    raw.order(
        58,
        Line(581, "10.00", 3, variant_id=None, left=1),
        at=_february(17),
        refunds=(Refund(92, _february(19), "10.00", lines=((581, 1, "10.00", "0"),)),),
        agreements=(sold, edited, returned),
        current_total_amount=Decimal(10),
    )
    # A customer met only in an order.
    raw.order(61, own_line(611), customer_id=171, email="Dan@Example.com ")
    # Guests, one of them with the address of an account.
    raw.customer(172, "eve@example.com")
    raw.order(62, own_line(621), customer_id=172, email="eve@example.com")
    raw.order(63, own_line(631), customer_id=None, email="EVE@example.com")
    raw.order(64, own_line(641), customer_id=None, email="bob@example.com")
    raw.order(65, own_line(651), customer_id=None, email=None)
    # A variant that is never listed, and a line of none.
    raw.order(66, Line(661, "20.00", variant_id=699, sku="OLD"), own_line(662))
    raw.order(67, Line(671, "20.00", variant_id=699, sku="NEW"))
    # A variant that goes, and one that comes back.
    raw.variant(502)
    raw.variant(503)
    raw.conn.execute("update raw_shopify.product_variants set _deleted_at = %s where variant_id = 503", (LOADED,))
    # What must stay in the raw tables.
    raw.customer(173, "planted@example.com", first_name="Plantedname", last_name="Q", phone="+15550100")
    raw.order(68, own_line(681), customer_id=173, email="planted@example.com")
    raw.put("raw_chatwoot.contacts", contact_id=9, email="planted@example.com", name="Plantedname", phone="+15550100")
    raw.put("raw_chatwoot.agents", agent_id=3, name="Plantedname", email="planted@example.com")
    raw.put("raw_chatwoot.conversations", conversation_id=41, contact_id=9)
    raw.put("raw_chatwoot.messages", message_id=450, conversation_id=41, content="my mail is planted@example.com")


def second_night(raw: RawShop) -> None:
    """Everything that can change: refund, edit, removed line, cancellation, late order, new facts about old members."""
    # A restatement that only takes a row away: no row that stays was loaded anew.
    raw.conn.execute("delete from raw_ga4.landing_daily where property_date = '2026-03-01' and landing_page = '/sale'")
    # Committed after the first night had looked, within the overlap.
    raw.loaded_at = LOADED - timedelta(hours=2)
    raw.order(55, own_line(551), at=_february(11))
    raw.loaded_at = LATER
    taken = Refund(91, NOON + timedelta(days=3), "25.55", lines=((11, 1, "18.00", "1.60"),))
    raw.order(
        1,
        Line(11, "20.00", 2, discount="4.00", tax="3.20", left=1),
        shipping="5.95",
        refunds=(taken,),
        **UTM,
    )
    raw.order(2, Line(22, "50.00", gift_card=True, variant_id=None), customer_id=None, email="guest@example.com")
    cancelled = NOON + timedelta(days=1)
    raw.order(
        3, Line(31, "30.00", variant_id=599, left=0), Line(32, "5.00", 3, left=0),
        customer_id=99, email=None, cancelled_at=cancelled, cancel_reason="CUSTOMER", financial_status="VOIDED",
    )  # fmt: skip
    raw.order(4, Line(41, "12.00"), at=NOON - timedelta(days=30), utm_source="news", utm_medium="email")
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
        content="Bo hat die Konversation als gelöst markiert",
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
    _stories_end(raw)


def _stories_end(raw: RawShop) -> None:
    raw.order(51, at=_february(3))
    raw.order(52, own_line(521), at=_february(5), is_test=True)
    raw.order(53, own_line(531), at=_february(6))
    raw.order(
        58,
        Line(581, "10.00", 3, variant_id=None, left=2),
        at=_february(17),
        agreements=(),
        current_total_amount=Decimal(20),
    )
    for table in ("orders", "order_lines"):
        raw.conn.execute(
            sql.SQL("update {} set _deleted_at = %s, _loaded_at = %s where order_id = 56").format(
                sql.Identifier("raw_shopify", table)
            ),
            (LATER, LATER),
        )
    raw.customer(171, "dan@example.com", city="Boston")
    raw.conn.execute("update raw_shopify.product_variants set _deleted_at = %s where variant_id = 502", (LATER,))
    raw.conn.execute("update raw_shopify.product_variants set _deleted_at = null where variant_id = 503")
    raw.loaded_at = MUCH_LATER
    back = Refund(92, datetime(2026, 3, 12, 3, 30, tzinfo=UTC), "5.00", lines=((541, 1, "5.00", "0"),))
    raw.order(54, Line(541, "5.00", 3, variant_id=None, left=2), at=_february(9), refunds=(back,))


def own_line(line_id: int) -> Line:
    """A line of 10.00 without a variant: no change of a cost touches its order."""
    return Line(line_id, "10.00", variant_id=None)


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


def _february(day: int) -> datetime:
    return NOON.replace(month=2, day=day)
