"""Every schedule, in the order of the clock, and the jobs they run.

Belongs here: crons and job selections. Times are the store's local time unless a comment says UTC.
Does not belong here: what the jobs do.

03:45  demo_agent_activity  demo mode only: what the stand-in store's agent did -> schema agent
04:00  nightly  re-fetch windows -> raw -> dbt -> checks -> rollups
"""

import dagster as dg

from hotdash_pipelines import keys
from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.contracts.window import days_ending, last_complete_day
from hotdash_pipelines.partitions import daily_partitions
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
    selection=dg.AssetSelection.groups(*_settings.pipeline_sources, *keys.TRANSFORM_GROUPS)
    | dg.AssetSelection.assets(keys.PROJECTS_KEY),
    partitions_def=daily_partitions(_settings.first_partition, _settings.store_timezone),
    description="Every stream's due windows, from the source to the rollups, with all checks. A range fills a gap.",
    tags={"hotdash/job": "nightly"},
)


@dg.schedule(
    job=nightly_job,
    cron_schedule="0 4 * * *",
    execution_timezone=_settings.store_timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 04:00 store time: yesterday and every day that a source may still change, in one run.",
)
def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run over the widest re-fetch window; each stream skips the days that it need not read again."""
    last = last_complete_day(context.scheduled_execution_time, _settings.zone)
    days = days_ending(last, max(contract.refetch_days for contract in load_contracts()))
    return dg.RunRequest(run_key=f"nightly-{last}", tags=keys.range_tags(days[0], days[-1], refetch=keys.REFETCH_DUE))
