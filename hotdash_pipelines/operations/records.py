"""Rows of the ops tables that operations keep of themselves.

Belongs here: inserting one. Does not belong here: what the rows say (their rooms), the tables (migrations).
"""

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    import psycopg

_dumps = functools.partial(json.dumps, default=str)


def insert_record(
    conn: "psycopg.Connection[Any]", table: LiteralString, row: Mapping[str, Any], conflict: LiteralString = ""
) -> None:
    """Insert a row by the names of its columns; the table itself says their types. What is not named is null.

    `conflict` is the statement's `on conflict` clause.
    """
    from psycopg.types.json import Jsonb

    statement = f"insert into {table} select (jsonb_populate_record(null::{table}, %s)).* {conflict}"
    conn.execute(statement, (Jsonb(row, dumps=_dumps),))
