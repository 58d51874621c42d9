"""From commit to listener: how late a notification is, and what the triggers cost a writer.

Belongs here: measuring and the table of results. Does not belong here: the triggers (migration 0007), the listener.

Two measurements on one durable embedded server. Latency: 500 rows, each in a transaction of its own, over the four
channels; the clock runs from the moment COMMIT was acknowledged to the event in the hands of whoever called the
listener, row read again included. Cost: 10,000 rows in one statement with the triggers and without, alternating.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hotdash_pipelines.agent.listen import Listener
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    import psycopg

LIMIT_P99_MS = 100.0
_PATIENCE_SECONDS = 30.0
_WRITES = {
    "approval_queue_stream": (
        "insert into agent.agent_approvals (conversation_id, serialized) select 'c' || n, '{{}}'"
        " from generate_series(1, {}) as n returning id"
    ),
    "performance_alert_stream": (
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)"
        " select 'q', '{{}}', 'c' || n, 'order_agent', 900 from generate_series(1, {}) as n returning id"
    ),
    "training_feedback_stream": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft)"
        " select 'c' || n, 'i', 'm' from generate_series(1, {}) as n returning id"
    ),
    "decision_sync_stream": (
        "insert into agent.decision_sync_event_logs (decision_id, scope, status)"
        " select 'd' || n, 'ops', 'ok' from generate_series(1, {}) as n returning id"
    ),
}
_TRIGGERS = (
    ("approval_queue_stream", "agent.agent_approvals", "announce_insert"),
    ("performance_alert_stream", "agent.agent_queries", "announce_slow"),
    ("training_feedback_stream", "agent.agent_feedback", "announce_feedback"),
    ("decision_sync_stream", "agent.decision_sync_event_logs", "announce_insert"),
)


class NotHeard(RuntimeError):
    """Notifications did not arrive, so no time says anything."""


def measure_latency(url: str, count: int, seed: int = 7) -> list[float]:
    """Milliseconds from commit to listener of `count` rows, in the order of writing.

    Raises NotHeard when one of them has not arrived within 30 seconds.
    """
    listener = Listener(url)
    listener.open()
    arrived: dict[tuple[str, int], float] = {}
    over = threading.Event()

    def follow() -> None:
        while not over.is_set():
            for event in listener.step(0.1):
                arrived[event.channel, event.id] = time.perf_counter()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    chance = random.Random(seed)
    committed: dict[tuple[str, int], float] = {}
    try:
        with connect(url, autocommit=True) as conn:
            for number in range(count):
                channel = tuple(_WRITES)[number % len(_WRITES)]
                row = conn.execute(_WRITES[channel].format(1).encode()).fetchone()
                committed[channel, row[0] if row else 0] = time.perf_counter()
                time.sleep(chance.uniform(0, 0.01))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(arrived) < count and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        over.set()
        thread.join()
        listener.close()
    if lost := committed.keys() - arrived.keys():
        raise NotHeard(f"{len(lost)} of {count} notifications did not arrive")
    # An event may arrive before the writer has read that its commit is done.
    return [max(0.0, arrived[key] - at) * 1000 for key, at in committed.items()]


def measure_cost(url: str, rows: int, runs: int) -> dict[str, tuple[float, float]]:
    """Channel -> milliseconds to insert `rows` rows in one statement, with its trigger and without (medians)."""
    found = {}
    with connect(url, autocommit=True) as conn:
        for channel, table, trigger in _TRIGGERS:
            spent: dict[str, list[float]] = {"enable": [], "disable": []}
            for _ in range(runs):
                for state, times in spent.items():
                    conn.execute(f"alter table {table} {state} trigger {trigger}".encode())
                    times.append(_timed(conn, _WRITES[channel].format(rows)))
            conn.execute(f"alter table {table} enable trigger {trigger}".encode())
            found[channel] = (median(spent["enable"]), median(spent["disable"]))
    return found


def _timed(conn: "psycopg.Connection[Any]", statement: str) -> float:
    began = time.perf_counter()
    conn.execute(statement.encode())
    return (time.perf_counter() - began) * 1000


def percentile(values: list[float], percent: int) -> float:
    """The value that `percent` of a hundred values stay below."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


@contextmanager
def _server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hotdash-bench-server-") as home:
        Path(home).chmod(0o755)
        server = EmbeddedPostgres(Path(home))
        server.up()
        try:
            migrate(server.url())
            yield server.url()
        finally:
            server.destroy()


def main() -> None:
    """Parse the arguments, measure and print. Exit code 1 when the limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notify", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=500, help="notifications")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the bulk insert")
    parser.add_argument("--runs", type=int, default=5, help="bulk inserts with and without triggers")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output instead of the table")
    given = parser.parse_args()
    # Without this, ending the benchmark by a signal would leave its database server running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _server() as url:
        latencies = measure_latency(url, given.count)
        cost = measure_cost(url, given.rows, given.runs)
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    if given.json:
        result = {"count": given.count, "p50_ms": p50, "p99_ms": p99, "max_ms": max(latencies), "cost": cost}
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        console = Console(width=100)
        console.print(
            f"commit to listener, {given.count} notifications: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"max {max(latencies):.1f} ms (limit: p99 under {LIMIT_P99_MS:.0f} ms)"
        )
        table = Table(title=f"{given.rows:,} rows in one statement, medians of {given.runs}")
        for name in ("channel", "with trigger, ms", "without, ms", "µs a row"):
            table.add_column(name, justify="left" if name == "channel" else "right")
        for channel, (with_trigger, without) in cost.items():
            each = (with_trigger - without) * 1000 / given.rows
            table.add_row(channel, f"{with_trigger:,.0f}", f"{without:,.0f}", f"{each:.1f}")
        console.print(table)
    sys.exit(0 if p99 < LIMIT_P99_MS else 1)


if __name__ == "__main__":
    main()
