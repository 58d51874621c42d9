"""The manifest: what one partition of the lake holds, and where it came from.

Belongs here: its fields and its JSON form. Does not belong here: files (partition.py).
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

# What a second fetch of the same rows may change without changing what is loaded.
_OF_THE_FETCH = ("fetched_at", "requests", "cost", "notes", "pages_file", "expected_rows", "repeated", "superseded")


@dataclass(frozen=True)
class FileEntry:
    """One Parquet file of a partition: the table in it, its name, size, sha256 and rows."""

    table: str
    name: str
    bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True)
class PartitionManifest:
    """One window of one stream as it was fetched. Its presence is what makes the partition's files count.

    `cursor_min` and `cursor_max` are ISO 8601; `cost` is in the API's own points; `expected_rows` is the source's own
    count where it gives one; `unknown_fields` maps JSON paths that the contract lacks to their types; `quarantined`
    counts main records that arrived and were set aside, `repeated` and `superseded` those that arrived once more, equal
    or older; `mended_values` counts respelled values by `table.column`. `is_open`: the day was not over when it was
    read, so it has to be read again. `deleted` maps the keys of main records that the source deleted in the window to
    the ISO 8601 instant, or to None where they were only found to be missing.
    """

    source: str
    stream: str
    project: str
    key: str
    window_start: datetime
    window_end: datetime
    contract_version: int
    contract_digest: str
    api_version: str
    fetched_at: datetime
    requests: int
    cost: float | None
    expected_rows: int | None
    rows: dict[str, int]
    cursor_min: str | None
    cursor_max: str | None
    files: tuple[FileEntry, ...]
    pages_file: str | None
    unknown_fields: dict[str, str] = field(default_factory=dict)
    unknown_enum_values: dict[str, int] = field(default_factory=dict)
    mended_values: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    repeated: int = 0
    superseded: int = 0
    notes: dict[str, str | int | float | bool] = field(default_factory=dict)
    is_open: bool = False
    deleted: dict[str, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`source/stream key`, as errors and logs call the partition."""
        return f"{self.source}/{self.stream} {self.key}"

    @property
    def complete_to(self) -> datetime:
        """The instant up to which nothing of the window is missing: its end, or when the open day was read."""
        return min(self.fetched_at, self.window_end)

    @property
    def arrived(self) -> int:
        """Main records in the pages: those that landed and those that did not."""
        return self.rows[self.stream] + self.quarantined + self.repeated + self.superseded

    def content_digest(self) -> str:
        """sha256 of what the partition holds; the same rows fetched again give the same digest."""
        content = {name: value for name, value in self._plain().items() if name not in _OF_THE_FETCH}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> bytes:
        """The manifest as UTF-8 JSON, keys sorted."""
        return json.dumps(self._plain(), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"

    def _plain(self) -> dict[str, Any]:
        plain = asdict(self)
        for name in ("window_start", "window_end", "fetched_at"):
            plain[name] = plain[name].isoformat()
        return plain

    @classmethod
    def from_json(cls, data: bytes) -> "PartitionManifest":
        """Read `to_json` back. Raises ValueError, KeyError or TypeError when it is not a manifest."""
        plain = json.loads(data)
        for name in ("window_start", "window_end", "fetched_at"):
            plain[name] = datetime.fromisoformat(plain[name])
        plain["files"] = tuple(FileEntry(**entry) for entry in plain["files"])
        # A manifest of an older version may hold what is not asked for any more.
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in plain.items() if name in known})
