"""What an orchestrator knows and Postgres does not: handed to the observers as plain values.

Belongs here: the form of these facts, and which of them a set of SLAs needs. Does not belong here: asking Dagster
(defs/sla).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.model import Definition


@dataclass(frozen=True)
class FinishedRun:
    """A run that is over: of which job, whether it succeeded, and when it ended (UTC)."""

    job: str
    succeeded: bool
    ended_at: datetime


@dataclass(frozen=True)
class Facts:
    """Facts of one instant, by dataset such as `marts_core/fct_order`.

    `newest`: its newest success, whatever the partition. `first`: the first success of a dataset's partition.
    `partitioned`: the datasets that have partitions. `running`: since when a run that makes it is under way.
    `freshness`: PASS, WARN, FAIL or UNKNOWN. `failure`: why nothing could be asked; then all else is empty.
    """

    newest: Mapping[str, datetime] = field(default_factory=dict)
    first: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    partitioned: Collection[str] = frozenset()
    running: Mapping[str, datetime] = field(default_factory=dict)
    freshness: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[FinishedRun, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What to ask: datasets with a deadline, their partitions, datasets with a freshness state, runs since when."""

    deadlines: frozenset[str]
    partitions: frozenset[str]
    freshness: frozenset[str]
    runs_since: datetime | None


def wanted(definitions: Collection[Definition], dues: Mapping[str, tuple[Due, ...]], now: datetime) -> Wanted:
    """What these SLAs need to know at `now`; `dues` is what `watched` tells."""
    windows = [
        timedelta(hours=float(definition.params.get("window_hours", 24)))  # type: ignore[arg-type]
        for definition in definitions
        if definition.sla_type.asks == "runs" and definition.params.get("of", "runs") == "runs"
    ]
    return Wanted(
        deadlines=frozenset(definition.dataset for definition in definitions if definition.kind == "deadline"),
        partitions=frozenset(due.partition for own in dues.values() for due in own),
        freshness=frozenset(
            definition.dataset for definition in definitions if definition.sla_type.asks == "freshness"
        ),
        runs_since=now - max(windows) if windows else None,
    )
