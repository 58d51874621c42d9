"""The statements that bring one staged window into the raw tables.

Belongs here: SQL text, built from a contract. Does not belong here: connections, transactions (load.py), the stage
itself (staging.py).

In every statement $1 is the project; where it says so, $2 is the window and $3 the time of the load. Names come from
contracts, whose model admits nothing but small letters, digits and underscores (hence the S608 below).
"""

from collections.abc import Sequence

from hotdash_pipelines.contracts import Contract, Table
from hotdash_pipelines.warehouse.loading.ddl import data_columns, raw_schema
from hotdash_pipelines.warehouse.loading.staging import stage

LOSERS = "losing_parents"
_OF_STREAM = "d.project_key = $1::text and d.source = $2::text and d.stream = $3::text"


def target(contract: Contract, table: Table) -> str:
    """The raw table, quoted."""
    return f'"{raw_schema(contract.source)}"."{table.name}"'


def is_empty(contract: Contract) -> str:
    """Whether the project has no row of the stream. Takes $1."""
    tables = (f"select from {target(contract, table)} where project_key = $1::text" for table in contract.tables)
    return f"select {' and '.join(f'not exists ({query})' for query in tables)}"


def create_losers(contract: Contract) -> str:
    """A temporary table for the keys of staged main rows that are older than the row already there."""
    main = contract.table
    columns = ", ".join(f'"{c.name}" {c.sql_type}' for c in data_columns(contract, main) if c.is_key)
    return f'create temporary table "{LOSERS}" ({columns}) on commit drop'


def find_losers(contract: Contract) -> str:
    """Fill the table of losers, after the main table was merged."""
    main = contract.table
    keys = ", ".join(f's."{name}"' for name in main.key)
    is_older = f's."{contract.version_column}" < t."{contract.version_column}"'
    return (
        f'insert into "{LOSERS}" select {keys} from "{stage(main)}" s join {target(contract, main)} t '  # noqa: S608
        f"on t.project_key = $1::text and {_equal(main.key, 't', 's')} where {is_older}"
    )


def upsert(contract: Contract, table: Table, *, without_losers: bool = False) -> str:
    """Insert new rows, update rows that differ, leave equal ones untouched. Returns one row: inserted, updated.

    An older version of a row of an `updated` stream never replaces a newer one; where several windows hold the same
    version, `_window` is the earliest of them, in whatever order they are loaded. Takes $1, $2, $3.
    """
    columns = [column.name for column in data_columns(contract, table)]
    values = [name for name in columns if name not in table.key]
    listed = ", ".join(f'"{name}"' for name in columns)
    sets = [f'"{name}" = excluded."{name}"' for name in (*values, "_window")]
    differs = _differs(values)
    loaded_at = "excluded._loaded_at"
    match contract.semantics:
        case "updated" if table is contract.table:
            version = f'"{contract.version_column}"'
            sets.append(f"_deleted_at = case when excluded.{version} > t.{version} then null else t._deleted_at end")
            loaded_at = f"case when {differs} then excluded._loaded_at else t._loaded_at end"
            differs = (
                f"(t.{version} is null or excluded.{version} >= t.{version}) "
                f"and ({differs} or excluded._window < t._window)"
            )
        case _:
            sets.append("_deleted_at = null")
            differs = f"({differs} or t._deleted_at is not null)"
    sets.append(f"_loaded_at = {loaded_at}")
    losers = ""
    if without_losers:
        losers = f' where not exists (select from "{LOSERS}" l where {_equal(contract.table.key, "l", "s")})'
    key = ", ".join(f'"{name}"' for name in ("project_key", *table.key))
    # A row version that this statement inserted has no deleting transaction; one that it updated has its own.
    return (
        f"with merged as (insert into {target(contract, table)} as t (project_key, {listed}, _window, _loaded_at) "  # noqa: S608
        f'select $1::text, {listed}, $2::text, $3::timestamptz from "{stage(table)}" s{losers} '
        f"on conflict ({key}) do update set {', '.join(sets)} where {differs} returning xmax = 0 as is_new) "
        "select count(*) filter (where is_new), count(*) filter (where not is_new) from merged"
    )


def delete_left_children(contract: Contract, table: Table) -> str:
    """Delete a child's rows of the staged parents that won and no longer have them. Returns how many. Takes $1."""
    main = contract.table
    return _counted(
        f'delete from {target(contract, table)} t using "{stage(main)}" p '  # noqa: S608
        f"where t.project_key = $1::text and {_equal(main.key, 't', 'p')} "
        f'and not exists (select from "{LOSERS}" l where {_equal(main.key, "l", "p")}) and {_not_staged(table)}'
    )


def delete_left_of_date(contract: Contract, table: Table) -> str:
    """Delete rows of the restated date that are no longer in it. Returns how many. Takes $1, and the date as $2."""
    return _counted(
        f"delete from {target(contract, table)} t where t.project_key = $1::text "  # noqa: S608
        f'and t."{contract.cursor}" = $2::text::date and {_not_staged(table)}'
    )


def mark_missing(contract: Contract, table: Table) -> str:
    """Mark the rows that a full listing no longer has as deleted. Returns how many. Takes $1, $2, $3."""
    return _counted(
        f"update {target(contract, table)} t set _deleted_at = $3::timestamptz, _loaded_at = $3::timestamptz, "  # noqa: S608
        f"_window = $2::text where t.project_key = $1::text and t._deleted_at is null and {_not_staged(table)}"
    )


DELETIONS = "deletions"


def has_deletions(contract: Contract) -> str:
    """Whether the source's table of deletions is there."""
    return f"select to_regclass('{raw_schema(contract.source)}.{DELETIONS}') is not null"


def mark_deleted(contract: Contract, table: Table) -> str:
    """Mark the rows that the source's deletions name, unless a newer version of the row was read since.

    A row is alive again only when it is read in a version newer than the deletion. Returns how many. Takes $1, and the
    time of the load as $2.
    """
    if contract.deleted_by is None:
        raise ValueError(f"{contract.source}/{contract.stream} has no deletions")
    key, version = contract.deleted_by.key, contract.version_column
    is_older = "true"
    if version and table is contract.table:
        is_older = f'(t."{version}" is null or t."{version}" <= d.noticed_at)'
    return _counted(
        f"update {target(contract, table)} t set _deleted_at = d.noticed_at, _loaded_at = $2::timestamptz "  # noqa: S608
        f'from "{raw_schema(contract.source)}"."{DELETIONS}" d where t.project_key = $1::text '
        f"and d.project_key = $1::text and d.entity = '{contract.deleted_by.entity}' and d.entity_id = t.\"{key}\" "
        f"and t._deleted_at is null and {is_older}"
    )


def leave_deleted(contract: Contract, table: Table) -> str:
    """Take staged rows of records that are marked as deleted out again: an older page does not bring them back.

    Takes $1, the source as $2 and the stream as $3.
    """
    main = contract.table
    return (
        f'delete from "{stage(table)}" s using {target(contract, main)} t, ops.source_deletions d '  # noqa: S608
        f"where {_OF_STREAM} and t.project_key = $1::text and t._deleted_at is not null "
        f'and t."{main.key[0]}" = d.record_id and s."{main.key[0]}" = d.record_id'
    )


def believe_newer(contract: Contract) -> str:
    """Forget that a record was found missing when it came in a version newer than that: it is there.

    Takes $1, the source as $2 and the stream as $3.
    """
    main = contract.table
    return (
        f'delete from ops.source_deletions d using "{stage(main)}" s '  # noqa: S608
        f"where {_OF_STREAM} and d.noticed_by = 'sweep' and s.\"{main.key[0]}\" = d.record_id "
        f'and s."{contract.version_column}" > d.noticed_at'
    )


def mark_told(contract: Contract, table: Table) -> str:
    """Mark the rows of records that the source deleted, with when it was noticed. Returns how many.

    Takes $1, the source as $2, the stream as $3, and the time of the load as $4.
    """
    return _counted(
        f"update {target(contract, table)} t set _deleted_at = d.noticed_at, _loaded_at = $4::timestamptz "  # noqa: S608
        f"from ops.source_deletions d where {_OF_STREAM} and t.project_key = $1::text "
        f'and t."{contract.table.key[0]}" = d.record_id and t._deleted_at is null'
    )


def can_lose_records(contract: Contract) -> bool:
    """Whether windows of the stream tell of deletions: it is read by change, by number, and no other stream does."""
    main = contract.table
    return (
        contract.semantics == "updated"
        and contract.deleted_by is None
        and len(main.key) == 1
        and contract.field_of(main, main.key[0]).type == "int64"
    )


def note_deletions(contract: Contract) -> str:
    """Note the records that the window says are deleted, once each; what events tell is kept before what was missed.

    Takes $1, the source as $2, the stream as $3, key -> instant or null as JSON $4, the time of the load as $5 and that
    of the reading as $6: what was missing then and came in a newer version since is there.
    """
    main = contract.table
    return f"""
insert into ops.source_deletions as d (project_key, source, stream, record_id, deleted_at, noticed_at, noticed_by)
select
    $1::text, $2::text, $3::text, key::bigint, value::timestamptz, $5::timestamptz,
    case when value is null then 'sweep' else 'event' end
from jsonb_each_text($4::text::jsonb)
where value is not null or not exists (
    select from {target(contract, main)} t
    where t.project_key = $1::text and t."{main.key[0]}" = key::bigint
        and t."{contract.version_column}" > $6::timestamptz
)
on conflict (project_key, source, stream, record_id) do update set
    deleted_at = excluded.deleted_at, noticed_by = excluded.noticed_by
where d.deleted_at is null and excluded.deleted_at is not null
"""  # noqa: S608


def count_rows(contract: Contract) -> str:
    """Rows of the project in each table of the stream, one column a table. Takes $1."""
    counts = (
        f"(select count(*) from {target(contract, table)} where project_key = $1::text)"  # noqa: S608
        for table in contract.tables
    )
    return f"select {', '.join(counts)}"


def count_there(contract: Contract) -> str:
    """How many main rows are staged, and how many of them the table has in whichever version. Takes $1."""
    main = contract.table
    return (
        f'select count(*), count(t.project_key) from "{stage(main)}" s left join {target(contract, main)} t '  # noqa: S608
        f"on t.project_key = $1::text and {_equal(main.key, 't', 's')}"
    )


NEWER_LISTING = """
select window_key from ops.lake_loads
where project_key = $1::text and source = $2::text and stream = $3::text
    and (fetched_at, window_key) > ($4::timestamptz, $5::text)
order by fetched_at desc limit 1
"""

NOTE_LOAD = """
insert into ops.lake_loads as l
    (project_key, source, stream, window_key, manifest_sha, fetched_at, loaded_at, rows, is_open, complete_to, ledger)
values (
    $1::text, $2::text, $3::text, $4::text, $5::text, $6::timestamptz, $7::timestamptz, $8::text::jsonb,
    $9::boolean, $10::timestamptz, $11::text::jsonb
)
on conflict (project_key, source, stream, window_key) do update set
    manifest_sha = excluded.manifest_sha, fetched_at = excluded.fetched_at,
    loaded_at = excluded.loaded_at, rows = excluded.rows,
    is_open = excluded.is_open, complete_to = excluded.complete_to, ledger = excluded.ledger
where (l.manifest_sha, l.fetched_at) is distinct from (excluded.manifest_sha, excluded.fetched_at)
"""


def _counted(statement: str) -> str:
    """ADBC does not tell how many rows a statement with parameters changed, so the statement counts them."""
    return f"with changed as ({statement} returning 1) select count(*) from changed"  # noqa: S608


def _equal(names: Sequence[str], left: str, right: str) -> str:
    return " and ".join(f'{left}."{name}" = {right}."{name}"' for name in names)


def _not_staged(table: Table) -> str:
    return f'not exists (select from "{stage(table)}" s where {_equal(table.key, "s", "t")})'


def _differs(names: Sequence[str]) -> str:
    """Whether a data column changed; a table of keys alone never differs."""
    if not names:
        return "false"
    there, new = (", ".join(f'{side}."{name}"' for name in names) for side in ("t", "excluded"))
    return f"row({there}) is distinct from row({new})"
