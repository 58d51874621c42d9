"""What the engine remembers of an SLA between ticks, and what it tells.

Belongs here: state, open violation and event as values, and their JSON-like form, which loses nothing.
Does not belong here: how they change (machine.py), the tables that keep them (sla/records/store.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, Self

from hotdash_pipelines.sla.definitions.model import Severity
from hotdash_pipelines.sla.definitions.rule import Key

ViolationKind = Literal["breach", "unknown"]
EventKind = Literal["opened", "escalated", "raised", "acknowledged", "resolved", "suppressed", "unsuppressed", "warned"]
Reason = Literal["recovered", "retired", "changed", "known"]


@cache
def _members(kind: type) -> tuple[tuple[str, Callable[[Any], Any], Callable[[Any, Any], None]], ...]:
    """Name, reader and writer of each slot."""
    slots = ((entry.name, vars(kind)[entry.name]) for entry in fields(kind))
    return tuple((name, slot.__get__, slot.__set__) for name, slot in slots)


class _Plain:
    """To a dictionary that JSON can hold and back; None and defaults are written too."""

    __slots__ = ()

    def changed(self, **changes: Any) -> Self:
        """A copy with some fields changed: `dataclasses.replace` at a third of its time, which is most of a tick's."""
        new = object.__new__(type(self))
        for name, get, put in _members(type(self)):
            put(new, changes.pop(name) if name in changes else get(self))
        if changes:
            raise TypeError(f"no field {', '.join(changes)}")
        return new

    def as_dict(self) -> dict[str, Any]:
        """The JSON-like form: instants in ISO 8601, lengths in seconds, keys as lists."""
        return {entry.name: _plain(getattr(self, entry.name)) for entry in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Read `as_dict` again. Raises TypeError for a name that is none of ours."""
        return cls(**{name: _typed(name, value) for name, value in content.items()})


@dataclass(frozen=True, slots=True)
class Violation(_Plain):
    """A violation that is open; (SLA, partition, `opened_at`) names it.

    It keeps the `version` and the `expected` value of the promise that it broke; `subject` is what that was about.
    `peak` is the worst value seen. `level` counts the escalations told, `turns` how often it was raised, suppressed or
    unsuppressed. `loud_since` is where the clock of escalation starts, None while it is silent behind a root;
    `is_told`: people have had a message about it.
    """

    kind: ViolationKind
    opened_at: datetime
    breach_since: datetime
    version: str
    subject: str
    expected: float
    at_least: bool
    actual: float | None
    peak: float | None
    severity: Severity
    incident: str
    last_seen_at: datetime
    level: int = 0
    turns: int = 0
    reopened: int = 0
    loud_since: datetime | None = None
    is_told: bool = False
    acked_by: str | None = None
    acked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class State(_Plain):
    """One SLA and partition ("" where it has none).

    `breaches` and `oks` count verdicts in a row, `breach_since`, `ok_since` and `unknown_since` are where those rows
    began. `settled`: this partition's deadline has had its good verdict. `incident`, `closed_at`, `reopened` and what
    an incident keeps over a flap (`loud_since`, `level`, `acked_by`, `acked_at`) are of the last violation.
    """

    sla: str
    partition: str
    version: str
    watched_since: datetime
    breaches: int = 0
    breach_since: datetime | None = None
    oks: int = 0
    ok_since: datetime | None = None
    unknown_since: datetime | None = None
    warnings: int = 0
    warned_at: datetime | None = None
    settled: bool = False
    suppressed_by: Key | None = None
    freed_at: datetime | None = None
    incident: str | None = None
    closed_at: datetime | None = None
    reopened: int = 0
    level: int = 0
    loud_since: datetime | None = None
    acked_by: str | None = None
    acked_at: datetime | None = None
    violation: Violation | None = None

    @property
    def key(self) -> Key:
        """SLA and partition."""
        return (self.sla, self.partition)


@dataclass(frozen=True, slots=True)
class Suppressor:
    """The root behind which a breach is silent; `incident` is None while the root has no open violation itself."""

    key: Key
    incident: str | None


@dataclass(frozen=True, slots=True)
class Event(_Plain):
    """Something to write down and, unless `silent`, to tell.

    `violation` is as the event leaves it (as it was when resolved); `warned` has none. `level` counts the events of one
    kind of a violation, so that (violation, kind, level) is unique. `behind` lists what a root keeps from being told.
    `hold_until`: quiet hours keep the message back until then. `by` acknowledged.
    """

    kind: EventKind
    sla: str
    partition: str
    at: datetime
    severity: Severity
    message: str
    violation: Violation | None = None
    incident: str | None = None
    level: int = 0
    reason: Reason | None = None
    duration: timedelta | None = None
    recovered_at: datetime | None = None
    channel: str | None = None
    mention: str | None = None
    suppressed_by: Key | None = None
    reopened: int = 0
    behind: tuple[Key, ...] = ()
    hold_until: datetime | None = None
    by: str | None = None

    @property
    def key(self) -> Key:
        """SLA and partition."""
        return (self.sla, self.partition)

    @property
    def silent(self) -> bool:
        """Whether the message of a root speaks for this event: nobody was ever told of the violation itself."""
        return self.violation is not None and not self.violation.is_told


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, _Plain):
        return value.as_dict()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _typed(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith(("_since", "_at", "_until")) or name == "at":
        return datetime.fromisoformat(value)
    if name == "suppressed_by":
        return tuple(value)
    if name == "behind":
        return tuple(tuple(key) for key in value)
    if name == "duration":
        return timedelta(seconds=value)
    return Violation.from_dict(value) if name == "violation" else value
