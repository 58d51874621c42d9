"""What a window takes in memory: no more than HOTDASH_INGEST_MEMORY_MIB beyond the base process, whatever its size."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEMORY = 112
# The window's rows alone are more than the memory.
LARGE = 160


def _beyond_base(folder: Path, url: str, how: str) -> float:
    program = [sys.executable, "-m", "tests.integration.ingest.measured_window"]
    done = subprocess.run(
        [*program, str(folder), url, str(LARGE), str(MEMORY), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_a_large_window_is_read_and_loaded_within_the_memory_that_is_set(warehouse_url: str, tmp_path: Path) -> None:
    assert _beyond_base(tmp_path, warehouse_url, "stream") <= MEMORY


@pytest.mark.parametrize("how", ["parse", "load"])
def test_who_takes_a_whole_window_into_memory_is_seen(warehouse_url: str, tmp_path: Path, how: str) -> None:
    assert _beyond_base(tmp_path, warehouse_url, how) > 1.25 * MEMORY
