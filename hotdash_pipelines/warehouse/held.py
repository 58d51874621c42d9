"""What the raw tables hold of a source, for readers that look for what is gone from it.

Belongs here: numbers of records that are alive, deletions noticed before. Does not belong here: asking the source
(sources), marking rows (loading).
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.warehouse.loading.ddl import raw_schema
from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

DELETIONS = "deletions"


def alive_records(url: str, project: str, contract: Contract) -> dict[int, datetime]:
    """The number of every record of the stream that is not marked as deleted -> when it was created.

    Empty where nothing was loaded yet. The stream has a key of one number, and `created_at`. Raises WarehouseError.
    """
    from psycopg import sql

    (key,) = contract.table.key
    table = sql.Identifier(raw_schema(contract.source), contract.table.name)
    with connect(url) as conn:
        if not _is_there(conn, f"{raw_schema(contract.source)}.{contract.table.name}"):
            return {}
        wanted = sql.SQL("select {}, created_at from {} where project_key = %s and _deleted_at is null").format(
            sql.Identifier(key), table
        )
        return dict(conn.execute(wanted, (project,)).fetchall())


def noticed_deletions(
    url: str, project: str, source: str, start: datetime, end: datetime
) -> list[tuple[str, int, datetime]]:
    """(entity, its number, when it was noticed) for what was noticed in `[start, end)`. Raises WarehouseError."""
    from psycopg import sql

    with connect(url) as conn:
        if not _is_there(conn, f"{raw_schema(source)}.{DELETIONS}"):
            return []
        wanted = sql.SQL(
            "select entity, entity_id, noticed_at from {} "
            "where project_key = %s and noticed_at >= %s and noticed_at < %s order by noticed_at, entity, entity_id"
        ).format(sql.Identifier(raw_schema(source), DELETIONS))
        return list(conn.execute(wanted, (project, start, end)).fetchall())


def first_window(url: str, project: str, contract: Contract) -> datetime | None:
    """The day from which on the stream's windows are loaded, at midnight UTC; None where none is."""
    with connect(url) as conn:
        row = conn.execute(
            "select min(window_key::date)::timestamp at time zone 'UTC' from ops.lake_loads "
            "where project_key = %s and source = %s and stream = %s",
            (project, contract.source, contract.stream),
        ).fetchone()
    return row[0] if row else None


def _is_there(conn: "psycopg.Connection[Any]", table: str) -> bool:
    row = conn.execute("select to_regclass(%s) is not null", (table,)).fetchone()
    return bool(row and row[0])
