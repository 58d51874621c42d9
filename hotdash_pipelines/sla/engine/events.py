"""Events of the machine, with what every one of them carries, and what surrounds a step of it.

Belongs here: severity, channel, quiet hours, wording. Does not belong here: when one happens (machine.py).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hotdash_pipelines.base.durations import lasted
from hotdash_pipelines.sla.definitions.calendar import window_end
from hotdash_pipelines.sla.definitions.model import Definition, Severity
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.state import Event, EventKind, Reason, State, Suppressor
from hotdash_pipelines.sla.engine.verdict import Verdict

Step = tuple[State, tuple[Event, ...]]

_HELD: tuple[Severity, ...] = ("low", "medium")
_ENDED: dict[Reason, str] = {
    "recovered": "recovered after",
    "retired": "the SLA was removed; it was open for",
    "changed": "the SLA was changed; it was open for",
    "known": "known again after",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What a step of the machine sees beside state and verdict: see `machine.advance`."""

    now: datetime
    suppressed_by: Suppressor | None
    behind: tuple[Key, ...]
    impact: Severity | None
    incident: str | None
    in_maintenance: bool


def event(
    definition: Definition | None,
    state: State,
    kind: EventKind,
    now: datetime,
    message: str,
    *,
    channel: str | None = None,
    **more: Any,
) -> Event:
    """An event about the state's violation; without a definition (a removed SLA) it has neither channel nor hold."""
    violation = state.violation
    severity: Severity = violation.severity if violation else definition.severity if definition else "low"
    hold = None
    if definition and definition.quiet_hours and severity in _HELD:
        hold = window_end((definition.quiet_hours,), now, definition.rule.zone)
    is_silent = violation is not None and violation.loud_since is None
    return Event(
        kind=kind,
        sla=state.sla,
        partition=state.partition,
        at=now,
        severity=severity,
        message=message,
        violation=violation,
        incident=violation.incident if violation else None,
        channel=channel or (definition.channel if definition else None),
        suppressed_by=state.suppressed_by if is_silent else None,
        reopened=violation.reopened if violation else 0,
        hold_until=hold,
        **more,
    )


def resolution(
    definition: Definition | None,
    state: State,
    now: datetime,
    recovered_at: datetime,
    reason: Reason,
    verdict: Verdict | None = None,
) -> Event:
    """The end of the state's violation. `duration` runs from the breach to the first good verdict of the recovery.

    Raises ValueError for a state without one.
    """
    violation = state.violation
    if violation is None:
        raise ValueError(f"{state.sla} has no open violation")
    duration = recovered_at - violation.breach_since
    text = f"{_ENDED[reason]} {lasted(duration)}"
    message = f"{verdict.message}; {text}" if verdict else f"{violation.subject}: {text}"
    return event(
        definition, state, "resolved", now, message, reason=reason, duration=duration, recovered_at=recovered_at
    )
