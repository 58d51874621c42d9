"""From SLAs to observations: every kind looks once a tick, whatever the number of its SLAs.

Belongs here: which observer serves which type, the parameters that each takes, and what happens when one cannot look.
Does not belong here: the observers (its neighbours), judging (sla/engine/evaluate.py), asking Dagster (facts.py has the
form). Nothing here changes a row, and no observation holds a value of a row beyond counts, instants and percentages.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Definition, SlaType
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.observers import (
    ages as observe_ages,
)
from hotdash_pipelines.sla.observers import (
    levels as observe_levels,
)
from hotdash_pipelines.sla.observers import (
    orchestrator as observe_dagster,
)
from hotdash_pipelines.sla.observers.facts import Facts
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.sla.observers.reading import Unseen

if TYPE_CHECKING:
    import psycopg

Observer = Callable[[Sequence[Definition], Looking], Iterable[Observation]]


@dataclass(frozen=True)
class ObserverKind:
    """An observer with the parameters that its SLAs must and may have."""

    look: Observer
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


def _kind(look: Observer, required: str = "", optional: str = "") -> ObserverKind:
    return ObserverKind(look, frozenset(required.split()), frozenset(optional.split()))


KINDS: Mapping[SlaType, ObserverKind] = {
    "materialized_within": _kind(observe_dagster.materialized_within),
    "retention_done": _kind(observe_dagster.materialized_within),
    "freshness_state": _kind(observe_dagster.freshness_state),
    "event_time_lag": _kind(observe_ages.event_time_lag, "column"),
    "source_watermark_lag": _kind(observe_ages.source_watermark_lag, "", "settled_after_days lookback_days"),
    "queue_age": _kind(observe_ages.queue_age, "queue"),
    "drift_raised_within": _kind(observe_ages.drift_raised_within),
    "backup_age": _kind(observe_ages.backup_age),
    "restore_tested_within": _kind(observe_ages.restore_tested_within),
    "heartbeat": _kind(observe_ages.heartbeat, "", "of"),
    "check_status": _kind(observe_levels.check_status, "", "severity window_hours"),
    "check_rate": _kind(observe_levels.check_rate, "dimension", "window_hours"),
    "availability": _kind(observe_levels.availability, "of", "window_hours job"),
    "latency_p95": _kind(observe_levels.latency_p95, "", "window_minutes"),
    "sql": _kind(observe_levels.sql, "query"),
}

# Windows may be parts of an hour; days are whole ones.
_LARGEST = {
    "window_hours": 87_600.0,
    "window_minutes": 5_256_000.0,
    "settled_after_days": 3_650,
    "lookback_days": 3_650,
}


def _is_number(value: object, largest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_whole = isinstance(largest, int)
    return (isinstance(value, int) or not is_whole) and (0 if is_whole else 1e-9) <= value <= largest


def check_params(definitions: Iterable[Definition]) -> None:
    """Raise SlaError for an SLA whose observer lacks a parameter, or does not know one."""
    for definition in definitions:
        kind, given = KINDS[definition.type], set(definition.params)
        if lacking := sorted(kind.required - given):
            raise SlaError(f"{definition.name}: params lacks {lacking[0]}, which {definition.type} needs")
        for name in sorted(_LARGEST.keys() & given):
            if not _is_number(definition.params[name], _LARGEST[name]):
                raise SlaError(f"{definition.name}: params: {name} must be a number of at most {_LARGEST[name]:,}")
        if strange := sorted(given - kind.required - kind.optional):
            raise SlaError(f"{definition.name}: params has {strange[0]}, which {definition.type} does not know")


def observe(
    definitions: Sequence[Definition],
    conn: "psycopg.Connection[Any]",
    dues: Mapping[str, tuple[Due, ...]],
    facts: Facts,
    now: datetime,
    *,
    project: str,
    zone: ZoneInfo,
) -> tuple[Observation, ...]:
    """One observation an SLA, for a deadline one each partition in `dues` (what `watched` tells).

    `conn` is in autocommit and only read. An observer that cannot look gives the reason instead; whatever it raises,
    the others go on.
    """
    looking = Looking(conn, now, project, zone, dues, facts)
    found: list[Observation] = []
    for type_, kind in KINDS.items():
        own = [definition for definition in definitions if definition.type == type_]
        if own:
            found += _look(kind, own, looking)
    return tuple(found)


def _look(kind: ObserverKind, own: Sequence[Definition], looking: Looking) -> Iterable[Observation]:
    try:
        return list(kind.look(own, looking))
    except Unseen as unseen:
        return [_blind(definition, unseen.reason, unseen.cause) for definition in own]
    except Exception as error:  # noqa: BLE001 - a mistake in one observer must not blind the others
        return [_blind(definition, f"its observer failed ({type(error).__name__})", "observer") for definition in own]


def _blind(definition: Definition, reason: str, cause: str) -> Observation:
    return Observation(definition.name, unknown_reason=reason, details={"cause": cause} if cause else {})
