"""`hotdash db` as a user runs it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

PROGRAM = [sys.executable, "-m", "hotdash_pipelines.cli", "db"]


def _environment(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "HOTDASH_HOME": str(home), **more}


def _run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = _environment(home, **more)
    return subprocess.run([*PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_psql_runs_as_the_owner_and_hands_over_its_arguments_and_exit_code(
    server: EmbeddedPostgres, session_home: Path
) -> None:
    done = _run(session_home, "psql", "--", "-Atc", "select current_user, 6 * 7")
    assert (done.returncode, done.stdout) == (0, "hotdash|42\n")
    assert _run(session_home, "psql", "--", "-v", "ON_ERROR_STOP=1", "-c", "select 1 / 0").returncode == 1


def test_the_password_of_psql_stands_in_no_argument(server: EmbeddedPostgres, session_home: Path) -> None:
    password = server.password_file.read_text()
    running = subprocess.Popen([*PROGRAM, "psql", "--", "-c", "select pg_sleep(90)"], env=_environment(session_home))
    try:
        deadline = time.monotonic() + 60
        while psutil.Process(running.pid).name() != "psql":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in psutil.process_iter(["cmdline"]):
            assert password not in " ".join(process.info["cmdline"] or ())
    finally:
        running.kill()
        running.wait()


def test_the_url_is_printed_without_the_password_unless_asked_for(server: EmbeddedPostgres, session_home: Path) -> None:
    password = server.password_file.read_text()
    shown = _run(session_home, "url")
    assert shown.stdout == f"postgresql://hotdash@127.0.0.1:{server.status().port}/hotdash\n"
    assert str(server.password_file) in shown.stderr
    assert password not in shown.stderr
    assert _run(session_home, "url", "--with-password").stdout.strip() == server.url()


def test_status_tells_where_the_server_is_and_its_exit_code_whether_it_runs(
    server: EmbeddedPostgres, session_home: Path, tmp_path: Path
) -> None:
    done = _run(session_home, "status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["running"], found["port"]) == (True, server.status().port)
    absent = _run(tmp_path, "status", "--json")
    assert (absent.returncode, json.loads(absent.stdout)["running"]) == (1, False)
    assert list(tmp_path.iterdir()) == []


def test_another_server_is_used_and_neither_started_nor_stopped(postgres15: str, tmp_path: Path) -> None:
    other = {"HOTDASH_DATABASE_URL": postgres15}
    found = json.loads(_run(tmp_path, "status", "--json", **other).stdout)
    assert (found["server"], found["running"], found["version"]) == ("external", True, 15)
    assert _run(tmp_path, "psql", "--", "-Atc", "select current_user", **other).stdout == "owner\n"
    assert _run(tmp_path, "down", **other).returncode == 3
    assert _run(tmp_path, "up", **other).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_up_and_down_of_a_fresh_home(reachable_tmp: Path) -> None:
    home = reachable_tmp / "home"
    try:
        started = _run(home, "up")
        assert started.returncode == 0, started.stderr
        assert EmbeddedPostgres(home).status().running
        assert (home / "postgres" / "password").read_text() not in started.stdout
        assert _run(home, "down").stdout == "Postgres stopped\n"
        assert _run(home, "down").stdout == "Postgres was not running\n"
    finally:
        EmbeddedPostgres(home).destroy()
