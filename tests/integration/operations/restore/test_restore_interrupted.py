"""A restore that is killed, cut off or starved leaves the old database in its place, and the next one comes through."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.operations.backup.files import BackupError
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.operations.restore.swap import alone, server_url
from hotdash_pipelines.warehouse.postgres import connect, with_database
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server.binaries import run_as, server_user
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.cut_proxy import cut_proxy
from tests.integration.operations.restore.restoring import back_up, bring_back, contents, databases, fill, name_of, tidy

ROOT = Path(__file__).parents[4]
# In the order in which they are reached: each one shows that what the kill before left is no hindrance.
POINTS = (
    "restore.verified", "restore.created", "restore.loaded", "restore.checked", "restore.carried", "restore.proven",
    "restore.first_renamed",
)  # fmt: skip


@pytest.fixture
def filled(warehouse_url: str) -> Iterator[str]:
    fill(warehouse_url)
    with tidy(warehouse_url):
        yield warehouse_url


@pytest.fixture
def starved(reachable_tmp: Path) -> Iterator[tuple[EmbeddedPostgres, str]]:
    """A server of its own with a filled database: other tests' sessions are not to be short of disk."""
    server = EmbeddedPostgres(reachable_tmp / "home", profile="fast")
    try:
        server.up()
        url = server.url("hotdash")
        migrate(url)
        fill(url)
        with tidy(url):
            yield server, url
    finally:
        server.destroy()


def _run(
    url: str, folder: Path, backup_id: str, kill_at: str, limit: int | None = None
) -> "subprocess.CompletedProcess[str]":
    def starve() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    program = [sys.executable, "-m", "tests.integration.operations.restore.restoring", url, str(folder), backup_id]
    environment = {**os.environ, "HOTDASH_KILL_AT": kill_at}
    return subprocess.run(
        program, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, preexec_fn=starve
    )


def _limit_files(server: EmbeddedPostgres, size: str) -> None:
    """How long a file of the server's next sessions may become; only its own user may say so."""
    command = ["prlimit", f"--pid={server.status().pid}", f"--fsize={size}:unlimited"]
    subprocess.run(command, check=True, **run_as(server_user()))


def _change(url: str) -> None:
    with connect(url, autocommit=True) as conn:
        conn.execute("delete from agent.agent_queries; insert into staging.plain (note) values ('later')")


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_old_database_or_the_new_one_and_a_rerun_converges(
    filled: str, tmp_path: Path
) -> None:
    _, manifest = back_up(filled, tmp_path)
    _change(filled)
    before = contents(filled)
    for point in POINTS:
        assert _run(filled, tmp_path, manifest.id, point).returncode == -signal.SIGKILL, point
        assert contents(filled) == before, point
        assert databases(filled, "before") == set(), point
        assert len(databases(filled)) <= 1, point
    # After the renames it is done: whoever was killed there only did not hear of it.
    assert _run(filled, tmp_path, manifest.id, "restore.renamed").returncode == -signal.SIGKILL
    (kept,) = databases(filled)
    assert contents(with_database(filled, kept)) == before
    restored = contents(filled)
    assert restored["agent.agent_queries"] == manifest.tables["agent.agent_queries"] != before["agent.agent_queries"]
    assert restored["staging.plain"] == before["staging.plain"]
    again = bring_back(filled, tmp_path, manifest.id)
    assert contents(filled) == restored
    assert databases(filled) == {kept, again.kept_as}
    assert contents(with_database(filled, kept)) == before
    assert not list((tmp_path / "scratch").glob("work-*"))


def test_a_connection_cut_after_any_number_of_bytes_leaves_the_target_untouched(filled: str, tmp_path: Path) -> None:
    with connect(filled, autocommit=True) as conn:
        conn.execute(
            "insert into agent.observability_logs (level, message) "
            "select 'INFO', string_agg(md5(random()::text), '') from generate_series(1, 300) row, "
            "generate_series(1, 100) group by row"
        )
    _, manifest = back_up(filled, tmp_path)
    before = contents(filled)
    with cut_proxy(filled) as proxy:
        through = proxy.through(filled)
        for after in (2_000, 40_000, 120_000, 400_000, 900_000):
            proxy.heal()
            proxy.direction, proxy.reset, proxy.cut_after = "server", after % 3 == 0, after
            with pytest.raises(HotdashError):
                bring_back(through, tmp_path, manifest.id)
            assert proxy._left() == 0, after
            assert contents(filled) == before, after
            assert databases(filled, "before") == set(), after
        proxy.heal()
        bring_back(through, tmp_path, manifest.id)
    assert contents(filled)["agent.observability_logs"] == manifest.tables["agent.observability_logs"]
    assert len(databases(filled)) == 1


def test_a_full_disk_here_or_at_the_server_leaves_the_target_untouched(
    starved: tuple[EmbeddedPostgres, str], tmp_path: Path
) -> None:
    server, filled = starved
    with connect(filled, autocommit=True) as conn:
        conn.execute(
            "insert into agent.observability_logs (level, message) "
            "select 'INFO', string_agg(md5(random()::text), '') from generate_series(1, 600) row, "
            "generate_series(1, 1000) group by row"
        )
    _, manifest = back_up(filled, tmp_path)
    before = contents(filled)
    done = _run(filled, tmp_path, manifest.id, "", limit=1 << 20)
    assert done.returncode == 1
    assert "the disk refused" in done.stderr
    assert contents(filled) == before

    # A file of the write-ahead log may still be written in full.
    _limit_files(server, str(16 << 20))
    try:
        with pytest.raises(RestoreError, match="File too large"):
            bring_back(filled, tmp_path, manifest.id)
    finally:
        _limit_files(server, "unlimited")
    assert contents(filled) == before
    assert databases(filled) == set()
    bring_back(filled, tmp_path, manifest.id)
    assert contents(filled)["agent.observability_logs"] == manifest.tables["agent.observability_logs"]


def test_a_lock_that_was_lost_with_its_session_fails_nothing_that_is_done(filled: str) -> None:
    server = server_url(filled)
    with connect(server, autocommit=True) as admin, connect(server, autocommit=True) as other:
        with alone(admin, name_of(filled)):
            other.execute("select pg_terminate_backend(%s, 20000)", (admin.info.backend_pid,))
        with alone(other, name_of(filled)):
            assert admin.closed


def test_writers_and_sessions_that_keep_coming_back_lose_nothing_that_was_committed(
    filled: str, tmp_path: Path
) -> None:
    _, manifest = back_up(filled, tmp_path)
    stop, committed, errors = threading.Event(), [], []

    def write(writer: int) -> None:
        number = 0
        while not stop.is_set():
            try:
                with psycopg.connect(filled, autocommit=True, connect_timeout=10) as conn:
                    while not stop.is_set():
                        number += 1
                        note = f"{writer}-{number}"
                        conn.execute("insert into staging.plain (note) values (%s)", (note,))
                        committed.append(note)
            except psycopg.OperationalError as error:
                errors.append(error)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in writers:
        thread.start()
    try:
        done = bring_back(filled, tmp_path, manifest.id)
        while len(committed) < 100 or not errors:
            stop.wait(0.05)
    finally:
        stop.set()
        for thread in writers:
            thread.join()
    assert done.sessions >= 1
    with connect(filled) as conn:
        there = {note for (note,) in conn.execute("select note from staging.plain").fetchall()}
    assert set(committed) <= there


def test_a_running_writer_of_what_is_carried_over_is_waited_for_and_then_named(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotdash_pipelines.operations.restore.swap._LOCK_TIMEOUT", "300ms")
    _, manifest = back_up(filled, tmp_path)
    with connect(filled) as conn:
        conn.execute("insert into staging.plain (note) values ('not committed yet')")
        with pytest.raises(BackupError, match="a running job has been writing"):
            bring_back(filled, tmp_path, manifest.id)
    assert databases(filled) == set()


def test_one_restore_of_a_database_at_a_time(filled: str, tmp_path: Path) -> None:
    _, manifest = back_up(filled, tmp_path)
    with (
        connect(server_url(filled), autocommit=True) as admin,
        alone(admin, name_of(filled)),
        pytest.raises(RestoreError, match="another restore of"),
    ):
        bring_back(filled, tmp_path, manifest.id)
