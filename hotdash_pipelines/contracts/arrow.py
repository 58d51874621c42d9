"""Arrow schemas derived from contracts.

Belongs here: the schema of a lake table, and the nested schema with which Arrow parses the raw JSON.
Does not belong here: reading pages (parse.py).
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts.model import Contract, Field, Table

if TYPE_CHECKING:
    import pyarrow as pa

_STEP = re.compile(r"^(?P<name>[^\[\]]+)(\[(?P<index>\d+)\])?$")


def compute() -> Any:
    """`pyarrow.compute`, imported when needed. It makes its functions at import, where no type checker sees them."""
    import pyarrow.compute

    return pyarrow.compute


@dataclass(frozen=True)
class Step:
    """One step of a path: a struct field, and the position in it where that field is a list of positional values."""

    name: str
    index: int | None


@cache
def steps(path: str) -> tuple[Step, ...]:
    """`dimensionValues[0].value` -> (dimensionValues, 0), (value, None). An empty path has no steps."""
    path_steps = []
    for part in path.split(".") if path else ():
        match = _STEP.match(part)
        if match is None:
            raise ValueError(f"bad path {path!r}")
        path_steps.append(Step(match["name"], int(match["index"]) if match["index"] else None))
    return tuple(path_steps)


def column_type(column: Field) -> "pa.DataType":
    """The Arrow type of a finished column."""
    import pyarrow as pa

    if column.decimal:
        return pa.decimal128(*column.decimal)
    return {
        "string": pa.string(),
        "int64": pa.int64(),
        "int32": pa.int32(),
        "bool": pa.bool_(),
        "float64": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "list<string>": pa.list_(pa.string()),
    }[column.type]


def table_schema(contract: Contract, table: Table) -> "pa.Schema":
    """The schema of one lake table: inherited keys, then fields; nullability as the contract says."""
    import pyarrow as pa

    columns = []
    for name in table.column_names:
        column = contract.field_of(table, name)
        columns.append(pa.field(name, column_type(column), nullable=column.nullable and name not in table.key))
    return pa.schema(columns)


def json_type(column: Field) -> "pa.DataType":
    """The type that the JSON value itself has, before the contract's casts."""
    import pyarrow as pa

    if column.encoding in ("epoch_s", "epoch_s_zero_is_null"):
        return pa.int64()
    if column.encoding == "epoch_float_s":
        return pa.float64()
    if column.encoding in ("text", "gid", "yyyymmdd") or column.decimal or column.type in ("timestamp", "date"):
        return pa.string()
    return column_type(column)


@dataclass
class _Node:
    """A node of the JSON tree that the contract describes."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    is_list: bool = False
    leaf: "pa.DataType | None" = None

    def at(self, path: str) -> "_Node":
        node = self
        for step in steps(path):
            node = node.children.setdefault(step.name, _Node())
            if step.index is not None:
                node.is_list = True
        return node

    def type(self) -> "pa.DataType":
        import pyarrow as pa

        if self.leaf is not None:
            return self.leaf
        struct = pa.struct([pa.field(name, child.type()) for name, child in self.children.items()])
        return pa.list_(struct) if self.is_list else struct


def _add_table(node: _Node, table: Table, root: _Node) -> None:
    records = node.at(table.records)
    records.is_list = True
    for column in table.fields:
        if column.path is None:
            continue
        (root if column.scope == "page" else records).at(column.path).leaf = json_type(column)
    for child in table.children:
        _add_table(records, child, root)


def page_schema(contract: Contract) -> "pa.Schema":
    """The nested schema of one whole response, as `pyarrow.json` takes it for `explicit_schema`."""
    import pyarrow as pa

    root = _Node()
    _add_table(root, contract.table, root)
    return pa.schema([pa.field(name, child.type()) for name, child in root.children.items()])
