"""Room 7: alerts, from the facts of a failure to a message in Slack that arrives once.

Belongs here: wording (alerts/wording/run_failures.py, alerts/wording/violations.py), the failed checks behind a run
(checks.py), the outbox in Postgres (outbox.py), its delivery (delivery.py, alerts/channels/slack/courier.py), Slack's
webhook and Web API (alerts/channels/slack/webhook.py, alerts/channels/slack/bot.py).
Does not belong here: deciding that something failed, Dagster.
"""

from hotdash_pipelines.alerts.channels.routing import Destination
from hotdash_pipelines.alerts.checks import failed_blocking_checks
from hotdash_pipelines.alerts.delivery import Delivery, deliver_pending
from hotdash_pipelines.alerts.outbox import enqueue, enqueue_all, requeue_dead
from hotdash_pipelines.alerts.wording.run_failures import (
    Alert,
    FailedCheck,
    FailedRun,
    Links,
    failed_checks_alert,
    failed_run_alert,
)

__all__ = [
    "Alert",
    "Delivery",
    "Destination",
    "FailedCheck",
    "FailedRun",
    "Links",
    "deliver_pending",
    "enqueue",
    "enqueue_all",
    "failed_blocking_checks",
    "failed_checks_alert",
    "failed_run_alert",
    "requeue_dead",
]
