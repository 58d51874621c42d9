"""The support agent's stored figures, which the nightly run computes anew.

Belongs here: the one asset. Does not belong here: what the figures are (migrations) and the marts over them (dbt).
"""

from datetime import timedelta

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema
from hotdash_pipelines.orchestration.resources import WarehouseResource

_COLUMNS = (
    ("day", "date", "Complete business day in the store's zone.", False, {}),
    ("agent", "text", "Name of the agent.", False, {}),
    ("query_count", "bigint", "Queries of that day.", False, {}),
    ("decided_count", "bigint", "Queries that a reviewer has approved or refused.", False, {}),
    ("approved_count", "bigint", "Queries that a reviewer has approved.", False, {}),
    ("edited_count", "bigint", "Queries whose result a person edited.", False, {}),
    ("approval_rate_pct", "numeric", "Approved of the decided ones; null when none is decided.", True, {}),
    ("edit_rate_pct", "numeric", "Edited of all queries.", False, {}),
    ("avg_latency_ms", "numeric", "Mean latency of the timed queries.", True, {}),
    ("p50_latency_ms", "integer", "Latency that half of the timed queries kept within.", True, {}),
    ("p95_latency_ms", "integer", "Latency that 95 % of the timed queries kept within.", True, {}),
    ("p99_latency_ms", "integer", "Latency that 99 % of the timed queries kept within.", True, {}),
    (
        "quality_score",
        "numeric",
        "0.5 * approval % + 0.3 * (100 - edit %) + 0.2 * (100 - mean latency / 10 ms, at least 0); "
        "null when nothing is decided or timed.",
        True,
        {},
    ),
)


@dg.asset(
    key=keys.DAILY_AGENT_METRICS_KEY,
    # Days are those of the store, whose zone is in ops.projects.
    deps=[
        keys.PROJECTS_KEY,
        *(keys.agent_key(table) for table in ("agent_queries", "agent_approvals", "agent_feedback")),
    ],
    group_name="metrics",
    owners=[keys.TEAM_SUPPORT],
    kinds={"postgres", "sql"},
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    pool=keys.WAREHOUSE_POOL,
    metadata={
        "dagster/column_schema": column_schema(_COLUMNS),
        "dagster/table_name": "monitoring_private.mv_daily_agent_metrics",
    },
)
def mv_daily_agent_metrics(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
    """One row is one agent of the support software on one complete store day, as far back as its queries are kept.

    Approval counts decided queries only, edits count all. For days that retention has purged ask the marts; for today
    ask `monitoring.v_agent_response_accuracy`. The three `mv_realtime_*` views are computed anew in the same step.
    """
    with (
        one_line_errors(context.op_execution_context, "monitoring_private/mv_daily_agent_metrics"),
        warehouse.connection() as conn,
    ):
        (rows,) = conn.execute("select monitoring_private.refresh_daily_agent_metrics()").fetchone() or (0,)
        conn.execute("select monitoring_private.refresh_realtime_metrics()")
        (newest,) = conn.execute("select max(day) from monitoring_private.mv_daily_agent_metrics").fetchone() or (None,)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows, **({"newest_day": str(newest)} if newest is not None else {})}
    )
