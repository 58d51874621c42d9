"""How measurements become ratios."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.ingest import Measurement, summarise
from benchmarks.paths import PATHS, Stages, peak_mib

ROOT = Path(__file__).parents[3]


def measured(path: str, seconds: float, *, orders: int = 100, work: float = 1.0) -> Measurement:
    return Measurement(path, orders, seconds, work / 2, work / 2, 40.0, 50.0 * seconds, {"load": seconds / 2})


def test_ratios_are_taken_within_a_round_so_that_a_slow_round_changes_nothing() -> None:
    rounds = [[measured("ours", s), measured("floor", 2 * s), measured("dlt_arrow", 5 * s)] for s in (1.0, 9.0, 1.1)]
    ours, floor, arrow = summarise(rounds)
    assert (ours.to_ours, floor.to_ours) == (1.0, 2.0)
    assert (arrow.to_ours, arrow.to_floor) == (pytest.approx(5.0), pytest.approx(2.5))
    assert arrow.seconds == pytest.approx(5.5)
    # What is held against a limit is the worst of all rounds.
    assert (arrow.peak_mib, arrow.beyond_base_mib) == (pytest.approx(50 * 5.5), pytest.approx(50 * 45.0 - 40))
    assert arrow.stages == {"load": pytest.approx(2.75)}


def test_a_path_measured_with_fewer_orders_is_compared_by_its_time_an_order() -> None:
    one = [measured("ours", 10.0, orders=100), measured("floor", 10.0, orders=100)]
    slow = measured("dlt_json", 30.0, orders=10, work=3.0)
    result = summarise([[*one, slow], one])[2]
    assert result.to_ours == pytest.approx(30.0)
    assert result.work_to_ours == pytest.approx(30.0)
    assert (result.orders, result.runs) == (10, 1)


def test_stages_add_up_and_memory_is_this_process_own() -> None:
    stages = Stages()
    for _ in range(2):
        with stages.time("parse"):
            pass
    assert list(stages.seconds) == ["parse"]
    assert 10 < peak_mib() < 100_000


def test_an_unknown_path_is_refused_before_anything_is_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", "--paths", "ours,fastest"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown path fastest; known: " + ", ".join(PATHS) in done.stderr
