"""All SLAs at one instant: states and observations in, states and events out, nothing else touched.

Belongs here: putting evaluation, suppression and the state machine together.
Does not belong here: their rules (evaluate.py, suppress.py, machine.py), where states and observations come from.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from hotdash_pipelines.sla.calendar import Due, window_end
from hotdash_pipelines.sla.evaluate import Verdict, evaluate
from hotdash_pipelines.sla.machine import advance, is_unmoved, retire
from hotdash_pipelines.sla.model import Definition, Severity, worst
from hotdash_pipelines.sla.observation import Observation, by_key
from hotdash_pipelines.sla.rule import Key
from hotdash_pipelines.sla.state import Event, State, Suppressor
from hotdash_pipelines.sla.suppress import BLIND, Trouble, roots

# How many deadlines that passed while nobody looked are made up for.
_MADE_UP = 31


@dataclass(frozen=True, slots=True)
class Tick:
    """What came of a tick. `states` is the whole new set: a key that is not in it is over and done with.

    `verdicts` has every SLA and watched partition; `behind` maps a root to what it explains, by key.
    """

    states: dict[Key, State]
    events: tuple[Event, ...]
    verdicts: dict[Key, Verdict]
    behind: dict[Key, tuple[Key, ...]]


@dataclass(slots=True)
class _Moved:
    definition: Definition
    state: State
    verdict: Verdict


def tick(
    definitions: Sequence[Definition],
    states: Mapping[Key, State],
    observations: Iterable[Observation] | Mapping[Key, Observation],
    upstream: Mapping[str, Collection[str]],
    now: datetime,
) -> Tick:
    """Judge every definition at `now` (aware) and move its state on.

    `observations` are of this instant, `upstream` maps a dataset to those it is made from. The same arguments give the
    same tick; nothing is remembered elsewhere.
    """
    seen = _indexed(observations)
    after: dict[Key, State] = dict(states)
    by_name, events = _leave(definitions, after, now)
    verdicts: dict[Key, Verdict] = {}
    moved: dict[Key, _Moved] = {}
    strays: dict[str, Observation] | None = None
    for definition in definitions:
        rule = definition.rule
        if rule.kind != "deadline":
            key = rule.key
            verdict = verdicts[key] = evaluate(definition, seen.get(key), now)
            state = after.get(key)
            if state is None:
                state = after[key] = State(definition.name, "", definition.version, now)
            if not is_unmoved(definition, state, verdict):
                moved[key] = _Moved(definition, state, verdict)
            continue
        own = by_name.get(definition.name, [])
        since = min((state.watched_since for state in own if state.version == definition.version), default=now)
        for due in _dues(definition, own, now):
            key = (definition.name, due.partition)
            observation = seen.get(key) or seen.get(rule.key)
            if observation is None:
                if strays is None:
                    strays = {name: other for (name, _), other in seen.items()}
                observation = strays.get(definition.name)
            verdict = verdicts[key] = evaluate(definition, observation, now, due)
            state = after.get(key)
            if state is None:
                state = after[key] = State(definition.name, due.partition, definition.version, since)
            if not is_unmoved(definition, state, verdict):
                moved[key] = _Moved(definition, state, verdict)
    behind: dict[Key, tuple[Key, ...]] = {}
    if moved:
        told, behind = _move(moved, after, upstream, now)
        events += told
    for definition in definitions:
        if definition.rule.kind == "deadline":
            _forget(definition, by_name.get(definition.name, ()), after, now)
    return Tick(after, tuple(events), verdicts, behind)


def _indexed(observations: Iterable[Observation] | Mapping[Key, Observation]) -> Mapping[Key, Observation]:
    if isinstance(observations, Mapping):
        return cast("Mapping[Key, Observation]", observations)
    return by_key(observations)


def watched(
    definitions: Iterable[Definition], states: Mapping[Key, State], now: datetime
) -> dict[str, tuple[Due, ...]]:
    """The deadlines that a tick at `now` would judge, by SLA, oldest first: the standing one, those still open, and
    those that passed since the last tick. An observer looks at these partitions."""
    by_name: dict[str, list[State]] = {}
    for state in states.values():
        by_name.setdefault(state.sla, []).append(state)
    return {
        definition.name: tuple(_dues(definition, by_name.get(definition.name, []), now))
        for definition in definitions
        if definition.kind == "deadline"
    }


def _leave(
    definitions: Iterable[Definition], after: dict[Key, State], now: datetime
) -> tuple[dict[str, list[State]], list[Event]]:
    """Close what no definition stands for any more; the states with a partition by SLA, and what to tell."""
    known = {definition.name: definition for definition in definitions}
    by_name: dict[str, list[State]] = {}
    events: list[Event] = []
    for key, state in list(after.items()):
        definition = known.get(key[0])
        if definition is None or (definition.rule.kind == "deadline") != bool(key[1]):
            events += retire(definition, state, now)
            del after[key]
        elif key[1]:
            by_name.setdefault(key[0], []).append(state)
    return by_name, events


def _dues(definition: Definition, own: Collection[State], now: datetime) -> list[Due]:
    rule = definition.rule
    standing = rule.due_at(now)
    if len(own) == 1 and next(iter(own)).partition == standing.partition:
        return [standing]
    dues = {state.partition: rule.due_of(state.partition) for state in own if state.partition}
    if dues:
        missed = list(rule.dues_between(max(dues), standing.partition))[-_MADE_UP:]
        dues |= {due.partition: due for due in missed}
    dues[standing.partition] = standing
    return [dues[partition] for partition in sorted(dues)]


def _forget(definition: Definition, own: Iterable[State], after: dict[Key, State], now: datetime) -> None:
    """Drop partitions whose day is over and whose promise was kept, at last."""
    standing = definition.rule.due_at(now).partition
    for key in [state.key for state in own if state.partition != standing]:
        if after[key].settled and after[key].violation is None:
            del after[key]


def _move(
    moved: dict[Key, _Moved], after: dict[Key, State], upstream: Mapping[str, Collection[str]], now: datetime
) -> tuple[list[Event], dict[Key, tuple[Key, ...]]]:
    troubles = [trouble for item in moved.values() if (trouble := _trouble(item, now))]
    explained = roots(troubles, upstream)
    behind: dict[Key, tuple[Key, ...]] = {}
    for child in sorted(explained):
        behind[explained[child]] = (*behind.get(explained[child], ()), child)
    events: list[Event] = []
    incidents: dict[tuple[str, str], str] = {}
    for item in moved.values():
        if item.state.violation:
            incidents.setdefault(_group(item), item.state.violation.incident)
    # Roots first: what is behind one joins the incident that it opens in this very tick.
    for key in sorted(moved, key=lambda key: key in explained):
        item, root = moved[key], explained.get(key)
        suppressor = None
        if root is not None:
            open_root = after[root].violation
            suppressor = Suppressor(root, open_root.incident if open_root else None)
        state, told = advance(
            item.definition,
            item.state,
            item.verdict,
            now,
            suppressor,
            behind.get(key, ()),
            _impact(moved, behind.get(key, ())),
            incidents.get(_group(item)),
        )
        after[key] = state
        events += told
        if state.violation:
            incidents.setdefault(_group(item), state.violation.incident)
    return events, behind


def _group(item: _Moved) -> tuple[str, str]:
    """Violations of one dataset and cause that are open together are one incident."""
    return item.definition.dataset, _cause(item)


def _cause(item: _Moved) -> str:
    violation = item.state.violation
    is_blind = violation.kind == "unknown" if violation else item.verdict.state == "unknown"
    if is_blind and item.verdict.state != "breach":
        return f"{BLIND}{item.verdict.cause}"
    return item.definition.cause


def _trouble(item: _Moved, now: datetime) -> Trouble | None:
    definition, state, verdict = item.definition, item.state, item.verdict
    if state.violation is None and verdict.state not in ("breach", "unknown"):
        return None
    if state.violation:
        since = state.violation.opened_at
    elif window_end(definition.maintenance, now, definition.rule.zone):
        since = None
    else:
        since = (state.unknown_since or now) + definition.grace if verdict.state == "unknown" else now
    return Trouble(state.key, definition.dataset, _cause(item), since, definition.depends_on, state.suppressed_by)


def _impact(moved: dict[Key, _Moved], behind: tuple[Key, ...]) -> Severity | None:
    if not behind:
        return None
    found = (moved[key] for key in behind)
    severities: list[Severity] = [(item.state.violation or item.definition).severity for item in found]
    return worst(*severities)
