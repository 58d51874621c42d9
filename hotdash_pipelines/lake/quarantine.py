"""What a source sent that cannot be loaded, kept until somebody has looked at it.

Layout: `quarantine/<source>/<stream>/project=<project>/window=<key>/` with `records-<sha12>.jsonl`, one rejected record
a line beside its reason, and `<sha12>.json` with `<sha12>.reason.json` for each page that could not be read at all.

Belongs here: writing, listing and pruning these files. Does not belong here: why a record is rejected (contracts), the
table that counts them (warehouse.loading.quarantine).
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.mend import UNREAD, QuarantinedRecord, RejectedRecord
from hotdash_pipelines.lake.partition import PrunedPartitions, folder_of, named, stream_folder
from hotdash_pipelines.storage import Store

_REASON, _RECORDS = ".reason", "records-"
# Enough to see what is wrong; a window with more than its tolerance is refused anyway.
_KEPT_RECORDS = 10_000


def keep_records(
    store: Store, contract: Contract, project: str, window: Window, rejected: Sequence[RejectedRecord], now: datetime
) -> str | None:
    """Make the quarantine of a window hold exactly these records; returns where they are, None when there are none."""
    folder = _folder(contract, project, window)
    lines = [_line(contract, record, now) for record in rejected[:_KEPT_RECORDS]]
    content = b"".join(line + b"\n" for line in lines)
    digest = hashlib.sha256(b"".join(record.record for record in rejected)).hexdigest()[:12]
    path = f"{folder}/{_RECORDS}{digest}.jsonl"
    with named(contract, window.key, "bad records could not be kept; mend that, then materialise the partition again"):
        if lines:
            store.write(path, content)
        for other in store.list(folder):
            if other.removeprefix(f"{folder}/").startswith(_RECORDS) and (other != path or not lines):
                store.delete(other)
    return store.uri(path) if lines else None


def _line(contract: Contract, record: RejectedRecord, now: datetime) -> bytes:
    why = {
        "key": record.key,
        "page": record.page,
        "reason": record.reason,
        "contract_version": contract.version,
        "kept_at": now.isoformat(),
        "record": record.record.decode(),
    }
    return json.dumps(why, sort_keys=True).encode()


def keep_pages(
    store: Store, contract: Contract, project: str, window: Window, pages: Sequence[tuple[bytes, str]], now: datetime
) -> list[str]:
    """Keep pages that cannot be read, each with its reason beside it; returns where they are.

    The same page kept twice is one file.
    """
    folder = _folder(contract, project, window)
    kept = []
    with named(contract, window.key, "bad pages could not be kept; mend that, then materialise the partition again"):
        for page, reason in pages:
            name = hashlib.sha256(page).hexdigest()[:12]
            store.write(f"{folder}/{name}.json", page)
            why = {"reason": reason, "kept_at": now.isoformat(), "contract_version": contract.version}
            store.write(f"{folder}/{name}{_REASON}.json", json.dumps(why, indent=2, sort_keys=True).encode() + b"\n")
            kept.append(store.uri(f"{folder}/{name}.json"))
    return kept


def quarantined(store: Store, contract: Contract, project: str) -> list[QuarantinedRecord]:
    """Every rejected record of a stream, by window. A line that is damaged is left out."""
    folder = f"quarantine/{stream_folder(contract, project)}"
    records = []
    with named(contract, "(quarantine)", "mend that, then run again"):
        for path in store.list(folder):
            window, _, name = path.removeprefix(f"{folder}/window=").partition("/")
            if name.startswith(_RECORDS):
                with contextlib.suppress(FileNotFoundError):
                    records += [record for line in store.read(path).splitlines() for record in _read(window, line)]
    return records


def unread(store: Store, contract: Contract, project: str, window: Window) -> list[RejectedRecord]:
    """The records of a window that its source could not show: they are in no page, so no replay finds them."""
    folder = _folder(contract, project, window)
    records = []
    with named(contract, "(quarantine)", "mend that, then run again"):
        for path in store.list(folder):
            if path.removeprefix(f"{folder}/").startswith(_RECORDS):
                lines = [json.loads(line) for line in store.read(path).splitlines()]
                records += [
                    RejectedRecord(UNREAD, line["record"].encode(), line["key"], line["reason"])
                    for line in lines
                    if line["page"] == UNREAD
                ]
    return records


def _read(window: str, line: bytes) -> Iterator[QuarantinedRecord]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        why = json.loads(line)
        yield QuarantinedRecord(
            window,
            hashlib.sha256(why["record"].encode()).hexdigest(),
            hashlib.sha256(why["key"].encode()).hexdigest() if why["key"] else None,
            str(why["reason"]),
            int(why["contract_version"]),
            datetime.fromisoformat(why["kept_at"]),
        )


def prune_quarantine(
    store: Store, contract: Contract, project: str, older_than: datetime, *, dry_run: bool = False
) -> PrunedPartitions:
    """Delete pages and records that were quarantined before `older_than`; `keys` are their paths.

    What does not tell when it was kept is as old as the end of its window's day.
    """
    folder = f"quarantine/{stream_folder(contract, project)}"
    pruned, size = [], 0
    with named(contract, "(quarantine)", "mend that, then run again"):
        names = set(store.list(folder))
        for path in sorted(names):
            stem, reason = path.removesuffix(".json"), f"{path.removesuffix('.json')}{_REASON}.json"
            is_records = path.rpartition("/")[2].startswith(_RECORDS)
            if stem.endswith(_REASON) and f"{stem.removesuffix(_REASON)}.json" in names:
                continue
            key = path.removeprefix(f"{folder}/window=").partition("/")[0]
            kept_at = _kept_at(store, path if is_records or stem.endswith(_REASON) else reason, key)
            if kept_at is None or kept_at >= older_than:
                continue
            for going in (path, reason):
                if going in names:
                    with contextlib.suppress(FileNotFoundError):
                        size += store.size(going)
                    if not dry_run:
                        store.delete(going)
                        reach("lake.quarantine_deleted")
            pruned.append(path)
    return PrunedPartitions(tuple(pruned), size)


def _kept_at(store: Store, told_in: str, window_key: str) -> datetime | None:
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        content = store.read(told_in)
        why = json.loads(content.splitlines()[0] if told_in.endswith(".jsonl") else content)
        kept_at = datetime.fromisoformat(why["kept_at"])
        if kept_at.tzinfo is not None:
            return kept_at
    with contextlib.suppress(ValueError):
        return datetime.combine(date.fromisoformat(window_key), time.max, UTC)
    return None


def _folder(contract: Contract, project: str, window: Window) -> str:
    return f"quarantine/{folder_of(contract, project, window.key)}"
