"""The embedded server's whole life. What leaves a server as it was shares one; the others have each their own."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.warehouse.server import processes
from hotdash_pipelines.warehouse.server.binaries import EmbeddedPostgresError, ServerUser, reaches, run_as, server_user
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

AS_ROOT = os.geteuid() == 0
on_the_shared_server = pytest.mark.xdist_group("embedded-server")


def _scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as conn:
        row = conn.execute(query).fetchone()
    return row[0] if row else None


@on_the_shared_server
def test_up_creates_a_server_with_both_databases_in_utc_and_utf8_and_fast_means_without_fsync(
    shared_server: EmbeddedPostgres,
) -> None:
    for database in ("hotdash", "dagster"):
        assert _scalar(shared_server.url(database), "select current_database()") == database
    assert _scalar(shared_server.url(), "show timezone") == "UTC"
    assert _scalar(shared_server.url(), "show server_encoding") == "UTF8"
    assert _scalar(shared_server.url(), "show data_checksums") == "on"
    assert _scalar(shared_server.url(), "show max_connections") == "200"
    assert _scalar(shared_server.url(), "show fsync") == "off"


@on_the_shared_server
def test_up_on_a_running_server_is_a_matter_of_milliseconds(shared_server: EmbeddedPostgres) -> None:
    pid = shared_server.status().pid
    taken = []
    for _ in range(10):
        started = time.perf_counter()
        shared_server.up()
        taken.append(time.perf_counter() - started)
    # The fastest: whatever else the machine does meets the others.
    assert min(taken) < 0.05
    assert shared_server.status().pid == pid


@on_the_shared_server
def test_it_listens_on_loopback_alone_and_on_no_socket_file(shared_server: EmbeddedPostgres) -> None:
    assert _scalar(shared_server.url(), "show listen_addresses") == "127.0.0.1"
    assert _scalar(shared_server.url(), "show unix_socket_directories") == ""
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1"}
    for address in addresses:
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection((address, shared_server.status().port), timeout=1),
        ):
            pass


@on_the_shared_server
def test_a_wrong_or_missing_password_is_refused(shared_server: EmbeddedPostgres) -> None:
    port = shared_server.up().port
    for password in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user="hotdash", dbname="hotdash", password=password)


@on_the_shared_server
def test_the_password_is_readable_by_its_owner_alone_and_stands_in_no_argument(shared_server: EmbeddedPostgres) -> None:
    import psutil

    assert stat.S_IMODE(shared_server.password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(shared_server.log_file.stat().st_mode) == 0o600
    password = shared_server.password_file.read_text()
    assert len(password) >= 24
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or ())
    assert password not in shared_server.log_file.read_text()


@on_the_shared_server
def test_the_server_does_not_inherit_the_credentials_of_its_starter(
    shared_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTDASH_SHOPIFY_CLIENT_SECRET", "shpss-do-not-leak")
    shared_server.down()
    shared_server.up()
    environment = Path(f"/proc/{shared_server.status().pid}/environ")
    if not environment.exists():
        pytest.skip("no /proc here")
    assert b"do-not-leak" not in environment.read_bytes()


@on_the_shared_server
def test_rows_and_port_survive_down_and_up(shared_server: EmbeddedPostgres) -> None:
    port = shared_server.up().port
    with psycopg.connect(shared_server.url()) as conn:
        conn.execute("create table kept as select 42 as answer")
    assert shared_server.down()
    assert not shared_server.status().running
    assert not shared_server.down()
    assert shared_server.up().port == port
    assert _scalar(shared_server.url(), "select answer from kept") == 42


@on_the_shared_server
def test_a_port_that_was_taken_meanwhile_is_replaced(shared_server: EmbeddedPostgres) -> None:
    port = shared_server.up().port
    shared_server.down()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        assert shared_server.up().port != port
    assert _scalar(shared_server.url(), "select 1") == 1


def test_a_port_taken_between_the_look_and_the_start_is_replaced_too(
    own_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        taken = thief.getsockname()[1]
        real = processes.free_port
        offers = iter([taken])
        monkeypatch.setattr(processes, "free_port", lambda: next(offers, None) or real())
        monkeypatch.setattr(processes, "is_free", lambda port: port != taken)
        assert own_server.up().port != taken


def test_the_durable_profile_keeps_fsync_on_and_a_killed_postmaster_comes_back_with_every_committed_row(
    reachable_tmp: Path,
) -> None:
    server = EmbeddedPostgres(reachable_tmp / "home", profile="durable")
    try:
        server.up()
        assert _scalar(server.url(), "show fsync") == "on"
        with psycopg.connect(server.url()) as conn:
            conn.execute("create table kept as select generate_series(1, 2000) as n")
        pid = server.status().pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        _until(lambda: not server.status().running)
        server.up()
        assert _scalar(server.url(), "select count(*) from kept") == 2000
    finally:
        server.destroy()


def test_a_backend_that_outlives_its_killed_postmaster_does_not_keep_the_server_down(
    own_server: EmbeddedPostgres,
) -> None:
    own_server.up()
    data, pid = own_server.status().data, own_server.status().pid
    assert data
    assert pid
    busy = psycopg.connect(own_server.url())
    stopped = busy.info.backend_pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        _until(lambda: not own_server.status().running)
        assert stopped in processes.processes_of(data)
        own_server.up()
    finally:
        if stopped in processes.processes_of(data):
            os.kill(stopped, signal.SIGCONT)
    assert stopped not in processes.processes_of(data)
    assert _scalar(own_server.url(), "select 1") == 1


@on_the_shared_server
def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(shared_server: EmbeddedPostgres) -> None:
    data = shared_server.status().data
    assert data
    lines = (data / "postmaster.pid").read_text().splitlines()
    shared_server.down()
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    try:
        lines[0] = str(stranger.pid)
        (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        assert not shared_server.status().running
        shared_server.up()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_processes_that_start_it_at_once_get_the_same_server(reachable_tmp: Path) -> None:
    home = reachable_tmp / "home"
    script = (
        "import sys; from pathlib import Path; "
        "from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres as E;"
        "s = E(Path(sys.argv[1]), profile='fast'); s.up(); print(s.status().pid)"
    )

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", script, str(home)], check=True, capture_output=True, text=True
        ).stdout

    try:
        with ThreadPoolExecutor(3) as pool:
            pids = set(pool.map(start, range(3)))
        assert len(pids) == 1
        # Its starters have ended, and it goes on.
        assert EmbeddedPostgres(home).status().pid == int(pids.pop())
    finally:
        EmbeddedPostgres(home).destroy()


@pytest.mark.parametrize("left", ["password", "password and half a folder", "no databases"])
def test_a_first_start_that_was_killed_half_way_is_finished_by_the_next(
    own_server: EmbeddedPostgres, left: str
) -> None:
    if left == "no databases":
        own_server.up()
        with psycopg.connect(own_server.url("postgres"), autocommit=True) as conn:
            conn.execute("drop database dagster")
        (own_server.folder / "complete").unlink()
    else:
        own_server.folder.mkdir(parents=True)
        own_server.password_file.write_text("from-the-first-try")
        if "half" in left:
            (own_server.folder / "data.unfinished").mkdir()
            (own_server.folder / "data.unfinished" / "PG_VERSION").write_text("18\n")
    own_server.up()
    assert _scalar(own_server.url("dagster"), "select 1") == 1


def test_a_data_folder_that_vanished_is_an_error_and_not_an_empty_warehouse(own_server: EmbeddedPostgres) -> None:
    own_server.up()
    own_server.down()
    data = own_server.status().data
    assert data
    shutil.rmtree(data)
    with pytest.raises(EmbeddedPostgresError, match="is gone: put it back") as caught:
        own_server.up()
    assert "\n" not in str(caught.value)


def test_a_server_that_cannot_start_says_why_in_one_line(own_server: EmbeddedPostgres) -> None:
    own_server.up()
    own_server.down()
    data = own_server.status().data
    assert data
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="did not start") as caught:
        own_server.up()
    assert "\n" not in str(caught.value)


def test_destroy_leaves_nothing_behind(own_server: EmbeddedPostgres) -> None:
    own_server.up()
    data = own_server.status().data
    own_server.destroy()
    assert data is not None
    assert not data.exists()
    assert not own_server.folder.exists()
    assert not processes.processes_of(data)


@pytest.mark.skipif(not AS_ROOT, reason="only root has to leave a private home")
def test_below_a_private_folder_root_keeps_the_data_where_the_server_user_can_reach_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    before = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in (private, *private.parents)}
    server = EmbeddedPostgres(private / "home", profile="fast")
    try:
        server.up()
        data = server.status().data
        assert data is not None
        assert private not in data.parents
        assert data.stat().st_uid != 0
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert _scalar(server.url(), "select 1") == 1
        assert server.log_file.exists()
        server.down()
        server.up()
        assert server.status().data == data
        assert {folder: stat.S_IMODE(folder.stat().st_mode) for folder in before} == before
    finally:
        server.destroy()
    assert not data.parent.exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root has to leave a private home")
def test_data_of_a_deleted_home_is_not_adopted_by_the_next_home_of_that_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = EmbeddedPostgres(home, profile="fast")
    try:
        server.up()
        with psycopg.connect(server.url()) as conn:
            conn.execute("create table old as select 1")
        data = server.status().data
        assert data
        shutil.rmtree(home)
        server.up()
        assert _scalar(server.url(), "select to_regclass('old')") is None
        assert (data.parent / "data-of-a-deleted-home" / "PG_VERSION").exists()
    finally:
        server.destroy()


@pytest.mark.skipif(not AS_ROOT, reason="only root has to hand the programs to another user")
def test_programs_that_the_server_user_cannot_reach_are_copied_with_their_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotdash_pipelines.warehouse.server import binaries

    package = binaries.wheel_install().parent
    private = tmp_path / "site-packages"
    private.mkdir(mode=0o700)
    for name in ("pginstall18",):
        shutil.copytree(package / name, private / package.name / name, symlinks=True)
    shutil.copytree(package.parent / f"{package.name}.libs", private / f"{package.name}.libs", symlinks=True)
    monkeypatch.setattr(binaries, "wheel_install", lambda: private / package.name / "pginstall18")
    server = EmbeddedPostgres(tmp_path / "home", profile="fast")
    try:
        server.up()
        program = Path(f"/proc/{server.status().pid}/exe").resolve()
        assert private not in program.parents
        assert _scalar(server.url(), "select 1") == 1
    finally:
        server.destroy()


@pytest.mark.skipif(not AS_ROOT, reason="needs another user to become")
def test_an_ordinary_user_runs_the_server_as_itself(reachable_tmp: Path) -> None:
    user = server_user()
    assert user is not None
    root = Path(__file__).parents[3]
    if not reaches(user, root):
        pytest.skip("the clone is below a folder that other users cannot enter")
    home = reachable_tmp / "theirs"
    home.mkdir()
    os.chown(home, user.uid, user.gid)
    script = (
        "import os, sys; from pathlib import Path;"
        "from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres as E;"
        "s = E(Path(sys.argv[1]), profile='fast'); s.up(); f = s.status(); s.up();"
        "print(os.stat(f'/proc/{f.pid}').st_uid, f.data); s.down()"
    )
    done = subprocess.run(
        [_interpreter_for(user), "-c", script, str(home)],
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        cwd=root,
        env=_python_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(user.uid), str(home / "postgres" / "data")]


@on_the_shared_server
@pytest.mark.skipif(not AS_ROOT, reason="needs another user to become")
def test_the_home_of_another_user_is_refused_in_one_line(shared_server: EmbeddedPostgres) -> None:
    user = server_user()
    assert user is not None
    script = (
        "import sys; from pathlib import Path;"
        "from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres as E; E(Path(sys.argv[1])).url()"
    )
    done = subprocess.run(
        [_interpreter_for(user), "-c", script, str(shared_server.home)],
        capture_output=True,
        text=True,
        check=False,
        **{**run_as(user), "env": _python_environment()},
    )
    assert "set HOTDASH_HOME to a folder of your own" in done.stderr


def _interpreter_for(user: ServerUser) -> str:
    """A Python of this version that `user` may run: this one may be below somebody's private folder."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    probe = f"import sys, psutil; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for candidate in (sys.executable, "/usr/bin/python3", f"/usr/bin/python{version}"):
        with contextlib.suppress(OSError):
            options = {**run_as(user), "env": _python_environment()}
            if subprocess.run([candidate, "-c", probe], check=False, capture_output=True, **options).returncode == 0:
                return candidate
    pytest.skip(f"user {user.name} can run no Python {version} with this environment's packages")


def _python_environment() -> dict[str, str]:
    packages = Path(psycopg.__file__).parents[1]
    paths = f"{Path(__file__).parents[3]}:{packages}"
    return {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": paths}


def _until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_a_home_whose_data_is_gone_can_still_be_destroyed(own_server: EmbeddedPostgres) -> None:
    own_server.up()
    data = own_server.status().data
    assert data
    own_server.down()
    shutil.rmtree(data.parent)
    own_server.destroy()
    assert not own_server.folder.exists()
