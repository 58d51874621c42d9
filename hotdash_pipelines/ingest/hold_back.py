"""An empty answer is no deletion: when an answer that lacks most of a window's rows is believed.

Belongs here: the doubt and its witnesses. Does not belong here: fetching and writing (run.py), files (lake).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.lake import partition as lake
from hotdash_pipelines.storage import Store

# Noted in the manifest that was kept.
HELD_BACK_AT, HELD_BACK_ROWS = "held_back_at", "held_back_rows"


@dataclass(frozen=True)
class Doubt:
    """Which answers are doubted: those with less than `small_part` (0 to 1) of the rows that were there.

    A second read counts as a witness `second_read_after` the first; `is_waived` is a person's word.
    """

    small_part: float = 0.2
    second_read_after: timedelta = timedelta(hours=1)
    is_waived: bool = False

    def falls_on(self, rows: int, held: PartitionManifest | None) -> bool:
        """Whether an answer of so many main records lacks most of what `held` has."""
        return held is not None and not self.is_waived and rows < self.small_part * arrived(held)

    def was_witnessed(self, held: PartitionManifest, now: datetime) -> bool:
        """Whether an earlier read has said the same."""
        first = held.notes.get(HELD_BACK_AT)
        return first is not None and datetime.fromisoformat(str(first)) <= now - self.second_read_after


USUAL_DOUBT = Doubt()


def arrived(manifest: PartitionManifest) -> int:
    """Main records of a partition, those in quarantine included."""
    return manifest.rows[manifest.stream] + manifest.quarantined


def state_before(store: Store, contract: Contract, project: str, key: str) -> PartitionManifest | None:
    """What an answer would replace: the window's own partition, or the listing before it."""
    held = lake.read_manifest(store, contract, project, key)
    if held is not None or contract.semantics != "snapshot":
        return held
    earlier = [other for other in lake.partitions(store, contract, project) if other < key]
    return lake.read_manifest(store, contract, project, earlier[-1]) if earlier else None


def hold_back(store: Store, contract: Contract, held: PartitionManifest, rows: int, now: datetime) -> PartitionManifest:
    """Note the doubted answer in the manifest that is kept, and with it when the first one came."""
    first = str(held.notes.get(HELD_BACK_AT, now.isoformat()))
    return lake.add_notes(store, contract, held, {HELD_BACK_AT: first, HELD_BACK_ROWS: rows})
