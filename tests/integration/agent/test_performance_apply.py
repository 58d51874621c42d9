"""Acting on the advice: what `hotdash performance` prints, what it builds, and what a broken build leaves."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from hotdash_pipelines.cli import app
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.advice.advise import find_missing_indexes
from hotdash_pipelines.warehouse.advice.apply import AdviceError, Built, build
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.agent.test_performance import HEALTHY

PROGRAM = [sys.executable, "-m", "hotdash_pipelines.cli", "performance"]
LACKING = (
    HEALTHY
    + """
select shop.fill('notes', 2000);
alter table shop.notes enable row level security;
create policy own on shop.notes to authenticated using (tenant = (select app.claim_project()));
create index notes_tenant_idx on shop.notes (tenant) where id > 5;
create table shop.child (parent_id int references shop.parent);
insert into shop.child select n from generate_series(1, 2000) n;
"""
)


def _indexes(conn: "psycopg.Connection[Any]") -> dict[str, bool]:
    rows = conn.execute(
        "select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid "
        "where i.indrelid in ('shop.notes'::regclass, 'shop.child'::regclass) and not i.indisprimary"
    )
    return dict(rows.fetchall())


def _run(url: str, *arguments: str, **more: str) -> Result:
    """The command in this process: its exit code and both streams."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOTDASH_DATABASE_URL": url, **more}.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, ["performance", *arguments])
        finally:
            get_settings.cache_clear()


def test_optimize_prints_sql_applies_it_on_request_and_guards_production(warehouse_url: str) -> None:
    url = warehouse_url
    with connect(url, autocommit=True) as conn:
        conn.execute(LACKING)
        before = _indexes(conn)
        printed = _run(url, "optimize", "--auto-index")
        assert printed.exit_code == 1
        statements = [line for line in printed.stdout.splitlines() if not line.startswith("--")]
        # The plain name is taken by an index of another definition.
        assert len(statements) == 2
        assert "create index concurrently child_parent_id_idx on shop.child (parent_id);" in statements
        refused = _run(url, "optimize", "--auto-index", "--apply", "--env", "prod")
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert _run(url, "optimize", "--auto-index", "--apply", HOTDASH_ENVIRONMENT="prod").exit_code == 3
        assert _run(url, "optimize", "--apply").exit_code == 2
        assert _indexes(conn) == before, "nothing may have been built so far"

        applied = _run(url, "optimize", "--auto-index", "--apply", "--env", "prod", "--yes", "--json")
        assert applied.exit_code == 0, applied.stderr
        built = json.loads(applied.stdout)["indexes"]
        assert [entry["state"] for entry in built] == ["created", "created"]
        after = _indexes(conn)
        assert before.keys() < after.keys()
        assert all(after.values())
        assert {entry["name"] for entry in built} == after.keys() - before.keys()
        again = _run(url, "optimize", "--auto-index", "--apply")
        assert (again.exit_code, again.stdout) == (0, "-- no index is missing\n")


def test_analyze_prints_one_json_object_and_exits_by_what_it_found(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    clean = _run(warehouse_url, "analyze", "--json")
    assert (clean.exit_code, json.loads(clean.stdout)["ok"]) == (0, True)
    warehouse.execute(LACKING)
    analyzed = _run(warehouse_url, "analyze", "--json")
    ids = {finding["id"] for finding in json.loads(analyzed.stdout)["findings"]}
    assert analyzed.exit_code == 1
    assert "missing_index:shop.child(parent_id)" in ids
    shown = _run(warehouse_url, "analyze")
    assert shown.exit_code == 1
    assert "create index concurrently child_parent_id_idx on shop.child (parent_id);" in shown.stdout


@contextmanager
def _writer(url: str) -> "Iterator[psycopg.Connection[Any]]":
    """A session in a transaction that wrote to the table, which a concurrent build has to wait for."""
    with connect(url) as conn:
        conn.execute("insert into shop.child values (1)")
        yield conn
        conn.rollback()


def _until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def _builder_pid(conn: "psycopg.Connection[Any]") -> int | None:
    row = conn.execute(
        "select pid from pg_stat_activity where query like 'create index concurrently child%' "
        "and datname = current_database() and wait_event_type = 'Lock'"
    ).fetchone()
    return row[0] if row else None


def test_a_build_killed_half_way_is_made_good_by_the_next_one(any_warehouse_url: str) -> None:
    url = any_warehouse_url
    with connect(url, autocommit=True) as conn:
        conn.execute(LACKING)
        conn.execute("drop policy own on shop.notes")
        with _writer(url):
            running = subprocess.Popen(
                [*PROGRAM, "optimize", "--auto-index", "--apply"],
                env={**os.environ, "HOTDASH_DATABASE_URL": url},
                stderr=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            pid = _until(lambda: _builder_pid(conn))
            with pytest.raises(AdviceError, match="another command builds"):
                list(build(url, find_missing_indexes(url), print))
            running.send_signal(signal.SIGKILL)
            running.communicate()
            _until(lambda: not conn.execute("select 1 from pg_stat_activity where pid = %s", (pid,)).fetchone())
        assert _indexes(conn)["child_parent_id_idx"] is False
        again = _run(url, "optimize", "--auto-index", "--apply")
        assert again.exit_code == 0, again.stderr
        assert "dropped the invalid child_parent_id_idx" in again.stderr
        assert _indexes(conn)["child_parent_id_idx"] is True


def test_a_build_that_fails_clears_up_and_says_so(warehouse: "psycopg.Connection[Any]", warehouse_url: str) -> None:
    warehouse.execute(LACKING)
    warehouse.execute("drop policy own on shop.notes")
    missing, lines, results = find_missing_indexes(warehouse_url), list[str](), list[Built]()
    assert [index.name for index in missing] == ["child_parent_id_idx"]

    with _writer(warehouse_url) as writer:
        thread = threading.Thread(target=lambda: results.extend(build(warehouse_url, missing, lines.append)))
        thread.start()
        pid = _until(lambda: _builder_pid(warehouse))
        _until(lambda: lines)
        warehouse.execute("select pg_cancel_backend(%s)", (pid,))
        writer.rollback()
        thread.join(20)
    assert lines[0].startswith("child_parent_id_idx: waiting for writers before build")
    assert [result.state for result in results] == ["failed"]
    assert "dropped the invalid child_parent_id_idx that it left" in results[0].note
    assert "child_parent_id_idx" not in _indexes(warehouse)

    with _writer(warehouse_url):
        results = list(build(warehouse_url, missing, lines.append, lock_timeout_seconds=1))
    assert "gave up waiting" in results[0].note
    assert "run again" in results[0].note
    assert [result.state for result in build(warehouse_url, missing, lines.append)] == ["created"]


def test_nothing_is_touched_while_somebody_else_builds_on_the_table(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    warehouse.execute(LACKING)
    warehouse.execute("drop policy own on shop.notes")
    with connect(warehouse_url) as other:
        other.execute("lock table shop.child in share update exclusive mode")
        results = list(build(warehouse_url, find_missing_indexes(warehouse_url), print))
        assert [(result.state, "another session" in result.note) for result in results] == [("failed", True)]
        other.rollback()
    assert "child_parent_id_idx" not in _indexes(warehouse)
