"""What a run needs before it can begin: the server, its schema, and the stand-in store.

Belongs here: starting and preparing them. Does not belong here: how they work (warehouse, demo).
"""

import json
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.local.children import Child, Children, port_is_free
from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    from hotdash_pipelines.local.first_load import LoadOutcome

_STAND_IN_START_S = 60.0


@contextmanager
def started(settings: Settings) -> Iterator[str]:
    """The warehouse's URL. The embedded server is stopped at the end if this call started it."""
    from hotdash_pipelines.services.connections import warehouse_url
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    if settings.database_url:
        yield warehouse_url(settings)
        return
    server = EmbeddedPostgres(settings.home)
    was_running = server.status().running
    try:
        yield warehouse_url(settings)
    finally:
        if not was_running:
            server.down()


def prepare(url: str) -> list[str]:
    """Migrations, then the raw tables of every contract. Returns the names of the migrations applied."""
    from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
    from hotdash_pipelines.warehouse.postgres import connect
    from hotdash_pipelines.warehouse.schema.migrate import migrate

    applied = migrate(url)
    with connect(url) as conn:
        ensure_raw_tables(conn, load_contracts())
    return applied


def loaded_windows(url: str, project: str) -> set[tuple[str, str, str]]:
    """(source, stream, partition key) of every window in the raw tables."""
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(url) as conn:
        rows = conn.execute(
            "select source, stream, window_key from ops.lake_loads where project_key = %s and not is_open", (project,)
        ).fetchall()
    return {(source, stream, key) for source, stream, key in rows}


def start_stand_in(settings: Settings, children: Children) -> Child:
    """Start the stand-in store; it is ready when its endpoint file names its process."""
    settings.demo_endpoint_file.unlink(missing_ok=True)
    return children.start(
        "stand-in-store",
        [
            sys.executable, "-m", "hotdash_pipelines.demo", "--port", str(settings.demo_port),
            "--seed", str(settings.demo_seed), "--scale", str(settings.demo_scale),
            "--rough", settings.demo_roughness,
            "--endpoint-file", str(settings.demo_endpoint_file),
            *(["--now", settings.fixed_now.isoformat()] if settings.fixed_now else []),
        ],
    )  # fmt: skip


def wait_for_stand_in(settings: Settings, children: Children, child: Child) -> str:
    """Wait for the store and return its address."""

    def is_ready() -> bool:
        try:
            endpoint = json.loads(settings.demo_endpoint_file.read_text())
        except (OSError, json.JSONDecodeError):
            return False
        return not port_is_free("127.0.0.1", urllib.parse.urlsplit(endpoint["url"]).port or 0)

    children.wait_until(child, is_ready, _STAND_IN_START_S)
    return str(json.loads(settings.demo_endpoint_file.read_text())["url"])


def alert_failure(settings: Settings, url: str, outcome: "LoadOutcome") -> None:
    """Tell of a failed first load; the failure sensor would not see it before the daemon runs."""
    from hotdash_pipelines.alerts import FailedRun, FailedStep
    from hotdash_pipelines.orchestration.keys import NIGHTLY_JOB, TEAM_DATA
    from hotdash_pipelines.services.connections import alert_destinations
    from hotdash_pipelines.services.notifications import deliver, raise_alert

    now = settings.now()
    failed = FailedRun(
        run_id=outcome.run_id,
        root_run_id=outcome.run_id,
        job=NIGHTLY_JOB,
        environment=settings.stage,
        owner=TEAM_DATA,
        failed_at=now,
        failed_steps=tuple(FailedStep(name, why) for name, _, why in (line.partition(": ") for line in outcome.errors)),
    )
    raise_alert(settings, url, failed, outcome.owners, TEAM_DATA, now)
    deliver(url, alert_destinations(settings), now)
