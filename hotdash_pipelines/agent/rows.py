"""Rows of the support agent's tables that this project writes itself, and the mark that tells them from real ones.

Belongs here: the mark, inserting marked rows as service_role, translating refusals of the server. Does not belong here:
which rows (agent_seed, agent_activity) and when they go (agent_cleanup).

The mark is the key `hotdash_written_by` at the top of a row's own JSON column. Only service_role writes these tables
and the agent's SDK does not know the key. A curated reply has no JSON: its mark is a prefix of source_message_id,
which for a real reply is a number.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.warehouse.access.roles import become
from hotdash_pipelines.warehouse.postgres import database_errors

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

Origin = Literal["seed", "demo"]
Row = Mapping[str, Any]

MARK = "hotdash_written_by"
_ORIGINS = ("seed", "demo")
# One writer at a time; any fixed number will do.
_LOCK = 0x686F74_6167656E74
_LOCK_TIMEOUT = "30s"

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "agent_approvals": {
        "conversation_id": "text", "serialized": "jsonb", "last_interruptions": "jsonb", "approved_by": "text",
        "status": "text", "created_at": "timestamptz", "updated_at": "timestamptz",
    },
    "agent_feedback": {
        "conversation_id": "text", "input_text": "text", "model_draft": "text", "safe_to_send": "boolean",
        "labels": "text[]", "rubric": "jsonb", "annotator": "text", "notes": "text", "meta": "jsonb",
        "created_at": "timestamptz", "updated_at": "timestamptz",
    },
    "agent_queries": {
        "query": "text", "result": "jsonb", "conversation_id": "text", "agent": "text", "approved": "boolean",
        "human_edited": "boolean", "latency_ms": "integer", "created_at": "timestamptz", "updated_at": "timestamptz",
    },
    "facts": {"project": "text", "topic": "text", "key": "text", "value": "jsonb", "created_at": "timestamptz"},
    "decision_sync_event_logs": {
        "decision_id": "text", "scope": "text", "status": "text", "attempt": "integer", "duration_ms": "integer",
        "error": "text", "payload": "jsonb", "created_at": "timestamptz",
    },
    "observability_logs": {
        "level": "text", "message": "text", "request_id": "text", "metadata": "jsonb", "created_at": "timestamptz",
    },
    "support_curated_replies": {
        "conversation_id": "text", "source_message_id": "text", "message_body": "text", "tags": "text[]",
        "approver": "text", "approved_at": "timestamptz", "created_at": "timestamptz", "updated_at": "timestamptz",
    },
}  # fmt: skip
_MARKED_IN: Mapping[str, str] = {
    "agent_approvals": "serialized",
    "agent_feedback": "meta",
    "agent_queries": "result",
    "agent_queries_history": "result",
    "facts": "value",
    "decision_sync_event_logs": "payload",
    "observability_logs": "metadata",
}

CHANGEABLE = ("agent_approvals", "agent_feedback", "agent_queries", "support_curated_replies")
AUDIT = ("facts", "decision_sync_event_logs", "observability_logs")
TABLES = (*CHANGEABLE, *AUDIT)


class AgentDataError(HotdashError):
    """The support agent's rows cannot be written or removed; nothing was changed. One line, says what to do."""


@contextmanager
def one_writer(conn: "psycopg.Connection[Any]", role: str = "service_role") -> Iterator[None]:
    """One transaction as `role`, alone among those who write or remove marked rows.

    Raises AgentDataError when the connection's user may not act as the role, when the tables are missing, or when
    another writer has held the lock for half a minute.
    """
    with (
        database_errors(
            AgentDataError,
            locked=f"another process has been writing agent rows for over {_LOCK_TIMEOUT}: try later",
            missing="the support agent's tables are missing: run `hotdash db migrate`",
            forbidden="the server refuses ({reason}): let an administrator run "
            f"`grant service_role, hotdash_retention to {conn.info.user}`",
        ),
        conn.transaction(),
    ):
        conn.execute("select set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        become(conn, role)
        yield


def marked(table: str, row: Row, origin: Origin) -> dict[str, Any]:
    """The row with the mark of its origin."""
    if table == "support_curated_replies":
        return {**row, "source_message_id": f"{origin}-{row['source_message_id']}"}
    column = _MARKED_IN[table]
    return {**row, column: {**row[column], MARK: origin}}


def is_marked(table: str, *origins: Origin) -> "Composed":
    """SQL condition of the rows of a table that carry the mark of one of the origins, by default of any."""
    from psycopg import sql

    wanted = origins or _ORIGINS
    if table == "support_curated_replies":
        return sql.SQL("source_message_id ~ {}").format(sql.Literal(f"^({'|'.join(wanted)})-"))
    # Of anything but an object, ->> is null: a real row whose JSON is a list or a text is never met.
    return sql.SQL("{} ->> {} in ({})").format(
        sql.Identifier(_MARKED_IN[table]), sql.Literal(MARK), sql.SQL(", ").join(map(sql.Literal, wanted))
    )


def insert(conn: "psycopg.Connection[Any]", table: str, rows: Sequence[Row], origin: Origin) -> int:
    """Insert marked rows in one statement, in the order of time; returns how many."""
    from psycopg import sql
    from psycopg.types.json import Jsonb

    if not rows:
        return 0
    columns = _COLUMNS[table]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    typed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))  # pyright: ignore[reportArgumentType]
        for name, kind in columns.items()
    )
    statement = sql.SQL(
        "insert into agent.{} ({}) select {} from jsonb_to_recordset(%s) as row ({}) order by created_at"
    ).format(sql.Identifier(table), names, names, typed)
    return conn.execute(statement, (Jsonb([marked(table, row, origin) for row in rows]),)).rowcount


def count_marked(conn: "psycopg.Connection[Any]", tables: Sequence[str], *origins: Origin) -> dict[str, int]:
    """How many rows with a mark of the origins (by default of any) each table has, read as the current role."""
    from psycopg import sql

    counts = {}
    for table in tables:
        statement = sql.SQL("select count(*) from agent.{} where {}").format(
            sql.Identifier(table), is_marked(table, *origins)
        )
        (counts[table],) = conn.execute(statement).fetchone() or (0,)
    return counts
