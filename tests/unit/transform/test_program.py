"""`hotdash-dbt` is dbt, and dbt is started by it."""

import subprocess
import sys
from pathlib import Path

import pytest

from hotdash_pipelines.transform.manifest import dbt_executable

_ASKED = """
import gc
import sys
from hotdash_pipelines.transform.program import main
sys.argv = ["hotdash-dbt", "--version"]
try:
    main()
finally:
    print("frozen", gc.get_freeze_count() > 100_000, "every", gc.get_threshold()[0])
"""


def test_dbt_is_started_by_our_program() -> None:
    assert Path(dbt_executable()).name == "hotdash-dbt"


def test_it_takes_dbts_arguments_and_looks_for_garbage_rarely() -> None:
    done = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "installed: 1." in done.stdout
    assert "frozen True every 50000" in done.stdout


def test_an_environment_without_it_takes_dbts_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dbt").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert dbt_executable() == str(tmp_path / "dbt")
