"""An open violation from tick to tick: silent or loud, as severe as what is behind it, escalated in its time.

Belongs here: the step of a state with an open violation. Does not belong here: its beginning (opening.py) and end
(machine.py).
"""

from collections.abc import Iterator

from hotdash_pipelines.sla.definitions.model import Definition, worst
from hotdash_pipelines.sla.engine.events import Around, Step, event
from hotdash_pipelines.sla.engine.state import Event, State, Violation
from hotdash_pipelines.sla.engine.verdict import Verdict


def go_on(definition: Definition, state: State, violation: Violation, verdict: Verdict, around: Around) -> Step:
    """Nothing is told in maintenance, and nothing of a violation that is about to end."""
    if around.in_maintenance or state.oks:
        return state, ()
    events = list(_turned(definition, state, violation, verdict, around))
    if events:
        state = state.changed(violation=events[-1].violation)
    events += _escalated(definition, state, verdict, around)
    return state.changed(violation=events[-1].violation) if events else state, tuple(events)


def _turned(
    definition: Definition, state: State, violation: Violation, verdict: Verdict, around: Around
) -> Iterator[Event]:
    """Falling silent behind a root, speaking again without one, growing with what is behind."""
    root, now = around.suppressed_by, around.now
    is_loud = violation.loud_since is not None
    severity = worst(violation.severity, around.impact)
    turns = violation.turns + 1
    if root and root.incident and is_loud:
        turned = violation.changed(loud_since=None, incident=root.incident, turns=turns)
        kind, text = "suppressed", f"{verdict.message}; behind {root.key[0]}"
    elif state.suppressed_by is None and not is_loud:
        turned = violation.changed(loud_since=now, is_told=True, severity=severity, turns=turns)
        kind, text = "unsuppressed", verdict.message
    elif is_loud and severity != violation.severity:
        turned = violation.changed(severity=severity, turns=turns)
        kind, text = "raised", f"{verdict.message}; {severity} is behind it"
    else:
        return
    state = state.changed(violation=turned)
    yield event(definition, state, kind, now, text, level=turns, behind=around.behind)


def _escalated(definition: Definition, state: State, verdict: Verdict, around: Around) -> Iterator[Event]:
    """Every step whose time has come, in order: each may go to other people. Nothing once somebody acknowledged."""
    violation = state.violation
    if violation is None or violation.loud_since is None or violation.acked_by:
        return
    age = around.now - violation.loud_since
    for level, step in enumerate(definition.escalate[violation.level :], start=violation.level + 1):
        if age < step.after:
            return
        violation = violation.changed(level=level, severity=worst(violation.severity, step.severity))
        yield event(
            definition,
            state.changed(violation=violation),
            "escalated",
            around.now,
            verdict.message,
            level=level,
            channel=step.channel,
            mention=step.mention,
            behind=around.behind,
        )
