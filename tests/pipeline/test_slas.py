"""A source goes away: its SLA breaks, Slack is told once, told again, and told when it is over; and who watches that.

The stand-in store is stopped for real; Slack is another one that stays up.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.alerts.sensors import alert_delivery_sensor
from hotdash_pipelines.defs.sla.sensors import sla_evaluation_sensor
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.orchestration.resources import AlertChannelsResource, ClockResource, WarehouseResource
from hotdash_pipelines.sla.records.heartbeat import EVALUATION_SECONDS
from tests.pipeline.harness.in_process import Bench, open_bench
from tests.pipeline.harness.stack import NOW, SEED, Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

SCALE = 0.003
SLA = "shopify_orders_lag"
# The day of NOW, which nobody can load while the store is down.
LOST_DAY = "2026-03-10"
NIGHT = datetime(2026, 3, 11, 8, 0, tzinfo=UTC)
CHANNEL = "#data-alerts"


@pytest.fixture
def slack() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.001, now=NOW) as running:
        yield running


def posts(slack: RunningStandIn) -> list[Any]:
    """What Slack shows of the SLA, in order."""
    posted = (SimpleNamespace(**post) for post in slack.world.extra["slack"].posts())
    return [post for post in posted if "raw_shopify/orders" in post.text]


@contextmanager
def bench_with(stack: Stack, store: RunningStandIn, slack: RunningStandIn, now: datetime) -> Iterator[Bench]:
    """This process at `now`, with the sources of one stand-in and the Slack of another."""
    with open_bench(stack, store) as bench:
        bench.set(
            fixed_now=now.isoformat(),
            slack_bot_token=slack.credentials["slack_bot_token"],
            slack_channel=CHANNEL,
            slack_api_url=f"{slack.url}/slack/api/",
        )
        yield bench


def turn(bench: Bench, slack: RunningStandIn, now: datetime) -> str:
    """One turn of the daemon at `now`: evaluation, then delivery. What the evaluation says."""
    bench.set(fixed_now=now.isoformat())
    slack.clock.set(now)
    repository = defs().get_repository_def()
    with dg.build_sensor_context(instance=bench.instance, repository_def=repository) as context:
        result = sla_evaluation_sensor(context, warehouse=WarehouseResource(), clock=ClockResource())
    with dg.build_sensor_context(instance=bench.instance) as context:
        alert_delivery_sensor(context, warehouse=WarehouseResource(), alert_channels=AlertChannelsResource())
    assert isinstance(result, dg.SensorResult)
    return str(result.skip_reason)


def standing(bench: Bench) -> tuple[Any, ...]:
    """Verdict, severity and escalation of the SLA as stored."""
    return bench.stack.query(
        "select s.standing, v.impact_severity, v.escalation_level from ops.sla_state s left join ops.sla_violations v "
        "on v.sla_name = s.sla_name and v.resolved_at is null where s.sla_name = %s",
        (SLA,),
    )[0]


def test_a_store_that_stops_opens_one_violation_that_escalates_and_ends_after_its_return(
    stack: Stack, slack: RunningStandIn
) -> None:
    with start_stand_in(seed=SEED, scale=SCALE, now=NOW) as store, bench_with(stack, store, slack, NOW) as bench:
        assert bench.run("shopify/orders", "2026-03-09").success
        ((newest,),) = stack.query("select max(updated_at) from raw_shopify.orders")
        limit = newest + timedelta(hours=33)
        assert "not judged" not in turn(bench, slack, NOW)
        assert standing(bench)[0] == "ok"

    # The store is down from here on; the night cannot load what came.
    with bench_with(stack, store, slack, NIGHT) as bench:
        assert not bench.run("shopify/orders", LOST_DAY).success
        turn(bench, slack, limit - timedelta(minutes=1))
        assert (standing(bench)[0], posts(slack)) == ("ok", [])
        turn(bench, slack, limit + timedelta(minutes=1))
        assert (standing(bench), posts(slack)) == (("breach", None, None), [])

        opened = limit + timedelta(minutes=2)
        turn(bench, slack, opened)
        assert standing(bench) == ("breach", "high", 0)
        (first,) = posts(slack)
        for part in ("raw_shopify/orders", "33 hours", "team:data", "source-behind.md", SLA, "fct_order"):
            assert part in str(first.blocks), part
        assert (first.channel, first.thread_ts) == (CHANNEL, None)
        for minutes in range(1, 4):
            turn(bench, slack, opened + timedelta(minutes=minutes))
        assert len(posts(slack)) == 1

        turn(bench, slack, opened + timedelta(hours=4, minutes=1))
        assert standing(bench) == ("breach", "critical", 1)
        assert [post.thread_ts for post in posts(slack)] == [None, first.ts]
        assert "escalated" in posts(slack)[1].text

    back = opened + timedelta(hours=5)
    with start_stand_in(seed=SEED, scale=SCALE, now=back) as store, bench_with(stack, store, slack, back) as bench:
        assert bench.run("shopify/orders", LOST_DAY).success
        turn(bench, slack, back)
        turn(bench, slack, back + timedelta(minutes=1))
    assert standing(bench)[0] == "ok"
    top, _, end = posts(slack)
    assert (end.thread_ts, "Resolved" in str(end.blocks)) == (first.ts, True)
    assert (top.ts, "Resolved" in str(top.blocks), "Resolved" in str(first.blocks)) == (first.ts, True, False)
    violations = "select resolve_reason, kind, violation_duration from ops.sla_violations where sla_name = %s"
    assert stack.query(violations, (SLA,)) == [("recovered", "breach", back - limit)]

    allowed = 3 * timedelta(seconds=EVALUATION_SECONDS)
    last = back + timedelta(minutes=1)
    codes = [probe(stack, last + after) for after in (timedelta(0), allowed, allowed + timedelta(seconds=1))]
    assert codes == [0, 0, 1]


def probe(stack: Stack, now: datetime) -> int:
    """Exit code of `hotdash sla probe` as an outside monitor sees it."""
    return stack.run("sla", "probe", environment={"HOTDASH_FIXED_NOW": now.isoformat()}).code
