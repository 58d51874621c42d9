"""How SLA files spell things.

Belongs here: durations, clock times, names; the strict base of the models. Does not belong here: what they mean.
"""

import re
from datetime import time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints

from hotdash_pipelines.base.errors import HotdashError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
# More is a slip of the pen, and sums with it leave the calendar.
LONGEST = timedelta(days=36_500)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class SlaError(HotdashError):
    """An SLA cannot be read or used. One line: the file and entry, or the SLA, and what to do."""


class Strict(BaseModel):
    """A frozen model that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write it as 90s, 15m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = 86400 * days + 3600 * hours + 60 * minutes + seconds
    if total > LONGEST.total_seconds():
        raise ValueError(f"{value!r} is longer than {LONGEST.days} days")
    return timedelta(seconds=total)


def _clock(value: object) -> object:
    if isinstance(value, time):
        return value
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        # YAML reads 16:00 without quotes as the number 960.
        raise ValueError(f'{value!r} is no time of day; write it in quotes, such as "06:00"')
    return time(int(found[1]), int(found[2]))


def _spelled(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Berlin") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_spelled, when_used="json")]
ClockTime = Annotated[
    time, BeforeValidator(_clock), PlainSerializer(lambda clock: f"{clock:%H:%M}", when_used="json-unless-none")
]
ZoneName = Annotated[str, AfterValidator(_zone)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,58}$")]
Dataset = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*$")]
