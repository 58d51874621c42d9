"""Recorded observations played again: what would have been told.

Belongs here: walking a stretch of time tick by tick. Does not belong here: reading the record, printing (cli).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from hotdash_pipelines.sla.fields import SlaError
from hotdash_pipelines.sla.model import Definition
from hotdash_pipelines.sla.observation import Observation
from hotdash_pipelines.sla.rule import Key
from hotdash_pipelines.sla.state import State
from hotdash_pipelines.sla.tick import Tick, tick


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
    record = iter(observations)
    following = next(record, None)
    current: dict[Key, Observation] = {}
    recorded: dict[Key, datetime] = {}
    known: Mapping[Key, State] = states or {}
    now = start
    while now <= end:
        while following is not None and following[0] <= now:
            at, seen = following
            key = (seen.name, seen.partition or "")
            if key in recorded and at < recorded[key]:
                raise SlaError(f"the record of {seen.name} is out of order at {at.isoformat()}; sort it by time")
            current[key], recorded[key] = seen, at
            following = next(record, None)
        if stale_after is not None:
            for key in [key for key, at in recorded.items() if now - at > stale_after]:
                del current[key], recorded[key]
        done = tick(definitions, known, current, upstream, now)
        known = done.states
        yield now, done
        now += step
