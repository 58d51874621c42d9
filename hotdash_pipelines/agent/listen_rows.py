"""Reading the rows that notifications name, and those that were committed while nobody listened.

Belongs here: which columns of a row may be shown, and the SQL. Does not belong here: connections and order (listen.py).
No column here holds anybody's words, names or conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.postgres import WarehouseError, database_errors

if TYPE_CHECKING:
    import psycopg

_AT = "coalesce(to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), {0}::text)"
_LAG = "case when isfinite({0}) then round(extract(epoch from clock_timestamp() - {0}) * 1000, 1)::float8 end"


@dataclass(frozen=True)
class _Stream:
    """A channel's table, the columns that are shown, and which rows were ever announced."""

    table: str
    columns: tuple[str, ...]
    announced: str = "true"
    changes: bool = True


_STREAMS = {
    "approval_queue_stream": _Stream(
        "agent.agent_approvals", ("status",), "(status <> 'pending' or updated_at = created_at)"
    ),
    "performance_alert_stream": _Stream(
        "agent.agent_queries", ("agent", "latency_ms", "approved", "human_edited"), "latency_ms > 200"
    ),
    "training_feedback_stream": _Stream("agent.agent_feedback", ("safe_to_send",)),
    "decision_sync_stream": _Stream(
        "agent.decision_sync_event_logs", ("scope", "status", "attempt", "duration_ms"), changes=False
    ),
}
CHANNELS = tuple(_STREAMS)


@dataclass(frozen=True)
class Row:
    """A row as it stands. `version` changes with every change; `at` and `lag_ms` are told by operation.

    `lag_ms` is the time from `at` to reading, by the server's clock; None for an instant without end.
    """

    channel: str
    id: int
    version: str
    at: dict[str, str]
    lag_ms: dict[str, float | None]
    shown: dict[str, Any]

    @property
    def newest_op(self) -> str:
        """UPDATE once the row has changed since it was inserted."""
        return "UPDATE" if self.at.get("UPDATE", self.at["INSERT"]) != self.at["INSERT"] else "INSERT"


def check_reader(conn: "psycopg.Connection[Any]", role: str | None) -> tuple[str, ...]:
    """Take `role` for the session; returns the channels whose rows it may not read.

    Raises WarehouseError when the database has no notifications, when there is no such role or the user may not take
    it, and when it may read none of the rows.
    """
    import psycopg
    from psycopg import sql

    if conn.execute("select to_regclass('agent.approval_queue_stream_seq')").fetchone() == (None,):
        raise WarehouseError(
            "the database sends no notifications of the support agent yet: run `hotdash schema migrate`"
        )
    if role is not None:
        with database_errors(
            WarehouseError,
            missing=f"there is no role {role}: docs/access.md lists the roles",
            forbidden=f"this user may not become {role}: let an administrator grant it",
        ):
            conn.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
    unreadable = []
    for channel, stream in _STREAMS.items():
        try:
            conn.execute(f"select xmin, * from {stream.table} limit 0".encode())  # noqa: S608 - names of this file
        except psycopg.errors.InsufficientPrivilege:
            unreadable.append(channel)
    if len(unreadable) == len(_STREAMS):
        raise WarehouseError(
            f"{role or conn.info.user} may read none of the support agent's tables: choose another with --role"
        )
    return tuple(unreadable)


def read_rows(conn: "psycopg.Connection[Any]", channel: str, ids: Sequence[int]) -> dict[int, Row]:
    """Rows by id, without those that are gone or that the reader may not see."""
    rows = conn.execute(f"{_select(channel)} where id = any(%s)".encode(), (list(ids),)).fetchall()
    return {row[0]: _row(channel, row) for row in rows}


def read_missed(conn: "psycopg.Connection[Any]", channels: Sequence[str], since: int) -> list[Row]:
    """Rows whose newest version was written by transaction `since` or a later one, oldest change first.

    Reads whole tables: a quarter of a second for a million rows. age() counts backwards from the newest transaction.
    """
    oldest = str(since & 0xFFFFFFFF)
    rows = []
    for channel in channels:
        where = f"where age(xmin) between 0 and age(%s::xid) and {_STREAMS[channel].announced}"
        rows += [
            _row(channel, row) for row in conn.execute(f"{_select(channel)} {where}".encode(), (oldest,)).fetchall()
        ]
    return sorted(rows, key=lambda row: (row.at[row.newest_op], row.channel, row.id))


def _select(channel: str) -> str:
    stream = _STREAMS[channel]
    changed = "updated_at" if stream.changes else "created_at"
    times = [template.format(column) for column in ("created_at", changed) for template in (_AT, _LAG)]
    return f"select id, xmin::text, {', '.join(times)}, {', '.join(stream.columns)} from {stream.table}"  # noqa: S608 - names of this file


def _row(channel: str, selected: Sequence[Any]) -> Row:
    key, version, created, created_lag, changed, changed_lag, *values = selected
    return Row(
        channel,
        key,
        version,
        {"INSERT": created, "UPDATE": changed},
        {"INSERT": created_lag, "UPDATE": changed_lag},
        dict(zip(_STREAMS[channel].columns, values, strict=True)),
    )
