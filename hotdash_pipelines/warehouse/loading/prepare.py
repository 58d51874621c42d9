"""Rows of the lake as they can be staged: text that Postgres holds, one row a key.

Belongs here: what is done to rows before they reach the server. Does not belong here: staging and merging (load.py),
settling what arrives (contracts.unique).
"""

from typing import TYPE_CHECKING

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.contracts.casts import ContractBreach
from hotdash_pipelines.contracts.unique import has_one_row_a_key

if TYPE_CHECKING:
    import pyarrow as pa


def storable_rows(rows: "pa.Table") -> "pa.Table":
    """Rows without the character that Postgres text cannot hold. Partitions of older versions may have it."""
    import pyarrow as pa

    pc = compute()

    for position, column in enumerate(rows.schema):
        if pa.types.is_string(column.type) and pc.any(pc.match_substring(rows.column(position), "\x00")).as_py():
            rows = rows.set_column(position, column, pc.replace_substring(rows.column(position), "\x00", ""))
    return rows


def one_a_key(contract: Contract, tables: "dict[str, pa.Table]") -> "dict[str, pa.Table]":
    """The newest row of each key. ContractBreach where rows of one key differ although nothing tells which one counts.

    Partitions are settled when they are written; those of older versions may hold versions of a main row.
    """
    pc = compute()
    main, settled = contract.table.name, {}
    for table in contract.tables:
        rows, keys = tables[table.name], list(table.key)
        if has_one_row_a_key(rows, keys):
            settled[table.name] = rows
            continue
        has_versions = contract.semantics != "event_date" and (
            table is contract.table or settled[main].num_rows < tables[main].num_rows
        )
        if not has_versions and _differs_within_a_key(rows, keys):
            raise ContractBreach(f"rows of {table.name} have one key ({', '.join(keys)}) and differ")
        if table is contract.table and contract.semantics == "updated":
            rows = rows.take(pc.sort_indices(rows, [(contract.version_column, "ascending")]))
        settled[table.name] = _last_of_each(rows, keys)
    return settled


def _differs_within_a_key(rows: "pa.Table", keys: list[str]) -> bool:
    import pyarrow as pa

    plain = [column.name for column in rows.schema if not pa.types.is_list(column.type)]
    return rows.group_by(plain).aggregate([]).num_rows > rows.group_by(keys).aggregate([]).num_rows


def _last_of_each(rows: "pa.Table", keys: list[str]) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    numbered = rows.select(keys).append_column("_position", pa.array(np.arange(rows.num_rows)))
    return rows.take(numbered.group_by(keys).aggregate([("_position", "max")])["_position_max"])
