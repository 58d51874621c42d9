"""Removing what the seed and the demo wrote into the support agent's tables, and nothing else.

Belongs here: counting and removing marked rows. Does not belong here: the mark (agent_rows), asking the user (cli).

Facts, decision events and logs are an audit trail that nobody may change: their rows stay. The history of removed
queries goes too, else it would still show them; only the role of retention may do that.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.agent.rows import AUDIT, CHANGEABLE, count_marked, is_marked, one_writer
from hotdash_pipelines.warehouse.access.roles import become

if TYPE_CHECKING:
    import psycopg

HISTORY = "agent_queries_history"


@dataclass(frozen=True)
class Marked:
    """Rows by table: `removable` go (the history of queries among them), `kept` are audit rows that stay."""

    removable: dict[str, int]
    kept: dict[str, int]

    @property
    def total(self) -> int:
        """How many rows go."""
        return sum(self.removable.values())


def count(conn: "psycopg.Connection[Any]") -> Marked:
    """What a clean-up would remove and what it would leave. Raises AgentDataError."""
    with one_writer(conn):
        removable, kept = count_marked(conn, CHANGEABLE), count_marked(conn, AUDIT)
        become(conn, "hotdash_retention")
        removable |= count_marked(conn, (HISTORY,))
    return Marked(removable, kept)


def remove(conn: "psycopg.Connection[Any]") -> Marked:
    """Remove marked rows in one transaction; returns what went and what stays. Raises AgentDataError."""
    from psycopg import sql

    with one_writer(conn):
        kept = count_marked(conn, AUDIT)
        removed = {}
        for table in (*CHANGEABLE, HISTORY):
            if table == HISTORY:
                become(conn, "hotdash_retention")
            statement = sql.SQL("delete from agent.{} where {}").format(sql.Identifier(table), is_marked(table))
            removed[table] = conn.execute(statement).rowcount
        # Each query that went left one more version behind, the one that says that it went.
        removed[HISTORY] -= removed["agent_queries"]
    return Marked(removed, kept)
