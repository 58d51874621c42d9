"""Looking at the warehouse without ever changing or holding it up.

Belongs here: read-only transactions with a limit on their time, and a server's refusal as the reason why nothing was
seen. Does not belong here: what is looked at (observe_*.py).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    import psycopg

# One slow query must not use up the minute that Dagster gives a whole tick.
QUERY_SECONDS = 3
WAREHOUSE, RIGHTS, SCHEMA = "warehouse", "rights", "schema"
# Sees every row of the agent's tables; the owner of a table under forced row-level security sees none.
_AGENT_ROLE = "service_role"

# Tables, columns, functions and roles that a migration would bring.
_MISSING = ("42P01", "42703", "42883", "42704")

Row = tuple[Any, ...]


class Unseen(Exception):
    """Why something could not be looked at, in one line that holds no value of any row.

    All that one `cause` keeps from being seen is told once.
    """

    def __init__(self, reason: str, cause: str = "") -> None:
        super().__init__(reason)
        self.reason, self.cause = reason, cause


@contextmanager
def reading(conn: "psycopg.Connection[Any]") -> "Iterator[psycopg.Connection[Any]]":
    """A read-only transaction in which no statement may take longer than QUERY_SECONDS. Raises Unseen.

    `conn` is in autocommit. What a statement raised is left behind: the next transaction begins anew.
    """
    import psycopg

    try:
        with conn.transaction():
            conn.execute("set transaction read only")
            # Waiting for a lock counts too.
            conn.execute("select set_config('statement_timeout', %s, true)", (f"{QUERY_SECONDS}s",))
            yield conn
    except psycopg.Error as error:
        raise _unseen(error) from error


def all_rows(conn: "psycopg.Connection[Any]", statement: LiteralString, values: Mapping[str, Any]) -> list[Row]:
    """Every row of a statement in a transaction of its own. Raises Unseen."""
    with reading(conn):
        return conn.execute(statement, values).fetchall()


def see_all_rows(conn: "psycopg.Connection[Any]", tables: Iterable[str]) -> None:
    """Within `reading`: make sure that row-level security hides nothing of these tables, as another role if need be.

    A table whose rows are hidden looks like an empty one, and an empty queue is a good one. Raises Unseen for a table
    that is missing or hidden.
    """
    for table in tables:
        (is_there,) = conn.execute("select to_regclass(%s) is not null", (table,)).fetchone() or (False,)
        if not is_there:
            raise Unseen(f"there is no table {table}: run `hotdash schema migrate`", SCHEMA)
    if not any(_hides(conn, table) for table in tables):
        return
    (may,) = conn.execute(
        "select coalesce((select pg_has_role(oid, 'member') from pg_roles where rolname = %s), false)", (_AGENT_ROLE,)
    ).fetchone() or (False,)
    hidden = [table for table in tables if not may or not table.startswith("agent.")]
    if hidden:
        raise Unseen(
            f"row-level security hides rows of {hidden[0]}: let an administrator grant {_AGENT_ROLE} to this user",
            RIGHTS,
        )
    conn.execute("select set_config('role', %s, true)", (_AGENT_ROLE,))


def _hides(conn: "psycopg.Connection[Any]", table: str) -> bool:
    (active,) = conn.execute("select row_security_active(%s::regclass)", (table,)).fetchone() or (True,)
    return active


def _unseen(error: "psycopg.Error") -> Unseen:
    import psycopg

    state = error.sqlstate or ""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Unseen(f"the warehouse did not answer within {QUERY_SECONDS} seconds", WAREHOUSE)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Unseen("this user may not read it: see docs/access.md", RIGHTS)
    if isinstance(error, psycopg.ProgrammingError) and not state:
        return Unseen("its query cannot be used: placeholders are %(now)s and %(project)s, a sign of percent is %%")
    if state.startswith("42") and state not in _MISSING:
        return Unseen(f"its query cannot be used ({state})")
    if state.startswith(("42", "3F")):
        return Unseen(f"what it reads is not there ({state}): run `hotdash schema migrate`", SCHEMA)
    if not state or state.startswith(("08", "57", "53")):
        return Unseen("the warehouse went away", WAREHOUSE)
    # The server's own text may quote a value.
    return Unseen(f"the server refused the query ({state})", "")
