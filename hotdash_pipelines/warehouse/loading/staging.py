"""The statements that make and judge the stage: temporary tables that hold one window's rows as they came.

Belongs here: SQL text about staged rows alone, one row a key among them. Does not belong here: what the raw tables make
of them (merge.py), settling what arrives (contracts.unique). Names are quoted as in merge.py.

Partitions are settled when they are written; those of older versions may hold versions of a main row.
"""

from collections.abc import Sequence

from hotdash_pipelines.contracts import Contract, Table
from hotdash_pipelines.warehouse.loading.ddl import data_columns


def stage(table: Table) -> str:
    """Name of the temporary table that holds a table's rows of the window."""
    return f"staged_{table.name}"


def create_stage(contract: Contract, table: Table) -> str:
    """A temporary table with the contract's columns; it goes with the transaction."""
    columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in data_columns(contract, table))
    return f'create temporary table "{stage(table)}" ({columns}) on commit drop'


def count_keys(table: Table) -> str:
    """How many keys the staged rows have."""
    return _count_of_different(table, table.key)


def count_different(contract: Contract, table: Table) -> str:
    """How many of the staged rows are different in what can be compared: lists are not."""
    columns = data_columns(contract, table)
    return _count_of_different(table, [column.name for column in columns if not column.sql_type.endswith("[]")])


def leave_one_a_key(contract: Contract, table: Table) -> str:
    """Delete all staged rows of a key but the newest version or, where nothing tells versions, the last that came.

    COPY only ever appends to a table that was made in the same transaction, so rows lie in the order they came.
    """
    newest = "ctid desc"
    if table is contract.table and contract.semantics == "updated":
        newest = f'"{contract.version_column}" desc nulls first, ctid desc'
    keys = _listed(table.key)
    return (
        f'delete from "{stage(table)}" s using (select ctid, row_number() over (partition by {keys} order by {newest}) '  # noqa: S608
        f'as place from "{stage(table)}") ranked where ranked.ctid = s.ctid and ranked.place > 1'
    )


def first_other_date(contract: Contract, rows: str) -> str:
    """The earliest date but $1 of a stream restated by date, null where there is none.

    `rows` is where to look: a table, then `where` or a condition and `and`.
    """
    return f'select min("{contract.cursor}")::text from {rows} "{contract.cursor}" <> $1::text::date'  # noqa: S608


def _count_of_different(table: Table, names: Sequence[str]) -> str:
    return f'select count(*) from (select from "{stage(table)}" group by {_listed(names)}) different'  # noqa: S608


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
