"""`hotdash backup`: what it prints, and its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.operations.backup.files import DATA
from hotdash_pipelines.settings import get_settings


@pytest.fixture
def home(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_BACKUP_KEEP", "1")
    monkeypatch.setenv("HOTDASH_FIXED_NOW", "2026-11-20T02:00:00+00:00")
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def _run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["backup", *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def _json(*arguments: str, code: int = 0) -> Any:
    return json.loads(_run(*arguments, "--json", code=code))


def test_backups_are_made_listed_verified_and_pruned(home: Path) -> None:
    planned = _json("create", "--dry-run")
    assert "agent.agent_queries" in planned["tables"]
    assert not (home / "backups").exists()
    assert _json("list")["backups"] == []

    ids = sorted(_json("create")["id"] for _ in range(2))
    assert "tables in" in _run("create", "--tables", "agent_*")
    listed = _json("list")["backups"]
    assert [one["state"] for one in listed] == ["valid"] * 3
    assert {one["scope"] for one in listed} == {"operational", "tables"}
    for level in ((), ("--quick",)):
        assert _json("verify", ids[1], *level)["ok"]
    assert "decodes" in _run("verify", "latest")

    before = sorted(home.rglob("*"))
    assert ids[0] in _json("prune", "--dry-run")["removed"]
    _run("prune", code=3)
    _run("prune", "--json", code=3)
    assert sorted(home.rglob("*")) == before
    assert ids[0] in _json("prune", "--yes")["removed"]
    assert ids[0] not in _run("list")


def test_a_damaged_backup_is_an_error(home: Path) -> None:
    backup_id = _json("create")["id"]
    (home / "backups" / backup_id / DATA).write_bytes(b"short")
    assert "broken" in _run("list", code=1)
    answer = _json("verify", backup_id, code=1)
    assert answer["ok"] is False
    assert "bytes instead of" in answer["reason"]


@pytest.mark.parametrize(
    "arguments",
    [("verify", "../../etc"), ("create", "--full", "--tables", "x"), ("verify", "latest", "--quick", "--restore")],
)
@pytest.mark.usefixtures("home")
def test_wrong_usage_is_told_apart(arguments: tuple[str, ...]) -> None:
    assert _run(*arguments, code=2) == ""
