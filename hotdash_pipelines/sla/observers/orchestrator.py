"""Observers of what the orchestrator knows: deadlines and freshness states.

Belongs here: reading the facts. Does not belong here: gathering them (defs/sla).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.kinds import HOURS, MINUTES, SlaType, observes
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.sla.observers.reading import Unseen, all_rows

_STATES = {"PASS": 0.0, "WARN": 1.0, "FAIL": 2.0}


@observes(
    SlaType(
        name="materialized_within",
        kind="deadline",
        units=MINUTES,
        title="not ready in time",
        cause="lateness",
        offset_days=1,
    )
)
@observes(SlaType(name="retention_done", kind="deadline", units=HOURS, title="retention was not done"))
def materialized_within(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """The first success of the partition that a deadline is about, or the newest one of a table without partitions.

    Nothing was promised before there was anything: a deadline of the day on which the warehouse was set up is kept by
    the setting up.
    """
    _ask(looking)
    born = _born(looking)
    for definition in definitions:
        running = looking.facts.running.get(definition.dataset)
        details = {"running_since": running.isoformat(timespec="seconds")} if running else {}
        for due in looking.dues.get(definition.name, ()):
            at, partition = _made(definition, due, looking)
            if born is not None and born >= due.opens_at and (at is None or at < due.opens_at):
                at, partition = min(born, due.deadline), None
            yield Observation(definition.name, at=at, partition=partition, details=details)


@observes(
    SlaType(
        name="freshness_state",
        kind="level",
        units=("count",),
        title="not fresh",
        cause="lateness",
        asks="freshness",
        states=("fresh", "nearly late", "late"),
    )
)
def freshness_state(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """What Dagster's own freshness policy says: 0 pass, 1 warn, 2 fail."""
    _ask(looking)
    for definition in definitions:
        yield Observation(definition.name, value=_STATES.get(looking.facts.freshness.get(definition.dataset, "")))


def _ask(looking: Looking) -> None:
    if looking.facts.failure is not None:
        raise Unseen(looking.facts.failure, "dagster")


def _made(definition: Definition, due: Due, looking: Looking) -> tuple[datetime | None, str | None]:
    if definition.dataset in looking.facts.partitioned:
        return looking.facts.first.get((definition.dataset, due.partition)), due.partition
    return looking.facts.newest.get(definition.dataset), None


def _born(looking: Looking) -> datetime | None:
    rows = all_rows(looking.conn, "select min(applied_at) from ops.schema_migrations", {})
    return min(rows[0][0], looking.now) if rows and rows[0][0] else None
