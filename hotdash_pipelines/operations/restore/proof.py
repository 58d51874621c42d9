"""Proofs that a restored database is what was backed up and guards its rows as declared.

Belongs here: rows, row security, policies, grants, triggers, sequences, one read per role. Does not belong here: making
the database (load.py), what is declared (warehouse.access).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.warehouse.access.declared import BACKUP, ROLES, TABLES, VIEWS, AccessTable, policies
from hotdash_pipelines.warehouse.migrations.files import VERSIONS, migrations

if TYPE_CHECKING:
    import psycopg

_ADVICE = "take another backup (`hotdash backup list`)"
_TRIGGER = re.compile(
    r"(?P<verb>create|drop)\s+trigger\s+(?:if\s+exists\s+)?(?P<name>\w+)\b[^;]*?\bon\s+(?P<table>\w+\.\w+)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*")
# Sequences that a column takes its values from, whether by default or by identity.
_SEQUENCES = """
select d.refobjid::regclass::text, quote_ident(a.attname), s.seqrelid::regclass::text, s.seqincrement
from pg_sequence s
join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.seqrelid
    and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
order by 1
"""


def is_bound(conn: "psycopg.Connection[Any]") -> bool:
    """Whether row-level security applies to the current user."""
    query = "select not (rolsuper or rolbypassrls) from pg_roles where rolname = current_user"
    return conn.execute(query).fetchone() == (True,)


@contextmanager
def every_row(conn: "psycopg.Connection[Any]") -> "Iterator[None]":
    """A transaction that reads past all policies, for the owner of the tables too; it is undone."""
    from psycopg import sql

    with conn.transaction(force_rollback=True):
        if is_bound(conn):
            forced = conn.execute(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where c.relforcerowsecurity and pg_has_role(c.relowner, 'usage')"
            ).fetchall()
            for names in forced:
                # Binds the owner only under FORCE, which the owner may lift.
                conn.execute(sql.SQL("alter table {} no force row level security").format(sql.Identifier(*names)))
        conn.execute("set local row_security = off")
        yield


def prove(conn: "psycopg.Connection[Any]") -> list[str]:
    """Prove guards, sequences and reads of a database that has the schema of this version.

    Returns the roles that the user may not try. Raises RestoreError with the first thing that is wrong. The connection
    is in autocommit; nothing is changed.
    """
    with conn.transaction(force_rollback=True):
        conn.execute("set local search_path = pg_catalog")
        for problem in chain(_guards(conn), _grants(conn), _triggers(conn)):
            raise RestoreError(f"{problem} after the restore: {_ADVICE}, or mend it there")
    with every_row(conn):
        conn.execute("set local search_path = pg_catalog")
        for problem in _sequences(conn):
            raise RestoreError(f"{problem} after the restore: {_ADVICE}")
        has_rows = {table.name: _any(conn, table.name) for table in TABLES}
    return [role for role in ROLES if not _reads(conn, role, has_rows)]


def _guards(conn: "psycopg.Connection[Any]") -> Iterator[str]:
    forced = {
        name
        for (name,) in conn.execute(
            "select oid::regclass::text from pg_class where relrowsecurity and relforcerowsecurity"
        )
    }
    for table in TABLES:
        if table.name not in forced:
            yield f"{table.name} does not force row-level security"
    real = {
        (table, policy): (permissive == "PERMISSIVE", command.lower(), sorted(roles), using, check)
        for table, policy, permissive, command, roles, using, check in conn.execute(
            "select schemaname || '.' || tablename, policyname, permissive, cmd, roles::text[], qual, with_check "
            "from pg_policies where schemaname = 'agent'"
        )
    }
    wanted = set(policies())
    for table, policy in sorted(wanted ^ real.keys()):
        yield f"policy {policy} on {table} is {'missing' if (table, policy) in wanted else 'not declared'}"
    for table in TABLES:
        for rule in table.rules:
            permissive, command, roles, using, check = real[table.name, rule.name]
            meant = _condition(table, rule.name)
            conditions = {one for one in (using, check) if one is not None}
            if not permissive or command != rule.verb or roles != sorted(rule.roles) or conditions != {meant}:
                yield f"policy {rule.name} on {table.name} is not as declared"
        for verb in table.refused:
            permissive, command, roles, using, _ = real[table.name, f"no_{verb}"]
            if permissive or command != verb or roles != sorted(table.refused_to(verb)) or using != "false":
                yield f"policy no_{verb} on {table.name} is not as declared"


def _condition(table: AccessTable, name: str) -> str:
    """A declared policy's condition in the words of the server."""
    (rows,) = (rule.rows for rule in table.rules if rule.name == name)
    if rows.values:
        listed = ", ".join(f"'{value}'::text" for value in rows.values)
        return f"({rows.column} = ANY (ARRAY[{listed}]))"
    if rows.column:
        return f"({rows.column} = ( SELECT app.claim_{rows.column}() AS claim_{rows.column}))"
    return "true"


def _grants(conn: "psycopg.Connection[Any]") -> Iterator[str]:
    for table in TABLES:
        for role in ROLES:
            # Column by column: a right on the table shows on each of its columns.
            rights = conn.execute(
                "select has_table_privilege(%(role)s, %(table)s, 'delete'), "
                "has_table_privilege(%(role)s, %(table)s, 'truncate'), "
                "has_table_privilege(%(role)s, %(table)s, 'select'), "
                "has_table_privilege(%(role)s, %(table)s, 'insert'), "
                "has_any_column_privilege(%(role)s, %(table)s, 'update')",
                {"role": role, "table": table.name},
            ).fetchone()
            verbs = ("delete", "truncate", "select", "insert", "update")
            real = {verb for verb, has in zip(verbs, rights or (), strict=True) if has}
            wanted = {"select"} if role == BACKUP else {str(verb) for verb in table.granted_to(role)}
            if real != wanted:
                yield f"{role} may {', '.join(sorted(real)) or 'do nothing'} on {table.name}"
    for view in VIEWS:
        for role in ROLES:
            row = conn.execute("select has_table_privilege(%s, %s, 'select')", (role, view.name)).fetchone()
            if row != (role in view.readers,):
                yield f"{role} {'may' if row == (True,) else 'may not'} read {view.name}"


def declared_triggers() -> set[tuple[str, str]]:
    """(table, trigger) of every trigger that the migrations leave behind."""
    triggers: set[tuple[str, str]] = set()
    for migration in migrations():
        text = _COMMENT.sub("", (VERSIONS / f"{migration.name}.sql").read_text())
        for match in _TRIGGER.finditer(text):
            change = triggers.add if match["verb"].lower() == "create" else triggers.discard
            change((match["table"], match["name"]))
    return triggers


def _triggers(conn: "psycopg.Connection[Any]") -> Iterator[str]:
    real = {
        (table, name): enabled
        for table, name, enabled in conn.execute(
            "select tgrelid::regclass::text, tgname, tgenabled::text from pg_trigger where not tgisinternal"
        )
    }
    for table, name in sorted(declared_triggers()):
        if real.get((table, name)) not in ("O", "A"):
            yield f"trigger {name} of {table} is {'switched off' if (table, name) in real else 'missing'}"
    for table in TABLES:
        if table.append_only and not _refuses_truncate(conn, table.name):
            yield f"{table.name} can be emptied"


def _refuses_truncate(conn: "psycopg.Connection[Any]", table: str) -> bool:
    import psycopg

    try:
        with conn.transaction(force_rollback=True):
            conn.execute(f"truncate {table}".encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def _sequences(conn: "psycopg.Connection[Any]") -> Iterator[str]:
    for table, column, sequence, step in conn.execute(_SEQUENCES).fetchall():
        end = "max" if step > 0 else "min"
        query = f"select (select {end}({column}) from {table}), last_value, is_called from {sequence}"  # noqa: S608
        row = conn.execute(query.encode()).fetchone()
        last, value, is_called = row or (None, 0, False)
        following = value + step if is_called else value
        if last is not None and (following - last) * step <= 0:
            yield f"the next {column} of {table} would be {following}, which is taken"


def _any(conn: "psycopg.Connection[Any]", table: str) -> bool:
    row = conn.execute(f"select exists (select from {table})".encode()).fetchone()  # noqa: S608 - a declared name
    return row == (True,)


def _reads(conn: "psycopg.Connection[Any]", role: str, has_rows: Mapping[str, bool]) -> bool:
    """Read each table as a role without claims; False when the user may not become it. Raises RestoreError."""
    import psycopg
    from psycopg import sql

    with conn.transaction(force_rollback=True):
        try:
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        except psycopg.errors.InsufficientPrivilege:
            return False
        for table in TABLES:
            rows = [rule.rows for rule in table.rules if role in rule.roles and "select" in rule.granted]
            try:
                with conn.transaction(force_rollback=True):
                    sees: bool | None = _any(conn, table.name)
            except psycopg.errors.InsufficientPrivilege:
                sees = None
            if (sees is not None) != (bool(rows) or role == BACKUP):
                raise RestoreError(f"{role} {'may not' if sees is None else 'may'} read {table.name}: {_ADVICE}")
            all_of_them = role == BACKUP or any(one.column is None for one in rows)
            # Without a claim nobody's own rows are nobody's; rows by level need rows of that level.
            undecided = not all_of_them and any(one.values for one in rows)
            if sees is not None and not undecided and sees != (all_of_them and has_rows[table.name]):
                raise RestoreError(f"{role} sees {'rows' if sees else 'no row'} of {table.name}: {_ADVICE}")
    return True
