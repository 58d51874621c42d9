"""What was seen at each tick, kept to be played again.

Belongs here: the rows of ops.data_observations that SLAs are judged by. Does not belong here: playing them
(sla/engine/simulate.py), removing old ones (housekeeping).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.engine.verdict import Verdict
from hotdash_pipelines.sla.records.encode import clean, from_json, number, to_json
from hotdash_pipelines.sla.records.transaction import told

if TYPE_CHECKING:
    import psycopg

# What is seen again unchanged is written after this long, so that a gap in the record is nobody looking.
KEYFRAME = timedelta(minutes=10)
# For `simulate(stale_after=...)`: longer than any pause between rows while somebody looks every few minutes.
STALE_AFTER = 2.5 * KEYFRAME
_FETCHED_AT_ONCE = 5_000

_WRITE = """
insert into ops.data_observations (
    table_name, metric_name, metric_value, threshold_min, threshold_max, is_anomaly, observed_at, sla_name,
    partition_key, details
)
select
    new.table_name, 'sla', new.metric_value, new.threshold_min, new.threshold_max, new.is_anomaly, %(now)s,
    new.sla_name, new.partition_key, new.details
from jsonb_to_recordset(%(rows)s::jsonb) as new (
    table_name text, metric_value numeric, threshold_min numeric, threshold_max numeric, is_anomaly boolean,
    sla_name text, partition_key text, details jsonb
)
left join lateral (
    select old.details, old.is_anomaly, old.observed_at
    from ops.data_observations as old
    where old.sla_name = new.sla_name and old.partition_key = new.partition_key
    order by old.observed_at desc
    limit 1
) as last on true
where
    last.observed_at is null
    or last.observed_at <= %(keyframe)s
    or last.details <> new.details
    or last.is_anomaly <> new.is_anomaly
"""
_NAMES = """
select distinct sla_name from ops.data_observations where sla_name is not null and observed_at between %s and %s
"""
_READ = """
select observed_at, sla_name, partition_key, details::text from ops.data_observations
where sla_name is not null and observed_at between %s and %s
order by observed_at, observation_id
"""


def as_recorded(seen: Observation) -> Observation:
    """The observation as it would be read again, so that a simulation judges the same; a reason is one line."""
    reason = seen.unknown_reason
    return Observation(
        name=seen.name,
        value=seen.value,
        at=seen.at,
        partition=seen.partition,
        unknown_reason=None if reason is None else " ".join(clean(reason).split()),
        details=from_json(to_json(seen.details)) if seen.details else {},
    )


def write_observations(
    conn: "psycopg.Connection[Any]", seen: Mapping[Key, Observation], verdicts: Mapping[Key, Verdict], now: datetime
) -> None:
    """Record what is new, or was last recorded a KEYFRAME ago, with how it was judged."""
    # The verdict of an SLA's last partition stands for what was seen of the whole table, or of another partition.
    of_name = {name: verdict for (name, _), verdict in sorted(verdicts.items())}
    judged = ((key, observation, verdicts.get(key) or of_name.get(key[0])) for key, observation in seen.items())
    rows = [_row(key, observation, verdict) for key, observation, verdict in judged if verdict is not None]
    if rows:
        conn.execute(_WRITE, {"now": now, "keyframe": now - KEYFRAME, "rows": to_json(rows)})


def replay(conn: "psycopg.Connection[Any]", start: datetime, end: datetime) -> Iterator[tuple[datetime, Observation]]:
    """What was recorded from `start` to `end`, oldest first, begun a KEYFRAME earlier: what was known at `start`.

    `conn` is outside a transaction and not used for anything else until the end. Raises SlaError.
    """
    with told(conn), conn.transaction(), conn.cursor(name="sla_replay") as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        cursor.execute(_READ, (start - KEYFRAME, end))
        for observed_at, name, partition, details in cursor:
            yield observed_at, _observation(name, partition, from_json(details))


def recorded(conn: "psycopg.Connection[Any]", start: datetime, end: datetime) -> frozenset[str]:
    """The SLAs of which `replay` has anything. Raises SlaError."""
    with told(conn), conn.transaction():
        return frozenset(name for (name,) in conn.execute(_NAMES, (start - KEYFRAME, end)))


def _row(key: Key, seen: Observation, verdict: Verdict) -> dict[str, Any]:
    expected = number(verdict.expected)
    at_least = verdict.definition.rule.at_least
    return {
        "table_name": verdict.definition.dataset,
        "metric_value": number(verdict.actual),
        "threshold_min": expected if at_least else None,
        "threshold_max": None if at_least else expected,
        "is_anomaly": verdict.state == "breach",
        "sla_name": key[0],
        "partition_key": key[1],
        "details": {
            "value": None if seen.value is None else float(seen.value),
            "at": seen.at,
            "unknown_reason": seen.unknown_reason,
            "details": seen.details,
        },
    }


def _observation(name: str, partition: str, content: Mapping[str, Any]) -> Observation:
    at = content.get("at")
    return Observation(
        name=name,
        value=content.get("value"),
        at=datetime.fromisoformat(at) if at else None,
        partition=partition or None,
        unknown_reason=content.get("unknown_reason"),
        details=content.get("details") or {},
    )
