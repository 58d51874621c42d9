"""JSON: one document, an array with a row on each line, so that a parser takes it whole and a line tool line by line.

Belongs here: writing and reading it. Does not belong here: what formats share (columns.py, record.py).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.formats.columns import COLUMNS, json_text, plain
from hotdash_pipelines.operations.export.formats.record import ExportFormat, Row, WriteRows


@contextmanager
def _writer(path: Path) -> Iterator[WriteRows]:
    with path.open("x", encoding="utf-8", newline="") as file:
        path.chmod(0o600)
        file.write("[")
        before = "\n"

        def write(rows: Sequence[Row]) -> None:
            nonlocal before
            for row in rows:
                file.write(before + json_text({name: plain(row[name]) for name in COLUMNS}))
                before = ",\n"

        yield write
        file.write("\n]\n")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        if file.readline() != "[\n":
            raise ValueError("no array")
        goes_on = True
        for line in file:
            if not goes_on or line == "]\n":
                break
            goes_on = line.endswith(",\n")
            yield _named(json.loads(line.rstrip("\n").removesuffix(",")))
        else:
            line = ""
        if line != "]\n" or file.read(1):
            raise ValueError("cut off")


def _named(row: dict[str, Any]) -> dict[str, Any]:
    if list(row) != list(COLUMNS):
        raise ValueError("other columns")
    return row


JSON = ExportFormat("json", "json", writer=_writer, rows=_rows)
