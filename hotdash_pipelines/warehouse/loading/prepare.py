"""Rows of the lake on their way to the server, batch by batch: text that Postgres holds, the loader's own columns.

Belongs here: what is done to rows before they reach the server. Does not belong here: staging and merging (load.py),
one row a key (staging.py).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hotdash_pipelines.contracts.arrow import compute

if TYPE_CHECKING:
    import pyarrow as pa


class StorableRows:
    """The batches of one table, each made storable when the server asks for it.

    `rows` counts those handed over so far. `error` is what the lake said when it broke off: the driver, which asks for
    the batches, tells of it in words of its own.
    """

    def __init__(self, rows: "pa.RecordBatchReader", stamps: "Mapping[str, pa.Scalar]") -> None:
        self._source, self._stamps = rows, stamps
        self.rows = 0
        self.error: Exception | None = None

    def reader(self) -> "pa.RecordBatchReader":
        """The batches, once, with the stamps as further columns."""
        import pyarrow as pa

        schema = self._source.schema
        for name, value in self._stamps.items():
            schema = schema.append(pa.field(name, value.type))
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def _batches(self, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        try:
            for batch in self._source:
                columns = [_storable(column) for column in batch.columns]
                columns += [pa.repeat(value, batch.num_rows) for value in self._stamps.values()]
                self.rows += batch.num_rows
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except Exception as error:
            self.error = error
            raise


def _storable(column: "pa.Array") -> "pa.Array":
    """Text without the character that Postgres cannot hold. Partitions of older versions may have it."""
    import pyarrow as pa

    pc = compute()
    if pa.types.is_string(column.type) and pc.any(pc.match_substring(column, "\x00")).as_py():
        return pc.replace_substring(column, "\x00", "")
    return column
