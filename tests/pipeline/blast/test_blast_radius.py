"""A source that is closed for a night costs what reads it, and nothing else; one alert names it.

Which models read which stream: tests/unit/transform/test_left_out.py. The same night healed is the comparison: what
was built without the closed source must not change any more when it is open again.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.local.first_load import LoadOutcome
from hotdash_pipelines.local.warehouse import alert_failure, prepare
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sources import all_sources
from tests.pipeline.harness.in_process import Bench, open_bench
from tests.pipeline.harness.stack import SEED, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("blast-radius")]

FIRST = "2026-03-05"
# Each source is closed on a night of its own, so that there is something new to miss; before them a healthy one.
HEALTHY, *NIGHTS = (datetime(2026, 3, day, 12, tzinfo=UTC) for day in (7, 8, 9, 10))
CLOSED = dict(zip(sorted(all_sources()), NIGHTS, strict=True))
# Some marts of each source, and some that read none of it: by hand, from what they are made of.
READERS = {
    "chatwoot": ({"marts_support.fct_conversation", "marts_support.dim_conversation"}, {"marts_core.fct_order"}),
    "ga4": ({"marts_core.fct_web_sessions_daily"}, {"marts_core.fct_order", "marts_support.dim_conversation"}),
    "shopify": (
        {"marts_core.fct_order", "marts_core.fct_order_line", "marts_core.dim_customer", "metrics.agg_sales_daily"},
        {"marts_core.fct_web_sessions_daily", "marts_support.dim_conversation"},
    ),
}


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=HEALTHY) as running:
        yield running


@pytest.fixture(scope="module")
def bench(
    server: object, session_home: Path, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """A stack after one healthy night."""
    with (
        open_stack(server, session_home, tmp_path_factory.mktemp("blast")) as stack,
        open_bench(stack, store) as bench,
    ):
        prepare(stack.warehouse_url)
        outcome = night(bench, HEALTHY)
        assert outcome.success, outcome.errors
        assert outcome.left_out == {}
        yield bench


def night(bench: Bench, at: datetime) -> LoadOutcome:
    """The nightly run as of that instant."""
    bench.store.clock.set(at)
    bench.set(fixed_now=at.isoformat())
    return bench.execute(None, FIRST, at.date().isoformat(), "due")


@pytest.mark.parametrize("source", CLOSED)
def test_a_closed_source_costs_what_reads_it_and_one_alert(bench: Bench, source: str) -> None:
    reading, others = READERS[source]
    before = bench.stack.checksums("marts_%", "metrics")
    bench.plant("status", source, None, status=500)
    closed = night(bench, CLOSED[source])
    bench.heal()
    assert not closed.success
    assert all(f": {source}/" in line for line in closed.errors), closed.errors
    assert reading <= {name.replace("/", ".") for name in closed.left_out}
    assert all(state.endswith(" UTC") for state in closed.left_out.values())
    after = bench.stack.checksums("marts_%", "metrics")
    kept = [name.replace("/", ".") for name in closed.left_out if not name.startswith(("staging/", "intermediate/"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}

    alert_failure(get_settings(), bench.stack.warehouse_url, closed)
    key = f"run:{closed.run_id}%"
    told = bench.stack.query("select kind, payload::text from ops.alert_outbox where dedupe_key like %s", (key,))
    assert [kind for kind, _ in told] == ["run_failed"]
    assert f"{source}/" in told[0][1]

    healed = night(bench, CLOSED[source])
    assert healed.success, healed.errors
    assert healed.left_out == {}
    whole = bench.stack.checksums("marts_%", "metrics")
    assert {name: whole[name] for name in others} == {name: after[name] for name in others}
    assert all(whole[name] != before[name] for name in reading & {"marts_core.fct_order"})
