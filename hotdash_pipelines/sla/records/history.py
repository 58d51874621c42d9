"""What the tables of SLAs say to people: how things stand, what was broken, what an incident was.

Belongs here: reading. Does not belong here: writing (store.py), layout (cli), the file of a postmortem.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Severity
from hotdash_pipelines.sla.engine.state import Reason, ViolationKind
from hotdash_pipelines.sla.records.transaction import told

if TYPE_CHECKING:
    import psycopg

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one SLA and partition stood at the last tick. `standing` None: not judged yet. Values are in `unit`."""

    sla: str
    partition: str
    dataset: str | None
    owner: str | None
    type: str | None
    unit: str | None
    standing: str | None
    actual: Decimal | None
    expected: Decimal | None
    message: str | None
    evaluated_at: datetime
    violation_id: int | None
    incident_id: int | None
    severity: Severity | None
    breach_started_at: datetime | None
    escalation_level: int | None
    acked_by: str | None
    suppressed_by: str | None


@dataclass(frozen=True, slots=True)
class ViolationRow:
    """One violation. `duration` is None while it is open; `peak` is the worst value seen."""

    violation_id: int
    sla: str
    partition: str
    version: int
    dataset: str
    unit: str
    incident_id: int
    kind: ViolationKind
    expected: Decimal
    actual: Decimal | None
    peak: Decimal | None
    severity: Severity
    breach_started_at: datetime
    detected_at: datetime
    last_seen_at: datetime
    recovered_at: datetime | None
    resolved_at: datetime | None
    duration: timedelta | None
    reason: Reason | None
    escalation_level: int
    reopened: int
    acked_by: str | None
    acked_at: datetime | None
    suppressed_by: str | None


@dataclass(frozen=True, slots=True)
class SlaVersion:
    """One version of a promise; in force while `retired_at` is None."""

    sla_id: int
    sla: str
    version: int
    dataset: str
    type: str
    target: Decimal
    unit: str
    alert_threshold: Decimal | None
    owner: str
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident; open while `resolved_at` is None."""

    incident_id: int
    key: str
    title: str
    dataset: str
    sla: str
    owner: str
    runbook: str | None
    severity: Severity
    opened_at: datetime
    resolved_at: datetime | None
    assets: tuple[str, ...]
    tiles: tuple[str, ...]
    postmortem: str | None
    violations: int
    open_violations: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of an incident's timeline. `silent`: nobody was told, the root's message spoke for it."""

    at: datetime
    kind: str
    sla: str | None
    partition: str | None
    severity: Severity
    message: str
    by: str | None
    silent: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident with its violations and timeline, oldest first."""

    row: IncidentRow
    violations: tuple[ViolationRow, ...]
    timeline: tuple[TimelineEntry, ...]


_STANDINGS = """
select
    state.sla_name, state.partition_key, sla.dataset_name, sla.owner, sla.sla_type, sla.sla_unit, state.standing,
    state.actual_value, state.expected_value, state.message, state.evaluated_at, open.violation_id, open.incident_id,
    open.impact_severity, open.breach_started_at, open.escalation_level, open.acked_by, open.suppressed_by
from ops.sla_state as state
left join ops.data_slas as sla on sla.name = state.sla_name and sla.retired_at is null
left join ops.sla_violations as open
    on open.sla_name = state.sla_name and open.partition_key = state.partition_key and open.resolved_at is null
order by state.sla_name, state.partition_key
"""
_VIOLATIONS = """
select
    v.violation_id, v.sla_name, v.partition_key, sla.version, sla.dataset_name, sla.sla_unit, v.incident_id, v.kind,
    v.expected_value, v.actual_value, v.peak_value, v.impact_severity, v.breach_started_at, v.detected_at,
    v.last_seen_at, v.recovered_at, v.resolved_at, v.violation_duration, v.resolve_reason, v.escalation_level,
    v.reopened, v.acked_by, v.acked_at, v.suppressed_by
from ops.sla_violations as v
join ops.data_slas as sla using (sla_id)
where
    (%(name)s::text is null or v.sla_name = %(name)s)
    and (%(incident)s::bigint is null or v.incident_id = %(incident)s)
    and (not %(open_only)s or v.resolved_at is null)
    and (%(since)s::timestamptz is null or coalesce(v.resolved_at, 'infinity') >= %(since)s)
    and (%(until)s::timestamptz is null or v.detected_at < %(until)s)
order by v.detected_at desc, v.violation_id desc
limit %(limit)s
"""
_VERSIONS = """
select
    sla_id, name, version, dataset_name, sla_type, sla_target, sla_unit, alert_threshold, owner, created_at, retired_at
from ops.data_slas where name = %s order by version desc
"""
_INCIDENTS = """
select
    i.incident_id, i.incident_key, i.title, i.root_dataset, i.root_sla, i.owner, i.runbook, i.severity, i.opened_at,
    i.resolved_at, i.affected_assets, i.affected_tiles, i.postmortem, count(v.violation_id),
    count(v.violation_id) filter (where v.resolved_at is null)
from ops.incidents as i
left join ops.sla_violations as v using (incident_id)
where
    (%(number)s::bigint is null or i.incident_id = %(number)s)
    and (not %(open_only)s or i.resolved_at is null)
    and (%(since)s::timestamptz is null or coalesce(i.resolved_at, 'infinity') >= %(since)s)
group by i.incident_id
order by i.opened_at desc, i.incident_id desc
limit %(limit)s
"""
_TIMELINE = """
select e.happened_at, e.kind, v.sla_name, v.partition_key, e.severity, e.message, e.by_whom, e.is_silent
from ops.incident_events as e
left join ops.sla_violations as v using (violation_id)
where e.incident_id = %s
order by e.happened_at, e.event_id
"""


def standings(conn: "psycopg.Connection[Any]") -> list[Standing]:
    """The last verdict of every SLA and partition, by name. Raises SlaError."""
    return _rows(conn, Standing, _STANDINGS)


def violations(
    conn: "psycopg.Connection[Any]",
    *,
    name: str | None = None,
    open_only: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[ViolationRow]:
    """Violations, newest first: those of one SLA, those open, those that were so between `since` and `until`."""
    wanted = {"name": name, "incident": None, "open_only": open_only, "since": since, "until": until, "limit": limit}
    return _rows(conn, ViolationRow, _VIOLATIONS, wanted)


def versions(conn: "psycopg.Connection[Any]", name: str) -> list[SlaVersion]:
    """Every version of a promise, newest first."""
    return _rows(conn, SlaVersion, _VERSIONS, (name,))


def incidents(
    conn: "psycopg.Connection[Any]", *, open_only: bool = False, since: datetime | None = None, limit: int = 50
) -> list[IncidentRow]:
    """Incidents, newest first: those open, those that were so after `since`."""
    wanted = {"number": None, "open_only": open_only, "since": since, "limit": limit}
    return _rows(conn, _incident_row, _INCIDENTS, wanted)


def incident(conn: "psycopg.Connection[Any]", incident_id: int) -> Incident:
    """One incident whole. Raises SlaError when there is none of that number."""
    wanted = {"number": incident_id, "open_only": False, "since": None, "limit": 1}
    rows = _rows(conn, _incident_row, _INCIDENTS, wanted)
    if not rows:
        raise SlaError(f"there is no incident {incident_id}; `hotdash incident list` names them")
    of_it = {"name": None, "incident": incident_id, "open_only": False, "since": None, "until": None, "limit": None}
    broken = reversed(_rows(conn, ViolationRow, _VIOLATIONS, of_it))
    return Incident(rows[0], tuple(broken), tuple(_rows(conn, TimelineEntry, _TIMELINE, (incident_id,))))


def as_json(row: Any) -> dict[str, Any]:
    """A row of this module as plain JSON values: instants in ISO 8601, lengths of time in seconds, numbers as such."""
    return {entry.name: _plain(getattr(row, entry.name)) for entry in fields(row)}


def _incident_row(*values: Any) -> IncidentRow:
    converted: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return IncidentRow(*converted)


def _rows(conn: "psycopg.Connection[Any]", kind: Callable[..., _Row], query: str, values: Any = ()) -> list[_Row]:
    with told(conn):
        return [kind(*row) for row in conn.execute(query.encode(), values).fetchall()]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return as_json(value) if hasattr(type(value), "__dataclass_fields__") else value
