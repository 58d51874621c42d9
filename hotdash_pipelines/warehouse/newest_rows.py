"""How many rows tables hold and when the newest of each was written, in one query.

Belongs here: that query. Does not belong here: which tables, and what a newest row means (defs/agent).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

# Counting a million rows takes 50 ms and more; above this the planner's estimate is told instead.
_COUNTED_UP_TO = 200_000


@dataclass(frozen=True)
class NewestRow:
    """`at` is None for an empty table; `is_estimate` tells that `rows` is the planner's."""

    at: datetime | None
    rows: int
    is_estimate: bool


def newest_rows(conn: psycopg.Connection[Any], schema: str, columns: Mapping[str, str]) -> dict[str, NewestRow]:
    """The newest row of each table of `columns` (table -> its indexed timestamptz column), by table.

    Raises psycopg.errors.UndefinedTable when a table does not exist.
    """
    query = sql.SQL(
        """
        select
            {label} as name,
            (select max({column}) from {table}) as newest_at,
            case
                when reltuples <= {limit} then (select count(*) from {table})
                else reltuples::bigint
            end as row_count,
            reltuples > {limit} as is_estimate
        from pg_class where oid = {oid}::regclass
        """
    )
    parts = []
    for name, column in columns.items():
        table = sql.Identifier(schema, name)
        parts.append(
            query.format(
                label=sql.Literal(name),
                column=sql.Identifier(column),
                table=table,
                limit=sql.Literal(_COUNTED_UP_TO),
                oid=sql.Literal(table.as_string(conn)),
            )
        )
    rows = conn.execute(sql.SQL(" union all ").join(parts)).fetchall()
    return {name: NewestRow(at, count, is_estimate) for name, at, count, is_estimate in rows}
