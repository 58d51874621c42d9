"""A simulated clock over the engine: definitions, what is seen at each instant, and what is told."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hotdash_pipelines.sla import Definition, Event, Key, Observation, State, Tick, Verdict, tick

STEP = timedelta(minutes=5)
# A day without a change of the clocks; 00:00 in New York is 05:00 UTC.
MIDNIGHT = datetime(2026, 2, 10, 5, 0, tzinfo=UTC)
ZONE = "America/New_York"

Seeing = Callable[[datetime], Iterable[Observation]]


def sla(name: str = "orders_by_six", kind: str = "materialized_within", **more: Any) -> Definition:
    """A definition with the dull fields filled in."""
    given: dict[str, Any] = {
        "name": name,
        "dataset": "marts_core/fct_order",
        "type": kind,
        "owner": "team:data",
        "runbook": "docs/runbooks/sla-late.md",
        "zone": ZONE,
    }
    if kind in ("materialized_within", "retention_done"):
        given["by"] = "06:00"
    elif "target" not in more:
        given["target"] = 60
    return Definition.model_validate(given | more)


def at(clock: str, day: int = 0) -> datetime:
    """The instant when a clock in New York shows `clock`, `day` days after the first day of the story."""
    hours, minutes = clock.split(":")
    return MIDNIGHT + timedelta(days=day, hours=int(hours), minutes=int(minutes))


class Story:
    """Ticks over `definitions`, with what `seeing` sees; everything told so far is in `events`."""

    def __init__(self, *definitions: Definition, upstream: dict[str, set[str]] | None = None) -> None:
        self.definitions = definitions
        self.upstream = upstream or {}
        self.states: dict[Key, State] = {}
        self.events: list[Event] = []
        self.ticks = 0
        self.last: Tick | None = None

    def tick(self, now: datetime, *observations: Observation) -> tuple[Event, ...]:
        """One tick; returns what it told."""
        self.last = tick(self.definitions, self.states, observations, self.upstream, now)
        self.states = self.last.states
        self.events += self.last.events
        self.ticks += 1
        return self.last.events

    def run(self, start: datetime, end: datetime, seeing: Seeing, step: timedelta = STEP) -> "Story":
        """Ticks from `start` up to `end`, included."""
        now = start
        while now <= end:
            self.tick(now, *seeing(now))
            now += step
        return self

    def told(self) -> list[tuple[str, str]]:
        """What was told, as (kind, time in New York)."""
        return [(event.kind, f"{event.at - timedelta(hours=5):%d %H:%M}") for event in self.events]

    def kinds(self) -> list[str]:
        """The kinds of the events, in order."""
        return [event.kind for event in self.events]

    def verdict(self, name: str, partition: str = "") -> Verdict:
        """The last verdict of an SLA."""
        assert self.last is not None
        return self.last.verdicts[name, partition]

    @property
    def open(self) -> list[Key]:
        """Keys with an open violation."""
        return [key for key, state in self.states.items() if state.violation]


def arrives(when: datetime, partition: str | None = "2026-02-09", name: str = "orders_by_six") -> Seeing:
    """Sees a partition from the moment it has come, nothing before."""
    return lambda now: [Observation(name, at=when if when <= now else None, partition=partition)]


def level(name: str, *values: float | None, start: datetime = MIDNIGHT, step: timedelta = STEP) -> Seeing:
    """Sees one value a tick, the first before `start`, the last for ever after; None cannot be seen."""

    def see(now: datetime) -> list[Observation]:
        value = values[max(0, min(int((now - start) / step), len(values) - 1))]
        return [Observation(name, value, unknown_reason="no answer" if value is None else None)]

    return see
