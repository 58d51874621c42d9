"""Dagster forgets old runs, and its partitions, assets and checks look as they did before."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.event_log import schema
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from dagster._core.storage.tags import BACKFILL_ID_TAG

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.orchestration.run_history import PrunedRuns, prune_runs
from hotdash_pipelines.warehouse.postgres import sqlalchemy_url

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-05")
FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"
QUIET = {"telemetry": {"enabled": False}}
EXTERNAL = dg.AssetKey("external")


@dg.asset(partitions_def=DAYS)
def daily(context: dg.AssetExecutionContext) -> None:
    """Fails when told to."""
    print("printed by the step")
    context.log.info("read something")
    if context.run.tags.get("fail"):
        raise dg.Failure("told to")


@dg.asset(check_specs=[dg.AssetCheckSpec("first", asset="whole"), dg.AssetCheckSpec("second", asset="whole")])
def whole() -> dg.MaterializeResult:
    """Two checks."""
    results = [dg.AssetCheckResult(passed=name == "first", check_name=name) for name in ("first", "second")]
    return dg.MaterializeResult(check_results=results)


CHECKS = [dg.AssetCheckKey(whole.key, name) for name in ("first", "second")]


@pytest.fixture
def instance(empty_database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    overrides = {"storage": {"postgres": {"postgres_url": sqlalchemy_url(empty_database_url)}}, **QUIET}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as opened:
        opened.optimize_for_webserver(60_000, 3600, 5)
        yield opened


def run(instance: dg.DagsterInstance, asset: Any, *, ok: bool = True, **options: Any) -> str:
    done = dg.materialize([asset], instance=instance, raise_on_error=False, **options)
    assert done.success is ok
    return done.run_id


def seen(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What pages of assets show: partitions and their state, newest events with their runs, checks."""
    storage = instance.event_log_storage
    cached = get_and_update_asset_status_cache_value(instance, daily.key, DAYS)
    assert cached is not None
    newest = {
        key.to_user_string(): event and (event.run_id, event.timestamp)
        for key in (daily.key, whole.key, EXTERNAL)
        for event in [instance.get_latest_materialization_event(key)]
    }
    checks = storage.get_latest_asset_check_execution_by_key(CHECKS)
    return {
        "materialized": instance.get_materialized_partitions(daily.key),
        "cached": cached.deserialize_materialized_partition_subsets(DAYS),
        "failed": cached.deserialize_failed_partition_subsets(DAYS),
        "numbers": storage.get_latest_storage_id_by_partition(daily.key, dg.DagsterEventType.ASSET_MATERIALIZATION),
        "tags": storage.get_latest_tags_by_partition(
            daily.key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
        ),
        "newest": newest,
        "checks": {str(key): (found.status, found.run_id, found.event) for key, found in checks.items()},
        "records": [
            (record.asset_entry.asset_key, record.asset_entry.last_run_id)
            for record in instance.get_asset_records([daily.key, whole.key])
        ],
    }


def kinds(instance: dg.DagsterInstance, run_id: str) -> Counter[str]:
    return Counter(
        entry.dagster_event.event_type_value if entry.dagster_event else "log" for entry in instance.all_logs(run_id)
    )


def rows(instance: dg.DagsterInstance, table: sa.Table) -> int:
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_old_runs_go_and_every_page_of_an_asset_stays_as_it_was(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    superseded = run(instance, daily, partition_key=FIRST)
    only_one = run(instance, daily, partition_key=SECOND)
    newest = run(instance, daily, partition_key=FIRST)
    broken = run(instance, daily, ok=False, partition_key=THIRD, tags={"fail": "yes"})
    older_whole, newer_whole = run(instance, whole), run(instance, whole)
    for _ in range(4):
        instance.report_runless_asset_event(dg.AssetMaterialization(EXTERNAL))
    unfinished = instance.create_run_for_job(dg.Definitions([whole]).resolve_implicit_global_asset_job_def()).run_id
    backfill = PartitionBackfill(
        backfill_id="open",
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=0.0,
        asset_selection=[daily.key],
        serialized_asset_backfill_data=None,
    )
    instance.add_backfill(backfill)
    of_backfill = run(instance, whole, tags={BACKFILL_ID_TAG: "open"})
    # Newer than anything of the backfill's run, so only the backfill keeps that one.
    young = run(instance, whole)
    before = datetime.now(UTC) + timedelta(days=1)
    was, logs_before = seen(instance), rows(instance, schema.SqlEventLogStorageTable)
    backfill_before, tags_before = kinds(instance, of_backfill), rows(instance, schema.AssetEventTagsTable)
    checks_before = rows(instance, schema.AssetCheckExecutionsTable)
    assert THIRD in list(was["failed"].get_partition_keys())

    # Nothing is that old.
    assert prune_runs(instance, datetime.now(UTC) - timedelta(days=1)) == PrunedRuns(0, 0, 0, 0)
    planned = prune_runs(instance, before, dry_run=True)
    assert rows(instance, schema.SqlEventLogStorageTable) == logs_before
    assert (tmp_path / "storage" / superseded).is_dir()

    done = prune_runs(instance, before)
    assert done == planned
    assert done is not None
    assert (done.runs, done.trimmed) == (3, 4)
    assert rows(instance, schema.SqlEventLogStorageTable) == logs_before - done.events
    # Three of the four that no run wrote are among them.
    assert len(instance.fetch_materializations(EXTERNAL, limit=9).records) == 1
    assert done.bytes > done.events

    for gone in (superseded, older_whole, newer_whole):
        assert instance.get_run_by_id(gone) is None
        assert not (tmp_path / "storage" / gone).exists()
    for kept in (only_one, newest, broken, young):
        assert instance.get_run_by_id(kept) is not None
        assert not {"STEP_START", "LOGS_CAPTURED", "log"} & set(kinds(instance, kept))
        assert kinds(instance, kept)["PIPELINE_START"] == 1
    assert kinds(instance, of_backfill) == backfill_before
    assert instance.get_run_by_id(unfinished) is not None
    assert rows(instance, schema.AssetEventTagsTable) < tags_before
    # Two checks each: of the newest run, of the backfill's and of the unfinished one.
    assert (checks_before, rows(instance, schema.AssetCheckExecutionsTable)) == (10, 6)
    assert seen(instance) == was
    assert prune_runs(instance, before) == PrunedRuns(0, 0, 0, 0)

    # The cache is rebuilt from what is left, as after an upgrade.
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        conn.execute(sa.update(schema.AssetKeyTable).values(cached_status_data=None))
    assert seen(instance) == was


def test_deleting_the_run_itself_would_lose_the_partition(instance: dg.DagsterInstance) -> None:
    """Why `prune_runs` does more than to call `delete_run`; when this fails, it may do less."""
    lost = run(instance, daily, partition_key=FIRST)
    assert instance.get_materialized_partitions(daily.key) == {FIRST}
    instance.delete_run(lost)
    assert instance.get_materialized_partitions(daily.key) == set()


def test_a_killed_pruning_is_ended_by_the_next(
    instance: dg.DagsterInstance, tmp_path: Path, empty_database_url: str
) -> None:
    for key in (FIRST, FIRST, SECOND, FIRST):
        run(instance, daily, partition_key=key)
    was, before = seen(instance), datetime.now(UTC) + timedelta(days=1)
    script = (
        "import sys; import dagster as dg; from datetime import datetime; "
        "from hotdash_pipelines.orchestration.run_history import prune_runs; "
        "storage = {'storage': {'postgres': {'postgres_url': sys.argv[2]}}}; "
        "prune_runs(dg.DagsterInstance.local_temp(sys.argv[1], overrides=storage), datetime.fromisoformat(sys.argv[3]))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), sqlalchemy_url(empty_database_url), before.isoformat()],
        env={**os.environ, "HOTDASH_KILL_AT": "history.events_gone:3"},
        check=False,
    )
    assert killed.returncode == -9
    assert seen(instance) == was
    ended = prune_runs(instance, before)
    assert ended is not None
    assert ended.runs == 2
    assert len(instance.get_runs()) == 2
    assert seen(instance) == was
    assert prune_runs(instance, before) == PrunedRuns(0, 0, 0, 0)


def test_an_instance_with_a_file_for_each_run_is_left_alone(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as instance:
        kept = run(instance, daily, partition_key=FIRST)
        assert prune_runs(instance, datetime.now(UTC) + timedelta(days=1)) is None
        assert instance.get_run_by_id(kept) is not None


def test_a_storage_that_cannot_be_asked_is_told_in_one_line(instance: dg.DagsterInstance) -> None:
    """So that housekeeping counts it as the part that failed, and says how the others went."""
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        conn.execute(sa.text("drop table asset_check_executions"))
    with pytest.raises(HotdashError, match="asset_check_executions") as caught:
        prune_runs(instance, datetime.now(UTC))
    assert "\n" not in str(caught.value)
