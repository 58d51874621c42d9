"""Alerts: from the facts of a failure to a message that arrives once, in Slack and wherever else it is wanted.

Belongs here: the message as facts (message.py), its words (wording), the failed checks behind a run (checks.py), the
outbox in Postgres (outbox.py), its delivery (delivery.py), and each channel with its format and transport (channels).
Does not belong here: deciding that something failed, Dagster.
"""

from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.channels.kinds import kinds
from hotdash_pipelines.alerts.channels.slack.destination import SlackDestination
from hotdash_pipelines.alerts.checks import failed_blocking_checks
from hotdash_pipelines.alerts.delivery import Delivery, deliver_everywhere, deliver_pending
from hotdash_pipelines.alerts.message import Alert, Links
from hotdash_pipelines.alerts.outbox import enqueue, enqueue_all, requeue_dead
from hotdash_pipelines.alerts.wording.run_failures import (
    FailedCheck,
    FailedRun,
    FailedStep,
    failed_checks_alert,
    failed_run_alert,
)

__all__ = [
    "Alert",
    "Delivery",
    "Destination",
    "FailedCheck",
    "FailedRun",
    "FailedStep",
    "Links",
    "SlackDestination",
    "deliver_everywhere",
    "deliver_pending",
    "enqueue",
    "enqueue_all",
    "failed_blocking_checks",
    "failed_checks_alert",
    "failed_run_alert",
    "kinds",
    "requeue_dead",
]
