"""The virtual clock every part of the stand-in reads the time from.

Belongs here: following or freezing time. Does not belong here: time zones and business days (see `world.shop`).
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """A clock that follows real time, or stands still where it was put.

    `VirtualClock()` follows real time; `advance` and `set` shift it and it keeps running from there.
    `VirtualClock(now)` is frozen at `now` (aware) and moves only by `advance` and `set`.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._frozen = None if now is None else _utc(now)

    @property
    def is_frozen(self) -> bool:
        """True if time passes only by `advance` and `set`."""
        return self._frozen is not None

    def now(self) -> datetime:
        """The current virtual instant, aware, in UTC."""
        with self._lock:
            return self._now()

    def advance(self, by: timedelta) -> None:
        """Move the clock by `by`; a negative step turns it back."""
        with self._lock:
            self._move_to(self._now() + by)

    def set(self, now: datetime) -> None:
        """Put the clock at `now` (aware); a clock that follows real time goes on running from there."""
        with self._lock:
            self._move_to(_utc(now))

    def _now(self) -> datetime:
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    def _move_to(self, target: datetime) -> None:
        if self._frozen is not None:
            self._frozen = target
        else:
            self._offset = target - datetime.now(UTC)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the virtual clock takes aware datetimes only")
    return moment.astimezone(UTC)
