"""Room 7: alerts, from the facts of a failure to a message in Slack that arrives once.

Belongs here: wording (messages.py, violations.py), the failed checks behind a run (checks.py), the outbox in Postgres
(outbox.py), its delivery (delivery.py, courier.py), Slack's webhook and Web API (slack.py, bot.py).
Does not belong here: deciding that something failed, Dagster.
"""

from hotdash_pipelines.alerts.checks import failed_blocking_checks
from hotdash_pipelines.alerts.delivery import Delivery, deliver_pending
from hotdash_pipelines.alerts.destination import Destination
from hotdash_pipelines.alerts.messages import (
    Alert,
    FailedCheck,
    FailedRun,
    Links,
    failed_checks_alert,
    failed_run_alert,
)
from hotdash_pipelines.alerts.outbox import enqueue, enqueue_all, requeue_dead

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
