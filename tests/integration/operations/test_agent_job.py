"""The night of the demo's agent: a job and a schedule that exist in demo mode only."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.settings import Settings, get_settings

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
_LOOK = """
from hotdash_pipelines.defs import schedules
from hotdash_pipelines.defs.agent import activity
print(hasattr(schedules, "demo_agent_activity"), hasattr(activity, "demo_agent_activity_job"))
"""


@pytest.mark.parametrize("shop, is_there", [("", True), ("real.myshopify.com", False)])
def test_job_and_schedule_exist_while_no_credentials_are_set(shop: str, is_there: bool) -> None:
    environment = {**os.environ, "HOTDASH_SHOPIFY_SHOP": shop}
    ran = subprocess.run([sys.executable, "-c", _LOOK], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(is_there), str(is_there)]


def test_the_schedule_asks_for_one_run_before_the_nightly_one() -> None:
    from hotdash_pipelines.defs import schedules

    schedule = schedules.demo_agent_activity
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("45 3 * * *", "America/New_York")
    assert schedule.job_name == "demo_agent_activity_job"
    request = schedule(dg.build_schedule_context(scheduled_execution_time=NOW))
    assert isinstance(request, dg.RunRequest)


def test_a_night_writes_the_missing_days_of_the_week(
    warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotdash_pipelines.defs.agent import activity as agent_activity
    from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseResource

    for name, value in (("DATABASE_URL", warehouse_url), ("HOME", str(tmp_path)), ("FIXED_NOW", NOW.isoformat())):
        monkeypatch.setenv(f"HOTDASH_{name}", value)
    get_settings.cache_clear()
    settings = Settings()
    monkeypatch.setattr(agent_activity, "_settings", settings)
    resources = {"clock": ClockResource(), "warehouse": WarehouseResource(), "project": ProjectResource()}

    def night() -> bool:
        job = agent_activity.demo_agent_activity_job
        return job.execute_in_process(resources=resources, raise_on_error=False).success

    lines = "select array_agg(request_id order by id) from agent.observability_logs where request_id like 'demo-day-%'"
    try:
        assert not night(), "no stand-in store runs"
        with start_stand_in(scale=0.02, now=NOW) as stand_in, psycopg.connect(warehouse_url, autocommit=True) as conn:
            settings.demo_endpoint_file.parent.mkdir(parents=True)
            settings.demo_endpoint_file.write_text(json.dumps(stand_in.endpoint()))
            assert night()
            week = [f"demo-day-2026-11-{day}" for day in range(13, 20)]
            assert conn.execute(lines).fetchone() == (week,)
            assert night()
            assert conn.execute(lines).fetchone() == (week,)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
