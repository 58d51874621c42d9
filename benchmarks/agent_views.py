"""The monitoring views as their tiles read them, at 100,000 and 1,000,000 rows a table, and what row security costs.

Belongs here: filling the tables, reading as a tenant and as an operator, the table of results. Does not belong here:
what the views say (migrations, tests).

The rows of each table spread over 60 days up to now, in the order of time, over 2,000 conversations of equal size.
A read is one statement on an open connection, from sending it to the last row; becoming the reader is not counted.
"""

import argparse
import json
import math
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from hotdash_pipelines.warehouse.postgres import connect, with_database
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

TABLES = (
    "agent_queries",
    "agent_queries_history",
    "agent_approvals",
    "agent_feedback",
    "facts",
    "decision_sync_event_logs",
)
RLS_LIMIT = 1.2
_LIMITS = {100_000: 10.0, 1_000_000: 50.0}
_CLAIMS = {"conversation_id": "conversation-7", "project": "project-7", "scope": "scope-7"}
_YESTERDAY = "where day = (now() at time zone (select app.store_timezone()))::date - 1"

_FILL = """
select setseed(0.42);
create temporary table times on commit drop as
select n, 'conversation-' || (n::bigint * 7919 % 2000) as conversation_id, random() as luck,
    now() - interval '60 days' * (1 - n / {rows}::float8) as at
from generate_series(1, {rows}) as n;
insert into agent.agent_queries
    (query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at)
select 'Where is order ' || n || ' and when will it be at the door?',
    jsonb_build_object('source', 'orders', 'rows', n % 7, 'text', repeat('line ', 20)), conversation_id,
    'agent-' || n % 8,
    case when luck < 0.9 then random() < 0.85 end, luck < 0.1, (20 * exp(2.5 * random()))::int, at, at
from times order by n;
insert into agent.agent_queries_history (id, query, result, conversation_id, agent, approved, human_edited, latency_ms,
    created_at, updated_at, valid_from, operation_type)
select id, query, result, conversation_id, agent, approved, human_edited, latency_ms,
    created_at, updated_at, created_at, 'INSERT' from agent.agent_queries order by id;
insert into agent.agent_approvals
    (conversation_id, serialized, last_interruptions, created_at, approved_by, status, updated_at)
select conversation_id, jsonb_build_object('state', repeat('paused run ', 40)), '[{{"tool": "send_reply"}}]', at,
    case when luck < 0.95 then 'operator-' || n % 5 end,
    case when n > {rows} * 0.9995 then 'pending'
        when luck < 0.8 then 'approved' when luck < 0.95 then 'rejected' else 'expired' end,
    at + random() * interval '10 minutes'
from times order by n;
insert into agent.agent_feedback
    (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, created_at, updated_at)
select conversation_id, repeat('question ', 12), repeat('drafted answer ', 16),
    case when luck < 0.7 then random() < 0.9 end,
    case when luck < 0.7
        then (array['{{tone}}', '{{accurate,short}}', '{{refund,polite}}', '{{}}', '{{shipping}}'])[1 + n % 5]
        else '{{}}' end::text[],
    case when luck < 0.7 then jsonb_build_object(
        'clarity', (random() * 5)::int, 'accuracy', (random() * 5)::int, 'tone', (random() * 5)::int) else '{{}}' end,
    case when luck < 0.7 then 'annotator-' || n % 20 end, at, at
from times order by n;
insert into agent.facts (project, topic, key, value, created_at)
select 'project-' || n % 50, 'topic-' || n % 20, 'key-' || n % 300, to_jsonb(n), at from times order by n;
insert into agent.decision_sync_event_logs (decision_id, scope, status, duration_ms, created_at)
select 'decision-' || n / 3, 'scope-' || n % 100, 'succeeded', n % 400, at from times order by n;
"""


@dataclass(frozen=True)
class Read:
    """One statement of a tile. `reader` is the role that reads every row, `limits` are milliseconds by rows a table."""

    name: str
    sql: str
    reader: str
    limits: dict[int, float]


@dataclass(frozen=True)
class Result:
    """What one read took: p95 and median in milliseconds, rows returned, and tables that were read as a whole.

    `work_ms` is the mean processor time of the server for it: what other programs on the machine disturb little.
    """

    name: str
    role: str
    rows: int
    returned: int
    p95_ms: float
    median_ms: float
    work_ms: float
    limit_ms: float | None
    scanned: tuple[str, ...]


def _view(name: str, reader: str, where: str = "", label: str = "") -> Read:
    return Read(f"{name}{label}", f"select * from monitoring.{name} {where}", reader, _LIMITS)


READS = (
    _view("v_agent_response_accuracy", "operator", label=", 7 days"),
    _view("v_agent_performance_snapshot", "operator", label=", 24 hours"),
    _view("v_approval_queue_depth", "operator", label=", 24 hours"),
    _view("v_approval_queue_status", "operator", label=", 24 hours"),
    _view("v_training_data_quality", "qa_team", _YESTERDAY, ", yesterday"),
    _view("v_annotation_progress", "qa_team", _YESTERDAY, ", yesterday"),
    _view("v_data_quality_report", "service_role", label=", 24 hours"),
    Read(
        "decision_sync_events by scope",
        "select * from agent.decision_sync_events where scope = 'scope-7' order by timestamp desc limit 100",
        "operator",
        {100_000: 10.0},
    ),
    Read(
        "facts by topic and time",
        "select * from agent.facts where project = 'project-7' and topic = 'topic-7'"
        " and created_at >= now() - interval '7 days' order by created_at desc",
        "service_role",
        {100_000: 5.0},
    ),
    # Not what a tile asks for, so without a limit.
    Read("v_training_data_quality, all 7 days", "select * from monitoring.v_training_data_quality", "qa_team", {}),
    Read("v_annotation_progress, all 7 days", "select * from monitoring.v_annotation_progress", "qa_team", {}),
)
_GUARDED = "select id, agent, approved, latency_ms, created_at from agent.agent_queries"
_FILTERED = f"{_GUARDED} where conversation_id = '{_CLAIMS['conversation_id']}'"


def fill(url: str, rows: int) -> None:
    """Put `rows` rows into each of TABLES of a migrated database as its superuser. The same rows every time."""
    with connect(url) as conn:
        # Triggers would write the history a second time, row by row.
        conn.execute("set local session_replication_role = replica")
        conn.execute(_FILL.format(rows=rows).encode())
    with connect(url, autocommit=True) as conn:
        conn.execute(f"vacuum (analyze) {', '.join(f'agent.{table}' for table in TABLES)}".encode())
        conn.execute("checkpoint")


def measure(url: str, rows: int, runs: int) -> list[Result]:
    """Every read as a tenant and as its reader of all rows."""
    with connect(url, autocommit=True) as conn:
        return [_measure(conn, read, role, rows, runs) for read in READS for role in ("authenticated", read.reader)]


def cost_of_rls(url: str, runs: int) -> float:
    """Time of a tenant's query under row security, in times of the same query with the filter written out; medians."""
    with connect(url, autocommit=True) as conn:
        guarded, filtered = [], []
        for number in range(runs + 5):
            with _as(conn, "authenticated"):
                one, seen = _timed(conn, _GUARDED)
            with conn.transaction():
                other, wanted = _timed(conn, _FILTERED)
            if seen != wanted or not seen:
                raise RuntimeError(f"row security let {len(seen)} rows through, the filter {len(wanted)}")
            if number >= 5:
                guarded.append(one)
                filtered.append(other)
        return median(guarded) / median(filtered)


def _measure(conn: "psycopg.Connection[Any]", read: Read, role: str, rows: int, runs: int) -> Result:
    times, found = [], []
    before = _processor_ms(conn)
    for _ in range(runs + 3):
        with _as(conn, role):
            seconds, found = _timed(conn, read.sql)
        times.append(seconds * 1000)
    work = (_processor_ms(conn) - before) / len(times)
    kept = sorted(times[3:])
    with _as(conn, role):
        scanned = _scanned(conn, read.sql)
    return Result(
        read.name,
        role,
        rows,
        len(found),
        kept[math.ceil(0.95 * len(kept)) - 1],
        median(kept),
        work,
        read.limits.get(rows),
        scanned,
    )


def _processor_ms(conn: "psycopg.Connection[Any]") -> float:
    used = psutil.Process(conn.info.backend_pid).cpu_times()
    return 1000 * (used.user + used.system)


def _timed(conn: "psycopg.Connection[Any]", sql: str) -> tuple[float, list[Any]]:
    start = time.perf_counter()
    found = conn.execute(sql.encode()).fetchall()
    return time.perf_counter() - start, found


@contextmanager
def _as(conn: "psycopg.Connection[Any]", role: str) -> Iterator[None]:
    """A transaction of a role as the API opens it; only a tenant has claims."""
    with conn.transaction():
        if role == "authenticated":
            conn.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(_CLAIMS),))
        conn.execute(f"set local role {role}".encode())
        yield


def _scanned(conn: "psycopg.Connection[Any]", sql: str) -> tuple[str, ...]:
    """The tables that the plan reads from end to end."""
    ((plan,),) = conn.execute(f"explain (format json) {sql}".encode()).fetchall()

    def walk(node: dict[str, Any]) -> Iterator[str]:
        if node["Node Type"] == "Seq Scan":
            yield node["Relation Name"]
        for child in node.get("Plans", ()):
            yield from walk(child)

    return tuple(sorted(set(walk(plan[0]["Plan"]))))


def run(sizes: list[int], runs: int) -> tuple[list[Result], dict[int, float]]:
    """Results of every size, and the cost of row security by size, on a durable server of their own."""
    console = Console(stderr=True)
    results, ratios = [], {}
    with tempfile.TemporaryDirectory(prefix="hotdash-bench-server-") as home:
        Path(home).chmod(0o755)
        server = EmbeddedPostgres(Path(home))
        server.up()
        try:
            for rows in sizes:
                name = f"bench_{uuid.uuid4().hex[:12]}"
                with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
                    conn.execute(f"create database {name}".encode())
                url = with_database(server.url("postgres"), name)
                migrate(url)
                start = time.perf_counter()
                fill(url, rows)
                console.print(f"{rows:,} rows in each of {len(TABLES)} tables: {time.perf_counter() - start:.0f} s")
                results += measure(url, rows, runs)
                ratios[rows] = cost_of_rls(url, runs * 5)
                with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
                    conn.execute(f"drop database {name} with (force)".encode())
        finally:
            server.destroy()
    return results, ratios


def _table(results: list[Result]) -> Table:
    table = Table(title="Milliseconds a read")
    for name in ("read", "as", "rows a table", "returned", "work", "median", "p95", "limit", "p95 / limit"):
        table.add_column(name, justify="left" if name in ("read", "as") else "right")
    for r in results:
        limit = (f"{r.limit_ms:g}", f"{r.p95_ms / r.limit_ms:.2f}") if r.limit_ms else ("", "")
        name = f"{r.name} (reads all of {', '.join(r.scanned)})" if r.scanned else r.name
        table.add_row(
            name,
            r.role,
            f"{r.rows:,}",
            str(r.returned),
            f"{r.work_ms:.1f}",
            f"{r.median_ms:.1f}",
            f"{r.p95_ms:.1f}",
            *limit,
        )
    return table


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agent_views", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows a table")
    parser.add_argument("--runs", type=int, default=40, help="reads of each statement, after three that do not count")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the table")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, ratios = run(given.rows, given.runs)
    if given.json:
        found = {"results": [asdict(r) for r in results], "rls_to_filter": ratios}
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        console = Console(width=160)
        console.print(_table(results))
        for rows, ratio in ratios.items():
            console.print(f"row security at {rows:,} rows: {ratio:.2f} times the written filter (limit {RLS_LIMIT})")


if __name__ == "__main__":
    main()
