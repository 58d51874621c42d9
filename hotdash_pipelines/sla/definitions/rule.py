"""A promise in plain numbers, made once from a definition and read at every tick.

Belongs here: what evaluation needs in the form it is fastest to read, and which deadline stands at an instant.
Does not belong here: pydantic, texts.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from hotdash_pipelines.sla.definitions.calendar import Calendar, Due, instant

Kind = Literal["deadline", "age", "level"]
Comparison = Literal["at_most", "at_least"]
Key = tuple[str, str]

_DUES_KEPT = 100
SECONDS = {"minutes": 60.0, "hours": 3600.0, "days": 86400.0}


class Rule:
    """`target` and `warn` are in the SLA's unit; `allowed` is the target of a deadline or age as a length of time."""

    __slots__ = (
        "_dues",
        "_standing",
        "allowed",
        "at_least",
        "by",
        "calendar",
        "key",
        "kind",
        "min_samples",
        "name",
        "offset_days",
        "opens",
        "seconds",
        "target",
        "warn",
        "zone",
    )

    def __init__(
        self,
        *,
        name: str,
        kind: Kind,
        at_least: bool,
        target: float,
        warn: float | None,
        unit: str,
        min_samples: int,
        zone: str,
        by: time | None,
        opens: time,
        offset_days: int,
        calendar: Calendar,
    ) -> None:
        self.name, self.kind, self.key = name, kind, (name, "")
        self.at_least, self.target, self.warn = at_least, target, warn
        self.seconds = SECONDS.get(unit, 1.0)
        self.allowed = timedelta(seconds=target * self.seconds) if kind != "level" else timedelta(0)
        self.min_samples = min_samples
        self.zone, self.by, self.opens = ZoneInfo(zone), by or time(), opens
        self.offset_days, self.calendar = offset_days, calendar
        self._dues: dict[str, Due] = {}
        self._standing: tuple[Due, datetime] | None = None

    def due_on(self, day: date) -> Due:
        """The deadline of a local day."""
        return Due(
            partition=(day - timedelta(days=self.offset_days)).isoformat(),
            day=day,
            opens_at=instant(day, self.opens, self.zone),
            deadline=instant(day, self.by, self.zone, latest=True),
        )

    def due_of(self, partition: str) -> Due:
        """The deadline that is about a partition key `YYYY-MM-DD`, whether the calendar has its day or not."""
        due = self._dues.get(partition)
        if due is None:
            if len(self._dues) >= _DUES_KEPT:
                self._dues.clear()
            due = self._dues[partition] = self.due_on(date.fromisoformat(partition) + timedelta(days=self.offset_days))
        return due

    def due_at(self, now: datetime) -> Due:
        """The deadline that stands at `now`: the last one whose day has opened. Remembered until the next one opens."""
        standing = self._standing
        if standing is None or not standing[0].opens_at <= now < standing[1]:
            due = self.due_on(self.calendar.on_or_before(now.astimezone(self.zone).date()))
            if due.opens_at > now:
                due = self.due_on(self.calendar.on_or_before(due.day - timedelta(days=1)))
            standing = (due, instant(self.calendar.after(due.day), self.opens, self.zone))
            self._standing = standing
        return standing[0]

    def dues_between(self, after: str, before: str) -> Iterator[Due]:
        """The deadlines about partitions between two keys, both left out, oldest first."""
        last = date.fromisoformat(before) + timedelta(days=self.offset_days)
        day = self.calendar.after(date.fromisoformat(after) + timedelta(days=self.offset_days))
        while day < last:
            yield self.due_on(day)
            day = self.calendar.after(day)
