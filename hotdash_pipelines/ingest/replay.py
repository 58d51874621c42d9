"""Raw pages that are kept, parsed anew without asking the source: after a contract was mended, or the parser.

Belongs here: which windows can be replayed, what a replay would change, and doing it. Does not belong here: loading the
tables (run.py), asking (cli).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.ingest.landing import BadData, WindowDraft
from hotdash_pipelines.lake import partition as lake
from hotdash_pipelines.lake.quarantine import unread
from hotdash_pipelines.sources import Fetched
from hotdash_pipelines.sources.registry import Skipped
from hotdash_pipelines.storage import Store, Workspace


@dataclass(frozen=True)
class ReplayedWindow:
    """What a replay did to a window, or would do: rows of the main table and quarantined records, before and after.

    `error` is one line: then the window is as it was.
    """

    stream: str
    key: str
    rows_before: int
    rows: int
    quarantined_before: int
    quarantined: int
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The window as plain JSON values."""
        return asdict(self)


def replay(
    contract: Contract,
    store: Store,
    project: str,
    first: date,
    last: date,
    *,
    dry_run: bool,
    workspace: Workspace | None = None,
) -> Iterator[ReplayedWindow]:
    """Parse the kept pages of every window from `first` to `last` by today's contract and commit them to the lake.

    A window keeps when and how it was fetched. One whose pages are no longer kept, or that is still refused, stays as
    it is and says so; the others go on.
    """
    for key in lake.partitions(store, contract, project):
        if first <= date.fromisoformat(key) <= last:
            held = lake.read_manifest(store, contract, project, key)
            if held is not None:
                yield _replay(contract, store, project, held, workspace, dry_run=dry_run)


def _replay(
    contract: Contract,
    store: Store,
    project: str,
    held: PartitionManifest,
    workspace: Workspace | None,
    *,
    dry_run: bool,
) -> ReplayedWindow:
    window = Window(held.key, held.window_start, held.window_end)
    stream, rows = f"{held.source}/{held.stream}", held.rows[held.stream]
    try:
        with WindowDraft(contract, store, project, window, workspace) as draft:
            if held.pages_file or rows:
                for page in lake.read_pages(store, contract, held, workspace):
                    draft.pages.append(page)
            skipped = unread(store, contract, project, window)
            fetched = Fetched(
                draft.pages,
                held.requests,
                held.cost,
                held.api_version,
                held.expected_rows,
                held.notes,
                tuple(Skipped(json.loads(one.key or "[null]")[0] or "", one.reason, one.record) for one in skipped),
                {key: datetime.fromisoformat(at) if at else None for key, at in held.deleted.items()},
            )
            parsed = draft.parse(fetched)
            after, aside = draft.rows, len(parsed.rejected)
            if not dry_run:
                written = draft.land(fetched, parsed, held.fetched_at)
                after, aside = written.rows[written.stream], written.quarantined
    except (lake.LakeError, BadData) as error:
        return ReplayedWindow(stream, held.key, rows, rows, held.quarantined, held.quarantined, str(error))
    return ReplayedWindow(stream, held.key, rows, after, held.quarantined, aside)
