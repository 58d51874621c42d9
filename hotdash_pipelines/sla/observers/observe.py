"""From SLAs to observations: every type looks once a tick, whatever the number of its SLAs.

Belongs here: asking the observer of each type, and what happens when one cannot look, or is mistaken. Does not belong
here: the observers (its neighbours), judging (sla/engine/evaluate.py), asking Dagster (facts.py has the form). Nothing
here changes a row, and no observation holds a value of a row beyond counts, instants and percentages.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.kinds import Observer, sla_types
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.observers.facts import Facts
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.sla.observers.reading import Unseen

if TYPE_CHECKING:
    import psycopg


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
    seen: list[Observation] = []
    for sla_type in sla_types():
        own = [definition for definition in definitions if definition.type == sla_type.name]
        if own and sla_type.observer is not None:
            seen += _look(sla_type.observer, own, looking)
    return tuple(seen)


def _look(observer: Observer, own: Sequence[Definition], looking: Looking) -> Iterable[Observation]:
    try:
        return [_judgeable(seen) for seen in observer(own, looking)]
    except Unseen as unseen:
        return [_blind(definition, unseen.reason, unseen.cause) for definition in own]
    except Exception as error:  # noqa: BLE001 - a mistake in one observer must not blind the others
        # One SLA that the observer cannot bear must not blind the others of its type either.
        if len(own) > 1:
            return [seen for definition in own for seen in _look(observer, [definition], looking)]
        return [_blind(definition, f"its observer failed ({type(error).__name__})", "observer") for definition in own]


def _judgeable(seen: Observation) -> Observation:
    """The observation. Raises for one that nobody can judge, which would cost every SLA its verdict."""
    if seen.value is not None:
        float(seen.value)
    if seen.at is not None and seen.at.utcoffset() is None:
        raise ValueError("an instant without a zone")
    return seen


def _blind(definition: Definition, reason: str, cause: str) -> Observation:
    return Observation(definition.name, unknown_reason=reason, details={"cause": cause} if cause else {})
