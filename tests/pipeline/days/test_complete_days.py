"""The nightly job keeps account of each business day: what the source counts, what is loaded, and whether it is whole.

The truth is added up from the stand-in's own objects.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.orchestration import keys
from tests.pipeline.harness.in_process import KEY, Bench, contract_of, open_bench
from tests.pipeline.harness.stack import Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]

ORDERS, CUSTOMERS, CONTACTS, LANDING = "shopify/orders", "shopify/customers", "chatwoot/contacts", "ga4/landing_daily"
CHECK = "days_match_the_source"


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def ledger(bench: Bench, name: str) -> dict[str, tuple[Any, ...]]:
    source, stream = name.split("/")
    rows = bench.stack.query(
        "select business_date::text, source_count, loaded_count, state from ops.stream_days "
        "where source = %s and stream = %s order by business_date",
        (source, stream),
    )
    return {day: tuple(rest) for day, *rest in rows}


def verdict(bench: Bench, name: str) -> dg.AssetCheckEvaluation:
    """The newest verdict over a stream's days, as the UI shows it."""
    source, stream = name.split("/")
    record = bench.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(keys.raw_key(source, stream), CHECK)]
    )
    event = next(iter(record.values())).event
    assert event is not None
    assert event.dagster_event is not None
    return event.dagster_event.asset_check_evaluation_data


def counts_asked(bench: Bench) -> int:
    return sum("CountByDay" in str(entry) for entry in bench.store.log.entries())


def test_a_day_whose_orders_moved_on_is_told_with_both_counts(bench: Bench) -> None:
    """Orders of the day that were touched on the days after it lie in those days' windows, which are not loaded."""
    shop, day = bench.store.world.shop, date.fromisoformat(KEY)
    of_the_day = [order for order in shop.orders_created_on(day) if shop.day_of(order.processed_ts) == day]
    touched_since = [order for order in of_the_day if shop.day_of(order.updated_ts(shop.now_ts())) > day]
    assert 0 < len(touched_since) < len(of_the_day)

    outcome = bench.run(ORDERS)
    assert outcome.success
    loaded = len(of_the_day) - len(touched_since)
    assert ledger(bench, ORDERS)[KEY] == (len(of_the_day), loaded, "partial")
    said = verdict(bench, ORDERS)
    assert not said.passed
    assert said.severity == dg.AssetCheckSeverity.WARN
    assert said.description is not None
    assert f"{KEY} ({loaded} of {len(of_the_day)})" in said.description
    kept = bench.stack.query("select passed, dimension from ops.check_results where check_name = %s", (CHECK,))
    assert kept == [(False, "completeness")]


@pytest.mark.parametrize("name", [ORDERS, CUSTOMERS])
def test_every_day_of_a_first_load_is_whole_but_today_and_the_days_before_it(bench: Bench, name: str) -> None:
    shop = bench.store.world.shop
    now, first = shop.now_ts(), date(2026, 3, 4)
    truth: Counter[date] = Counter()
    for back in range(10):
        day = first + timedelta(days=back - 1)
        if name == ORDERS:
            made = [order.processed_ts for order in shop.orders_created_on(day) if order.created_ts <= now]
        else:
            made = [int(customer.created_at.timestamp()) for customer in shop.customers_created_on(day)]
        truth.update(shop.day_of(ts) for ts in made if ts <= now)
    source, stream = name.split("/")
    assets = [keys.lake_key(source, stream), *(keys.raw_key(source, table.name) for table in contract_of(name).tables)]
    assert bench.execute(assets, "2026-03-04", "2026-03-10").success
    days = ledger(bench, name)
    for number in range(4, 10):
        day = date(2026, 3, number)
        assert days[str(day)] == (truth[day], truth[day], "complete"), day
    assert days["2026-03-10"] == (truth[date(2026, 3, 10)], truth[date(2026, 3, 10)], "open")
    earlier = {state for day, (_, _, state) in days.items() if day < "2026-03-04"}
    assert earlier == {"partial"}
    assert verdict(bench, name).passed


def test_days_are_counted_in_one_request_however_many_they_are(bench: Bench) -> None:
    bench.store.log.clear()
    assets = [keys.lake_key("shopify", "orders")]
    assert bench.execute(assets, "2026-03-01", "2026-03-09").success
    assert counts_asked(bench) == 1


def test_a_source_that_does_not_count_costs_the_count_alone(bench: Bench) -> None:
    bench.plant("status", "shopify", "OrdersCountByDay", status=403)
    outcome = bench.run(ORDERS)
    assert outcome.success, outcome.errors
    counted, loaded, _ = ledger(bench, ORDERS)[KEY]
    assert counted is None
    assert loaded > 0
    bench.heal()
    assert bench.run(ORDERS).success
    assert ledger(bench, ORDERS)[KEY][0] > loaded, "some of the day's orders moved on"


def page_views(bench: Bench) -> int:
    """Views of the day, added up from the world's own cells."""
    return sum(cell.views for cell in bench.store.world.traffic.day(date.fromisoformat(KEY)).values())


def test_a_report_by_date_is_held_against_a_total_asked_for_apart(bench: Bench) -> None:
    assert bench.run(LANDING).success
    counted, loaded, state = ledger(bench, LANDING)[KEY]
    assert counted == loaded == page_views(bench) > 0
    assert state in ("provisional", "complete")
    assert verdict(bench, LANDING).passed


def test_a_report_that_lacks_rows_and_announces_none_of_them_is_told(bench: Bench) -> None:
    bench.plant("truncated_page", "ga4", "landingPage", kind="unannounced")
    assert bench.run(LANDING).success
    counted, loaded, state = ledger(bench, LANDING)[KEY]
    assert (counted, state) == (page_views(bench), "differs")
    assert 0 < loaded < counted
    said = verdict(bench, LANDING)
    assert not said.passed
    assert f"{KEY} ({loaded} of {counted})" in str(said.description)


def test_a_stream_without_an_independent_count_says_so(bench: Bench) -> None:
    assert bench.run(CONTACTS).success
    rows = bench.stack.query(
        "select bool_or(has_source_count), count(source_count), count(*) > 0 from ops.stream_days "
        "where stream = 'contacts'"
    )
    assert rows == [(False, 0, True)]
    key = keys.raw_key("chatwoot", "contacts")
    event = bench.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["days_by_the_source"].value == "no independent count"
