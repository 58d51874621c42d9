"""The demo's agent at work: one job that writes the days of activity that were never written.

Belongs here: the job, in demo mode only. Does not belong here: when it runs (defs/schedules.py), how a day is written
(agent.activity).
"""

import dagster as dg

from hotdash_pipelines.base.windows import days_ending, last_complete_day
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseResource
from hotdash_pipelines.settings import get_settings

_settings = get_settings()
# Nights that this machine slept through are made up for.
_DAYS = 7

if _settings.uses_demo:

    @dg.op(
        pool=keys.WAREHOUSE_POOL, description="The days of the last week that lack the agent's activity, oldest first."
    )
    def write_agent_activity(
        context: dg.OpExecutionContext, clock: ClockResource, warehouse: WarehouseResource, project: ProjectResource
    ) -> None:
        """A day is one transaction, so a failed run leaves whole days."""
        from hotdash_pipelines.agent.activity import read_from, write_days

        now = clock.now()
        days = days_ending(last_complete_day(now, _settings.zone), _DAYS)
        with one_line_errors(context, keys.DEMO_AGENT_JOB):
            base_url = _settings.demo_url() or ""
            done = write_days(warehouse.url(), read_from(base_url), days, project.key(), now)
        context.log.info(done.describe())

    @dg.job(
        name=keys.DEMO_AGENT_JOB,
        description="What the stand-in store's support agent did yesterday. Exists only while no credentials are set.",
        tags={"hotdash/job": "demo_agent_activity"},
    )
    def demo_agent_activity_job() -> None:
        write_agent_activity()
