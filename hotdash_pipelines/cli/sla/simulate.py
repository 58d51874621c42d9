"""`hotdash sla simulate`: what would have been sent over a stretch of time, from what was seen then.

Belongs here: playing, printing, counting. Does not belong here: the engine (sla.engine.simulate), the record
(sla.records.record). Nothing is written or sent.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import Json, note, say
from hotdash_pipelines.cli.sla.given import Slas, instant, read_definitions, span, warehouse

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from hotdash_pipelines.sla import Definition, Event, Key, Tick, Violation

_COUNTED = ("opened", "escalated", "raised", "resolved", "suppressed", "unsuppressed", "warned")


def simulate(
    start: Annotated[
        str, typer.Option("--from", help="Where to begin: an instant such as 2026-11-01, or how long ago, such as 7d.")
    ],
    end: Annotated[str | None, typer.Option("--to", help="Where to end, in the same words. Default: now.")] = None,
    step: Annotated[
        str | None, typer.Option(help="Time between two looks, such as 5m. Default: as the sensor looks.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="Play so many times as fast as it happened. Default: without waiting.", min=0.001),
    ] = None,
    slas: Slas = None,
    as_json: Json = False,
) -> None:
    """Play what was seen between two instants against the definitions, and print what would have been sent.

    The way to try a threshold without waking anyone: copy slas/, change it, give it as --slas. Nothing is written or
    sent. It begins with nothing open. Times are the store's. Exit codes: 0 played, 1 nothing was recorded then.
    """
    from hotdash_pipelines.cli.sla.view import columns
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla import SlaError
    from hotdash_pipelines.sla import simulate as play
    from hotdash_pipelines.sla.records.heartbeat import EVALUATION_SECONDS
    from hotdash_pipelines.sla.records.record import STALE_AFTER, recorded, replay

    settings = get_settings()
    begins, ends = instant("--from", start, settings), instant("--to", end, settings) if end else settings.now()
    if begins >= ends:
        raise typer.BadParameter("--from must be before --to")
    every = span("--step", step) if step else timedelta(seconds=EVALUATION_SECONDS)
    definitions = read_definitions(settings, slas)
    with warehouse(settings) as conn:
        known = recorded(conn, begins, ends)
        played = tuple(definition for definition in definitions if definition.name in known)
        if not played:
            raise SlaError(
                f"nothing was recorded between {begins:%Y-%m-%d %H:%M} and {ends:%Y-%m-%d %H:%M} UTC: the evaluation "
                "did not run then, or housekeeping has removed it"
            )
        for definition in definitions:
            if definition.name not in known:
                note(f"{definition.name}: left out, nothing was recorded of it then")
        story = Told(settings.zone, None if as_json else _printer())
        ticks = play(played, replay(conn, begins, ends), _upstream(), begins, ends, every, stale_after=STALE_AFTER)
        try:
            for at, tick in paced(ticks, speed):
                story.take(at, tick)
        except KeyboardInterrupt:
            note(f"stopped at {story.at(story.last)}" if story.last else "stopped")
    lines = ["", *columns(story.summary(played, begins)), *story.total(played, begins)]
    say(story.as_json(played, begins, every), lines, as_json)


@dataclass
class Told:
    """What a simulation has told so far. `say` prints a line as soon as it is known."""

    zone: "ZoneInfo"
    say: Callable[[str], None] | None = None
    ticks: int = 0
    last: datetime | None = None
    events: "list[Event]" = field(default_factory=list)
    still_open: "dict[Key, Violation]" = field(default_factory=dict)

    def take(self, now: datetime, tick: "Tick") -> None:
        """One tick more."""
        self.ticks += 1
        self.last = now
        self.events += tick.events
        self.still_open = {key: state.violation for key, state in tick.states.items() if state.violation}
        for event in tick.events:
            if self.say and not event.silent:
                self.say(self.line(event))

    def line(self, event: "Event") -> str:
        """An event as one line."""
        who = " ".join(part for part in (event.channel, event.mention) if part)
        more = [f"to {who}"] if who else []
        if event.hold_until:
            more.append(f"held until {self.at(event.hold_until)}")
        if event.behind:
            more.append(f"{len(event.behind)} late behind it")
        tail = f" [{', '.join(more)}]" if more else ""
        name = f"{event.sla} {event.partition}".strip()
        return f"{self.at(event.at)}  {event.kind:12} {event.severity:8}  {name}: {event.message}{tail}"

    def at(self, moment: datetime) -> str:
        """An instant on the store's clock."""
        return f"{moment.astimezone(self.zone):%a %Y-%m-%d %H:%M %Z}"

    def counts(self, name: str | None, begins: datetime) -> dict[str, Any]:
        """How many events were sent of an SLA (None: of all), and how long it was broken within what was played."""
        own = [event for event in self.events if name in (None, event.sla)]
        counts: dict[str, Any] = dict.fromkeys(_COUNTED, 0)
        for event in own:
            if not event.silent and event.kind in counts:
                counts[event.kind] += 1
        counts["silent"] = sum(event.silent and event.kind == "opened" for event in own)
        counts["open_at_end"] = sum(name in (None, key[0]) for key in self.still_open)
        for kind, field_name in (("breach", "breach_minutes"), ("unknown", "unknown_minutes")):
            counts[field_name] = round(sum(self._minutes(own, name, kind, begins)), 1)
        return counts

    def _minutes(self, own: "Iterable[Event]", name: str | None, kind: str, begins: datetime) -> Iterator[float]:
        for event in own:
            if event.kind == "resolved" and event.violation and event.violation.kind == kind:
                yield _between(event.violation.breach_since, event.recovered_at or event.at, begins)
        for key, violation in self.still_open.items():
            if self.last and name in (None, key[0]) and violation.kind == kind:
                yield _between(violation.breach_since, self.last, begins)

    def summary(self, definitions: "Iterable[Definition]", begins: datetime) -> list[tuple[str, ...]]:
        """A row an SLA that told anything, under a heading."""
        rows: list[tuple[str, ...]] = [
            ("SLA", "opened", "escalated", "resolved", "silent", "minutes broken", "not known", "at the end")
        ]
        for definition in definitions:
            if any(event.sla == definition.name for event in self.events):
                counts = self.counts(definition.name, begins)
                rows.append(
                    (
                        definition.name, *(str(counts[kind]) for kind in ("opened", "escalated", "resolved", "silent")),
                        f"{counts['breach_minutes']:,.0f}", f"{counts['unknown_minutes']:,.0f}",
                        "open" if counts["open_at_end"] else "",
                    )
                )  # fmt: skip
        return rows if len(rows) > 1 else []

    def total(self, definitions: "tuple[Definition, ...]", begins: datetime) -> list[str]:
        """The end of the page."""
        counts = self.counts(None, begins)
        sent = sum(counts[kind] for kind in _COUNTED)
        return [
            f"{len(definitions)} SLAs, {self.ticks:,} looks: {sent} messages would have been sent",
            f"opened {counts['opened']}, escalated {counts['escalated']}, resolved {counts['resolved']}, "
            f"open at the end {counts['open_at_end']}, silent behind another {counts['silent']}; "
            f"{counts['breach_minutes']:,.0f} minutes of breach, {counts['unknown_minutes']:,.0f} not known",
        ]

    def as_json(self, definitions: "tuple[Definition, ...]", begins: datetime, every: timedelta) -> dict[str, Any]:
        """Everything as one object."""
        return {
            "from": begins.isoformat(),
            "to": self.last.isoformat() if self.last else None,
            "step_seconds": every.total_seconds(),
            "ticks": self.ticks,
            "events": [event.as_dict() | {"silent": event.silent} for event in self.events],
            "counts": self.counts(None, begins),
            "slas": {one.name: self.counts(one.name, begins) for one in definitions},
        }


def paced(
    ticks: "Iterable[tuple[datetime, Tick]]", speed: float | None, sleep: Callable[[float], None] = time.sleep
) -> "Iterator[tuple[datetime, Tick]]":
    """The ticks, `speed` times as fast as they happened; as they come for None."""
    first: datetime | None = None
    began = time.monotonic()
    for at, tick in ticks:
        first = first or at
        if speed is not None:
            wait = (at - first).total_seconds() / speed - (time.monotonic() - began)
            if wait > 0:
                sleep(wait)
        yield at, tick


def _between(since: datetime, until: datetime, begins: datetime) -> float:
    """Minutes from `since` to `until` after `begins`."""
    return max(0.0, (until - max(since, begins)).total_seconds() / 60)


def _printer() -> Callable[[str], None]:
    def say(line: str) -> None:
        print(line, flush=True)

    return say


@cache
def _upstream() -> "Mapping[str, frozenset[str]]":
    """What each dataset of this code location is made from. Loads it, which takes seconds; no Dagster has to run."""
    from hotdash_pipelines.definitions import defs
    from hotdash_pipelines.orchestration.graph import upstream_of

    return upstream_of(defs().resolve_asset_graph())
