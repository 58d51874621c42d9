"""What a source counts of each business day, beside what is loaded of it.

Belongs here: which days are counted and when, and the verdict over a stream's days. Does not belong here: how a source
counts (sources), the ledger's statements (warehouse/stream_days.py), Dagster (defs).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.sources import counted_streams, counter
from hotdash_pipelines.warehouse.stream_days import DayCount, StreamDay, days_to_count, note_counts

# Days outside the windows at hand that are counted again because they differ: no more than fit into one request.
DIFFERING_DAYS = 25


@dataclass(frozen=True)
class DaysVerdict:
    """Whether the days that a source counted are loaded whole; `differing` and `waiting` list those that are not.

    What waits has fewer records than the source counts, and later windows that may hold them are still to be loaded.
    """

    counted: int
    source_records: int
    loaded_records: int
    differing: tuple[StreamDay, ...]
    waiting: tuple[StreamDay, ...]

    @property
    def message(self) -> str | None:
        """What is wrong in one line, None when nothing is."""
        for days, what in (
            (self.differing, "days that differ from the source's count"),
            (self.waiting, "days that wait for later windows, to which their records may have moved"),
        ):
            if days:
                listed = ", ".join(f"{day.day} ({day.loaded} of {day.counted})" for day in days)
                return f"{what}: {listed}; see docs/runbooks/day-not-complete.md"
        return None


def has_count_by_day(contract: Contract) -> bool:
    """Whether the source gives a count of the stream's days that does not come from reading its rows."""
    return (contract.source, contract.stream) in counted_streams()


def count_days(
    contract: Contract,
    client: object,
    url: str,
    project: str,
    zone: ZoneInfo,
    held: Iterable[PartitionManifest],
    clock: Callable[[], datetime],
) -> list[DayCount]:
    """Ask the source how many records it has of the days at hand, and keep the answers in the ledger.

    `held` are the partitions of the lake at hand. A day is counted once after each reading of its window, so a run that
    reads nothing asks nothing; days that differ are counted along. Raises SourceError, WarehouseError.
    """
    count = counter(contract.source, contract.stream)
    if count is None:
        return []
    fetched_at = {manifest.key: manifest.fetched_at for manifest in held}
    keys = days_to_count(url, contract, project, fetched_at, DIFFERING_DAYS)
    if not keys:
        return []
    answers = count(client, contract, [window_of(key, zone) for key in keys])
    now = clock()
    counted = [DayCount(key, answers.get(key), now) for key in keys]
    note_counts(url, contract, project, counted)
    return counted


def verdict(days: Sequence[StreamDay]) -> DaysVerdict:
    """The days of a stream that were counted, weighed."""
    return DaysVerdict(
        len(days),
        sum(day.counted for day in days),
        sum(day.loaded for day in days),
        tuple(day for day in days if day.differs),
        tuple(day for day in days if day.waits),
    )
