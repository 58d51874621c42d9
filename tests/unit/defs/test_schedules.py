"""When what runs: the header's clock, one run a tick, the scheduled instant as the cut-off of retention."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.defs import schedules
from hotdash_pipelines.orchestration import keys

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
UTC_SCHEDULES = {
    "daily_backup": (2, 0),
    "weekly_restore_test": (2, 30),
    "weekly_retention": (3, 0),
    "monthly_retention": (3, 0),
    "daily_housekeeping": (3, 30),
    "weekly_export": (5, 0),
}


def every_schedule() -> dict[str, dg.ScheduleDefinition]:
    return {found.name: found for found in vars(schedules).values() if isinstance(found, dg.ScheduleDefinition)}


def tick(name: str, at: datetime) -> dg.RunRequest:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
        (request,) = every_schedule()[name].evaluate_tick(context).run_requests or ()
    return request


def test_the_header_lists_every_schedule_with_its_clock_in_the_order_of_the_clock() -> None:
    listed = re.findall(r"^(\d\d):(\d\d)  (\w+)  ", schedules.__doc__ or "", flags=re.MULTILINE)
    crons = {
        name: tuple(f"{int(part):02}" for part in reversed(str(found.cron_schedule).split()[:2]))
        for name, found in every_schedule().items()
    }
    assert {name: (hour, minute) for hour, minute, name in listed} == crons
    in_utc = [(hour, minute) for hour, minute, name in listed if name in UTC_SCHEDULES]
    assert len(in_utc) == len(UTC_SCHEDULES)
    assert in_utc == sorted(in_utc)


@pytest.mark.parametrize("name", UTC_SCHEDULES)
def test_what_keeps_data_safe_runs_by_utc_whatever_the_store_s_zone(name: str) -> None:
    found = every_schedule()[name]
    assert found.execution_timezone == "UTC"
    assert found.default_status == dg.DefaultScheduleStatus.RUNNING
    hour, minute = UTC_SCHEDULES[name]
    assert str(found.cron_schedule).startswith(f"{minute} {hour} ")


@pytest.mark.parametrize("name", UTC_SCHEDULES)
def test_a_tick_that_is_evaluated_again_asks_for_the_same_run(name: str) -> None:
    hour, minute = UTC_SCHEDULES[name]
    at = SUNDAY.replace(hour=hour, minute=minute)
    assert tick(name, at).run_key == tick(name, at.astimezone(ZoneInfo("Asia/Tokyo"))).run_key
    assert tick(name, at).run_key != tick(name, at + timedelta(days=7)).run_key


@pytest.mark.parametrize(
    "name, tables",
    [
        ("weekly_retention", ["agent_feedback"]),
        ("monthly_retention", ["agent_approvals", "agent_queries", "agent_queries_history"]),
    ],
)
def test_retention_is_given_the_scheduled_instant_so_that_a_retry_has_the_same_cut_off(
    name: str, tables: list[str]
) -> None:
    at = SUNDAY.replace(hour=3)
    config: dict[str, Any] = dict(tick(name, at).run_config)
    assert config == keys.retention_config(tables, at)
    assert {found["config"]["as_of"] for found in config["ops"].values()} == {"2026-03-01T03:00:00+00:00"}
    assert {found["config"]["dry_run"] for found in config["ops"].values()} == {False}


def test_the_night_asks_for_the_days_that_may_change_and_for_the_open_one() -> None:
    """At 04:00 in New York on the 10th, after the seven days that contacts may be read again."""
    tags = tick("nightly", datetime(2026, 3, 10, 8, tzinfo=UTC)).tags
    ends = (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
    assert max(contract.refetch_days for contract in load_contracts()) == 7
    assert ends == ("2026-03-03", "2026-03-10")
    assert tags[keys.REFETCH_TAG] == keys.REFETCH_DUE


def test_the_run_of_a_schedule_carries_its_runbook() -> None:
    for name in UTC_SCHEDULES:
        job = every_schedule()[name].job
        page = job.tags[keys.RUNBOOK_TAG]
        assert page.startswith("docs/runbooks/")
        assert page.endswith(".md")
