"""Freshness of the support agent's tables from their newest rows.

Belongs here: telling Dagster that rows arrived. Does not belong here: the query (warehouse.newest_rows).

Dagster judges a freshness policy by the instant of the newest materialisation event and by nothing else: observations
do not count, nor does `dagster/last_updated_timestamp` (freshness_evaluator.py of 1.13). So new rows are reported as a
materialisation while they are new, and whatever else changed (rows deleted, rows dated back) as an observation.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from hotdash_pipelines.agent.tables import SCHEMA, AgentTable, load_agent_tables
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.resources import ClockResource, WarehouseResource

if TYPE_CHECKING:
    from hotdash_pipelines.warehouse.newest_rows import NewestRow

_EVERY_SECONDS = 600


@dg.sensor(
    name="agent_rows_sensor",
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports new rows of the support agent's tables, so that their freshness is that of their newest rows.",
)
def agent_rows_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource, clock: ClockResource
) -> dg.SensorResult:
    """One query for all tables; one event for each table that changed since the tick before."""
    import psycopg

    from hotdash_pipelines.warehouse.newest_rows import newest_rows

    tables = load_agent_tables()
    try:
        with warehouse.connection() as conn:
            newest_of = newest_rows(conn, SCHEMA, {table.name: table.newest_by for table in tables})
    except psycopg.errors.UndefinedTable:
        return dg.SensorResult(skip_reason="the agent's tables are not there yet: run `hotdash schema migrate`")
    before: dict[str, Any] = json.loads(context.cursor or "{}")
    events = [
        event
        for table in tables
        if (event := event_of(table, newest_of[table.name], before.get(table.name), clock.now()))
    ]
    return dg.SensorResult(
        asset_events=events,
        skip_reason=f"{len(events)} of {len(tables)} tables changed",
        cursor=json.dumps({name: _kept(newest) for name, newest in newest_of.items()}),
    )


def event_of(
    table: AgentTable, newest: "NewestRow", before: Mapping[str, Any] | None, now: datetime
) -> dg.AssetMaterialization | dg.AssetObservation | None:
    """What to tell of a table, given what the tick before kept of it (None: nothing); None when nothing changed.

    Rows that are late already when they are first seen do not make the table fresh.
    """
    if before == _kept(newest) or (before is None and newest.at is None):
        return None
    metadata: dict[str, Any] = {"dagster/row_count": newest.rows, "row_count_is_an_estimate": newest.is_estimate}
    if newest.at is not None:
        metadata["dagster/last_updated_timestamp"] = dg.MetadataValue.timestamp(newest.at)
    seen_until = datetime.fromisoformat(before["at"]) if before and before["at"] else None
    is_newer = newest.at is not None and (seen_until is None or newest.at > seen_until)
    if newest.at is not None and is_newer and now - newest.at < timedelta(hours=table.late_after_hours):
        return dg.AssetMaterialization(keys.agent_key(table.name), metadata=metadata)
    return dg.AssetObservation(keys.agent_key(table.name), metadata=metadata)


def _kept(newest: "NewestRow") -> dict[str, Any]:
    return {"at": newest.at.isoformat() if newest.at else None, "rows": newest.rows}
