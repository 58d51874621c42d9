"""A stand-in's Slack as a bot sees it, and the delivery into it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hotdash_pipelines.alerts import Delivery, SlackDestination, deliver_pending
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.integration.alerts.harness.threads import Conn, Drain
from tests.integration.alerts.harness.violations import NOW


@pytest.fixture(scope="module")
def running() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.001, now=NOW) as stand_in:
        yield stand_in


@pytest.fixture
def slack(running: RunningStandIn) -> RunningStandIn:
    running.world.extra["slack"]._posts.clear()
    running.scenarios.clear()
    return running


@pytest.fixture
def bot(slack: RunningStandIn) -> SlackDestination:
    return SlackDestination(
        bot_token=slack.credentials["slack_bot_token"], api_url=f"{slack.url}/slack/api/", channel="#alerts"
    )


@pytest.fixture
def drain(warehouse: Conn, bot: SlackDestination) -> Drain:
    def drain_outbox(after: float = 0, to: SlackDestination = bot, **options: Any) -> Delivery:
        return deliver_pending(warehouse, to, NOW + timedelta(seconds=after), **options)

    return drain_outbox
