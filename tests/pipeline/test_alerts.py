"""A failed run and a failed blocking check reach Slack once; what a blocking check guards is not rebuilt.

An `hotdash up` whose steps fail: test_faults_of_up.py. The load after the mended row: test_up.py.
"""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.orchestration import keys
from tests.pipeline.harness.alerting import left_by_up, messages, tick
from tests.pipeline.harness.homes import Spoiled
from tests.pipeline.harness.in_process import KEY, Bench, open_bench
from tests.pipeline.harness.planted import PLANTED
from tests.pipeline.harness.stack import NOW, SEED, Stack

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.filterwarnings("ignore:Parameter `repository_def`"),
]

READ_ORDERS = {"marts_core/fct_order", "marts_core/dim_customer", "metrics/agg_sales_daily"}
READ_NO_ORDERS = {"marts_core/fct_web_sessions_daily", "marts_support/dim_conversation"}


@pytest.fixture
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def test_a_failed_run_reaches_slack_exactly_once(bench: Bench) -> None:
    bench.plant("status", "shopify", "Orders", status=403)
    failed = bench.run("shopify/orders")
    assert not failed.success
    tick(bench, failed.run_id)
    tick(bench, failed.run_id)
    sent = messages(bench.store)
    assert len(sent) == 1
    said = json.dumps(sent[0])
    for part in (
        "nightly_job failed",
        "lake_shopify__orders",
        f"shopify/orders {KEY}: ",
        "answered 403",
        "team:data",
        f"/runs/{failed.run_id}",
        "runbooks/run-failed.md",
    ):
        assert part in said, part


def test_a_retry_of_a_failed_run_does_not_alert_again_and_another_run_does(bench: Bench) -> None:
    bench.plant("status", "shopify", "Orders", status=403)
    first = bench.run("shopify/orders")
    tick(bench, first.run_id)
    tick(bench, bench.run("shopify/orders").run_id, root_run_id=first.run_id)
    assert len(messages(bench.store)) == 1
    tick(bench, bench.run("shopify/orders").run_id)
    assert len(messages(bench.store)) == 2


def run_job(bench: Bench, name: str) -> dg.ExecuteInProcessResult:
    job = defs().resolve_job_def(name)
    return job.execute_in_process(instance=bench.instance, raise_on_error=False, tags=job.tags)


def test_a_failed_backup_reaches_slack_with_its_own_runbook(bench: Bench) -> None:
    in_the_way = bench.stack.home / "file"
    in_the_way.write_text("")
    bench.set(backup_url=str(in_the_way / "backups"))
    failed = run_job(bench, keys.BACKUP_JOB)
    assert not failed.success
    tick(bench, failed.run_id)
    (sent,) = messages(bench.store)
    said = json.dumps(sent)
    for part in (
        "backup_job failed",
        "backups__operational",
        "backups/operational: the disk refused",
        "team:data",
        f"/runs/{failed.run_id}",
        "runbooks/backup-failed.md",
    ):
        assert part in said, part
    assert str(urlsplit(bench.stack.warehouse_url).password) not in said


def test_a_check_that_finds_no_backup_reaches_slack(bench: Bench) -> None:
    failed = run_job(bench, keys.RESTORE_TEST_JOB)
    assert not failed.success
    tick(bench, failed.run_id)
    (sent,) = messages(bench.store)
    said = json.dumps(sent)
    for part in (
        "1 blocking check failed in restore_test_job",
        "backups/operational",
        "newest_backup_restores",
        "holds no backup",
        "runbooks/backup-failed.md",
    ):
        assert part in said, part


def test_an_alert_waits_while_slack_is_away_and_is_then_sent_once(bench: Bench) -> None:
    bench.plant("status", "shopify", "Orders", status=403)
    failed = bench.run("shopify/orders")
    bench.store.scenarios.add("status", "slack", None, 1, status=500)
    tick(bench, failed.run_id)
    assert messages(bench.store) == []
    bench.set(fixed_now="2026-03-10T13:00:00+00:00")
    tick(bench, failed.run_id)
    tick(bench, failed.run_id)
    assert len(messages(bench.store)) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("served")
def test_a_failed_blocking_check_stops_the_marts_that_read_the_table(spoiled: Spoiled) -> None:
    """An order with a status that the contract does not allow, planted behind the loader's back."""
    assert spoiled.ran.code == 1
    outcome = json.loads(spoiled.ran.out)
    loaded = outcome["assets"].keys()
    assert "raw_shopify/orders" in loaded
    assert outcome["left_out"].keys() >= READ_ORDERS
    assert not READ_ORDERS & loaded
    assert loaded >= READ_NO_ORDERS
    assert {name.partition(":")[0] for name in blocked_by(spoiled)} == {"raw_shopify/orders"}
    assert "skipped  expectations_marts_core__fct_order " in spoiled.ran.err
    before, after = spoiled.layers_before, spoiled.home.layers()
    assert not before["metrics.agg_sales_daily"].startswith("0:")
    assert [name for name in before if after[name] != before[name]] == ["raw_shopify.orders"]
    assert after.keys() == before.keys()


@pytest.mark.slow
@pytest.mark.xdist_group("served")
def test_a_failed_blocking_check_alerts_once_and_the_sensor_adds_nothing(spoiled: Spoiled) -> None:
    check = blocked_by(spoiled)[0].partition(": ")[2]
    (said,) = told_of_checks(spoiled)
    for part in ("raw_shopify/orders", check, "team:data", "quality-check-failed.md"):
        assert part in said, part
    assert PLANTED not in said
    assert "@" not in said
    with spoiled.home.server() as server, left_by_up(spoiled.home.stack(server), spoiled.slack) as bench:
        (failed,) = bench.instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        verdicts = bench.stack.query(
            "select asset, check_name, blocking from ops.check_results where run_id = %s and not passed",
            (failed.run_id,),
        )
        assert ("raw_shopify/orders", check, True) in verdicts
        tick(bench, failed.run_id)
        tick(bench, failed.run_id)
    assert told_of_checks(spoiled) == [said]


def told_of_checks(spoiled: Spoiled) -> list[str]:
    """The messages about failed blocking checks. Missed promises that the served home had not told of yet come too."""
    return [said for said in map(json.dumps, messages(spoiled.slack)) if "blocking check" in said]


def blocked_by(spoiled: Spoiled) -> list[str]:
    """`<asset>: <check>` of every blocking check that failed, as the command told them."""
    lines = [line.strip() for line in spoiled.ran.err.rpartition(" failed, ")[2].splitlines()[1:]]
    failed = [line for line in lines if "/" in line.partition(":")[0] and not line.startswith("left out ")]
    blocked = [line for line in failed if not line.endswith("(warning)")]
    assert blocked, spoiled.ran.err
    return blocked
