"""A restored database is the one that was backed up; nothing is touched before that is proven."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.backup.files import DATA, MANIFEST, BackupError, BackupManifest, manifest_bytes
from hotdash_pipelines.operations.erasure.run import erase, keep_beside, listed
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.operations.restore.run import LATEST, RestoreRefused
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.catalog import differences, snapshot
from tests.integration.agent.matrix import deviations
from tests.integration.operations.restore.restoring import (
    NOW,
    back_up,
    bring_back,
    contents,
    databases,
    fill,
    name_of,
    tidy,
)

OPERATIONAL = ("agent.", "app.", "monitoring", "ops.")


@pytest.fixture
def any_filled(any_warehouse_url: str) -> Iterator[str]:
    fill(any_warehouse_url)
    with tidy(any_warehouse_url):
        yield any_warehouse_url


@pytest.fixture
def filled(warehouse_url: str) -> Iterator[str]:
    fill(warehouse_url)
    with tidy(warehouse_url):
        yield warehouse_url


def _catalog(url: str) -> dict[tuple[str, str], tuple[object, ...]]:
    with connect(url, autocommit=True) as conn:
        catalog = snapshot(conn)
        # The server spells a stored expression differently once it has read its own spelling: ours is read back, too.
        for kind, name in list(catalog):
            if kind == "view":
                (text,) = catalog[kind, name]
                with conn.transaction(force_rollback=True):
                    conn.execute(f"create temp view again as {text}".encode())
                    catalog[kind, name] = (
                        conn.execute("select pg_get_viewdef('pg_temp.again'::regclass)").fetchone() or ()
                    )
    return catalog


def _own(figures: dict[str, Any]) -> dict[str, Any]:
    # A backup's own record is written after its snapshot, and kept.
    return {name: one for name, one in figures.items() if name.startswith(OPERATIONAL) and name != "ops.backup_runs"}


def _of_operations(catalog: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    return {
        (kind, name): value
        for (kind, name), value in catalog.items()
        # Settings of applications are kept out of backups, and the tests have one.
        if kind not in ("setting", "schema") and not name.startswith(("staging.", "marts_core.", '"odd', "public."))
    }


def _others(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in figures.items() if not name.startswith(OPERATIONAL)}


def test_a_restored_database_equals_the_original_in_all_it_holds_and_passes_the_whole_access_matrix(
    any_filled: str, tmp_path: Path
) -> None:
    catalog, rows = _catalog(any_filled), contents(any_filled)
    _, manifest = back_up(any_filled, tmp_path)
    with connect(any_filled, autocommit=True) as conn:
        conn.execute(
            "delete from agent.agent_queries; drop policy ai_select on agent.facts; drop view staging.crossing"
        )
        conn.execute("create view staging.crossing as select id, topic, app.store_timezone() as zone from agent.facts")
        conn.execute("insert into staging.plain (note) values ('after the backup')")
    changed = contents(any_filled)

    done = bring_back(any_filled, tmp_path, LATEST)

    assert differences(catalog, _catalog(any_filled)) == []
    restored = contents(any_filled)
    assert _own(restored) == _own(rows)
    assert restored["ops.backup_runs"].rows == 1
    assert _others(restored) == _others(changed) != _others(rows)
    assert set(done.carried) >= {"staging", "marts_core", 'odd "one"'}
    assert (done.rows, done.migrated, done.untried) == (manifest.rows, [], [])
    assert done.kept_as is not None
    assert contents(with_database(any_filled, done.kept_as)) == changed
    assert databases(any_filled) == {done.kept_as}
    assert not list((tmp_path / "scratch").glob("work-*"))
    with connect(any_filled, autocommit=True) as conn:
        assert conn.execute("select topic, zone from staging.crossing").fetchone() == ("t", "UTC")
        assert deviations(conn) == []
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', '1')")
        conn.execute("insert into staging.plain (note) values ('next')")


def test_a_database_with_tables_is_not_replaced_unless_told_and_a_dry_run_changes_nothing(
    filled: str, tmp_path: Path
) -> None:
    _, manifest = back_up(filled, tmp_path)
    before, catalog = contents(filled), _catalog(filled)
    with pytest.raises(RestoreRefused, match="pass --replace"):
        bring_back(filled, tmp_path, manifest.id, replace=False)
    with connect(filled):
        plan = bring_back(filled, tmp_path, manifest.id, dry_run=True)
    assert not plan.is_done
    assert (plan.rows, plan.sessions, plan.replaced) == (manifest.rows, 1, len(before))
    assert contents(filled) == before
    assert differences(catalog, _catalog(filled)) == []
    assert databases(filled) == set()


def _flipped(store: Path, manifest: BackupManifest) -> None:
    data = store / manifest.id / DATA
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 4
    data.write_bytes(content)


def _shortened(store: Path, manifest: BackupManifest) -> None:
    data = store / manifest.id / DATA
    data.write_bytes(data.read_bytes()[:-100])


def _swapped(store: Path, manifest: BackupManifest) -> None:
    other = next(folder for folder in store.iterdir() if folder.is_dir() and folder.name != manifest.id)
    shutil.copyfile(other / DATA, store / manifest.id / DATA)


def _other_manifest(store: Path, manifest: BackupManifest) -> None:
    other = next(folder for folder in store.iterdir() if folder.is_dir() and folder.name != manifest.id)
    shutil.copyfile(other / MANIFEST, store / manifest.id / MANIFEST)


def _rewritten(store: Path, manifest: BackupManifest) -> None:
    tables = dict(manifest.tables)
    tables["agent.facts"] = dataclasses.replace(tables["agent.facts"], hash="1")
    (store / manifest.id / MANIFEST).write_bytes(manifest_bytes(dataclasses.replace(manifest, tables=tables)))


def _newer(store: Path, manifest: BackupManifest) -> None:
    changed = dataclasses.replace(manifest, server_version=990001)
    (store / manifest.id / MANIFEST).write_bytes(manifest_bytes(changed, "k"))


def _of_a_later_version(store: Path, manifest: BackupManifest) -> None:
    changed = dataclasses.replace(manifest, migrations={**manifest.migrations, "9999_later": {"up": "", "down": ""}})
    (store / manifest.id / MANIFEST).write_bytes(manifest_bytes(changed, "k"))


def _with_other_rows(store: Path, manifest: BackupManifest) -> None:
    tables = dict(manifest.tables)
    tables["agent.facts"] = dataclasses.replace(tables["agent.facts"], hash="1")
    (store / manifest.id / MANIFEST).write_bytes(manifest_bytes(dataclasses.replace(manifest, tables=tables), "k"))


def test_a_damaged_or_foreign_backup_is_refused_before_the_target_is_touched(filled: str, tmp_path: Path) -> None:
    store, manifest = back_up(filled, tmp_path, key="k")
    with connect(filled, autocommit=True) as conn:
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'later', '1')")
    back_up(filled, tmp_path, key="k")
    before, folder = contents(filled), Path(store.uri(""))
    shutil.copytree(folder, tmp_path / "whole")
    for damage, said in (
        (_flipped, "sha256"), (_shortened, "bytes|sha256"), (_swapped, "sha256|bytes"), (_other_manifest, "is that of"),
        (_rewritten, "not signed"), (_newer, "made on Postgres 99"), (_of_a_later_version, "9999_later"),
        (_with_other_rows, "agent.facts has other rows"),
    ):  # fmt: skip
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "whole", folder)
        damage(folder, manifest)
        with pytest.raises(BackupError, match=said):
            bring_back(filled, tmp_path, manifest.id, key="k")
        assert contents(filled) == before, damage
        assert databases(filled) == set(), damage
    with pytest.raises(BackupError, match="there is no backup"):
        bring_back(filled, tmp_path, "20200101T000000Z-00000000")
    with pytest.raises(BackupError, match="no backup's id"):
        bring_back(filled, tmp_path, "../x")


def test_an_empty_or_missing_database_is_filled_and_the_lake_is_loaded_again(filled: str, tmp_path: Path) -> None:
    _, manifest = back_up(filled, tmp_path)
    rows, catalog = contents(filled), _catalog(filled)
    server, name = with_database(filled, "postgres"), psycopg.sql.Identifier(name_of(filled))
    with connect(server, autocommit=True) as admin:
        for is_there in (True, False):
            admin.execute(psycopg.sql.SQL("drop database {} with (force)").format(name))
            if is_there:
                admin.execute(psycopg.sql.SQL("create database {} template template0").format(name))
            done = bring_back(filled, tmp_path, manifest.id, replace=False)
            assert (done.kept_as is None) != is_there
            restored = contents(filled)
            assert {**_own(restored), "ops.lake_loads": None} == {**_own(rows), "ops.lake_loads": None}
            # Nothing else has rows, so nothing may count as loaded.
            assert restored["ops.lake_loads"].rows == 0
            filled_catalog = _catalog(filled)
            # The others come back empty, when they are loaded and built again; one was made by hand.
            assert [name for kind, name in catalog if kind == "schema" and (kind, name) not in filled_catalog] == [
                'odd "one"'
            ]
            assert differences(_of_operations(catalog), _of_operations(filled_catalog)) == []


def test_a_full_backup_replaces_every_schema(filled: str, tmp_path: Path) -> None:
    _, manifest = back_up(filled, tmp_path, scope="full")
    rows, catalog = contents(filled), _catalog(filled)
    with connect(filled, autocommit=True) as conn:
        conn.execute("drop table marts_core.guarded; insert into staging.plain (note) values ('gone afterwards')")
    done = bring_back(filled, tmp_path, manifest.id)
    assert done.carried == []
    restored = contents(filled)
    assert {**restored, "ops.backup_runs": None} == {**rows, "ops.backup_runs": None}
    assert differences(catalog, _catalog(filled)) == []


def test_when_the_rest_does_not_fit_the_backup_nothing_is_swapped_and_without_it_the_lake_is_loaded_again(
    filled: str, tmp_path: Path
) -> None:
    _, manifest = back_up(filled, tmp_path)
    with connect(filled, autocommit=True) as conn:
        conn.execute(
            "alter table agent.facts add column later int; create view staging.leaning as select later from agent.facts"
        )
    before = contents(filled)
    with pytest.raises(RestoreError, match=r'do not fit the backup .*column "later" does not exist'):
        bring_back(filled, tmp_path, manifest.id)
    assert contents(filled) == before
    assert databases(filled) == set()
    done = bring_back(filled, tmp_path, manifest.id, without_the_rest=True)
    assert done.carried == []
    restored = contents(filled)
    assert "staging.plain" not in restored
    assert restored["ops.lake_loads"].rows == 0


def test_erasures_since_the_backup_are_done_again_whether_the_database_or_a_record_beside_the_backups_tells_of_them(
    filled: str, tmp_path: Path
) -> None:
    with connect(filled, autocommit=True) as conn:
        for number in ("c-1", "c-2", "c-3"):
            conn.execute(
                "insert into agent.agent_queries (query, result, conversation_id, agent) values ('q', '{}', %s, 'a')",
                (number,),
            )
    store, manifest = back_up(filled, tmp_path)
    with connect(filled, autocommit=True) as conn:
        beside = erase(conn, "c-2", ("Ada", "Bob"), NOW)
        conn.execute("delete from ops.erasures")
        first = erase(conn, "c-1", ("Ada", "Bob"), NOW)
    keep_beside(store, [beside])
    done = bring_back(filled, tmp_path, manifest.id)
    assert done.erased_again == 2
    with connect(filled, autocommit=True) as conn:
        left = conn.execute(
            "select distinct conversation_id from agent.agent_queries where conversation_id like 'c-%' "
            "union select conversation_id from agent.agent_queries_history where conversation_id like 'c-%'"
        ).fetchall()
        assert left == [("c-3",)]
        assert {entry.erasure_id for entry in listed(conn)} == {first.erasure_id, beside.erasure_id}
