"""A night in which the sources are slow, throttle, or say other counts than they give.

Slow and throttled sources cost nothing. A source that miscounts is told by a check; where a window cannot be believed
its readers wait, and one alert tells of that and of whatever else failed. Where rows came and only the count of a day
is off, the marts are built and mark the day.
"""

import pytest

from tests.pipeline.blast.evenings import EVENING, STREAMS, UNITING, Evening, Morning, readers
from tests.pipeline.harness.in_process import Bench

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("blast-radius")]

OPERATIONS = {
    "shopify": ("Orders", "OrdersCount", "Customers", "CustomersCount", "Products"),
    "ga4": ("landingPage", "sessionSource"),
    "chatwoot": ("/conversations", "/messages", "/contacts", "/inboxes", "/agents", "/reports"),
}
COUNT, DAYS = "row_counts_match_the_source", "days_match_the_source"
YESTERDAY = EVENING.date().isoformat()


def test_slow_and_throttled_sources_cost_nothing_and_nobody_is_told(evening: Evening) -> None:
    due = []

    def plant(bench: Bench) -> None:
        for source, operations in OPERATIONS.items():
            for operation in operations:
                # Longer than a client of the bench waits, and then too many requests.
                bench.plant("timeout", source, operation, times=1, seconds=0.8)
                bench.plant("throttle", source, operation, times=1)

    morning = evening.night(plant, lambda bench: due.extend(bench.store.scenarios.pending()))
    assert due == [], "what was not asked for tells nothing"
    assert morning.outcome.success, morning.outcome.errors
    assert morning.left_out == set()
    assert morning.alerts == []
    assert morning.tables == evening.healthy


def told_by(morning: Morning, check: str) -> set[str]:
    """The assets on which a check failed."""
    failed = [line.split(": ") for line in morning.outcome.failed_checks]
    return {asset for asset, name, *_ in failed if name.removesuffix(" (warning)") == check}


def moved(evening: Evening, morning: Morning) -> set[str]:
    return {name for name, checksum in morning.tables.items() if checksum != evening.healthy[name]}


def test_a_source_that_counts_more_than_it_gives_is_told_and_its_days_are_not_complete(evening: Evening) -> None:
    """GA4 announces rows that never come: that date is not believed. The others only count too many a day."""

    def plant(bench: Bench) -> None:
        bench.plant("wrong_count", "shopify", "OrdersCountByDay", off=2)
        bench.plant("wrong_count", "shopify", "CustomersCountByDay", off=1)
        bench.plant("wrong_count", "chatwoot", "/reports", off=1)
        bench.plant("wrong_count", "ga4", "landingPage", off=3)

    marked = "select distinct is_complete, incomplete_reason from metrics.agg_sales_daily where business_date = %s"
    morning = evening.night(plant)
    assert told_by(morning, DAYS) == {"raw_shopify/orders", "raw_shopify/customers", "raw_chatwoot/conversations"}
    ((is_complete, reason),) = evening.bench.stack.query(marked, (YESTERDAY,))
    assert is_complete is False
    assert "counts" in str(reason)
    sales = "metrics.agg_sales_daily"
    assert evening.figures()[sales] == evening.healthy_figures[sales], "the rows came"
    assert morning.left_out == readers({"ga4/landing_daily"})
    assert moved(evening, morning) <= morning.left_out | UNITING | STREAMS["ga4/landing_daily"] | {sales}
    ((kind, payload),) = morning.alerts
    assert kind == "run_failed"
    assert "ga4/landing_daily" in payload
    assert "rows; materialise the partition again" in payload


def test_a_source_that_counts_fewer_than_it_gives_is_one_alert_with_what_else_failed(evening: Evening) -> None:
    def plant(bench: Bench) -> None:
        bench.plant("wrong_count", "shopify", "OrdersCount", off=-2)
        bench.plant("wrong_count", "shopify", "CustomersCountByDay", off=-1)
        bench.plant("wrong_count", "chatwoot", "/reports", off=-1)
        bench.plant("wrong_count", "ga4", "sessionSource", off=-1)
        bench.plant("status", "chatwoot", "/inboxes", status=403)

    morning = evening.night(plant)
    off = {"shopify/orders", "ga4/traffic_daily"}
    assert told_by(morning, COUNT) >= {f"lake_{stream}" for stream in off}
    assert {"raw_shopify/customers", "raw_chatwoot/conversations"} <= told_by(morning, DAYS)
    assert morning.left_out == readers({*off, "chatwoot/inboxes"})
    waits = morning.left_out.union(*(STREAMS[stream] for stream in (*off, "chatwoot/inboxes")))
    assert moved(evening, morning) <= waits | UNITING
    ((kind, payload),) = morning.alerts
    assert kind == "checks_failed"
    assert "2 blocking checks and 1 step failed in nightly_job" in payload
    for part in ("lake_shopify/orders", "lake_ga4/traffic_daily", COUNT, "lake_chatwoot__inboxes", "answered 403"):
        assert part in payload, part
