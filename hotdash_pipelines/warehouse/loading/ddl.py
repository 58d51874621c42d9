"""The raw tables as the contracts describe them.

Belongs here: creating raw schemas and tables, adding the columns of a newer contract, refusing what cannot be altered
without a decision. Does not belong here: operational tables (migrations), rows (load.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts import Contract, Field, Table
from hotdash_pipelines.warehouse.postgres import WarehouseError

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

# Serialises processes that create raw tables at the same time.
_LOCK = 0x686F74_64646C
_TYPES = {
    "string": "text",
    "int64": "bigint",
    "int32": "integer",
    "bool": "boolean",
    "float64": "double precision",
    "timestamp": "timestamp with time zone",
    "date": "date",
    "list<string>": "text[]",
}
_CATALOG = """
select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    col_description(c.oid, a.attnum), a.attnum = any(coalesce(k.conkey, '{}')), obj_description(c.oid, 'pg_class')
from pg_namespace n
join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p')
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
where n.nspname = any(%s)
"""


class SchemaMismatch(WarehouseError):
    """A raw table and its contract differ in a way that only a person can settle. One line, says how."""


@dataclass(frozen=True)
class Column:
    """One column of a raw table."""

    name: str
    sql_type: str
    is_required: bool
    is_key: bool
    comment: str


@dataclass(frozen=True)
class _Found:
    sql_type: str
    is_required: bool
    is_key: bool
    comment: str | None


def raw_schema(source: str) -> str:
    """The schema that holds a source's raw tables."""
    return f"raw_{source}"


def sql_type(field: Field) -> str:
    """The Postgres type of a contract's column, spelled as the catalogue spells it."""
    return "numeric({},{})".format(*field.decimal) if field.decimal else _TYPES[field.type]


def data_columns(contract: Contract, table: Table) -> tuple[Column, ...]:
    """The contract's own columns of a table: inherited keys, then its fields."""
    columns = []
    for name in table.column_names:
        field = contract.field_of(table, name)
        required = name in table.key or name in table.inherits or not field.nullable
        columns.append(Column(name, sql_type(field), required, name in table.key, field.description))
    return tuple(columns)


def table_columns(contract: Contract, table: Table) -> tuple[Column, ...]:
    """Every column of a raw table in order: the store, the contract's columns, the loader's."""
    return (
        Column("project_key", "text", True, True, "The store that the row belongs to."),
        *data_columns(contract, table),
        Column("_window", "text", True, False, "Partition that the row was last changed from."),
        Column("_loaded_at", _TYPES["timestamp"], True, False, "When a load last changed the row."),
        Column("_deleted_at", _TYPES["timestamp"], False, False, "When the source was found to have deleted the row."),
    )


def ensure_raw_tables(conn: "psycopg.Connection[Any]", contracts: Iterable[Contract]) -> list[str]:
    """Bring the raw tables to the contracts; returns the tables that were created or altered.

    Costs one query when there is nothing to do. A column that the contract dropped stays, and stops being required. A
    key column that can be worked out of the rows (a digest, a position) is filled and takes its place in the key.
    Raises SchemaMismatch when a type or a key differs otherwise; then nothing is altered.
    """
    wanted = list(contracts)
    if not any(_statements(contract, table, present) for contract, table, present in _compare(conn, wanted)):
        return []
    changed = []
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        for contract, table, present in _compare(conn, wanted):
            statements = _statements(contract, table, present)
            for statement in statements:
                conn.execute(statement)
            if statements:
                changed.append(f"{raw_schema(contract.source)}.{table.name}")
    return changed


def _compare(
    conn: "psycopg.Connection[Any]", contracts: Sequence[Contract]
) -> list[tuple[Contract, Table, dict[str, _Found]]]:
    schemas = sorted({raw_schema(contract.source) for contract in contracts})
    there: dict[tuple[str, str], dict[str, _Found]] = {}
    for schema, table, column, kind, required, comment, is_key, _ in conn.execute(_CATALOG, (schemas,)):
        there.setdefault((schema, table), {})[column] = _Found(kind, required, is_key, comment)
    return [
        (contract, table, there.get((raw_schema(contract.source), table.name), {}))
        for contract in contracts
        for table in contract.tables
    ]


def _statements(contract: Contract, table: Table, present: dict[str, _Found]) -> "list[sql.Composed]":
    """What turns the table as found into the table as wanted; nothing when they agree."""
    from psycopg import sql

    name = sql.Identifier(raw_schema(contract.source), table.name)
    columns = table_columns(contract, table)
    if not present:
        return _creation(contract, table, name, columns)
    statements: list[sql.Composed] = []
    rekeyed = _rekeyed(contract, table, name, present)
    for column in columns:
        identifier = sql.Identifier(column.name)
        there = present.get(column.name)
        if there is None:
            if column.is_key and not rekeyed:
                _refuse(contract, table, column, "missing")
            statements.append(
                sql.SQL("alter table {} add column {} {}").format(name, identifier, _verbatim(column.sql_type))
            )
        elif there.sql_type != column.sql_type:
            _refuse(contract, table, column, there.sql_type)
        if there is None or there.comment != column.comment:
            statements.append(_comment("column", sql.SQL(".").join([name, identifier]), column.comment))
    wanted = {column.name: column for column in columns}
    for column_name, there in present.items():
        column = wanted.get(column_name)
        if there.is_key and not (column and column.is_key) and not rekeyed:
            raise SchemaMismatch(
                f"{raw_schema(contract.source)}.{table.name}: {column_name} is part of the key in the warehouse "
                "but not in the contract; drop the table and load its partitions again"
            )
        if there.is_required and not (column and column.is_required):
            statements.append(
                sql.SQL("alter table {} alter column {} drop not null").format(name, sql.Identifier(column_name))
            )
    return [*statements, *rekeyed]


def _rekeyed(
    contract: Contract, table: Table, name: "sql.Identifier", present: dict[str, _Found]
) -> "list[sql.Composed]":
    """What fills the key columns that the table lacks and makes them its key; nothing where nothing tells them."""
    from psycopg import sql

    new = [contract.field_of(table, column) for column in table.key if column not in present]
    if not new or not all(field.digest_of or field.fallback for field in new):
        return []
    old_key = [column for column, there in present.items() if there.is_key]
    statements = []
    for field in new:
        column = sql.Identifier(field.name)
        if field.digest_of:
            texts = sql.SQL(", ").join(sql.Identifier(part) for part in field.digest_of)
            value = sql.SQL("encode(sha256(convert_to(concat_ws(chr(31), {}), 'UTF8')), 'hex')").format(texts)
            statements.append(sql.SQL("update {} set {} = {}").format(name, column, value))
        else:
            listed = sql.SQL(", ").join(map(sql.Identifier, old_key))
            parent = sql.SQL(", ").join(map(sql.Identifier, ("project_key", *table.inherits)))
            statements.append(
                sql.SQL(
                    "update {0} t set {1} = -n.position from (select ctid, row_number() over "
                    "(partition by {2} order by {3}) as position from {0}) n where t.ctid = n.ctid"
                ).format(name, column, parent, listed)
            )
        statements.append(sql.SQL("alter table {} alter column {} set not null").format(name, column))
    key = sql.SQL(", ").join(map(sql.Identifier, ("project_key", *table.key)))
    constraint = sql.Identifier(f"{table.name}_pkey")
    statements.append(
        sql.SQL("alter table {0} drop constraint {1}, add constraint {1} primary key ({2})").format(
            name, constraint, key
        )
    )
    return statements


def _refuse(contract: Contract, table: Table, column: Column, present: str) -> None:
    raise SchemaMismatch(
        f"{raw_schema(contract.source)}.{table.name}.{column.name} is {present} in the warehouse "
        f"and {column.sql_type} in the contract {contract.source}/{contract.stream}; "
        "give the column a new name in the contract, or drop the table and load its partitions again"
    )


def _creation(
    contract: Contract, table: Table, name: "sql.Identifier", columns: Sequence[Column]
) -> "list[sql.Composed]":
    from psycopg import sql

    schema = sql.Identifier(raw_schema(contract.source))
    lines = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            _verbatim(column.sql_type),
            _verbatim(" not null" if column.is_required else ""),
        )
        for column in columns
    ]
    key = [sql.Identifier(part) for part in ("project_key", *table.key)]
    lines.append(sql.SQL("primary key ({})").format(sql.SQL(", ").join(key)))
    statements = [
        sql.SQL("create schema if not exists {}").format(schema),
        sql.SQL("create table {} ({})").format(name, sql.SQL(", ").join(lines)),
        _comment("table", name, table.description),
        *(
            _comment("column", sql.SQL(".").join([name, sql.Identifier(column.name)]), column.comment)
            for column in columns
        ),
    ]
    for index, method, parts in _indexes(contract, table):
        fields = sql.SQL(", ").join(sql.Identifier(part) for part in parts)
        statements.append(
            sql.SQL("create index {} on {} using {} ({})").format(
                sql.Identifier(f"{table.name}_{index}_idx"), name, _verbatim(method), fields
            )
        )
    return statements


def _indexes(contract: Contract, table: Table) -> list[tuple[str, str, tuple[str, ...]]]:
    """What incremental models (`_loaded_at`), windows (the cursor) and the replacement of children look rows up by.

    Rows of one load lie together, so a block-range index on `_loaded_at` serves, at a hundredth of the size.
    """
    indexes: list[tuple[str, str, tuple[str, ...]]] = [("loaded_at", "brin", ("_loaded_at",))]
    if table.inherits:
        indexes.append(("parent", "btree", ("project_key", *contract.table.key)))
    elif contract.cursor and contract.cursor not in table.key[:1]:
        indexes.append(("cursor", "btree", (contract.cursor,)))
    return indexes


def _comment(kind: str, name: "sql.Composable", text: str) -> "sql.Composed":
    from psycopg import sql

    return sql.SQL("comment on {} {} is {}").format(_verbatim(kind), name, sql.Literal(text))


def _verbatim(text: str) -> "sql.SQL":
    """Words of this module, such as a type's name; never anything that a contract or a row spells."""
    from psycopg import sql

    return sql.SQL(text)  # pyright: ignore[reportArgumentType]
