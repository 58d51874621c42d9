"""`hotdash monitor`: events as lines and as a picture, and stored figures that live while somebody watches."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from hotdash_pipelines.agent.listen import AgentEvent, ListenState
from hotdash_pipelines.agent.live import FigureReader, LiveFigures, Refresher
from hotdash_pipelines.cli.monitor.view import Picture, draw, event_text

PROGRAM = [sys.executable, "-m", "hotdash_pipelines.cli", "monitor", "start"]
DECISION = "insert into agent.decision_sync_event_logs (decision_id, scope, status) values ('d', %s, 'ok') returning id"


def _environment(url: str, home: Path) -> dict[str, str]:
    return {**os.environ, "HOTDASH_DATABASE_URL": url, "HOTDASH_HOME": str(home), "COLUMNS": "110", "LINES": "40"}


def _start(url: str, home: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        env=_environment(url, home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_json_prints_one_object_an_event_and_nothing_else(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    process = _start(warehouse_url, tmp_path, "--json", "--seconds", "20")
    assert _first_line(process) == "listening\n"
    written = [warehouse.execute(DECISION, ("ops",)).fetchone() for _ in range(3)]
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in written]
    process.send_signal(signal.SIGINT)
    rest, notes = process.communicate(timeout=20)
    assert (process.returncode, rest, notes) == (0, "", "3 events shown\n")
    assert [(line["id"],) for line in lines] == written
    assert set(lines[0]) == {"channel", "op", "id", "at", "seq", "lag_ms", "row"}
    assert lines[0]["row"] == {"scope": "ops", "status": "ok", "attempt": 1, "duration_ms": None}


def test_it_ends_by_itself_and_says_when_there_is_nothing_to_follow(
    warehouse_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    short = _start(warehouse_url, tmp_path, "--json", "--seconds", "0.2")
    refused = _start(empty_database_url, tmp_path, "--json", "--seconds", "5")
    assert short.communicate(timeout=20) == ("", "listening\n0 events shown\n")
    assert short.returncode == 0
    out, err = refused.communicate(timeout=20)
    assert (refused.returncode, out) == (1, "")
    assert "hotdash schema migrate" in err
    assert err.count("\n") == 1


def test_the_view_follows_events_on_a_terminal_and_leaves_it_as_it_was(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        PROGRAM, env=_environment(warehouse_url, tmp_path), stdin=slave, stdout=slave, stderr=subprocess.PIPE
    )
    os.close(slave)
    seen = bytearray()
    reading = threading.Thread(target=_drain, args=(master, seen), daemon=True)
    reading.start()
    _wait_for(lambda: b"connected" in seen)
    warehouse.execute(
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)"
        " values ('mia@example.com', '{}', 'c', '[red]order_agent', 1412)"
    )
    _wait_for(lambda: b"[red]order_agent took" in seen and b"1,412 ms" in seen)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    reading.join(10)
    assert b"\x1b[?1049h" in seen
    assert seen.rfind(b"\x1b[?1049l") > seen.rfind(b"\x1b[?1049h")
    assert b"mia@example.com" not in seen
    os.close(master)


def _drain(handle: int, into: bytearray) -> None:
    try:
        while chunk := os.read(handle, 65536):
            into.extend(chunk)
    except OSError:
        return


def _stored(conn: "psycopg.Connection[Any]") -> Any:
    return conn.execute("select max(refreshed_at) from monitoring_private.mv_realtime_approval_queue").fetchone()


def test_of_two_monitors_one_refreshes_and_the_other_takes_over(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    warehouse.execute("insert into agent.agent_approvals (conversation_id, serialized) values ('c', '{}')")
    assert _stored(warehouse) == (None,)
    first, second = (Refresher(warehouse_url, every_seconds=0.1) for _ in range(2))
    first.start()
    _wait_for(lambda: first.refreshes >= 1)
    second.start()
    _wait_for(lambda: first.refreshes >= 4)
    assert second.refreshes == 0
    assert second.note == "refreshed by another monitor"
    assert first.note == "refreshed 0 s ago"
    first.stop()
    _wait_for(lambda: second.refreshes >= 1)
    second.stop()
    after = _stored(warehouse)
    assert after[0] is not None
    # When nobody watches, nothing refreshes.
    time.sleep(0.3)
    assert _stored(warehouse) == after


def test_a_refresher_outlives_its_connection_and_says_what_it_cannot_do(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    refresher = Refresher(warehouse_url, every_seconds=0.05)
    refresher.start()
    _wait_for(lambda: refresher.refreshes >= 1)
    before = refresher.refreshes
    warehouse.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and query like '%%refresh_realtime%%' and pid <> pg_backend_pid()"
    )
    _wait_for(lambda: refresher.refreshes > before + 1)
    warehouse.execute("drop function monitoring_private.refresh_realtime_metrics()")
    _wait_for(lambda: refresher.note == "not in this database yet")
    done = refresher.refreshes
    assert done > before + 1
    time.sleep(0.2)
    assert refresher.refreshes == done, "what cannot be refreshed is not counted"
    refresher.stop()


def test_the_figures_are_those_of_the_tables(warehouse: "psycopg.Connection[Any]", warehouse_url: str) -> None:
    warehouse.execute(
        "insert into agent.agent_approvals (conversation_id, serialized, created_at, updated_at)"
        " select 'c', '{}', now() - age, now() - age from unnest(array['10 s', '6 min', '3 h']::interval[]) as age"
    )
    warehouse.execute(
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms, approved)"
        " values ('q', '{}', 'c', 'quick', 20, true), ('q', '{}', 'c', 'slow', 300, true),"
        " ('q', '{}', 'c', 'slow', 500, false)"
    )
    warehouse.execute(
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, safe_to_send)"
        " values ('c', 'i', 'm', true), ('c', 'i', 'm', false), ('c', 'i', 'm', null), ('c', 'i', 'm', true)"
    )
    warehouse.execute(DECISION, ("ops",))
    reader = FigureReader(warehouse_url, None)
    figures = reader.read()
    reader.close()
    assert figures is not None
    assert figures.missing == {}
    (queue,), (feedback,) = figures.parts["queue"], figures.parts["feedback"]
    assert (queue["pending"], queue["breaches"]) == (3, 2)
    assert 10_800 <= queue["oldest_seconds"] < 10_900
    named = ("agent", "queries_last_hour", "avg_latency_ms", "health")
    assert [tuple(row[name] for name in named) for row in figures.parts["agents"]] == [
        ("slow", 2, 400.0, "degraded"), ("quick", 1, 20.0, "healthy")
    ]  # fmt: skip
    assert dict(feedback) == {"drafts": 4, "unreviewed": 1, "safe": 2, "unsafe": 1}
    assert [dict(row) for row in figures.parts["decisions"]] == [{"status": "ok", "events": 1, "avg_duration_ms": None}]


def test_a_role_sees_the_figures_that_it_may_see(warehouse: "psycopg.Connection[Any]", warehouse_url: str) -> None:
    reader = FigureReader(warehouse_url, "annotator")
    figures = reader.read()
    reader.close()
    assert figures is not None
    assert "feedback" in figures.parts
    assert figures.missing["decisions"] == "not for annotator"


@pytest.mark.parametrize("height", [10, 24, 60])
def test_the_picture_fits_the_terminal(height: int) -> None:
    agents = [
        {
            "agent": f"agent_{number}",
            "queries_last_hour": 12345,
            "avg_latency_ms": 51.5,
            "p95_latency_ms": 400,
            "approval_rate_pct": None if number else 93.0,
            "health": "warning",
        }
        for number in range(40)
    ]
    events = tuple(
        AgentEvent("decision_sync_stream", "INSERT", number, "2026-03-29T01:30:00.000000Z", None, None,
              {"scope": "[bold]", "status": "ok", "attempt": 1, "duration_ms": 7})
        for number in range(90)
    )  # fmt: skip
    figures = LiveFigures({"agents": agents}, {"queue": "not for qa_team", "feedback": "", "decisions": ""})
    state = ListenState(connected=True, connects=2, unreadable=("decision_sync_stream",))
    console = Console(file=io.StringIO(), width=100, height=height, force_terminal=False)
    console.print(draw(Picture("h:1/d", "qa_team", state, "refreshed 3 s ago", figures, events), height))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert len(text.splitlines()) <= max(height, 22)
    assert "#89" in text
    assert "[bold]: ok, attempt 1 in 7 ms  (caught up)" in event_text(events[0]).plain
