"""What a format of an export is.

Belongs here: the record, and reading whichever file. Does not belong here: a format (its own file).
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export.errors import ExportError

ROWS_READ = 5_000

Row = Mapping[str, Any]
WriteRows = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class ExportFormat:
    """One way to write the rows of an export.

    `name` is that of manifests and `--format`, `ending` that of the file. `writer` makes a new file for its owner
    alone; what it yields is called with each batch of rows, which have the names of COLUMNS, instants as datetimes.
    `rows` are those of a file with the types of JSON, instants as text; it raises ValueError for a file that is not
    whole or not of this format.
    """

    name: str
    ending: str
    writer: Callable[[Path], AbstractContextManager[WriteRows]]
    rows: Callable[[Path], Iterator[dict[str, Any]]]

    @property
    def data_file(self) -> str:
        """Name of the file with the rows in a version."""
        return f"data.{self.ending}"

    def read(self, path: Path) -> Iterator[list[dict[str, Any]]]:
        """The rows of a file in batches. Raises ExportError for a file that is not whole or not of this format."""
        try:
            rows = self.rows(path)
            while batch := list(islice(rows, ROWS_READ)):
                yield batch
        except (ValueError, KeyError, csv.Error, OSError, RecursionError) as error:
            # Texts of these errors may hold what was read.
            raise ExportError(
                f"the file is no whole {self.name} export: delete the version and export again"
            ) from error


def registered(*formats: ExportFormat) -> Mapping[str, ExportFormat]:
    """Formats by name. Raises ValueError for a name or an ending that is taken, and for half a format."""
    for number, record in enumerate(formats):
        if not (record.name and record.ending and callable(record.writer) and callable(record.rows)):
            raise ValueError(f"export format {record.name!r} lacks a part: give name, ending, writer and rows")
        if any(record.name == other.name or record.ending == other.ending for other in formats[:number]):
            raise ValueError(f"export format {record.name!r} stands there twice: a name and an ending have one format")
    return {record.name: record for record in formats}
