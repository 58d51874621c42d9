"""From ticks of the engine to the stand-in's Slack: what a person reads when an SLA breaks, escalates and recovers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.alerts import SlackDestination, deliver_pending
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.services.sla_notices import notice_writer
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sla import Definition, Observation
from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.sla.records.store import acknowledge, apply_tick

START = datetime(2026, 2, 10, 15, 0, tzinfo=UTC)
COMMON = {"owner": "team:support", "runbook": "docs/runbooks/approvals-waiting.md"}
APPROVALS = Definition.model_validate(
    {
        **COMMON, "name": "approvals_answered", "dataset": "agent/agent_approvals", "type": "queue_age", "target": 5,
        "unit": "minutes", "severity": "high", "grace": "10m",
        "escalate": [{"after": "10m", "severity": "critical", "channel": "#oncall", "mention": "@here"}],
    }
)  # fmt: skip
ORDERS = Definition.model_validate(
    {
        **COMMON, "name": "orders_fresh", "dataset": "raw_shopify/orders", "type": "event_time_lag", "target": 60,
        "owner": "team:data",
    }
)  # fmt: skip
MARTS = tuple(
    Definition.model_validate(
        {**COMMON, "name": f"mart_{number}", "dataset": f"marts_core/m{number}", "type": "event_time_lag", "target": 60}
    )
    for number in range(15)
)
UPSTREAM = {f"marts_core/m{number}": {"raw_shopify/orders"} for number in range(15)}


@pytest.fixture(scope="module")
def slack() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.001, now=START) as running:
        yield running


class Pipeline:
    """Ticks and deliveries, minute by minute."""

    def __init__(self, conn: psycopg.Connection[Any], slack: RunningStandIn) -> None:
        self.conn, self.slack = conn, slack
        self.store = slack.world.extra["slack"]
        self.store._posts.clear()
        self.write = notice_writer(Settings(), {"agent/agent_approvals": "0b7a9f12-8d7e"}.get)
        self.to = SlackDestination(
            bot_token=slack.credentials["slack_bot_token"],
            api_url=f"{slack.url}/slack/api/",
            channel="#alerts",
            channels={"team:support": "#support"},
        )

    def tick(self, minute: float, *seen: Observation, of: tuple[Definition, ...] = (APPROVALS,)) -> None:
        now = START + timedelta(minutes=minute)
        impact = {"agent/agent_approvals": Impact(("marts_support/fct_approval",), ("Approvals today",))}
        apply_tick(self.conn, of, seen, UPSTREAM, now, impact=impact, enqueue=self.write)
        deliver_pending(self.conn, self.to, now)

    def posts(self, channel: str) -> list[dict[str, Any]]:
        return self.store.posts(channel)


@pytest.fixture
def pipeline(warehouse: psycopg.Connection[Any], slack: RunningStandIn) -> Pipeline:
    return Pipeline(warehouse, slack)


def waiting(minutes: float | None) -> Observation:
    return Observation("approvals_answered", minutes, unknown_reason="no answer" if minutes is None else None)


def test_a_queue_that_waits_too_long_is_told_escalated_elsewhere_and_ended_in_both_places(pipeline: Pipeline) -> None:
    for minute in range(15):
        pipeline.tick(minute, waiting(6.5 + minute))
    [opened, escalated] = pipeline.posts("#support"), pipeline.posts("#oncall")
    assert len(opened) == len(escalated) == 1
    shown = str(opened[0]["blocks"])
    for part in (
        "agent/agent_approvals: somebody waits too long", "*Now*\\n6.5 minutes", "*Promised*\\nat most 5 minutes",
        "team:support", "Approvals today", "marts_support/fct_approval", "/runs/0b7a9f12-8d7e|Run 0b7a9f12",
        "runbooks/approvals-waiting.md", "10:00 EST (15:00 UTC)",
    ):  # fmt: skip
        assert part in shown, part
    assert "<!here>" in str(escalated[0]["blocks"])
    assert "16.5 minutes" in str(escalated[0]["blocks"])
    pipeline.tick(15, waiting(0))
    for channel in ("#support", "#oncall"):
        first, last = pipeline.posts(channel)
        assert first["edited_ts"]
        assert last["thread_ts"] == first["ts"]
        assert last["text"].startswith("resolved after 15 min")
    pipeline.tick(16, waiting(0))
    assert len(pipeline.posts("#support")) == 2


def test_an_acknowledgement_is_told_and_stops_the_escalation(pipeline: Pipeline) -> None:
    pipeline.tick(0, waiting(9))
    now = START + timedelta(minutes=1)
    acknowledge(pipeline.conn, (APPROVALS,), "approvals_answered", None, "Dana", now, enqueue=pipeline.write)
    for minute in range(2, 15):
        pipeline.tick(minute, waiting(9 + minute))
    first, acked = pipeline.posts("#support")
    assert "*Acknowledged* by Dana" in str(first["blocks"])
    assert acked["thread_ts"] == first["ts"]
    assert pipeline.posts("#oncall") == []


def test_what_cannot_be_seen_is_told_as_not_known_and_then_as_known(pipeline: Pipeline) -> None:
    for minute in range(12):
        pipeline.tick(minute, waiting(None))
    [message] = pipeline.posts("#support")
    assert "nobody can tell how it is" in str(message["blocks"])
    assert "*Now*\\nnot known" in str(message["blocks"])
    assert "sla-unknown.md" in str(message["blocks"])
    pipeline.tick(12, waiting(1))
    assert pipeline.posts("#support")[-1]["text"].startswith("resolved after 12 min")


def test_fifteen_marts_behind_a_late_source_are_one_message_that_lists_ten_of_them(pipeline: Pipeline) -> None:
    old = START - timedelta(hours=3)
    for minute in range(3):
        seen = [Observation("orders_fresh", at=old), *(Observation(one.name, at=old) for one in MARTS)]
        pipeline.tick(minute, *seen, of=(ORDERS, *MARTS))
    assert pipeline.posts("#support") == []
    [message] = pipeline.posts("#alerts")
    shown = str(message["blocks"])
    assert "*Late behind it* (15)" in shown
    assert shown.count("marts_core/m") == 10
    assert "and 5 more" in shown


def test_a_removed_sla_ends_its_message(pipeline: Pipeline) -> None:
    pipeline.tick(0, waiting(9))
    pipeline.tick(1, of=(ORDERS,))
    first, last = pipeline.posts("#support")
    assert first["edited_ts"]
    assert last["text"].startswith("closed: the sla was removed after")
