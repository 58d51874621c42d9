"""The main job, from the stand-in store over HTTP to the rollup: what the marts say is what the world holds."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hotdash_pipelines.base.windows import Window, window_of
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.credentials import make_credentials
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.shop_order import Order
from tests.pipeline.harness.stack import NOW, SCALE, SEED, Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("loaded")]

DAYS = ("2026-03-08", "2026-03-09")
# 23 hours: the clocks went forward at 02:00.
SHORT_DAY = date(2026, 3, 8)


@pytest.fixture(scope="module")
def world() -> World:
    """The world of the stand-in that `loaded` read, made a second time in this process."""
    clock = VirtualClock(NOW)
    return World(Shop(SEED, SCALE, clock), clock, Scenarios(), RequestLog(), make_credentials("http://127.0.0.1"))


def window(world: World, key: str) -> Window:
    return window_of(key, world.shop.zone)


def loaded_orders(world: World) -> Iterator[Order]:
    """Orders last changed since the first day that was loaded; the current day is open to now. Test orders left out."""
    first = window(world, DAYS[0])
    return (order for order in world.shop.orders_updated_between(first.start, NOW) if not order.is_test)


def test_the_loaded_days_are_whole_and_the_current_day_is_marked_open(loaded: Stack, world: World) -> None:
    """As of now: an order of the last two days that was touched this morning is a change of today."""
    days = [date.fromisoformat(key) for key in DAYS]
    placed = {day: sum(not order.is_test for order in world.shop.orders_created_on(day)) for day in days}
    counted = dict(loaded.query("select business_date, count(*) from marts_core.fct_order group by 1"))
    assert {day: counted[day] for day in days} == placed
    touched_today = world.shop.orders_updated_between(window(world, DAYS[-1]).end, NOW)
    assert any(order.day in days for order in touched_today)
    loads = "select window_key, is_open, complete_to from ops.lake_loads where stream = 'orders' order by 1"
    open_day = window(world, "2026-03-10")
    assert loaded.query(loads) == [
        *((key, False, window(world, key).end) for key in DAYS),
        (open_day.key, True, NOW),
    ]


def test_a_first_up_loads_every_layer_and_is_green(loaded: Stack) -> None:
    assets, checks = loaded.outcome["assets"], loaded.outcome["checks"]
    assert checks["failed"] == 0
    assert checks["passed"] > 50
    for key in ("lake_shopify/orders", "raw_shopify/orders", "raw_shopify/order_lines", "staging/stg_shopify__orders"):
        assert assets[key] > 50, key
    for key in ("marts_core/fct_order", "marts_core/fct_order_line", "marts_support/fct_conversation"):
        assert assets[key] > 0, key
    assert assets["metrics/agg_sales_daily"] > 0


def test_what_up_counted_is_what_the_tables_hold(loaded: Stack) -> None:
    for key, rows in loaded.outcome["assets"].items():
        schema, table = key.split("/")
        if schema.startswith(("raw_", "marts_", "metrics", "staging")):
            assert loaded.query(f"select count(*) from {schema}.{table}") == [(rows,)], key


def test_every_check_is_kept_with_its_verdict(loaded: Stack) -> None:
    of_first_run = "where run_id = (select run_id from ops.check_results order by id limit 1)"
    kept = dict(loaded.query(f"select passed, count(*) from ops.check_results {of_first_run} group by passed"))
    checks = loaded.outcome["checks"]
    assert kept[True] == checks["passed"]
    assert kept.get(False, 0) == checks["failed"] + checks["warned"]


def test_orders_of_each_business_day_are_those_of_the_world(loaded: Stack, world: World) -> None:
    expected = Counter(world.shop.day_of(order.processed_ts) for order in loaded_orders(world))
    assert len(expected) > 3
    counted = dict(loaded.query("select business_date, count(*) from marts_core.fct_order group by 1"))
    assert counted == dict(expected)
    rolled = loaded.query("select business_date, sum(order_count) from metrics.agg_sales_daily group by 1")
    assert {day: int(count) for day, count in rolled if count} == dict(expected)


def test_money_of_each_day_is_that_of_the_orders_as_they_stand(loaded: Stack, world: World) -> None:
    """What customers paid for orders of a day and what was refunded on a day, from the world's own ledger."""
    now = int(NOW.timestamp())
    placed: Counter[date] = Counter()
    for order in loaded_orders(world):
        placed[world.shop.day_of(order.processed_ts)] += order.state(now).basket.total.shop
    counted = loaded.query("select business_date, sum(total_amount) from marts_core.fct_order group by 1")
    assert dict(counted) == {day: Decimal(cents).scaleb(-2) for day, cents in placed.items()}
    refunded = sum(order.state(now).refunded.shop for order in loaded_orders(world))
    assert refunded > 0
    assert loaded.query("select sum(refunded_amount) from marts_core.fct_order") == [(Decimal(refunded).scaleb(-2),)]
    assert loaded.query("select sum(refunded_amount) from metrics.agg_sales_daily") == [(Decimal(refunded).scaleb(-2),)]


def test_the_rollup_adds_up_to_what_the_orders_still_amount_to(loaded: Stack, world: World) -> None:
    """Sold less returned over all days, rounding of cash apart, against each order's current total."""
    now = int(NOW.timestamp())
    current = sum(order.state(now).total.shop for order in loaded_orders(world))
    ((rolled, gift_cards),) = loaded.query(
        "select sum(total_amount - cash_rounding_amount + refund_rounding_amount), sum(gift_card_amount)"
        " from metrics.agg_sales_daily"
    )
    assert rolled + gift_cards == Decimal(current).scaleb(-2)


def test_the_day_of_23_hours_is_read_from_midnight_to_midnight_of_the_store(loaded: Stack, world: World) -> None:
    short = window(world, SHORT_DAY.isoformat())
    assert (short.start, short.end) == (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))
    in_window = {order.id for order in world.shop.orders_updated_between(short.start, short.end)}
    assert in_window
    of_window = "select order_id, updated_at from raw_shopify.orders where _window = %s"
    counts = loaded.query(of_window, (SHORT_DAY.isoformat(),))
    assert {order_id for order_id, _ in counts} == in_window
    assert all(short.start <= updated < short.end for _, updated in counts)
    sold = [order for order in loaded_orders(world) if order.processed_ts >= short.start.timestamp()]
    sold = [order.id for order in sold if order.processed_ts < short.end.timestamp()]
    assert sold
    of_day = "select order_id from marts_core.fct_order where business_date = %s order by 1"
    assert [order_id for (order_id,) in loaded.query(of_day, (SHORT_DAY,))] == sorted(sold)


def test_web_sessions_of_each_day_are_those_of_the_world(loaded: Stack, world: World) -> None:
    expected = {
        date.fromisoformat(key): sum(cell.sessions for cell in world.traffic.day(date.fromisoformat(key)).values())
        for key in DAYS
    }
    assert all(expected.values())
    by_day = "select property_date, sum(session_count) from marts_core.fct_web_sessions_daily group by 1"
    assert {day: int(sessions) for day, sessions in loaded.query(by_day)} == expected


def test_conversations_are_those_that_were_active_since_the_first_day(loaded: Stack, world: World) -> None:
    first = window(world, DAYS[0])
    expected = sorted(
        conversation.display_id
        for conversation in world.support.conversations()
        if first.start.timestamp() <= int(conversation.last_activity_at) <= NOW.timestamp()
    )
    assert expected
    counted = loaded.query("select conversation_id from marts_support.fct_conversation order by 1")
    assert [found for (found,) in counted] == expected
