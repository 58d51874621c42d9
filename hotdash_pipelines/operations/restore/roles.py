"""What a dump does not hold: roles of the server, settings and rights of the database, schemas that others fill.

Belongs here: making them for a restored database. Does not belong here: reading them for a backup
(operations/backup/catalog.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.warehouse.access.declared import SERVICE
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations
from hotdash_pipelines.warehouse.postgres import database_errors

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composable, Composed

# Of the attributes in a manifest, those that a restore gives: it never makes a superuser.
_ATTRIBUTES = ("login", "inherit", "bypassrls", "createdb")
_SCHEMA = re.compile(r"^create schema (\w+);", re.MULTILINE)
# Migration 0013 drops them where they hold nothing.
_UNUSED = {"marts_analytics", "quarantine", "audit", "snapshots"}


def missing(conn: "psycopg.Connection[Any]", wanted: Iterable[str]) -> list[str]:
    """Those of the roles that the server lacks."""
    there = {name for (name,) in conn.execute("select rolname from pg_roles")}
    return sorted(set(wanted) - there)


def make(conn: "psycopg.Connection[Any]", wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Make the roles of a manifest that the server lacks, without passwords, with their memberships.

    Returns their names. A role that is there stays as it is. Raises RestoreError with the statement that an
    administrator has to run.
    """
    from psycopg import sql

    made = missing(conn, wanted)
    for name in made:
        attributes = wanted[name]["attributes"]
        # Words for what is so anyway would need a right that making a plain role does not.
        words = [word for word in _ATTRIBUTES if attributes.get(word)]
        words += [] if attributes.get("inherit") else ["noinherit"]
        given = sql.SQL(" ").join(map(sql.SQL, words))  # pyright: ignore[reportArgumentType] - words of our own
        _run(conn, sql.SQL("create role {} {}").format(sql.Identifier(name), given))
    for name, role in wanted.items():
        for membership in role["member_of"]:
            group = membership["role"]
            if {name, group} & set(made):
                options = sql.SQL(_options(conn, membership))  # pyright: ignore[reportArgumentType]
                grant = sql.SQL("grant {} to {}{}")
                _run(conn, grant.format(sql.Identifier(group), sql.Identifier(name), options))
    return made


def _options(conn: "psycopg.Connection[Any]", membership: Mapping[str, Any]) -> str:
    if conn.info.server_version < 160000:
        return " with admin option" if membership["admin"] else ""
    given = {name: "true" if membership[name] else "false" for name in ("admin", "inherit", "set")}
    return " with " + ", ".join(f"{name} {value}" for name, value in given.items())


def join_service(conn: "psycopg.Connection[Any]") -> None:
    """Make the user a member of service_role, under whose policies the pipeline reads. Raises RestoreError."""
    from psycopg import sql

    if conn.execute("select pg_has_role(current_user, %s, 'usage')", (SERVICE,)).fetchone() != (True,):
        _run(conn, sql.SQL("grant {} to {}").format(sql.Identifier(SERVICE), sql.Identifier(conn.info.user)))


def check_owner(conn: "psycopg.Connection[Any]", owner: str) -> None:
    """Raise RestoreError unless the user may make objects that belong to `owner`."""
    kind = "set" if conn.info.server_version >= 160000 else "member"
    row = conn.execute("select pg_has_role(current_user, %s, %s)", (owner, kind)).fetchone()
    if row != (True,):
        raise RestoreError(
            f"the tables belong to {owner}, which {conn.info.user} may not become: restore as {owner}, "
            f"or let an administrator run `grant {owner} to {conn.info.user}`"
        )


def _run(conn: "psycopg.Connection[Any]", statement: "Composed") -> None:
    import psycopg

    said = f"{conn.info.user} may not run `{statement.as_string(conn)}`: let an administrator run it, then run again"
    # Another database of this server may make the same in the same moment.
    with database_errors(RestoreError, forbidden=said), suppress(psycopg.errors.DuplicateObject):
        conn.execute(statement)


def make_schemas(conn: "psycopg.Connection[Any]", role: str | None) -> None:
    """Make the schemas of the migrations that a dump of some schemas lacks: models and loads fill them again."""
    from psycopg import sql

    with conn.transaction():
        if role:
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        for migration in migrations():
            for name in set(_SCHEMA.findall((VERSIONS / f"{migration.name}.sql").read_text())) - _UNUSED:
                conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(name)))


def apply_facts(
    conn: "psycopg.Connection[Any]", facts: Mapping[str, Any], settings: Sequence[tuple[str | None, Sequence[str]]]
) -> None:
    """Give the database of the connection the rights, limit and settings (role or None, name=value) of another.

    The last thing that a session there does: what comes after it runs under them. Raises RestoreError.
    """
    from psycopg import sql

    database = sql.Identifier(conn.info.dbname)
    said = "a setting of the database cannot be given to the new one ({reason})"
    with database_errors(RestoreError, said), conn.transaction():
        limit = sql.Literal(facts["connection_limit"])
        conn.execute(sql.SQL("alter database {} connection limit {}").format(database, limit))
        for role, pairs in settings:
            whose = sql.SQL("database {}").format(database)
            if role is not None:
                whose = sql.SQL("role {} in database {}").format(sql.Identifier(role), database)
            for pair in pairs:
                name, _, value = pair.partition("=")
                conn.execute("select set_config(%s, %s, true)", (name, value))
                setting = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
                conn.execute(sql.SQL("alter {} set {} from current").format(whose, setting))
        if facts["rights"] is not None:
            _give_rights(conn, database, facts)


def _give_rights(conn: "psycopg.Connection[Any]", database: "Composable", facts: Mapping[str, Any]) -> None:
    from psycopg import sql

    conn.execute(sql.SQL("revoke all on database {} from public").format(database))
    for right in facts["rights"]:
        if right["grantee"] == facts["owner"]:
            continue
        whom = sql.SQL("public") if right["grantee"] == "public" else sql.Identifier(right["grantee"])
        conn.execute(
            sql.SQL("grant {} on database {} to {}{}").format(
                sql.SQL(right["privilege"]), database, whom,
                sql.SQL(" with grant option" if right["grantable"] else ""),
            )
        )  # fmt: skip
