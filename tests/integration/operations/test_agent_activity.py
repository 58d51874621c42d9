"""The demo's agent activity in the tables: written once a day, whoever tries, whatever is killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.agent.activity import Activity, read_from, write_days
from hotdash_pipelines.agent.rows import TABLES, AgentDataError
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAYS = ["2026-11-17", "2026-11-18", "2026-11-19"]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.02, now=NOW) as running:
        yield running


def counts(conn: "psycopg.Connection[Any]") -> dict[str, int]:
    return {
        table: (conn.execute(f"select count(*) from agent.{table}").fetchone() or (0,))[0]
        for table in (*TABLES, "agent_queries_history")
    }


def write(url: str, stand_in: RunningStandIn, days: list[str] = DAYS, now: datetime = NOW) -> Any:
    return write_days(url, read_from(stand_in.url), days, "toy", now)


def test_days_arrive_as_simulated_and_are_written_once(any_warehouse_url: str, stand_in: RunningStandIn) -> None:
    done = write(any_warehouse_url, stand_in)
    assert done.days == DAYS
    with psycopg.connect(any_warehouse_url, autocommit=True) as conn:
        written = counts(conn)
        assert {table: written[table] for table in TABLES} == done.rows
        assert all(count > 0 for count in written.values()), written
        assert written["agent_queries_history"] == written["agent_queries"]
        for day in DAYS:
            rows = stand_in.world.agent.activity(datetime.fromisoformat(day).date())
            ours = conn.execute(
                "select query, agent, approved, human_edited, latency_ms, conversation_id, updated_at "
                "from agent.agent_queries where (created_at at time zone 'America/New_York')::date = %s "
                "order by created_at, query",
                (day,),
            ).fetchall()
            theirs = sorted(rows["agent_queries"], key=lambda row: (row["created_at"], row["query"]))
            names = ("query", "agent", "approved", "human_edited", "latency_ms", "conversation_id")
            assert ours == [
                (*(row[name] for name in names), datetime.fromisoformat(row["updated_at"])) for row in theirs
            ]
        assert conn.execute(
            "select count(*) from agent.agent_queries_history h join agent.agent_queries q using (id) "
            "where h.valid_from <> q.created_at or h.valid_to is not null"
        ).fetchone() == (0,)
        assert conn.execute("select distinct project from agent.facts").fetchall() == [("toy",)]

        again = write(any_warehouse_url, stand_in)
        assert (again.days, again.before, again.total) == ([], DAYS, 0)
        assert again.describe() == "nothing new: 3 days written before"
        assert counts(conn) == written


def test_what_nobody_answered_expires_when_a_later_day_is_written(warehouse_url: str, stand_in: RunningStandIn) -> None:
    pending = "select count(*) from agent.agent_approvals where status = 'pending'"
    # A day that is written the moment it is over still has what was asked in its last hours.
    midnight = datetime(2026, 11, 18, 5, 0, tzinfo=UTC)
    with start_stand_in(scale=0.1, now=midnight) as bigger, psycopg.connect(warehouse_url, autocommit=True) as conn:
        conn.execute(
            "insert into agent.agent_approvals (conversation_id, serialized, created_at) values ('77', '[]', %s)",
            (midnight - timedelta(days=3),),
        )
        write(warehouse_url, bigger, ["2026-11-17"], midnight)
        (left,) = conn.execute(pending).fetchone() or (0,)
        assert left > 1
        bigger.clock.advance(timedelta(days=1))
        write(warehouse_url, bigger, ["2026-11-18"], midnight + timedelta(days=1))
        older = f"{pending} and created_at < '2026-11-18 05:00+00'"
        assert conn.execute(older).fetchone() == (1,), "only the real one waits on"


@pytest.mark.parametrize("point, survivors", [("agent.table_written:3", 0), ("agent.before_commit:2", 1)])
def test_a_writer_killed_within_a_day_leaves_whole_days_and_a_rerun_completes_them(
    warehouse_url: str, warehouse: "psycopg.Connection[Any]", stand_in: RunningStandIn, point: str, survivors: int
) -> None:
    program = [sys.executable, "-m", "tests.integration.operations.write_once", warehouse_url, stand_in.url, *DAYS]
    killed = subprocess.run(program, cwd=ROOT, env={**os.environ, "HOTDASH_KILL_AT": point}, check=False)
    assert killed.returncode == -signal.SIGKILL
    lines = "select count(*) from agent.observability_logs where request_id like 'demo-day-%'"
    assert warehouse.execute(lines).fetchone() == (survivors,)
    rerun = write(warehouse_url, stand_in)
    assert (len(rerun.days), len(rerun.before)) == (3 - survivors, survivors)

    expected = {day: stand_in.world.agent.activity(datetime.fromisoformat(day).date()) for day in DAYS}
    written = counts(warehouse)
    for table in TABLES:
        marks = len(DAYS) if table == "observability_logs" else 0
        assert written[table] == sum(len(rows[table]) for rows in expected.values()) + marks, table


def test_two_writers_at_once_write_every_day_once(
    warehouse_url: str, warehouse: "psycopg.Connection[Any]", stand_in: RunningStandIn
) -> None:
    both_have_read = threading.Barrier(2)
    read = read_from(stand_in.url)

    def together(day: str) -> Activity | None:
        activity = read(day)
        # Both have seen by now that the day is missing.
        both_have_read.wait(30)
        return activity

    outcomes: list[Any] = []
    writers = [
        threading.Thread(target=lambda: outcomes.append(write_days(warehouse_url, together, DAYS, "toy", NOW)))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(outcomes) == 2
    assert sorted(day for done in outcomes for day in done.days) == DAYS
    assert sorted(day for done in outcomes for day in done.before) == DAYS
    assert {table: counts(warehouse)[table] for table in TABLES} == {
        table: sum(done.rows[table] for done in outcomes) for table in TABLES
    }


def test_a_day_that_is_not_over_and_one_without_activity_leave_no_trace(
    warehouse_url: str, warehouse: "psycopg.Connection[Any]", stand_in: RunningStandIn
) -> None:
    done = write(warehouse_url, stand_in, ["2026-01-01", "2026-11-20"])
    assert (done.days, done.empty, done.not_over) == ([], ["2026-01-01"], ["2026-11-20"])
    assert done.describe() == "nothing new: 1 days without activity, 1 days not over yet"
    assert set(counts(warehouse).values()) == {0}


def test_a_store_that_does_not_answer_is_told_in_one_line(warehouse_url: str, empty_database_url: str) -> None:
    with pytest.raises(AgentDataError, match="hotdash demo serve"):
        write_days(warehouse_url, read_from("http://127.0.0.1:9"), DAYS, "toy", NOW)
    with pytest.raises(AgentDataError, match="hotdash db migrate"):
        write_days(empty_database_url, read_from("http://127.0.0.1:9"), DAYS, "toy", NOW)
