"""The support agent of the stand-in's world: what it does on a day, and that it is always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from hotdash_pipelines.demo.app import create_app
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.credentials import make_credentials
from hotdash_pipelines.demo.world.agent import TABLES, AgentDesk, DayNotOver
from hotdash_pipelines.demo.world.agent_texts import PLAYBOOKS
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.support import Support
from hotdash_pipelines.demo.world.support_texts import TOPICS

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
NEWEST = date(2026, 11, 19)
WEEK = [NEWEST - timedelta(days=back) for back in range(6, -1, -1)]


def make_desk(now: datetime = NOW, seed: int = 7, scale: float = 0.1) -> AgentDesk:
    return AgentDesk(Shop(seed, scale, VirtualClock(now)))


@pytest.fixture(scope="module")
def week() -> dict[date, dict[str, list[dict[str, Any]]]]:
    desk = make_desk()
    return {day: desk.activity(day) for day in WEEK}


@pytest.fixture(scope="module")
def rows(week: dict[date, dict[str, list[dict[str, Any]]]]) -> dict[str, list[dict[str, Any]]]:
    """All rows of the week by table."""
    return {table: [row for day in WEEK for row in week[day][table]] for table in TABLES}


FINGERPRINT = """
import hashlib, json
from datetime import UTC, date, datetime
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.world.agent import AgentDesk
from hotdash_pipelines.demo.world.shop import Shop
desk = AgentDesk(Shop(7, 0.01, VirtualClock(datetime(2026, 11, 20, 15, tzinfo=UTC))))
print(hashlib.sha256(json.dumps(desk.activity(date(2026, 11, 19))).encode()).hexdigest())
"""


def test_every_process_sees_the_same_day_whatever_it_was_asked_before() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(outputs) == 1
    asked, fresh = make_desk(scale=0.02), make_desk(scale=0.02)
    for day in WEEK:
        asked.activity(day)
    assert asked.activity(NEWEST) == fresh.activity(NEWEST)
    assert any(fresh.activity(NEWEST).values())


def test_another_seed_gives_another_day() -> None:
    ours, theirs = make_desk(scale=0.02).activity(NEWEST), make_desk(seed=8, scale=0.02).activity(NEWEST)
    assert ours["agent_queries"]
    assert theirs["agent_queries"]
    assert ours["agent_queries"] != theirs["agent_queries"]


def test_reading_the_agents_day_leaves_the_desk_of_the_api_as_it_is() -> None:
    world = create_app(7, 0.01, VirtualClock(NOW), make_credentials("http://127.0.0.1:1")).state.world
    before = [(c.id, c.last_activity_at) for c in world.support.contacts()]
    world.agent.activity(NEWEST)
    assert [(c.id, c.last_activity_at) for c in world.support.contacts()] == before


def test_a_tenth_of_the_full_scale_brings_a_hundred_to_three_hundred_queries_a_day(
    week: dict[date, dict[str, list[dict[str, Any]]]],
) -> None:
    counts = [len(week[day]["agent_queries"]) for day in WEEK]
    assert all(100 <= count <= 300 for count in counts), counts
    small = make_desk(scale=0.02).activity(NEWEST)
    assert len(small["agent_queries"]) < counts[-1] / 3


def test_every_row_belongs_to_a_conversation_of_the_desk(rows: dict[str, list[dict[str, Any]]]) -> None:
    desk = Support(Shop(7, 0.1, VirtualClock(NOW)))
    known = {str(c.display_id) for c in desk.conversations()} | {str(gone.number) for gone in desk.gone()}
    for table in ("agent_queries", "agent_approvals", "agent_feedback", "support_curated_replies"):
        assert {row["conversation_id"] for row in rows[table]} <= known, table
    metadata = [row["metadata"]["conversation"] for row in rows["observability_logs"]]
    assert set(metadata) <= known


def test_every_instant_lies_on_its_day_and_nothing_changes_before_it_exists(
    week: dict[date, dict[str, list[dict[str, Any]]]],
) -> None:
    zone = Shop(7, 0.1, VirtualClock(NOW)).zone
    for day in WEEK:
        closes = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=1)
        for table in TABLES:
            for row in week[day][table]:
                created = datetime.fromisoformat(row["created_at"])
                assert created.astimezone(zone).date() == day, (table, row)
                updated = datetime.fromisoformat(row.get("updated_at", row["created_at"]))
                assert created <= updated
                assert updated <= closes or row["status"] == "expired", (table, row)


def test_latencies_verdicts_and_decisions_are_those_of_a_plausible_desk(rows: dict[str, list[dict[str, Any]]]) -> None:
    queries = rows["agent_queries"]
    assert {row["agent"] for row in queries} == {"order-agent", "returns-agent", "product-agent"}
    latencies = sorted(row["latency_ms"] for row in queries)
    assert 25 < latencies[len(latencies) // 2] < 50
    assert 0.005 < sum(ms > 200 for ms in latencies) / len(latencies) < 0.05
    assert 0.8 < sum(row["approved"] is True for row in queries) / len(queries) < 0.97
    assert 0.06 < sum(row["human_edited"] for row in queries) / len(queries) < 0.16
    assert {row["approved"] for row in queries} == {True, False, None}

    drafts = rows["agent_feedback"]
    assert {row["safe_to_send"] for row in drafts} == {True, False, None}
    for row in drafts:
        is_reviewed = row["safe_to_send"] is not None
        assert is_reviewed == bool(row["annotator"]) == bool(row["labels"])
        assert set(row["rubric"]) == ({"clarity", "accuracy", "tone"} if is_reviewed else set())
        assert all(0 <= mark <= 5 for mark in row["rubric"].values())

    events = rows["decision_sync_event_logs"]
    assert {row["scope"] for row in events} == {playbook.scope for playbook in PLAYBOOKS.values()}
    assert {row["status"] for row in events} >= {"synced", "retrying"}
    for row in events:
        assert (row["error"] is None) == (row["status"] == "synced")
    attempts: dict[str, list[int]] = {}
    for row in events:
        attempts.setdefault(row["decision_id"], []).append(row["attempt"])
    assert all(made == list(range(1, len(made) + 1)) for made in attempts.values())
    assert {row["level"] for row in rows["observability_logs"]} >= {"INFO", "WARN"}
    assert rows["facts"]
    ids = [row["source_message_id"] for row in rows["support_curated_replies"]]
    assert len(ids) == len(set(ids)) > 0


def test_what_nobody_answers_is_pending_for_three_hours_and_then_expires(
    week: dict[date, dict[str, list[dict[str, Any]]]],
) -> None:
    approvals = [row for day in WEEK for row in week[day]["agent_approvals"]]
    assert not [row for row in approvals if row["status"] == "pending"]
    expired = [row for row in approvals if row["status"] == "expired"]
    assert expired
    assert all(row["approved_by"] is None for row in expired)
    hours = [datetime.fromisoformat(row["updated_at"]) - datetime.fromisoformat(row["created_at"]) for row in expired]
    assert set(hours) == {timedelta(hours=3)}

    # The first look at a day is when it is over: what was asked in its last hours still waits then.
    day = date(2026, 11, 17)
    midnight = datetime(2026, 11, 18, 5, tzinfo=UTC)
    early = make_desk(now=midnight).activity(day)
    waiting = [row for row in early["agent_approvals"] if row["status"] == "pending"]
    assert waiting
    assert all(midnight - datetime.fromisoformat(row["created_at"]) < timedelta(hours=3) for row in waiting)
    assert [row["status"] for row in week[day]["agent_approvals"]] == [
        "expired" if row["status"] == "pending" else row["status"] for row in early["agent_approvals"]
    ]
    assert early["agent_queries"] == week[day]["agent_queries"]


def test_a_day_that_can_still_grow_is_refused_and_one_before_the_desk_is_empty() -> None:
    desk = make_desk(scale=0.01)
    with pytest.raises(DayNotOver):
        desk.activity(date(2026, 11, 20))
    assert any(desk.activity(desk.opened_on).values())
    assert not any(desk.activity(desk.opened_on - timedelta(days=1)).values())


def test_every_topic_has_a_playbook() -> None:
    assert set(PLAYBOOKS) == {topic.name for topic in TOPICS}


def client(address: str = "127.0.0.1", host: str = "127.0.0.1") -> TestClient:
    app = create_app(7, 0.01, VirtualClock(NOW), make_credentials("http://127.0.0.1:1"))
    return TestClient(app, base_url=f"http://{host}", client=(address, 5000))


def test_the_route_answers_a_day_and_refuses_what_is_none() -> None:
    http = client()
    answer = http.get("/_agent/activity?day=2026-11-19")
    assert answer.status_code == 200
    assert (answer.json()["day"], answer.json()["time_zone"]) == ("2026-11-19", "America/New_York")
    assert set(answer.json()["rows"]) == set(TABLES)
    assert answer.json()["rows"] == make_desk(scale=0.01).activity(NEWEST)
    assert http.get("/_agent/activity?day=2026-11-20").status_code == 409
    assert http.get("/_agent/activity?day=yesterday").status_code == 422
    assert http.get("/_agent/activity").status_code == 422
    assert "/_agent/activity" in http.get("/").text


def test_the_route_answers_on_loopback_only() -> None:
    path = "/_agent/activity?day=2026-11-19"
    assert client(address="192.0.2.7").get(path).status_code == 403
    assert client(host="store.example").get(path).status_code == 403
