"""State and verdict -> the next state and what to tell: one open violation at most, told once.

Belongs here: the steps in their order, hysteresis, resolving, acknowledgement; pure functions.
Does not belong here: judging (evaluate.py), who is behind whom (suppress.py), keeping it (store.py).
"""

from dataclasses import replace
from datetime import datetime

from hotdash_pipelines.sla.calendar import window_end
from hotdash_pipelines.sla.evaluate import Verdict
from hotdash_pipelines.sla.events import Around, Step, event, resolution
from hotdash_pipelines.sla.fields import SlaError
from hotdash_pipelines.sla.model import Definition, Severity
from hotdash_pipelines.sla.ongoing import go_on
from hotdash_pipelines.sla.opening import closed, open_or_warn, subject_of
from hotdash_pipelines.sla.rule import Key
from hotdash_pipelines.sla.state import Event, State, Suppressor, Violation


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
    state, changed = _adopt(definition, state, now)
    first_good = not state.settled and state.breaches == 0
    state = _free(definition, _count(state, verdict, now), around)
    state, resolved = _resolve(definition, state, verdict, around)
    opened: tuple[Event, ...] = ()
    told: tuple[Event, ...] = ()
    if state.violation is None:
        state, opened = open_or_warn(definition, state, verdict, around, first_good)
    # One that has just opened too: of an incident that flaps at every tick, an escalation may be due by now.
    if state.violation is not None:
        state, told = go_on(definition, state, state.violation, verdict, around)
    elif not state.breaches and state.unknown_since is None:
        state = replace(state, suppressed_by=None, freed_at=None)
    return state, (*changed, *resolved, *opened, *told)


def is_unmoved(definition: Definition, state: State, verdict: Verdict) -> bool:
    """Whether the verdict changes nothing, as nearly every one does."""
    return (
        verdict.state == "ok"
        and not verdict.warning
        and state.calm
        and state.version == definition.version
        and (verdict.due is None or state.settled)
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
    state = replace(state, violation=replace(state.violation, acked_by=by, acked_at=now))
    return state, (event(definition, state, "acknowledged", now, f"acknowledged by {by}", by=by),)


def retire(definition: Definition | None, state: State, now: datetime) -> tuple[Event, ...]:
    """What closes a state whose SLA was removed (no definition), or is about something else by now."""
    if state.violation is None:
        return ()
    return (resolution(definition, state, now, now, "changed" if definition else "retired"),)


def _adopt(definition: Definition, state: State, now: datetime) -> Step:
    """Take over a changed definition. An open violation keeps its own target, unless it was about something else."""
    if state.version == definition.version:
        return state, ()
    if state.violation and state.violation.subject != subject_of(definition):
        return State(state.sla, state.partition, definition.version, now), retire(definition, state, now)
    state = replace(state, version=definition.version, watched_since=now, settled=False)
    if state.violation is None:
        # What was counted so far was counted against another target.
        state = replace(state, breaches=0, breach_since=None)
    return state, ()


def _count(state: State, verdict: Verdict, now: datetime) -> State:
    violation = state.violation
    if verdict.state == "breach":
        began = state.breach_since or verdict.breach_since or now
        if state.closed_at and began < state.closed_at:
            began = state.closed_at
        state = replace(
            state, breaches=state.breaches + 1, breach_since=began, oks=0, ok_since=None, unknown_since=None
        )
        return _seen(state, violation, verdict, now) if violation and violation.kind == "breach" else state
    if verdict.state == "unknown":
        # Not knowing counts for nothing: it interrupts a recovery, and leaves the breaches as they are.
        state = replace(state, oks=0, ok_since=None, unknown_since=state.unknown_since or now)
        return _seen(state, violation, verdict, now) if violation and violation.kind == "unknown" else state
    state = replace(state, unknown_since=None)
    if verdict.state == "ok":
        state = replace(state, breaches=0, breach_since=None, settled=state.settled or verdict.due is not None)
    if violation and (verdict.state == "ok" or violation.kind == "unknown"):
        began = verdict.ok_since if violation.kind == "breach" and verdict.ok_since else now
        state = replace(state, oks=state.oks + 1, ok_since=state.ok_since or began)
    return state


def _seen(state: State, violation: Violation, verdict: Verdict, now: datetime) -> State:
    peak = violation.peak
    if verdict.actual is not None:
        worse = min if violation.at_least else max
        peak = verdict.actual if peak is None else worse(peak, verdict.actual)
    return replace(state, violation=replace(violation, actual=verdict.actual, peak=peak, last_seen_at=now))


def _free(definition: Definition, state: State, around: Around) -> State:
    """Who explains this one. After the root has recovered, what waited for it has `catch_up` to follow."""
    if around.suppressed_by:
        return replace(state, suppressed_by=around.suppressed_by.key, freed_at=None)
    if state.suppressed_by is None:
        return state
    freed = state.freed_at or around.now
    if around.now - freed >= definition.catch_up:
        return replace(state, suppressed_by=None, freed_at=None)
    return replace(state, freed_at=freed)


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
    told: tuple[Event, ...] = (resolution(definition, state, now, end, reason, verdict),)
    return closed(state, around), told


def _only_the_target_moved(definition: Definition, violation: Violation, verdict: Verdict) -> bool:
    """Whether a good verdict is one by the new target only."""
    if violation.kind == "unknown" or violation.version == definition.version or verdict.actual is None:
        return False
    if verdict.due is not None:
        return False
    return verdict.actual < violation.expected if violation.at_least else verdict.actual > violation.expected
