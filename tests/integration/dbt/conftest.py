"""Fixtures of the dbt tests: one parse a session, and dbt run in this process against a test's own database.

Belongs here: running dbt. Does not belong here: raw rows (raw.py) and assertions.
"""

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.transform.manifest import DBT_PROJECT_DIR, project_digest
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.postgres import connect, libpq_env, with_database
from tests.databases import fresh_database, template
from tests.dbt_parse import parsed_project
from tests.integration.dbt.agent_rows import agent_in
from tests.integration.dbt.marts import asked
from tests.integration.dbt.nights import Nights, first_night, forget_columns, second_night
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
    project: Path = DBT_PROJECT_DIR

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
            str(self.project),
            "--profiles-dir",
            str(self.project),
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
            failures = [
                f"{result.node.name}: {result.status}: {result.message}"
                for result in getattr(outcome.result, "results", ())
                if result.status in ("error", "fail")
            ]
            raise DbtFailed("\n".join(failures) or repr(outcome.exception))
        # The tiles of the control centre are listed too, though there is nothing to build.
        built = (result for result in outcome.result.results if result.node.resource_type != "exposure")
        return {result.node.name: str(result.status) for result in built}

    def build(self, *select: str) -> dict[str, str]:
        """Build with all data tests, whatever the outcome; what did not pass, by name."""
        chosen = ("--select", *select) if select else ()
        outcome = self.invoke("build", "--exclude-resource-type", "unit_test", *chosen)
        # Tiles of the control centre have nothing to build: dbt calls that no-op.
        fine = ("success", "pass", "no-op")
        return {r.node.name: str(r.status) for r in outcome.result.results if str(r.status) not in fine}

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
    return pickled(parsed_project(session_home))


def pickled(parsed: Path) -> bytes:
    """The manifest in a folder that `dbt parse` filled."""
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((parsed / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()
    return pickle.dumps(manifest)


def _made_once(admin: str, home: Path, name: str, source: str, fill: Callable[[str], None]) -> str:
    """Name of a database copied from `source` and then filled by `fill(url)`, made once for all workers."""
    with (home / "template-dbt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with connect(admin, autocommit=True) as conn:
            if conn.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
                return name
            conn.execute(f'create database "{name}_new" template "{source}"')  # type: ignore[arg-type]
        fill(with_database(admin, f"{name}_new"))
        with connect(admin, autocommit=True) as conn:
            conn.execute(f'alter database "{name}_new" rename to "{name}"')  # type: ignore[arg-type]
    return name


@pytest.fixture(scope="session")
def built_template(
    server: Any, session_home: Path, dbt_manifest: bytes, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database in which every model was built over empty raw tables."""

    def fill(url: str) -> None:
        with connect(url) as conn:
            ensure_raw_tables(conn, load_contracts())
        Dbt(dbt_manifest, url, tmp_path_factory.mktemp("dbt-template")).run()

    admin = server.url("postgres")
    migrated = template(admin, session_home)
    return _made_once(admin, session_home, f"{migrated}_{project_digest()[:12]}", migrated, fill)


@pytest.fixture(scope="session")
def agents_night(
    server: Any, session_home: Path, dbt_manifest: bytes, built_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database with a night of the support agent, built with every data test of the project: all pass."""

    def fill(url: str) -> None:
        with connect(url, autocommit=True) as conn:
            raw = RawShop(conn)
            raw.prepare()
            agent_in(raw).first_night()
        assert Dbt(dbt_manifest, url, tmp_path_factory.mktemp("dbt-agent")).build() == {}

    return _made_once(server.url("postgres"), session_home, f"{built_template}_agent", built_template, fill)


@pytest.fixture(scope="session")
def nights(
    server: Any, dbt_manifest: bytes, built_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nights]:
    """The shop of nights.py as each build left it; tests of one xdist group share it."""
    admin = server.url("postgres")
    with ExitStack() as stack:

        def copy(url: str) -> psycopg.Connection[Any]:
            copied = stack.enter_context(fresh_database(admin, libpq_env(url)["PGDATABASE"]))
            return stack.enter_context(connect(copied, autocommit=True))

        url = stack.enter_context(fresh_database(admin, built_template))
        dbt = Dbt(dbt_manifest, url, tmp_path_factory.mktemp("dbt-nights"), has_views=True)
        with connect(url, autocommit=True) as conn:
            raw = RawShop(conn)
            raw.prepare()
            first_night(raw)
        dbt.run()
        first = copy(url)
        dbt.run()
        rerun = copy(url)
        with connect(url, autocommit=True) as conn:
            raw.conn = conn
            second_night(raw)
        statuses = dbt("build", "--exclude-resource-type", "unit_test")
        with connect(url, autocommit=True) as conn:
            conn.execute("create view public.hanging as select net_amount from marts_core.fct_order_line")
        second = copy(url)
        dbt.run("fct_order_line", full_refresh=True)
        dbt.run(full_refresh=True)
        rebuilt = copy(url)
        with connect(url, autocommit=True) as conn:
            forget_columns(conn)
        dbt.run()
        yield Nights(first, rerun, second, rebuilt, copy(url), statuses)


@pytest.fixture
def warehouse_url(request: pytest.FixtureRequest, server: Any, session_home: Path) -> Iterator[str]:
    """A database of the test's own, all models built; less or more is in it with the marks of pyproject.toml."""
    admin = server.url("postgres")
    if request.node.get_closest_marker("from_nothing"):
        source = template(admin, session_home)
    else:
        is_night = request.node.get_closest_marker("agents_night")
        source = request.getfixturevalue("agents_night" if is_night else "built_template")
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
    """`query(sql, *parameters)` -> rows of the test's own database as dicts."""
    return partial(asked, raw.conn)
