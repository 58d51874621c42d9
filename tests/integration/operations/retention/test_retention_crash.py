"""Whatever is killed, full or cut off: each row is in its table or in a proven archive, and a rerun ends it."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.operations.retention.archive_audit import clean, look
from hotdash_pipelines.warehouse.postgres import connect
from tests.cut_proxy import cut_proxy
from tests.integration.operations.retention.retention_rows import archived, many, put, retain, store_in, texts

ROOT = Path(__file__).parents[4]
NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=200)
TABLES = ("agent_queries", "agent_queries_history")
# The queries' archive of the first part, that of their versions, those of the second part.
STEPS = [
    f"retention.{step}:{nth}"
    for step, times in {
        "deleted": (1, 2, 3), "written": (1, 3), "verified": (1, 3), "archived": (1, 2, 3), "recorded": (1, 2),
        "committed": (1, 2),
    }.items()
    for nth in times
]  # fmt: skip
Texts = dict[str, dict[int, str]]


def _run(url: str, folder: Path, *more: str, kill_at: str = "") -> "subprocess.CompletedProcess[str]":
    program = [
        sys.executable,
        "-m",
        "tests.integration.operations.retention.retain_once",
        url,
        str(folder),
        "agent_queries",
    ]
    environment = {**os.environ, "HOTDASH_KILL_AT": kill_at}
    return subprocess.run(
        [*program, NOW.isoformat(), *(more or ("10",))],
        cwd=ROOT, env=environment, check=False, text=True, capture_output=True,
    )  # fmt: skip


def _fill(conn: "psycopg.Connection[Any]") -> Texts:
    many(conn, "agent_queries", 15, OLD)
    many(conn, "agent_queries", 3, NOW)
    return {table: texts(conn, table) for table in TABLES}


def _in_table_or_archive(conn: "psycopg.Connection[Any]", folder: Path, before: Texts) -> int:
    """Assert that no row is lost and none is archived twice by runs that committed; how many are archived."""
    count = 0
    for table, rows in before.items():
        here, there = texts(conn, table), archived(conn, store_in(folder), folder, table)
        for number, text in rows.items():
            assert here.get(number) == text or there.get(number) == [text], (table, number)
        assert not set(here) & set(there)
        assert all(len(found) == 1 for found in there.values())
        assert set(here) | set(there) == set(rows)
        count += len(there)
    return count


@pytest.mark.slow
def test_a_kill_at_any_step_loses_no_row_and_a_rerun_ends_it(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    counts = set()
    for step in STEPS:
        folder = tmp_path / step.replace(":", "-")
        warehouse.execute("truncate agent.agent_queries, agent.agent_queries_history, ops.retention_runs")
        before = _fill(warehouse)
        assert _run(warehouse_url, folder, kill_at=step).returncode == -signal.SIGKILL, step
        counts.add(_in_table_or_archive(warehouse, folder, before))
        assert not {found.state for found in look(warehouse, store_in(folder), scratch=folder / "s")} & {
            "damaged", "missing", "unknown",
        }  # fmt: skip

        retain(warehouse_url, folder, "agent_queries", NOW, chunk_rows=10, whole_rows=10)
        assert _in_table_or_archive(warehouse, folder, before) == 30, step
        assert len(texts(warehouse, "agent_queries")) == 3
        # The rerun took over what the killed run had stored, because it took the same rows.
        assert {found.state for found in look(warehouse, store_in(folder), scratch=folder / "s")} == {"kept"}, step
        assert not list((folder / "scratch").glob("work-*"))
    # Nothing, one part with its versions, or both: the parts end in any order.
    assert {0, 30} < counts <= {0, 10, 20, 30}


def test_a_full_disk_deletes_nothing_that_is_not_kept(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    before = _fill(warehouse)
    for size in (0, 1000, 4000):
        done = _run(warehouse_url, tmp_path, "50", str(size))
        assert done.returncode == 1
        assert "disk refused" in done.stderr or "cannot be read back" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert _in_table_or_archive(warehouse, tmp_path, before) == 0
    failed = warehouse.execute("select state, error from ops.retention_runs").fetchall()
    assert [state for state, _ in failed] == ["failed"]
    assert _run(warehouse_url, tmp_path, "50").returncode == 0
    assert _in_table_or_archive(warehouse, tmp_path, before) == 30


def test_a_connection_cut_anywhere_loses_no_row(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    before = _fill(warehouse)
    cuts = 0
    with cut_proxy(warehouse_url) as proxy:
        url = proxy.through(warehouse_url)
        for direction in ("client", "server"):
            for after in (2_000, 14_000, 18_000, 19_500, 21_000, 23_000, 26_000, 30_000):
                proxy.heal()
                proxy.direction, proxy.cut_after, proxy.reset = direction, after, after % 2 == 0
                before_cut = proxy.cuts
                try:
                    retain(url, tmp_path, "agent_queries", NOW, chunk_rows=5, whole_rows=5)
                except HotdashError:
                    cuts += proxy.cuts > before_cut
                _in_table_or_archive(warehouse, tmp_path, before)
    # Longer than the whole exchange are only the last ones.
    assert cuts >= 8
    retain(warehouse_url, tmp_path, "agent_queries", NOW)
    assert _in_table_or_archive(warehouse, tmp_path, before) == 30


def test_what_a_killed_run_left_goes_only_while_its_rows_are_in_the_table(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    before = _fill(warehouse)
    store, scratch = store_in(tmp_path), tmp_path / "s"
    assert _run(warehouse_url, tmp_path, "50", kill_at="retention.recorded").returncode == -signal.SIGKILL
    assert [found.state for found in look(warehouse, store, scratch=scratch)] == ["left over", "left over"]
    queries, versions = archive.list_archives(store)

    # One row of the queries' archive is not in the table any more: that archive is all that is left of it.
    warehouse.execute("set session_replication_role to replica")
    warehouse.execute("delete from agent.agent_queries where id = (select min(id) from agent.agent_queries)")
    # A number that was given again is another row.
    warehouse.execute(
        "insert into agent.agent_queries select r.* from (select * from agent.agent_queries limit 1) as q,"
        " jsonb_populate_record(null::agent.agent_queries, to_jsonb(q)"
        " || jsonb_build_object('id', %s::bigint, 'created_at', %s::text, 'updated_at', %s::text)) as r",
        (min(before["agent_queries"]), NOW.isoformat(), NOW.isoformat()),
    )
    assert [found.path for found in clean(warehouse, store, scratch=scratch, dry_run=True)] == [versions]
    assert archive.list_archives(store) == [queries, versions]
    assert [found.path for found in clean(warehouse, store, scratch=scratch)] == [versions]
    assert [found.path for found in look(warehouse, store, scratch=scratch)] == [queries]


def test_what_an_open_run_has_stored_is_not_cleared_away(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotdash_pipelines.operations.retention import run as retention_run

    put(warehouse, "agent_feedback", OLD)
    store, seen = store_in(tmp_path), []

    def look_meanwhile(name: str) -> None:
        if name == "retention.recorded":
            with connect(warehouse_url, autocommit=True) as other:
                # The run's own lock may be lost with its connection: an open part holds one too. Other databases of the
                # server are other tests'.
                other.execute(
                    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
                    " and mode = 'ExclusiveLock'"
                    " and database = (select oid from pg_database where datname = current_database())"
                )
                seen.append([found.state for found in look(other, store, scratch=tmp_path / "s")])
                seen.append(clean(other, store, scratch=tmp_path / "s"))

    monkeypatch.setattr(retention_run, "reach", look_meanwhile)
    retain(warehouse_url, tmp_path, "agent_feedback", NOW)
    assert seen == [["left over"], []]
    assert [found.state for found in look(warehouse, store, scratch=tmp_path / "s")] == ["kept"]


def test_a_leftover_that_was_damaged_is_not_taken_over(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    before = _fill(warehouse)
    assert _run(warehouse_url, tmp_path, "50", kill_at="retention.recorded").returncode == -signal.SIGKILL
    for path in archive.list_archives(store_in(tmp_path)):
        file = tmp_path / "archive" / path
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    assert _run(warehouse_url, tmp_path, "50").returncode == 0
    assert _in_table_or_archive(warehouse, tmp_path, before) == 30
    uris = {one.state: one.uri for one in look(warehouse, store_in(tmp_path), scratch=tmp_path / "s")}
    assert set(uris) == {"kept", "damaged"}
    assert uris["kept"].endswith("-2.parquet")


def test_rows_brought_back_by_a_restore_are_archived_again(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, tmp_path: Path
) -> None:
    """A backup of the morning knows neither the deletion nor its record; the same rows make the same archive."""
    before = _fill(warehouse)
    shutil.copytree(tmp_path, tmp_path / "copy", dirs_exist_ok=True, ignore=lambda *_: ["copy"])
    for table in TABLES:
        warehouse.execute(f"create table public.{table} as select * from agent.{table}")
    retain(warehouse_url, tmp_path, "agent_queries", NOW)
    files = archive.list_archives(store_in(tmp_path))
    warehouse.execute("set session_replication_role to replica")
    warehouse.execute("truncate agent.agent_queries, agent.agent_queries_history, ops.retention_runs")
    for table in TABLES:
        warehouse.execute(f"insert into agent.{table} select * from public.{table}")
    retain(warehouse_url, tmp_path, "agent_queries", NOW)
    assert archive.list_archives(store_in(tmp_path)) == files
    assert _in_table_or_archive(warehouse, tmp_path, before) == 30
