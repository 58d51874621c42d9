"""SIGKILL at every stage of lake and load; a rerun ends where an undisturbed run does."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from hotdash_pipelines.lake.partition import read_manifest, read_table
from hotdash_pipelines.lake.store import FolderStore
from hotdash_pipelines.warehouse.embedded import EmbeddedPostgres
from tests.databases import fresh_database, template
from tests.synthetic import KEY, PROJECT, contract_of

ROOT = Path(__file__).parents[3]
ORDERS = contract_of("shopify", "orders")
LAKE_POINTS = ("lake.part_written", "lake.before_manifest", "lake.after_manifest")
LOAD_POINTS = ("load.staged", "load.merged", "load.before_commit", "load.after_commit")


def _run(folder: Path, url: str, salt: int, kill_at: str = "") -> int:
    """Exit code of one run; a negative signal number when it was killed."""
    program = [sys.executable, "-m", "tests.integration.warehouse.ingest_once", str(folder), url, str(salt)]
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


@pytest.mark.parametrize("kill_at", [*LAKE_POINTS, *LOAD_POINTS])
@pytest.mark.parametrize("is_first", [True, False], ids=["first load", "over an earlier one"])
def test_a_rerun_after_a_kill_equals_an_undisturbed_run(
    server: EmbeddedPostgres, session_home: Path, tmp_path: Path, kill_at: str, is_first: bool
) -> None:
    admin = server.url("postgres")
    migrated = template(admin, session_home)
    with fresh_database(admin, migrated) as undisturbed, fresh_database(admin, migrated) as disturbed:
        calm, stormy = tmp_path / "calm", tmp_path / "stormy"
        if not is_first:
            for folder, url in ((calm, undisturbed), (stormy, disturbed)):
                assert _run(folder, url, salt=0) == 0
        before = _tables(disturbed)
        assert _run(calm, undisturbed, salt=1) == 0

        assert _run(stormy, disturbed, salt=1, kill_at=kill_at) == -signal.SIGKILL
        was_committed = kill_at == "load.after_commit"
        if was_committed:
            assert _tables(disturbed) == _tables(undisturbed)
        else:
            empty = dict.fromkeys(_tables(disturbed), (0, None))
            assert _tables(disturbed) in ((before, empty) if is_first else (before,))
        if kill_at in ("lake.part_written", "lake.before_manifest"):
            assert _lake(stormy)[0] != _lake(calm)[0]

        assert _run(stormy, disturbed, salt=1) == 0
        assert _tables(disturbed) == _tables(undisturbed)
        assert _lake(stormy) == _lake(calm)
        assert _tables(disturbed)["orders"] != (0, None)
