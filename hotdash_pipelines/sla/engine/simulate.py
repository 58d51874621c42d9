"""Recorded observations played again: what would have been told.

Belongs here: walking a stretch of time tick by tick. Does not belong here: reading the record, printing (cli).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.engine.state import State
from hotdash_pipelines.sla.engine.tick import Tick, tick

# More than a tick makes up for; a day that is older and still missing is missing without an observation too.
_PARTITIONS_KEPT = 40


class _Record:
    """What was recorded last for each SLA and partition, as of an instant that only moves forward."""

    def __init__(self, observations: Iterable[tuple[datetime, Observation]], stale_after: timedelta | None) -> None:
        self._coming = iter(observations)
        self._next = next(self._coming, None)
        self._stale_after = stale_after
        self._at: dict[Key, datetime] = {}
        self._partitions: dict[str, list[str]] = {}
        self.current: dict[Key, Observation] = {}

    def move_to(self, now: datetime) -> None:
        while self._next is not None and self._next[0] <= now:
            self._take(*self._next)
            self._next = next(self._coming, None)
        if self._stale_after is not None:
            for key in [key for key, at in self._at.items() if now - at > self._stale_after]:
                del self.current[key], self._at[key]

    def _take(self, at: datetime, seen: Observation) -> None:
        key = (seen.name, seen.partition or "")
        if key in self._at and at < self._at[key]:
            raise SlaError(f"the record of {seen.name} is out of order at {at.isoformat()}; sort it by time")
        if seen.partition and key not in self.current:
            kept = self._partitions.setdefault(seen.name, [])
            kept.append(seen.partition)
            if len(kept) > _PARTITIONS_KEPT:
                kept.sort()
                gone = (seen.name, kept.pop(0))
                self.current.pop(gone, None)
                self._at.pop(gone, None)
        self.current[key], self._at[key] = seen, at


def simulate(
    definitions: Sequence[Definition],
    observations: Iterable[tuple[datetime, Observation]],
    upstream: Mapping[str, Collection[str]],
    start: datetime,
    end: datetime,
    step: timedelta,
    states: Mapping[Key, State] | None = None,
    stale_after: timedelta | None = None,
) -> Iterator[tuple[datetime, Tick]]:
    """Each tick from `start` to `end` (both included), `step` apart, with its instant.

    `observations` are (when recorded, what), oldest first; what was recorded last for an SLA and partition holds until
    something newer was, or for `stale_after`: then nobody has looked, which is not the same as being fine. Raises
    SlaError for a step of no length and for a record out of order.
    """
    if step <= timedelta(0):
        raise SlaError("the step of a simulation must be longer than nothing")
    record = _Record(observations, stale_after)
    known: Mapping[Key, State] = states or {}
    now = start
    while now <= end:
        record.move_to(now)
        done = tick(definitions, known, record.current, upstream, now)
        known = done.states
        yield now, done
        now += step
