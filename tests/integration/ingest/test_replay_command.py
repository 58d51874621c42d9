"""`hotdash lake replay` as a user runs it: kept pages become rows anew, in the memory and the folder that are set."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.cli import app
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.ingest.run import ingest_window
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.storage import FolderStore, Workspace
from tests.synthetic import KEY, contract_of, window

AGENTS = contract_of("chatwoot", "agents")
NOW = datetime(2025, 3, 2, 4, tzinfo=UTC)
NEXT = "2025-03-02"
PAGE = json.dumps(
    {"payload": [{"id": 1, "name": "A", "role": "agent"}, {"id": 2, "name": None, "role": "agent"}]}
).encode()
LANDED = "select agent_id, name from raw_chatwoot.agents order by 1"


@pytest.fixture
def home(warehouse_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A home whose lake holds two days; the contract of those days refused agents without a name."""
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_INGEST_MEMORY_MIB", "96")
    get_settings.cache_clear()
    store = FolderStore(tmp_path / "home" / "lake")
    for key, now in ((KEY, NOW), (NEXT, NOW.replace(day=3))):
        ingest_window(_strict(AGENTS), None, _fetch, store, get_settings().project, window(key), now)
    yield tmp_path / "home"
    get_settings.cache_clear()


def _strict(contract: Contract) -> Contract:
    fields = tuple(f.model_copy(update={"nullable": False}) if f.name == "name" else f for f in contract.table.fields)
    return contract.model_copy(update={"table": contract.table.model_copy(update={"fields": fields})})


def _fetch(*_: object) -> Fetched:
    return Fetched([PAGE], 1, None, "v1", None)


def replay(*more: str, first: str = KEY, last: str = KEY) -> Result:
    days = ("--stream", "chatwoot/agents", "--from", first, "--to", last)
    return CliRunner().invoke(app, ["lake", "replay", *days, *more])


def test_a_mended_contract_lands_the_kept_records_of_the_days_asked_for(home: Path, warehouse: Any) -> None:
    would = replay("--dry-run")
    assert would.exit_code == 0, would.output
    assert f"chatwoot/agents {KEY}: would hold 2 rows (had 1), 0 in quarantine (had 1)" in would.output
    assert warehouse.execute("select to_regclass('raw_chatwoot.agents')").fetchone() == (None,)
    done = replay("--yes", "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["windows"]
    assert (told["key"], told["rows_before"], told["rows"], told["quarantined"]) == (KEY, 1, 2, 0)
    assert warehouse.execute(LANDED).fetchall() == [(1, "A"), (2, None)]
    assert warehouse.execute("select window_key from ops.lake_loads").fetchall() == [(KEY,)]
    waiting = [path.parent.name for path in (home / "lake" / "quarantine").rglob("records-*")]
    assert waiting == [f"window={NEXT}"]


def test_a_replay_takes_no_more_memory_and_no_other_folder_than_are_set(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[str, set[Workspace]] = {"group_bytes": set(), "batch_bytes": set(), "unnamed_file": set()}

    def noted(name: str, real: Callable[[Workspace], Any]) -> Callable[[Workspace], Any]:
        return lambda workspace: (used[name].add(workspace), real(workspace))[1]

    for name in ("group_bytes", "batch_bytes"):
        monkeypatch.setattr(Workspace, name, property(noted(name, getattr(Workspace, name).fget)))
    monkeypatch.setattr(Workspace, "unnamed_file", noted("unnamed_file", Workspace.unnamed_file))
    assert replay("--yes").exit_code == 0
    assert used == {name: {Workspace(home / "scratch", 96 << 20)} for name in used}
    assert list((home / "scratch").iterdir()) == []
