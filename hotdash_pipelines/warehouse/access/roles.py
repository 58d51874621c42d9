"""Acting as one of the declared roles.

Belongs here: changing the role of a transaction. Does not belong here: which roles there are (declared.py).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def become(conn: "psycopg.Connection[Any]", role: str) -> None:
    """Act as another role until the transaction ends."""
    from psycopg import sql

    conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
