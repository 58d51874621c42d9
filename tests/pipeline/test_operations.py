"""The jobs that keep data safe, run in this process: what they show, what their checks find, what a failure tells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.operations.retention import RetentionConfig
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.postgres import connect
from tests.pipeline.harness.stack import NOW, Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline-a")]

_FEEDBACK = """
insert into agent.agent_feedback
    (conversation_id, input_text, model_draft, safe_to_send, annotator, notes, created_at, updated_at)
select '77', 'I am Ada Lovelace, ada@example.com', 'Hello Ada Lovelace', true, 'ann', 'call +1 415 555 0123', at, at
from unnest(%s::timestamptz[]) as at
"""


@dataclass
class Night:
    """The jobs of one stack. `shown` is what the newest materialisation or observation of each asset says."""

    stack: Stack
    instance: dg.DagsterInstance
    patch: pytest.MonkeyPatch

    def set(self, **variables: str) -> None:
        """Set `HOTDASH_<name>` and have the settings read anew."""
        for name, value in variables.items():
            self.patch.setenv(f"HOTDASH_{name.upper()}", value)
        get_settings.cache_clear()

    def run(self, job: str, config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run a job to its end, good or bad."""
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        resolved = defs().resolve_job_def(job)
        return resolved.execute_in_process(
            instance=self.instance, raise_on_error=False, run_config={**quiet, **(config or {})}, tags=resolved.tags
        )

    def add_feedback(self, *ages: timedelta) -> None:
        with connect(self.stack.warehouse_url) as conn:
            conn.execute(_FEEDBACK, ([NOW - age for age in ages],))

    def feedback(self) -> int:
        return self.stack.query("select count(*) from agent.agent_feedback")[0][0]


@pytest.fixture
def night(stack: Stack) -> Iterator[Night]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        night = Night(stack, instance, patch)
        night.set(**{name.removeprefix("HOTDASH_").lower(): value for name, value in stack.environment.items()})
        yield night
    get_settings.cache_clear()


def shown(ran: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    """Metadata of the one event about an asset, as plain values."""
    data_of_events = [
        event.event_specific_data
        for event in ran.all_events
        if event.asset_key == key
        and event.event_type in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    ]
    assert len(data_of_events) == 1
    data: Any = data_of_events[0]
    record = getattr(data, "materialization", None) or data.asset_observation
    return {name: getattr(value, "value", value) for name, value in record.metadata.items()}


def verdicts(ran: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in ran.get_asset_check_evaluations()}


def reason(ran: dg.ExecuteInProcessResult) -> str:
    from hotdash_pipelines.orchestration.failures import failure_line

    failed = [event for event in ran.all_events if event.event_type == dg.DagsterEventType.STEP_FAILURE]
    return failure_line(failed[0])


def said(ran: dg.ExecuteInProcessResult) -> str:
    """Everything that the run left in the instance and the UI shows."""
    return "\n".join(str(event) for event in ran.all_events)


def test_a_night_makes_a_backup_that_its_checks_read_back(night: Night) -> None:
    night.add_feedback(timedelta(days=1))
    ran = night.run(keys.BACKUP_JOB)
    assert ran.success, reason(ran)
    facts = shown(ran, keys.BACKUP_KEY)
    held = night.stack.query("select backup_id, state, bytes, row_count from ops.backup_runs")
    assert held == [(facts["backup_id"], "verified", facts["bytes"], facts["dagster/row_count"])]
    assert facts["dagster/row_count"] > 0
    assert (facts["backups_kept"], facts["backups_pruned"], facts["signed"]) == (1, 0, False)
    assert Path(facts["files"]).is_dir()
    evaluations = verdicts(ran)
    assert {name: one.passed for name, one in evaluations.items()} == {
        "newest_backup_is_verified": True,
        "newest_backup_is_recent": True,
        "seven_verified_backups_are_kept": False,
    }
    assert evaluations["seven_verified_backups_are_kept"].severity == dg.AssetCheckSeverity.WARN
    assert str(urlsplit(night.stack.warehouse_url).password) not in said(ran)
    stored = "select check_name, passed, blocking from ops.check_results order by check_name"
    assert night.stack.query(stored) == [
        ("newest_backup_is_recent", True, False),
        ("newest_backup_is_verified", True, True),
        ("seven_verified_backups_are_kept", False, False),
    ]


def test_the_last_nights_are_kept_and_older_ones_go(night: Night) -> None:
    night.set(backup_keep="2")
    for day in range(4):
        night.set(fixed_now=(NOW + timedelta(days=day)).isoformat())
        ran = night.run(keys.BACKUP_JOB)
        assert ran.success, reason(ran)
    facts = shown(ran, keys.BACKUP_KEY)
    assert (facts["backups_kept"], facts["backups_pruned"]) == (2, 1)
    assert verdicts(ran)["seven_verified_backups_are_kept"].passed
    assert night.stack.query("select count(*) filter (where pruned_at is null), count(*) from ops.backup_runs") == [
        (2, 4)
    ]


def test_every_check_of_backups_fails_while_there_is_none(night: Night) -> None:
    from hotdash_pipelines.defs.operations import backup
    from hotdash_pipelines.orchestration.resources import StoresResource

    for judge in (backup.is_verified, backup.is_recent, backup.are_kept, backup.restores):
        verdict = judge(StoresResource(), night.stack.warehouse_url, NOW)
        assert not verdict.passed, judge
        assert not verdict.nothing_yet, judge


def test_a_damaged_backup_is_found_the_next_time_it_is_looked_at_and_ends_its_run(night: Night) -> None:
    ran = night.run(keys.BACKUP_JOB)
    dump = next(Path(shown(ran, keys.BACKUP_KEY)["files"]).glob("data.*"))
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    tested = night.run(keys.RESTORE_TEST_JOB)
    assert not tested.success
    (verdict,) = verdicts(tested).values()
    assert not verdict.passed
    assert "sha256" in str(verdict.description)
    from hotdash_pipelines.defs.operations import backup
    from hotdash_pipelines.orchestration.resources import StoresResource

    assert not backup.is_verified(StoresResource(), night.stack.warehouse_url, NOW).passed


def test_the_weekly_test_restores_the_newest_backup_and_notes_it(night: Night) -> None:
    night.add_feedback(timedelta(days=1))
    made = night.run(keys.BACKUP_JOB)
    ran = night.run(keys.RESTORE_TEST_JOB)
    assert ran.success, reason(ran)
    (verdict,) = verdicts(ran).values()
    assert verdict.passed
    assert night.stack.query("select backup_id, restore_tested_at from ops.backup_runs") == [
        (shown(made, keys.BACKUP_KEY)["backup_id"], NOW)
    ]


def test_housekeeping_notices_that_no_backup_came(night: Night) -> None:
    ran = night.run(keys.HOUSEKEEPING_JOB)
    assert ran.success, reason(ran)
    assert not verdicts(ran)["newest_backup_is_recent"].passed
    assert shown(ran, keys.HOUSEKEEPING_KEY)["dagster/row_count"] > 3
    assert night.run(keys.BACKUP_JOB).success
    night.set(fixed_now=(NOW + timedelta(hours=26)).isoformat())
    assert verdicts(night.run(keys.HOUSEKEEPING_JOB))["newest_backup_is_recent"].passed
    night.set(fixed_now=(NOW + timedelta(hours=26, seconds=1)).isoformat())
    late = night.run(keys.HOUSEKEEPING_JOB)
    assert not verdicts(late)["newest_backup_is_recent"].passed
    assert "26.0 hours ago" in str(verdicts(late)["newest_backup_is_recent"].description)
    night.set(fixed_now=(NOW - timedelta(hours=1)).isoformat())
    ahead = night.run(keys.HOUSEKEEPING_JOB)
    assert "of the future" in str(verdicts(ahead)["newest_backup_is_recent"].description)


def test_retention_by_hand_counts_and_changes_nothing(night: Night) -> None:
    night.add_feedback(timedelta(days=40), timedelta(days=50), timedelta(days=1))
    ran = night.run(keys.WEEKLY_RETENTION_JOB)
    assert ran.success, reason(ran)
    facts = shown(ran, keys.archive_key("agent_feedback"))
    assert (facts["rows_that_would_go"], facts["dry_run"]) == (2, True)
    assert night.feedback() == 3
    assert night.stack.query("select count(*) from ops.retention_runs") == [(0,)]
    materialised = ran.get_asset_materialization_events()
    assert materialised == [], "a dry run must not make the archive look fresh"


def test_scheduled_retention_deletes_behind_the_day_s_backup_what_it_archived(night: Night) -> None:
    night.add_feedback(timedelta(days=40), timedelta(days=50), timedelta(days=1))
    config = keys.retention_config(["agent_feedback"], NOW - timedelta(hours=9))
    refused = night.run(keys.WEEKLY_RETENTION_JOB, config)
    assert not refused.success
    assert reason(refused).startswith("archive/agent_feedback: no verified backup")
    assert night.feedback() == 3

    assert night.run(keys.BACKUP_JOB).success
    ran = night.run(keys.WEEKLY_RETENTION_JOB, config)
    assert ran.success, reason(ran)
    facts = shown(ran, keys.archive_key("agent_feedback"))
    assert (facts["candidate_rows"], facts["archived_rows"], facts["deleted_rows"], facts["parts"]) == (2, 2, 2, 1)
    assert night.feedback() == 1
    (verdict,) = verdicts(ran).values()
    assert verdict.passed, verdict.description
    for value in ("ada@example.com", "Lovelace"):
        assert value not in said(ran)

    # The file of the archive goes: what was deleted is nowhere any more.
    for path in Path(facts["files"]).glob("*.parquet"):
        path.unlink()
    night.set(fixed_now=(NOW + timedelta(hours=1)).isoformat())
    again = night.run(keys.WEEKLY_RETENTION_JOB, config)
    assert not again.success
    (verdict,) = verdicts(again).values()
    assert "1 archives are missing" in str(verdict.description)


def test_a_retry_days_later_deletes_what_the_scheduled_run_would_have_deleted(night: Night) -> None:
    night.add_feedback(timedelta(days=31, hours=12), timedelta(days=29))
    config = keys.retention_config(["agent_feedback"], NOW)
    night.set(fixed_now=(NOW + timedelta(days=3)).isoformat())
    assert night.run(keys.BACKUP_JOB).success
    ran = night.run(keys.WEEKLY_RETENTION_JOB, config)
    assert ran.success, reason(ran)
    assert shown(ran, keys.archive_key("agent_feedback"))["deleted_rows"] == 1
    assert night.feedback() == 1


@pytest.mark.parametrize("as_of", ["yesterday", "2026-03-01", "2026-03-01T03:00:00", "2099-01-01T00:00:00+00:00"])
def test_retention_refuses_an_instant_that_is_none_or_has_not_come(as_of: str) -> None:
    with pytest.raises(dg.Failure, match="is no instant of the past"):
        RetentionConfig(dry_run=False, as_of=as_of).instant(NOW)
    assert RetentionConfig(as_of="2026-03-01T04:00:00+01:00").instant(NOW) == NOW.replace(day=1, hour=3)
    assert RetentionConfig().instant(NOW) == NOW


def test_an_archive_of_which_nothing_was_ever_written_is_not_called_good(night: Night) -> None:
    assert night.run(keys.BACKUP_JOB).success
    ran = night.run(
        keys.MONTHLY_RETENTION_JOB,
        keys.retention_config(["agent_approvals", "agent_queries", "agent_queries_history"], NOW),
    )
    assert ran.success, reason(ran)
    assert len(verdicts(ran)) > 0
    for verdict in ran.get_asset_check_evaluations():
        assert not verdict.passed
        assert verdict.severity == dg.AssetCheckSeverity.WARN


def test_a_table_is_visited_only_while_a_setting_gives_it_a_window(night: Night) -> None:
    from hotdash_pipelines.operations.retention.calendar import monthly, weekly

    assert weekly(get_settings()) == ("agent_feedback",)
    night.set(retain_observability_logs_days="90", retain_facts_days="400")
    assert weekly(get_settings()) == ("agent_feedback", "observability_logs", "facts")
    assert monthly(get_settings()) == ("agent_approvals", "agent_queries", "agent_queries_history")


def test_an_export_shows_what_was_taken_out_and_is_looked_through_again(night: Night) -> None:
    night.add_feedback(timedelta(days=1), timedelta(days=2))
    ran = night.run(keys.EXPORT_JOB)
    assert ran.success, reason(ran)
    facts = shown(ran, keys.EXPORT_KEY)
    assert (facts["dagster/row_count"], facts["is_new"], facts["redacted_email"]) == (2, True, 2)
    (verdict,) = verdicts(ran).values()
    assert verdict.passed, verdict.description
    published = "".join(path.read_text() for path in Path(facts["files"]).iterdir())
    for value in ("ada@example.com", "415 555 0123"):
        assert value not in published
        assert value not in said(ran)

    data = next(Path(facts["files"]).glob("data.*"))
    data.chmod(0o600)
    data.write_text(data.read_text().replace("[EMAIL_REDACTED]", "eve@example.com"))
    from hotdash_pipelines.defs.operations.export import verifies
    from hotdash_pipelines.orchestration.resources import StoresResource

    spoiled = verifies(StoresResource(), night.stack.warehouse_url, NOW)
    assert not spoiled.passed
    assert "eve@" not in spoiled.message


def test_an_export_that_was_never_made_does_not_verify(night: Night) -> None:
    from hotdash_pipelines.defs.operations.export import verifies
    from hotdash_pipelines.orchestration.resources import StoresResource

    assert not verifies(StoresResource(), night.stack.warehouse_url, NOW).passed
