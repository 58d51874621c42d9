"""Every migration leads back to exactly where it came from, on the oldest server we support and on the newest."""

import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hotdash_pipelines.warehouse.access.lint import lint
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import connect, libpq_env
from hotdash_pipelines.warehouse.schema.migrate import MigrationError, current, migrate, pending, rollback, to_undo
from hotdash_pipelines.warehouse.schema.script import downgrade_script, upgrade_script
from hotdash_pipelines.warehouse.server.binaries import client_tool
from tests.catalog import differences, snapshot

EVERY = [migration.revision for migration in migrations()]


def _snapshot(url: str) -> dict[tuple[str, str], tuple[object, ...]]:
    with connect(url) as conn:
        return snapshot(conn)


def _prefix(folder: Path, revisions: list[str]) -> Path:
    """A folder with the first migrations only."""
    folder.mkdir()
    for path in VERSIONS.glob("[0-9]*"):
        if path.name[:4] in revisions:
            shutil.copy(path, folder)
    return folder


def test_up_down_up_gives_the_identical_catalogue_for_every_prefix(any_empty_database_url: str, tmp_path: Path) -> None:
    url = any_empty_database_url
    stood: dict[str | None, dict[tuple[str, str], tuple[object, ...]]] = {}
    # The bookkeeping itself stays when everything else is undone.
    migrate(url, _prefix(tmp_path / "first", EVERY[:1]))
    rollback(url, None, tmp_path / "first")
    stood[None] = _snapshot(url)
    assert {name for kind, name in stood[None] if kind == "relation"} == {
        "ops.schema_migrations",
        "ops.alembic_version",
    }
    before: str | None = None
    for count, revision in enumerate(EVERY, start=1):
        folder = _prefix(tmp_path / revision, EVERY[:count])
        assert migrate(url, folder) == [revision]
        stood[revision] = _snapshot(url)
        assert stood[revision] != stood[before]
        assert rollback(url, before, folder) == [revision]
        assert differences(stood[before], _snapshot(url)) == []
        assert migrate(url, folder) == [revision]
        assert differences(stood[revision], _snapshot(url)) == []
        before = revision
    for kept in (*reversed(EVERY[:-2]), None):
        rollback(url, kept)
        assert differences(stood[kept], _snapshot(url)) == []
        migrate(url)
        assert differences(stood[EVERY[-1]], _snapshot(url)) == []


def test_a_user_who_is_no_superuser_goes_both_ways(any_warehouse_url: str) -> None:
    name = f"plain_{uuid.uuid4().hex[:12]}"
    with connect(any_warehouse_url, autocommit=True) as admin:
        # The roles are there; making them takes an administrator, as the error of a missing one says.
        admin.execute(f"create role {name} login password 'plain' in role service_role")
        admin.execute(f"create database {name} owner {name} template template1")
        owner = make_conninfo(any_warehouse_url, user=name, password="plain", dbname=name)
        try:
            url = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**conninfo_to_dict(owner))
            assert migrate(url) == EVERY
            with connect(url) as conn:
                up = snapshot(conn)
            rollback(url, None)
            assert migrate(url) == EVERY
            assert differences(up, _snapshot(url)) == []
            with connect(url) as conn:
                assert lint(conn) == []
        finally:
            admin.execute(f"drop database {name} with (force)")
            admin.execute(f"drop role {name}")


CHANGES = {
    "schema": "create schema extra",
    "column": "alter table agent.facts alter column topic set default 'x'",
    "constraint": "alter table agent.facts add check (topic <> '')",
    "index": "create index extra on agent.facts (key)",
    "trigger": "alter table agent.facts disable trigger refuse_change",
    "function": "alter function app.claim_project() volatile",
    "relation": "alter table agent.facts owner to hotdash_retention",
    "policy": "create policy extra on agent.facts to anon using (true)",
    "view": "create view agent.extra as select 1 as one",
    "sequence": "alter sequence agent.facts_id_seq cache 5",
    "type": "create type agent.extra as enum ('a')",
    "rule": "create rule extra as on insert to agent.facts do also nothing",
    "default privileges": "alter default privileges in schema agent grant select on tables to anon",
    "statistics": "create statistics agent.extra on topic, key from agent.facts",
    "setting": "do $$ begin execute format('alter database %I set work_mem = 100', current_database()); end $$",
}
RIGHTS = (
    "grant select on agent.facts to webhook_writer",
    "grant update (topic) on agent.facts to anon",
    "grant create on schema agent to anon",
    "grant usage on sequence agent.facts_id_seq to anon",
    "grant execute on function app.claim_project() to webhook_writer",
    "comment on column agent.facts.topic is 'other'",
    "comment on schema app is 'other'",
    "comment on function app.claim_project() is 'other'",
    "alter table agent.facts force row level security, alter column key set storage external",
    "alter table agent.facts no force row level security, disable row level security, set (fillfactor = 50)",
    "alter function app.claim_project() set search_path = app",
    "alter function app.claim_project() security definer",
)


def test_the_snapshot_sees_every_kind_of_change(warehouse: psycopg.Connection) -> None:
    before = snapshot(warehouse)
    unseen = []
    for kind, statement in [*CHANGES.items(), *((None, statement) for statement in RIGHTS)]:
        with warehouse.transaction(force_rollback=True):
            warehouse.execute(statement)
            changed = differences(before, snapshot(warehouse))
            if not changed or not any(kind is None or line.startswith(f"{kind} ") for line in changed):
                unseen.append(statement)
    assert unseen == []
    assert differences(before, snapshot(warehouse)) == []


def _psql(url: str, script: str) -> None:
    done = subprocess.run(
        [client_tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        input=script,
        env=libpq_env(url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_printed_sql_does_exactly_what_a_migration_does(
    empty_database_url: str, warehouse_url: str, tmp_path: Path
) -> None:
    _psql(empty_database_url, upgrade_script(pending(empty_database_url)))
    assert migrate(empty_database_url) == []
    assert differences(_snapshot(warehouse_url), _snapshot(empty_database_url)) == []
    _psql(empty_database_url, downgrade_script(to_undo(empty_database_url, EVERY[0])))
    rollback(warehouse_url, EVERY[0])
    assert differences(_snapshot(warehouse_url), _snapshot(empty_database_url)) == []
    with connect(empty_database_url) as conn:
        assert conn.execute("select version_num from ops.alembic_version").fetchall() == [(EVERY[0],)]
    assert migrate(empty_database_url) == EVERY[1:]
    assert upgrade_script(pending(empty_database_url)) == ""


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes a copy of the migrations with one more: (up, down)."""

    def make(up: str, down: str) -> Path:
        folder = tmp_path / "versions"
        shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        newest, number = migrations()[-1], f"{int(EVERY[-1]) + 1:04}"
        script = re.sub(r'(?m)^(revision = )"\d+"', rf'\1"{number}"', (VERSIONS / f"{newest.name}.py").read_text())
        script = re.sub(r'(?m)^(down_revision = )"\d+"', rf'\1"{EVERY[-1]}"', script)
        for suffix, text in ((".sql", up), (".rollback.sql", down), (".py", script)):
            (folder / f"{number}_extra{suffix}").write_text(text)
        return folder

    return make


def test_a_rollback_file_that_fails_half_way_undoes_nothing(
    any_empty_database_url: str, broken: Callable[[str, str], Path]
) -> None:
    url = any_empty_database_url
    # The newest is undone first and works; the one before it meets a view that the newest did not make.
    folder = broken("create table ops.extra (id int)", "drop table ops.extra")
    migrate(url, folder)
    with connect(url) as conn:
        conn.execute("create view public.mine as select id from agent.facts")
    before, newest = _snapshot(url), current(url)
    with pytest.raises(MigrationError, match=f"downgrade failed after revision {newest} and left nothing half done"):
        rollback(url, "0002", folder)
    assert differences(before, _snapshot(url)) == []
    assert current(url) == newest


def test_a_migrator_that_loses_its_connection_leaves_nothing_half_done(
    empty_database_url: str, broken: Callable[[str, str], Path]
) -> None:
    folder = broken(
        "create table ops.extra (id int); select pg_terminate_backend(pg_backend_pid())", "drop table ops.extra"
    )
    with pytest.raises(MigrationError, match=f"upgrade failed after revision {EVERY[-1]} and left nothing half done"):
        migrate(empty_database_url, folder)
    broken("create table ops.extra (id int)", "drop table ops.extra")
    assert len(migrate(empty_database_url, folder)) == 1
