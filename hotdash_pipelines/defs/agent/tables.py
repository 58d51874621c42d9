"""The support agent's tables as external assets: what the agent marts are made of, written by others.

Belongs here: how the tables look in the UI. Does not belong here: when rows arrive (sensors.py), DDL (migrations).
"""

import hashlib
from datetime import timedelta

import dagster as dg

from hotdash_pipelines.agent.tables import SCHEMA, AgentTable, load_agent_tables
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.metadata import column_schema
from hotdash_pipelines.settings import get_settings


def agent_table(table: AgentTable) -> dg.AssetSpec:
    """The external asset of one table."""
    return dg.AssetSpec(
        keys.agent_key(table.name),
        description=(
            f"{table.description}\n\nWritten by the support agent and its reviewers, not by the pipeline. "
            f"It is late when its newest row is {table.late_after_hours} hours old; an empty table is never late.\n\n"
            f"Key: `{table.grain}`."
        ),
        group_name=keys.AGENT_GROUP,
        owners=[table.owner],
        kinds=keys.AGENT_KINDS,
        code_version=hashlib.sha256(repr(table).encode()).hexdigest()[:12],
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=table.late_after_hours)),
        metadata={
            "dagster/column_schema": column_schema(
                (
                    column.name,
                    column.type,
                    column.description,
                    column.is_nullable,
                    {"pii": column.pii} if column.pii else {},
                )
                for column in table.columns
            ),
            "dagster/table_name": f"{SCHEMA}.{table.name}",
            "runbook": dg.MetadataValue.url(f"{get_settings().runbook_base_url}/runbooks/run-failed.md"),
        },
    )


agent_tables = [agent_table(table) for table in load_agent_tables()]
