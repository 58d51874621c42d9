"""Rows that fit any contract, made from numbers alone: the same call gives the same rows.

Belongs here: tables for tests of lake and warehouse. Does not belong here: believable data (hotdash_pipelines.demo).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hotdash_pipelines.base.windows import Window, window_of
from hotdash_pipelines.contracts import Contract, Table
from hotdash_pipelines.contracts.arrow import column_type, table_schema
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.contracts.model import CONTRACTS_DIR, Field, load_contract
from hotdash_pipelines.lake.draft import PartitionDraft
from hotdash_pipelines.lake.partition import open_table, write_partition
from hotdash_pipelines.storage import Spool, Store, Workspace

PROJECT = "hotdash-demo"
KEY = "2025-03-01"
FETCHED_AT = datetime(2025, 3, 2, 4, tzinfo=UTC)


def contract_of(source: str, stream: str) -> Contract:
    """A contract of the package."""
    return load_contract(CONTRACTS_DIR / source / f"{stream}.yaml")


def window(key: str = KEY) -> Window:
    """The window of a key in UTC."""
    return window_of(key, UTC)  # type: ignore[arg-type]


def synthetic(
    contract: Contract,
    rows: int,
    *,
    first: int = 1,
    salt: int = 0,
    key: str = KEY,
    children: Mapping[str, int] | None = None,
) -> dict[str, pa.Table]:
    """Every table of a contract: `rows` main rows with keys from `first`, and `children[name]` rows to each parent.

    `salt` changes every value but the keys, and moves the cursor on by as many minutes.
    """
    numbers = np.arange(first, first + rows)
    return _walk(contract, contract.table, numbers, {}, salt, key, children or {})


def _walk(
    contract: Contract,
    table: Table,
    numbers: np.ndarray,
    inherited: Mapping[str, pa.Array],
    salt: int,
    key: str,
    children: Mapping[str, int],
) -> dict[str, pa.Table]:
    columns: dict[str, pa.Array] = dict(inherited)
    for field in table.fields:
        columns[field.name] = _values(contract, table, field, numbers, salt, key)
    schema = table_schema(contract, table)
    found = {table.name: pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)}
    for child in table.children:
        count = children.get(child.name, 0)
        parents = np.repeat(np.arange(len(numbers)), count)
        within = np.tile(np.arange(count), len(numbers))
        handed = {name: columns[name].take(pa.array(parents)) for name in child.inherits}
        found |= _walk(contract, child, numbers[parents] * 1000 + within, handed, salt, key, children)
    return found


def _values(contract: Contract, table: Table, field: Field, numbers: np.ndarray, salt: int, key: str) -> pa.Array:
    kind = column_type(field)
    moved = numbers if field.name in table.key else numbers + salt
    if field.name == contract.cursor and contract.semantics == "event_date":
        return pa.array([date.fromisoformat(key)] * len(numbers), pa.date32())
    if pa.types.is_timestamp(kind):
        start = int(datetime.fromisoformat(key).replace(tzinfo=UTC).timestamp())
        seconds = start + numbers % 80_000 + 60 * salt
        return pa.array(seconds * 1_000_000).cast(kind)
    if pa.types.is_boolean(kind):
        return pc.equal(pa.array(moved % 2), 0)
    if pa.types.is_list(kind):
        return pa.array([[f"{field.name}{number % 5}", "b"] for number in moved.tolist()], kind)
    if pa.types.is_string(kind):
        return pa.array([f"{field.name} {number}" for number in moved.tolist()])
    if pa.types.is_date32(kind):
        return pa.array(moved.astype("int32")).cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array(moved).cast(pa.decimal128(38, kind.scale)).cast(kind)
    return pa.array(moved).cast(kind)


def write(
    store: Store,
    contract: Contract,
    tables: Mapping[str, pa.Table] | Sequence[Mapping[str, pa.Table]],
    *,
    key: str = KEY,
    fetched_at: datetime = FETCHED_AT,
    pages: Sequence[bytes] = (b'{"page": 1}',),
    **said: Any,
) -> PartitionManifest:
    """Write tables, or groups of them, as a partition; `said` is what the manifest shall say instead of the usual."""
    groups = [tables] if isinstance(tables, Mapping) else tables
    usual = {
        "api_version": "2026-10",
        "requests": 1,
        "cost": None,
        "expected_rows": sum(group[contract.table.name].num_rows for group in groups),
        "unknown_fields": {},
        "unknown_enum_values": {},
        "quarantined": 0,
        "notes": {},
    }
    workspace = Workspace()
    with PartitionDraft(contract, workspace) as draft, Spool(workspace, pages) as spool:
        for group in groups:
            draft.add(group)
        return write_partition(
            store, contract, PROJECT, window(key), draft, spool, fetched_at=fetched_at, **{**usual, **said}
        )


def read_table(store: Store, contract: Contract, manifest: PartitionManifest, table: str) -> pa.Table:
    """One table of a partition at once; see `open_table`."""
    with open_table(store, contract, manifest, table) as rows:
        return rows.read_all()
