"""A simulation with --speed keeps the pace of what happened, divided."""

from datetime import UTC, datetime, timedelta

import pytest

from hotdash_pipelines.cli.sla.simulate import paced
from hotdash_pipelines.sla import Tick

START = datetime(2026, 2, 10, tzinfo=UTC)
TICKS = [(START + timedelta(minutes=minute), Tick({}, (), {}, {})) for minute in range(3)]


def test_a_minute_takes_a_second_at_sixty_times_the_speed() -> None:
    naps: list[float] = []
    assert list(paced(TICKS, 60, naps.append)) == TICKS
    # Nobody slept, so each nap is counted from the beginning.
    assert naps == pytest.approx([1, 2], abs=0.2)


def test_without_a_speed_nothing_waits() -> None:
    naps: list[float] = []
    assert list(paced(TICKS, None, naps.append)) == TICKS
    assert naps == []
