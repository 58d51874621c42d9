"""Dagster's instance below `HOTDASH_HOME`: its folder, its storage in Postgres, its pools.

Belongs here: preparing and opening the instance. Does not belong here: what runs on it.
"""

import os
import shutil
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hotdash_pipelines.settings import PROJECT_ROOT, Settings
from hotdash_pipelines.storage import make_private

if TYPE_CHECKING:
    import dagster as dg

_STATEMENT_TIMEOUT_MS = 60_000
INSTANCE_FILE = PROJECT_ROOT / "docker" / "dagster.yaml"


def dagster_database_url(settings: Settings, warehouse_url: str) -> str:
    """SQLAlchemy URL of Dagster's own database: the setting, else database `dagster` on the warehouse's server.

    The database is created on the warehouse's server when it is missing there.
    """
    from hotdash_pipelines.warehouse.postgres import ensure_database, sqlalchemy_url, with_database

    if settings.dagster_database_url:
        given = settings.dagster_database_url.get_secret_value()
        url = given.replace("postgresql+psycopg2://", "postgresql://", 1)
        ensure_database(with_database(url, "postgres"), urllib.parse.urlsplit(url).path.lstrip("/"))
        return sqlalchemy_url(url)
    ensure_database(warehouse_url, "dagster")
    return sqlalchemy_url(with_database(warehouse_url, "dagster"))


def prepare_instance(settings: Settings, warehouse_url: str) -> Mapping[str, str]:
    """Write `<home>/dagster/dagster.yaml` and return the environment under which Dagster finds it.

    The storage URL travels in the environment only: the file names the variable.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster")
    make_private(home)
    target = home / "dagster.yaml"
    # An installation's own instance file stands; the copy in our home follows the project's.
    is_ours = home == settings.home / "dagster"
    if not target.exists() or (is_ours and target.read_bytes() != INSTANCE_FILE.read_bytes()):
        shutil.copyfile(INSTANCE_FILE, target)
        target.chmod(0o600)
    environment = {
        "DAGSTER_HOME": str(home),
        "HOTDASH_DAGSTER_DATABASE_URL": dagster_database_url(settings, warehouse_url),
    }
    os.environ.update(environment)
    return environment


def open_instance() -> "dg.DagsterInstance":
    """The instance under DAGSTER_HOME, with the pools' limits set."""
    import dagster as dg

    from hotdash_pipelines.orchestration.keys import pools

    instance = dg.DagsterInstance.get()
    # Dagster opens a connection for every event it stores, which was half the time of a first load; the webserver's
    # setting keeps them in a pool.
    instance.optimize_for_webserver(statement_timeout=_STATEMENT_TIMEOUT_MS, pool_recycle=3600, max_overflow=10)
    storage = instance.event_log_storage
    known = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    for name, limit in pools().items():
        if known.get(name) != limit:
            storage.set_concurrency_slots(name, limit)
    return instance


def end_orphaned_runs(instance: "dg.DagsterInstance") -> list[str]:
    """End runs that an earlier `hotdash up` left behind when it was killed, and free their pool slots.

    Only runs of `hotdash up` are touched, and only those whose process is gone. Returns their ids.
    """
    import dagster as dg
    import psutil

    ended = []
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    for run in instance.get_runs(filters=unfinished):
        pid = run.tags.get("hotdash/pid")
        if pid is None or (psutil.pid_exists(int(pid)) and int(pid) != os.getpid() and _is_hotdash(int(pid))):
            continue
        instance.report_run_failed(
            run, message="The process that ran it was killed; `hotdash up` runs the same windows again."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def _is_hotdash(pid: int) -> bool:
    import psutil

    try:
        return any("hotdash" in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def write_workspace(settings: Settings, code_server_port: int) -> Path:
    """A workspace that points webserver and daemon at one shared code server."""
    target = settings.home / "dagster" / "workspace.yaml"
    target.write_text(
        "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
        f"      port: {code_server_port}\n      location_name: hotdash_pipelines\n"
    )
    target.chmod(0o600)
    return target
