"""Loops that must keep running, and when each last did: nobody else watches them.

Belongs here: the rows of ops.heartbeats. Does not belong here: judging how old is too old (cli, the heartbeat's SLA).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.records.encode import to_json

if TYPE_CHECKING:
    import psycopg

EVALUATION = "sla_evaluation"
DELIVERY = "alert_delivery"
# How often SLAs are evaluated.
EVALUATION_SECONDS = 45
_FAILURES_KEPT = 50


def beat(conn: "psycopg.Connection[Any]", name: str, now: datetime, details: Mapping[str, Any] | None = None) -> None:
    """Note that a loop ran at `now` (aware), within the caller's transaction if there is one.

    A clock that was set back is believed: a heartbeat in the future would look young for ever. What last failed stays
    until something fails again.
    """
    conn.execute(
        """
        insert into ops.heartbeats (name, beat_at, details) values (%s, %s, %s::jsonb)
        on conflict (name) do update
        set
            beat_at = excluded.beat_at, beats = heartbeats.beats + 1,
            details = jsonb_strip_nulls(jsonb_build_object('last_failed', heartbeats.details -> 'last_failed'))
                || excluded.details
        """,
        (name, now, to_json(details or {})),
    )


def failures(conn: "psycopg.Connection[Any]") -> tuple[str, ...]:
    """What failed in the last evaluation without keeping the rest from it, one line each: see `failure_details`."""
    row = conn.execute("select details -> 'failed' from ops.heartbeats where name = %s", (EVALUATION,)).fetchone()
    return tuple(row[0]) if row and row[0] else ()


def failure_details(failed: Sequence[str], now: datetime) -> dict[str, Any]:
    """Details of a heartbeat that say what failed in this turn (`failed`), and when last anything did
    (`last_failed`): a turn a minute later must not hide it."""
    if not failed:
        return {}
    shown = list(failed[:_FAILURES_KEPT])
    if len(failed) > _FAILURES_KEPT:
        shown.append(f"and {len(failed) - _FAILURES_KEPT} more")
    return {"failed": shown, "last_failed": {"at": now, "what": shown}}


def heartbeats(conn: "psycopg.Connection[Any]") -> dict[str, datetime]:
    """When each loop last ran; a loop that never did is missing."""
    return dict(conn.execute("select name, beat_at from ops.heartbeats order by name").fetchall())


def age(conn: "psycopg.Connection[Any]", name: str, now: datetime) -> timedelta | None:
    """How long ago a loop last ran, None when it never did. Negative when that lies in the future."""
    row = conn.execute("select beat_at from ops.heartbeats where name = %s", (name,)).fetchone()
    return now - row[0] if row else None
