"""Words that every kind of news shares.

Belongs here: instants, lengths of time, lists of names. Does not belong here: what is told with them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def utc(moment: datetime) -> str:
    """An instant: `2026-03-10 09:12 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def store_time(moment: datetime, zone: ZoneInfo) -> str:
    """An instant as the store's clock shows it, and in UTC."""
    local, universal = moment.astimezone(zone), moment.astimezone(UTC)
    if local.utcoffset() == universal.utcoffset():
        return utc(moment)
    other_day = f"{universal:%m-%d} " if local.date() != universal.date() else ""
    return f"{local:%Y-%m-%d %H:%M %Z} ({other_day}{universal:%H:%M} UTC)"


def listed(names: Sequence[str], shown: int) -> str:
    """The first names, and how many there are beyond them."""
    first = ", ".join(names[:shown])
    return first if len(names) <= shown else f"{first} and {len(names) - shown} more"
