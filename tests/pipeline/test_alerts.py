"""A failed run and a failed blocking check reach Slack once; what a blocking check guards is not rebuilt."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster_shared.record import copy

from hotdash_pipelines import keys
from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.alerts.sensors import alert_delivery_sensor, run_failure_sensor
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.resources import SlackResource, WarehouseResource
from hotdash_pipelines.warehouse.postgres import sqlalchemy_url
from tests.pipeline.in_process import KEY, Bench, open_bench
from tests.pipeline.stack import NOW, SEED, Stack

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.filterwarnings("ignore:Parameter `repository_def`"),
]

MARTS = ("marts_%", "metrics")


@pytest.fixture
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def messages(store: RunningStandIn) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{store.url}/slack/messages") as answer:
        return json.load(answer)["messages"]


def tick(bench: Bench, run_id: str, root_run_id: str | None = None) -> None:
    """What the daemon does after a failed run: the failure sensor, then the delivery.

    `root_run_id` has the run be a retry of that one.
    """
    found = bench.instance.get_run_by_id(run_id)
    assert found is not None
    run = copy(found, root_run_id=root_run_id, parent_run_id=root_run_id)
    ended = [
        record.event_log_entry.dagster_event
        for record in bench.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    ]
    assert len(ended) == 1
    assert ended[0] is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure_sensor",
        dagster_instance=bench.instance,
        dagster_run=run,
        dagster_event=ended[0],
        repository_def=defs().get_repository_def(),
    ).for_run_failure()
    run_failure_sensor(context, warehouse=WarehouseResource())
    with dg.build_sensor_context(instance=bench.instance) as delivery:
        alert_delivery_sensor(delivery, warehouse=WarehouseResource(), slack=SlackResource())


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
def test_a_failed_blocking_check_stops_the_marts_and_alerts_once(bench: Bench) -> None:
    """An order whose currency the contract does not allow, planted behind the loader's back."""
    everything = bench.execute(None, "2026-03-09", "2026-03-09")
    assert everything.success, everything.errors
    before = bench.stack.checksums(*MARTS)
    assert before["metrics.agg_sales_daily"] > "1:"
    orders = "select order_id, email from raw_shopify.orders where email is not null order by order_id desc limit 1"
    ((order_id, email),) = bench.stack.query(orders)
    spoil(bench.stack, order_id)

    failed = bench.execute(None, "2026-03-09", "2026-03-09")
    assert not failed.success
    blocked = [name for name in failed.failed_checks if "(warning)" not in name]
    assert blocked
    assert {name.partition(":")[0] for name in blocked} == {"raw_shopify/orders"}
    assert "dbt_models" not in " ".join(failed.errors)
    assert not [name for name in failed.assets if name.startswith(("marts_", "metrics", "staging"))]
    assert bench.stack.checksums(*MARTS) == before
    verdicts = (
        "select check_name, blocking, passed from ops.check_results where run_id = %s and asset = %s and not passed"
    )
    assert (blocked[0].partition(": ")[2], True, False) in bench.stack.query(
        verdicts, (failed.run_id, "raw_shopify/orders")
    )

    tick(bench, failed.run_id)
    tick(bench, failed.run_id)
    sent = messages(bench.store)
    assert len(sent) == 1
    said = json.dumps(sent[0])
    for part in (
        "blocking check",
        "raw_shopify/orders",
        blocked[0].partition(": ")[2],
        "team:data",
        "quality-check-failed.md",
    ):
        assert part in said, part
    assert email not in said
    assert "@" not in said

    mend(bench.stack, order_id)
    mended = bench.execute(None, "2026-03-09", "2026-03-09")
    assert mended.success, mended.errors
    assert bench.stack.checksums(*MARTS).keys() == before.keys()


def spoil(stack: Stack, order_id: int) -> None:
    """A negative total, dated so far ahead that no load replaces it."""
    change(
        stack,
        "update raw_shopify.orders set total_amount = -1, updated_at = '2030-01-01', _loaded_at = now() "
        "where order_id = %s",
        order_id,
    )


def mend(stack: Stack, order_id: int) -> None:
    change(stack, "delete from raw_shopify.orders where order_id = %s", order_id)


def change(stack: Stack, statement: str, order_id: int) -> None:
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(stack.warehouse_url) as conn:
        assert conn.execute(statement, (order_id,)).rowcount == 1


@pytest.mark.slow
def test_a_failed_up_alerts_once_and_the_sensor_adds_nothing(stack: Stack, store: RunningStandIn) -> None:
    given = {
        "HOTDASH_PROJECT_KEY": "hotdash-demo",
        "HOTDASH_PIPELINE_SOURCES": "shopify",
        "HOTDASH_SHOPIFY_BASE_URL": store.url,
        "HOTDASH_SHOPIFY_CLIENT_ID": store.credentials["client_id"],
        "HOTDASH_SHOPIFY_CLIENT_SECRET": "shpss_" + "ab" * 16,
        "HOTDASH_SLACK_WEBHOOK_URL": store.credentials["slack_webhook_url"],
    }
    failed = stack.up(days=1, environment=given)
    assert failed.code == 1
    assert failed.out, failed.err
    assert not [name for name in json.loads(failed.out)["assets"] if "shopify" in name]
    assert "Traceback" not in failed.err
    assert "  lake_shopify__orders: shopify/orders 2026-03-09: 127.0.0.1: " in failed.err
    assert "shpss_" not in failed.err
    assert len(messages(store)) == 1

    with open_bench(stack, store) as bench:
        bench.patch.setenv("DAGSTER_HOME", str(stack.home / "dagster"))
        bench.patch.setenv("HOTDASH_DAGSTER_DATABASE_URL", sqlalchemy_url(stack.dagster_url))
        with dg.DagsterInstance.get() as bench.instance:
            (run,) = bench.instance.get_runs()
            tick(bench, run.run_id)
    assert len(messages(store)) == 1
