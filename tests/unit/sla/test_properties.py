"""What holds of any history: random promises, observations, outages, changes and restarts, each from its seed."""

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from hotdash_pipelines.sla import Definition, Event, Observation, acknowledge, tick, watched
from hotdash_pipelines.sla.definitions.calendar import window_end
from hotdash_pipelines.sla.engine.state import State
from tests.unit.sla.story import MIDNIGHT, sla

STEP = timedelta(minutes=15)
TICKS = 300
SEEDS = range(12)
SEVERITIES = ("low", "medium", "high", "critical")
UPSTREAM = {"c": {"a", "b"}, "d": {"c"}, "e": {"d"}, "f": {"e", "a"}}


def some_sla(chance: random.Random, number: int) -> Definition:
    kind = chance.choice(["materialized_within", "event_time_lag", "event_time_lag", "latency_p95", "check_rate"])
    more: dict[str, Any] = {
        "dataset": chance.choice("abcdef"),
        "severity": chance.choice(SEVERITIES),
        "grace": chance.choice(["0s", "30m", "2h"]),
        "flap_window": chance.choice(["0s", "1h"]),
        "catch_up": chance.choice(["0s", "1h"]),
        "open_after": chance.choice([1, 1, 2, 3]),
        "resolve_after": chance.choice([1, 1, 2]),
    }
    if kind == "materialized_within":
        more["by"] = chance.choice(["02:30", "06:00", "17:45"])
    else:
        more["target"] = 50
    if chance.random() < 0.5:
        more["escalate"] = [{"after": "45m", "severity": "high"}, {"after": "3h", "mention": "@lead"}]
    if chance.random() < 0.3:
        more["quiet_hours"] = {"from": "22:00", "to": "07:00"}
    if chance.random() < 0.3:
        start = chance.randrange(20)
        more["maintenance"] = [{"from": f"{start:02}:00", "to": f"{start + 3:02}:00"}]
    return sla(f"s{number}", kind, **more)


def some_observations(chance: random.Random, definitions: list[Definition], states: dict, now: datetime, bad: set[str]):
    """Long good and long bad stretches, with outages in between, now and then nothing at all."""
    if chance.random() < 0.02:
        return []
    seen = []
    dues = watched(definitions, states, now)
    blind = chance.random() < 0.1
    for definition in definitions:
        if chance.random() < 0.1:
            bad ^= {definition.name}
        if blind and chance.random() < 0.7:
            seen.append(Observation(definition.name, unknown_reason="away", details={"cause": "warehouse"}))
        elif definition.kind == "deadline":
            seen += [
                Observation(
                    definition.name,
                    at=None if definition.name in bad else now - chance.random() * timedelta(hours=3),
                    partition=chance.choice([due.partition, due.partition, None]),
                )
                for due in dues[definition.name]
            ]
        else:
            good = definition.name not in bad
            seen.append(Observation(definition.name, 60.0 if (definition.type == "check_rate") == good else 40.0))
    return seen


@cache
def history(seed: int, *, restarts: bool) -> tuple[list[Event], list[dict]]:
    """Everything told in a random history, and the states of its last tick; checks each tick on the way."""
    chance = random.Random(seed)
    definitions = [some_sla(chance, number) for number in range(9)]
    states: dict = {}
    events: list[Event] = []
    open_keys: set = set()
    bad: set[str] = set()
    for number in range(TICKS):
        now = MIDNIGHT + number * STEP
        if chance.random() < 0.01:
            definitions = [*definitions[1:], some_sla(chance, number + 100)]
        if chance.random() < 0.01:
            # An SLA of the same name is about something else, or promises otherwise, from now on.
            changed = chance.randrange(len(definitions))
            renamed = some_sla(chance, 0).model_dump(by_alias=True) | {"name": definitions[changed].name}
            definitions[changed] = Definition.model_validate(renamed)
        if open_keys and chance.random() < 0.02:
            key = chance.choice(sorted(open_keys))
            states = dict(states)
            owner = next((each for each in definitions if each.name == key[0]), None)
            if owner:
                states[key], told = acknowledge(owner, states[key], "ana", now)
                events += told
        if chance.random() < 0.03:
            continue
        seen = some_observations(chance, definitions, states, now, bad)
        if restarts:
            stored = json.loads(json.dumps([state.as_dict() for state in states.values()]))
            states = {(kept := State.from_dict(row)).key: kept for row in stored}
        done = tick(definitions, states, seen, UPSTREAM, now)
        check_tick(definitions, done, now)
        for event in done.events:
            # At most one is open: an opening finds none, an end finds one.
            assert (event.kind == "opened") == (event.key not in open_keys) or event.kind == "warned", event
            if event.kind in ("opened", "resolved"):
                open_keys ^= {event.key}
        states = done.states
        assert open_keys == {key for key, state in states.items() if state.violation}
        events += done.events
    end = tick([], states, [], {}, MIDNIGHT + TICKS * STEP)
    assert end.states == {}
    return [*events, *end.events], [state.as_dict() for state in states.values()]


def check_tick(definitions: list[Definition], done, now: datetime) -> None:
    by_name = {definition.name: definition for definition in definitions}
    for event in done.events:
        definition = by_name.get(event.sla)
        if event.kind in ("opened", "escalated", "raised", "suppressed", "unsuppressed", "warned"):
            assert window_end(definition.maintenance, now, definition.rule.zone) is None, event
        if event.kind == "resolved" and event.reason == "recovered":
            assert done.verdicts[event.key].state in ("ok", "pending"), event
        if event.hold_until:
            assert event.severity in ("low", "medium")
            assert event.hold_until > now
        if event.kind == "escalated":
            assert not event.violation.acked_by
    children = {child for behind in done.behind.values() for child in behind}
    assert not children & done.behind.keys(), "a root is itself behind something"
    for key, state in done.states.items():
        violation = state.violation
        if violation and violation.loud_since is None:
            assert state.suppressed_by is not None or state.oks or in_maintenance(by_name[key[0]], now), key


def in_maintenance(definition: Definition, now: datetime) -> bool:
    return window_end(definition.maintenance, now, definition.rule.zone) is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_every_violation_is_told_open_once_and_resolved_once_whatever_happens(seed: int) -> None:
    events, _ = history(seed, restarts=False)
    opened = [event for event in events if event.kind == "opened"]
    resolved = [event for event in events if event.kind == "resolved"]
    assert len(opened) > 10, "nothing happened, so nothing was shown"
    name = lambda event: (*event.key, event.violation.opened_at)  # noqa: E731
    assert Counter(map(name, opened)) == Counter(map(name, resolved))
    assert max(Counter(map(name, opened)).values()) == 1
    told = Counter((*name(event), event.kind, event.level) for event in events if event.violation)
    assert max(told.values()) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_durations_of_a_promise_do_not_overlap(seed: int) -> None:
    events, _ = history(seed, restarts=False)
    spans: dict = {}
    for event in (event for event in events if event.kind == "resolved" and event.violation.kind == "breach"):
        assert event.duration == event.recovered_at - event.violation.breach_since
        assert timedelta(0) <= event.duration
        assert event.recovered_at <= event.at
        spans.setdefault((*event.key, event.violation.version), []).append(
            (event.violation.breach_since, event.recovered_at)
        )
    assert spans
    for found in spans.values():
        assert all(start >= end for (_, end), (start, _) in pairwise(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_at_every_tick_changes_nothing(seed: int) -> None:
    assert history(seed, restarts=True) == history(seed, restarts=False)


@pytest.mark.parametrize("seed", range(20))
def test_durations_are_those_that_counting_by_hand_gives(seed: int) -> None:
    chance = random.Random(seed)
    needed, wanted = chance.randint(1, 3), chance.randint(1, 3)
    definition = sla("s", "latency_p95", target=50, open_after=needed, resolve_after=wanted, grace="99d")
    values: list[float | None] = []
    while len(values) < 400:
        values += [chance.choice([40.0, 60.0, None])] * chance.randint(1, 6)
    states: dict = {}
    told: list[timedelta] = []
    for number, value in enumerate(values):
        seen = Observation("s", value, unknown_reason=None if value else "away")
        done = tick([definition], states, [seen], {}, MIDNIGHT + number * STEP)
        states = done.states
        told += [event.duration for event in done.events if event.kind == "resolved"]
    assert told == by_hand(values, needed, wanted)
    assert len(told) > 3


def by_hand(values: list[float | None], needed: int, wanted: int) -> list[timedelta]:
    """Lengths of the violations in `values`, from the rules as they are written down and not from the engine."""
    found = []
    bad = good = 0
    began = ended = 0
    is_open = False
    for number, value in enumerate(values):
        if value is None:
            good = 0
        elif value > 50:
            began = began if bad or is_open else number
            bad, good = bad + 1, 0
            is_open = is_open or bad >= needed
        else:
            ended = ended if good else number
            bad, good = 0, good + 1
            if is_open and good >= wanted:
                found.append((ended - began) * STEP)
                is_open = False
    return found


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_events_and_states_survive_json_to_the_last_field(seed: int) -> None:
    events, states = history(seed, restarts=False)
    for event in events:
        assert Event.from_dict(json.loads(json.dumps(event.as_dict()))) == event
    for row in states:
        assert State.from_dict(json.loads(json.dumps(row))).as_dict() == row
