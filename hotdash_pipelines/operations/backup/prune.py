"""Making room: which backups go, removing them so that none is ever half there, sweeping what killed runs left.

Belongs here: these three. Does not belong here: how many are kept, and when (settings, schedules).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.files import MANIFEST, ListedBackup, is_id, list_backups, path_of, started
from hotdash_pipelines.storage import FolderStore, Store

if TYPE_CHECKING:
    import psycopg

# A bucket has no lock, so an unfinished backup there may be one that another machine is writing: it gets this long.
_FOREIGN = timedelta(days=1)
# Clocks of two machines differ by less.
_AHEAD = timedelta(hours=1)


@dataclass(frozen=True)
class PrunedBackups:
    """What stays and what goes (or went), ids with the newest first; `bytes` are those of the backups that go.

    `swept` are folders that never became a backup.
    """

    kept: list[str]
    removed: list[str]
    bytes: int
    swept: list[str]


def to_remove(
    listed: Sequence[ListedBackup], keep: int, now: datetime
) -> tuple[list[ListedBackup], list[ListedBackup]]:
    """(kept, removed) of backups listed newest first; unfinished ones are in neither.

    Kept are the `keep` newest valid ones of scope operational or full, at least one, and everything as new as these:
    so a broken one neither counts nor goes before a good one has taken its place, and neither does one of single
    tables. One of the future does not count either: its clock was wrong, and those made since look older. While there
    are fewer good ones than `keep`, nothing goes.
    """
    counting = [
        one
        for one in listed
        if one.manifest is not None and one.manifest.kind.is_standing and one.manifest.started_at <= now + _AHEAD
    ]
    wanted = max(keep, 1)
    if len(counting) < wanted:
        return [one for one in listed if one.state != "unfinished"], []
    oldest = counting[wanted - 1].id
    finished = [one for one in listed if one.state != "unfinished"]
    return [one for one in finished if one.id >= oldest], [one for one in finished if one.id < oldest]


def prune(
    store: Store,
    keep: int,
    *,
    key: str | None = None,
    dry_run: bool = False,
    conn: "psycopg.Connection[Any] | None" = None,
    now: datetime,
) -> PrunedBackups:
    """Remove all but the newest valid backups, see `to_remove`, and what killed runs left.

    A manifest goes first, so a backup is whole or none at every instant. With `conn`, in autocommit, ops.backup_runs
    notes since when they are gone, also those that a killed prune removed. Raises StoreError, psycopg.Error.
    """
    if dry_run:
        kept, removed = to_remove(list_backups(store, key), keep, now)
        return _pruned(kept, removed, _unfinished(store, now))
    with store.exclusive(""):
        listed = list_backups(store, key)
        kept, removed = to_remove(listed, keep, now)
        reach("prune.planned")
        for backup in reversed(removed):
            store.delete(path_of(store, backup.id, MANIFEST))
            reach("prune.manifest_deleted")
            store.clear(backup.id)
            reach("prune.cleared")
        swept = sweep_unfinished(store, now)
        if conn is not None:
            _record(conn, store, {one.id for one in kept}, now)
        reach("prune.recorded")
    return _pruned(kept, removed, swept)


def sweep_unfinished(store: Store, now: datetime) -> list[str]:
    """Remove folders without a manifest; returns their ids. Only inside `store.exclusive("")`.

    In a bucket, which other machines may be writing to, only those begun over a day before `now`.
    """
    unfinished = _unfinished(store, now)
    for backup_id in unfinished:
        store.clear(backup_id)
    return unfinished


def _unfinished(store: Store, now: datetime) -> list[str]:
    names = sorted(name for name in store.folders() if is_id(name))
    is_foreign = not isinstance(store, FolderStore)
    return [
        name
        for name in names
        if not (is_foreign and started(name) > now - _FOREIGN) and not store.exists(path_of(store, name, MANIFEST))
    ]


def _pruned(kept: Sequence[ListedBackup], removed: Sequence[ListedBackup], swept: list[str]) -> PrunedBackups:
    freed = sum(one.manifest.bytes for one in removed if one.manifest)
    return PrunedBackups([one.id for one in kept], [one.id for one in removed], freed, swept)


def _record(conn: "psycopg.Connection[Any]", store: Store, kept: set[str], now: datetime) -> None:
    """Note which recorded backups of this store are gone from it; records of other stores are not touched."""
    rows = conn.execute(
        "select backup_id, location from ops.backup_runs where state = 'verified' and pruned_at is null"
    ).fetchall()
    gone = [one for one, location in rows if location == store.uri(one) and one not in kept]
    conn.execute("update ops.backup_runs set pruned_at = %s where backup_id = any(%s)", (now, gone))
