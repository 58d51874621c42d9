"""Slack: the incoming webhook, the bot's Web API, and the courier that chooses between them.

Belongs here: the record, and in the files beside it Slack's settings, format and calls. Does not belong here: wording.
"""

from typing import Any

from hotdash_pipelines.alerts.channels.channel import ChannelKind, Courier
from hotdash_pipelines.alerts.channels.slack.block_kit import compose
from hotdash_pipelines.alerts.channels.slack.destination import SlackDestination, slack_destination


def _open_courier(destination: SlackDestination, transport: Any = None) -> Courier:
    from hotdash_pipelines.alerts.channels.slack.courier import open_courier

    return open_courier(destination, transport)


def _validate(destination: SlackDestination) -> None:
    _open_courier(destination).close()


CHANNEL = ChannelKind(
    name=SlackDestination.kind,
    variables=(
        "HOTDASH_SLACK_WEBHOOK_URL",
        "HOTDASH_SLACK_BOT_TOKEN",
        "HOTDASH_SLACK_CHANNEL",
        "HOTDASH_SLACK_CHANNELS",
        "HOTDASH_SLACK_API_URL",
    ),
    read=slack_destination,
    validate=_validate,
    compose=compose,
    open_courier=_open_courier,
    can_edit=True,
    holds_together=True,
)
