"""CSV after RFC 4180: texts are quoted, null is an empty field without quotes, JSON and lists are JSON text.

Belongs here: writing and reading it, and keeping spreadsheets from running a cell as a formula: such a cell has `'`
before it. Does not belong here: what formats share (columns.py, record.py).
"""

import csv
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.formats.columns import COLUMNS, json_text, plain
from hotdash_pipelines.operations.export.formats.record import ExportFormat, Row, WriteRows

# Drafts may be long; Python's own limit is 128 KiB a field.
_LONGEST_FIELD = 1 << 30
# The last is the minus sign of typography.
_FORMULA = "=+-@\t\r\u2212"


def safe_cell(text: str) -> str:
    """The text with `'` before it when a spreadsheet could take it for a formula.

    Looks at the first sign that is not blank, in its plain form: ` =`, full-width `＝` and a zero-width space before it
    count too.
    """
    if text[:1].isalnum():
        return text
    for char in text:
        for sign in unicodedata.normalize("NFKC", char):
            if sign in _FORMULA:
                return f"'{text}"
            if not sign.isspace() and unicodedata.category(sign) not in ("Cf", "Cc", "Mn", "Zs"):
                return text
    return text


@contextmanager
def _writer(path: Path) -> Iterator[WriteRows]:
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
        return json_text(plain(value)).strip('"')
    return '"' + safe_cell(value).replace('"', '""') + '"'


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open("rb") as ended:
        ended.seek(-min(2, path.stat().st_size), os.SEEK_END)
        if ended.read() != b"\r\n":
            raise ValueError("cut off")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        if next(reader, None) != list(COLUMNS):
            raise ValueError("other columns")
        for cells in reader:
            yield {name: _uncelled(cell, COLUMNS[name]) for name, cell in zip(COLUMNS, cells, strict=True)}


def _uncelled(cell: str, kind: str) -> Any:
    if kind == "integer":
        return int(cell)
    if kind == "boolean":
        return {"true": True, "false": False, "": None}[cell]
    if kind in ("json", "list of text"):
        return json.loads(cell.removeprefix("'")) if cell else None
    return cell


CSV = ExportFormat("csv", "csv", writer=_writer, rows=_rows)
