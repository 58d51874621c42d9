"""Live figures of the support agent, for whoever watches.

Belongs here: reading the figures under the watcher's role, and keeping the stored ones fresh while somebody watches
(monitoring_private.mv_realtime_*). Does not belong here: events (listen.py), drawing (cli/monitor/verbs.py).
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.postgres import WarehouseError, connect

if TYPE_CHECKING:
    import psycopg

REFRESH_SECONDS = 30.0
# Any fixed number: whoever holds this lock refreshes for all.
_LOCK = 0x6D6F6E_69746F72
_QUERIES = {
    "queue": """
        select coalesce(sum(item_count) filter (where status = 'pending'), 0)::int as pending,
            max(longest_wait_seconds) filter (where status = 'pending')::float8 as oldest_seconds,
            coalesce(sum(sla_breaches) filter (where status = 'pending'), 0)::int as breaches,
            coalesce(sum(item_count) filter (where status = 'approved'), 0)::int as approved,
            coalesce(sum(item_count) filter (where status = 'rejected'), 0)::int as rejected,
            coalesce(sum(item_count) filter (where status = 'expired'), 0)::int as expired
        from monitoring.v_approval_queue_status
    """,
    "agents": """
        select agent, queries_last_hour, avg_latency_ms::float8, p95_latency_ms, approval_rate_pct::float8, health
        from monitoring.v_agent_performance_snapshot
        order by health = 'healthy', health = 'warning', queries_last_hour desc, agent
    """,
    "feedback": """
        select count(*) as drafts, count(*) filter (where safe_to_send is null) as unreviewed,
            count(*) filter (where safe_to_send) as safe, count(*) filter (where not safe_to_send) as unsafe
        from agent.agent_feedback where created_at >= now() - interval '24 hours'
    """,
    "decisions": """
        select status, count(*) as events, round(avg(duration_ms))::int as avg_duration_ms
        from agent.decision_sync_event_logs where created_at >= now() - interval '1 hour'
        group by status order by 2 desc, 1
    """,
}


@dataclass(frozen=True)
class LiveFigures:
    """Rows of each part by its name; `missing` says why a part is not there."""

    parts: Mapping[str, Sequence[Mapping[str, Any]]]
    missing: Mapping[str, str]


class FigureReader:
    """Reads the figures on a connection of its own, which it opens again when it broke."""

    def __init__(self, url: str, role: str | None) -> None:
        self._url, self._role = url, role
        self._conn: psycopg.Connection[Any] | None = None

    def read(self) -> LiveFigures | None:
        """All figures as they stand; None while the server is away."""
        import psycopg

        try:
            return self._read(self._conn or self._connect())
        except (WarehouseError, psycopg.OperationalError, psycopg.InterfaceError):
            self.close()
            return None

    def close(self) -> None:
        """End the connection."""
        if self._conn is not None:
            self._conn.close()
        self._conn = None

    def _connect(self) -> "psycopg.Connection[Any]":
        from psycopg import sql

        self._conn = connect(self._url, autocommit=True)
        self._conn.execute("set statement_timeout = '5s'")
        if self._role is not None:
            self._conn.execute(sql.SQL("set role {}").format(sql.Identifier(self._role)))
        return self._conn

    def _read(self, conn: "psycopg.Connection[Any]") -> LiveFigures:
        import psycopg
        from psycopg.rows import dict_row

        parts, missing = {}, {}
        with conn.cursor(row_factory=dict_row) as cursor:
            for name, query in _QUERIES.items():
                try:
                    parts[name] = cursor.execute(query.encode()).fetchall()
                except psycopg.errors.InsufficientPrivilege:
                    missing[name] = f"not for {self._role or 'this user'}"
                except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                    missing[name] = "not in this database yet: run `hotdash schema migrate`"
                except psycopg.errors.QueryCanceled:
                    missing[name] = "takes too long"
        return LiveFigures(parts, missing)


class Refresher:
    """Refreshes the stored figures every 30 seconds while it runs, in a thread of its own.

    Of all refreshers of a database only one works, whoever holds the lock; when it ends another takes over. It works as
    the connection's own user. `note` says how it does.
    """

    def __init__(self, url: str, *, every_seconds: float = REFRESH_SECONDS) -> None:
        self._url, self._every_seconds = url, every_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)
        self._refreshed_at: float | None = None
        self._why = "not refreshed yet"
        self.refreshes = 0

    @property
    def note(self) -> str:
        """One line on the state of the stored figures."""
        at = self._refreshed_at
        return self._why if at is None else f"refreshed {time.monotonic() - at:.0f} s ago"

    def start(self) -> None:
        """Begin; the first refresh follows at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after a refresh that is under way."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        import psycopg

        while not self._over.is_set():
            try:
                with connect(self._url, autocommit=True) as conn:
                    conn.execute("set statement_timeout = '25s'")
                    self._work(conn)
            except (WarehouseError, psycopg.Error) as error:
                self._refreshed_at, self._why = None, _reason(error)
            self._over.wait(self._every_seconds)

    def _work(self, conn: "psycopg.Connection[Any]") -> None:
        """Until the end, or until something fails: the lock goes with the connection."""
        while not self._over.is_set():
            if conn.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() == (True,):
                break
            self._why = "refreshed by another monitor"
            self._over.wait(self._every_seconds)
        while not self._over.is_set():
            conn.execute("select monitoring_private.refresh_realtime_metrics()")
            self._refreshed_at = time.monotonic()
            self.refreshes += 1
            self._over.wait(self._every_seconds)


def _reason(error: Exception) -> str:
    import psycopg

    if isinstance(error, (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName)):
        return "not in this database yet"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "not refreshed: this user may not"
    if isinstance(error, (WarehouseError, psycopg.OperationalError)):
        return "not refreshed: the server is away or busy"
    return f"not refreshed: {type(error).__name__}"
