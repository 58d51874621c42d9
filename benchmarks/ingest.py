"""Order pages -> Postgres: our path against dlt and against the floor, alternating, in one run.

Belongs here: repeating, comparing what landed, and the table of results. Does not belong here: the paths (paths.py,
peers.py) and the pages (orders.py).

Every measurement is a process of its own with a database of its own on one durable embedded server. A round measures
each path once, so that whatever else the machine does meets all of them; ratios are taken within a round. `make bench`
installs dlt, which nothing else here needs, and runs this.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import orders as pages_of
from benchmarks.orders import Totals, size_of, write_pages
from benchmarks.paths import PATHS, SERVER_VARIABLE, URL_VARIABLE
from hotdash_pipelines.warehouse.postgres import with_database
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

_OURS = "raw_shopify"
_USUAL = ("ours", "floor", "ours_onto_rows", "dlt_arrow", "dlt_arrow_adbc", "dlt_json")
_DLT_JSON = ("dlt_json", "dlt_json_lean")
_SCHEMAS = {"floor": "public", "dlt_arrow": "peer", "dlt_arrow_adbc": "peer"}
_FLAT = """
select (select count(*) from {0}.orders), (select count(*) from {0}.order_lines), (select count(*) from {0}.refunds),
    (select sum(total_amount) from {0}.orders), (select sum(gross_amount) from {0}.order_lines)
"""
_NESTED = """
select (select count(*) from peer.orders), (select count(*) from peer.orders__line_items__nodes),
    (select count(*) from peer.orders__refunds),
    (select sum(total_price_set__shop_money__amount::numeric) from peer.orders),
    (select sum(original_total_set__shop_money__amount::numeric) from peer.orders__line_items__nodes)
"""


class WrongRows(RuntimeError):
    """A path did not land what the pages hold, so its time says nothing."""


@dataclass(frozen=True)
class Measurement:
    """One path run once. `cpu_seconds` is the client's processor time, `server_cpu_seconds` the database server's.

    `base_mib` is the client's peak memory after its imports, `peak_mib` after everything.
    """

    path: str
    orders: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    base_mib: float
    peak_mib: float
    stages: dict[str, float]

    @property
    def work(self) -> float:
        """Processor seconds of client and server: what other programs on the machine disturb little."""
        return self.cpu_seconds + self.server_cpu_seconds


@dataclass(frozen=True)
class Result:
    """Medians of a path's measurements; ratios are medians of the ratios within each round.

    `beyond_base_mib` is the most of all: it is held against a limit.
    """

    path: str
    runs: int
    orders: int
    seconds: float
    work_seconds: float
    to_ours: float
    work_to_ours: float
    to_floor: float
    peak_mib: float
    beyond_base_mib: float
    stages: dict[str, float]


def measure(server: EmbeddedPostgres, path: str, pages: Path, expected: Totals) -> Measurement:
    """Run one path in its own process against a new database, and compare what landed with what the pages hold.

    Raises WrongRows when they differ, RuntimeError with the process's last line when it failed.
    """
    with _database(server) as url, tempfile.TemporaryDirectory(prefix="hotdash-bench-") as scratch:
        environment = {
            **os.environ,
            URL_VARIABLE: url,
            SERVER_VARIABLE: str(server.status().pid),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": scratch,
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.paths", path, str(pages), scratch],
            env=environment,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = next(iter(reversed(done.stderr.strip().splitlines())), "no message")
            raise RuntimeError(f"{path}: {last}")
        found = json.loads(done.stdout.splitlines()[-1])
        landed = read_totals(url, path)
        if landed != expected:
            raise WrongRows(f"{path} landed {landed}, the pages hold {expected}")
    return Measurement(path=path, orders=expected.orders, **found)


def read_totals(url: str, path: str) -> Totals:
    """What a path left in its tables."""
    query = _NESTED if path in _DLT_JSON else _FLAT.format(_SCHEMAS.get(path, _OURS))
    with psycopg.connect(url) as conn:
        row = conn.execute(query.encode()).fetchone()
    if row is None:
        raise WrongRows(f"{path} answered nothing")
    orders, lines, refunds, sales, gross = row
    return Totals(orders, lines, refunds, int((sales or Decimal(0)) * 100), int((gross or Decimal(0)) * 100))


@contextmanager
def _database(server: EmbeddedPostgres) -> Iterator[str]:
    """A new database; what the last one left to be written is written before it is handed out."""
    admin, name = server.url("postgres"), f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(admin, autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
        conn.execute("checkpoint")
        try:
            yield with_database(admin, name)
        finally:
            conn.execute(f"drop database if exists {name} with (force)".encode())


def summarise(rounds: list[list[Measurement]]) -> list[Result]:
    """Rounds of measurements -> one result a path, in the order of the first round.

    A path measured with fewer orders is compared by its time an order, which flatters it where fixed costs count.
    """
    results = []
    for path in dict.fromkeys(m.path for one in rounds for m in one):
        pairs = [(_of(one, path), one) for one in rounds if any(m.path == path for m in one)]
        own = [m for m, _ in pairs]
        stages = {name: median(m.stages[name] for m in own) for name in own[0].stages}
        results.append(
            Result(
                path,
                len(own),
                own[0].orders,
                median(m.seconds for m in own),
                median(m.work for m in own),
                median(_per_order(m.seconds, m) / _per_order(_of(one, "ours").seconds, one[0]) for m, one in pairs),
                median(_per_order(m.work, m) / _per_order(_of(one, "ours").work, one[0]) for m, one in pairs),
                median(_per_order(m.seconds, m) / _per_order(_of(one, "floor").seconds, one[0]) for m, one in pairs),
                median(m.peak_mib for m in own),
                max(m.peak_mib - m.base_mib for m in own),
                stages,
            )
        )
    return results


def _of(one: Iterable[Measurement], path: str) -> Measurement:
    return next(m for m in one if m.path == path)


def _per_order(seconds: float, measurement: Measurement) -> float:
    return seconds / measurement.orders


def run(orders: int, runs: int, json_orders: int, json_runs: int, paths: list[str], cache: Path) -> list[Result]:
    """Measure `paths`, always with `ours` and `floor`, in `runs` rounds; dlt's JSON paths in `json_runs` of them."""
    console = Console(stderr=True)
    # Pages of another version of what makes them lack fields that the paths of this one read.
    version = hashlib.sha256(Path(pages_of.__file__).read_bytes()).hexdigest()[:8]
    folders = {count: cache / f"orders-{count}-{version}" for count in {orders, json_orders}}
    totals = {count: write_pages(folder, count) for count, folder in folders.items()}
    console.print(
        f"{orders:,} orders, {totals[orders].lines:,} lines, {size_of(folders[orders]) / 2**20:,.0f} MiB of JSON"
    )
    rounds = []
    # The server keeps its data below the system's temporary folder, never in the user's home.
    with tempfile.TemporaryDirectory(prefix="hotdash-bench-server-") as home:
        Path(home).chmod(0o755)
        server = EmbeddedPostgres(Path(home))
        server.up()
        try:
            for number in range(runs):
                one = []
                for path in dict.fromkeys(("ours", "floor", *paths)):
                    count = json_orders if path in _DLT_JSON else orders
                    if path in _DLT_JSON and number >= json_runs:
                        continue
                    one.append(measure(server, path, folders[count], totals[count]))
                    console.print(f"round {number + 1}: {path} {one[-1].seconds:.1f} s")
                rounds.append(one)
        finally:
            server.destroy()
    return summarise(rounds)


def _table(results: list[Result], orders: int) -> Table:
    table = Table(title=f"{orders:,} orders, medians; work = processor seconds of client and server")
    for name in ("path", "seconds", "x ours", "work s", "work x ours", "x floor", "peak MiB", "beyond base", "runs"):
        table.add_column(name, justify="left" if name == "path" else "right")
    for r in results:
        name = r.path if r.orders == orders else f"{r.path} ({r.orders:,} orders, ratios by time an order)"
        numbers = (r.seconds, r.to_ours, r.work_seconds, r.work_to_ours, r.to_floor)
        table.add_row(
            name,
            *(f"{number:.2f}" for number in numbers),
            f"{r.peak_mib:,.0f}",
            f"{r.beyond_base_mib:,.0f}",
            str(r.runs),
        )
    return table


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3, help="rounds; medians are reported")
    parser.add_argument(
        "--json-path-orders", type=int, help="fewer orders for dlt's slow JSON paths, said in the table"
    )
    parser.add_argument("--json-path-runs", type=int, default=1, help="rounds that measure dlt's slow JSON paths")
    parser.add_argument("--paths", default=",".join(_USUAL), help=f"any of {', '.join(PATHS)}")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hotdash-benchmark-pages")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the table")
    given = parser.parse_args()
    paths = [name for name in given.paths.split(",") if name]
    if unknown := [name for name in paths if name not in PATHS]:
        parser.error(f"unknown path {unknown[0]}; known: {', '.join(PATHS)}")
    if any(name.startswith("dlt") for name in paths) and find_spec("dlt") is None:
        parser.error("dlt is not installed: run `make bench`, or leave its paths out with --paths ours,floor")
    # Without this, ending the benchmark by a signal would leave its database server running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    json_orders = given.json_path_orders or given.orders
    results = run(given.orders, given.runs, json_orders, given.json_path_runs, paths, given.cache)
    if given.json:
        sys.stdout.write(json.dumps({"orders": given.orders, "results": [asdict(r) for r in results]}) + "\n")
    else:
        Console(width=120).print(_table(results, given.orders))


if __name__ == "__main__":
    main()
