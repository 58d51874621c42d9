"""Every schedule, in the order of the clock, and the jobs they run.

Belongs here: crons and job selections. Does not belong here: what the jobs do.

The store's local time (HOTDASH_STORE_TIMEZONE):
03:45  demo_agent_activity  demo mode only: what the stand-in store's agent did -> schema agent
04:00  nightly  re-fetch windows -> raw -> dbt -> checks -> rollups

UTC, so that the days of backups and of retention are the same for every store and never 23 hours long:
02:00  daily_backup  the operational tables -> a verified backup, then all but the newest are pruned
02:30  weekly_restore_test  Sundays: the newest backup is restored beside the warehouse and compared
03:00  weekly_retention  Sundays: feedback that is past its window, and the logs that a setting gives a window
03:00  monthly_retention  on the first: approvals and queries with their history
03:30  daily_housekeeping  leftovers nobody asks for: raw pages, old runs, delivered alerts; is the backup recent?
05:00  weekly_export  Sundays: training data -> a new version without personal data
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from hotdash_pipelines.base.windows import current_day, days_ending, last_complete_day
from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.operations.retention.calendar import monthly, weekly
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.partitions import daily_partitions
from hotdash_pipelines.orchestration.sla_checks import shown
from hotdash_pipelines.settings import get_settings

_settings = get_settings()

if _settings.uses_demo:

    @dg.schedule(
        job_name=keys.DEMO_AGENT_JOB,
        cron_schedule="45 3 * * *",
        execution_timezone=_settings.store_timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="At 03:45 store time, before the nightly run reads it: yesterday's activity of the demo's agent.",
    )
    def demo_agent_activity(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """One run a night; missed nights are made up for by the next."""
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


nightly_job = dg.define_asset_job(
    keys.NIGHTLY_JOB,
    selection=(
        dg.AssetSelection.groups(*_settings.pipeline_sources, *keys.TRANSFORM_GROUPS)
        | dg.AssetSelection.assets(keys.PROJECTS_KEY, keys.STREAM_DAYS_KEY)
    )
    - shown(),
    partitions_def=daily_partitions(_settings.first_partition, _settings.store_timezone),
    description="Every stream's due windows, from the source to the rollups, with all checks. A range fills a gap.",
    tags={"hotdash/job": "nightly"},
)


@dg.schedule(
    job=nightly_job,
    cron_schedule="0 4 * * *",
    execution_timezone=_settings.store_timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 04:00 store time: every day that a source may still change, and today up to now, in one run.",
)
def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run over the widest re-fetch window and the open day; each stream skips the days that it need not read again.

    Yesterday is whole only with today: an order that was touched after midnight is a change of today.
    """
    at = context.scheduled_execution_time
    days = days_ending(current_day(at, _settings.zone), 1 + max(contract.refetch_days for contract in load_contracts()))
    run_key = f"nightly-{last_complete_day(at, _settings.zone)}"
    return dg.RunRequest(run_key=run_key, tags=keys.range_tags(days[0], days[-1], refetch=keys.REFETCH_DUE))


_RESTORES = dg.AssetSelection.checks(dg.AssetCheckKey(keys.BACKUP_KEY, keys.RESTORE_CHECK))
_IS_RECENT = dg.AssetSelection.checks(dg.AssetCheckKey(keys.BACKUP_KEY, keys.RECENT_CHECK))


def _job(name: str, selection: dg.AssetSelection, runbook: str, description: str) -> Any:
    tags = {"hotdash/job": name.removesuffix("_job"), keys.RUNBOOK_TAG: f"docs/runbooks/{runbook}.md"}
    return dg.define_asset_job(name, selection=selection - shown(), description=description, tags=tags)


def _utc(
    name: str, cron: str, job: Any, description: str, config_at: Callable[[datetime], dict[str, Any]] | None = None
) -> dg.ScheduleDefinition:
    """A schedule in UTC that asks for one run a tick, however often the tick is evaluated.

    `config_at` makes the run config of the scheduled instant, so that a late or repeated run does what the punctual one
    would have done.
    """

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        at = context.scheduled_execution_time.astimezone(UTC)
        return dg.RunRequest(run_key=f"{name}-{at:%Y-%m-%dT%H:%M}Z", run_config=config_at(at) if config_at else None)

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def _archives(tables: tuple[str, ...]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(keys.archive_key(table) for table in tables))


backup_job = _job(
    keys.BACKUP_JOB,
    dg.AssetSelection.assets(keys.BACKUP_KEY) - _RESTORES,
    "backup-failed",
    "A backup of the operational tables, read back whole, then all but the newest verified ones pruned.",
)
daily_backup = _utc("daily_backup", "0 2 * * *", backup_job, "At 02:00 UTC: a verified backup of the day.")

restore_test_job = _job(
    keys.RESTORE_TEST_JOB,
    _RESTORES,
    "backup-failed",
    "The newest backup is restored into a scratch database, compared row by row and right by right, and dropped.",
)
weekly_restore_test = _utc(
    "weekly_restore_test", "30 2 * * 0", restore_test_job, "Sundays at 02:30 UTC: the newest backup proves itself."
)

weekly_retention_job = _job(
    keys.WEEKLY_RETENTION_JOB,
    _archives(weekly(_settings)),
    "retention-failed",
    "Feedback past its window goes to the archive and out of the table, behind the day's verified backup. "
    "By hand it is a dry run unless the run config says otherwise.",
)
weekly_retention = _utc(
    "weekly_retention",
    "0 3 * * 0",
    weekly_retention_job,
    "Sundays at 03:00 UTC: feedback, and the logs that a setting gives a window.",
    lambda at: keys.retention_config(weekly(_settings), at),
)

monthly_retention_job = _job(
    keys.MONTHLY_RETENTION_JOB,
    _archives(monthly(_settings)),
    "retention-failed",
    "Approvals and queries past their windows go to the archive and out of the tables, behind the day's verified "
    "backup. By hand it is a dry run unless the run config says otherwise.",
)
monthly_retention = _utc(
    "monthly_retention",
    "0 3 1 * *",
    monthly_retention_job,
    "On the first of the month at 03:00 UTC: approvals and queries with their history.",
    lambda at: keys.retention_config(monthly(_settings), at),
)

housekeeping_job = _job(
    keys.HOUSEKEEPING_JOB,
    dg.AssetSelection.assets(keys.HOUSEKEEPING_KEY) | _IS_RECENT,
    "run-failed",
    "Leftovers that nobody asks for any more are removed; a backup that did not come is noticed.",
)
daily_housekeeping = _utc(
    "daily_housekeeping", "30 3 * * *", housekeeping_job, "At 03:30 UTC: leftovers go; is there a recent backup?"
)

export_job = _job(
    keys.EXPORT_JOB,
    dg.AssetSelection.assets(keys.EXPORT_KEY),
    "leaked-export",
    "A new version of the training data, without personal data, if any of it changed.",
)
weekly_export = _utc("weekly_export", "0 5 * * 0", export_job, "Sundays at 05:00 UTC: the week's training data.")
