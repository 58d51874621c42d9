"""What assets and sensors are handed: typed shells that return plain objects of the rooms below.

Belongs here: ConfigurableResources and nothing else. A resource holds no secret in its config (the UI shows config): it
asks the settings when it is used.
Does not belong here: domain code, asset keys.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DbtCliResource
from dagster_dbt.core.dbt_cli_invocation import PARTIAL_PARSE_FILE_NAME
from packaging import version

from hotdash_pipelines.services.connections import alert_destinations, dbt_environment, open_client, warehouse_url
from hotdash_pipelines.services.stores import Stores
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, dbt_executable

if TYPE_CHECKING:
    import psycopg

    from hotdash_pipelines.alerts.channels.channel import Destination
    from hotdash_pipelines.storage import Store, Workspace
    from hotdash_pipelines.warehouse.projects import Project

_DBT_RUNS_KEPT = 9


class ClockResource(dg.ConfigurableResource):
    """The time, which HOTDASH_FIXED_NOW pins for tests and replays."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        return get_settings().now()


class SourcesResource(dg.ConfigurableResource):
    """Signed-in clients of the APIs, or of the stand-in store while no credentials are set."""

    @contextmanager
    def client(self, source: str) -> Iterator[Any]:
        """A source's client; closed afterwards. SettingsError when it is not configured."""
        opened = open_client(get_settings(), source)
        try:
            yield opened
        finally:
            opened.close()


class LakeResource(dg.ConfigurableResource):
    """The Parquet lake: a folder, or a bucket by HOTDASH_LAKE_URL."""

    def store(self) -> "Store":
        """The store behind the lake."""
        return Stores(get_settings()).lake()

    def workspace(self) -> "Workspace":
        """What reading and loading one window may use: memory by HOTDASH_INGEST_MEMORY_MIB, a folder for the rest."""
        return Stores(get_settings()).workspace


class StoresResource(dg.ConfigurableResource):
    """Where backups, archives and exports are kept: folders, or buckets by HOTDASH_BACKUP_URL and its like."""

    def backups(self) -> "Store":
        """The store behind the backups."""
        return Stores(get_settings()).backups()

    def archive(self) -> "Store":
        """The store behind what retention took out of the tables."""
        return Stores(get_settings()).archive()

    def exports(self) -> "Store":
        """The store behind the exports."""
        return Stores(get_settings()).exports()

    def manifest_key(self) -> str | None:
        """What signs the manifests of all three, None when they are not signed: never log it."""
        return Stores(get_settings()).manifest_key

    def pseudonym_key(self) -> bytes:
        """What turns conversations of exports into pseudonyms: never log it. ExportError when it is no good."""
        from hotdash_pipelines.operations.export.pseudonyms import pseudonym_key

        return pseudonym_key(get_settings().home, Stores(get_settings()).export_key)

    def scratch(self) -> Path:
        """Local folder for files on their way; nothing stays there."""
        return Stores(get_settings()).scratch

    def rollback_dumps(self) -> Path:
        """Local folder of the rows that a rollback of the schema would have lost."""
        return Stores(get_settings()).rollback_dumps


class WarehouseResource(dg.ConfigurableResource):
    """The Postgres warehouse: the embedded server, or HOTDASH_DATABASE_URL."""

    def url(self) -> str:
        """The connection URL, password included: never log it."""
        return warehouse_url(get_settings())

    @contextmanager
    def connection(self) -> "Iterator[psycopg.Connection[Any]]":
        """A connection in one transaction that commits at the end."""
        from hotdash_pipelines.warehouse.postgres import connect

        with connect(self.url()) as opened:
            yield opened


class ProjectResource(dg.ConfigurableResource):
    """Which store the rows belong to."""

    def key(self) -> str:
        """The slug that marks every row."""
        return get_settings().project

    def describe(self) -> "Project":
        """The store as `ops.projects` keeps it."""
        from hotdash_pipelines.warehouse.projects import Project

        settings = get_settings()
        identity = settings.identity()
        if settings.uses_demo:
            identity["shop_domain"] = f"{settings.project}.myshopify.com"
        return Project(
            project_key=settings.project,
            currency_code=settings.store_currency,
            iana_timezone=settings.store_timezone,
            is_demo=settings.uses_demo,
            **identity,
        )


class AlertChannelsResource(dg.ConfigurableResource):
    """Where alerts go."""

    def destinations(self) -> "tuple[Destination, ...]":
        """Every channel; without any that is set, alerts stay visible in the outbox."""
        return alert_destinations(get_settings())


class WarehouseDbt(DbtCliResource):
    """dbt against the warehouse.

    The version is read from the installed package: dagster-dbt would run `dbt --version`, which costs 1.4 s and asks
    the package index twice.
    """

    @cached_property
    def _cli_version(self) -> version.Version:
        from importlib.metadata import version as installed

        return version.parse(installed("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> Any:
        """No adapter in this process: it would import dbt (0.5 s) to count rows, which the asset does itself."""

    def _get_unique_target_path(self, *, context: Any) -> Path:
        """A folder a run below HOTDASH_HOME, the newest few kept: the project's own may be read-only.

        It begins with the parse of the run before, which fits this warehouse's address; the manifest's may not, and
        dbt then parses everything anew (1 s).
        """
        runs = get_settings().home.absolute() / "dbt"
        earlier = sorted(runs.glob("*/"), key=lambda folder: folder.stat().st_mtime)
        for old in earlier[:-_DBT_RUNS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        target = runs / super()._get_unique_target_path(context=context).name
        if earlier and (earlier[-1] / PARTIAL_PARSE_FILE_NAME).exists():
            target.mkdir(parents=True)
            shutil.copy(earlier[-1] / PARTIAL_PARSE_FILE_NAME, target)
        return target

    def cli(self, args: Any, **options: Any) -> Any:
        """`DbtCliResource.cli` with the warehouse's address in the environment, where profiles.yml reads it."""
        os.environ.update(dbt_environment(warehouse_url(get_settings())))
        return super().cli(args, **options)


def build_resources() -> dict[str, Any]:
    """Every resource by the name that definitions ask for. Reads nothing and connects to nothing."""
    return {
        "clock": ClockResource(),
        "sources": SourcesResource(),
        "lake": LakeResource(),
        "stores": StoresResource(),
        "warehouse": WarehouseResource(),
        "project": ProjectResource(),
        "alert_channels": AlertChannelsResource(),
        "dbt": WarehouseDbt(
            project_dir=str(DBT_PROJECT_DIR), profiles_dir=str(DBT_PROJECT_DIR), dbt_executable=dbt_executable()
        ),
    }
