"""Fixtures of the dbt tests: one parse a session, and dbt run in this process against a test's own database.

Belongs here: running dbt. Does not belong here: raw rows (raw.py) and assertions.
"""

import fcntl
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.dbt_manifest import DBT_PROJECT_DIR, project_digest
from hotdash_pipelines.warehouse.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.postgres import connect, libpq_env, with_database
from tests.databases import fresh_database, template
from tests.dbt_parse import parsed_project
from tests.integration.dbt.raw import RawShop

_PARSED_DATABASE = "hotdash"
_AGENT = ("path:models/staging/agent", "path:models/marts/agent", "dim_conversation", "agg_agent_daily_performance")


class DbtFailed(AssertionError):
    """dbt ended with failures; the message names the nodes and what each said."""


@dataclass
class Dbt:
    """dbt on one database. The parsed manifest is shared by all tests and re-addressed to the test's database."""

    manifest: bytes
    url: str
    folder: Path
    has_views: bool = False
    # The store whose agent writes; none: the only one there is.
    agent_project: str = ""

    def invoke(self, *arguments: str) -> Any:
        """Run dbt; return its result whether or not it succeeded."""
        from dbt.cli.main import dbtRunner

        libpq = libpq_env(self.url)
        environment = {
            "HOTDASH_PG_HOST": libpq["PGHOST"],
            "HOTDASH_PG_PORT": libpq["PGPORT"],
            "HOTDASH_PG_USER": libpq["PGUSER"],
            "DBT_ENV_SECRET_PG_PASSWORD": libpq["PGPASSWORD"],
            "HOTDASH_PG_DATABASE": libpq["PGDATABASE"],
            "HOTDASH_AGENT_PROJECT": self.agent_project,
            "DO_NOT_TRACK": "1",
        }
        paths = [
            "--project-dir",
            str(DBT_PROJECT_DIR),
            "--profiles-dir",
            str(DBT_PROJECT_DIR),
            "--target-path",
            str(self.folder / "target"),
        ]
        # A quarter of a run's time goes into the log file, which nobody reads here.
        quiet = ["--quiet", "--no-write-json", "--log-level-file", "none", "--log-path", str(self.folder)]
        with mock.patch.dict(os.environ, environment):
            return dbtRunner(manifest=readdressed(self.manifest, libpq["PGDATABASE"])).invoke(
                [*quiet, *arguments, *paths]
            )

    def __call__(self, *arguments: str) -> dict[str, str]:
        """Run dbt; return the status of every node by name. Raises DbtFailed unless all is well."""
        outcome = self.invoke(*arguments)
        if not outcome.success:
            told = [
                f"{result.node.name}: {result.status}: {result.message}"
                for result in getattr(outcome.result, "results", ())
                if result.status in ("error", "fail")
            ]
            raise DbtFailed("\n".join(told) or repr(outcome.exception))
        # The tiles of the control centre are listed too, though there is nothing to build.
        built = (result for result in outcome.result.results if result.node.resource_type != "exposure")
        return {result.node.name: str(result.status) for result in built}

    def run(self, *select: str, full_refresh: bool = False) -> dict[str, str]:
        """Build models without their tests: all, or those selected.

        Where everything was built before, all means the store's tables: views cannot have changed, and the agent's
        marts have tests of their own.
        """
        chosen = select or (("config.materialized:incremental",) if self.has_views else ())
        statuses = self(
            "run",
            *(("--select", *chosen) if chosen else ()),
            *(("--exclude", *_AGENT) if chosen and not select else ()),
            *(("--full-refresh",) if full_refresh else ()),
        )
        self.has_views = self.has_views or not chosen
        return statuses


def readdressed(manifest: bytes, database: str) -> Any:
    """The manifest with relations that lie in `database`."""
    copied = pickle.loads(manifest)
    for node in (*copied.nodes.values(), *copied.sources.values(), *copied.unit_tests.values()):
        if getattr(node, "database", None):
            node.database = database
        if getattr(node, "relation_name", None):
            node.relation_name = node.relation_name.replace(f'"{_PARSED_DATABASE}".', f'"{database}".', 1)
    return copied


@pytest.fixture(scope="session")
def dbt_manifest(session_home: Path) -> bytes:
    """The parsed project, pickled: a copy made this way costs a fifth of Manifest.deepcopy()."""
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((parsed_project(session_home) / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()
    return pickle.dumps(manifest)


@pytest.fixture(scope="session")
def built_template(
    server: Any, session_home: Path, dbt_manifest: bytes, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database in which every model was built over empty raw tables, made once for all workers."""
    admin = server.url("postgres")
    migrated = template(admin, session_home)
    name = f"{migrated}_{project_digest()[:12]}"
    with (session_home / "template-dbt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with connect(admin, autocommit=True) as conn:
            if conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
                return name
            conn.execute(f'create database "{name}_new" template "{migrated}"')  # type: ignore[arg-type]
        url = with_database(admin, f"{name}_new")
        with connect(url) as conn:
            ensure_raw_tables(conn, load_contracts())
        Dbt(dbt_manifest, url, tmp_path_factory.mktemp("dbt-template")).run()
        with connect(admin, autocommit=True) as conn:
            conn.execute(f'alter database "{name}_new" rename to "{name}"')  # type: ignore[arg-type]
    return name


@pytest.fixture
def warehouse_url(request: pytest.FixtureRequest, server: Any, session_home: Path) -> Iterator[str]:
    """A database of the test's own, all models built; with the mark `from_nothing` migrated and no more."""
    admin = server.url("postgres")
    from_nothing = request.node.get_closest_marker("from_nothing")
    source = template(admin, session_home) if from_nothing else request.getfixturevalue("built_template")
    with fresh_database(admin, source) as url:
        yield url


@pytest.fixture
def dbt(request: pytest.FixtureRequest, dbt_manifest: bytes, warehouse_url: str, tmp_path: Path) -> Iterator[Dbt]:
    """dbt on the test's own database."""
    yield Dbt(dbt_manifest, warehouse_url, tmp_path, has_views=not request.node.get_closest_marker("from_nothing"))
    shutil.rmtree(tmp_path / "target", ignore_errors=True)


@pytest.fixture
def raw(warehouse_url: str) -> Iterator[RawShop]:
    """The raw tables of the same database, with one project."""
    with connect(warehouse_url, autocommit=True) as conn:
        shop = RawShop(conn)
        shop.prepare()
        yield shop


@pytest.fixture
def query(raw: RawShop) -> Any:
    """`query(sql, *parameters)` -> rows as dicts."""

    def run(statement: str, *parameters: object) -> list[dict[str, Any]]:
        with raw.conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchall()  # type: ignore[arg-type]

    return run
