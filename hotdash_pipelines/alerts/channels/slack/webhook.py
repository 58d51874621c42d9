"""Slack's incoming webhook, and what can go wrong with any message.

Belongs here: one POST and the sorting of failures into "try again", "the settings are wrong" and "this message is".
Does not belong here: when to try again (delivery.py), what the message says (alerts/wording/run_failures.py), the Web
API (bot.py). The webhook's URL is its password, so it stands in no log line and in no error.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isfinite
from types import TracebackType
from typing import Any, Self

import httpx

from hotdash_pipelines.base.errors import HotdashError

TIMEOUT_S = 10.0
_TOO_MANY_REQUESTS = 429
_GATEWAY_TIMEOUT = 504
_UNREADABLE = (400, 413, 415)
_LONGEST_WAIT_S = 86_400.0
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class SlackError(HotdashError):
    """A message was not accepted. The text names the kind of failure, never the URL."""


class PermanentSlackError(SlackError):
    """Trying again is of no use: Slack does not take this message."""


class RefusedSlackError(SlackError):
    """The token, the webhook or the channel is refused: a person must change the settings, or let the bot in.

    `is_about_channel`: messages to other channels may still go through.
    """

    def __init__(self, message: str, *, is_about_channel: bool = False) -> None:
        super().__init__(message)
        self.is_about_channel = is_about_channel


class MissingMessageError(SlackError):
    """The message to answer or to edit is not there (any more), or may not be changed."""


class TransientSlackError(SlackError):
    """Slack may take the message later; `retry_after` is in seconds when Slack said how long to wait.

    `may_have_arrived`: the request went out and no answer told what became of it.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.may_have_arrived = may_have_arrived


class _WithoutUrl(logging.Filter):
    """httpx logs every request with its URL; lines that hold the webhook's are dropped."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()


class Client(ABC):
    """Something with a connection: close it, or use it in a `with` statement."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
        """Send one message. Raises TransientSlackError for 429, 5xx and broken connections, RefusedSlackError for a
        webhook that is gone or closed, PermanentSlackError for a message that Slack does not take."""
        response = send(self._client, self._url, payload)
        if response.is_success:
            return
        status = f"Slack answered {response.status_code}"
        if response.status_code in _UNREADABLE:
            raise PermanentSlackError(f"{status}: it does not take this message")
        raise RefusedSlackError(f"{status}: check HOTDASH_SLACK_WEBHOOK_URL and the channel behind it")

    def probe(self) -> None:
        """Ask whether Slack answers, without a message: a webhook refuses an empty one. Raises TransientSlackError."""
        send(self._client, self._url, {})

    def is_known(self) -> bool:
        """Whether Slack knows the webhook: a known one refuses the empty message for being empty. As `probe`."""
        return send(self._client, self._url, {}).status_code in _UNREADABLE


def send(
    client: httpx.Client, url: httpx.URL, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """POST a JSON body; the answer, unless it is 429 or 5xx. Raises TransientSlackError without the URL in it."""
    try:
        response = client.post(url, json=payload, headers=headers)
    except httpx.RequestError as error:
        raise TransientSlackError(
            f"Slack could not be reached ({type(error).__name__})", may_have_arrived=not isinstance(error, _NEVER_LEFT)
        ) from None
    if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
        raise TransientSlackError(
            f"Slack answered {response.status_code}",
            _seconds(response.headers.get("Retry-After")),
            may_have_arrived=response.status_code == _GATEWAY_TIMEOUT,
        )
    return response


def checked_url(url: str, variable: str) -> httpx.URL:
    """The URL of a setting; RefusedSlackError naming the variable, never its value, when it is none."""
    try:
        found = httpx.URL(url)
        # What no resolver takes is no broken connection: it would end every delivery with an error of another kind.
        found.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise RefusedSlackError(f"{variable} is no URL") from None
    if found.scheme not in ("http", "https") or not found.host:
        raise RefusedSlackError(f"{variable} is no http(s) URL")
    return found


def _seconds(header: str | None) -> float | None:
    """Slack sends whole seconds; anything else is as good as no header. At least one: 0 would be asked without end."""
    try:
        seconds = float(header) if header else None
    except ValueError:
        return None
    return None if seconds is None or not isfinite(seconds) else min(max(1.0, seconds), _LONGEST_WAIT_S)
