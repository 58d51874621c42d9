"""A webhook has one channel: what is told to several targets arrives there once."""

from typing import Any

import psycopg

from hotdash_pipelines.alerts import deliver_pending
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.alerts.harness.violations import NOW, news, tell, violation
from tests.integration.alerts.test_outbox import WEBHOOK, Slack


def test_the_end_of_a_violation_told_to_two_targets_is_one_message(
    warehouse: psycopg.Connection[Any], warehouse_url: str
) -> None:
    marts = violation(warehouse, "marts")
    tell(warehouse, news("opened", **marts))
    tell(warehouse, news("escalated", level=1, **marts | {"target": "#on-call"}))
    tell(warehouse, news("acknowledged", acked_by="Dana", **marts))
    tell(warehouse, news("resolved", **marts))
    slack = Slack()
    with connect(warehouse_url) as conn:
        done = deliver_pending(conn, WEBHOOK, NOW, transport=slack)
    assert (done.waiting, done.failed) == (0, 0)
    kinds = [text.partition(":")[0] for text in slack.texts]
    assert kinds == [
        "[prod] marts_core/fct_order 2026-03-10",
        "escalated (level 1)",
        "acknowledged",
        "resolved after 1 h 21 min",
    ]


def test_a_copy_is_sent_where_the_message_itself_was_not(
    warehouse: psycopg.Connection[Any], warehouse_url: str
) -> None:
    marts = violation(warehouse, "marts")
    tell(warehouse, news("escalated", level=1, **marts | {"target": "#on-call"}))
    tell(warehouse, news("resolved", **marts))
    slack = Slack()
    warehouse.execute("update ops.alert_outbox set state = 'dead' where dedupe_key like '%:resolved:0'")
    with connect(warehouse_url) as conn:
        deliver_pending(conn, WEBHOOK, NOW, transport=slack)
    assert any(text.startswith("resolved after") for text in slack.texts)
