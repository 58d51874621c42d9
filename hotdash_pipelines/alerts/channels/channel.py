"""What a channel is: its record, where it leads to, how it carries one message, and what can go wrong.

Belongs here: the protocol that delivery and routing rely on. Does not belong here: any one channel.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from hotdash_pipelines.alerts.message import Alert
from hotdash_pipelines.base.errors import HotdashError

if TYPE_CHECKING:
    import psycopg


class ChannelError(HotdashError):
    """A message was not accepted. The text names the kind of failure, never an address or a token."""


class PermanentChannelError(ChannelError):
    """Trying again is of no use: the channel does not take this message."""


class RefusedChannelError(ChannelError):
    """What the settings say is refused: a person must change them, or let us in.

    `is_about_target`: messages to other targets of the channel may still go through.
    """

    def __init__(self, message: str, *, is_about_target: bool = False) -> None:
        super().__init__(message)
        self.is_about_target = is_about_target


class TransientChannelError(ChannelError):
    """The channel may take the message later; `retry_after` is in seconds when it said how long to wait.

    `may_have_arrived`: the request went out and no answer told what became of it.
    """

    is_transient: ClassVar[bool] = True

    def __init__(self, message: str, retry_after: float | None = None, *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.may_have_arrived = may_have_arrived


@dataclass(frozen=True)
class Letter:
    """A row of the outbox that is due."""

    id: int
    payload: Mapping[str, Any]
    attempts: int
    action: str
    target: str | None
    thread_key: str | None
    violation_id: int | None
    incident_id: int | None
    unanswered: int
    dedupe_key: str
    severity: str

    @property
    def marks(self) -> tuple[str, ...]:
        """Its numbers: a crash between the answer and the commit may send it twice, and these tell.

        Outside of a thread they also tell which messages belong together.
        """
        marks = [f"alert {self.id}"]
        if self.violation_id:
            marks.append(f"violation {self.violation_id}")
        if self.incident_id or self.thread_key:
            marks.append(f"incident {self.incident_id or self.thread_key}")
        return tuple(marks)


@dataclass(frozen=True)
class Placed:
    """Where a message went: `action` is what was done in the end; `note` says why nothing had to be.

    `channel` and `ts` are where answers and edits go, of a channel that has such. `where` is for people.
    """

    action: str
    channel: str | None = None
    ts: str | None = None
    note: str | None = None
    where: str = ""


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


class Courier(Client):
    """Takes messages to one channel."""

    @abstractmethod
    def probe(self) -> None:
        """Ask whether the other side answers at all, without a message. Raises the kinds of ChannelError.

        Does nothing where that cannot be asked.
        """

    @abstractmethod
    def deliver(self, conn: "psycopg.Connection[Any]", letter: Letter, composed: Any) -> Placed:
        """Send one message, as the record's `compose` made it. Raises the kinds of ChannelError."""

    @abstractmethod
    def say(self, target: str | None, text: str) -> Placed:
        """Send a plain text that is not in the outbox. Raises the kinds of ChannelError."""


class Destination(ABC):
    """Where the settings have one channel lead to; a frozen value without any connection."""

    kind: ClassVar[str]
    """Name of the channel's record."""

    @property
    @abstractmethod
    def way(self) -> str | None:
        """How it gets there, in a word or two; None while the settings name nowhere."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes with any of the settings and tells none of them: what was refused is tried again when it does."""

    @property
    @abstractmethod
    def missing(self) -> str:
        """What to set, while nothing is."""

    @abstractmethod
    def targets_of(self, alert: Alert) -> tuple[str | None, ...]:
        """Where in the channel an alert goes, by its owners and severity; empty: it is not for this channel."""

    def reaches(self, target: str | None) -> bool:  # noqa: ARG002 - for those that can tell
        """Whether the settings still know the target."""
        return True

    @property
    def is_configured(self) -> bool:
        """Whether there is anywhere to send to."""
        return self.way is not None


@dataclass(frozen=True)
class ChannelKind:
    """All that is known of a channel; its folder holds one as `CHANNEL`.

    `read` has the settings say where it leads to, `validate` looks closer without sending anything (both raise
    HotdashError, in a line that tells no secret), `compose` is its format, `open_courier` its transport (raises
    RefusedChannelError). `can_edit`: edits are sent to it; else the message before an edit tells the same.
    `holds_together`: while one message of it has to wait, all have to, else those to the same target.
    """

    name: str
    variables: tuple[str, ...]
    read: Callable[[Any], Destination]
    validate: Callable[[Any], None]
    compose: Callable[[Letter], Any]
    open_courier: Callable[..., Courier]
    can_edit: bool = False
    holds_together: bool = False
