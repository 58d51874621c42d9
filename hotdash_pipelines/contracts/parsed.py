"""What came of some pages: rows, what was set aside, what was noticed.

Belongs here: the record of it. Does not belong here: parsing (parse.py), keys (unique.py).
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hotdash_pipelines.contracts.mend import RejectedRecord

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class BadPage:
    """A page whose records cannot even be counted: its position among the pages of the window, and why."""

    index: int
    reason: str


@dataclass
class Parsed:
    """What came of some pages.

    `tables` maps each table of the contract to its rows; `rejected` are the records that were set aside, `bad_pages`
    the pages that could not be read at all. `unknown_fields` maps the JSON path of a field that the contract does not
    know to its kind; `unknown_enum_values` counts values outside a field's enum, and `mended_values` values that were
    respelled to be read or stored, both by `table.column`. `record_of` tells for each row of a table the position of
    its main record. `repeated` and `superseded` count main records that arrived once more, equal or older.
    """

    tables: dict[str, "pa.Table"]
    rejected: list[RejectedRecord] = field(default_factory=list)
    bad_pages: list[BadPage] = field(default_factory=list)
    unknown_fields: dict[str, str] = field(default_factory=dict)
    unknown_enum_values: Counter[str] = field(default_factory=Counter)
    mended_values: Counter[str] = field(default_factory=Counter)
    record_of: dict[str, "pa.Array"] = field(default_factory=dict)
    repeated: int = 0
    superseded: int = 0

    @property
    def arrived(self) -> int:
        """Main records in the pages, once the rows are settled."""
        main = next(iter(self.tables.values()), None)
        return (main.num_rows if main else 0) + len(self.rejected) + self.repeated + self.superseded

    def add(self, part: "Parsed", first: int) -> None:
        """Take over what was found beside the rows of a part whose first page is the `first` of these."""
        self.rejected += [replace(record, page=record.page + first) for record in part.rejected]
        self.bad_pages += [replace(page, index=page.index + first) for page in part.bad_pages]
        self.unknown_fields.update(part.unknown_fields)
        self.unknown_enum_values.update(part.unknown_enum_values)
        self.mended_values.update(part.mended_values)
