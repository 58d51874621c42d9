"""A source or a stream that is closed for a night costs what reads it, and nothing else; one alert names it.

Which models read a stream is asked of dbt's own map, from the sources down. What is left out keeps the state of the
evening before; all else is, row for row, what the same night gives when nothing is wrong.

Slow and throttled sources cost nothing. A source that miscounts is told by a check; where a window cannot be believed
its readers wait, and one alert tells of that and of whatever else failed. Where rows came and only the count of a day
is off, the marts are built and mark the day.

A night is dear: `HARD_NIGHTS=all` closes every source and every stream once, without it one source and four streams.
"""

import os
import re
from collections.abc import Collection

import pytest

from hotdash_pipelines.demo.shopify.fields.root import ALL_APPROVALS, NAME
from hotdash_pipelines.demo.shopify.http import ShopifyApi
from hotdash_pipelines.sources import all_sources
from tests.pipeline.blast.evenings import EVENING, STREAMS, UNITING, Evening, Morning, readers
from tests.pipeline.harness.in_process import Bench

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("blast-radius")]

# Some marts of each source, and some that read none of it: by hand, from what they are made of.
READERS = {
    "chatwoot": ({"marts_support.fct_conversation", "marts_support.dim_conversation"}, {"marts_core.fct_order"}),
    "ga4": ({"marts_core.fct_web_sessions_daily"}, {"marts_core.fct_order", "marts_support.dim_conversation"}),
    "shopify": (
        {"marts_core.fct_order", "marts_core.fct_order_line", "marts_core.dim_customer", "metrics.agg_sales_daily"},
        {"marts_core.fct_web_sessions_daily", "marts_support.dim_conversation"},
    ),
}
# For each stream the part of the operations' names that closes it, and which streams need those operations.
DOORS = {
    "shopify/orders": ("Orders", {"shopify/orders"}),
    "shopify/products": ("Products", {"shopify/products"}),
    "ga4/landing_daily": ("landingPage", {"ga4/landing_daily"}),
    "ga4/traffic_daily": ("sessionSource", {"ga4/traffic_daily"}),
    "chatwoot/conversations": (
        "conversations",
        {"chatwoot/conversations", "chatwoot/messages", "chatwoot/deletions"},
    ),
    "chatwoot/messages": ("/messages", {"chatwoot/messages"}),
    "chatwoot/contacts": ("/contacts", {"chatwoot/contacts", "chatwoot/deletions"}),
    "chatwoot/inboxes": ("/inboxes", {"chatwoot/inboxes"}),
    "chatwoot/agents": ("/agents", {"chatwoot/agents"}),
}
# Streams that are closed in one night are told apart by the reasons that models give.
TOGETHER = (
    ("shopify/orders", "ga4/landing_daily", "chatwoot/messages", "chatwoot/agents"),
    ("shopify/products", "chatwoot/conversations", "chatwoot/inboxes"),
    ("ga4/traffic_daily", "chatwoot/contacts"),
)
UNAPPROVED = "shopify/customers"
OPERATIONS = {
    "shopify": ("Orders", "OrdersCount", "Customers", "CustomersCount", "Products"),
    "ga4": ("landingPage", "sessionSource"),
    "chatwoot": ("/conversations", "/messages", "/contacts", "/inboxes", "/agents", "/reports"),
}
COUNT, DAYS = "row_counts_match_the_source", "days_match_the_source"
YESTERDAY = EVENING.date().isoformat()
IS_EVERY_NIGHT = os.environ.get("HARD_NIGHTS") == "all"
SOURCES_CLOSED = list(all_sources()) if IS_EVERY_NIGHT else ["shopify"]
STREAMS_CLOSED = TOGETHER if IS_EVERY_NIGHT else TOGETHER[:1]


def holds(evening: Evening, morning: Morning, failed: Collection[str]) -> None:
    """What should be built is built, what should wait waits, and one alert tells of the streams that failed."""
    assert not morning.outcome.success
    told = {line.partition(": ")[2].partition(" ")[0] for line in morning.outcome.errors}
    assert told == set(failed), morning.outcome.errors
    assert all(state.endswith(" UTC") for state in morning.outcome.left_out.values())
    assert morning.left_out == readers(failed)
    for stream in failed:
        waiting = {name for name, why in morning.why_left_out.items() if f"{stream} " in why}
        assert waiting == readers({stream}), stream

    waits = morning.left_out.union(*(STREAMS[stream] for stream in failed))
    assert morning.tables.keys() == evening.healthy.keys()
    changed = {name for name, checksum in morning.tables.items() if checksum != evening.healthy[name]}
    assert changed <= waits | UNITING
    assert {name for name in waits & morning.tables.keys() if morning.tables[name] != evening.before[name]} == set()

    ((kind, payload),) = morning.alerts
    assert kind == "run_failed"
    shown = [stream for stream in failed if f"{stream} " in payload]
    assert len(shown) == min(len(failed), 5), payload


def test_a_healthy_night_brings_something_to_miss(evening: Evening) -> None:
    new = {name for name, checksum in evening.healthy.items() if checksum != evening.before[name]}
    assert {name for reading, _ in READERS.values() for name in reading} <= new


@pytest.mark.parametrize("source", SOURCES_CLOSED)
def test_a_closed_source_costs_what_reads_it_and_one_alert(evening: Evening, source: str) -> None:
    morning = evening.night(lambda bench: bench.plant("status", source, None, status=500))
    holds(evening, morning, {stream for stream in STREAMS if stream.startswith(f"{source}/")})
    reading, others = READERS[source]
    assert reading <= morning.left_out
    assert not others & morning.left_out


@pytest.mark.parametrize("together", STREAMS_CLOSED, ids=lambda streams: "+".join(streams).replace("/", "."))
def test_a_closed_stream_costs_what_reads_it_and_one_alert_names_it(
    evening: Evening, together: Collection[str]
) -> None:
    closed = [DOORS[stream] for stream in together]

    def close(bench: Bench) -> None:
        for stream, (operation, _) in zip(together, closed, strict=True):
            bench.plant("status", stream.partition("/")[0], operation, status=403)

    morning = evening.night(close)
    holds(evening, morning, set().union(*(needing for _, needing in closed)))


def test_a_missing_approval_costs_what_reads_customers_and_the_alert_names_field_and_approval(
    evening: Evening,
) -> None:
    api = ShopifyApi.of(evening.bench.store.world)
    api.approvals = ALL_APPROVALS - {NAME}
    try:
        morning = evening.night()
    finally:
        api.approvals = ALL_APPROVALS
    holds(evening, morning, {UNAPPROVED})
    assert re.search(
        r"denied the field customers\.nodes\.firstName, customers\.nodes\.lastName \(ACCESS_DENIED\): "
        r"the app lacks the approval for protected customer data \(firstName, lastName\)",
        morning.alerts[0][1],
    )
    # What waited comes as soon as the approval is there, and leaves no trace.
    healed = evening.once_more()
    assert healed.outcome.success, healed.outcome.errors
    assert healed.left_out == set()
    assert healed.tables == evening.healthy


def test_no_stream_is_forgotten() -> None:
    closed = set().union(*(DOORS[stream][1] for together in TOGETHER for stream in together))
    assert closed | {UNAPPROVED} == set(STREAMS)


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
