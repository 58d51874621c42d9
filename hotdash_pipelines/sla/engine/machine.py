"""State and verdict -> the next state and what to tell: one open violation at most, told once.

Belongs here: the steps in their order, hysteresis, resolving, acknowledgement; pure functions.
Does not belong here: judging (evaluate.py), who is behind whom (suppress.py), keeping it (sla/records/store.py).
"""

from datetime import datetime

from hotdash_pipelines.sla.definitions.calendar import window_end
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Definition, Severity
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.events import Around, Step, event, resolution
from hotdash_pipelines.sla.engine.ongoing import go_on
from hotdash_pipelines.sla.engine.opening import closed, open_or_warn, subject_of
from hotdash_pipelines.sla.engine.state import Event, State, Suppressor, Violation
from hotdash_pipelines.sla.engine.verdict import CLOCK_SKEW, Verdict


def advance(
    definition: Definition,
    state: State,
    verdict: Verdict,
    now: datetime,
    suppressed_by: Suppressor | None = None,
    behind: tuple[Key, ...] = (),
    impact: Severity | None = None,
    incident: str | None = None,
) -> Step:
    """The state after `verdict` at `now`, and what happened.

    `suppressed_by` is the root that explains a breach of this one. For a root, `behind` lists what it explains and
    `impact` is the highest severity among those. `incident` is one that is open for the same dataset already.
    """
    if is_unmoved(definition, state, verdict):
        return state, ()
    in_maintenance = window_end(definition.maintenance, now, definition.rule.zone) is not None
    around = Around(now, suppressed_by, behind, impact, incident, in_maintenance)
    state = _adopt(definition, state, now)
    first_good = not state.settled and state.breaches == 0
    was_blind = state.unknown_since is not None and state.freed_at is None
    state = _free(definition, _count(state, verdict, now), around)
    state, resolved = _resolve(definition, state, verdict, around)
    # After a blindness that was shared there is nothing to catch up with: it is broken as it is seen.
    if was_blind and verdict.state == "breach" and not (suppressed_by or state.violation):
        state = state.changed(suppressed_by=None, freed_at=None)
    opened: tuple[Event, ...] = ()
    ongoing: tuple[Event, ...] = ()
    if state.violation is None:
        state, opened = open_or_warn(definition, state, verdict, around, first_good)
    # One that has just opened too: of an incident that flaps at every tick, an escalation may be due by now.
    if state.violation is not None:
        state, ongoing = go_on(definition, state, state.violation, verdict, around)
    elif state.suppressed_by and not state.breaches and state.unknown_since is None:
        state = state.changed(suppressed_by=None, freed_at=None)
    return state, (*resolved, *opened, *ongoing)


def is_unmoved(definition: Definition, state: State, verdict: Verdict) -> bool:
    """Whether the verdict changes nothing, as nearly every one does."""
    is_good = verdict.state == "ok" and (verdict.due is None or state.settled)
    return (
        (is_good or verdict.state == "pending")
        and not verdict.warning
        and state.violation is None
        and state.breaches == 0
        and state.unknown_since is None
        and state.warnings == 0
        and state.warned_at is None
        and state.suppressed_by is None
        and state.version == definition.version
    )


def acknowledge(definition: Definition, state: State, by: str, now: datetime) -> Step:
    """Somebody took it on: no more escalation of this violation, nor of its incident when it flaps.

    Acknowledging twice changes nothing. Raises SlaError when no violation is open.
    """
    if state.violation is None:
        where = f" {state.partition}" if state.partition else ""
        raise SlaError(f"{state.sla}{where} has no open violation to acknowledge; `hotdash sla status` lists those")
    if state.violation.acked_by:
        return state, ()
    state = state.changed(violation=state.violation.changed(acked_by=by, acked_at=now))
    return state, (event(definition, state, "acknowledged", now, f"acknowledged by {by}", by=by),)


def is_left(definition: Definition | None, state: State, now: datetime) -> bool:
    """Whether the state's SLA was removed, or is about something else by now, or its day is still to come: then a clock
    was ahead, and nothing can be late."""
    if definition is None or (definition.rule.kind == "deadline") != bool(state.partition):
        return True
    if state.partition and definition.rule.due_of(state.partition).opens_at > now + CLOCK_SKEW:
        return True
    return state.violation is not None and state.violation.subject != subject_of(definition)


def retire(definition: Definition | None, state: State, now: datetime) -> tuple[Event, ...]:
    """What closes a left state: `retired` without a definition, else `changed`; for a wrong clock `recovered`."""
    if state.violation is None:
        return ()
    if definition and state.partition and state.version == definition.version:
        return (resolution(definition, state, now, max(now, state.violation.breach_since), "recovered"),)
    return (resolution(definition, state, now, now, "changed" if definition else "retired"),)


def _adopt(definition: Definition, state: State, now: datetime) -> State:
    """Take over a changed definition. An open violation keeps its own target; the new one does not accuse the past."""
    if state.version == definition.version:
        return state
    state = state.changed(version=definition.version, watched_since=now, settled=False)
    # What was counted so far was counted against another target.
    return state if state.violation else state.changed(breaches=0, breach_since=None)


def _count(state: State, verdict: Verdict, now: datetime) -> State:
    violation = state.violation
    if verdict.state == "breach":
        began = state.breach_since or verdict.breach_since or now
        if state.closed_at and began < state.closed_at:
            began = state.closed_at
        return state.changed(
            breaches=state.breaches + 1,
            breach_since=began,
            oks=0,
            ok_since=None,
            unknown_since=None,
            violation=_seen(violation, verdict, now),
        )
    if verdict.state == "unknown":
        # Not knowing counts for nothing: it interrupts a recovery, and leaves the breaches as they are.
        since = state.unknown_since or now
        return state.changed(oks=0, ok_since=None, unknown_since=since, violation=_seen(violation, verdict, now))
    if verdict.state == "ok":
        state = state.changed(
            breaches=0,
            breach_since=None,
            unknown_since=None,
            settled=state.settled or verdict.due is not None,
        )
    elif state.unknown_since:
        state = state.changed(unknown_since=None)
    if violation and (verdict.state == "ok" or violation.kind == "unknown"):
        began = verdict.ok_since if violation.kind == "breach" and verdict.ok_since else now
        state = state.changed(oks=state.oks + 1, ok_since=state.ok_since or began)
    return state


def _seen(violation: Violation | None, verdict: Verdict, now: datetime) -> Violation | None:
    """The violation, seen once more where the verdict is of its kind."""
    if violation is None or violation.kind != verdict.state:
        return violation
    peak = violation.peak
    if verdict.actual is not None:
        worse = min if violation.at_least else max
        peak = verdict.actual if peak is None else worse(peak, verdict.actual)
    return violation.changed(actual=verdict.actual, peak=peak, last_seen_at=now)


def _free(definition: Definition, state: State, around: Around) -> State:
    """Who explains this one. After the root has recovered, what waited for it has `catch_up` to follow."""
    root = around.suppressed_by
    # One that breaks now and then and never opens has nothing told; it does not begin the wait anew.
    if root and (root.incident or state.freed_at is None):
        is_known = state.suppressed_by == root.key and state.freed_at is None
        return state if is_known else state.changed(suppressed_by=root.key, freed_at=None)
    if state.suppressed_by is None:
        return state
    freed = state.freed_at or around.now
    if around.now - freed >= definition.catch_up:
        return state.changed(suppressed_by=None, freed_at=None)
    return state.changed(freed_at=freed)


def _resolve(definition: Definition, state: State, verdict: Verdict, around: Around) -> Step:
    violation, now = state.violation, around.now
    if violation is None:
        return state, ()
    if violation.kind == "unknown" and verdict.state == "breach" and state.breaches >= definition.open_after:
        return closed(state, around), (resolution(definition, state, now, now, "known"),)
    if state.oks < definition.resolve_after or state.ok_since is None:
        return state, ()
    end = max(state.ok_since, violation.breach_since)
    reason = "changed" if _only_the_target_moved(definition, violation, verdict) else "recovered"
    events: tuple[Event, ...] = (resolution(definition, state, now, end, reason, verdict),)
    return closed(state, around), events


def _only_the_target_moved(definition: Definition, violation: Violation, verdict: Verdict) -> bool:
    """Whether a good verdict is one by the new target only."""
    if violation.kind == "unknown" or violation.version == definition.version or verdict.actual is None:
        return False
    if verdict.due is not None:
        return False
    return verdict.actual < violation.expected if violation.at_least else verdict.actual > violation.expected
