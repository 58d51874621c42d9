"""Advice on the warehouse's performance: one look at a database that changes nothing.

Belongs here: the order of the questions, and the read-only transaction they run in.
Does not belong here: the questions (advice_indexes, advice_tables, advice_queries, advice_policies), building indexes
(apply.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.advice.catalog import read_tables, statistics_since
from hotdash_pipelines.warehouse.advice.indexes import index_findings, missing_indexes, needs
from hotdash_pipelines.warehouse.advice.model import AdviceReport, Limits, MissingIndex
from hotdash_pipelines.warehouse.advice.policies import policy_findings
from hotdash_pipelines.warehouse.advice.queries import slow_queries
from hotdash_pipelines.warehouse.advice.tables import table_findings
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect

if TYPE_CHECKING:
    import psycopg

_DEFAULTS = Limits()


def analyze(url: str, now: datetime, limits: Limits = _DEFAULTS) -> AdviceReport:
    """Look for slow queries, poor indexes and policies, and neglected tables; critical findings first.

    `now` is compared with the age of the statistics. Raises WarehouseError when the server cannot be reached.
    """
    with _reading(url) as conn:
        since = statistics_since(conn)
        tables = read_tables(conn)
        wanted = needs(conn, tables)
        slow, slow_notes = slow_queries(conn, now, limits)
        policies, policy_notes = policy_findings(conn, tables, limits)
        indexes, index_notes = index_findings(tables, wanted, since, now, limits)
        neglected, table_notes = table_findings(tables, since, now, limits)
        findings = [*slow, *policies, *indexes, *neglected]
        version = conn.info.server_version
    return AdviceReport(
        server=f"{version // 10000}.{version % 10000}",
        statistics_since=since,
        tables=len(tables),
        findings=sorted(findings, key=lambda finding: finding.severity != "critical"),
        notes=[*slow_notes, *index_notes, *table_notes, *policy_notes],
    )


def find_missing_indexes(url: str) -> list[MissingIndex]:
    """The indexes that foreign keys and policies call for, those of partitioned tables included."""
    with _reading(url) as conn:
        return missing_indexes(needs(conn, read_tables(conn)))


@contextmanager
def _reading(url: str) -> "Iterator[psycopg.Connection[Any]]":
    """A connection in one read-only transaction that waits neither long nor for locks, rolled back at the end."""
    import psycopg

    with connect(url) as conn:
        conn.read_only = True
        conn.execute("set local lock_timeout = '2s'")
        conn.execute("set local statement_timeout = '60s'")
        try:
            yield conn
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            raise WarehouseError(
                "a table is locked by another session, or the server is overloaded: try again"
            ) from error
        conn.rollback()
