"""Backup, restore, retention and export of a million rows, each beside the plainest tool that does the same.

Belongs here: filling the tables, the peers, ratios and limits. Does not belong here: the operations themselves.

A backup is made, decoded again, published and read back. A round measures each path with its peer right before it, so
that whatever else the machine does meets both; ratios are taken within a round, and their medians are shown. Imports
are not counted. The server is durable; what is restored into or deleted from is a copy of the database. Our restore
replaces a database, so it compares every row, which pg_restore does not.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from hotdash_pipelines.operations.backup.run import create_backup
from hotdash_pipelines.operations.backup.verify import verify_decode
from hotdash_pipelines.operations.export.run import export_training
from hotdash_pipelines.operations.restore.run import restore
from hotdash_pipelines.operations.retention.rules import cut_offs, rules, too_old
from hotdash_pipelines.operations.retention.run import run_table
from hotdash_pipelines.storage import open_store
from hotdash_pipelines.warehouse.postgres import connect, libpq_env, with_database
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server.binaries import tool_for_server
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

TEXTS_A_SECOND = 5_000
# Longer ago than both windows of a query.
_PAST = timedelta(days=400)
_QUERIES = """
select setseed(0.42);
set local session_replication_role = replica;
insert into agent.agent_queries
    (query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at)
select 'Where is order ' || n || ' and when will it be at the door?',
    jsonb_build_object('source', 'orders', 'rows', n % 7, 'text', md5(n::text) || repeat(' line', 20)),
    'conversation-' || (n::bigint * 7919 % 2000), 'agent-' || n % 8,
    case when luck < 0.9 then luck < 0.8 end, luck < 0.1, (20 * exp(2.5 * luck))::int, at, at
from (
    select n, random() as luck, now() - {past} + n * interval '1 second' as at from generate_series(1, {rows}) as n
) as drawn order by n
"""
# Five texts a draft (two of them in JSON), as support writes them; every fifth draft names somebody.
_DRAFTS = """
insert into agent.agent_feedback
    (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, notes, meta)
select 'conversation-' || n % 500,
    'Hello, my order #' || 10000 + n || ' has not arrived. '
        || case when n % 5 = 0 then 'Write to customer' || n || '@example.com or call +1 415 555 0' || 100 + n % 100
        else 'Could you tell me where the blue one in size M is?' end,
    'Hi, order #' || 10000 + n || ' left our house yesterday and should be with you within two days. Best, the team',
    true, array['shipping'], '{{"clarity": 4, "tone": 5}}', 'annotator-' || n % 20,
    'polite, and names the day', '{{"model": "draft-2"}}'
from generate_series(1, {rows}) as n
"""


@dataclass(frozen=True)
class Pair:
    """One round of one path: seconds of ours and of the peer's."""

    name: str
    ours: float
    peer: float


@dataclass(frozen=True)
class Result:
    """Medians over the rounds. `ratio` is ours to the peer's, `limit` the most it may be; None where none is set."""

    name: str
    ours: float
    peer: float
    ratio: float
    limit: float | None

    @property
    def is_met(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.ratio <= self.limit


# Ours may take so many times the peer's.
LIMITS: dict[str, float | None] = {
    "backup, to pg_dump -Fc": 0.5,
    "the same, decoded and stored": None,
    "its size, to pg_dump -Fc": 1.0,
    "verify, to pg_dump -Fc": 2.0,
    "restore, to pg_restore": 1.1,
    "retention, to DELETE": 2.5,
    "both with the VACUUM after": None,
}


def summarise(rounds: list[list[Pair]]) -> list[Result]:
    """Medians of the ratios within each round, in the order of LIMITS."""
    found = []
    for name, limit in LIMITS.items():
        pairs = [pair for one in rounds for pair in one if pair.name == name]
        found.append(
            Result(
                name,
                median(pair.ours for pair in pairs),
                median(pair.peer for pair in pairs),
                median(pair.ours / pair.peer for pair in pairs),
                limit,
            )
        )
    return found


class Bench:
    """One filled database on a server of its own, and copies of it."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self.admin, self._folder, self._number = server.url("postgres"), folder, 0
        self.url = with_database(self.admin, "bench")

    def fill(self, rows: int) -> None:
        """The million queries, all of them past their windows."""
        with connect(self.admin, autocommit=True) as conn:
            conn.execute("create database bench")
        migrate(self.url)
        past = f"interval '{_PAST.days} days'"
        with connect(self.url) as conn:
            conn.execute(_QUERIES.format(rows=rows, past=past).encode())
        with connect(self.url, autocommit=True) as conn:
            conn.execute("vacuum (analyze) agent.agent_queries")
            conn.execute("checkpoint")

    @contextmanager
    def copy(self, template: str = "bench") -> Iterator[str]:
        """A database that is dropped afterwards, under any name that a restore has left it."""
        self._number += 1
        name = f"copy{self._number}"
        with connect(self.admin, autocommit=True) as conn:
            conn.execute(f"create database {name} template {template}".encode())
            conn.execute("checkpoint")
        try:
            yield with_database(self.admin, name)
        finally:
            with connect(self.admin, autocommit=True) as conn:
                found = conn.execute("select datname from pg_database where datname like %s", (f"{name}%",)).fetchall()
                for (left,) in found:
                    conn.execute(f'drop database "{left}" with (force)'.encode())

    def folder(self) -> Path:
        """An empty folder."""
        return Path(tempfile.mkdtemp(dir=self._folder))


def measure(bench: Bench) -> list[Pair]:
    """One round of everything."""
    with connect(bench.url) as conn:
        major = conn.info.server_version // 10000
    dump, store, scratch = bench.folder() / "peer.dump", open_store(str(bench.folder())), bench.folder()
    peer_dump = _timed(lambda: _tool("pg_dump", major, bench.url, "--format=custom", f"--file={dump}"))
    started = time.perf_counter()
    made = create_backup(bench.url, store, now=datetime.now(UTC), scratch=scratch)
    ours = time.perf_counter() - started
    pairs = [
        # pg_dump proves nothing: its equal is our dump with its counts and hashes; we then decode it and store it.
        Pair("backup, to pg_dump -Fc", made.seconds["dump"], peer_dump),
        Pair("the same, decoded and stored", ours, peer_dump),
        Pair("its size, to pg_dump -Fc", made.manifest.bytes, dump.stat().st_size),
        Pair("verify, to pg_dump -Fc", _timed(lambda: verify_decode(store, made.id)), peer_dump),
    ]
    # A copy stands beside the peer's database as beside ours: its pages take room in every cache.
    with bench.copy(), bench.copy("template1") as empty:
        peer = _timed(
            lambda: _tool(
                "pg_restore", major, empty, "--exit-on-error", f"--dbname={libpq_env(empty)['PGDATABASE']}", dump
            )
        )
    with bench.copy() as there:
        ours = _timed(lambda: restore(there, store, made.id, replace=True, scratch=scratch))
    pairs.append(Pair("restore, to pg_restore", ours, peer))
    return [*pairs, *_retention(bench, made.id)]


def _retention(bench: Bench, backup_id: str) -> list[Pair]:
    rule, now = next(one for one in rules() if one.table == "agent_queries"), datetime.now(UTC)
    condition = too_old(rule, cut_offs(rule, now))
    with bench.copy() as there, connect(there) as conn:
        conn.execute("set local role hotdash_retention")
        peer = _timed(
            lambda: (conn.execute(f"delete from agent.{rule.table} where {condition}".encode()), conn.commit())
        )
        conn.autocommit = True
        peer_vacuum = _timed(lambda: conn.execute(f"vacuum (analyze) agent.{rule.table}".encode()))
    store, scratch = open_store(str(bench.folder())), bench.folder()
    with bench.copy() as there:
        started = datetime.now(UTC)
        ours = _timed(lambda: run_table(there, store, rule, now=now, scratch=scratch, backup_id=backup_id))
        with connect(there) as conn:
            ((left,),) = conn.execute("select count(*) from agent.agent_queries").fetchall()
            runs = "select sum(deleted_rows), max(finished_at) from ops.retention_runs"
            ((deleted, finished),) = conn.execute(runs).fetchall()
    if left or not deleted:
        raise RuntimeError(f"retention left {left} rows and deleted {deleted}, so its time says nothing")
    return [
        Pair("retention, to DELETE", (finished - started).total_seconds(), peer),
        Pair("both with the VACUUM after", ours, peer + peer_vacuum),
    ]


def export_speed(bench: Bench, rows: int) -> float:
    """Texts that one core redacts, looks through again and writes in a second: by this process' processor time."""
    with bench.copy() as there:
        with connect(there) as conn:
            conn.execute(_DRAFTS.format(rows=rows).encode())
        store, scratch = open_store(str(bench.folder())), bench.folder()
        started = time.process_time()
        done = export_training(
            there, store, now=datetime.now(UTC), scratch=scratch, pseudonym_key=b"benchmark" * 4, format="parquet"
        )
        return done.manifest.texts / (time.process_time() - started)


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _tool(name: str, major: int, url: str, *arguments: object) -> None:
    program = str(tool_for_server(name, major))
    subprocess.run([program, *map(str, arguments)], env={**environ, **libpq_env(url)}, check=True)


def run(rows: int, rounds: int, drafts: int) -> tuple[list[Result], float]:
    """Everything on a durable server of its own."""
    import adbc_driver_postgresql.dbapi  # noqa: F401 - not counted
    import pyarrow.parquet  # noqa: F401 - not counted

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="hotdash-bench-server-") as home, tempfile.TemporaryDirectory() as work:
        Path(home).chmod(0o755)
        server = EmbeddedPostgres(Path(home))
        server.up()
        try:
            bench = Bench(server, Path(work))
            console.print(f"{rows:,} rows of agent_queries: {_timed(lambda: bench.fill(rows)):.0f} s")
            found = []
            for number in range(rounds):
                found.append(measure(bench))
                console.print(
                    f"round {number + 1} of {rounds}", ", ".join(f"{p.name} {p.ours / p.peer:.2f}" for p in found[-1])
                )
            return summarise(found), export_speed(bench, drafts)
        finally:
            server.destroy()


def _table(results: list[Result], texts: float) -> Table:
    table = Table(title="Ours to the peer's, medians of the rounds")
    for name in ("path", "ours", "peer", "ratio", "limit", "met"):
        table.add_column(name, justify="left" if name == "path" else "right")
    for r in results:
        unit = 1e-6 if "size" in r.name else 1
        table.add_row(
            r.name,
            f"{r.ours * unit:.2f}",
            f"{r.peer * unit:.2f}",
            f"{r.ratio:.2f}",
            f"{r.limit:g}" if r.limit else "",
            ("yes" if r.is_met else "no") if r.limit else "",
        )
    met = "yes" if texts >= TEXTS_A_SECOND else "no"
    table.add_row("export, texts a second a core", f"{texts:,.0f}", "", "", f"{TEXTS_A_SECOND:,}", met)
    return table


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of agent_queries")
    parser.add_argument("--drafts", type=int, default=20_000, help="drafts to export")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each path")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the table")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, texts = run(given.rows, given.rounds, given.drafts)
    if given.json:
        sys.stdout.write(json.dumps({"results": [asdict(r) for r in results], "export_texts_a_second": texts}) + "\n")
    else:
        Console(width=120).print(_table(results, texts))


if __name__ == "__main__":
    main()
