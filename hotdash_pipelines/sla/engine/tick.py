"""All SLAs at one instant: states and observations in, states and events out, nothing else touched.

Belongs here: putting evaluation, suppression and the state machine together.
Does not belong here: their rules (evaluate.py, suppress.py, machine.py), where states and observations come from.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from hotdash_pipelines.sla.definitions.calendar import Due, window_end
from hotdash_pipelines.sla.definitions.model import Definition, Severity, worst
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.evaluate import judge
from hotdash_pipelines.sla.engine.machine import advance, is_left, is_unmoved, retire
from hotdash_pipelines.sla.engine.observation import Observation, by_key
from hotdash_pipelines.sla.engine.state import Event, State, Suppressor
from hotdash_pipelines.sla.engine.suppress import BLIND, Trouble, roots
from hotdash_pipelines.sla.engine.verdict import Verdict

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
            verdict = verdicts[key] = judge(definition, seen.get(key), now)
            state = after.get(key)
            if state is None:
                state = after[key] = State(definition.name, "", definition.version, now)
            if not is_unmoved(definition, state, verdict):
                moved[key] = _Moved(definition, state, verdict)
            continue
        own = by_name.get(definition.name, [])
        for due in _dues(definition, own, now):
            key = (definition.name, due.partition)
            observation = seen.get(key) or seen.get(rule.key)
            if observation is None:
                if strays is None:
                    strays = {name: other for (name, _), other in seen.items()}
                observation = strays.get(definition.name)
            verdict = verdicts[key] = judge(definition, observation, now, due)
            state = after.get(key)
            if state is None:
                state = after[key] = State(*key, definition.version, _watched_since(definition, own, now))
            if not is_unmoved(definition, state, verdict):
                moved[key] = _Moved(definition, state, verdict)
    behind: dict[Key, tuple[Key, ...]] = {}
    if moved:
        moves, behind = _move(moved, after, upstream, now)
        events += moves
    for own in by_name.values():
        _forget(own, after)
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
        if state.partition:
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
    plain = {name for name, definition in known.items() if definition.rule.kind != "deadline"}
    by_name: dict[str, list[State]] = {}
    events: list[Event] = []
    left: list[Key] = []
    for key, state in after.items():
        name, partition = key
        # Nearly all are an SLA's one state, without anything open.
        if name in plain and not partition and state.violation is None:
            continue
        if is_left(known.get(name), state, now):
            events += retire(known.get(name), state, now)
            left.append(key)
        elif partition:
            by_name.setdefault(name, []).append(state)
    for key in left:
        del after[key]
    return by_name, events


def _dues(definition: Definition, own: Sequence[State], now: datetime) -> list[Due]:
    rule = definition.rule
    standing = rule.due_at(now)
    if len(own) == 1 and own[0].partition == standing.partition:
        return [standing]
    dues = {state.partition: rule.due_of(state.partition) for state in own if not _is_over(state)}
    if own:
        newest = max(state.partition for state in own)
        missed = list(rule.dues_between(newest, standing.partition))[-_MADE_UP:]
        dues |= {due.partition: due for due in missed}
    dues[standing.partition] = standing
    return [dues[partition] for partition in sorted(dues)]


def _watched_since(definition: Definition, own: Iterable[State], now: datetime) -> datetime:
    """Since when this promise is watched, whatever the partition."""
    return min((state.watched_since for state in own if state.version == definition.version), default=now)


def _forget(own: Collection[State], after: dict[Key, State]) -> None:
    """Drop partitions whose day is over and whose promise was kept, at last; the newest one tells where to go on."""
    if len(own) == 1:
        return
    newest = max(state.partition for state in own)
    for state in own:
        if state.partition != newest and _is_over(after[state.key]):
            del after[state.key]


def _is_over(state: State) -> bool:
    """Whether a partition's promise was kept, at last; then nothing more is to be seen of it after its day."""
    return state.settled and state.violation is None


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
    for key in sorted(moved, key=explained.__contains__):
        item, root = moved[key], explained.get(key)
        suppressor = None
        if root is not None:
            open_root = after[root].violation
            suppressor = Suppressor(root, open_root.incident if open_root else None)
        late = behind.get(key, ())
        near = None if item.state.violation else incidents.get(_group(item))
        state, happened = advance(
            item.definition, item.state, item.verdict, now, suppressor, late, _impact(moved, late), near
        )
        after[key] = state
        events += happened
        if state.violation and item.state.violation is None:
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
    items = (moved[key] for key in behind)
    severities: list[Severity] = [(item.state.violation or item.definition).severity for item in items]
    return worst(*severities)
