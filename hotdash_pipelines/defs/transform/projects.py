"""The stores behind the rows, which dbt reads as a source: `ops.projects`.

Belongs here: the one asset. Does not belong here: the table (migrations) and its upsert (warehouse.projects).
"""

from datetime import timedelta

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseResource

_COLUMNS = (
    ("project_key", "text", "Slug of the store.", False, {}),
    ("shop_domain", "text", "Domain of the shop at Shopify.", True, {}),
    ("currency_code", "text", "The shop's currency (ISO 4217).", False, {}),
    ("iana_timezone", "text", "The store's zone; every business date is a day in it.", False, {}),
    ("chatwoot_account_id", "bigint", "Number of the Chatwoot account.", True, {}),
    ("ga4_property_id", "text", "Number of the GA4 property.", True, {}),
    ("is_demo", "boolean", "The stand-in store, not a real one.", False, {}),
    ("updated_at", "timestamp with time zone", "When the row last changed.", False, {}),
)


@dg.asset(
    key=keys.PROJECTS_KEY,
    group_name=keys.OPERATIONS_GROUP,
    owners=[keys.TEAM_DATA],
    kinds=keys.RAW_KINDS,
    code_version="1",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
    pool=keys.WAREHOUSE_POOL,
    metadata={"dagster/column_schema": column_schema(_COLUMNS), "dagster/table_name": "ops.projects"},
)
def projects(
    context: dg.AssetExecutionContext, clock: ClockResource, warehouse: WarehouseResource, project: ProjectResource
) -> dg.MaterializeResult:
    """One row is one store, written from the settings before every build of the models."""
    from hotdash_pipelines.warehouse.projects import upsert_project

    with one_line_errors(context.op_execution_context, "ops/projects"), warehouse.connection() as conn:
        upsert_project(conn, project.describe(), clock.now())
        (rows,) = conn.execute("select count(*) from ops.projects").fetchone() or (0,)
    return dg.MaterializeResult(metadata={"dagster/row_count": rows})
