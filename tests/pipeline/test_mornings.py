"""What is known at 04:05 of every morning: all that the store and its support desk hold of each day as of then.

The truth is read from the world's own objects, never through lake, raw tables or models.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.base.windows import days_ending, window_of
from hotdash_pipelines.defs.schedules import nightly
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.orchestration import keys
from tests.pipeline.harness.in_process import Bench, contract_of, open_bench
from tests.pipeline.harness.stack import SCALE, SEED, Stack
from tests.truth import new_customers_by_day

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("mornings")]

# The clocks go forward in the night to the first of them.
MORNINGS = (date(2026, 3, 8), date(2026, 3, 9), date(2026, 3, 10))
NIGHTLY_DAYS = 7
STREAMS = ("shopify/orders", "shopify/customers", "chatwoot/conversations", "chatwoot/messages", "chatwoot/contacts")


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=SCALE, now=datetime(2026, 3, 8, tzinfo=UTC)) as running:
        yield running


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def wake(bench: Bench, day: date, at: time = time(4, 5)) -> datetime:
    """Put the clocks of store and pipeline at an hour of a day, store time."""
    now = datetime.combine(day, at, bench.store.world.shop.zone).astimezone(UTC)
    bench.store.clock.set(now)
    bench.set(fixed_now=now.isoformat())
    return now


def streams() -> list[dg.AssetKey]:
    """Lake and raw tables of everything whose partitions hold changes."""
    contracts = [contract_of(name) for name in STREAMS]
    return [
        *(keys.lake_key(contract.source, contract.stream) for contract in contracts),
        *(keys.raw_key(contract.source, table.name) for contract in contracts for table in contract.tables),
    ]


def night(bench: Bench, wanted: list[dg.AssetKey] | None, day: date) -> None:
    """What the schedule asks for at 04:00 of that day, of the assets named; everything for None."""
    tick = datetime.combine(day, time(4), bench.store.world.shop.zone)
    request = nightly(dg.build_schedule_context(scheduled_execution_time=tick))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == f"nightly-{day - timedelta(days=1)}"
    first, last = (request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    assert last == day.isoformat()
    outcome = bench.execute(wanted, first, last, request.tags[keys.REFETCH_TAG])
    assert outcome.success, outcome.errors
    held_back = "select asset from ops.check_results where check_name = 'no_answer_was_held_back' and not passed"
    assert bench.stack.query(held_back) == []


def placed(bench: Bench, day: date, now: datetime) -> list[Any]:
    """The world's orders of a day as of now."""
    return [order for order in bench.store.world.shop.orders_created_on(day) if order.created_ts <= now.timestamp()]


def test_every_morning_each_day_is_whole_as_of_then(bench: Bench) -> None:
    shop, support = bench.store.world.shop, bench.store.world.support
    first = days_ending(MORNINGS[0], NIGHTLY_DAYS + 1)[0]
    begins = window_of(first, shop.zone).start
    touched_since_midnight = 0
    for morning in MORNINGS:
        now = wake(bench, morning)
        # The first night loads no models: they would be built once more for nothing.
        night(bench, streams() if morning == MORNINGS[0] else None, morning)
        days = [
            date.fromisoformat(first) + timedelta(days=n) for n in range((morning - date.fromisoformat(first)).days)
        ]
        orders = {day: placed(bench, day, now) for day in (*days, morning)}

        raw = "select order_id from raw_shopify.orders where created_at >= %s"
        assert Counter(order_id for (order_id,) in bench.stack.query(raw, (begins,))) == Counter(
            order.id for day in orders for order in orders[day]
        )
        raw_totals = (
            "select (created_at at time zone %s)::date, sum(current_total_amount), sum(refunded_amount) "
            "from raw_shopify.orders where created_at >= %s group by 1"
        )
        states = {day: [order.state(int(now.timestamp())) for order in orders[day]] for day in orders}
        assert {day: money for day, *money in bench.stack.query(raw_totals, (shop.time_zone, begins))} == {
            day: [
                cents(sum(one.total.shop for one in states[day])),
                cents(sum(one.refunded.shop for one in states[day])),
            ]
            for day in orders
            if orders[day]
        }
        if morning != MORNINGS[0]:
            sold = {day: sum(not order.is_test for order in orders[day]) for day in orders}
            counted = "select business_date, sum(order_count) from metrics.agg_sales_daily group by 1"
            by_day = {day: int(count) for day, count in bench.stack.query(counted)}
            assert {day: by_day.get(day, 0) for day in orders} == sold, morning
            whole = "select business_date, bool_and(is_complete) from metrics.agg_sales_daily group by 1"
            told = dict(bench.stack.query(whole))
            assert {day: told.get(day) for day in orders if sold[day]} == {
                day: day != morning for day in orders if sold[day]
            }
            won = "select business_date, sum(new_customer_count) from metrics.agg_sales_daily group by 1"
            new = {day: int(count) for day, count in bench.stack.query(won)}
            first_time = new_customers_by_day(bench.store.world, days[0], int(now.timestamp()))
            assert {day: new.get(day, 0) for day in orders} == {day: first_time.get(day, 0) for day in orders}

        customers = shop.customers_updated_between(int(begins.timestamp()), int(now.timestamp()) + 1)
        assert ids(bench, "shopify.customers", "customer_id") >= {customer_id for _, customer_id, _ in customers}
        active = [one for one in support.conversations() if one.last_activity_at >= begins.timestamp()]
        assert ids(bench, "chatwoot.conversations", "conversation_id") >= {one.display_id for one in active}
        written = {
            message.id
            for conversation in active
            for message in conversation.messages
            if message.at >= begins.timestamp()
        }
        assert ids(bench, "chatwoot.messages", "message_id") == written
        seen = {one.id for one in support.contacts() if one.last_activity_at >= begins.timestamp()}
        assert ids(bench, "chatwoot.contacts", "contact_id") >= seen

        midnight = window_of(morning.isoformat(), shop.zone).start
        touched = [
            order for order in orders[days[-1]] if order.updated_ts(int(now.timestamp())) >= midnight.timestamp()
        ]
        touched_since_midnight += len(touched)
    assert touched_since_midnight > 3, "the mornings tell nothing"


def test_without_the_open_day_yesterday_is_not_whole(bench: Bench) -> None:
    """What this file guards: the same night, its range cut at yesterday."""
    now = wake(bench, MORNINGS[0])
    yesterday = MORNINGS[0] - timedelta(days=1)
    known = "select count(*) from raw_shopify.orders where created_at >= %s and created_at < %s"
    bounds = window_of(yesterday.isoformat(), bench.store.world.shop.zone)
    orders = [
        keys.lake_key("shopify", "orders"),
        *(keys.raw_key("shopify", t.name) for t in contract_of(STREAMS[0]).tables),
    ]
    days = days_ending(MORNINGS[0], NIGHTLY_DAYS + 1)
    for last, is_whole in ((days[-2], False), (days[-1], True)):
        assert bench.execute(orders, days[0], last, keys.REFETCH_DUE).success
        ((count,),) = bench.stack.query(known, (bounds.start, bounds.end))
        assert (count == len(placed(bench, yesterday, now))) is is_whole, count


def cents(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-2)


def ids(bench: Bench, table: str, column: str) -> set[int]:
    return {number for (number,) in bench.stack.query(f"select {column} from raw_{table}")}
