"""Slack's incoming webhook, and what can go wrong with any message.

Belongs here: one POST and the sorting of failures into "try again", "the settings are wrong" and "this message is".
Does not belong here: when to try again (delivery.py), what the message shows (block_kit.py), the Web API (bot.py). The
webhook's URL is its password, so it stands in no log line and in no error.
"""

import logging
from collections.abc import Mapping
from math import isfinite
from typing import Any

import httpx

from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    Client,
    PermanentChannelError,
    RefusedChannelError,
    TransientChannelError,
)

TIMEOUT_S = 10.0
_TOO_MANY_REQUESTS = 429
_GATEWAY_TIMEOUT = 504
_UNREADABLE = (400, 413, 415)
_LONGEST_WAIT_S = 86_400.0
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class MissingMessageError(ChannelError):
    """The message to answer or to edit is not there (any more), or may not be changed."""


class _WithoutUrl(logging.Filter):
    """httpx logs every request with its URL; lines that hold the webhook's are dropped."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()


class SlackWebhook(Client):
    """A client of one incoming webhook."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_S, transport: httpx.BaseTransport | None = None) -> None:
        self._url = checked_url(url, "HOTDASH_SLACK_WEBHOOK_URL")
        self._client = httpx.Client(timeout=timeout, transport=transport, follow_redirects=False)
        self._filter = _WithoutUrl(str(self._url))
        logging.getLogger("httpx").addFilter(self._filter)

    def __repr__(self) -> str:
        return "SlackWebhook(...)"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        logging.getLogger("httpx").removeFilter(self._filter)

    def post(self, payload: Mapping[str, Any]) -> None:
        """Send one message. Raises TransientChannelError for 429, 5xx and broken connections, RefusedChannelError for a
        webhook that is gone or closed, PermanentChannelError for a message that Slack does not take."""
        response = send(self._client, self._url, payload)
        if response.is_success:
            return
        status = f"Slack answered {response.status_code}"
        if response.status_code in _UNREADABLE:
            raise PermanentChannelError(f"{status}: it does not take this message")
        raise RefusedChannelError(f"{status}: check HOTDASH_SLACK_WEBHOOK_URL and the channel behind it")

    def probe(self) -> None:
        """Ask whether Slack answers, without a message: a webhook refuses an empty one. TransientChannelError."""
        send(self._client, self._url, {})

    def is_known(self) -> bool:
        """Whether Slack knows the webhook: a known one refuses the empty message for being empty. As `probe`."""
        return send(self._client, self._url, {}).status_code in _UNREADABLE


def send(
    client: httpx.Client, url: httpx.URL, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """POST a JSON body; the answer, unless it is 429 or 5xx. Raises TransientChannelError without the URL in it."""
    try:
        response = client.post(url, json=payload, headers=headers)
    except httpx.RequestError as error:
        raise TransientChannelError(
            f"Slack could not be reached ({type(error).__name__})", may_have_arrived=not isinstance(error, _NEVER_LEFT)
        ) from None
    if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
        raise TransientChannelError(
            f"Slack answered {response.status_code}",
            _seconds(response.headers.get("Retry-After")),
            may_have_arrived=response.status_code == _GATEWAY_TIMEOUT,
        )
    return response


def checked_url(url: str, variable: str) -> httpx.URL:
    """The URL of a setting; RefusedChannelError naming the variable, never its value, when it is none."""
    try:
        address = httpx.URL(url)
        # What no resolver takes is no broken connection: it would end every delivery with an error of another kind.
        address.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise RefusedChannelError(f"{variable} is no URL") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise RefusedChannelError(f"{variable} is no http(s) URL")
    return address


def _seconds(header: str | None) -> float | None:
    """Slack sends whole seconds; anything else is as good as no header. At least one: 0 would be asked without end."""
    try:
        seconds = float(header) if header else None
    except ValueError:
        return None
    return None if seconds is None or not isfinite(seconds) else min(max(1.0, seconds), _LONGEST_WAIT_S)
