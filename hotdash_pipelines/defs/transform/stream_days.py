"""The ledger of completeness, which dbt reads as a source: `ops.stream_days`.

Belongs here: the one asset. Does not belong here: the table (migrations), its statements (warehouse/stream_days.py),
the days of the sources, which the steps that load them keep.
"""

from datetime import timedelta

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema, runbook
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseResource
from hotdash_pipelines.settings import get_settings

_COLUMNS = (
    ("project_key", "text", "Slug of the store.", False, {}),
    ("source", "text", "Where the records come from; `agent` for the support agent's own tables.", False, {}),
    ("stream", "text", "The stream of the source.", False, {}),
    ("business_date", "date", "Day in the store's zone.", False, {}),
    ("has_source_count", "boolean", "Whether the source counts days apart from sending their records.", False, {}),
    ("source_count", "bigint", "Records of the day by the source's own count.", True, {}),
    ("counted_at", "timestamp with time zone", "When the source was asked to count.", True, {}),
    ("loaded_count", "bigint", "Records of the day in the raw table, deleted ones left out.", False, {}),
    ("deleted_count", "bigint", "Records of the day that the source has deleted since.", False, {}),
    ("as_of", "timestamp with time zone", "Every change up to this instant is loaded.", True, {}),
    ("state", "text", "complete, open, provisional, partial, differs or unknown.", False, {}),
    ("is_complete", "boolean", "Whether the day is whole.", False, {}),
    ("reason", "text", "Why it is not.", True, {}),
)


@dg.asset(
    key=keys.STREAM_DAYS_KEY,
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds=keys.RAW_KINDS,
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    pool=keys.WAREHOUSE_POOL,
    metadata={
        "dagster/column_schema": column_schema(_COLUMNS),
        "dagster/table_name": "ops.stream_days",
        "runbook": runbook("runbooks/day-not-complete.md"),
    },
)
def stream_days(
    context: dg.AssetExecutionContext, clock: ClockResource, warehouse: WarehouseResource, project: ProjectResource
) -> dg.MaterializeResult:
    """One row is one business day of one stream: what its source counts, what is loaded, whether the day is whole.

    The steps that load a stream keep its days. This one keeps those of the support agent's own tables, before the
    models are built, and counts only them; it waits for no source, so that one that fails holds up none of the others.
    """
    from hotdash_pipelines.warehouse.stream_days import note_agent_days

    zone = get_settings().store_timezone
    with one_line_errors(context.op_execution_context, "ops/stream_days"), warehouse.connection() as conn:
        note_agent_days(conn, project.key(), zone, clock.now())
        rows, whole = conn.execute(
            "select count(*), count(*) filter (where is_complete) from ops.stream_days where source = 'agent'"
        ).fetchone() or (0, 0)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "complete_days": whole})
