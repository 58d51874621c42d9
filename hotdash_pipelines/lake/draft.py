"""The Parquet files of a partition before they are in the lake: rows come group by group and leave memory again.

Belongs here: writing row groups to unnamed files, counting rows, the range of the cursor. Does not belong here: where
the files go and when they count (partition.py).
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from hotdash_pipelines.contracts import Contract, Table
from hotdash_pipelines.contracts.arrow import compute, table_schema
from hotdash_pipelines.storage import Workspace, digest_of

if TYPE_CHECKING:
    import pyarrow as pa

# A row group is at least this large in memory, as far as there are rows.
_ROW_GROUP_BYTES = 4 << 20


@dataclass(frozen=True)
class DraftFile:
    """A finished file: its content, from the start, and what the manifest says of it."""

    table: str
    content: BinaryIO
    bytes: int
    sha256: str
    rows: int


class PartitionDraft:
    """The tables of one window as they come. A context manager: its files are gone at the end.

    The same groups of rows give the same bytes, however their columns are cut into chunks.
    """

    def __init__(self, contract: Contract, workspace: Workspace) -> None:
        self._contract, self._workspace = contract, workspace
        self._closing = contextlib.ExitStack()
        self._begin()

    def _begin(self) -> None:
        self._lowest: Any = None
        self._highest: Any = None
        self._tables: dict[str, _TableDraft] = {}
        for table in self._contract.tables:
            draft = self._tables[table.name] = _TableDraft(self._contract, table, self._workspace)
            self._closing.enter_context(draft.file)
            # A writer that is left open writes its end when it is collected: before the file is closed, then.
            self._closing.callback(draft.close)

    def __enter__(self) -> "PartitionDraft":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def clear(self) -> None:
        """Forget all rows: the reading of the pages begins anew."""
        self._closing.close()
        self._begin()

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table so far."""
        return {name: table.rows for name, table in self._tables.items()}

    @property
    def cursor_range(self) -> tuple[str | None, str | None]:
        """The least and the greatest cursor so far, ISO 8601."""
        if self._lowest is None:
            return None, None
        return self._lowest.isoformat(), self._highest.isoformat()

    def add(self, tables: "Mapping[str, pa.Table]") -> None:
        """Take rows of the tables, in the contract's schema. Raises StoreError."""
        for name, rows in tables.items():
            self._tables[name].add(rows)
        main = tables.get(self._contract.table.name)
        if self._contract.cursor is not None and main is not None:
            ends = compute().min_max(main[self._contract.cursor]).as_py()
            if ends["min"] is not None:
                self._lowest = min(ends["min"], self._lowest or ends["min"])
                self._highest = max(ends["max"], self._highest or ends["max"])

    def finish(self) -> list[DraftFile]:
        """The files of all tables in the contract's order; nothing can be added any more."""
        return [table.finish() for table in self._tables.values()]


class _TableDraft:
    """One table's file; small groups wait until they make a row group."""

    def __init__(self, contract: Contract, table: Table, workspace: Workspace) -> None:
        from pyarrow import parquet

        self._name = table.name
        self.file = workspace.unnamed_file()
        self.rows = 0
        self._writer = parquet.ParquetWriter(self.file, table_schema(contract, table), compression="zstd")
        self._waiting: list[pa.Table] = []

    def add(self, rows: "pa.Table") -> None:
        if rows.num_rows:
            self.rows += rows.num_rows
            self._waiting.append(rows)
            if sum(waiting.nbytes for waiting in self._waiting) >= _ROW_GROUP_BYTES:
                self._write()

    def _write(self) -> None:
        import pyarrow as pa

        if self._waiting:
            rows = pa.concat_tables(self._waiting).combine_chunks()
            self._writer.write_table(rows, row_group_size=rows.num_rows)
            self._waiting = []

    def close(self) -> None:
        self._writer.close()

    def finish(self) -> DraftFile:
        self._write()
        self.close()
        self.file.flush()
        size = self.file.tell()
        self.file.seek(0)
        return DraftFile(self._name, self.file, size, digest_of(self.file), self.rows)
