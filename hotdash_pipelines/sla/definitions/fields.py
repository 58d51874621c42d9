"""How SLA files spell things.

Belongs here: clock times, zones, names; the strict base of the models. Does not belong here: what they mean, how a
length of time is read (base/durations.py).
"""

import re
from datetime import time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints

from hotdash_pipelines.base.durations import FORM, parse_duration, spell_duration
from hotdash_pipelines.base.errors import HotdashError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class SlaError(HotdashError):
    """An SLA cannot be read or used. One line: the file and entry, or the SLA, and what to do."""


class Strict(BaseModel):
    """A frozen model that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration; write it as {FORM}")
    return parse_duration(value)


def _clock(value: object) -> object:
    if isinstance(value, time):
        return value
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        # YAML reads 16:00 without quotes as the number 960.
        raise ValueError(f'{value!r} is no time of day; write it in quotes, such as "06:00"')
    return time(int(match[1]), int(match[2]))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Berlin") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(spell_duration, when_used="json")]
ClockTime = Annotated[
    time, BeforeValidator(_clock), PlainSerializer(lambda clock: f"{clock:%H:%M}", when_used="json-unless-none")
]
ZoneName = Annotated[str, AfterValidator(_zone)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,58}$")]
Dataset = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*$")]
