"""Every proof of a restored database fails when what it proves is not so; a test of a backup says what it found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.operations.backup.files import MANIFEST, BackupManifest, manifest_bytes
from hotdash_pipelines.operations.restore.check import restore_test
from hotdash_pipelines.operations.restore.fill import compare
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.operations.restore.proof import declared_triggers, prove
from hotdash_pipelines.warehouse.access.declared import ROLES, TABLES
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.integration.agent.matrix import seed
from tests.integration.operations.restore.restoring import NOW, back_up, databases, fill, name_of, tidy

HARMS = {
    "does not force row-level security": (
        "alter table agent.facts no force row level security",
        "alter table agent.agent_feedback disable row level security",
    ),
    "policy .* is missing": ("drop policy ai_select on agent.facts",),
    "policy .* is not declared": ("create policy wide on agent.facts to authenticated using (true)",),
    "policy .* is not as declared": (
        "alter policy auth_select on agent.facts using (true)",
        "alter policy auth_insert on agent.facts with check (true)",
        "alter policy ai_select on agent.facts to ai_readonly, authenticated",
        "alter policy auth_select_level on agent.observability_logs using (level = any (array['INFO', 'ERROR']))",
        "alter policy no_delete on agent.agent_queries using (true)",
    ),
    "may .* on agent": (
        "grant delete on agent.agent_feedback to annotator",
        "revoke select on agent.agent_queries from operator",
        "revoke update on agent.agent_queries from operator",
        "grant truncate on agent.agent_approvals to service_role",
    ),
    "may read monitoring": ("grant select on monitoring_private.mv_daily_agent_metrics to qa_team",),
    "may not read monitoring": ("revoke select on monitoring.v_health from anon",),
    "trigger .* is switched off": ("alter table agent.agent_queries disable trigger keep_query_history",),
    "trigger .* is missing": ("drop trigger touch_updated_at on agent.agent_feedback",),
    "can be emptied": (
        "create or replace function agent.refuse_change() returns trigger language plpgsql set search_path = '' "
        "as 'begin return null; end'",
    ),
    "which is taken": (
        "insert into agent.facts (id, project, topic, key, value) values (1000000, 'p', 't', 'k', '1')",
    ),
    "may not read agent": ("revoke usage on schema agent from ai_readonly",),
}


@pytest.fixture
def seeded(warehouse: "psycopg.Connection") -> "psycopg.Connection":
    seed(warehouse)
    return warehouse


def test_each_proof_fails_when_what_it_proves_is_not_so(seeded: "psycopg.Connection") -> None:
    assert prove(seeded) == []
    for said, statements in HARMS.items():
        for statement in statements:
            with seeded.transaction(force_rollback=True):
                seeded.execute(statement.encode())
                with pytest.raises(RestoreError, match=said):
                    prove(seeded)
    assert prove(seeded) == []


def test_the_triggers_read_from_the_migrations_are_those_of_a_migrated_database(
    warehouse: "psycopg.Connection",
) -> None:
    real = warehouse.execute("select tgrelid::regclass::text, tgname from pg_trigger where not tgisinternal").fetchall()
    assert declared_triggers() == set(real)
    assert len(real) > len(TABLES)


def test_proofs_change_nothing(seeded: "psycopg.Connection") -> None:
    query = "select (select count(*) from agent.facts), last_value, is_called from agent.facts_id_seq"
    before = seeded.execute(query).fetchone()
    prove(seeded)
    assert seeded.execute(query).fetchone() == before


@pytest.fixture
def filled(warehouse_url: str) -> Iterator[str]:
    fill(warehouse_url)
    with tidy(warehouse_url):
        yield warehouse_url


def _tested_at(url: str, manifest: BackupManifest) -> object:
    with connect(url) as conn:
        row = conn.execute(
            "select restore_tested_at from ops.backup_runs where backup_id = %s", (manifest.id,)
        ).fetchone()
        return row and row[0]


def test_a_backup_is_restored_beside_looked_at_and_dropped_and_the_record_says_when(
    filled: str, tmp_path: Path
) -> None:
    store, manifest = back_up(filled, tmp_path)
    # What a killed test left, by its name and mark, and what only has the name.
    with connect(with_database(filled, "postgres"), autocommit=True) as admin:
        left, foreign = (f"{name_of(filled)}_restoretest_{end}" for end in ("00000000", "11111111"))
        for name in (left, foreign):
            admin.execute(psycopg.sql.SQL("create database {} template template0").format(psycopg.sql.Identifier(name)))
        mark = "comment on database {} is 'hotdash: a restore in progress, dropped by the next one'"
        admin.execute(psycopg.sql.SQL(mark).format(psycopg.sql.Identifier(left)))
    tested = restore_test(filled, store, manifest.id, now=NOW, scratch=tmp_path / "scratch")
    assert (tested.rows, tested.tables, tested.untried) == (manifest.rows, len(manifest.tables), [])
    assert databases(filled) == {foreign}
    assert _tested_at(filled, manifest) == NOW
    with connect(filled, autocommit=True) as conn:
        conn.execute("delete from ops.backup_runs")
    restore_test(filled, store, manifest.id, now=NOW, scratch=tmp_path / "scratch")
    assert _tested_at(filled, manifest) == NOW


def test_a_backup_whose_rows_or_guards_are_not_right_is_named_and_not_recorded(filled: str, tmp_path: Path) -> None:
    store, manifest = back_up(filled, tmp_path)
    figures = manifest.tables["agent.facts"]
    for changed, said in (
        (replace(figures, hash="1"), "agent.facts has other rows"),
        (replace(figures, max_id=1), "agent.facts has other rows"),
        (replace(figures, rows=1), "agent.facts has .* rows instead of 1"),
    ):
        forged = replace(manifest, tables={**manifest.tables, "agent.facts": changed})
        (tmp_path / "backups" / manifest.id / MANIFEST).write_bytes(manifest_bytes(forged))
        with pytest.raises(RestoreError if "other" in said else Exception, match=said):
            restore_test(filled, store, manifest.id, now=NOW, scratch=tmp_path / "scratch")
    with connect(filled, autocommit=True) as conn:
        conn.execute("alter table agent.facts disable row level security")
    store, open_doors = back_up(filled, tmp_path)
    with pytest.raises(RestoreError, match=r"agent\.facts does not force row-level security"):
        restore_test(filled, store, open_doors.id, now=NOW, scratch=tmp_path / "scratch")
    assert _tested_at(filled, manifest) is None
    assert _tested_at(filled, open_doors) is None
    assert databases(filled) == set()


def test_a_table_too_many_or_too_few_is_a_difference(filled: str, tmp_path: Path) -> None:
    _, manifest = back_up(filled, tmp_path, scope="full")
    with connect(filled, autocommit=True) as conn:
        conn.execute("delete from ops.backup_runs")
        compare(conn, manifest)
        with conn.transaction(force_rollback=True):
            conn.execute("create table staging.more (x int)")
            with pytest.raises(RestoreError, match=r"staging\.more is not expected"):
                compare(conn, manifest)
        with conn.transaction(force_rollback=True):
            conn.execute("drop table staging.plain")
            with pytest.raises(RestoreError, match=r"staging\.plain is missing"):
                compare(conn, manifest)


def test_every_role_that_is_declared_is_tried(seeded: "psycopg.Connection", monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(
        "hotdash_pipelines.operations.restore.proof._reads", lambda conn, role, rows: tried.append(role) is None
    )
    prove(seeded)
    assert tried == list(ROLES)
