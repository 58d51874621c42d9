"""The commands of docker/compose.yaml, started without Docker: the same programs, arguments and dagster.yaml.

Belongs here: what the services do together once they run. Does not belong here: what the files look like
(tests/unit/docker).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
import yaml

from hotdash_pipelines.local.children import free_port
from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.warehouse.postgres import ensure_database, sqlalchemy_url, with_database

if TYPE_CHECKING:
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("production-commands"), pytest.mark.timeout(280)]

SERVICES: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker" / "compose.yaml").read_text())["services"]
IMAGE_HOME = "/opt/hotdash/dagster"
# The daemons that this instance needs: schedules, sensors, the queue, backfills, run monitoring, freshness.
DAEMONS = {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR", "BACKFILL", "MONITORING", "FRESHNESS_DAEMON"}
START_S = 90.0
DAY = "2026-03-09"
NOW = "2026-03-10T12:00:00+00:00"

STATE = """{
  workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename ... on PythonError { message } } } } }
  assetNodes { assetKey { path } }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}"""
LAUNCH = """mutation { launchPipelineExecution(executionParams: {
  selector: { repositoryLocationName: "hotdash_pipelines", repositoryName: "__repository__", jobName: "nightly_job",
    assetSelection: [{ path: ["lake_shopify", "customers"] }, { path: ["raw_shopify", "customers"] }] }
  mode: "default", executionMetadata: { tags: [{ key: "dagster/partition", value: "%s" }] } }) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on InvalidSubsetError { message } } }"""
RUN = """{ runOrError(runId: "%s") { ... on Run { status
  assetMaterializations { assetKey { path } partition } } } }"""
DELETE_A_RUN = 'mutation { deletePipelineRun(runId: "none-such") { __typename } }'


class Production:
    """The services of compose.yaml as plain processes on loopback, under one DAGSTER_HOME and one Postgres."""

    def __init__(self, folder: Path, warehouse_url: str, dagster_url: str) -> None:
        self.ports = {"code-location": free_port(), "webserver": free_port(), "webserver-read-only": free_port()}
        self.folder = folder
        self.dagster_home = folder / "dagster"
        self.dagster_home.mkdir()
        (self.dagster_home / "dagster.yaml").write_bytes((PROJECT_ROOT / "docker" / "dagster.yaml").read_bytes())
        workspace = yaml.safe_load((PROJECT_ROOT / "docker" / "workspace.yaml").read_text())
        workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": self.ports["code-location"]}
        (self.dagster_home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
        image = dict(re.findall(r"(\w+)=(\S+)", _image_environment()))
        self.values = {
            "HOTDASH_DATABASE_URL": warehouse_url,
            "HOTDASH_DAGSTER_DATABASE_URL": sqlalchemy_url(dagster_url),
        }
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
        self.base = {name: os.environ[name] for name in kept if name in os.environ} | image
        self.base |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DAGSTER_HOME": str(self.dagster_home),
        }
        self.base |= {"HOTDASH_HOME": str(folder / "home"), "DBT_LOG_PATH": str(folder / "dbt-logs")}
        # Marks every process of this stack, whatever becomes of its parent.
        self.mark = uuid.uuid4().hex
        self.base["HOTDASH_TEST_MARK"] = self.mark
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, service: str, part: list[str] | None = None) -> list[str]:
        """The service's command (or another that runs beside it) with this machine's Python, folder and ports."""
        port = str(self.ports.get(service, 0))
        own = {"python": sys.executable, "hotdash": str(Path(sys.executable).parent / "hotdash")}
        replaced = own | {"0.0.0.0": "127.0.0.1", "4000": port, "3000": port}
        return [
            replaced.get(word, word).replace(IMAGE_HOME, str(self.dagster_home)).replace(":3000/", f":{port}/")
            for word in part or SERVICES[service]["command"]
        ]

    def environment(self, service: str) -> dict[str, str]:
        """What the image sets, and what compose.yaml gives to this service and to no other."""
        return self.base | {name: self.values[name] for name in SERVICES[service]["environment"]}

    def log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def start(self, service: str) -> None:
        with self.log(service).open("wb") as log:
            self.running[service] = subprocess.Popen(
                self.command(service),
                env=self.environment(service),
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_stand_in(self, endpoint: Path) -> None:
        """What takes the place of the sources: no credentials are set, so runs look for its endpoint file."""
        endpoint.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "hotdash_pipelines.demo", "--scale", "0.005", "--now", NOW]
        command += ["--endpoint-file", str(endpoint)]
        with self.log("stand-in").open("wb") as log:
            self.running["stand-in"] = subprocess.Popen(
                command, env=self.base, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop_stand_in(self) -> None:
        stand_in = self.running.pop("stand-in")
        stand_in.terminate()
        stand_in.wait(timeout=20)

    def run(self, service: str, part: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(service, part),
            env=self.environment(service),
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def is_healthy(self, service: str) -> bool:
        """What Docker would find: the service's own health check, run in its environment."""
        kind, *check = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(service, check).returncode == 0

    def listens(self, service: str) -> bool:
        """Whether something accepts connections on the service's port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[service])) == 0

    def wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not is_so():
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended: {self.log(name).read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{what} not within {START_S:.0f} s\n{self.logs()}"
            time.sleep(0.5)

    def logs(self) -> str:
        return "\n".join(f"== {name}\n{self.log(name).read_text()[-2000:]}" for name in self.running)

    def ask(self, service: str, query: str) -> dict[str, Any]:
        """Answer of the service's GraphQL."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[service]}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def processes(self) -> list[psutil.Process]:
        """Every living process of this stack, orphans included."""
        living = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOTDASH_TEST_MARK") == self.mark and process.status() != "zombie":
                    living.append(process)
            except psutil.Error:
                continue
        return living

    def kill(self) -> None:
        for process in self.processes():
            process.kill()
        for child in self.running.values():
            child.wait()


def _image_environment() -> str:
    """The arguments of ENV in the Dockerfile's final stage."""
    stage = (PROJECT_ROOT / "docker" / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    instruction = re.search(r"(?ms)^ENV (.*?)(?<!\\)$", stage)
    assert instruction
    return instruction.group(1)


def _daemons(answer: Mapping[str, Any]) -> dict[str, bool]:
    statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    return {status["daemonType"]: bool(status["healthy"]) for status in statuses if status["required"]}


@pytest.fixture(scope="module")
def production(server: "EmbeddedPostgres", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Everything started in the order that compose.yaml asks for, each after the health of what it depends on."""
    name = f"production_{uuid.uuid4().hex[:12]}"
    admin = server.url("postgres")
    warehouse, dagster = f"{name}_warehouse", f"{name}_dagster"
    # Docker's postgres service makes the first; the second is the business of `migrate`.
    ensure_database(admin, warehouse)
    stack = Production(tmp_path_factory.mktemp("production"), server.url(warehouse), with_database(admin, dagster))
    try:
        migrated = stack.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        # Health checks of Dagster import it, so each is asked once there is something to ask.
        stack.start("code-location")
        stack.wait_until("code location's port", lambda: stack.listens("code-location"))
        stack.wait_until("code location healthy", lambda: stack.is_healthy("code-location"))
        for service in ("webserver", "webserver-read-only", "daemon"):
            stack.start(service)
        for service in ("webserver", "webserver-read-only"):
            stack.wait_until(f"{service}'s port", lambda service=service: stack.listens(service))
            stack.wait_until(f"{service} healthy", lambda service=service: stack.is_healthy(service))
        stack.wait_until("daemons' heartbeats", lambda: all(_daemons(stack.ask("webserver", STATE)).values()))
        stack.wait_until("daemon healthy", lambda: stack.is_healthy("daemon"))
        yield stack
    finally:
        stack.kill()
        with psycopg.connect(admin, autocommit=True) as conn:
            for database in (warehouse, dagster):
                conn.execute(f'drop database if exists "{database}" with (force)')


def test_the_code_location_is_loaded_and_lists_its_assets(production: Production) -> None:
    answer = production.ask("webserver", STATE)
    (entry,) = answer["data"]["workspaceOrError"]["locationEntries"]
    assert (entry["name"], entry["loadStatus"]) == ("hotdash_pipelines", "LOADED")
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry["locationOrLoadError"]
    keys = {"/".join(node["assetKey"]["path"]) for node in answer["data"]["assetNodes"]}
    assert {"lake_shopify/orders", "raw_shopify/orders", "marts_core/fct_order_line"} <= keys


def test_every_daemon_becomes_healthy(production: Production) -> None:
    production.wait_until("daemons healthy", lambda: all(_daemons(production.ask("webserver", STATE)).values()))
    assert set(_daemons(production.ask("webserver", STATE))) >= DAEMONS


def test_a_run_launched_in_the_ui_goes_through_the_queue_and_lands_in_the_warehouse(
    production: Production, request: pytest.FixtureRequest
) -> None:
    endpoint = production.folder / "home" / "demo" / "endpoint.json"
    production.start_stand_in(endpoint)
    request.addfinalizer(production.stop_stand_in)
    production.wait_until("stand-in store", endpoint.exists)
    launched = production.ask("webserver", LAUNCH % DAY)["data"]["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def finished() -> dict[str, Any] | None:
        run = production.ask("webserver", RUN % run_id)["data"]["runOrError"]
        return run if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    production.wait_until("the run finished", lambda: finished() is not None)
    run = finished()
    assert run is not None
    assert run["status"] == "SUCCESS", production.logs()
    made = {("/".join(entry["assetKey"]["path"]), entry["partition"]) for entry in run["assetMaterializations"]}
    assert made == {("lake_shopify/customers", DAY), ("raw_shopify/customers", DAY)}
    with psycopg.connect(production.values["HOTDASH_DATABASE_URL"]) as conn:
        assert conn.execute("select count(*) from raw_shopify.customers").fetchone() > (0,)
    logged = list((production.dagster_home / "storage" / run_id).rglob("*.out"))
    assert logged, "the webserver finds no step log where the code location should have written it"


def test_migrate_sets_the_limits_of_the_pools(production: Production) -> None:
    from hotdash_pipelines.orchestration.keys import pools

    answer = production.ask("webserver", "{ instance { concurrencyLimits { concurrencyKey limit } } }")
    limits = {entry["concurrencyKey"]: entry["limit"] for entry in answer["data"]["instance"]["concurrencyLimits"]}
    assert limits == pools()


def test_migrate_run_again_changes_nothing(production: Production) -> None:
    finished = production.run("migrate")
    assert finished.returncode == 0, finished.stderr


def test_the_read_only_webserver_shows_everything_and_changes_nothing(production: Production) -> None:
    nodes = "{ assetNodes { assetKey { path } } }"
    assert production.ask("webserver-read-only", nodes) == production.ask("webserver", nodes)
    answers = {name: production.ask(name, DELETE_A_RUN)["data"] for name in ("webserver", "webserver-read-only")}
    assert answers == {
        "webserver": {"deletePipelineRun": {"__typename": "RunNotFoundError"}},
        "webserver-read-only": {"deletePipelineRun": {"__typename": "UnauthorizedError"}},
    }


def test_a_health_check_fails_while_its_service_does_not_run(production: Production) -> None:
    idle = Production.__new__(Production)
    idle.__dict__ |= production.__dict__ | {"ports": dict.fromkeys(production.ports, free_port())}
    assert not idle.is_healthy("code-location")
    assert not idle.is_healthy("webserver")


def test_no_process_shows_a_password_in_its_arguments(production: Production) -> None:
    password = production.values["HOTDASH_DATABASE_URL"].split(":")[2].split("@")[0]
    arguments = [" ".join(process.cmdline()) for process in production.processes()]
    assert len(arguments) >= 4
    assert [line for line in arguments if password in line] == []


def test_sigterm_stops_every_service_and_leaves_nothing_behind(production: Production) -> None:
    """Last in this file: as `docker stop` does it, the signal goes to the service's first process only."""
    for process in production.running.values():
        process.send_signal(signal.SIGTERM)
    codes = {name: process.wait(timeout=150) for name, process in production.running.items()}
    assert codes == dict.fromkeys(("code-location", "webserver", "webserver-read-only", "daemon"), 0)
    deadline = time.monotonic() + 20
    while production.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [process.cmdline() for process in production.processes()] == []
    for port in production.ports.values():
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
