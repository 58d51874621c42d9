"""Alerts as rows of the outbox that are due, and what a channel's format makes of them.

Belongs here: what tests of wording and formats share. Does not belong here: a database.
"""

import json
from typing import Any

from hotdash_pipelines.alerts import Alert
from hotdash_pipelines.alerts.channels.channel import Letter
from hotdash_pipelines.alerts.channels.slack.block_kit import compose


def letter_of(alert: Alert, target: str | None = None) -> Letter:
    """The row of an alert, its payload having gone through JSON."""
    return Letter(
        id=1,
        payload=json.loads(json.dumps(alert.payload)),
        attempts=0,
        action=alert.action,
        target=target or alert.target,
        thread_key=alert.thread_key,
        violation_id=alert.violation_id,
        incident_id=alert.incident_id,
        unanswered=0,
        dedupe_key=alert.dedupe_key,
        severity=alert.severity,
    )


def as_slack_takes(alert: Alert) -> dict[str, Any]:
    """The body of Slack's call."""
    return compose(letter_of(alert))
