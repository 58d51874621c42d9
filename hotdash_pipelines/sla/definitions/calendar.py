"""Local clocks: deadlines, quiet hours and maintenance windows as UTC instants.

Belongs here: arithmetic between wall clocks and instants. Does not belong here: what an SLA does with them.

Two nights a year a wall clock skips or repeats an hour. A time that does not exist is read with the offset before the
change (02:30 becomes 03:30 of the new time); of a time that comes twice a start is the first, an end or deadline the
second: nothing is late while the clock on the wall may still show the promised time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from hotdash_pipelines.sla.definitions.fields import DAYS, ClockTime, Day, Strict, ZoneName

# The longest stretch without a day that a calendar may have: the 29th of February, with room.
_LONGEST_PAUSE_DAYS = 366 * 8 + 2
# Windows that follow each other without a gap are one; two that fill the day have no end.
_LONGEST_WINDOW = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Due:
    """One deadline: the partition it is about, its local `day`, from when a success counts, and the deadline (UTC)."""

    partition: str
    day: date
    opens_at: datetime
    deadline: datetime


class Calendar(Strict):
    """The days that have a deadline: weekdays, days of the month (either will do), all when neither is given; never a
    day of `skip`."""

    days: tuple[Day, ...] = ()
    month_days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = ()
    skip: tuple[date, ...] = ()

    def has(self, day: date) -> bool:
        """Whether `day` has a deadline."""
        if day in self.skip:
            return False
        if not self.days and not self.month_days:
            return True
        return DAYS[day.weekday()] in self.days or day.day in self.month_days

    def on_or_before(self, day: date) -> date:
        """The last day with a deadline up to `day`, included. Raises ValueError when there is none within 8 years."""
        return self._walk(day, -1)

    def after(self, day: date) -> date:
        """The first day with a deadline after `day`. Raises ValueError when there is none within 8 years."""
        return self._walk(day + timedelta(days=1), 1)

    def _walk(self, day: date, step: int) -> date:
        for _ in range(_LONGEST_PAUSE_DAYS):
            if self.has(day):
                return day
            day += timedelta(days=step)
        raise ValueError("the calendar has no day")


class CalendarWindow(Strict):
    """A stretch of every day, or of the given days of the week, by the wall clock; it may go past midnight.

    `days` are those on which it starts. `zone` is the SLA's when not given.
    """

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    days: tuple[Day, ...] = ()
    zone: ZoneName | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _has_length(self) -> "CalendarWindow":
        if self.start == self.end:
            raise ValueError("from and to are the same time")
        return self

    def around(self, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """Start and end (UTC) of the window that `now` lies in, None outside."""
        zone = ZoneInfo(self.zone) if self.zone else zone
        today = now.astimezone(zone).date()
        for day in (today, today - timedelta(days=1)):
            if self.days and DAYS[day.weekday()] not in self.days:
                continue
            last = day if self.start < self.end else day + timedelta(days=1)
            start, end = instant(day, self.start, zone), instant(last, self.end, zone, latest=True)
            if start <= now < end:
                return start, end
        return None


class Once(Strict):
    """One stretch of time, `[start, end)`. Times without an offset are in the SLA's zone."""

    start: datetime
    end: datetime
    reason: str = ""

    @field_validator("start", "end", mode="before")
    @classmethod
    def _no_bare_date(cls, value: Any) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            raise ValueError("give date and time, such as 2026-03-08 01:00")
        return value

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "Once":
        if (self.start.tzinfo is None) != (self.end.tzinfo is None):
            raise ValueError("give an offset for both start and end, or for neither")
        if self.end <= self.start:
            raise ValueError("end is not after start")
        return self

    def around(self, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """Start and end (UTC) when `now` lies between them, else None."""
        start, end = (
            moment.astimezone(UTC) if moment.tzinfo else instant(moment.date(), moment.time(), zone, latest=latest)
            for moment, latest in ((self.start, False), (self.end, True))
        )
        return (start, end) if start <= now < end else None


def _form(value: Any) -> str:
    return "once" if isinstance(value, Once) or (isinstance(value, dict) and "start" in value) else "weekly"


Maintenance = Annotated[Annotated[CalendarWindow, Tag("weekly")] | Annotated[Once, Tag("once")], Discriminator(_form)]


def instant(day: date, clock: time, zone: ZoneInfo, *, latest: bool = False) -> datetime:
    """When the wall clock of `zone` shows `clock` on `day`, in UTC; `latest` takes the second of two."""
    local = datetime.combine(day, clock, tzinfo=zone)
    first = local.astimezone(UTC)
    if not latest:
        return first
    return max(first, local.replace(fold=1).astimezone(UTC))


def window_end(windows: tuple[CalendarWindow | Once, ...], now: datetime, zone: ZoneInfo) -> datetime | None:
    """When the windows around `now` are over, one running into the next included; None when `now` is in none."""
    end = now
    while end - now < _LONGEST_WINDOW and (
        ends := [found[1] for window in windows if (found := window.around(end, zone))]
    ):
        end = max(ends)
    return end if end > now else None
