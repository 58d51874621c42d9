"""The outbox over HTTP, against the stand-in's Slack."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.alerts import (
    Delivery,
    FailedCheck,
    FailedRun,
    Links,
    SlackDestination,
    deliver_pending,
    enqueue,
    failed_checks_alert,
    failed_run_alert,
)
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
LINKS = Links("http://127.0.0.1:3000", "https://docs.example.org/docs")
RUN = FailedRun("run-2", "run-1", "nightly_job", "demo", "team:data", NOW)
CHECK = FailedCheck("raw_shopify/orders", "order_ids_are_unique", "3 of 1000 rows break it", NOW, "team:data")


@pytest.fixture(scope="module")
def stand_in() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.001, now=NOW) as running:
        yield running


def test_a_failed_run_and_its_failed_check_reach_slack_as_one_message(
    warehouse: psycopg.Connection[Any], stand_in: RunningStandIn
) -> None:
    assert enqueue(warehouse, failed_checks_alert(RUN, [CHECK], LINKS), NOW)
    assert not enqueue(warehouse, failed_run_alert(RUN, LINKS), NOW)
    webhook = SlackDestination(webhook_url=stand_in.credentials["slack_webhook_url"])
    assert deliver_pending(warehouse, webhook, NOW) == Delivery(sent=1)
    assert deliver_pending(warehouse, webhook, NOW + timedelta(hours=1)) == Delivery()
    [message] = stand_in.world.extra["slack"].posts()
    assert message["text"].startswith("[demo] 1 blocking check failed in nightly_job")
    assert "order_ids_are_unique" in str(message["blocks"])
