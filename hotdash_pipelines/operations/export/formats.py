"""The three formats of an export: the same rows in each, and the same bytes for the same rows.

Belongs here: writing and reading JSON, CSV and Parquet files of exported rows, a batch at a time. Does not belong here:
what the rows hold (run.py).

JSON is one document, an array with a row on each line, so that a parser takes it whole and a line tool line by line.
CSV follows RFC 4180; texts are quoted, null is an empty field without quotes, JSON and lists are JSON text, and a cell
that a spreadsheet would run as a formula has `'` before it. Parquet is typed, compressed with zstd; JSON columns are
JSON text.
"""

import csv
import json
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.files import ExportError

# Types as manifests name them, in the order of the columns.
COLUMNS: Mapping[str, str] = {
    "id": "integer",
    "conversation_id": "text",
    "input_text": "text",
    "model_draft": "text",
    "safe_to_send": "boolean",
    "labels": "list of text",
    "rubric": "json",
    "notes": "text",
    "meta": "json",
    "created_at": "instant",
    "updated_at": "instant",
}
# Drafts may be long; Python's own limit is 128 KiB a field.
_LONGEST_FIELD = 1 << 30
_ROWS_READ = 5_000
# The last is the minus sign of typography.
_FORMULA = "=+-@\t\r\u2212"

Row = Mapping[str, Any]
WriteRows = Callable[[Sequence[Row]], None]


def writer(file_format: str, path: Path) -> AbstractContextManager[WriteRows]:
    """A new file; call what it yields with each batch of rows. A row has COLUMNS' names: instants are datetimes."""
    return {"json": _json_writer, "csv": _csv_writer, "parquet": _parquet_writer}[file_format](path)


def read(file_format: str, path: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file in batches, with the types of JSON; instants are text.

    Raises ExportError for a file that is not whole or not of this format.
    """
    try:
        yield from {"json": _read_json, "csv": _read_csv, "parquet": _read_parquet}[file_format](path)
    except (ValueError, KeyError, csv.Error, OSError, RecursionError) as error:
        # Texts of these errors may hold what was read.
        raise ExportError(f"the file is no whole {file_format} export: delete the version and export again") from error


def json_text(value: Any) -> str:
    """JSON on one line, in the characters themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def safe_cell(text: str) -> str:
    """The text with `'` before it when a spreadsheet could take it for a formula.

    Looks at the first sign that is not blank, in its plain form: ` =`, full-width `＝` and a zero-width space before it
    count too.
    """
    if text[:1].isalnum():
        return text
    for char in text:
        for plain in unicodedata.normalize("NFKC", char):
            if plain in _FORMULA:
                return f"'{text}"
            if not plain.isspace() and unicodedata.category(plain) not in ("Cf", "Cc", "Mn", "Zs"):
                return text
    return text


@contextmanager
def _json_writer(path: Path) -> Iterator[WriteRows]:
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        file.write("[")
        before = "\n"

        def write(rows: Sequence[Row]) -> None:
            nonlocal before
            for row in rows:
                file.write(before + json_text({name: _plain(row[name]) for name in COLUMNS}))
                before = ",\n"

        yield write
        file.write("\n]\n")


@contextmanager
def _csv_writer(path: Path) -> Iterator[WriteRows]:
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        file.write(",".join(COLUMNS) + "\r\n")

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                file.write(",".join(_cell(row[name], kind) for name, kind in COLUMNS.items()) + "\r\n")

        yield write


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind in ("json", "list of text"):
        value = json_text(value)
    elif kind != "text":
        return json_text(_plain(value)).strip('"')
    return '"' + safe_cell(value).replace('"', '""') + '"'


@contextmanager
def _parquet_writer(path: Path) -> Iterator[WriteRows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with path.open("xb") as target, pq.ParquetWriter(target, schema, compression="zstd", version="2.6") as file:
        path.chmod(0o600)

        def write(rows: Sequence[Row]) -> None:
            if rows:
                columns = [
                    pa.array([_parquet_value(row[name], kind) for row in rows], schema.field(name).type)
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


def _parquet_value(value: Any, kind: str) -> Any:
    return json_text(value) if kind == "json" and value is not None else value


def _unparquet(value: Any, kind: str) -> Any:
    return json.loads(value) if kind == "json" and value is not None else _plain(value)


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    return value.isoformat(timespec="microseconds") if hasattr(value, "isoformat") else value


def _read_json(path: Path) -> Iterator[list[dict[str, Any]]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        if file.readline() != "[\n":
            raise ValueError("no array")
        rows: list[dict[str, Any]] = []
        goes_on = True
        for line in file:
            if not goes_on or line == "]\n":
                break
            goes_on = line.endswith(",\n")
            rows.append(_named(json.loads(line.rstrip("\n").removesuffix(","))))
            if len(rows) == _ROWS_READ:
                yield rows
                rows = []
        else:
            line = ""
        if line != "]\n" or file.read(1):
            raise ValueError("cut off")
        yield rows


def _named(row: dict[str, Any]) -> dict[str, Any]:
    if list(row) != list(COLUMNS):
        raise ValueError("other columns")
    return row


def _read_csv(path: Path) -> Iterator[list[dict[str, Any]]]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open("rb") as ended:
        ended.seek(-min(2, path.stat().st_size), os.SEEK_END)
        if ended.read() != b"\r\n":
            raise ValueError("cut off")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        if next(reader, None) != list(COLUMNS):
            raise ValueError("other columns")
        rows: list[dict[str, Any]] = []
        for cells in reader:
            rows.append({name: _uncelled(cell, COLUMNS[name]) for name, cell in zip(COLUMNS, cells, strict=True)})
            if len(rows) == _ROWS_READ:
                yield rows
                rows = []
        yield rows


def _uncelled(cell: str, kind: str) -> Any:
    if kind == "integer":
        return int(cell)
    if kind == "boolean":
        return {"true": True, "false": False, "": None}[cell]
    if kind in ("json", "list of text"):
        return json.loads(cell.removeprefix("'")) if cell else None
    return cell


def _read_parquet(path: Path) -> Iterator[list[dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow != _schema():
                raise ValueError("other columns")
            for batch in file.iter_batches(batch_size=_ROWS_READ):
                yield [
                    {name: _unparquet(value, COLUMNS[name]) for name, value in row.items()} for row in batch.to_pylist()
                ]
    except pa.ArrowException as error:
        raise ValueError("not readable") from error
