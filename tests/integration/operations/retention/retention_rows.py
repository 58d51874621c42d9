"""Rows of the support agent's tables of chosen ages, and where each of them is after a run: table or archive.

Belongs here: helpers for the tests of retention. Does not belong here: which rows should go; the tests say that.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.operations.retention.rules import RetentionRule, rules
from hotdash_pipelines.operations.retention.run import RetentionOutcome, run_table
from hotdash_pipelines.storage import FolderStore, Store

TABLES = ("agent_feedback", "agent_approvals", "agent_queries", "agent_queries_history")
_DEFAULTS: Mapping[str, dict[str, Any]] = {
    "agent_feedback": {"input_text": "Wo ist\n\"mein\" Paket, 'Å\\'?", "model_draft": "", "labels": ["a,b", "{c}"]},
    "agent_approvals": {"serialized": {"run": [1, "zwei", None]}, "status": "approved", "approved_by": "op"},
    "agent_queries": {"query": "q", "result": {"n": 1.5, "text": "ü\t"}, "agent": "orders"},
    "observability_logs": {"level": "DEBUG", "message": "m"},
}


def rule_of(table: str, **days: int) -> RetentionRule:
    """The rule of a table; `days` are the settings of the optional ones."""
    return next(rule for rule in rules(**days) if rule.table == table)


def put(conn: "psycopg.Connection[Any]", table: str, created_at: datetime, **columns: Any) -> int:
    """Insert a row and return its id; `updated_at` is `created_at` unless given."""
    row = {**_DEFAULTS[table], "created_at": created_at, **columns}
    if table != "observability_logs":
        row = {"conversation_id": "c-1", "updated_at": created_at, **row}
    values = [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
    statement = psycopg.sql.SQL("insert into agent.{} ({}) values ({}) returning id").format(
        psycopg.sql.Identifier(table),
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, row)),
        psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * len(row)),
    )
    return conn.execute(statement, values).fetchone()[0]  # type: ignore[index]


def many(conn: "psycopg.Connection[Any]", table: str, rows: int, created_at: datetime, **columns: Any) -> list[int]:
    """Insert so many equal rows; their ids."""
    with conn.transaction():
        return [put(conn, table, created_at, **columns) for _ in range(rows)]


def key_of(table: str) -> str:
    """The column that numbers the rows of a table."""
    return "history_id" if table == "agent_queries_history" else "id"


def texts(conn: "psycopg.Connection[Any]", table: str) -> dict[int, str]:
    """Every row of a table as the server's text, by its number."""
    with conn.transaction():
        conn.execute("set local timezone to 'UTC'")
        rows = conn.execute(f"select {key_of(table)}, t::text from agent.{table} as t").fetchall()
    return dict(rows)


def archived(conn: "psycopg.Connection[Any]", store: Store, scratch: Path, table: str) -> dict[int, list[str]]:
    """The rows of the table's proven archives that runs committed, as the server's text, by their number."""
    texts_of: dict[int, list[str]] = {}
    uris = conn.execute(
        "select archive_uri from ops.retention_runs where state = 'deleted' and table_name = %s order by part", (table,)
    ).fetchall()
    for (uri,) in uris:
        path = str(uri).removeprefix(store.uri("")).lstrip("/")
        with archive.opened(store, path, scratch) as rows:
            for number, text in _as_server_text(conn, table, rows).items():
                texts_of.setdefault(number, []).append(text)
    return texts_of


def _as_server_text(conn: "psycopg.Connection[Any]", table: str, rows: Any) -> dict[int, str]:
    """Put rows of an archive back into a copy of their table, and read them as text."""
    with conn.transaction(force_rollback=True):
        conn.execute("set local timezone to 'UTC'")
        conn.execute(f"create temporary table copy (like agent.{table}) on commit drop")
        names = ", ".join(rows.column_names)
        marks = ", ".join(["%s"] * rows.num_columns)
        with conn.cursor() as cursor:
            values = [list(row.values()) for row in rows.to_pylist()]
            cursor.executemany(f"insert into copy ({names}) values ({marks})", values)
        return dict(conn.execute(f"select {key_of(table)}, t::text from copy as t").fetchall())


def store_in(folder: Path) -> FolderStore:
    """The archives of a test."""
    return FolderStore(folder / "archive")


def retain(
    url: str, folder: Path, table: str, now: datetime, days: Mapping[str, int] | None = None, **more: Any
) -> RetentionOutcome:
    """One run over one table, into `folder`."""
    options: dict[str, Any] = {"backup_id": "20240101T000000Z-00000000", "scratch": folder / "scratch", **more}
    return run_table(url, options.pop("store", store_in(folder)), rule_of(table, **(days or {})), now=now, **options)
