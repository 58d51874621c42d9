"""The rows of ops.sla_violations and ops.sla_state, as the engine's states and events leave them.

Belongs here: writing and reading them. Does not belong here: the transaction around it (store.py), what happens when
(the engine).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.state import Event, State, Violation
from hotdash_pipelines.sla.engine.verdict import Verdict
from hotdash_pipelines.sla.records.encode import from_json, number, to_json

if TYPE_CHECKING:
    import psycopg

_COLUMNS = """
violation_id bigint, incident_id bigint, actual_value numeric, peak_value numeric, impact_severity text,
last_seen_at timestamptz, escalation_level integer, reopened integer, acked_by text, acked_at timestamptz,
suppressed_by text
"""
_FOLLOW = f"""
update ops.sla_violations as old
set
    incident_id = new.incident_id, actual_value = new.actual_value, peak_value = new.peak_value,
    impact_severity = new.impact_severity, last_seen_at = new.last_seen_at, escalation_level = new.escalation_level,
    reopened = new.reopened, acked_by = new.acked_by, acked_at = new.acked_at, suppressed_by = new.suppressed_by
from jsonb_to_recordset(%s::jsonb) as new ({_COLUMNS})
where old.violation_id = new.violation_id
"""  # noqa: S608 - no value comes from outside
_OPEN = """
insert into ops.sla_violations (
    sla_id, sla_name, partition_key, incident_id, kind, expected_value, actual_value, peak_value, impact_severity,
    breach_started_at, detected_at, last_seen_at
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
returning violation_id
"""
_RESOLVE = """
update ops.sla_violations
set
    resolved_at = %(at)s, recovered_at = %(recovered_at)s, violation_duration = %(duration)s,
    resolve_reason = %(reason)s,
    actual_value = %(actual)s, peak_value = %(peak)s, impact_severity = %(severity)s, last_seen_at = %(last_seen_at)s,
    escalation_level = %(level)s, suppressed_by = %(suppressed_by)s
where violation_id = %(violation_id)s
"""
_KEEP = """
insert into ops.sla_state (sla_name, partition_key, state, evaluated_at)
select sla_name, partition_key, state, %s
from jsonb_to_recordset(%s::jsonb) as new (sla_name text, partition_key text, state jsonb)
on conflict (sla_name, partition_key) do update set state = excluded.state
"""
_STAND = """
update ops.sla_state as old
set
    standing = new.standing, actual_value = new.actual_value, expected_value = new.expected_value,
    message = new.message, evaluated_at = %s
from jsonb_to_recordset(%s::jsonb) as new (
    sla_name text, partition_key text, standing text, actual_value numeric, expected_value numeric, message text
)
where old.sla_name = new.sla_name and old.partition_key = new.partition_key
"""


def read_states(conn: "psycopg.Connection[Any]") -> dict[Key, State]:
    """All states as they were kept."""
    rows = conn.execute("select state::text from ops.sla_state order by sla_name, partition_key").fetchall()
    states = (State.from_dict(from_json(content)) for (content,) in rows)
    return {state.key: state for state in states}


def open_violations(conn: "psycopg.Connection[Any]") -> dict[Key, tuple[int, int]]:
    """Open violation and its incident by SLA and partition."""
    rows = conn.execute(
        "select sla_name, partition_key, violation_id, incident_id from ops.sla_violations where resolved_at is null"
    ).fetchall()
    return {(name, partition): (violation, incident) for name, partition, violation, incident in rows}


def open_row(conn: "psycopg.Connection[Any]", sla_id: int, incident_id: int, event: Event, violation: Violation) -> int:
    """A new violation; its number."""
    rows = conn.execute(
        _OPEN,
        (
            sla_id, event.sla, event.partition, incident_id, violation.kind, violation.expected, violation.actual,
            violation.peak, violation.severity, violation.breach_since, violation.opened_at, violation.last_seen_at,
        ),
    ).fetchall()  # fmt: skip
    ((violation_id,),) = rows
    return violation_id


def resolve_row(conn: "psycopg.Connection[Any]", violation_id: int, event: Event, violation: Violation) -> None:
    """The end of a violation, with the last that is known of it."""
    conn.execute(
        _RESOLVE,
        {
            "violation_id": violation_id,
            "at": event.at,
            "recovered_at": event.recovered_at,
            "duration": event.duration,
            "reason": event.reason,
            "actual": violation.actual,
            "peak": violation.peak,
            "severity": violation.severity,
            "last_seen_at": violation.last_seen_at,
            "level": violation.level,
            "suppressed_by": spelled(event.suppressed_by),
        },
    )


def follow_rows(conn: "psycopg.Connection[Any]", changed: Iterable[tuple[int, int, State, Violation]]) -> None:
    """Bring open violations up to their states, given as (violation, incident, state, its violation)."""
    rows = [
        {
            "violation_id": violation_id,
            "incident_id": incident_id,
            "actual_value": number(violation.actual),
            "peak_value": number(violation.peak),
            "impact_severity": violation.severity,
            "last_seen_at": violation.last_seen_at,
            "escalation_level": violation.level,
            "reopened": violation.reopened,
            "acked_by": violation.acked_by,
            "acked_at": violation.acked_at,
            "suppressed_by": spelled(state.suppressed_by) if violation.loud_since is None else None,
        }
        for violation_id, incident_id, state, violation in changed
    ]
    if rows:
        conn.execute(_FOLLOW, (to_json(rows),))


def keep_states(
    conn: "psycopg.Connection[Any]", before: Mapping[Key, State], after: Mapping[Key, State], now: datetime
) -> None:
    """Write the states that changed, remove those that are over."""
    gone = [list(key) for key in before if key not in after]
    if gone:
        conn.execute(
            "delete from ops.sla_state as old using jsonb_array_elements(%s::jsonb) as over"
            " where old.sla_name = over ->> 0 and old.partition_key = over ->> 1",
            (to_json(gone),),
        )
    rows = [
        {"sla_name": key[0], "partition_key": key[1], "state": state.as_dict()}
        for key, state in after.items()
        if before.get(key) != state
    ]
    if rows:
        conn.execute(_KEEP, (now, to_json(rows)))


def keep_verdicts(conn: "psycopg.Connection[Any]", verdicts: Mapping[Key, Verdict], now: datetime) -> None:
    """Write how each SLA stands beside its state."""
    rows = [
        {
            "sla_name": name,
            "partition_key": partition,
            "standing": verdict.state,
            "actual_value": number(verdict.actual),
            "expected_value": number(verdict.expected),
            "message": verdict.message,
        }
        for (name, partition), verdict in verdicts.items()
    ]
    conn.execute(_STAND, (now, to_json(rows)))


def note_failure(conn: "psycopg.Connection[Any]", key: Key, reason: str) -> None:
    """Say on an SLA, until its next verdict, what of its message failed."""
    conn.execute(
        "update ops.sla_state set message = concat_ws('; ', message, %s::text)"
        " where sla_name = %s and partition_key = %s",
        (reason, *key),
    )


def spelled(key: Key | None) -> str | None:
    """An SLA and its partition in one word."""
    return " ".join(key).strip() if key else None
