"""Where Slack's messages go: a bot's token or a webhook, and the channel of an owner.

Belongs here: the values of the settings that Slack needs, and what they mean for one message.
Does not belong here: HTTP (webhook.py, bot.py), the settings themselves.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.message import Alert
from hotdash_pipelines.base.errors import HotdashError

API_URL = "https://slack.com/api/"
# Where the stand-in's bot writes while no channel is set.
DEMO_CHANNEL = "#alerts"


@dataclass(frozen=True)
class SlackDestination(Destination):
    """A bot token (threads, edits, a channel an owner) or a webhook (plain messages to its one channel); both: the bot.

    `channels` maps an owner such as `team:support` to a channel; `channel` is for everybody else.
    """

    kind: ClassVar[str] = "slack"

    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)
    api_url: str = API_URL
    channel: str | None = None
    channels: Mapping[str, str] = field(default_factory=dict)

    @property
    def way(self) -> str | None:
        """See `Destination`."""
        return "bot" if self.bot_token else "webhook" if self.webhook_url else None

    @property
    def missing(self) -> str:
        """See `Destination`."""
        return (
            "no Slack is configured (set HOTDASH_SLACK_BOT_TOKEN with HOTDASH_SLACK_CHANNEL, "
            "or HOTDASH_SLACK_WEBHOOK_URL)"
        )

    def targets_of(self, alert: Alert) -> tuple[str | None, ...]:
        """Every alert has one place in Slack: the channel it names, or its owner's."""
        return (alert.target,)

    def channel_of(self, target: str | None) -> str | None:
        """The channel of a target (`#channel`, a channel's id, an owner); None when no channel is set for it."""
        if target is not None and target in self.channels:
            return self.channels[target]
        is_owner = target is None or ":" in target
        return self.channel if is_owner else target

    @property
    def fingerprint(self) -> str:
        """See `Destination`."""
        parts = (
            self.webhook_url,
            self.bot_token,
            self.api_url,
            self.channel,
            *(part for pair in sorted(self.channels.items()) for part in pair),
        )
        return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:16]


def slack_destination(settings: Any) -> SlackDestination:
    """The Slack that is set, else the stand-in's."""
    webhook, token = settings.slack_webhook_url, settings.slack_bot_token
    if webhook is None and token is None and settings.uses_demo:
        try:
            endpoint = settings.stand_in()
        except HotdashError:
            return SlackDestination()
        return SlackDestination(
            webhook_url=endpoint["slack_webhook_url"],
            # A stand-in of an earlier version has no bot.
            bot_token=endpoint.get("slack_bot_token"),
            api_url=f"{endpoint['url']}/slack/api/",
            channel=settings.slack_channel or DEMO_CHANNEL,
            channels=settings.slack_channels,
        )
    return SlackDestination(
        webhook_url=webhook.get_secret_value() if webhook else None,
        bot_token=token.get_secret_value() if token else None,
        api_url=settings.slack_api_url,
        channel=settings.slack_channel,
        channels=settings.slack_channels,
    )
