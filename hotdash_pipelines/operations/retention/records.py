"""What is written down about a run of retention: ops.retention_runs and the agent's log.

Belongs here: these rows, and the server's refusals in one line. Does not belong here: the protocol (run.py).
"""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.operations.retention.archive import Archive
from hotdash_pipelines.operations.retention.rules import CutOffs, RetentionError, RetentionRule, retention_errors
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse.access.roles import become
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect

if TYPE_CHECKING:
    import psycopg
    from adbc_driver_postgresql.dbapi import Cursor

_KEY = ("table_name", "cutoff", "part")
_TOLD = (
    "long_cutoff", "state", "candidate_rows", "archived_rows", "deleted_rows", "archive_uri", "archive_sha256",
    "backup_id", "started_at", "finished_at", "error",
)  # fmt: skip
# A part that failed gives its number to the try that succeeds; one that succeeded is never written over.
_NOTE = f"""
insert into ops.retention_runs ({", ".join((*_KEY, *_TOLD))})
select {", ".join((*_KEY, *_TOLD)).replace("finished_at", "coalesce(finished_at, clock_timestamp())")}
from jsonb_populate_record(null::ops.retention_runs, {{placeholder}}::jsonb)
on conflict ({", ".join(_KEY)}) do update set {", ".join(f"{name} = excluded.{name}" for name in _TOLD)}
where retention_runs.state <> 'deleted'
returning run_id::text
"""  # noqa: S608 - fixed names
_LOG = "insert into agent.observability_logs (level, message, metadata) values (%s, %s, %s::jsonb)"


def next_parts(cursor: "Cursor", table: str, at: CutOffs) -> Iterator[int]:
    """Numbers for parts of this cut-off: those that failed, then those after all. Read as the connection's own user."""
    cursor.execute(
        "select part, state = 'deleted' from ops.retention_runs"
        " where table_name = $1 and cutoff = $2::timestamptz order by part",
        (table, at.normal.isoformat()),
    )
    parts = cursor.fetchall()
    failed = [number for number, is_done in parts if not is_done]
    return itertools.chain(failed, itertools.count(parts[-1][0] + 1 if parts else 1))


def note_part(
    cursor: "Cursor", kept: Archive, part: int, store: Store, at: CutOffs, started_at: datetime, backup_id: str | None
) -> None:
    """Record a part in the transaction that deletes its rows. Raises RetentionError when it stands recorded already."""
    row = {
        **_common(kept.table, at, part, backup_id, started_at),
        "state": "deleted",
        "candidate_rows": kept.rows,
        "archived_rows": kept.rows,
        "deleted_rows": kept.rows,
        "archive_uri": store.uri(kept.path),
        "archive_sha256": kept.sha256,
    }
    cursor.execute(_NOTE.format(placeholder="$1"), (json.dumps(row),))
    if not cursor.fetchall():
        raise RetentionError(f"part {part} of {kept.table} is recorded already: run it again")


def note_failure(
    url: str, rule: RetentionRule, at: CutOffs, part: int, backup_id: str | None, now: datetime, reason: str
) -> None:
    """Record that a part failed, and log it. The failure itself counts more: what cannot be written is left."""
    import psycopg

    row = {**_common(rule.table, at, part, backup_id, now), "state": "failed", "candidate_rows": 0, "error": reason}
    with contextlib.suppress(WarehouseError, psycopg.Error), connect(url, autocommit=True) as conn:
        with contextlib.suppress(psycopg.Error):
            conn.execute(_NOTE.format(placeholder="%s").encode(), (json.dumps(row),))
        _log(conn, "ERROR", f"retention of {rule.table} failed: {reason}", _figures(rule, at))


def note_success(url: str, rule: RetentionRule, at: CutOffs, rows: Mapping[str, int]) -> None:
    """Log what a run archived and deleted. Raises RetentionError."""
    figures = ", ".join(f"{count:,} of {table}" for table, count in rows.items())
    with connect(url, autocommit=True) as conn, retention_errors(conn.info.user):
        _log(conn, "INFO", f"retention archived and deleted {figures}", {**_figures(rule, at), "rows": dict(rows)})


def _common(table: str, at: CutOffs, part: int, backup_id: str | None, started_at: datetime) -> dict[str, Any]:
    return {
        "table_name": table,
        "cutoff": at.normal.isoformat(),
        "long_cutoff": at.long.isoformat() if at.long else None,
        "part": part,
        "backup_id": backup_id,
        "started_at": started_at.isoformat(),
    }


def _figures(rule: RetentionRule, at: CutOffs) -> dict[str, Any]:
    return {"table": rule.table, "cutoff": at.normal.isoformat()}


def _log(conn: "psycopg.Connection[Any]", level: str, message: str, figures: Mapping[str, Any]) -> None:
    with conn.transaction():
        become(conn, "service_role")
        conn.execute(_LOG, (level, message, json.dumps(figures)))
