"""Who may import whom is enforced: the shipped tree passes, and a planted violation fails, each with its own tool."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hotdash_pipelines.settings import PROJECT_ROOT

TOOLS = Path(sys.executable).parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package with its rules."""
    shutil.copytree(
        PROJECT_ROOT / "hotdash_pipelines", tmp_path / "hotdash_pipelines", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(PROJECT_ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(tool: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [TOOLS / tool, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def plant(tree: Path, module: str, line: str) -> None:
    """Put a line behind the module's docstring."""
    path = tree / "hotdash_pipelines" / module
    head, docstring, body = path.read_text().split('"""', 2)
    path.write_text(f'{head}"""{docstring}"""\n\n{line}\n{body}')


def test_the_shipped_tree_keeps_its_import_rules(tree: Path) -> None:
    ran = run("lint-imports", tree, "--no-cache")
    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout


@pytest.mark.parametrize(
    "module, line, rule",
    [
        ("base/windows.py", "from hotdash_pipelines.settings import Settings", "Seven floors"),
        ("contracts/parse.py", "from hotdash_pipelines.sources import fetcher", "Seven floors"),
        ("sla/engine/tick.py", "from hotdash_pipelines.alerts import outbox", "Seven floors"),
        ("lake/partition.py", "from hotdash_pipelines.warehouse.loading import load", "Seven floors"),
        ("quality/run.py", "from hotdash_pipelines.operations import housekeeping", "Seven floors"),
        ("orchestration/keys.py", "from hotdash_pipelines.defs import schedules", "Seven floors"),
        ("local/serve.py", "from hotdash_pipelines.cli import up", "Seven floors"),
        ("sources/http.py", "import dagster", "Only the upper floors know Dagster"),
        ("services/slas.py", "from dagster_dbt import DbtProject", "Only the upper floors know Dagster"),
        ("demo/app.py", "from hotdash_pipelines.settings import Settings", "Seven floors"),
        ("services/slas.py", "from hotdash_pipelines.demo import app", "The stand-in store is reached over HTTP only"),
        ("lake/partition.py", "import psycopg", "Sources and the lake know no database"),
        ("defs/raw/tables.py", "from hotdash_pipelines.defs.ingest import lake", "Rooms of the Dagster skin refer"),
    ],
)
def test_a_planted_forbidden_import_is_found(tree: Path, module: str, line: str, rule: str) -> None:
    plant(tree, module, line)
    ran = run("lint-imports", tree, "--no-cache")
    assert ran.returncode == 1
    broken = [entry for entry in ran.stdout.splitlines() if entry.endswith("BROKEN")]
    assert any(entry.startswith(rule) for entry in broken), ran.stdout


@pytest.mark.parametrize("room", ["portal", "base/new/deeper"])
def test_a_room_without_a_floor_is_found(tree: Path, room: str) -> None:
    """A new package at the top is refused; one inside a room stands on that room's floor."""
    folder = tree / "hotdash_pipelines" / room
    folder.mkdir(parents=True)
    for new in (folder, *folder.parents):
        if new == tree / "hotdash_pipelines":
            break
        (new / "__init__.py").touch()
    ran = run("lint-imports", tree, "--no-cache")
    assert ran.returncode == (0 if "/" in room else 1), ran.stdout
    if ran.returncode:
        assert f"hotdash_pipelines.{room}" in ran.stdout


def test_a_planted_import_of_dagsters_private_parts_is_found(tree: Path) -> None:
    plant(tree, "local/serve.py", "from dagster._core.utils import make_new_run_id")
    ran = run("ruff", tree, "check", "--no-cache", "hotdash_pipelines")
    assert ran.returncode == 1
    assert "TID251" in ran.stdout


def test_the_shipped_tree_imports_nothing_heavy_at_module_level(tree: Path) -> None:
    assert run("ruff", tree, "check", "--no-cache", "--select", "TID", ".").returncode == 0


@pytest.mark.parametrize("package", ["pandas", "great_expectations", "boto3", "adbc_driver_postgresql", "alembic"])
def test_a_planted_heavy_import_at_module_level_is_found(tree: Path, package: str) -> None:
    plant(tree, "ingest/run.py", f"import {package}")
    ran = run("ruff", tree, "check", "--no-cache", ".")
    assert ran.returncode == 1
    assert "TID253" in ran.stdout


def test_the_check_target_runs_both_tools() -> None:
    target = (PROJECT_ROOT / "Makefile").read_text()
    assert "$(BIN)/lint-imports" in target
    assert "$(BIN)/ruff check ." in target
