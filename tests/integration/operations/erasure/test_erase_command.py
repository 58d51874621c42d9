"""`hotdash erase`: what it refuses, what it lists, and the files that hold a conversation."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.cli import app
from hotdash_pipelines.operations.erasure import holders as erase_holders
from hotdash_pipelines.operations.erasure import run as erase
from hotdash_pipelines.operations.erasure.holders import rows_about
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.integration.operations.erasure.test_erase import GONE, KEPT, fill, held

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
TWO = ("--approved-by", "Ada", "--approved-by", "Grace")


@pytest.fixture
def hotdash(warehouse_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command in this process, on the test's database."""
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_FIXED_NOW", NOW.isoformat())

    def run(*arguments: str) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(app, ["erase", *arguments])

    yield run
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def made(warehouse: Any) -> Iterator[list[str]]:
    """Names of databases that the test made; they are dropped."""
    names: list[str] = []
    yield names
    for name in names:
        warehouse.execute(f'drop database if exists "{name}"'.encode())


def archive(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd", write_page_checksum=True)


def test_two_people_erase_a_conversation_and_the_record_names_the_files(
    hotdash: Any, warehouse: Any, tmp_path: Path, made: list[str]
) -> None:
    fill(warehouse, GONE, KEPT)
    before, others = held(warehouse, GONE), held(warehouse, KEPT)
    archive(tmp_path / "archive/agent_queries/20261001/part-0001-a.parquet", conversation_id=[GONE, KEPT, GONE, None])
    archive(tmp_path / "archive/agent_feedback/20261001/part-0001-b.parquet", conversation_id=[KEPT])
    (tmp_path / "archive/agent_feedback/20261001/part-0002-c.parquet").write_bytes(b"cut off")
    named = [json.dumps({"conversation": 42}), json.dumps({"conversation": KEPT, "note": "42"}), None, "[42]"]
    archive(tmp_path / "archive/observability_logs/20261001/part-0001-d.parquet", metadata=named)
    for name in ("backups/20261119T020000Z-00000000", "backups/rollback-20261101T000000Z-0003", "backups/erasures"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "exports/training_data_20261101_000000-0123456789abcdef").mkdir(parents=True)
    kept = f"{warehouse.info.dbname}_before_20261118T020000Z-00000000"
    for name in (kept, f"{kept}_of_somebody", f"other_{kept}"):
        made.append(name)
        warehouse.execute(f'create database "{name}" template template0'.encode())
    expected = [
        {"kind": "archive", "name": "agent_feedback/20261001/part-0002-c.parquet", "rows": None},
        {"kind": "archive", "name": "agent_queries/20261001/part-0001-a.parquet", "rows": 2},
        {"kind": "archive", "name": "observability_logs/20261001/part-0001-d.parquet", "rows": 1},
        {"kind": "backup", "name": "20261119T020000Z-00000000", "rows": None},
        {"kind": "database", "name": kept, "rows": None},
        {"kind": "export", "name": "training_data_20261101_000000-0123456789abcdef", "rows": None},
        {"kind": "rollback", "name": "rollback-20261101T000000Z-0003", "rows": None},
    ]

    planned = json.loads(hotdash("--subject", GONE, *TWO, "--dry-run", "--json").stdout)
    assert (planned["dry_run"], planned["erased_now"], planned["erasure"]) == (True, False, None)
    assert {table: rows for table, rows in planned["found_rows"].items() if rows} == before
    assert sorted(planned["holders"], key=lambda one: (one["kind"], one["name"])) == expected
    assert held(warehouse, GONE) == before
    assert erase.listed(warehouse) == []

    command = hotdash("--subject", GONE, *TWO, "--reason", "asked by letter", "--yes", "--json")
    assert command.exit_code == 0, command.stderr
    done = json.loads(command.stdout)
    assert (done["dry_run"], done["erased_now"]) == (False, True)
    assert done["erasure"]["holders"] == expected
    assert held(warehouse, GONE) == {}
    assert held(warehouse, KEPT) == others
    (entry,) = erase.listed(warehouse)
    assert entry.as_json() == done["erasure"]
    assert len(list((tmp_path / "backups/erasures").iterdir())) == 1

    again = json.loads(hotdash("--subject", GONE, *TWO, "--yes", "--json").stdout)
    assert (again["erased_now"], again["erasure"]["erasure_id"]) == (False, entry.erasure_id)
    shown = json.loads(hotdash("list", "--json").stdout)["erasures"]
    assert shown == [entry.as_json()]
    assert "approved by Ada and Grace" in hotdash("list").stdout


@pytest.mark.parametrize(
    "arguments, code, reason",
    [
        (("--subject", GONE, "--approved-by", "Ada", "--yes"), 3, "two people"),
        (("--subject", GONE, "--yes"), 3, "two people"),
        (("--subject", GONE, "--approved-by", "Ada", "--approved-by", " ADA", "--yes"), 3, "by the same one"),
        (("--subject", GONE, *TWO), 3, "nobody can be asked"),
        (("--subject", GONE, *TWO, "--json"), 3, "nobody can be asked"),
        (("--subject", GONE, *TWO, "--approved-by", "Eve", "--yes"), 2, "exactly twice"),
        ((*TWO, "--yes"), 2, "--subject"),
        (("--subject", " ", *TWO, "--yes"), 2, "--subject"),
        (("--subject", "999", *TWO, "--yes"), 1, "look at its number"),
    ],
)
def test_what_it_refuses_changes_nothing(
    arguments: tuple[str, ...], code: int, reason: str, hotdash: Any, warehouse: Any, tmp_path: Path
) -> None:
    fill(warehouse, GONE)
    before = held(warehouse, GONE)
    done = hotdash(*arguments)
    assert (done.exit_code, reason in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert held(warehouse, GONE) == before
    assert erase.listed(warehouse) == []
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("left", [True, False])
def test_rows_that_retention_archives_meanwhile_are_listed(
    left: bool, hotdash: Any, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if left:
        fill(warehouse, GONE)
    path = "agent_feedback/20261001/part-0001-a.parquet"
    real_find = erase_holders.find

    def find(subject: str, **options: Any) -> Any:
        holders = real_find(subject, **options)
        archive(tmp_path / "archive" / path, conversation_id=[GONE])
        return holders

    monkeypatch.setattr(erase_holders, "find", find)
    done = json.loads(hotdash("--subject", GONE, *TWO, "--yes", "--json").stdout)
    assert done["erasure"]["holders"] == [{"kind": "archive", "name": path, "rows": 1}]
    assert erase.listed(warehouse)[0].as_json() == done["erasure"]


def test_a_restored_backup_does_not_bring_it_back_even_when_the_record_is_lost(
    hotdash: Any, warehouse: Any, warehouse_url: str
) -> None:
    fill(warehouse, GONE, KEPT)
    others = held(warehouse, KEPT)
    assert CliRunner().invoke(app, ["backup", "create"]).exit_code == 0
    assert hotdash("--subject", GONE, *TWO, "--yes").exit_code == 0
    # As if the database had been lost: only the copy beside the backups knows of the erasure.
    warehouse.execute("delete from ops.erasures")
    warehouse.close()
    command = CliRunner().invoke(app, ["restore", "--backup-id", "latest", "--replace", "--yes", "--json"])
    assert command.exit_code == 0, command.stderr
    restored = json.loads(command.stdout)
    assert restored["erased_again"] == 1
    with connect(warehouse_url, autocommit=True) as conn:
        assert held(conn, GONE) == {}
        assert held(conn, KEPT) == others
        assert [entry.subject for entry in erase.listed(conn)] == [GONE]
    with connect(with_database(warehouse_url, "postgres"), autocommit=True) as admin:
        admin.execute(f'drop database "{restored["kept_as"]}"')


@pytest.mark.parametrize(
    "text, rows",
    [
        ('{"conversation": "42"}', 1),
        ('{"conversation_id": 42}', 1),
        ('{"conversation_id": 42.0}', 0),
        ('{"conversation": "421", "note": "42"}', 0),
        ('{"inner": {"conversation": "42"}}', 0),
        ('["42"]', 0),
        ("42", 0),
    ],
)
def test_archived_json_is_read_as_the_database_reads_it(text: str, rows: int, warehouse: Any, tmp_path: Path) -> None:
    archive(tmp_path / "a.parquet", payload=[text])
    assert rows_about(GONE, tmp_path / "a.parquet") == rows
    warehouse.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', %s)", (text,))
    assert erase.count(warehouse, GONE)["facts"] == rows


def test_json_too_deep_for_python_is_listed_as_may_hold(tmp_path: Path) -> None:
    """The database takes thousands of levels; an erasure must not end because a row somewhere has them."""
    text = f'{{"note": {"[" * 3000}"{GONE}"{"]" * 3000}}}'
    archive(tmp_path / "a.parquet", value=[text, None])
    assert rows_about(GONE, tmp_path / "a.parquet") is None
