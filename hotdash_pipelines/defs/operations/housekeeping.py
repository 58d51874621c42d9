"""What piles up and nobody asks for any more: one sweep a night.

Belongs here: the asset that tells what went. Does not belong here: what goes and when it is old
(operations.housekeeping, run_history), when it runs (defs/schedules.py).
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema, runbook
from hotdash_pipelines.orchestration.resources import (
    ClockResource,
    LakeResource,
    ProjectResource,
    StoresResource,
    WarehouseResource,
)
from hotdash_pipelines.settings import get_settings

if TYPE_CHECKING:
    from hotdash_pipelines.operations.housekeeping import Swept

_COLUMNS = (
    ("kind", "text", "What was swept: raw pages, quarantine, delivered alerts, runs and the like.", False, {}),
    ("items", "bigint", "How many of them went.", False, {}),
    ("bytes", "bigint", "What they took up.", False, {}),
    ("older_than", "timestamp with time zone", "What is younger stayed.", True, {}),
)  # fmt: skip


@dg.asset(
    key=keys.HOUSEKEEPING_KEY,
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds={"postgres", "python"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    pool=keys.WAREHOUSE_POOL,
    metadata={"dagster/column_schema": column_schema(_COLUMNS), "runbook": runbook("runbooks/run-failed.md")},
)
def housekeeping(
    context: dg.AssetExecutionContext,
    clock: ClockResource,
    lake: LakeResource,
    stores: StoresResource,
    warehouse: WarehouseResource,
    project: ProjectResource,
) -> dg.MaterializeResult:
    """One row is one kind of leftovers and what the nightly sweep removed of it.

    Runs every night at 03:30 UTC, late after 26 hours. Each kind has an age of its own among the settings
    (docs/settings.md). The Parquet files of the lake, backups, archives and undelivered alerts never go, nor does the
    newest materialisation of any partition.
    """
    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.operations.housekeeping import sweep
    from hotdash_pipelines.orchestration.run_history import prune_runs
    from hotdash_pipelines.warehouse.postgres import connect

    with (
        one_line_errors(context.op_execution_context, "ops/housekeeping"),
        connect(warehouse.url(), autocommit=True) as conn,
    ):
        swept = sweep(
            conn,
            clock.now(),
            get_settings(),
            lake=lake.store(),
            contracts=load_contracts(),
            project=project.key(),
            backups=stores.backups(),
            rollback_dumps=stores.rollback_dumps(),
            history=lambda before, *, dry_run: prune_runs(context.instance, before, dry_run=dry_run),
        )
    if swept.failed:
        reasons = "; ".join(f"{part.name}: {part.error}" for part in swept.failed)
        raise dg.Failure(f"ops/housekeeping: {reasons}", metadata=_facts(swept), allow_retries=False)
    return dg.MaterializeResult(metadata=_facts(swept))


def _facts(swept: "Swept") -> dict[str, Any]:
    rows = [
        dg.TableRecord(
            {
                "kind": part.name,
                "items": part.items,
                "bytes": part.bytes,
                "older_than": f"{part.before:%Y-%m-%d %H:%M} UTC" if part.before else "",
            }
        )
        for part in swept.parts
    ]
    return {
        "dagster/row_count": len(rows),
        "items": swept.items,
        "bytes": swept.bytes,
        "swept": dg.MetadataValue.table(rows),
    }
