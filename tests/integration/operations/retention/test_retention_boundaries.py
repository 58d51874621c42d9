"""Which rows are too old: the server's answer against one computed here, row by row, at the edges of every window."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.retention.rules import cut_offs, plan, rules, too_old
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.operations.retention.retention_rows import put, retain, rule_of, texts

# Clocks go forward in New York and in Berlin, back in New York; 29 February; ends of months and of a year; midnight
# itself; a clock that stands in another zone, and one that was set back.
NOWS = [
    datetime.fromisoformat(text)
    for text in (
        "2024-03-10T07:30+00:00",
        "2024-03-31T01:00+00:00",
        "2024-11-03T06:30+00:00",
        "2024-02-29T12:00+00:00",
        "2024-03-30T23:59:59.999999+00:00",
        "2025-03-01T00:00+00:00",
        "2024-12-31T23:00-05:00",
        "2024-08-31T04:00+05:30",
        "2024-05-30T12:00+00:00",
    )
]
NUDGES = [timedelta(microseconds=us) for us in (-1, 0, 1)] + [timedelta(hours=h) for h in (-25, -1, 1, 23)]
Row = dict[str, Any]


def _edges(days: int) -> Iterator[datetime]:
    for now, nudge in product(NOWS, NUDGES):
        day = now.astimezone(UTC)
        yield datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=days) + nudge


def _fill(conn: "psycopg.Connection[Any]") -> dict[str, dict[int, Row]]:
    filled: dict[str, dict[int, Row]] = {"agent_feedback": {}, "agent_approvals": {}, "agent_queries": {}}

    def add(table: str, created_at: datetime, **columns: Any) -> None:
        filled[table][put(conn, table, created_at, **columns)] = {"created_at": created_at, **columns}

    with conn.transaction():
        for created_at in {*_edges(30), *_edges(180)}:
            for verdict in (None, True, False):
                add("agent_feedback", created_at, safe_to_send=verdict)
        for created_at in {*_edges(60), *_edges(180)}:
            for latency in (None, 199, 200, 201):
                add("agent_queries", created_at, latency_ms=latency)
        for decided_at in set(_edges(90)):
            for waited in (timedelta(0), timedelta(days=100)):
                for status in ("approved", "expired", "pending"):
                    add("agent_approvals", decided_at - waited, status=status, updated_at=decided_at)
    return filled


def _is_too_old(table: str, row: Row, now: datetime) -> bool:
    """What the table of windows says, in plain words."""
    days: int | None
    since = row["created_at"]
    if table == "agent_feedback":
        days = 180 if row["safe_to_send"] is False else 30
    elif table == "agent_queries":
        days = 180 if (row["latency_ms"] or 0) > 200 else 60
    else:
        days = None if row["status"] == "pending" else 90
        since = max(row["created_at"], row["updated_at"])
    if days is None:
        return False
    today = now.astimezone(UTC).date()
    last_day_kept = today - timedelta(days=days)
    return since.astimezone(UTC).date() < last_day_kept


def test_the_same_rows_are_too_old_whatever_the_servers_zone(any_warehouse_url: str, tmp_path: Path) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        filled = _fill(conn)
        expected = {
            (table, now): {number for number, row in rows.items() if _is_too_old(table, row, now)}
            for table, rows in filled.items()
            for now in NOWS
        }
        for zone in ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"):
            conn.execute(f"set timezone to '{zone}'")
            for (table, now), wanted in expected.items():
                rule = rule_of(table)
                condition = too_old(rule, cut_offs(rule, now))
                old = {row[0] for row in conn.execute(f"select id from agent.{table} where {condition}").fetchall()}
                assert old == wanted, (zone, table, now)
                assert 0 < len(wanted) < len(filled[table])
        for now in NOWS:
            counted = {planned.rule.table: planned.rows for planned in plan(conn, rules(), now).tables}
            wanted_counts = {table: len(expected[table, now]) for table in filled}
            assert counted == {**wanted_counts, "agent_queries_history": wanted_counts["agent_queries"]}

        # The last clock is set back behind others: nothing but what is too old by it goes, and then nothing more.
        for now in (NOWS[-1], NOWS[0]):
            for table, rows in filled.items():
                gone = {number for number, row in rows.items() if _is_too_old(table, row, NOWS[-1])}
                outcome = retain(any_warehouse_url, tmp_path, table, now)
                assert set(texts(conn, table)) == set(rows) - gone
                assert outcome.rows[table] == (len(gone) if now == NOWS[-1] else 0)
        assert set(conn.execute("select id from agent.agent_queries_history").fetchall()) == {
            (number,) for number in texts(conn, "agent_queries")
        }


def test_a_draft_that_nobody_judged_goes_like_a_safe_one(warehouse_url: str, tmp_path: Path) -> None:
    now = datetime(2024, 7, 1, 3, tzinfo=UTC)
    with connect(warehouse_url, autocommit=True) as conn:
        ids = {
            (verdict, age): put(conn, "agent_feedback", now - timedelta(days=age), safe_to_send=verdict)
            for verdict, age in product((None, True, False), (29, 32, 179, 182))
        }
        retain(warehouse_url, tmp_path, "agent_feedback", now)
        kept = {wanted for wanted, number in ids.items() if number in texts(conn, "agent_feedback")}
    assert kept == {(None, 29), (True, 29), (False, 29), (False, 32), (False, 179)}


def test_an_approval_decided_late_lives_on_from_its_decision(warehouse_url: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with connect(warehouse_url, autocommit=True) as conn:
        number = put(conn, "agent_approvals", now - timedelta(days=400), status="pending", approved_by=None)
        retain(warehouse_url, tmp_path, "agent_approvals", now)
        assert number in texts(conn, "agent_approvals")
        conn.execute(
            "update agent.agent_approvals set status = 'approved', approved_by = 'op' where id = %s", (number,)
        )
        retain(warehouse_url, tmp_path, "agent_approvals", now)
        assert number in texts(conn, "agent_approvals")


@pytest.mark.parametrize("ahead, is_refused", [(timedelta(hours=23), False), (timedelta(hours=25), True)])
def test_a_clock_far_ahead_of_the_server_deletes_nothing(
    warehouse_url: str, tmp_path: Path, ahead: timedelta, is_refused: bool
) -> None:
    from hotdash_pipelines.operations.retention.rules import RetentionRefused

    now = datetime.now(UTC)
    with connect(warehouse_url, autocommit=True) as conn:
        put(conn, "agent_feedback", now - timedelta(days=40))
        if is_refused:
            with pytest.raises(RetentionRefused, match="more than a day ahead"):
                retain(warehouse_url, tmp_path, "agent_feedback", now + ahead)
        else:
            retain(warehouse_url, tmp_path, "agent_feedback", now + ahead)
        assert len(texts(conn, "agent_feedback")) == is_refused
