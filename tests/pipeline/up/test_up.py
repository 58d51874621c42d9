"""`hotdash up` from its first line to its end: exit codes, output, what it serves, what it refuses, what it leaves."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.pipeline.harness.homes import Home, Reloaded, Served, Stopped, until
from tests.pipeline.harness.stack import NOW, Ran

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("served"), pytest.mark.timeout(900)]

STATE = """{
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    schedules { name executionTimezone cronSchedule scheduleState { status }
      futureTicks(limit: 1) { results { timestamp } } }
    sensors { name sensorState { status } } } } }
}"""


def test_up_prints_one_json_object_of_the_agreed_shape_and_goes_on_serving(served: Served) -> None:
    (line,) = served.command.out.splitlines()
    outcome = json.loads(line)
    assert list(outcome) == ["assets", "left_out", "checks", "seconds"]
    assert outcome["left_out"] == {}
    assert list(outcome["checks"]) == ["passed", "failed", "warned"]
    assert outcome["checks"]["failed"] == 0
    assert all(isinstance(rows, int) for rows in outcome["assets"].values())
    assert outcome["assets"]["raw_shopify/orders"] > 50
    assert isinstance(outcome["seconds"], float)
    assert served.command.process.poll() is None


def test_the_webserver_answers_on_loopback_and_nowhere_else(served: Served) -> None:
    assert served.home.ask("{ version }")["version"]
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1"}
    for address in others:
        with pytest.raises(OSError), socket.create_connection((address, served.home.port), timeout=1):  # noqa: PT011
            pass


def test_the_daemon_is_healthy_and_the_schedules_run(served: Served) -> None:
    def all_healthy() -> bool:
        statuses = served.home.ask(STATE)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    until("every daemon healthy", all_healthy, 90)
    (repository,) = served.home.ask(STATE)["repositoriesOrError"]["nodes"]
    schedules = {schedule["name"]: schedule for schedule in repository["schedules"]}
    assert {name: schedule["cronSchedule"] for name, schedule in schedules.items()} == {
        "demo_agent_activity": "45 3 * * *",
        "nightly": "0 4 * * *",
        "daily_backup": "0 2 * * *",
        "weekly_restore_test": "30 2 * * 0",
        "weekly_retention": "0 3 * * 0",
        "monthly_retention": "0 3 1 * *",
        "daily_housekeeping": "30 3 * * *",
        "weekly_export": "0 5 * * 0",
    }
    in_store_time = ("demo_agent_activity", "nightly")
    for name, schedule in schedules.items():
        assert schedule["executionTimezone"] == ("America/New_York" if name in in_store_time else "UTC")
        assert schedule["scheduleState"]["status"] == "RUNNING"
        assert schedule["futureTicks"]["results"]
    assert {sensor["name"]: sensor["sensorState"]["status"] for sensor in repository["sensors"]} == {
        "agent_rows_sensor": "RUNNING",
        "alert_delivery_sensor": "RUNNING",
        "run_failure_sensor": "RUNNING",
        "sla_evaluation_sensor": "RUNNING",
    }


def refusal(ran: Ran) -> str:
    """The one line on standard error of a command that was refused; nothing else was printed."""
    assert ran.code == 1, ran.err
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("hotdash: ")
    return line


def test_a_second_up_in_the_same_home_is_refused_in_one_line(served: Served) -> None:
    line = refusal(served.home.up())
    assert str(served.command.process.pid) in line
    assert str(served.home.path) in line
    assert "HOTDASH_HOME" in line
    assert served.home.ask("{ version }")["version"]


def test_a_taken_port_is_refused_in_one_line_before_anything_starts(served: Served, home: Home) -> None:
    ran = home.run("up", settings={"HOTDASH_WEBSERVER_PORT": str(served.home.port)})
    line = refusal(ran)
    assert f"port {served.home.port}" in line
    assert "HOTDASH_WEBSERVER_PORT" in line
    assert home.left_behind() == []
    assert not (home.path / "postgres").exists()


def test_sigterm_stops_every_child_and_the_server_and_lets_go_of_the_lock(stopped: Stopped) -> None:
    assert stopped.code == 143
    assert stopped.left_behind == []
    assert "stopped by SIGTERM" in stopped.command.err
    assert "Traceback" not in stopped.command.err


def test_a_second_up_is_green_and_loads_the_same_rows(served: Served, again: Reloaded) -> None:
    """It follows one that a blocking check stopped, whose cause is gone."""
    assert again.ran.code == 0, again.ran.err
    rows = served.outcome["assets"]
    outcome = again.ran.json()
    tables = {name: count for name, count in outcome["assets"].items() if not name.startswith("lake_")}
    assert tables == {name: count for name, count in rows.items() if not name.startswith("lake_")}
    assert outcome["checks"] == served.outcome["checks"]


def test_a_second_up_changes_no_row_of_any_layer(again: Reloaded) -> None:
    """Nor any partition or `_loaded_at`, though the clock is five minutes further."""
    for layer in ("raw_shopify.orders", "marts_core.fct_order", "metrics.agg_sales_daily"):
        assert not again.layers_before[layer].startswith("0:"), layer
    assert again.home.layers() == again.layers_before


def test_a_second_up_fetches_only_the_windows_that_are_due(stopped: Stopped, again: Reloaded) -> None:
    fetched: dict[str, set[str]] = {}
    for path in (stopped.home.path / "lake").rglob("manifest.json"):
        manifest = PartitionManifest.from_json(path.read_bytes())
        if manifest.fetched_at > NOW:
            fetched.setdefault(f"{manifest.source}/{manifest.stream}", set()).add(manifest.key)
    days = [f"2026-03-0{day}" for day in range(5, 10)]
    due = {}
    for contract in load_contracts():
        open_day = {"2026-03-10"} if contract.semantics == "updated" else set()
        due[f"{contract.source}/{contract.stream}"] = set(days[-contract.refetch_days :]) | open_day
    assert fetched == due
    assert {len(keys) for keys in due.values()} == {1, 2, 3, 4, 6}


def test_a_second_up_leaves_nothing_running(again: Reloaded) -> None:
    assert again.left_behind == []


@pytest.mark.parametrize(
    "said, number, code",
    [
        ("warehouse ", signal.SIGINT, 130),
        ("partitions ", signal.SIGTERM, 143),
        ("done     lake_", signal.SIGINT, 130),
        ("done     raw_", signal.SIGTERM, 143),
    ],
)
def test_a_signal_at_any_stage_ends_up_and_leaves_nothing_running(
    stopped: Stopped, again: Reloaded, said: str, number: int, code: int
) -> None:
    command = stopped.home.start("up", "--no-serve", "--days", "5")
    command.says(said)
    assert command.end(number) == code, command.err
    assert stopped.home.left_behind() == []
    assert "Traceback" not in command.err


def test_a_sigterm_while_everything_is_starting_leaves_nothing_running(stopped: Stopped, again: Reloaded) -> None:
    for seconds in (0.4, 0.8, 1.2, 1.8, 2.5):
        command = stopped.home.start("up", "--no-serve", "--days", "5")
        time.sleep(seconds)
        assert command.end(signal.SIGTERM) in (143, -signal.SIGTERM), seconds
        assert stopped.home.left_behind() == [], seconds
        assert "Traceback" not in command.err, seconds


def test_a_server_that_ran_before_up_goes_on_running(stopped: Stopped, again: Reloaded) -> None:
    server = EmbeddedPostgres(stopped.home.path)
    server.up()
    command = stopped.home.start("up", "--no-serve", "--days", "5")
    command.says("warehouse ")
    command.end(signal.SIGTERM)
    assert stopped.home.left_behind() == ["Postgres"]
    server.down()


def test_help_names_every_verb_in_a_sentence(tmp_path: Path) -> None:
    ran = Home(tmp_path / "home").run("--help")
    assert ran.code == 0
    for verb in ("up", "doctor", "db", "demo", "contracts", "dbt"):
        assert f"│ {verb} " in ran.out
    assert "Traceback" not in ran.err


def test_wrong_usage_and_wrong_settings_end_with_code_2(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.run("up", "--days", "0").code == 2
    ran = home.run("up", settings={"HOTDASH_STORE_TIMEZONE": "Mars/Olympus"})
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "HOTDASH_STORE_TIMEZONE" in line
