"""What lake and warehouse hold of a source, as a fetch function may ask for it.

Belongs here: answering from manifests and raw tables, only when asked. Does not belong here: what is made of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR, load_contract
from hotdash_pipelines.lake import partition as lake
from hotdash_pipelines.sources import Deletion, Held, Note
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse import held as raw


@dataclass(frozen=True)
class HeldBefore(Held):
    """What is held when a window of a stream is read; without a database's address the raw tables are unknown."""

    store: Store
    contract: Contract
    project: str
    window: Window
    database_url: str | None = None

    def notes_before(self) -> Mapping[str, Note]:
        """What the manifest of the day before notes; nothing where the lake lacks that day."""
        return self._notes((self.window.day - timedelta(days=1)).isoformat())

    def notes_of_window(self) -> Mapping[str, Note]:
        """What the manifest of this day notes; nothing where the lake lacks it."""
        return self._notes(self.window.key)

    def _notes(self, key: str) -> Mapping[str, Note]:
        manifest = lake.read_manifest(self.store, self.contract, self.project, key)
        return manifest.notes if manifest else {}

    def alive(self, stream: str, /) -> Mapping[int, datetime] | None:
        """The raw table's rows that are not marked as deleted."""
        return raw.alive_records(self.database_url, self.project, self._of(stream)) if self.database_url else None

    def loaded_since(self, stream: str, /) -> datetime | None:
        """The first window that was loaded."""
        return raw.first_window(self.database_url, self.project, self._of(stream)) if self.database_url else None

    def noticed(self) -> list[Deletion]:
        """What the raw table of deletions holds of this window."""
        if not self.database_url:
            return []
        window = self.window
        rows = raw.noticed_deletions(self.database_url, self.project, self.contract.source, window.start, window.end)
        return [Deletion(*row) for row in rows]

    def _of(self, stream: str) -> Contract:
        return load_contract(CONTRACTS_DIR / self.contract.source / f"{stream}.yaml")
