"""Restores by a user who is no superuser, on a server that lacks roles, and by the command."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.warehouse.postgres import connect, with_database
from hotdash_pipelines.warehouse.schema.migrate import migrate
from tests.catalog import differences, snapshot
from tests.integration.agent.matrix import BY_CLAIM_OR_VARIABLE, deviations, seed
from tests.integration.operations.restore.restoring import back_up, bring_back, contents, databases, fill, name_of, tidy


@contextmanager
def _plain_owner(admin: "psycopg.Connection[Any]", url: str) -> Iterator[str]:
    """URL of a new database by which its owner signs in, a role without superuser rights."""
    name, database, password = f"owner_{uuid.uuid4().hex[:12]}", f"t_{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    url = with_database(url, database)
    admin.execute(f"create role {name} login createdb createrole password '{password}'".encode())
    admin.execute(f"grant service_role, hotdash_backup, hotdash_retention to {name}".encode())
    admin.execute(f"create database {database} owner {name}".encode())
    parts = urlsplit(url)
    try:
        yield parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()
    finally:
        for leftover in {database, *databases(url)}:
            admin.execute(f'drop database if exists "{leftover}" with (force)'.encode())
        admin.execute(f"drop owned by {name} cascade; drop role {name}".encode())


def test_a_plain_owner_restores_what_is_theirs_and_is_told_what_an_administrator_has_to_grant(
    any_warehouse_url: str, tmp_path: Path
) -> None:
    with (
        connect(with_database(any_warehouse_url, "postgres"), autocommit=True) as admin,
        _plain_owner(admin, any_warehouse_url) as url,
    ):
        migrate(url)
        as_admin = with_database(any_warehouse_url, name_of(url))
        with connect(url, autocommit=True) as owner:
            seed(owner)
            owner.execute("create table staging.plain as select 1 as x")
            owner.execute("create materialized view staging.stored as select count(*) from agent.facts")
            name = owner.info.user
        with connect(as_admin, autocommit=True) as conn:
            catalog, rows = snapshot(conn), contents(as_admin)
        _, manifest = back_up(url, tmp_path)
        with connect(url, autocommit=True) as owner:
            owner.execute("delete from agent.agent_queries")

        done = bring_back(url, tmp_path, manifest.id)

        assert set(done.untried) >= {"anon", "qa_team"}
        restored = contents(as_admin)
        assert restored["agent.agent_queries"] == rows["agent.agent_queries"]
        assert restored["staging.plain"] == rows["staging.plain"]
        with connect(as_admin, autocommit=True) as conn:
            after = snapshot(conn)
            assert [one for one in differences(catalog, after) if not one.startswith("view ")] == []
            assert deviations(conn, ways=BY_CLAIM_OR_VARIABLE[:1]) == []
        with connect(url) as owner:
            assert owner.execute("select * from staging.stored").fetchone() == (3,)

        before = databases(url)
        for harm, advice in (
            (f"alter role {name} nocreatedb", f"alter role {name} createdb"),
            (f"revoke service_role from {name}; alter role {name} nocreaterole", f"grant service_role to {name}"),
        ):
            admin.execute(harm.encode())
            with pytest.raises(RestoreError, match=advice.replace(" ", r"\W+")):
                bring_back(url, tmp_path, manifest.id)
            admin.execute(f"alter role {name} createdb".encode())
        assert databases(url) == before


def test_roles_that_the_server_lacks_are_made_without_passwords_and_never_as_superusers(
    warehouse_url: str, tmp_path: Path
) -> None:
    suffix = uuid.uuid4().hex[:8]
    reader, group, chief = (f"{word}_{suffix}" for word in ("reader", "group", "chief"))
    with tidy(warehouse_url), connect(with_database(warehouse_url, "postgres"), autocommit=True) as admin:
        with connect(warehouse_url, autocommit=True) as conn:
            conn.execute(
                f"create role {group}; create role {reader} login noinherit bypassrls password 'x' in role {group};"
                f"create role {chief} superuser; grant usage on schema ops to {reader}, {group}, {chief};"
                f"grant select on ops.projects to {reader}".encode()
            )
        _, manifest = back_up(warehouse_url, tmp_path)
        admin.execute(f'drop database "{name_of(warehouse_url)}" with (force)'.encode())
        admin.execute(f"drop role {reader}, {group}, {chief}".encode())
        done = bring_back(warehouse_url, tmp_path, manifest.id, replace=False)
        try:
            assert done.roles_made == sorted([reader, group, chief])
            made = admin.execute(
                "select rolname, rolcanlogin, rolinherit, rolbypassrls, rolsuper, rolpassword is null from pg_authid "
                "where rolname = any(%s) order by 1",
                (done.roles_made,),
            ).fetchall()
            assert made == [
                (chief, False, True, False, False, True),
                (group, False, True, False, False, True),
                (reader, True, False, True, False, True),
            ]
            with connect(warehouse_url) as conn:
                rights = "select pg_has_role(%s, %s, 'member'), has_table_privilege(%s, 'ops.projects', 'select')"
                assert conn.execute(rights, (reader, group, reader)).fetchone() == (True, True)
        finally:
            admin.execute(f'drop database "{name_of(warehouse_url)}" with (force)'.encode())
            admin.execute(f"drop role {reader}, {group}, {chief}".encode())


@pytest.fixture
def commands(warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The URL of a warehouse that the command works on, and the id of its backup."""
    from hotdash_pipelines.settings import get_settings

    fill(warehouse_url)
    _, manifest = back_up(warehouse_url, tmp_path)
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    get_settings.cache_clear()
    with tidy(warehouse_url):
        yield warehouse_url, manifest.id
    get_settings.cache_clear()


def test_the_command_refuses_asks_and_says_what_it_did(
    commands: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotdash_pipelines.settings import get_settings

    url, backup_id = commands
    before = contents(url)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["restore", "--backup-id", *arguments])
        return done.exit_code, done.stdout, done.stderr

    code, out, err = run(backup_id, "--json")
    assert (code, "--replace" in json.loads(out)["refused"], "--replace" in err) == (3, True, True)
    assert run(backup_id, "--replace")[0] == 3
    assert run("../../etc")[0] == 2
    code, out, _ = run("latest", "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, plan["is_done"], plan["backup_id"], plan["replaced"]) == (0, False, backup_id, len(before))
    code, out, _ = run(backup_id, "--dry-run")
    assert "this needs --replace" in out
    assert "carried over from it as they are: intermediate" in out
    monkeypatch.setenv("HOTDASH_ENVIRONMENT", "prod")
    get_settings.cache_clear()
    assert run(backup_id, "--replace")[0] == 3
    assert contents(url) == before
    assert databases(url) == set()

    code, out, err = run(backup_id, "--replace", "--yes", "--json")
    done = json.loads(out)
    assert (code, done["is_done"], done["rows"]) == (0, True, plan["rows"])
    assert "comparing every table" in err
    assert databases(url) == {done["kept_as"]}
    code, out, _ = run("latest", "--replace", "--yes")
    assert code == 0
    assert f'drop database "{done["kept_as"]}_2"' in out
    assert urlsplit(url).password not in out + err
