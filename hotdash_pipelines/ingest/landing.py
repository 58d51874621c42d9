"""One window on its way into the lake: its responses on the disk, its rows in files that do not count yet.

Belongs here: parsing the responses group by group, judging what is set aside, committing. Does not belong here: which
window is read when, and from whom (run.py, replay.py).
"""

import contextlib
from datetime import datetime

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.casts import ContractBreach
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.contracts.mend import rejected_unread
from hotdash_pipelines.contracts.parse import joined, parse_groups
from hotdash_pipelines.contracts.parsed import Parsed
from hotdash_pipelines.contracts.unique import part_repeated, repeated_keys, settle
from hotdash_pipelines.lake import partition as lake
from hotdash_pipelines.lake import quarantine
from hotdash_pipelines.lake.draft import PartitionDraft
from hotdash_pipelines.sources import Fetched, PermanentSourceError
from hotdash_pipelines.storage import Spool, Store, Workspace


class BadData(PermanentSourceError):
    """The source broke its contract; the pages are in quarantine and the window was not written."""


class WindowDraft:
    """A window that is being read. A context manager: what was not committed is gone at the end.

    `pages` is where the responses go. After `parse`, `arrived` is how many main records they hold, `rows` how many of
    them can be loaded.
    """

    def __init__(
        self, contract: Contract, store: Store, project: str, window: Window, workspace: Workspace | None = None
    ) -> None:
        self._contract, self._store, self._project, self._window = contract, store, project, window
        self._workspace = workspace or Workspace()
        self._closing = contextlib.ExitStack()
        self._name = f"{contract.source}/{contract.stream} {window.key}"
        self.arrived = self.rows = 0

    def __enter__(self) -> "WindowDraft":
        self.pages = self._closing.enter_context(Spool(self._workspace))
        self._draft = self._closing.enter_context(PartitionDraft(self._contract, self._workspace))
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def parse(self, fetched: Fetched) -> Parsed:
        """What is beside the rows, which are in files: records that break the contract or that cannot be shown.

        Raises BadData where rows have one key that must not.
        """
        if fetched.pages is not self.pages:
            self.pages.clear()
            for page in fetched.pages:
                self.pages.append(page)
        self._draft.clear()
        try:
            found = self._fill()
        except ContractBreach as error:
            raise BadData(f"{self._name}: {error}; mend the source or the key in its contract") from error
        found.rejected += [rejected_unread(one.record, one.reason, one.body) for one in fetched.skipped]
        self.rows = self._draft.rows[self._contract.table.name]
        self.arrived = self.rows + len(found.rejected) + found.repeated + found.superseded
        return found

    def _fill(self) -> Parsed:
        """Parse the pages into the draft, one record a key.

        The keys of all records stay in memory, and the rows of those that came more than once, which is seldom: then
        the pages are parsed once more.
        """
        contract, main, size = self._contract, self._contract.table, self._workspace.group_bytes
        found, keys = Parsed({}), []
        for first, part in parse_groups(contract, self.pages, size):
            self._draft.add(part.tables)
            found.add(part, first)
            keys += [part.tables[main.name].select(list(main.key))] if part.tables else []
        repeated = repeated_keys(keys) if keys else None
        if repeated is None or not repeated.num_rows:
            return found
        self._draft.clear()
        doubtful = []
        for first, part in parse_groups(contract, self.pages, size):
            plain, twice = part_repeated(contract, part, repeated)
            self._draft.add(plain.tables)
            doubtful.append((first, twice))
        settled = joined(contract, doubtful)
        settle(contract, settled)
        self._draft.add(settled.tables)
        found.repeated, found.superseded = settled.repeated, settled.superseded
        return found

    def land(self, fetched: Fetched, parsed: Parsed, now: datetime) -> PartitionManifest:
        """Commit what was fetched at `now` and parsed. Raises BadData when too much of it was set aside, LakeError."""
        self._judge(parsed, now)
        return lake.write_partition(
            self._store,
            self._contract,
            self._project,
            self._window,
            self._draft,
            self.pages,
            fetched_at=now,
            api_version=fetched.api_version,
            requests=fetched.requests,
            cost=fetched.cost,
            expected_rows=fetched.expected_rows,
            unknown_fields=parsed.unknown_fields,
            unknown_enum_values=parsed.unknown_enum_values,
            quarantined=len(parsed.rejected),
            repeated=parsed.repeated,
            superseded=parsed.superseded,
            mended_values=parsed.mended_values,
            notes=fetched.notes,
            deleted=fetched.deleted,
        )

    def _judge(self, parsed: Parsed, now: datetime) -> None:
        """Put what cannot be loaded into the quarantine; BadData when it is too much."""
        contract, rejected, bad = self._contract, parsed.rejected, parsed.bad_pages
        place = (self._store, contract, self._project, self._window)
        where = quarantine.keep_records(*place, rejected, now)
        file = f"contracts/{contract.source}/{contract.stream}.yaml"
        mend = f"mend {file} or the source, then materialise the partition again"
        if bad:
            kept = quarantine.keep_pages(*place, [(self.pages[page.index], page.reason) for page in bad], now)
            raise BadData(
                f"{self._name}: {len(bad)} of {len(self.pages)} pages cannot be read ({bad[0].reason}); "
                f"kept at {kept[0]}; {mend}"
            )
        if len(rejected) > max(1, int(contract.quarantine_tolerance * self.arrived)):
            raise BadData(
                f"{self._name}: {len(rejected)} of {self.arrived} records break the contract ({rejected[0].reason}); "
                f"kept at {where}; {mend}"
            )
