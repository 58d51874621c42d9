"""What stands where a restore goes, read before and kept still while the restore runs.

Belongs here: the present database's tables, facts and settings. Does not belong here: changing anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.operations.backup.catalog import database_facts, schemas, tables_of
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

# Rows of the present database that a restore takes into account although it replaces their tables.
RECORDS = ("erasures", "backup_runs")


@dataclass(frozen=True)
class Present:
    """The database that is there now; `owner` is whom our tables belong to, None without any."""

    tables: Sequence[CatalogTable]
    schemas: Sequence[str]
    facts: Mapping[str, Any]
    settings: Sequence[tuple[str | None, Sequence[str]]]
    owner: str | None

    def others(self, schemas: Sequence[str]) -> list[str]:
        """The schemas that hold anything of their own, without those given."""
        return [name for name in self.schemas if name not in schemas and name != "public"]

    def to_hold(self, without: Sequence[str]) -> list[tuple[str, str]]:
        """The tables that nobody may write while they are copied: all but those in `without`, and the records."""
        return [
            (table.schema, table.name)
            for table in self.tables
            if table.schema not in without or (table.schema == "ops" and table.name in RECORDS)
        ]


def look(admin: "psycopg.Connection[Any]", url: str, database: str) -> Present | None:
    """What is in the database of the URL; None when the server has no database of that name."""
    if admin.execute("select 1 from pg_database where datname = %s", (database,)).fetchone() is None:
        return None
    with connect(url) as conn:
        owner = conn.execute(
            "select pg_get_userbyid(relowner) from pg_class where oid = to_regclass('ops.schema_migrations')"
        ).fetchone()
        settings = conn.execute(
            "select case when s.setrole <> 0 then pg_get_userbyid(s.setrole) end, s.setconfig "
            "from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase "
            "where d.datname = current_database()"
        ).fetchall()
        return Present(
            tables_of(conn, "full"), schemas(conn), database_facts(conn), settings, owner[0] if owner else None
        )


def has(conn: "psycopg.Connection[Any]", table: str) -> bool:
    """Whether the database has a table of that name (`schema.table`)."""
    return conn.execute("select to_regclass(%s)", (table,)).fetchone() != (None,)
