"""Slack's incoming webhook.

Belongs here: one POST and the sorting of what can go wrong into "try again" and "a person must act".
Does not belong here: when to try again (outbox.py), what the message says (messages.py).
The webhook's URL is its password, so it stands in no log line and in no error.
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_TIMEOUT_S = 10.0
_TOO_MANY_REQUESTS = 429


class SlackError(RuntimeError):
    """A message was not accepted. The text names the kind of failure, never the URL."""


class PermanentSlackError(SlackError):
    """Trying again is of no use: the webhook was revoked, or Slack does not take the message."""


class TransientSlackError(SlackError):
    """Slack may take the message later; `retry_after` is in seconds when Slack said how long to wait."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _WithoutUrl(logging.Filter):
    """httpx logs every request with its URL; lines that hold the webhook's are dropped."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()


class SlackWebhook:
    """A client of one incoming webhook; close it, or use it in a `with` statement."""

    def __init__(self, url: str, *, timeout: float = _TIMEOUT_S, transport: httpx.BaseTransport | None = None) -> None:
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            raise PermanentSlackError("HOTDASH_SLACK_WEBHOOK_URL is no URL") from None
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise PermanentSlackError("HOTDASH_SLACK_WEBHOOK_URL is no http(s) URL")
        self._client = httpx.Client(timeout=timeout, transport=transport, follow_redirects=False)
        self._filter = _WithoutUrl(str(self._url))
        logging.getLogger("httpx").addFilter(self._filter)

    def __repr__(self) -> str:
        return "SlackWebhook(...)"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        logging.getLogger("httpx").removeFilter(self._filter)

    def post(self, payload: Mapping[str, Any]) -> None:
        """Send one message. Raises TransientSlackError for 429, 5xx and connection errors, else PermanentSlackError."""
        try:
            response = self._client.post(self._url, json=payload)
        except httpx.InvalidURL:
            raise PermanentSlackError("HOTDASH_SLACK_WEBHOOK_URL is no URL") from None
        except httpx.RequestError as error:
            raise TransientSlackError(f"Slack could not be reached ({type(error).__name__})") from None
        if response.is_success:
            return
        status = f"Slack answered {response.status_code}"
        if response.status_code == _TOO_MANY_REQUESTS or response.is_server_error:
            raise TransientSlackError(status, _seconds(response.headers.get("Retry-After")))
        raise PermanentSlackError(f"{status}: check HOTDASH_SLACK_WEBHOOK_URL and the channel behind it")


def _seconds(header: str | None) -> float | None:
    """Slack sends whole seconds; anything else is as good as no header."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
