"""An ordinary user loads and serves a day in a clone of its own, with every connection outside loopback denied.

Every Python process of the run (hotdash, the stand-in, dbt, Dagster, Great Expectations) loads a guard that notes and
refuses such a connection or look-up. Where root runs the tests the user is another one, and there is no network but
loopback at all. Root itself below a private folder: test_adding_a_stream.py.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.pipeline.harness.homes import Command, Home, copy_of_the_project

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.xdist_group("ordinary-user"),
    pytest.mark.timeout(900),
]

# Python imports it at the start of every process that has its folder on PYTHONPATH.
GUARD = """
import os, sys

def _is_outside(event, args):
    if event == "socket.getaddrinfo":
        host = args[0].decode() if isinstance(args[0], bytes) else args[0]
        return host not in (None, "", "localhost", "::1", "0.0.0.0", "::") and not host.startswith("127.")
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        return not (args[1][0] == "::1" or args[1][0].startswith("127."))
    return False

def _guard(event, args):
    if event.startswith("socket.") and _is_outside(event, args):
        with open(os.environ["HOTDASH_TEST_ATTEMPTS"], "a") as attempts:
            attempts.write(f"{event} {args} in {sys.argv}\\n")
        raise OSError("denied by the test")

sys.addaudithook(_guard)
with open(os.environ["HOTDASH_TEST_ATTEMPTS"] + ".guarded", "a") as guarded:
    guarded.write(" ".join(sys.orig_argv) + "\\n")
"""
ISOLATED = (sys.executable, str(Path(__file__).parents[1] / "harness" / "loopback_network.py"))
NOBODY = pwd.getpwnam("nobody")
BECOME = ("setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "--no-new-privs")
# Without these the switches that a Makefile or a shell sets would hide what the code itself fails to switch off.
SWITCHES = ("DO_NOT_TRACK", "DBT_SEND_ANONYMOUS_USAGE_STATS", "GX_ANALYTICS_ENABLED")


def can_leave_the_network() -> bool:
    """Root may, outside containers that forbid it."""
    return subprocess.run([*ISOLATED, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def guard_in(folder: Path) -> dict[str, str]:
    """The variables that put the guard into every Python process; attempts and processes are noted in the folder."""
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    (folder / "attempts.guarded").touch()
    return {"PYTHONPATH": str(folder / "guard"), "HOTDASH_TEST_ATTEMPTS": str(folder / "attempts")}


def python_of_nobody(folder: Path) -> Path | str:
    """An interpreter that user nobody can start, with this environment's packages; or why there is none."""

    def starts(python: str) -> bool:
        # Through a shell: setpriv itself still has the right to start what is root's alone.
        probe = [*BECOME, "sh", "-c", 'exec "$0" -c "import encodings"', python]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0:
        return "only root can become somebody else"
    packages = sysconfig.get_path("purelib")
    if subprocess.run([*BECOME, "sh", "-c", 'test -r "$0"', packages], check=False).returncode != 0:
        return "this environment lies below a private folder, where no other user can read it"
    if starts(sys.executable):
        return Path(sys.executable)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    others = [str(place) for place in (Path("/usr/bin") / name, Path("/usr/local/bin") / name) if place.exists()]
    chosen = next(filter(starts, others), None)
    if chosen is None:
        return f"no {name} that an ordinary user can start"
    environment = folder / "venv"
    subprocess.run([chosen, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (environment / "lib" / name / "site-packages" / "shared.pth").write_text(
        f"import site; site.addsitedir({packages!r})"
    )
    dbt = (Path(sys.executable).parent / "dbt").read_text().split("\n", 1)[1]
    (environment / "bin" / "dbt").write_text(f"#!{python}\n{dbt}")
    (environment / "bin" / "dbt").chmod(0o755)
    return python


@dataclass(frozen=True)
class Apart:
    """A served run that was ended by SIGTERM. `python` is nobody's interpreter, or why it ran as oneself."""

    folder: Path
    home: Home
    command: Command
    code: int
    left_behind: list[str]
    python: Path | str


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """The run. Its folder is in the machine's temporary one: unlike pytest's own, it is below nothing private."""
    folder = Path(tempfile.mkdtemp(prefix="hotdash-users-"))
    folder.chmod(0o755)
    clone = copy_of_the_project(folder / "clone")
    settings = {**guard_in(folder), "HOME": str(folder), **dict.fromkeys(SWITCHES, "")}
    settings["PYTHONPATH"] += f":{clone}"
    python = python_of_nobody(folder)
    is_other = isinstance(python, Path)
    program = [
        *(BECOME if is_other else ()),
        str(python) if is_other else sys.executable,
        "-m",
        "hotdash_pipelines.cli",
    ]
    if is_other:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    if can_leave_the_network():
        program = [*ISOLATED, *program]
    home = Home(clone / ".hotdash", settings, program, folder=clone)
    try:
        command = home.start("up", "--json", "--days", "1")
        command.says("Dagster UI")
        # Telemetry goes out in the background, some seconds after the start.
        time.sleep(4)
        code = command.end(signal.SIGTERM)
        yield Apart(folder, home, command, code, home.left_behind(), python)
    finally:
        home.destroy()
        shutil.rmtree(folder)


def test_the_pipeline_passes_serves_and_ends(apart: Apart) -> None:
    assert apart.code == 143, apart.command.err
    assert json.loads(apart.command.out)["checks"]["failed"] == 0
    assert apart.left_behind == []


def test_nothing_tries_a_connection_outside_loopback(apart: Apart) -> None:
    attempts = apart.folder / "attempts"
    assert not attempts.exists(), attempts.read_text()
    guarded = Path(f"{attempts}.guarded").read_text()
    programs = ("hotdash_pipelines.cli up", "hotdash_pipelines.demo", "dbt", "code-server", "webserver", "_daemon run")
    for program in programs:
        assert program in guarded, program


def test_everything_in_the_home_is_the_users_own(apart: Apart) -> None:
    if isinstance(apart.python, str):
        pytest.skip(apart.python)
    assert {path.stat().st_uid for path in apart.home.path.rglob("*")} == {NOBODY.pw_uid}


def test_the_guard_refuses_and_notes_a_connection_and_a_look_up(tmp_path: Path) -> None:
    guard = guard_in(tmp_path)
    for code in (
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('pypi.org', 443)",
    ):
        ran = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **guard}, capture_output=True, text=True, check=False
        )
        assert "denied by the test" in ran.stderr
    noted = (tmp_path / "attempts").read_text()
    assert "192.0.2.1" in noted
    assert "pypi.org" in noted


def test_nothing_is_reachable_without_the_network_but_loopback(tmp_path: Path) -> None:
    if not can_leave_the_network():
        pytest.skip("needs root to leave the network")
    code = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname(), 1)\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError as error: print(error.strerror)\n"
    )
    ran = subprocess.run([*ISOLATED, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "Network is unreachable"


def test_the_telemetry_of_dagster_and_dbt_is_off() -> None:
    """Great Expectations has none in the locked version; the guard above would see one that came back."""
    instance = yaml.safe_load((PROJECT_ROOT / "docker" / "dagster.yaml").read_text())
    assert instance["telemetry"] == {"enabled": False}
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False
