"""What a database holds, as far as a backup must know: tables and their figures, roles, facts of the database itself.

Belongs here: reading the catalog and the tables, in the caller's transaction. Does not belong here: dumping
(run.py), files (files.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.files import BackupFigures
from hotdash_pipelines.operations.backup.kinds import KINDS, Scope
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.warehouse.access.declared import BACKUP, ROLES

if TYPE_CHECKING:
    import psycopg

# Rows are hashed by their text, which these settings shape.
_TEXT_FORM = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "30s",
}
_SYSTEM = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_SCHEMAS = f"select n.nspname from pg_namespace n where {_SYSTEM} order by 1"  # noqa: S608 - fixed text
# Tables of extensions belong to the extension.
_TABLES = f"""
select n.nspname, c.relname, c.relkind = 'p', (
    select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
    and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
), (select array_agg(p.relid::oid) from pg_partition_tree(c.oid) p), c.oid
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and {_SYSTEM}
and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
)
order by 1, 2
"""  # noqa: S608 - fixed text
_NAMED_ROLES = """
with scope as (
    select oid from pg_namespace where nspname = any(%(schemas)s)
), rights (owner, acl) as (
    select nspowner, nspacl from pg_namespace where oid in (select oid from scope)
    union all select relowner, relacl from pg_class where relnamespace in (select oid from scope)
    union all
    select c.relowner, a.attacl from pg_attribute a join pg_class c on c.oid = a.attrelid
    where a.attacl is not null and c.relnamespace in (select oid from scope)
    union all select proowner, proacl from pg_proc where pronamespace in (select oid from scope)
    union all select typowner, typacl from pg_type where typnamespace in (select oid from scope)
    union all select defaclrole, defaclacl from pg_default_acl
    union all select datdba, datacl from pg_database where datname = current_database()
), named as (
    select owner as role from rights
    union select unnest(array[g.grantor, g.grantee]) from rights, aclexplode(acl) g
    union
    select unnest(p.polroles) from pg_policy p join pg_class c on c.oid = p.polrelid
    where c.relnamespace in (select oid from scope)
)
select r.oid, r.rolname, jsonb_build_object(
    'superuser', r.rolsuper, 'inherit', r.rolinherit, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb,
    'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypassrls', r.rolbypassrls,
    'connection_limit', r.rolconnlimit
)
from pg_roles r
where r.rolname !~ '^pg_' and (r.oid in (select role from named) or r.rolname = any(%(declared)s))
order by r.rolname
"""
_MEMBERSHIPS = """
select m.rolname, g.rolname, to_jsonb(a)
from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid
where m.rolname = any(%(names)s) and (g.rolname = any(%(names)s) or g.rolname ~ '^pg_')
order by 1, 2
"""
# Before Postgres 17 the locale had another name; only 16 and newer know rules.
_DATABASE = """
select jsonb_build_object(
    'name', d.datname,
    'owner', pg_get_userbyid(d.datdba),
    'encoding', pg_encoding_to_char(d.encoding),
    'locale_provider', case d.datlocprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
    'collate', d.datcollate,
    'ctype', d.datctype,
    'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
    'icu_rules', to_jsonb(d) ->> 'daticurules',
    'connection_limit', d.datconnlimit,
    'comment', shobj_description(d.oid, 'pg_database'),
    'rights', case when d.datacl is not null then (
        select coalesce(jsonb_agg(jsonb_build_object(
            'grantee', case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee) end,
            'privilege', g.privilege_type, 'grantable', g.is_grantable
        ) order by g.grantee, g.privilege_type), '[]')
        from aclexplode(d.datacl) g
    ) end
)
from pg_database d where d.datname = current_database()
"""
_SETTINGS = """
select case when s.setrole <> 0 then pg_get_userbyid(s.setrole) end, s.setconfig
from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase and d.datname = current_database()
order by 1 nulls first
"""
# Hashing the values costs a third of writing each row as text first. The hash of a record adds its columns' up: hashed
# once more, a value that changes places with another row's does not cancel out in the sum.
_ROW_HASHES: dict[str, LiteralString] = {
    "record": "hashint8extended(hash_record_extended((r.*), 0), 0)",
    "text": "hashtextextended((r.*)::text, 0)",
}


def pin(conn: "psycopg.Connection[Any]") -> None:
    """Give the transaction the settings under which rows have their one text form and nothing hides any of them."""
    for name, value in _TEXT_FORM.items():
        conn.execute("select set_config(%s, %s, true)", (name, value))


def tables_of(conn: "psycopg.Connection[Any]", scope: Scope, patterns: Sequence[str] = ()) -> list[CatalogTable]:
    """The tables of a scope, partitioned parents included.

    A pattern of scope "tables" is a name with `*` and `?`; without a dot it is held against the operational schemas.
    The partitions of a table come with it. Raises BackupError for a pattern that meets nothing.
    """
    every = [CatalogTable(*row) for row in conn.execute(_TABLES).fetchall()]
    return KINDS[scope].tables(every, patterns)


def schemas(conn: "psycopg.Connection[Any]") -> list[str]:
    """Every schema that is not the server's own."""
    return [name for (name,) in conn.execute(_SCHEMAS).fetchall()]


def figures(
    conn: "psycopg.Connection[Any]",
    tables: Iterable[CatalogTable],
    on_table: Callable[[str, int], None] | None = None,
) -> dict[str, BackupFigures]:
    """Rows, hash and ends of every table that holds rows itself, by name, as the transaction sees them.

    Call `pin` first. Two tables with the same rows in any order have the same hash: the sum of a hash of each row,
    `record:` or, where a column's type has no hash of its own (json, xml, point), `text:`. Raises psycopg.Error.
    """
    by_table = {}
    for table in tables:
        if not table.is_parent:
            by_table[table.label] = _figures(conn, table)
            if on_table:
                on_table(table.label, by_table[table.label].rows)
    return by_table


def _figures(conn: "psycopg.Connection[Any]", table: CatalogTable) -> BackupFigures:
    import psycopg
    from psycopg import sql

    key = sql.Identifier(table.key) if table.key else None
    ends = sql.SQL("min(r.{0}), max(r.{0})").format(key) if key else sql.SQL("null, null")
    for kind, of_a_row in _ROW_HASHES.items():
        statement = sql.SQL("select count(*), coalesce(sum({}), 0)::text, {} from only {} r").format(
            sql.SQL(of_a_row), ends, sql.Identifier(table.schema, table.name)
        )
        try:
            with conn.transaction():
                rows, digest, low, high = conn.execute(statement).fetchone() or (0, "0", None, None)
        except psycopg.errors.UndefinedFunction:
            continue
        return BackupFigures(rows, f"{kind}:{digest}", low, high)
    raise AssertionError  # every row can be written as text


def reading_role(conn: "psycopg.Connection[Any]", tables: Sequence[CatalogTable]) -> str | None:
    """The role to read as: None is the user itself, whom no policy binds, or else hotdash_backup.

    Raises BackupError when policies would hide rows from the user and it is no member of hotdash_backup.
    """
    bound = "select array_agg(oid) from pg_class where oid = any(%s) and row_security_active(oid)"
    (hidden,) = conn.execute(bound, ([table.oid for table in tables],)).fetchone() or (None,)
    if not hidden:
        return None
    member = "select exists (select from pg_roles where rolname = %s and pg_has_role(current_user, oid, 'member'))"
    if conn.execute(member, (BACKUP,)).fetchone() == (True,):
        return BACKUP
    raise BackupError(
        f"row-level security hides rows from {conn.info.user}: "
        f"let an administrator run `grant {BACKUP} to {conn.info.user}`"
    )


def roles_of(conn: "psycopg.Connection[Any]", in_schemas: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The roles that own, may use or guard anything in the schemas, those this project declares, and who is in whom.

    Passwords are not read.
    """
    named = conn.execute(_NAMED_ROLES, {"schemas": list(in_schemas), "declared": list(ROLES)}).fetchall()
    roles: dict[str, dict[str, Any]] = {
        name: {"attributes": attributes, "member_of": []} for _, name, attributes in named
    }
    for member, group, row in conn.execute(_MEMBERSHIPS, {"names": list(roles)}).fetchall():
        # Before Postgres 16 a membership had no options but this one.
        inherit = row.get("inherit_option", roles[member]["attributes"]["inherit"])
        roles[member]["member_of"].append(
            {"role": group, "admin": row["admin_option"], "inherit": inherit, "set": row.get("set_option", True)}
        )
    return roles


def database_facts(conn: "psycopg.Connection[Any]") -> dict[str, Any]:
    """What a dump does not say of its database: encoding, locale, owner, rights, comment, settings.

    Settings of extensions and applications are left out: people keep secrets in them.
    """
    (facts,) = conn.execute(_DATABASE).fetchone() or ({},)
    settings = []
    for role, pairs in conn.execute(_SETTINGS).fetchall():
        plain = [pair for pair in pairs if "." not in pair.partition("=")[0]]
        if plain:
            settings.append({"role": role, "set": plain})
    return {**facts, "settings": settings}


def applied(conn: "psycopg.Connection[Any]") -> dict[str, dict[str, str]]:
    """The migrations that the database has: name -> {"up", "down"} sha256, in order.

    Raises BackupError for a database that was never migrated, or not far enough to keep records of backups.
    """
    if conn.execute("select to_regclass('ops.backup_runs')").fetchone() == (None,):
        raise BackupError("this database lacks the tables of this version: run `hotdash schema migrate`")
    rows = conn.execute("select name, up_sha256, down_sha256 from ops.schema_migrations order by revision").fetchall()
    return {name: {"up": up, "down": down} for name, up, down in rows}


def differences(expected: Mapping[str, BackupFigures], actual: Mapping[str, BackupFigures]) -> list[str]:
    """What two sets of figures disagree about, one line a table."""
    lines = []
    for name in sorted({*expected, *actual}):
        wanted, other = expected.get(name), actual.get(name)
        if wanted is None or other is None:
            lines.append(f"{name} is {'not expected' if wanted is None else 'missing'}")
        elif wanted.rows != other.rows:
            lines.append(f"{name} has {other.rows:,} rows instead of {wanted.rows:,}")
        elif wanted != other:
            lines.append(f"{name} has other rows")
    return lines
