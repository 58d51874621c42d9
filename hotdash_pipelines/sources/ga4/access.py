"""What the property lets us read, and whether its days are the store's.

Belongs here: what the answers so far say of the property. Does not belong here: asking for a report (client.py), how
it is shown (cli/doctor.py).
"""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.source import Limit


def limits(client: Ga4Client, store_timezone: str) -> Iterator[Limit]:
    """What stands between the property and the store's figures, after a `ping`."""
    zone = client.property_zone
    if zone is not None and not _have_same_days(zone, store_timezone, client.now().year):
        yield Limit(
            f"the store's time zone ({store_timezone}; the property's is {zone})",
            "a date of sessions is not the day of the sales beside it",
            "set the property's reporting time zone in Google Analytics (Admin, Property details)",
            is_fatal=False,
        )
    if client.resume_at is not None and client.resume_at > client.now():
        yield Limit(
            "more quota",
            f"reports wait until {client.resume_at:%Y-%m-%d %H:%M} UTC",
            "others read the property too, or many days were asked for; the nightly run goes on by itself",
            is_fatal=False,
        )


def _have_same_days(one: str, other: str, year: int) -> bool:
    """Whether midnight is the same instant in both zones, whatever they are called."""
    try:
        zones = ZoneInfo(one), ZoneInfo(other)
    except (KeyError, ValueError):
        return one == other
    midnights = ([datetime(year, month, 15, tzinfo=zone) for zone in zones] for month in range(1, 13))
    return all(first.utcoffset() == second.utcoffset() for first, second in midnights)
