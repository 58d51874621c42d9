"""One business day of the store, and the instants it covers.

Belongs here: the arithmetic between a partition key and its window; every room may use it.
Does not belong here: Dagster's partitions definition (partitions.py), cursors and paging of a source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, order=True)
class Window:
    """One business day of the store: `key` is its date, `[start, end)` the UTC instants it covers (23 to 25 hours).

    `is_open` is set on what a source is asked for while the day is not over: rows come to it while it is read.
    """

    key: str
    start: datetime
    end: datetime
    is_open: bool = False

    @property
    def day(self) -> date:
        """The business date."""
        return date.fromisoformat(self.key)

    def asked_at(self, now: datetime) -> "Window":
        """The window as a source is asked for it at `now`.

        While the day lasts it has no end within reach: a row that is touched while it is read stays in it, even if
        midnight passes meanwhile.
        """
        if now >= self.end:
            return self
        return replace(self, end=self.end + timedelta(days=1), is_open=True)


def window_of(key: str, zone: ZoneInfo) -> Window:
    """The window of a partition key `YYYY-MM-DD`: local midnight to local midnight, as UTC instants."""
    day = date.fromisoformat(key)
    return Window(key, _midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def last_complete_day(now: datetime, zone: ZoneInfo) -> date:
    """Yesterday in the store's zone: the newest day that can no longer grow by new events."""
    return current_day(now, zone) - timedelta(days=1)


def current_day(now: datetime, zone: ZoneInfo) -> date:
    """Today in the store's zone: the newest day that has begun, and is still open."""
    return now.astimezone(zone).date()


def days_ending(last: date, count: int) -> tuple[str, ...]:
    """The partition keys of the `count` days up to and including `last`, oldest first."""
    return tuple((last - timedelta(days=back)).isoformat() for back in range(count - 1, -1, -1))


def keys_between(first: str, last: str) -> Iterator[str]:
    """Every partition key from `first` to `last`, both included."""
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)
