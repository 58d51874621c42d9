"""Where alerts go.

Belongs here: channels, their credentials and addresses. Does not belong here: sending (alerts).
"""

import re
from functools import cached_property
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from hotdash_pipelines.settings.alert_urls import AlertUrl, parse_alert_urls
from hotdash_pipelines.settings.base import SettingsGroup

SLACK_API_URL = "https://slack.com/api/"
_CHANNEL = re.compile(r"#[^\s#,=]{1,80}|[CDG][A-Z0-9]{8,}")


class AlertSettings(SettingsGroup):
    """Channels of alerts."""

    slack_webhook_url: SecretStr | None = Field(
        default=None, description="Incoming webhook for alerts: plain messages to its one channel."
    )
    slack_bot_token: SecretStr | None = Field(
        default=None,
        description="Bot token for alerts (`xoxb-...`, scope `chat:write`): threads, edits, a channel an owner. Goes "
        "before the webhook.",
    )
    slack_channel: str | None = Field(
        default=None, description="The bot's channel for alerts (`#alerts` or an id) of everybody without one."
    )
    slack_channels: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Channels of owners, comma-separated: `team:support=#support,team:data=#data`.",
    )
    slack_api_url: str = Field(default=SLACK_API_URL, description="Slack's Web API, for a proxy or a stand-in.")
    alert_urls: SecretStr | None = Field(
        default=None,
        description="Further addresses for alerts, comma- or space-separated, as apprise writes them (e-mail, "
        "PagerDuty, Teams, ...), each for all alerts, or with owners and the least severity before it: "
        "`mailtos://...`, `team:support+high=mailtos://...`, `critical=pagerduty://...`.",
    )

    @field_validator("slack_channel")
    @classmethod
    def _is_channel(cls, value: str | None) -> str | None:
        if value is not None and not _CHANNEL.fullmatch(value):
            raise ValueError(f"{value!r} is no channel: write #alerts, or the channel's id")
        return value

    @field_validator("slack_channels", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        channels: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in value.split(","))):
            owner, _, channel = (part.strip() for part in pair.partition("="))
            if not re.fullmatch(r"[^\s:=]+:\S+", owner) or not _CHANNEL.fullmatch(channel):
                raise ValueError(f"{pair!r} is no owner with a channel: write team:support=#support")
            if owner in channels:
                raise ValueError(f"{owner} has two channels")
            channels[owner] = channel
        return channels

    @field_validator("slack_api_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("write an address such as https://slack.com/api/")
        return value

    @field_validator("alert_urls")
    @classmethod
    def _are_addresses(cls, value: SecretStr | None) -> SecretStr | None:
        parse_alert_urls(value.get_secret_value() if value else "")
        return value

    @cached_property
    def alert_entries(self) -> tuple[AlertUrl, ...]:
        """The addresses of HOTDASH_ALERT_URLS, taken apart."""
        return parse_alert_urls(self.alert_urls.get_secret_value() if self.alert_urls else "")
