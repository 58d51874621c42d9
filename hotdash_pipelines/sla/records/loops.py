"""Whether the loops that watch are running: the evaluation of SLAs, and the delivery of what it has to tell.

Belongs here: how often each takes its turn, and when it counts as stopped. Does not belong here: the rows of
ops.heartbeats (heartbeat.py), taking the turns (defs). Nothing of the orchestrator is needed to ask.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hotdash_pipelines.base.durations import lasted
from hotdash_pipelines.sla.engine.verdict import CLOCK_SKEW
from hotdash_pipelines.sla.records.heartbeat import DELIVERY, EVALUATION, EVALUATION_SECONDS

# Its sensor asks more often, but a turn that waits for Slack lasts.
DELIVERY_SECONDS = 60
TURNS_MISSED = 3
_EVERY = {EVALUATION: EVALUATION_SECONDS, DELIVERY: DELIVERY_SECONDS}


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop: when it last took its turn (None: never), how long that may be ago, and whether that is so."""

    name: str
    beat_at: datetime | None
    allowed: timedelta
    ok: bool
    message: str


def loops(beats: Mapping[str, datetime], now: datetime) -> list[Loop]:
    """How every loop stands at `now` (aware); `beats` is what `heartbeats` reads."""
    return [
        _loop(name, beats.get(name), timedelta(seconds=TURNS_MISSED * every), now) for name, every in _EVERY.items()
    ]


def _loop(name: str, beat_at: datetime | None, allowed: timedelta, now: datetime) -> Loop:
    if beat_at is None:
        return Loop(name, None, allowed, False, f"{name} has never run")
    since = now - beat_at
    if since < -CLOCK_SKEW:
        message = f"{name} last ran {lasted(-since)} in the future: compare the clocks of this machine and the daemon's"
        return Loop(name, beat_at, allowed, False, message)
    message = f"{name} ran {_exactly(since)} ago (at most {_exactly(allowed)})"
    return Loop(name, beat_at, allowed, since <= allowed, message)


def _exactly(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    return f"{seconds} s" if seconds < 600 else lasted(length)
