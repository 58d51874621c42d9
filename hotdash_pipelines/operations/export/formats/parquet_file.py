"""Parquet: typed, compressed with zstd; JSON columns are JSON text.

Belongs here: writing and reading it. Does not belong here: what formats share (columns.py, record.py).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.formats.columns import COLUMNS, json_text, plain
from hotdash_pipelines.operations.export.formats.record import ROWS_READ, ExportFormat, Row, WriteRows


@contextmanager
def _writer(path: Path) -> Iterator[WriteRows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with path.open("xb") as target, pq.ParquetWriter(target, schema, compression="zstd", version="2.6") as file:
        path.chmod(0o600)

        def write(rows: Sequence[Row]) -> None:
            if rows:
                columns = [
                    pa.array([_value(row[name], kind) for row in rows], schema.field(name).type)
                    for name, kind in COLUMNS.items()
                ]
                file.write_table(pa.Table.from_arrays(columns, schema=schema))

        yield write


def _schema() -> Any:
    import pyarrow as pa

    types = {
        "integer": pa.int64(),
        "text": pa.string(),
        "boolean": pa.bool_(),
        "list of text": pa.list_(pa.string()),
        "json": pa.string(),
        "instant": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(name, types[kind]) for name, kind in COLUMNS.items()])


def _value(value: Any, kind: str) -> Any:
    return json_text(value) if kind == "json" and value is not None else value


def _read_value(value: Any, kind: str) -> Any:
    return json.loads(value) if kind == "json" and value is not None else plain(value)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow != _schema():
                raise ValueError("other columns")
            for batch in file.iter_batches(batch_size=ROWS_READ):
                for row in batch.to_pylist():
                    yield {name: _read_value(value, COLUMNS[name]) for name, value in row.items()}
    except pa.ArrowException as error:
        raise ValueError("not readable") from error


PARQUET = ExportFormat("parquet", "parquet", writer=_writer, rows=_rows)
