"""What the daemon does about a failed run, done in this process, and what Slack then shows.

Belongs here: raising and delivering alerts of a stack. Does not belong here: what they must say (test_alerts.py).
"""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_shared.record import copy

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.alerts.sensors import alert_delivery_sensor, run_failure_sensor
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.orchestration.resources import AlertChannelsResource, WarehouseResource
from hotdash_pipelines.warehouse.postgres import sqlalchemy_url
from tests.pipeline.harness.in_process import Bench, open_bench
from tests.pipeline.harness.stack import Stack


def messages(store: RunningStandIn) -> list[dict[str, Any]]:
    """What came to the stand-in's Slack."""
    with urllib.request.urlopen(f"{store.url}/slack/messages") as answer:
        return json.load(answer)["messages"]


def tick(bench: Bench, run_id: str, root_run_id: str | None = None) -> None:
    """What the daemon does after a failed run: the failure sensor, then the delivery.

    `root_run_id` has the run be a retry of that one.
    """
    failed_run = bench.instance.get_run_by_id(run_id)
    assert failed_run is not None
    run = copy(failed_run, root_run_id=root_run_id, parent_run_id=root_run_id)
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
        alert_delivery_sensor(delivery, warehouse=WarehouseResource(), alert_channels=AlertChannelsResource())


@contextmanager
def left_by_up(stack: Stack, slack: RunningStandIn) -> Iterator[Bench]:
    """This process with the instance that a `hotdash up` of the stack left, and a Slack."""
    with open_bench(stack, slack) as bench:
        bench.set(slack_webhook_url=slack.credentials["slack_webhook_url"])
        bench.patch.setenv("DAGSTER_HOME", str(stack.home / "dagster"))
        bench.patch.setenv("HOTDASH_DAGSTER_DATABASE_URL", sqlalchemy_url(stack.dagster_url))
        with dg.DagsterInstance.get() as bench.instance:
            yield bench
