"""SLA events as lines of agent.observability_logs, beside what the support agent logs.

Belongs here: the lines. Does not belong here: the timeline of an incident (incidents.py).

Signed-in users read these lines, so they hold names and figures only, never the text of an error.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.engine.state import Event
from hotdash_pipelines.sla.records.encode import to_json

if TYPE_CHECKING:
    import psycopg

_ROLE = "service_role"
_SEVERE = ("high", "critical")


def log_events(conn: "psycopg.Connection[Any]", events: Sequence[Event], now: datetime) -> tuple[str, ...]:
    """Write a line for each event within the caller's transaction, as its last statement.

    Where the role or the table is missing the evaluation counts more than its log: returned is what was not written.
    """
    import psycopg
    from psycopg import sql

    if not events:
        return ()
    try:
        with conn.transaction():
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(_ROLE)))
            conn.execute(
                """
                insert into agent.observability_logs (level, message, metadata, created_at)
                select line ->> 'level', line ->> 'message', line -> 'metadata', %s
                from jsonb_array_elements(%s::jsonb) as line
                """,
                (now, to_json([_line(event) for event in events])),
            )
            conn.execute("set local role none")
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedObject,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        reason = error.diag.message_primary
        return (f"{len(events)} log lines were not written ({reason}): grant {_ROLE} to {conn.info.user}",)
    return ()


def _line(event: Event) -> dict[str, Any]:
    violation = event.violation
    is_bad = event.kind not in ("resolved", "acknowledged")
    level = ("ERROR" if event.severity in _SEVERE else "WARN") if is_bad else "INFO"
    metadata = {
        "sla": event.sla,
        "partition": event.partition or None,
        "event": event.kind,
        "severity": event.severity,
        "incident": event.incident,
        "reason": event.reason,
        "duration_s": event.duration.total_seconds() if event.duration else None,
        "expected": violation.expected if violation else None,
        "actual": violation.actual if violation else None,
        "silent": event.silent,
    }
    known = {name: value for name, value in metadata.items() if value is not None}
    return {"level": level, "message": f"SLA {event.sla} {event.kind}", "metadata": known}
