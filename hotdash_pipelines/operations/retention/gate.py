"""The gate before retention: the backup of the day that holds every table, verified and restored for a test.

Belongs here: finding that backup, or refusing. Does not belong here: making backups (backup), deleting (run.py).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.files import BackupManifest
from hotdash_pipelines.operations.backup.kinds import STANDING
from hotdash_pipelines.operations.retention.rules import (
    SCHEMA,
    RetentionRefused,
    RetentionRule,
    follower_of,
    retention_errors,
)
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

_NEWEST = """
select backup_id, restore_tested_at is not null
from ops.backup_runs
where state = 'verified' and pruned_at is null and scope = any(%(standing)s)
    and started_at >= %(midnight)s and started_at <= %(now)s
order by started_at desc, backup_id desc
limit 1
"""
_REMEDY = "run `hotdash backup create`, then retention again"


def standing_backup(
    database_url: str,
    store: Store,
    among: Sequence[RetentionRule],
    *,
    now: datetime,
    scratch: Path,
    key: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> str:
    """Id of the newest verified backup of the day of `now` (UTC), proven here and now to hold the tables of rules.

    Its digests are read again; a backup that was never restored for a test is restored now. Raises RetentionRefused
    when there is none that can be relied on, WarehouseError when the warehouse cannot be asked.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with connect(database_url, autocommit=True) as conn:
        newest = _asked(conn, _NEWEST, {"midnight": midnight, "now": now, "standing": list(STANDING)})
        leaves = {name for table in _tables(among) for (name,) in _leaves(conn, table)}
    if not newest:
        raise RetentionRefused(f"no verified backup was begun on {midnight:%Y-%m-%d} (UTC) before now: {_REMEDY}")
    ((backup_id, is_tested),) = newest
    try:
        manifest = _proven(store, backup_id, key)
        missing = sorted(leaves - set(manifest.tables))
        if missing:
            raise BackupError(f"it does not hold {', '.join(missing)}")
        if not is_tested:
            _restore(database_url, store, backup_id, now, scratch, key, on_progress)
    except HotdashError as error:
        raise RetentionRefused(f"backup {backup_id} cannot be relied on ({error}): {_REMEDY}") from error
    return backup_id


def _tables(among: Sequence[RetentionRule]) -> set[str]:
    followers = [follower_of(rule) for rule in among]
    return {rule.table for rule in (*among, *followers) if rule}


def _proven(store: Store, backup_id: str, key: str | None) -> BackupManifest:
    from hotdash_pipelines.operations.backup.verify import verify_quick

    return verify_quick(store, backup_id, key)


def _restore(
    url: str,
    store: Store,
    backup_id: str,
    now: datetime,
    scratch: Path,
    key: str | None,
    on_progress: Callable[[str], None] | None,
) -> None:
    from hotdash_pipelines.operations.restore.check import restore_test

    restore_test(url, store, backup_id, now=now, scratch=scratch, key=key, on_progress=on_progress)


def _leaves(conn: "psycopg.Connection[Any]", table: str) -> list[tuple[str]]:
    """The tables that hold its rows, as manifests name them: itself, or its partitions."""
    statement = (
        "select n.nspname || '.' || c.relname from pg_partition_tree(to_regclass(%(table)s)) as part"
        " join pg_class c on c.oid = part.relid join pg_namespace n on n.oid = c.relnamespace where part.isleaf"
    )
    return _asked(conn, statement, {"table": f"{SCHEMA}.{table}"}) or [(f"{SCHEMA}.{table}",)]


def _asked(conn: "psycopg.Connection[Any]", statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with retention_errors(conn.info.user):
        return conn.execute(statement.encode(), values).fetchall()
