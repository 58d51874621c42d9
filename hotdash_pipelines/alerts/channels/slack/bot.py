"""Slack's Web API with a bot's token: post, answer in a thread, edit.

Belongs here: three methods and the sorting of Slack's error words. Does not belong here: when to try again
(delivery.py), what the message shows (block_kit.py). The token goes into one header and nowhere else.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    Client,
    PermanentChannelError,
    RefusedChannelError,
    TransientChannelError,
)
from hotdash_pipelines.alerts.channels.slack.destination import API_URL
from hotdash_pipelines.alerts.channels.slack.webhook import TIMEOUT_S, MissingMessageError, checked_url, send

_TOKEN_ERRORS = frozenset(
    {
        "access_denied", "account_inactive", "ekm_access_denied", "enterprise_is_restricted", "invalid_auth",
        "missing_scope", "no_permission", "not_allowed_token_type", "not_authed", "org_login_required",
        "team_access_not_granted", "token_expired", "token_revoked", "two_factor_setup_required",
    }
)  # fmt: skip
_CHANNEL_ERRORS = frozenset(
    {
        "channel_not_found", "is_archived", "messages_tab_disabled", "not_in_channel", "restricted_action",
        "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
    }
)  # fmt: skip
_MISSING_ERRORS = frozenset(
    {
        "cannot_reply_to_message", "cant_update_message", "edit_window_closed", "message_not_found",
        "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "thread_not_found",
    }
)  # fmt: skip
_PASSING_ERRORS = frozenset({"ratelimited", "rate_limited", "request_timeout", "service_unavailable"})
# Slack says of these that part of the operation may have succeeded.
_UNCLEAR_ERRORS = frozenset({"fatal_error", "internal_error"})


@dataclass(frozen=True)
class Sent:
    """Slack's name of a message: its channel's id, and its `ts` there."""

    channel: str
    ts: str


class SlackBot(Client):
    """A client of the Web API."""

    def __init__(
        self,
        token: str,
        api_url: str = API_URL,
        *,
        timeout: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise RefusedChannelError("HOTDASH_SLACK_BOT_TOKEN is no token")
        base = checked_url(f"{api_url.rstrip('/')}/", "HOTDASH_SLACK_API_URL")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._base = base
        self._client = httpx.Client(timeout=timeout, transport=transport, follow_redirects=False)

    def __repr__(self) -> str:
        return "SlackBot(...)"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def post(self, channel: str, payload: Mapping[str, Any], thread_ts: str | None = None) -> Sent:
        """Send one message, in a thread if its first message's `ts` is given. Raises the kinds of ChannelError."""
        answers = {"thread_ts": thread_ts} if thread_ts else {}
        return _name_of(
            self._call("chat.postMessage", {**payload, **answers, "channel": channel, "unfurl_links": False})
        )

    def update(self, channel: str, ts: str, payload: Mapping[str, Any]) -> Sent:
        """Put another text in the place of a message's. Raises the kinds of ChannelError."""
        return _name_of(self._call("chat.update", {**payload, "channel": channel, "ts": ts}))

    def probe(self) -> None:
        """Ask whether Slack answers and takes the token. Raises the kinds of ChannelError."""
        self._call("auth.test", {})

    def _call(self, method: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        response = send(self._client, self._base.join(method), payload, self._headers)
        if not response.is_success:
            raise RefusedChannelError(f"Slack answered {response.status_code} to {method}: check HOTDASH_SLACK_API_URL")
        try:
            answer = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise TransientChannelError(f"Slack's answer to {method} cannot be read", may_have_arrived=True)
        if not answer["ok"]:
            raise _sorted(str(answer.get("error")), payload.get("channel"))
        return answer


def _name_of(answer: Mapping[str, Any]) -> Sent:
    return Sent(str(answer.get("channel", "")), str(answer.get("ts", "")))


def _sorted(error: str, channel: object) -> ChannelError:
    """Slack's word for what is wrong, as the kind of failure it is."""
    word = error if re.fullmatch(r"[a-z_]{1,60}", error) else "an unknown error"
    if word in _TOKEN_ERRORS:
        return RefusedChannelError(f"Slack answered {word}: check HOTDASH_SLACK_BOT_TOKEN and the scope chat:write")
    if word in _CHANNEL_ERRORS:
        return RefusedChannelError(
            f"Slack answered {word} for {channel}: invite the bot there, or change HOTDASH_SLACK_CHANNEL or "
            "HOTDASH_SLACK_CHANNELS",
            is_about_target=True,
        )
    if word in _MISSING_ERRORS:
        return MissingMessageError(f"Slack answered {word}")
    if word in _PASSING_ERRORS or word in _UNCLEAR_ERRORS:
        return TransientChannelError(f"Slack answered {word}", may_have_arrived=word in _UNCLEAR_ERRORS)
    return PermanentChannelError(f"Slack answered {word}: it does not take this message")
