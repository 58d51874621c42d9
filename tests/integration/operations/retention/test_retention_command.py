"""`hotdash retention`: what it says, what it refuses, and that a dry run changes nothing."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.cli import app
from hotdash_pipelines.operations.restore import check as restore_check
from hotdash_pipelines.settings import get_settings
from tests.integration.operations.retention.retention_rows import put, texts

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=200)
Run = Callable[..., Result]


@pytest.fixture
def hotdash(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test's database and a home of its own; restore tests are taken as passed."""
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setattr(restore_check, "restore_test", lambda *_, **__: None)

    def run(*arguments: str) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(app, arguments)

    yield run
    get_settings.cache_clear()


def _everything(conn: "psycopg.Connection[Any]", home: Path) -> tuple[object, ...]:
    """All rows of the tables concerned and all files below the home."""
    tables = ("agent_feedback", "agent_approvals", "agent_queries", "agent_queries_history", "observability_logs")
    runs = conn.execute("select count(*) from ops.retention_runs").fetchall()
    files = sorted((str(path), path.stat().st_mtime_ns) for path in home.rglob("*")) if home.exists() else []
    return *(texts(conn, table) for table in tables), runs, files


def test_a_plan_and_a_dry_run_change_nothing_and_need_no_backup(
    warehouse: "psycopg.Connection[Any]", hotdash: Run, tmp_path: Path
) -> None:
    put(warehouse, "agent_queries", OLD)
    put(warehouse, "agent_feedback", OLD)
    put(warehouse, "agent_feedback", NOW)
    before = _everything(warehouse, tmp_path / "home")
    for arguments in (("plan",), ("run", "--dry-run")):
        plan = json.loads(hotdash("retention", *arguments, "--json").stdout)
        assert plan["rows"] == 3
        assert {one["table"]: one["rows"] for one in plan["tables"]} == {
            "agent_feedback": 1, "agent_approvals": 0, "agent_queries": 1, "agent_queries_history": 1,
        }  # fmt: skip
        shown = hotdash("retention", *arguments)
        assert shown.exit_code == 0
        assert "3 rows are too old" in shown.stdout
    assert _everything(warehouse, tmp_path / "home") == before


def test_a_run_is_refused_until_the_days_backup_stands(
    warehouse: "psycopg.Connection[Any]", hotdash: Run, tmp_path: Path
) -> None:
    put(warehouse, "agent_queries", OLD)
    put(warehouse, "agent_queries", NOW)
    refused = hotdash("retention", "run")
    assert refused.exit_code == 3
    assert "--dry-run" in refused.stderr
    before = _everything(warehouse, tmp_path / "home")
    refused = hotdash("retention", "run", "--yes")
    assert refused.exit_code == 3
    assert "hotdash backup create" in refused.stderr
    assert len([line for line in refused.stderr.splitlines() if "refus" in line or "hotdash:" in line]) == 1
    assert _everything(warehouse, tmp_path / "home") == before

    assert hotdash("backup", "create").exit_code == 0
    done = hotdash("retention", "run", "--yes", "--json")
    assert done.exit_code == 0, done.stderr
    rows_of = {one["table"]: one["rows"] for one in json.loads(done.stdout)["tables"]}
    assert rows_of["agent_queries"] == {"agent_queries": 1, "agent_queries_history": 1}
    assert len(texts(warehouse, "agent_queries")) == 1
    # Again: there is nothing left, so nothing is asked of a backup.
    warehouse.execute("truncate ops.backup_runs")
    assert hotdash("retention", "run", "--yes").exit_code == 0

    verified = hotdash("retention", "verify", "--json")
    assert verified.exit_code == 0
    assert {one["state"] for one in json.loads(verified.stdout)["archives"]} == {"kept"}
    archive = next((tmp_path / "home" / "archive").rglob("*.parquet"))
    archive.write_bytes(archive.read_bytes()[:-1])
    for verb in ("verify", "archives"):
        damaged = hotdash("retention", verb)
        assert damaged.exit_code == 1
        assert "damaged" in damaged.stdout


def test_only_the_tables_that_were_named_are_visited(warehouse: "psycopg.Connection[Any]", hotdash: Run) -> None:
    put(warehouse, "agent_feedback", OLD)
    put(warehouse, "agent_approvals", OLD)
    assert hotdash("backup", "create").exit_code == 0
    assert hotdash("retention", "run", "--yes", "--table", "agent_feedback").exit_code == 0
    assert len(texts(warehouse, "agent_feedback")) == 0
    assert len(texts(warehouse, "agent_approvals")) == 1
    wrong = hotdash("retention", "plan", "--table", "facts")
    assert wrong.exit_code == 2
    assert "no rule for facts" in wrong.stderr


def test_leftovers_are_shown_and_cleared(warehouse: "psycopg.Connection[Any]", hotdash: Run, tmp_path: Path) -> None:
    put(warehouse, "agent_feedback", OLD)
    before = texts(warehouse, "agent_feedback")
    assert hotdash("backup", "create").exit_code == 0
    assert hotdash("retention", "run", "--yes").exit_code == 0
    # As if the run had been stopped before it was committed.
    warehouse.execute("truncate ops.retention_runs")
    assert hotdash("retention", "clean").stdout.strip() == "removed 0 archives that no run committed"
    put(warehouse, "agent_feedback", OLD, id=next(iter(before)))
    assert hotdash("retention", "archives").exit_code == 1
    assert hotdash("retention", "clean", "--dry-run").stdout.endswith("would remove 1 archives that no run committed\n")
    assert hotdash("retention", "clean").stdout.endswith("removed 1 archives that no run committed\n")
    assert hotdash("retention", "archives").exit_code == 0
    assert not list((tmp_path / "home" / "archive").rglob("*.parquet"))
