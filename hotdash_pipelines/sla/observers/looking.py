"""Where an observer looks from: one connection, one instant, one store.

Belongs here: what all observers are handed. Does not belong here: what they see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hotdash_pipelines.sla.definitions.calendar import Due, instant
from hotdash_pipelines.sla.observers.facts import Facts

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Looking:
    """`conn` is in autocommit; `zone` is the store's, in which its dates are."""

    conn: "psycopg.Connection[Any]"
    now: datetime
    project: str
    zone: ZoneInfo
    dues: Mapping[str, tuple[Due, ...]]
    facts: Facts

    def starts(self, day: date) -> datetime:
        """The midnight that begins a date of the store."""
        return instant(day, time(), self.zone)

    def ends(self, day: date) -> datetime:
        """The midnight that ends it."""
        return self.starts(day + timedelta(days=1))
