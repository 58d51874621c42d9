"""Level 3 of verifying a backup: it is restored, looked at, and dropped again.

Belongs here: the scratch database, the record in ops.backup_runs. Does not belong here: levels 1 and 2
(operations/backup/verify.py), a restore that stays (run.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.files import read_manifest, run_record
from hotdash_pipelines.operations.records import insert_record
from hotdash_pipelines.operations.restore import fill, load, roles, swap
from hotdash_pipelines.operations.restore.proof import prove
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse.postgres import connect, describe, libpq_env
from hotdash_pipelines.warehouse.schema.migrate import migrate

# The archives of a month ask for a test at the same time, and the weekly one may still be under way.
_WAIT = "30min"


@dataclass(frozen=True)
class Tested:
    """A backup that was restored and found equal. `untried` are the roles that the user may not become."""

    backup_id: str
    tables: int
    rows: int
    untried: list[str]


def restore_test(
    database_url: str,
    store: Store,
    backup_id: str,
    *,
    now: datetime,
    scratch: Path,
    key: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Tested:
    """Restore a backup into a scratch database of the same server, compare every row, prove guards, try each role.

    Waits for another test of this database. Drops the scratch database, also those that killed tests left; writes `now`
    as ops.backup_runs.restore_tested_at. Raises BackupError with the first difference; the record then stays as it was.
    """
    tell = on_progress or (lambda _: None)
    database = libpq_env(database_url)["PGDATABASE"]
    server = swap.server_url(database_url)
    with (
        load.one_line_errors(),
        connect(server, autocommit=True) as admin,
        swap.alone(admin, f"{database} (test)", _WAIT),
    ):
        manifest = read_manifest(store, backup_id, key)
        fill.check(admin, manifest, describe(server))
        facts = manifest.database
        with fill.fetched(store, manifest, scratch, tell) as dump:
            roles.make(admin, manifest.roles)
            with fill.filled(admin, database_url, "restoretest", manifest, dump, facts, facts["owner"], tell) as url:
                migrate(url)
                tell("proving row-level security, grants, triggers and sequences; one read per role")
                with connect(url, autocommit=True) as conn:
                    untried = prove(conn)
                reach("restore_test.proven")
                load.drop_database(admin, libpq_env(url)["PGDATABASE"])
    with load.one_line_errors(), connect(database_url) as conn:
        row = {**run_record(manifest, store), "restore_tested_at": now}
        tested = "state = 'verified', error = null, restore_tested_at = excluded.restore_tested_at"
        insert_record(conn, "ops.backup_runs", row, f"on conflict (backup_id) do update set {tested}")
    return Tested(backup_id, len(manifest.tables), manifest.rows, untried)
