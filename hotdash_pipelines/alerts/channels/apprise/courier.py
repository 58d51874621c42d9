"""One message by the library apprise, to one address.

Belongs here: the call, and the sorting of what apprise says of a failure. Does not belong here: when to try again
(delivery.py), what the message shows (plain_text.py). An address is a password: it stands in no log line and in no
error, so what apprise and urllib3 log while one is read or sent is read here and goes nowhere else.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.channels.apprise.destination import AppriseDestination, AppriseEntry
from hotdash_pipelines.alerts.channels.apprise.plain_text import PlainMessage, shortened
from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    Courier,
    Letter,
    PermanentChannelError,
    Placed,
    RefusedChannelError,
    TransientChannelError,
)

if TYPE_CHECKING:
    import apprise
    import psycopg

_TYPES = {"critical": "failure", "high": "failure", "medium": "warning", "low": "warning", "warning": "warning"}
# What apprise and its services write: `..., error=503.` of HTTP, `Socket Exception: (535, b'...')` of a mail server.
_HTTP_STATUS = re.compile(r"\berror=(\d{3})\b")
_MAIL_STATUS = re.compile(r"Exception: \((\d{3}),|Exception: \{.*?: \((\d{3}),")
_UNANSWERED = re.compile(r"read timed out|connection aborted|timed out while reading", re.IGNORECASE)
_UNREADABLE = (400, 406, 411, 413, 414, 415, 422)
_NOT_SIGNED_IN = (530, 534, 535, 538)
_LATER = (408, 425, 429)
_EXCEPTIONS = ("Socket Exception", "I/O Exception")
_ALONE = threading.Lock()


class AppriseCourier(Courier):
    """Takes plain messages to the addresses: an answer is a short message that names its incident."""

    def __init__(self, destination: AppriseDestination) -> None:
        self._entries = {entry.name: entry for entry in destination.entries}
        self._services: dict[str, apprise.Apprise] = {}

    def close(self) -> None:
        """Nothing stays open between two messages."""
        self._services.clear()

    def probe(self) -> None:
        """There is no asking without a message."""

    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter, composed: PlainMessage) -> Placed:  # noqa: ARG002 - of another courier
        """See `Courier`."""
        entry = self._entries.get(letter.target or "")
        if entry is None:
            raise PermanentChannelError(f"HOTDASH_ALERT_URLS has no entry {letter.target!r} any more")
        self._send(entry, composed)
        return Placed("post", where=entry.name)

    def say(self, target: str | None, text: str) -> Placed:
        """See `Courier`; without a target to every address."""
        entries = [entry for entry in self._entries.values() if target in (None, entry.name, *entry.owners)]
        if not entries:
            raise RefusedChannelError(f"HOTDASH_ALERT_URLS has no entry {target!r}", is_about_target=True)
        for entry in entries:
            self._send(entry, PlainMessage(shortened(text), text, "info"))
        return Placed("post", where=", ".join(entry.name for entry in entries))

    def validate(self) -> None:
        """Have apprise read every address. Raises RefusedChannelError naming the first that is none."""
        for entry in self._entries.values():
            self._service(entry)

    def _service(self, entry: AppriseEntry) -> "apprise.Apprise":
        if entry.name not in self._services:
            with _listening():
                import apprise

                asset = apprise.AppriseAsset(
                    storage_mode=apprise.PersistentStoreMode.MEMORY,
                    async_mode=False,
                    app_id="HotDash",
                    app_desc="HotDash",
                )
                service = apprise.Apprise(asset=asset)
                is_read = service.add(entry.url)
                for plugin in service:
                    # What a service would refuse for its length is cut; `?overflow=split` in the address splits it.
                    if plugin.overflow_mode == apprise.OverflowMode.UPSTREAM:
                        plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
            if not is_read:
                raise RefusedChannelError(
                    f"HOTDASH_ALERT_URLS: apprise cannot read the address of {entry.name!r}", is_about_target=True
                )
            self._services[entry.name] = service
        return self._services[entry.name]

    def _send(self, entry: AppriseEntry, message: PlainMessage) -> None:
        service = self._service(entry)
        with _listening() as lines:
            result = service.notify(
                body=message.body,
                title=message.title,
                notify_type=_TYPES.get(message.severity, "info"),
                body_format="text",
            )
        if not result:
            raise _sorted(entry.name, "\n".join(lines), is_late=result.status.name == "TIMEOUT")


def open_courier(destination: AppriseDestination, transport: Any = None) -> AppriseCourier:  # noqa: ARG001 - of Slack
    """A courier to the addresses of a destination."""
    return AppriseCourier(destination)


def _sorted(name: str, said: str, *, is_late: bool) -> ChannelError:
    """What apprise's log says of a failure, as the kind of failure it is; what it does not tell may pass."""
    if match := _HTTP_STATUS.search(said):
        status = int(match[1])
        answered = f"{name} answered {status}"
        if status in _LATER or status >= 500:
            return TransientChannelError(answered, may_have_arrived=status == 504)
        if status in _UNREADABLE:
            return PermanentChannelError(f"{answered}: it does not take this message")
        return RefusedChannelError(f"{answered}: check its address in HOTDASH_ALERT_URLS", is_about_target=True)
    if match := _MAIL_STATUS.search(said):
        status = int(match[1] or match[2])
        answered = f"{name}: the mail server answered {status}"
        if status in _NOT_SIGNED_IN:
            return RefusedChannelError(f"{answered}: check its address in HOTDASH_ALERT_URLS", is_about_target=True)
        if status >= 500:
            return PermanentChannelError(f"{answered}: it does not take this message")
        return TransientChannelError(answered)
    if is_late or _UNANSWERED.search(said):
        return TransientChannelError(f"{name} did not answer", may_have_arrived=True)
    return TransientChannelError(f"{name} could not be reached")


class _Listener(logging.Filter):
    """Keeps what is logged to itself, and of that what tells of a failure: the rest repeats the message."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if record.levelno >= logging.WARNING or line.startswith(_EXCEPTIONS):
            self.lines.append(line)
        return False


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What apprise logs of failures meanwhile, which goes nowhere else; nor does what urllib3 logs. One at a time."""
    own, of_connections = logging.getLogger("apprise"), logging.getLogger("urllib3.connectionpool")
    listener, silence = _Listener(), _Listener()
    with _ALONE:
        level = own.level
        own.setLevel(logging.DEBUG)
        own.addFilter(listener)
        of_connections.addFilter(silence)
        try:
            yield listener.lines
        finally:
            own.removeFilter(listener)
            of_connections.removeFilter(silence)
            own.setLevel(level)
