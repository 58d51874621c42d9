"""Where alerts go: a bot's token or a webhook, and the channel of an owner.

Belongs here: the values of the settings that delivery needs, and what they mean for one message.
Does not belong here: reading the settings (resources.py), HTTP (alerts/channels/slack/webhook.py,
alerts/channels/slack/bot.py).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

API_URL = "https://slack.com/api/"
UNDELIVERABLE = (
    "undeliverable: no Slack is configured (set HOTDASH_SLACK_BOT_TOKEN with HOTDASH_SLACK_CHANNEL, "
    "or HOTDASH_SLACK_WEBHOOK_URL)"
)


@dataclass(frozen=True)
class Destination:
    """A bot token (threads, edits, a channel an owner) or a webhook (plain messages to its one channel); both: the bot.

    `channels` maps an owner such as `team:support` to a channel; `channel` is for everybody else.
    """

    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)
    api_url: str = API_URL
    channel: str | None = None
    channels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_configured(self) -> bool:
        """Whether there is anywhere to send to."""
        return bool(self.bot_token or self.webhook_url)

    def channel_of(self, target: str | None) -> str | None:
        """The channel of a target (`#channel`, a channel's id, an owner); None when no channel is set for it."""
        if target is not None and target in self.channels:
            return self.channels[target]
        is_owner = target is None or ":" in target
        return self.channel if is_owner else target

    @property
    def fingerprint(self) -> str:
        """Changes with any of the settings and tells none of them: what Slack refused is tried again when it does."""
        parts = (
            self.webhook_url,
            self.bot_token,
            self.api_url,
            self.channel,
            *(part for pair in sorted(self.channels.items()) for part in pair),
        )
        return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:16]
