"""Nothing is deleted without a backup of the day that holds it, is whole, and was restored for a test."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.backup.files import BackupError
from hotdash_pipelines.operations.backup.run import create_backup
from hotdash_pipelines.operations.restore import check as restore_check
from hotdash_pipelines.operations.restore.swap import alone, server_url
from hotdash_pipelines.operations.retention.gate import standing_backup
from hotdash_pipelines.operations.retention.rules import RetentionRefused, rules
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect, libpq_env
from tests.integration.operations.retention.retention_rows import put, rule_of

NOW = datetime(2024, 3, 31, 3, tzinfo=UTC)
Connection = psycopg.Connection[Any]


@pytest.fixture
def backups(tmp_path: Path) -> FolderStore:
    """Where the backups of a test are."""
    return FolderStore(tmp_path / "backups")


@pytest.fixture
def restores(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Restore tests are noted instead of made; what they write is written."""
    made: list[str] = []

    def noted(url: str, store: object, backup_id: str, *, now: datetime, **_: object) -> None:
        made.append(backup_id)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("update ops.backup_runs set restore_tested_at = %s where backup_id = %s", (now, backup_id))

    monkeypatch.setattr(restore_check, "restore_test", noted)
    return made


def _backup(url: str, store: FolderStore, tmp_path: Path, at: datetime = NOW, **more: Any) -> str:
    return create_backup(url, store, now=at, scratch=tmp_path / "scratch", **more).id


def _gate(url: str, store: FolderStore, tmp_path: Path, now: datetime = NOW) -> str:
    return standing_backup(url, store, rules(), now=now, scratch=tmp_path / "scratch")


def test_the_newest_backup_of_the_day_stands_and_is_restored_once(
    warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str]
) -> None:
    _backup(warehouse_url, backups, tmp_path, NOW - timedelta(hours=2))
    newest = _backup(warehouse_url, backups, tmp_path, NOW - timedelta(hours=1))
    assert _gate(warehouse_url, backups, tmp_path) == newest
    assert _gate(warehouse_url, backups, tmp_path) == newest
    assert restores == [newest]


@pytest.mark.parametrize(
    "began",
    [
        datetime(2024, 3, 30, 23, 59, 59, tzinfo=UTC),
        # Its day is 31 March in Kolkata, and still the 30th in UTC.
        datetime.fromisoformat("2024-03-31T05:00+05:30"),
        NOW + timedelta(minutes=1),
        datetime(2024, 4, 1, tzinfo=UTC),
    ],
)
def test_a_backup_of_another_day_or_of_the_future_does_not_stand(
    warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str], began: datetime
) -> None:
    _backup(warehouse_url, backups, tmp_path, began)
    with pytest.raises(RetentionRefused, match=r"2024-03-31 \(UTC\).*hotdash backup create"):
        _gate(warehouse_url, backups, tmp_path)
    assert restores == []


def test_a_backup_of_some_tables_does_not_stand(
    warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str]
) -> None:
    _backup(warehouse_url, backups, tmp_path, scope="tables", tables=("agent_*",))
    with pytest.raises(RetentionRefused, match="no verified backup"):
        _gate(warehouse_url, backups, tmp_path)


@pytest.mark.parametrize("column", ["state = 'failed', error = 'x'", "pruned_at = now()"])
def test_a_failed_or_pruned_backup_does_not_stand(
    warehouse: Connection, warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str], column: str
) -> None:
    _backup(warehouse_url, backups, tmp_path)
    warehouse.execute(f"update ops.backup_runs set {column}".encode())
    with pytest.raises(RetentionRefused, match="no verified backup"):
        _gate(warehouse_url, backups, tmp_path)


@pytest.mark.parametrize("file", ["data.dump.zst", "manifest.json"])
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "changed"])
def test_a_backup_that_is_not_whole_does_not_stand(
    warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str], file: str, is_lost: bool
) -> None:
    number = _backup(warehouse_url, backups, tmp_path)
    path = tmp_path / "backups" / number / file
    data = bytearray(path.read_bytes())
    path.unlink()
    if not is_lost:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(RetentionRefused, match=f"{number} cannot be relied on"):
        _gate(warehouse_url, backups, tmp_path)
    assert restores == []


def test_a_backup_that_lacks_a_table_does_not_stand(
    warehouse: Connection, warehouse_url: str, tmp_path: Path, backups: FolderStore, restores: list[str]
) -> None:
    """A partition that came after the backup is not in it."""
    warehouse.execute("alter table agent.facts rename to facts_before")
    warehouse.execute("create table agent.facts (like agent.facts_before) partition by range (created_at)")
    warehouse.execute(
        "create table agent.facts_a partition of agent.facts for values from (minvalue) to ('2024-01-01')"
    )
    _backup(warehouse_url, backups, tmp_path)
    among = [rule_of("facts", retain_facts_days=1)]
    scratch = tmp_path / "scratch"
    assert standing_backup(warehouse_url, backups, among, now=NOW, scratch=scratch)
    warehouse.execute(
        "create table agent.facts_b partition of agent.facts for values from ('2024-01-01') to (maxvalue)"
    )
    with pytest.raises(RetentionRefused, match=r"does not hold agent\.facts_b"):
        standing_backup(warehouse_url, backups, among, now=NOW, scratch=scratch)


def test_a_backup_that_does_not_restore_does_not_stand(
    warehouse_url: str, tmp_path: Path, backups: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BackupError("its rows differ")

    monkeypatch.setattr(restore_check, "restore_test", broken)
    _backup(warehouse_url, backups, tmp_path)
    with pytest.raises(RetentionRefused, match="its rows differ"):
        _gate(warehouse_url, backups, tmp_path)


def test_the_backup_is_really_restored(
    warehouse: Connection, warehouse_url: str, tmp_path: Path, backups: FolderStore
) -> None:
    put(warehouse, "agent_feedback", NOW)
    number = _backup(warehouse_url, backups, tmp_path)
    assert _gate(warehouse_url, backups, tmp_path) == number
    tested = warehouse.execute("select backup_id, restore_tested_at from ops.backup_runs").fetchall()
    assert tested == [(number, NOW)]


def test_another_test_of_the_backup_is_waited_for(warehouse_url: str, tmp_path: Path, backups: FolderStore) -> None:
    """Archives of a month ask at the same time, each in a process of its own."""
    backup_id = _backup(warehouse_url, backups, tmp_path, NOW - timedelta(hours=1))
    with (
        connect(server_url(warehouse_url), autocommit=True) as other,
        ThreadPoolExecutor() as working,
        alone(other, f"{libpq_env(warehouse_url)['PGDATABASE']} (test)"),
    ):
        gate = working.submit(_gate, warehouse_url, backups, tmp_path)
        waits = (
            "select count(*) from pg_locks mine join pg_locks waiting using (locktype, database, classid, objid) "
            "where mine.pid = pg_backend_pid() and locktype = 'advisory' and not waiting.granted"
        )
        deadline = time.monotonic() + 20
        while not gate.done() and other.execute(waits).fetchone() == (0,) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not gate.done(), gate.exception()
        other.execute("select pg_advisory_unlock_all()")
        assert gate.result(timeout=60) == backup_id
