"""When a violation opens, and when a value that nears its target is told of.

Belongs here: the step of a state without an open violation. Does not belong here: what follows (ongoing.py).
"""

from hotdash_pipelines.sla.definitions.model import Definition, worst
from hotdash_pipelines.sla.engine.events import Around, Step, event, resolution
from hotdash_pipelines.sla.engine.state import State, Violation, ViolationKind
from hotdash_pipelines.sla.engine.verdict import Verdict


def open_or_warn(definition: Definition, state: State, verdict: Verdict, around: Around, first_good: bool) -> Step:
    """Open a violation when it is time, else warn when there is something to warn of.

    `first_good`: so far this partition's deadline has had neither a good verdict nor a bad one.
    """
    root = around.suppressed_by
    # A root that is not open yet, or has just recovered, has no message that could speak for this one.
    waits = state.suppressed_by is not None and (root is None or root.incident is None)
    if around.in_maintenance or waits:
        return state, ()
    if verdict.state == "breach" and state.breaches >= definition.open_after:
        opened = _opened(definition, state, verdict, around, "breach")
    elif _is_blind_too_long(definition, state, verdict, around):
        opened = _opened(definition, state, verdict, around, "unknown")
    elif first_good and _was_late_unseen(definition, state, verdict):
        opened = _opened(definition, state, verdict, around, "breach")
        opening = event(definition, opened, "opened", around.now, verdict.message, behind=around.behind)
        end = verdict.ok_since or around.now
        return closed(opened, around), (opening, resolution(definition, opened, around.now, end, "recovered", verdict))
    else:
        return _warn(definition, state, verdict, around)
    return opened, (event(definition, opened, "opened", around.now, verdict.message, behind=around.behind),)


def subject_of(definition: Definition) -> str:
    """What a violation is about; another subject under the same name is another SLA."""
    return f"{definition.dataset} {definition.type} {definition.unit}"


def closed(state: State, around: Around) -> State:
    """Without its violation, but with what its incident keeps over a flap."""
    violation = state.violation
    if violation is None:
        return state
    return state.changed(
        violation=None,
        oks=0,
        ok_since=None,
        closed_at=around.now,
        incident=violation.incident,
        reopened=violation.reopened,
        level=violation.level,
        loud_since=violation.loud_since,
        acked_by=violation.acked_by,
        acked_at=violation.acked_at,
    )


def _is_blind_too_long(definition: Definition, state: State, verdict: Verdict, around: Around) -> bool:
    since = state.unknown_since
    return verdict.state == "unknown" and since is not None and around.now - since >= definition.grace


def _was_late_unseen(definition: Definition, state: State, verdict: Verdict) -> bool:
    """Whether a deadline was missed and made up for while nobody looked: the history must have it all the same."""
    return (
        verdict.state == "ok"
        and verdict.breach_since is not None
        and state.watched_since <= verdict.breach_since
        and definition.open_after == 1
    )


def _opened(definition: Definition, state: State, verdict: Verdict, around: Around, kind: ViolationKind) -> State:
    """The state with a violation opened now, as part of the incident that it belongs to."""
    now, root = around.now, around.suppressed_by if state.suppressed_by else None
    flaps = state.closed_at is not None and now - state.closed_at <= definition.flap_window
    since = state.unknown_since if kind == "unknown" else state.breach_since or verdict.breach_since
    loud = None if root else (state.loud_since if flaps else None) or now
    violation = Violation(
        kind=kind,
        opened_at=now,
        breach_since=since or now,
        version=definition.version,
        subject=subject_of(definition),
        expected=verdict.expected,
        at_least=definition.rule.at_least,
        actual=verdict.actual,
        peak=verdict.actual,
        severity=worst(definition.severity, around.impact),
        incident=(root.incident if root else None)
        or (state.incident if flaps else None)
        or around.incident
        or f"{definition.dataset}@{now.isoformat(timespec='seconds')}",
        last_seen_at=now,
        level=state.level if flaps else 0,
        reopened=state.reopened + 1 if flaps else 0,
        loud_since=loud,
        is_told=loud is not None,
        acked_by=state.acked_by if flaps else None,
        acked_at=state.acked_at if flaps else None,
    )
    return state.changed(violation=violation, oks=0, ok_since=None)


def _warn(definition: Definition, state: State, verdict: Verdict, around: Around) -> Step:
    """Tell once that a value nears its target, and again only after it has been away from it for the flap window."""
    now = around.now
    if not verdict.warning:
        if not state.warnings and state.warned_at is None:
            return state, ()
        lasts = state.warned_at is not None and now - state.warned_at < definition.flap_window
        return state.changed(warnings=0, warned_at=state.warned_at if lasts else None), ()
    state = state.changed(warnings=state.warnings + 1)
    if state.warned_at is not None:
        return state.changed(warned_at=now), ()
    if state.warnings < definition.open_after or state.suppressed_by is not None:
        return state, ()
    state = state.changed(warned_at=now)
    return state, (event(definition, state, "warned", now, verdict.message),)
