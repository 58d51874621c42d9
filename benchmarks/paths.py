"""The ways from order pages into Postgres that are measured against each other, one process a measurement.

Belongs here: our path, and the process that runs any one path and reports seconds and peak memory.
Does not belong here: the peers and the floor (peers.py), repeating and comparing (ingest.py).

Run as `python -m benchmarks.paths PATH FOLDER SCRATCH`; the database's URL comes by the environment, since it holds a
password. Imports are done before the clock starts, and so is what happens once in a project's life (tables).
"""

import importlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import orjson
import psutil

from benchmarks import peers
from benchmarks.orders import DAY, read_pages
from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR, load_contract
from hotdash_pipelines.ingest.run import ingest_window, load_windows
from hotdash_pipelines.sources import Fetched, Held, Pages
from hotdash_pipelines.storage import FolderStore, Workspace

URL_VARIABLE = "HOTDASH_BENCHMARK_DATABASE_URL"
SERVER_VARIABLE = "HOTDASH_BENCHMARK_SERVER_PID"
PROJECT = "benchmark"
NOW = datetime(2026, 3, 4, tzinfo=UTC)

Timed = Callable[[], dict[str, float]]


def orders_contract() -> Contract:
    """The contract of the stream that is measured."""
    return load_contract(CONTRACTS_DIR / "shopify" / "orders.yaml")


class Stages:
    """Seconds of each named part of a path."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def ours(url: str, folder: Path, scratch: Path) -> Timed:
    """Pages -> contract -> lake (Parquet and raw pages, synced, with checksums) -> raw tables without rows."""
    _create_tables(url)
    return lambda: _ingest(url, scratch, read_pages(folder), "2026-03-02")


def ours_onto_rows(url: str, folder: Path, scratch: Path) -> Timed:
    """The same into raw tables that have rows, so that every row is staged and merged."""
    _create_tables(url)
    _ingest(url, scratch, islice(read_pages(folder), 1), "2026-03-01")
    return lambda: _ingest(url, scratch, read_pages(folder), "2026-03-02")


def ours_again(url: str, folder: Path, scratch: Path) -> Timed:
    """The same a second time over its own rows: everything is compared and nothing changes."""
    ours(url, folder, scratch)()
    return lambda: _ingest(url, scratch, read_pages(folder), "2026-03-02")


def _create_tables(url: str) -> None:
    from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
    from hotdash_pipelines.warehouse.postgres import connect
    from hotdash_pipelines.warehouse.schema.migrate import migrate

    migrate(url)
    with connect(url) as conn:
        ensure_raw_tables(conn, (orders_contract(),))


def _ingest(url: str, scratch: Path, responses: Iterator[bytes], key: str) -> dict[str, float]:
    contract, store, stages = orders_contract(), FolderStore(scratch / "lake"), Stages()
    workspace = Workspace(scratch / "unfinished")

    def fetch(_client: object, _contract: Contract, _window: Window, _held: Held, pages: Pages) -> Fetched:
        with stages.time("read"):
            for response in responses:
                pages.append(response)
        return Fetched(pages, len(pages), None, "2026-10", None)

    with stages.time("lake"):
        window = Window(key, DAY, DAY + timedelta(days=1))
        ingest_window(contract, None, fetch, store, PROJECT, window, NOW, workspace=workspace)
    with stages.time("load"):
        for _ in load_windows(contract, store, url, PROJECT, [window], NOW, workspace):
            pass
    return stages.seconds


PATHS: dict[str, Callable[[str, Path, Path], Timed]] = {
    "ours": ours,
    "ours_onto_rows": ours_onto_rows,
    "ours_again": ours_again,
    "floor": peers.floor,
    "dlt_arrow": peers.dlt_arrow,
    "dlt_arrow_adbc": peers.dlt_arrow_adbc,
    "dlt_json": peers.dlt_json,
    "dlt_json_lean": peers.dlt_json_lean,
}
_WARM = {"ours": ("pyarrow.json", "pyarrow.parquet", "adbc_driver_postgresql.dbapi", "psycopg"), "dlt": ("dlt",)}


def peak_mib() -> float:
    """The most memory that this process ever held; the kernel's ru_maxrss would count the parent's from before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(name: str, folder: Path, scratch: Path) -> None:
    """Run one path and print its seconds, its processor seconds, its parts and its memory as JSON.

    `base_mib` is the peak after all imports, before anything is set up.
    """
    for module in (*_WARM.get(name.split("_")[0], ()), "pyarrow", "pyarrow.compute"):
        importlib.import_module(module)
    base = peak_mib()
    timed = PATHS[name](os.environ[URL_VARIABLE], folder, scratch)
    server = psutil.Process(int(os.environ[SERVER_VARIABLE]))
    start, cpu, server_cpu = time.perf_counter(), time.process_time(), _cpu_of(server)
    stages = timed()
    found = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "server_cpu_seconds": _cpu_of(server) - server_cpu,
        "base_mib": base,
        "peak_mib": peak_mib(),
        "stages": stages,
    }
    sys.stdout.buffer.write(orjson.dumps(found) + b"\n")


def _cpu_of(server: psutil.Process) -> float:
    """Processor seconds of the database server and its processes, ended ones included."""
    times = server.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in server.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
