"""The whole pipeline with every connection outside loopback denied: it passes, and nothing even tries.

Every Python process of the run (hotdash, the stand-in, dbt, Dagster, Great Expectations) loads a guard that notes and
refuses such a connection or look-up. Where root runs the tests there is, besides, no network but loopback at all.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hotdash_pipelines.settings import PROJECT_ROOT
from tests.pipeline.homes import HOTDASH, home_in

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]

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
ISOLATED = (sys.executable, str(Path(__file__).with_name("loopback_network.py")))


def can_leave_the_network() -> bool:
    """Root may, outside containers that forbid it."""
    return subprocess.run([*ISOLATED, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.fixture
def guard(tmp_path: Path) -> dict[str, str]:
    """The variables that put the guard into every Python process."""
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(GUARD)
    return {"PYTHONPATH": str(folder), "HOTDASH_TEST_ATTEMPTS": str(tmp_path / "attempts")}


def test_the_pipeline_passes_and_tries_no_connection_outside_loopback(tmp_path: Path, guard: dict[str, str]) -> None:
    # Without these the switches that a Makefile or a shell sets would hide what the code itself fails to switch off.
    switches = ("DO_NOT_TRACK", "DBT_SEND_ANONYMOUS_USAGE_STATS", "GX_ANALYTICS_ENABLED")
    settings = {**guard, **dict.fromkeys(switches, "")}
    attempts = tmp_path / "attempts"
    with home_in(tmp_path, settings) as home:
        if can_leave_the_network():
            home.program = (*ISOLATED, *HOTDASH)
        command = home.start("up", "--json", "--days", "1")
        command.says("Dagster UI")
        # Telemetry goes out in the background, some seconds after the start.
        time.sleep(4)
        assert command.end(signal.SIGTERM) == 143
    assert json.loads(command.out)["checks"]["failed"] == 0
    assert not attempts.exists(), attempts.read_text()
    guarded = Path(f"{attempts}.guarded").read_text()
    programs = ("hotdash_pipelines.cli up", "hotdash_pipelines.demo", "dbt", "code-server", "webserver", "_daemon run")
    for program in programs:
        assert program in guarded, program


def test_the_guard_refuses_and_notes_a_connection_and_a_look_up(tmp_path: Path, guard: dict[str, str]) -> None:
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
