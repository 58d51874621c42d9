"""Backups of a real database: what is in them, and what every kind of failure leaves behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.agent.seed import seed
from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.operations.backup.catalog import differences, figures, pin, tables_of
from hotdash_pipelines.operations.backup.files import DATA, BackupError, BackupManifest, list_backups
from hotdash_pipelines.operations.backup.kinds import KINDS
from hotdash_pipelines.operations.backup.prune import prune
from hotdash_pipelines.operations.backup.run import create_backup, one_at_a_time, plan_backup
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.operations.backup.verify import verify_decode, verify_quick
from hotdash_pipelines.storage import FolderStore, StoreError
from hotdash_pipelines.warehouse.postgres import connect, libpq_env
from hotdash_pipelines.warehouse.server.binaries import tool_for_server
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.backup_copies import add_copy
from tests.cut_proxy import cut_proxy
from tests.databases import fresh_database, template

ROOT = Path(__file__).parents[4]
NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
LOGS = "insert into agent.observability_logs (level, message) select 'INFO', md5(i::text) from generate_series(1, %s) i"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "backups")


@pytest.fixture
def seeded_url(warehouse_url: str) -> str:
    with connect(warehouse_url, autocommit=True) as conn:
        seed(conn, NOW)
    return warehouse_url


@pytest.fixture(scope="module")
def real_backup(
    server: EmbeddedPostgres, session_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of one real backup that the tests of this module may copy and must not change."""
    root = tmp_path_factory.mktemp("one")
    admin = server.url("postgres")
    with fresh_database(admin, template(admin, session_home)) as url:
        with connect(url, autocommit=True) as conn:
            seed(conn, NOW)
            conn.execute(LOGS, (500,))
        yield root / "backups" / _back_up(url, FolderStore(root / "backups"), root).id


def _back_up(url: str, store: FolderStore, root: Path, **more: Any) -> BackupManifest:
    return create_backup(url, store, now=NOW, scratch=root / "scratch", **more).manifest


def _records(url: str) -> list[tuple[Any, ...]]:
    with connect(url) as conn:
        return conn.execute("select state, scope, row_count, error from ops.backup_runs order by 1").fetchall()


def _restored(folder: Path, target_url: str) -> None:
    """Load a dump into an empty database with the tools alone."""
    import zstandard

    plain = folder.parent.parent / "plain.dump"
    with (folder / DATA).open("rb") as packed, plain.open("wb") as file:
        zstandard.ZstdDecompressor().copy_stream(packed, file)
    program = tool_for_server("pg_restore", 18)
    subprocess.run(
        [program, "--exit-on-error", "--single-transaction", f"--dbname={libpq_env(target_url)['PGDATABASE']}", plain],
        env={**os.environ, **libpq_env(target_url)},
        check=True,
    )


def _of(conn: "psycopg.Connection[Any]") -> Sequence[CatalogTable]:
    pin(conn)
    return tables_of(conn, "operational")


def test_counts_and_hashes_are_those_of_the_dump_while_others_write(
    warehouse_url: str, empty_database_url: str, store: FolderStore, tmp_path: Path
) -> None:
    with connect(warehouse_url, autocommit=True) as writer:
        seed(writer, NOW)

        def write(_: str) -> None:
            writer.execute(LOGS, (50,))
            writer.execute("update agent.agent_queries set latency_ms = coalesce(latency_ms, 0) + 1")

        manifest = _back_up(warehouse_url, store, tmp_path, on_progress=write)
        (after,) = writer.execute("select count(*) from agent.observability_logs").fetchone() or (0,)
    assert manifest.tables["agent.observability_logs"].rows == 0
    assert after > 500
    _restored(tmp_path / "backups" / manifest.id, empty_database_url)
    with connect(empty_database_url) as conn:
        counted = figures(conn, _of(conn))
    assert differences(manifest.tables, counted) == []
    assert counted["agent.agent_queries"].rows == 13
    with connect(warehouse_url) as conn:
        assert "agent.agent_queries has other rows" in differences(manifest.tables, figures(conn, _of(conn)))


def test_a_backup_holds_the_operational_schemas_and_what_a_new_server_needs(
    warehouse_url: str, store: FolderStore, tmp_path: Path
) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        conn.execute("create schema raw_toy")
        conn.execute("create table raw_toy.orders as select 1 as id")
        conn.execute('create table ops."Odd ""name" as select 1 as "t"')
        name = conn.info.dbname
        conn.execute(f"alter database {name} set lock_timeout = '5s'".encode())
        conn.execute(f"alter database {name} set app.secret = 'hush'".encode())
    manifest = _back_up(warehouse_url, store, tmp_path)
    assert 'ops."Odd ""name"' in manifest.tables
    assert "raw_toy.orders" not in manifest.tables
    assert {name.partition(".")[0] for name in manifest.tables} == {"agent", "ops"}
    assert manifest.schema_version == max(manifest.migrations)[:4]
    assert manifest.roles["hotdash_backup"]["attributes"]["bypassrls"] is True
    assert "anon" in {group["role"] for group in manifest.roles["hotdash_api"]["member_of"]}
    assert manifest.database["encoding"] == "UTF8"
    assert manifest.database["settings"] == [{"role": None, "set": ["lock_timeout=5s"]}]
    assert _records(warehouse_url) == [("verified", "operational", manifest.rows, None)]

    full = _back_up(warehouse_url, store, tmp_path, scope="full")
    assert full.tables["raw_toy.orders"].rows == 1
    single = _back_up(warehouse_url, store, tmp_path, scope="tables", tables=["agent_*", "raw_toy.*"])
    assert {"agent.agent_queries", "agent.agent_queries_history", "raw_toy.orders"} <= set(single.tables)
    assert "agent.facts" not in single.tables
    assert plan_backup(warehouse_url, "tables", ["facts"]).tables == ("agent.facts",)
    for patterns in (["no_such_*"], []):
        with pytest.raises(BackupError, match=r"no table is called no_such|which tables"):
            _back_up(warehouse_url, store, tmp_path, scope="tables", tables=patterns)
    assert [one.state for one in list_backups(store)] == ["valid"] * 3


def test_each_kind_is_made_listed_decoded_and_recorded(seeded_url: str, store: FolderStore, tmp_path: Path) -> None:
    made = {
        kind.name: _back_up(seeded_url, store, tmp_path, scope=kind.name, tables=[] if kind.is_standing else ["facts"])
        for kind in KINDS.values()
    }
    for listed in list_backups(store):
        assert listed.state == "valid"
        assert listed.manifest == made[listed.manifest.scope]
        assert verify_decode(store, listed.id) == listed.manifest
    assert {scope: state for state, scope, *_ in _records(seeded_url)} == dict.fromkeys(KINDS, "verified")


def test_backups_work_on_every_server(any_warehouse_url: str, store: FolderStore, tmp_path: Path) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        seed(conn, NOW)
    manifest = _back_up(any_warehouse_url, store, tmp_path)
    assert verify_decode(store, manifest.id) == manifest
    assert manifest.tables["agent.agent_approvals"].rows == 12
    assert (manifest.tables["agent.agent_approvals"].min_id, manifest.tables["agent.agent_approvals"].max_id) == (1, 12)


def test_rows_that_policies_hide_are_backed_up_through_the_backup_role_or_not_at_all(
    seeded_url: str, store: FolderStore, tmp_path: Path
) -> None:
    name = f"clerk_{random.randrange(10**9)}"
    with connect(seeded_url, autocommit=True) as admin:
        admin.execute(f"create role {name} login password 'pass-of-clerk'".encode())
        try:
            admin.execute(f"grant usage on schema ops to {name}".encode())
            admin.execute(f"grant select, insert on all tables in schema ops to {name}".encode())
            host = seeded_url.partition("@")[2]
            url = f"postgresql://{name}:pass-of-clerk@{host}"
            with pytest.raises(BackupError, match=f"grant hotdash_backup to {name}"):
                _back_up(url, store, tmp_path)
            assert [record[0] for record in _records(seeded_url)] == ["failed"]
            admin.execute(f"grant hotdash_backup to {name}".encode())
            manifest = _back_up(url, store, tmp_path)
            assert manifest.tables["agent.agent_approvals"].rows == 12
            assert [record[0] for record in _records(seeded_url)] == ["failed", "verified"]
        finally:
            admin.execute(f"drop owned by {name}".encode())
            admin.execute(f"drop role {name}".encode())


def test_one_flipped_bit_anywhere_in_the_dump_is_found(real_backup: Path, tmp_path: Path) -> None:
    shutil.copytree(real_backup, tmp_path / real_backup.name)
    store, file = FolderStore(tmp_path), tmp_path / real_backup.name / DATA
    whole = file.read_bytes()
    places = random.Random(7).sample(range(len(whole) * 8), 100)
    for count, bit in enumerate(places):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        with pytest.raises(BackupError, match="sha256 differs"):
            verify_quick(store, real_backup.name)
        if count < 5:
            with pytest.raises(BackupError, match="sha256 differs"):
                verify_decode(store, real_backup.name)
    file.write_bytes(whole)
    assert verify_decode(store, real_backup.name) == verify_quick(store, real_backup.name)


@pytest.mark.parametrize("point", ["dump", "add", "proof"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    seeded_url: str, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    target = {"dump": "dump._write_whole", "proof": "run.local_chunks"}.get(point)
    if target:
        monkeypatch.setattr(f"hotdash_pipelines.operations.backup.{target}", full)
    else:
        monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises((BackupError, StoreError), match=r"the disk refused .*No space left on device") as caught:
        _back_up(seeded_url, store, tmp_path)
    assert "\n" not in str(caught.value)
    assert list_backups(store) == []
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == [".lock"]
    assert _records(seeded_url) == [("failed", "operational", None, str(caught.value))]


def test_a_file_that_may_not_grow_ends_the_backup(seeded_url: str, store: FolderStore, tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-m",
        "tests.integration.operations.backup.back_up_once",
        seeded_url,
        str(tmp_path),
        "15000",
    ]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("the disk refused the backup (File too large)")
    assert done.stdout.count("\n") == 1
    assert list_backups(store) == []


@pytest.mark.parametrize("after", [2_000, 30_000, 200_000])
def test_a_connection_that_is_cut_ends_in_one_line(
    seeded_url: str, store: FolderStore, tmp_path: Path, after: int
) -> None:
    with connect(seeded_url, autocommit=True) as conn:
        conn.execute(LOGS, (5000,))
    password = libpq_env(seeded_url)["PGPASSWORD"]
    with cut_proxy(seeded_url, cut_after=after, direction="client") as proxy:
        with pytest.raises(HotdashError) as caught:
            _back_up(proxy.through(seeded_url), store, tmp_path)
        assert proxy.cuts
    assert "\n" not in str(caught.value)
    assert password not in str(caught.value)
    assert list_backups(store) == []
    assert [path.name for path in (tmp_path / "scratch").glob("work-*")] == []
    assert verify_quick(store, _back_up(seeded_url, store, tmp_path).id)


def test_ten_failures_leave_seven_good_ones(
    seeded_url: str, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [add_copy(store, day) for day in range(7)]

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hotdash_pipelines.operations.backup.dump._write_whole", full)
    for day in range(10):
        with pytest.raises(BackupError):
            create_backup(seeded_url, store, now=NOW + timedelta(days=day), scratch=tmp_path / "scratch")
        prune(store, 7, now=NOW + timedelta(days=day))
    assert {one.id: one.state for one in list_backups(store)} == dict.fromkeys(good, "valid")
    for backup_id in good:
        verify_quick(store, backup_id)
    assert [record[0] for record in _records(seeded_url)] == ["failed"] * 10


def test_a_kill_at_any_step_leaves_whole_backups_and_a_rerun_sweeps(
    seeded_url: str, store: FolderStore, tmp_path: Path
) -> None:
    points = ("locked", "dumping", "dumped", "decoded", "data_added", "read_back", "published", "recorded")
    whole = 0
    for point in points:
        program = [sys.executable, "-m", "tests.integration.operations.backup.back_up_once", seeded_url, str(tmp_path)]
        environment = {**os.environ, "HOTDASH_KILL_AT": f"backup.{point}"}
        done = subprocess.run(program, cwd=ROOT, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL, point
        whole += point in ("published", "recorded")
        listed = list_backups(store)
        assert sum(one.state == "valid" for one in listed) == whole, point
        assert "broken" not in {one.state for one in listed}, point
    verify_decode(store, _back_up(seeded_url, store, tmp_path).id)
    assert [one.state for one in list_backups(store)] == ["valid"] * (whole + 1)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == [".lock"]
    assert len(list((tmp_path / "backups").glob("2*"))) == whole + 1


def test_what_a_killed_copy_left_is_swept_though_no_listing_shows_it(
    seeded_url: str, store: FolderStore, tmp_path: Path
) -> None:
    left = tmp_path / "backups" / "20261119T020000Z-0000abcd"
    left.mkdir(parents=True)
    (left / ".partial-1").write_bytes(b"half")
    working = tmp_path / "scratch" / "work-20261119T020000Z-0000abcd"
    working.mkdir(parents=True)
    (working / DATA).write_bytes(b"half")
    assert [one.state for one in list_backups(store)] == ["unfinished"]
    _back_up(seeded_url, store, tmp_path)
    assert [one.state for one in list_backups(store)] == ["valid"]
    assert not left.exists()
    assert not working.exists()


def test_two_backups_of_one_database_do_not_run_at_once(
    seeded_url: str, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotdash_pipelines.operations.backup.run._LOCK_WAIT", "100ms")
    with (
        connect(seeded_url, autocommit=True) as conn,
        one_at_a_time(conn),
        pytest.raises(BackupError, match="another backup of this database"),
    ):
        _back_up(seeded_url, store, tmp_path)
    assert _records(seeded_url) == []
    _back_up(seeded_url, store, tmp_path)


def test_pruning_is_noted_also_where_a_killed_one_removed(seeded_url: str, store: FolderStore, tmp_path: Path) -> None:
    ids = [_back_up(seeded_url, store, tmp_path).id for _ in range(3)]
    ids = sorted(ids)
    store.clear(ids[0])
    with connect(seeded_url, autocommit=True) as conn:
        conn.execute("update ops.backup_runs set location = 'elsewhere' where backup_id = %s", (ids[2],))
        prune(store, 1, conn=conn, now=NOW)
        noted = conn.execute("select backup_id from ops.backup_runs where pruned_at = %s order by 1", (NOW,)).fetchall()
    assert [one for (one,) in noted] == ids[:2]


def test_an_unmigrated_database_and_an_unwritable_record_are_told(
    empty_database_url: str, seeded_url: str, store: FolderStore, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="hotdash schema migrate"):
        _back_up(empty_database_url, store, tmp_path)
    with connect(seeded_url, autocommit=True) as conn:
        conn.execute("alter table ops.backup_runs add check (false) not valid")
    with pytest.raises(BackupError, match="is whole and stays, but its record could not be written"):
        _back_up(seeded_url, store, tmp_path)
    assert [one.state for one in list_backups(store)] == ["valid"]


def test_no_password_reaches_arguments_or_manifest(
    seeded_url: str, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = libpq_env(seeded_url)["PGPASSWORD"]
    commands: list[str] = []
    popen = subprocess.Popen

    def noting(command: Any, *more: Any, **options: Any) -> Any:
        commands.append(" ".join(map(str, command)))
        return popen(command, *more, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    backup_id = _back_up(seeded_url, store, tmp_path, key="the signing key").id
    assert any("pg_dump" in command for command in commands)
    content = store.read(f"{backup_id}/manifest.json").decode()
    for text in (*commands, content):
        assert password not in text
        assert "the signing key" not in text
