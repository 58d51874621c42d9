"""Lengths of time: how people write them, how they are written back, how they are told.

Belongs here: the one reader and the spellers that every room uses. Does not belong here: what a length means, limits of
a setting, instants and windows (windows.py).
"""

import re
from datetime import timedelta

FORM = "90s, 15m, 1h30m or 2d"
# More is a slip of the pen, and sums with it leave the calendar.
LONGEST = timedelta(days=36_500)

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def is_duration(text: str) -> bool:
    """Whether `text` is written as a length of time, however long."""
    return bool(text) and _DURATION.fullmatch(text) is not None


def parse_duration(text: str) -> timedelta:
    """A length written as 90s, 15m, 1h30m or 2d. Raises ValueError, also for more than LONGEST."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is no duration; write it as {FORM}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = 86400 * days + 3600 * hours + 60 * minutes + seconds
    if total > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than {LONGEST.days} days")
    return timedelta(seconds=total)


def spell_duration(length: timedelta) -> str:
    """The form that `parse_duration` reads: `1h30m`."""
    seconds = int(length.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def lasted(length: timedelta | None) -> str:
    """As a message tells it: `40 s`, `42 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, int(length.total_seconds())) if length else 0
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    big, small = (f"{hours} h", f"{minutes % 60} min") if hours < 24 else (f"{days} d", f"{hours % 24} h")
    return big if small.startswith("0 ") else f"{big} {small}"


def roughly(seconds: float) -> str:
    """In the one unit that has at least two of it, for a figure that changes while one looks: `90 s`, `3 min`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
