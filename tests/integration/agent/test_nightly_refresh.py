"""The nightly asset computes the stored figures anew."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.agent.stored_figures import mv_daily_agent_metrics
from hotdash_pipelines.defs.schedules import nightly_job
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.resources import WarehouseResource
from hotdash_pipelines.settings import get_settings

if TYPE_CHECKING:
    import psycopg


@pytest.mark.xdist_group("monitoring")
def test_the_asset_stores_yesterdays_figures_and_says_how_many(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.execute(
        "insert into agent.agent_queries (query, result, conversation_id, agent, created_at, updated_at)"
        " select 'q', '{}', 'c', 'agent-' || n, now() - interval '2 days', now() from generate_series(1, 3) n"
    )
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    get_settings.cache_clear()
    try:
        result = dg.materialize([mv_daily_agent_metrics], resources={"warehouse": WarehouseResource()})
    finally:
        get_settings.cache_clear()
    (event,) = result.asset_materializations_for_node("monitoring_private__mv_daily_agent_metrics")
    assert event.metadata["dagster/row_count"].value == 3
    assert warehouse.execute("select count(*) from monitoring_private.mv_daily_agent_metrics").fetchone() == (3,)


def test_the_nightly_run_includes_the_asset() -> None:
    location = defs()
    selected = nightly_job.selection.resolve(location.resolve_asset_graph())
    assert keys.DAILY_AGENT_METRICS_KEY in selected


def test_the_column_schema_is_the_stored_views(warehouse: "psycopg.Connection[Any]") -> None:
    (spec,) = mv_daily_agent_metrics.specs
    schema = spec.metadata["dagster/column_schema"]
    stored = warehouse.execute(
        "select attname, format_type(atttypid, null) from pg_attribute"
        " where attrelid = 'monitoring_private.mv_daily_agent_metrics'::regclass and attnum > 0 order by attnum"
    ).fetchall()
    assert [(column.name, column.type) for column in schema.columns] == stored
