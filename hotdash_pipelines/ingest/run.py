"""One window of one stream, from the source into the lake and from the lake into the raw tables.

Belongs here: the order of the steps (fetch, parse, quarantine, write; read, load) in plain Python, so that Dagster, the
benchmarks and the tests run the very same path.
Does not belong here: how a source is read (sources), files (lake), SQL (warehouse), Dagster (defs).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.contracts.parsed import Parsed
from hotdash_pipelines.ingest.held import HeldBefore
from hotdash_pipelines.ingest.hold_back import HELD_BACK_AT, USUAL_DOUBT, Doubt, arrived, hold_back, state_before
from hotdash_pipelines.ingest.landing import BadData, WindowDraft
from hotdash_pipelines.lake import partition as lake
from hotdash_pipelines.lake import quarantine
from hotdash_pipelines.sources import Fetched, Held, Pages, PermanentSourceError, SourceError
from hotdash_pipelines.storage import Store, Workspace
from hotdash_pipelines.warehouse.loading.load import Loader
from hotdash_pipelines.warehouse.loading.quarantine import note_quarantine
from hotdash_pipelines.warehouse.loading.steps import LoadResult
from hotdash_pipelines.warehouse.postgres import connect

# Rows may leave a window between the count and the reading when they are edited just then.
COUNT_TOLERANCE = 0.001
# How long a window is asked for records that their source could not show for the moment.
_SICK_DAYS = 7


class NotYetOver(PermanentSourceError):
    """The window has not begun; or it is a date that its source counts when it is over, and is not over."""


@dataclass(frozen=True)
class Ingested:
    """What the lake holds for a window after an ingest; `manifest` is None where the stream has none for that day."""

    key: str
    manifest: PartitionManifest | None
    was_fetched: bool
    held_back: str | None = None
    """What was not believed, where the lake kept what it had."""

    @property
    def rows(self) -> int:
        """Rows of the stream's main table."""
        return self.manifest.rows[self.manifest.stream] if self.manifest else 0


def ingest_window(
    contract: Contract,
    client: object,
    fetch: Callable[[Any, Contract, Window, Held, Pages], Fetched],
    store: Store,
    project: str,
    window: Window,
    now: datetime,
    database_url: str | None = None,
    doubt: Doubt = USUAL_DOUBT,
    workspace: Workspace | None = None,
) -> Ingested:
    """Fetch a window, hold it against its contract and commit it to the lake.

    Raises SourceError (transient or permanent) in one line that names stream and partition. Records that break the
    contract are put into the quarantine first; the window is refused when their share exceeds the contract's
    `quarantine_tolerance` (one record is always allowed) or a page cannot be read at all, and then the lake keeps what
    it had.

    A day that is not over is read up to now and marked open. Days are read from the oldest to the newest: a row that is
    touched meanwhile leaves its day for the newest one. With `database_url` a stream may look for what its source lost.

    An answer without most of the rows that were there is held back, and the lake keeps what it had, until a second
    witness says the same: the source's own count, a later read, or `doubt` waived by a person. Rows of an `updated`
    stream move on and none is deleted for want of an answer, so another read at once is witness enough.
    """
    name = f"{contract.source}/{contract.stream} {window.key}"
    readable_from = window.start if contract.semantics == "updated" else window.end
    if now < readable_from:
        state = "has not begun" if contract.semantics == "updated" else "is not over"
        raise NotYetOver(
            f"{name}: the day {state} in the store's zone; materialise it after {readable_from:%Y-%m-%d %H:%M} UTC"
        )
    before = HeldBefore(store, contract, project, window, database_url)
    with WindowDraft(contract, store, project, window, workspace) as draft:

        def read() -> tuple[Fetched, Parsed]:
            draft.pages.clear()
            fetched = fetch(client, contract, window.asked_at(now), before, draft.pages)
            return fetched, draft.parse(fetched)

        fetched, parsed = read()
        held = state_before(store, contract, project, window.key)
        if held is not None and not parsed.bad_pages and doubt.falls_on(draft.arrived, held):
            confirms = _count_confirms(contract, fetched.expected_rows, draft.arrived)
            if confirms is None and contract.semantics == "updated":
                fetched, parsed = read()
            elif confirms is False or (confirms is None and not doubt.was_witnessed(held, now)):
                kept = hold_back(store, contract, held, draft.arrived, now)
                told = f"{draft.arrived} rows came where {arrived(held)} were"
                return Ingested(window.key, kept if kept.key == window.key else None, was_fetched=True, held_back=told)
        return Ingested(window.key, draft.land(fetched, parsed, now), was_fetched=True)


def _count_confirms(contract: Contract, counted: int | None, came: int) -> bool | None:
    """Whether the source's own count bears the answer out; None where there is none that is independent of it.

    Rows that came since the count do not contradict. The count of a date comes with its answer and says nothing.
    """
    if counted is None or contract.semantics == "event_date":
        return None
    return counted - came <= COUNT_TOLERANCE * counted


def is_off(manifest: PartitionManifest) -> bool:
    """Whether the source counted clearly more or fewer rows in the window than the partition holds.

    The count comes before the reading: an open day may have grown since.
    """
    expected, arrived = manifest.expected_rows, manifest.arrived - manifest.repeated - manifest.superseded
    if expected is None or (manifest.is_open and arrived > expected):
        return False
    return abs(expected - arrived) > COUNT_TOLERANCE * max(expected, arrived)


def can_be_read(contract: Contract, window: Window, newest: Window) -> bool:
    """Whether the source can be asked for this window; `newest` is the last complete day.

    A day of changes can be read as soon as it has begun, and a date once it is over. A listing shows the present and
    stands for the last complete day, as which it is read.
    """
    if contract.semantics == "snapshot":
        return window.key == newest.key
    return contract.semantics == "updated" or window.key <= newest.key


def is_due(
    contract: Contract,
    window: Window,
    newest: Window,
    held: PartitionManifest | None,
    just_read_since: datetime | None = None,
) -> bool:
    """Whether a routine run fetches this window: it is missing, short, by another contract, or may still change.

    `newest` is the last complete day. The current day is open and always due, and so are a day that was open when it
    was read and is over, and one whose last answer was held back. A window may change for `refetch_days` days, and a
    date that was last read before those were over still has to be read once more. A sound window fetched after
    `just_read_since` can wait.
    """
    if not can_be_read(contract, window, newest):
        return False
    if held is None or held.contract_digest != contract.digest or is_off(held):
        return True
    if HELD_BACK_AT in held.notes or (held.is_open and window.key <= newest.key):
        return True
    if just_read_since is not None and held.fetched_at > just_read_since:
        return False
    if held.notes.get("sick") and (newest.day - window.day).days < _SICK_DAYS:
        return True
    if contract.semantics == "snapshot" or (newest.day - window.day).days < contract.refetch_days:
        return True
    return contract.semantics == "event_date" and held.fetched_at < settled_from(contract, window)


def settled_from(contract: Contract, window: Window) -> datetime:
    """From when on a window is read as it will stay."""
    return window.end + timedelta(days=contract.refetch_days - 1)


def is_whole(contract: Contract, window: Window, manifest: PartitionManifest | None, now: datetime) -> bool:
    """Whether the lake has of a window what it can have; `manifest` is what it has, None where that is nothing."""
    return not is_off(manifest) if manifest else _has_none(contract, window, now)


def _has_none(contract: Contract, window: Window, now: datetime) -> bool:
    """Whether there is nothing to be had: a past day of a listing, or a date that is not over."""
    return contract.semantics == "snapshot" or (contract.semantics == "event_date" and now < window.end)


def load_window(
    loader: Loader,
    contract: Contract,
    store: Store,
    project: str,
    window: Window,
    manifest: PartitionManifest | None,
    now: datetime,
    workspace: Workspace | None = None,
) -> LoadResult | None:
    """Load a window of the lake into the raw tables, in a transaction of its own; `manifest` is what the lake has.

    Returns what the load did, None where there is nothing to be had. Raises SourceError when the lake lacks a partition
    that should be there, LakeError or LoadError when one cannot be read or loaded.
    """
    if manifest is not None:
        opened = partial(lake.open_table, store, contract, manifest, workspace=workspace)
        return loader.load(project, manifest, opened, now)
    if _has_none(contract, window, now):
        return None
    raise PermanentSourceError(
        f"{contract.source}/{contract.stream} {window.key}: the lake has no partition; "
        f"materialise lake_{contract.source}/{contract.stream} first"
    )


def load_windows(
    contract: Contract,
    store: Store,
    database_url: str,
    project: str,
    windows: Sequence[Window],
    now: datetime,
    workspace: Workspace | None = None,
) -> Iterator[tuple[str, LoadResult | None]]:
    """Load windows of the lake one after the other on one connection, each as `load_window` does, errors included.

    When all are loaded, `ops.quarantined_records` says what of the stream waits.
    """
    with Loader(database_url, contract) as loader:
        for window in windows:
            manifest = lake.read_manifest(store, contract, project, window.key)
            yield window.key, load_window(loader, contract, store, project, window, manifest, now, workspace)
    note_waiting(contract, store, database_url, project, now)


def note_waiting(contract: Contract, store: Store, database_url: str, project: str, now: datetime) -> dict[str, int]:
    """Let `ops.quarantined_records` say what of the stream waits in the lake's quarantine.

    Returns how many records wait of each `source/stream`, of the others as they were last noted.
    """
    with connect(database_url) as conn:
        return note_quarantine(conn, contract, project, quarantine.quarantined(store, contract, project), now)


__all__ = [
    "BadData",
    "Ingested",
    "NotYetOver",
    "SourceError",
    "can_be_read",
    "ingest_window",
    "is_due",
    "is_off",
    "is_whole",
    "load_window",
    "load_windows",
    "note_waiting",
]
