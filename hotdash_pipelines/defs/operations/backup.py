"""Backups of the operational tables, and the proof that they are there, whole and good for a restore.

Belongs here: the asset and its checks. Does not belong here: making and verifying a backup (operations.backup and its
neighbours), when it runs (defs/schedules.py).
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from hotdash_pipelines.agent.tables import load_agent_tables
from hotdash_pipelines.defs.operations.verdicts import OperationVerdict, stored_check
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema, runbook
from hotdash_pipelines.orchestration.resources import ClockResource, StoresResource, WarehouseResource
from hotdash_pipelines.settings import get_settings

if TYPE_CHECKING:
    from hotdash_pipelines.operations.backup.files import BackupManifest, ListedBackup
    from hotdash_pipelines.operations.backup.prune import PrunedBackups
    from hotdash_pipelines.operations.backup.run import Backup

_PAGE = "runbooks/backup-failed.md"
# A day, and two hours for a long night.
LATE_AFTER = timedelta(hours=26)
_CLOCKS_DIFFER = timedelta(minutes=10)
_COLUMNS = (
    ("backup_id", "text", "Its name and its folder's: when it began, in UTC, and a random part.", False, {}),
    ("scope", "text", "operational, full (the whole warehouse) or tables (some).", False, {}),
    ("state", "text", "verified: read back whole; failed: no backup came of it.", False, {}),
    ("location", "text", "Folder or bucket that holds it.", False, {}),
    ("started_at", "timestamp with time zone", "Rows committed before this instant are in it.", False, {}),
    ("finished_at", "timestamp with time zone", "When it was read back.", False, {}),
    ("bytes", "bigint", "Size, compressed.", True, {}),
    ("row_count", "bigint", "Rows of all tables together.", True, {}),
    ("restore_tested_at", "timestamp with time zone", "When it was last restored and found equal.", True, {}),
    ("pruned_at", "timestamp with time zone", "When it made room for newer ones.", True, {}),
    ("error", "text", "Why it failed.", True, {}),
)  # fmt: skip


@dg.asset(
    key=keys.BACKUP_KEY,
    deps=[keys.PROJECTS_KEY, *(keys.agent_key(table.name) for table in load_agent_tables())],
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds={"postgres", "python"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=LATE_AFTER),
    pool=keys.WAREHOUSE_POOL,
    metadata={
        "dagster/column_schema": column_schema(_COLUMNS),
        "dagster/table_name": "ops.backup_runs",
        "runbook": runbook(_PAGE),
    },
)
def operational(
    context: dg.AssetExecutionContext, clock: ClockResource, stores: StoresResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:
    """One row is one backup of the support agent's tables and of the pipeline's own records, from one snapshot.

    Made every night at 02:00 UTC, late after 26 hours. A backup counts when its dump was decoded to the last row and
    its manifest stands; the newest HOTDASH_BACKUP_KEEP of them are kept, and one that fails never makes room for
    itself. What the sources can bring again (raw tables, marts) is not in it. `hotdash restore` takes one back.
    """
    from hotdash_pipelines.operations.backup.prune import prune
    from hotdash_pipelines.operations.backup.run import create_backup, one_at_a_time
    from hotdash_pipelines.warehouse.postgres import connect

    url, store, key = warehouse.url(), stores.backups(), stores.manifest_key()
    with one_line_errors(context.op_execution_context, "backups/operational"):
        made = create_backup(
            url, store, now=clock.now(), scratch=stores.scratch(), key=key, on_progress=context.log.info
        )
        with connect(url, autocommit=True) as conn, one_at_a_time(conn):
            left = prune(store, get_settings().backup_keep, key=key, conn=conn, now=clock.now())
    return dg.MaterializeResult(metadata=_facts(made, left))


def _facts(made: "Backup", left: "PrunedBackups") -> dict[str, Any]:
    return {
        "dagster/row_count": made.manifest.rows,
        "backup_id": made.id,
        "files": dg.MetadataValue.path(made.location),
        "bytes": made.manifest.bytes,
        "tables": len(made.manifest.tables),
        "seconds": round(sum(made.seconds.values()), 3),
        **{f"seconds_{step}": spent for step, spent in made.seconds.items()},
        "schema_version": made.manifest.schema_version,
        "signed": get_settings().manifest_key is not None,
        "backups_kept": len(left.kept),
        "backups_pruned": len(left.removed),
        "bytes_freed": left.bytes,
    }


def _held(stores: StoresResource) -> "list[ListedBackup]":
    """Backups of all operational tables that have a manifest, valid or broken, the newest first."""
    from hotdash_pipelines.operations.backup.files import list_backups

    backups = list_backups(stores.backups(), stores.manifest_key())
    return [one for one in backups if one.state == "broken" or (one.manifest and one.manifest.kind.is_standing)]


def _valid(stores: StoresResource) -> "list[BackupManifest]":
    return [one.manifest for one in _held(stores) if one.manifest]


def _none(stores: StoresResource) -> OperationVerdict:
    return OperationVerdict(
        False, f"{stores.backups().uri('')} holds no backup: materialise this asset, or `hotdash backup create`"
    )


def is_verified(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:  # noqa: ARG001 - every judge's
    """Whether the newest backup still decodes to its end, as it stands in the store."""
    from hotdash_pipelines.operations.backup.files import BackupError
    from hotdash_pipelines.operations.backup.verify import verify_decode

    for newest in _held(stores)[:1]:
        try:
            manifest = verify_decode(stores.backups(), newest.id, stores.manifest_key())
        except BackupError as error:
            return OperationVerdict(False, str(error), facts={"backup_id": newest.id})
        summary = f"{manifest.rows:,} rows of {len(manifest.tables)} tables decoded from {newest.id}"
        return OperationVerdict(True, summary, manifest.rows, {"backup_id": newest.id, "tables": len(manifest.tables)})
    return _none(stores)


def is_recent(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:  # noqa: ARG001 - every judge's
    """Whether the newest valid backup began within the last 26 hours."""
    for newest in _valid(stores)[:1]:
        age = now - newest.started_at
        hours = round(age / timedelta(hours=1), 1)
        facts = {"backup_id": newest.id, "hours": hours}
        if age > LATE_AFTER:
            summary = f"the newest backup began {hours} hours ago: look at the last runs of {keys.BACKUP_JOB}"
        elif age < -_CLOCKS_DIFFER:
            summary = f"the newest backup, {newest.id}, is of the future: set the clock right, then move it away"
        else:
            return OperationVerdict(True, f"the newest backup began {hours} hours ago", facts=facts)
        return OperationVerdict(False, summary, facts=facts)
    return _none(stores)


def are_kept(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:  # noqa: ARG001 - every judge's
    """Whether as many valid backups stand as are to be kept."""
    wanted = get_settings().backup_keep
    held = _held(stores)
    valid = [one for one in held if one.manifest]
    broken = len(held) - len(valid)
    summary = f"{len(valid)} of {wanted} valid backups stand" + (f", {broken} broken" if broken else "")
    return OperationVerdict(len(valid) >= wanted, summary, len(held), {"oldest": valid[-1].id} if valid else {})


def restores(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:
    """Whether the newest backup, restored into a scratch database, is what its manifest says."""
    from hotdash_pipelines.operations.backup.files import BackupError
    from hotdash_pipelines.operations.restore.check import restore_test
    from hotdash_pipelines.warehouse.postgres import WarehouseError

    for newest in _held(stores)[:1]:
        facts: dict[str, Any] = {"backup_id": newest.id}
        if newest.reason:
            return OperationVerdict(False, newest.reason, facts=facts)
        try:
            tested = restore_test(
                url, stores.backups(), newest.id, now=now, scratch=stores.scratch(), key=stores.manifest_key()
            )
        except (BackupError, WarehouseError) as error:
            return OperationVerdict(False, str(error), facts=facts)
        if tested.untried:
            facts["roles_not_tried"] = ", ".join(tested.untried)
        summary = (
            f"{tested.rows:,} rows of {tested.tables} tables came back equal from {newest.id}, with rights and policies"
        )
        return OperationVerdict(True, summary, tested.rows, facts)
    return _none(stores)


newest_backup_is_verified = stored_check(
    keys.BACKUP_KEY,
    "newest_backup_is_verified",
    is_verified,
    "The newest backup, read from where it is kept, decodes to its end and has the rows that its manifest promises.",
    dimension="accuracy",
    page=_PAGE,
)
newest_backup_is_recent = stored_check(
    keys.BACKUP_KEY,
    keys.RECENT_CHECK,
    is_recent,
    "The newest valid backup began within the last 26 hours.",
    dimension="timeliness",
    page=_PAGE,
    # The SLA backup_recent wakes somebody, once; the failed backup has told of itself already.
    warns=True,
)
newest_backup_restores = stored_check(
    keys.BACKUP_KEY,
    keys.RESTORE_CHECK,
    restores,
    "The newest backup, restored beside the warehouse, has the rows, rights, policies and triggers of its day.",
    dimension="consistency",
    page=_PAGE,
)
seven_verified_backups_are_kept = stored_check(
    keys.BACKUP_KEY,
    "seven_verified_backups_are_kept",
    are_kept,
    "As many valid backups stand as HOTDASH_BACKUP_KEEP says (seven unless it is set); fewer in the first days.",
    dimension="completeness",
    page=_PAGE,
    warns=True,
)
