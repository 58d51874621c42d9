"""Migrations on the embedded server and on Postgres 15."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema import migrate as module
from hotdash_pipelines.warehouse.schema.migrate import MigrationError, current, migrate, rollback

REVISION = '''"""A migration of a test."""

from alembic import op

from hotdash_pipelines.warehouse.migrations.files import run_down, run_up

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    run_up(op.get_bind(), __file__)


def downgrade() -> None:
    run_down(op.get_bind(), __file__)
'''


def _folder(tmp_path: Path, extra: Mapping[str, tuple[str, str]]) -> Path:
    """A copy of the real migrations with further ones: name -> (up, down)."""
    folder = tmp_path / "versions"
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = migrations()[-1].revision
    for name, (up, down) in extra.items():
        (folder / f"{name}.sql").write_text(up)
        (folder / f"{name}.rollback.sql").write_text(down)
        (folder / f"{name}.py").write_text(REVISION.format(revision=name[:4], before=before))
        before = name[:4]
    return folder


def test_an_empty_database_gets_every_migration_once(any_empty_database_url: str) -> None:
    every = [migration.revision for migration in migrations()]
    assert current(any_empty_database_url) is None
    assert migrate(any_empty_database_url) == every
    assert migrate(any_empty_database_url) == []
    assert current(any_empty_database_url) == every[-1]


def test_every_sql_file_has_its_revision_and_its_way_back() -> None:
    for migration in migrations():
        for suffix in (".py", ".sql", ".rollback.sql"):
            assert (VERSIONS / f"{migration.name}{suffix}").exists()
    numbers = [int(migration.revision) for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_schemas_and_tables_of_the_operations_are_there(warehouse_url: str) -> None:
    with connect(warehouse_url) as conn:
        schemas = {name for (name,) in conn.execute("select nspname from pg_namespace")}
        tables = {
            name
            for (name,) in conn.execute("select table_name from information_schema.tables where table_schema = 'ops'")
        }
    assert {"staging", "intermediate", "marts_core", "marts_support", "metrics"} <= schemas
    assert schemas.isdisjoint({"marts_analytics", "quarantine", "audit", "snapshots"})
    assert {"projects", "lake_loads", "check_results", "alert_outbox", "schema_migrations"} <= tables


def test_a_schema_that_somebody_uses_outlives_the_clean_up_of_empty_ones(any_warehouse_url: str) -> None:
    def unused(conn: psycopg.Connection) -> set[str]:
        names = ["marts_analytics", "quarantine", "audit", "snapshots"]
        return {name for (name,) in conn.execute("select nspname from pg_namespace where nspname = any(%s)", (names,))}

    rollback(any_warehouse_url, "0012")
    with connect(any_warehouse_url) as conn:
        assert len(unused(conn)) == 4
        conn.execute("create table snapshots.mine (id int)")
        conn.execute("grant usage on schema audit to public")
    migrate(any_warehouse_url)
    with connect(any_warehouse_url) as conn:
        assert unused(conn) == {"snapshots", "audit"}
        assert conn.execute("select count(*) from snapshots.mine").fetchone() == (0,)


@pytest.mark.parametrize("suffix", [".sql", ".rollback.sql"])
def test_an_applied_file_that_was_edited_is_refused(empty_database_url: str, tmp_path: Path, suffix: str) -> None:
    folder = _folder(tmp_path, {})
    migrate(empty_database_url, folder)
    path = folder / f"{migrations()[0].name}{suffix}"
    path.write_text(path.read_text() + "-- one more thought\n")
    with pytest.raises(MigrationError, match=rf"{path.name} was edited after it was applied"):
        migrate(empty_database_url, folder)
    with pytest.raises(MigrationError, match="was edited"):
        rollback(empty_database_url, None, folder)


def test_a_database_from_a_newer_version_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    newest = f"{int(migrations()[-1].revision) + 1:04}"
    folder = _folder(tmp_path, {f"{newest}_newer": ("create table ops.newer (id int)", "drop table ops.newer")})
    migrate(empty_database_url, folder)
    with pytest.raises(MigrationError, match=f"has migration {newest}, which this version does not know"):
        migrate(empty_database_url)


def test_a_file_that_fails_half_way_leaves_nothing_and_the_ones_before_it_stay(
    any_empty_database_url: str, tmp_path: Path
) -> None:
    first, second = (f"{int(migrations()[-1].revision) + step:04}" for step in (1, 2))
    folder = _folder(
        tmp_path,
        {
            f"{first}_good": (
                "create table ops.good (id int); comment on table ops.good is '100% :fine'",
                "drop table ops.good",
            ),
            f"{second}_bad": ("create table ops.half (id int); select 1 / 0", "drop table ops.half"),
        },
    )
    with pytest.raises(
        MigrationError, match=f"upgrade failed after revision {first} and left nothing half done: division by zero"
    ):
        migrate(any_empty_database_url, folder)
    assert current(any_empty_database_url) == first
    with connect(any_empty_database_url) as conn:
        assert conn.execute("select to_regclass('ops.half'), obj_description('ops.good'::regclass)").fetchone() == (
            None,
            "100% :fine",
        )
    (folder / f"{second}_bad.sql").write_text("create table ops.half (id int)")
    assert migrate(any_empty_database_url, folder) == [second]


def test_a_rollback_never_takes_tables_that_are_not_its_own(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with connect(empty_database_url) as conn:
        conn.execute("create table marts_core.somebodys as select 1")
    with pytest.raises(MigrationError, match="downgrade failed"):
        rollback(empty_database_url, None)
    with connect(empty_database_url) as conn:
        assert conn.execute("select count(*) from marts_core.somebodys").fetchone() == (1,)
        assert conn.execute("select to_regclass('ops.lake_loads') is not null").fetchone() == (True,)


def test_migrations_started_at_once_run_one_after_the_other(empty_database_url: str) -> None:
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty_database_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [[], [], [migration.revision for migration in migrations()]]


def test_waiting_for_another_migration_has_an_end(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", "100ms")
    with connect(empty_database_url) as other:
        other.execute("select pg_advisory_lock(%s)", (module._LOCK,))
        with pytest.raises(MigrationError, match="another process has been migrating"):
            migrate(empty_database_url)


def test_a_table_that_somebody_holds_ends_the_migration_in_one_line(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_database_url)
    newest = f"{int(migrations()[-1].revision) + 1:04}"
    folder = _folder(
        tmp_path,
        {f"{newest}_alter": ("alter table ops.projects add column x int", "alter table ops.projects drop column x")},
    )
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", "100ms")
    with connect(empty_database_url) as other:
        other.execute("lock table ops.projects")
        with pytest.raises(MigrationError, match="because another session uses a table") as caught:
            migrate(empty_database_url, folder)
    assert "\n" not in str(caught.value)


def test_nothing_to_do_is_quick_and_imports_no_alembic(warehouse_url: str) -> None:
    script = (
        "import sys, time; from hotdash_pipelines.warehouse.schema.migrate import migrate; import psycopg\n"
        "taken = []\n"
        "for _ in range(5):\n"
        "    start = time.perf_counter(); assert migrate(sys.argv[1]) == []\n"
        "    taken.append(time.perf_counter() - start)\n"
        "assert 'alembic' not in sys.modules and 'sqlalchemy' not in sys.modules; print(min(taken))"
    )
    done = subprocess.run([sys.executable, "-c", script, warehouse_url], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.15


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    started = time.perf_counter()
    with pytest.raises(module.WarehouseError, match="cannot be reached") as caught:
        migrate("postgresql://somebody:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - started < 5


def test_a_database_in_another_encoding_is_refused(postgres15: str) -> None:
    import psycopg

    from hotdash_pipelines.warehouse.postgres import with_database

    with psycopg.connect(postgres15, autocommit=True) as admin:
        admin.execute("create database latin encoding 'LATIN1' locale 'C' template template0")
        try:
            with pytest.raises(MigrationError, match="encoding LATIN1"):
                migrate(with_database(postgres15, "latin"))
        finally:
            admin.execute("drop database latin with (force)")
