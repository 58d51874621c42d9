"""Asset keys, groups, owners, kinds and pools: the only place they are spelled.

Belongs here: names. Does not belong here: what the assets do.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from hotdash_pipelines.sources import all_sources

# What the groups are called in the UI; sources name their own.
TRANSFORM_GROUPS = ("staging", "marts", "metrics")
OPERATIONS_GROUP = "operations"
AGENT_GROUP = "agent"

TEAM_DATA = "team:data"
TEAM_SUPPORT = "team:support"
TEAM_MARKETING = "team:marketing"

WAREHOUSE_POOL = "warehouse"
WAREHOUSE_SLOTS = 4

NIGHTLY_JOB = "nightly_job"
DEMO_AGENT_JOB = "demo_agent_activity_job"
BACKUP_JOB = "backup_job"
RESTORE_TEST_JOB = "restore_test_job"
WEEKLY_RETENTION_JOB = "weekly_retention_job"
MONTHLY_RETENTION_JOB = "monthly_retention_job"
HOUSEKEEPING_JOB = "housekeeping_job"
EXPORT_JOB = "export_job"
# The page of docs/ that an alert about a run of this job links to.
RUNBOOK_TAG = "hotdash/runbook"
# A run with this tag set to `due` skips windows that the lake already has and that are past their re-fetch days.
REFETCH_TAG = "hotdash/refetch"
REFETCH_DUE = "due"
# A run with this tag set to `accept` believes answers that lack most of the rows that were there: a person's word.
FEWER_ROWS_TAG = "hotdash/fewer_rows"
FEWER_ROWS_ACCEPTED = "accept"


def lake_key(source: str, stream: str) -> dg.AssetKey:
    """Key of a stream's Parquet files: `lake_shopify/orders`."""
    return dg.AssetKey([f"lake_{source}", stream])


def raw_key(source: str, table: str) -> dg.AssetKey:
    """Key of a raw table: `raw_shopify/orders`. It equals Postgres schema and table, and the dbt source's key."""
    return dg.AssetKey([f"raw_{source}", table])


def agent_key(table: str) -> dg.AssetKey:
    """Key of a table of the support agent: `agent/agent_queries`, which is the dbt source's key too."""
    return dg.AssetKey(["agent", table])


def archive_key(table: str) -> dg.AssetKey:
    """Key of what retention took out of a table: `archive/agent_feedback`."""
    return dg.AssetKey(["archive", table])


def api_pool(source: str) -> str:
    """The concurrency pool that keeps one reader at a time on a source's API."""
    return f"{source}_api"


def pools() -> dict[str, int]:
    """Every pool with its limit: one a source's API, and the warehouse's."""
    return {api_pool(name): source.readers for name, source in all_sources().items()} | {
        WAREHOUSE_POOL: WAREHOUSE_SLOTS
    }


def lake_kinds(source: str) -> set[str]:
    """Badges of a lake asset in the UI."""
    return {"python", "parquet", all_sources()[source].kind}


# The stores themselves, which dbt reads beside the raw tables.
PROJECTS_KEY = dg.AssetKey(["ops", "projects"])
# Which of their days are whole.
STREAM_DAYS_KEY = dg.AssetKey(["ops", "stream_days"])
# Records that could not be read.
QUARANTINE_KEY = dg.AssetKey(["ops", "quarantined_records"])
# The support agent's stored figures, which the nightly run refreshes.
DAILY_AGENT_METRICS_KEY = dg.AssetKey(["monitoring_private", "mv_daily_agent_metrics"])

BACKUP_KEY = dg.AssetKey(["backups", "operational"])
RECENT_CHECK = "newest_backup_is_recent"
RESTORE_CHECK = "newest_backup_restores"
EXPORT_KEY = dg.AssetKey(["exports", "training_data"])
HOUSEKEEPING_KEY = dg.AssetKey(["ops", "housekeeping"])

RAW_KINDS = {"postgres", "python"}
AGENT_KINDS = {"postgres"}
DBT_KINDS = {"dbt", "postgres"}


def range_tags(first: str, last: str, *, refetch: str) -> dict[str, str]:
    """Run tags for one run over the partitions `first`..`last`, both included."""
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
        REFETCH_TAG: refetch,
    }


def step_of(key: dg.AssetKey) -> str:
    """Name of the step that makes an asset, where the asset has one of its own: `archive__agent_feedback`."""
    return "__".join(key.path)


def retention_config(tables: Iterable[str], as_of: datetime) -> dict[str, Any]:
    """Run config that deletes for good, with the cut-offs of `as_of`; by hand the default is a dry run."""
    config = {"dry_run": False, "as_of": as_of.astimezone(UTC).isoformat()}
    return {"ops": {step_of(archive_key(table)): {"config": config} for table in tables}}
