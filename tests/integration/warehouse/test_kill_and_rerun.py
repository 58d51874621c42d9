"""SIGKILL at every stage of lake and load; a rerun ends where an undisturbed run does."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.lake.partition import read_manifest
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.databases import fresh_database, template
from tests.integration.warehouse.ingest_once import main as ingest
from tests.synthetic import KEY, PROJECT, contract_of, read_table

ROOT = Path(__file__).parents[3]
ORDERS = contract_of("shopify", "orders")
LAKE_POINTS = ("lake.part_written", "lake.before_manifest", "lake.after_manifest")
LOAD_POINTS = ("load.staged", "load.merged", "load.before_commit", "load.after_commit")


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """Where runs end that nobody kills; `is_first` when nothing was loaded before."""

    is_first: bool
    tables: dict[str, tuple[object, ...] | None]
    lake: tuple[object, list[str]]


def _killed(folder: Path, url: str, kill_at: str) -> int:
    """Exit code of a run in a process of its own: a negative signal number when it was killed."""
    program = [sys.executable, "-m", "tests.integration.warehouse.ingest_once", str(folder), url, "1"]
    environment = {**os.environ, "HOTDASH_KILL_AT": kill_at}
    return subprocess.run(program, cwd=ROOT, env=environment, check=False).returncode


def _tables(url: str) -> dict[str, tuple[object, ...] | None]:
    """Rows and key-ordered checksum of every raw table and of the bookkeeping."""
    found = {}
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        for table in ORDERS.tables:
            key = ", ".join(("project_key", *table.key))
            if conn.execute("select to_regclass(%s)", (f"raw_shopify.{table.name}",)).fetchone() != (None,):
                checksum = (
                    f"select count(*), md5(string_agg(t::text, e'\\n' order by {key})) from raw_shopify.{table.name} t"
                )
                found[table.name] = conn.execute(checksum).fetchone()
        loads = "select count(*), md5(string_agg(t::text, e'\\n' order by window_key)) from ops.lake_loads t"
        found["lake_loads"] = conn.execute(loads).fetchone()
    return found


def _lake(folder: Path) -> tuple[object, list[str]]:
    """The manifest without its fetch time, verified against its files, and the names of all files."""
    store = FolderStore(folder)
    manifest = read_manifest(store, ORDERS, PROJECT, KEY)
    if manifest is None:
        return None, []
    for table in ORDERS.tables:
        read_table(store, ORDERS, manifest, table.name)
    plain = {name: value for name, value in dataclasses.asdict(manifest).items() if name != "fetched_at"}
    return json.dumps(plain, default=str, sort_keys=True), store.list("")


@pytest.fixture(scope="module", params=[True, False], ids=["first load", "over an earlier one"])
def undisturbed(
    request: pytest.FixtureRequest,
    server: EmbeddedPostgres,
    session_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Undisturbed]:
    """What runs without a kill lead to: the load alone, or over an earlier one."""
    admin, lake = server.url("postgres"), tmp_path_factory.mktemp("calm")
    with fresh_database(admin, template(admin, session_home)) as url:
        if not request.param:
            ingest(str(lake), url, "0")
        ingest(str(lake), url, "1")
        yield Undisturbed(request.param, _tables(url), _lake(lake))


@pytest.mark.parametrize("kill_at", [*LAKE_POINTS, *LOAD_POINTS])
def test_a_rerun_after_a_kill_equals_an_undisturbed_run(
    undisturbed: Undisturbed, warehouse_url: str, tmp_path: Path, kill_at: str
) -> None:
    if not undisturbed.is_first:
        ingest(str(tmp_path), warehouse_url, "0")
    before = _tables(warehouse_url)

    assert _killed(tmp_path, warehouse_url, kill_at) == -signal.SIGKILL
    disturbed = _tables(warehouse_url)
    if kill_at == "load.after_commit":
        assert disturbed == undisturbed.tables
    else:
        empty = dict.fromkeys(disturbed, (0, None))
        assert disturbed in ((before, empty) if undisturbed.is_first else (before,))
    if kill_at in ("lake.part_written", "lake.before_manifest"):
        assert _lake(tmp_path)[0] != undisturbed.lake[0]

    ingest(str(tmp_path), warehouse_url, "1")
    assert _tables(warehouse_url) == undisturbed.tables
    assert _lake(tmp_path) == undisturbed.lake
    assert undisturbed.tables["orders"] != (0, None)
