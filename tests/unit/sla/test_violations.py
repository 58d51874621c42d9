"""One open violation at most: opening, escalating, resolving, flapping, acknowledging, not knowing, changing."""

from datetime import datetime, timedelta

import pytest

from hotdash_pipelines.sla import Observation, SlaError, acknowledge, advance, evaluate
from hotdash_pipelines.sla.engine.state import State
from tests.unit.sla.story import MIDNIGHT, STEP, Story, at, level, sla

STEPS = [
    {"after": "30m", "severity": "high"},
    {"after": "2h", "channel": "#on-call", "mention": "@lead"},
    {"after": "6h", "severity": "critical"},
    {"after": "3d", "severity": "critical", "mention": "@everybody"},
]


def latency(**more: object) -> Story:
    return Story(sla("answers", "latency_p95", target=200, dataset="agent/agent_queries", **more))


def run(story: Story, *values: float | None) -> Story:
    """One tick a value from midnight on; goes on where the story stopped."""
    for value in values:
        now = MIDNIGHT + story.ticks * STEP
        story.tick(now, *level("answers", value, start=now)(now))
    return story


def test_a_breach_of_200_ticks_opens_once_escalates_as_stated_and_resolves_once() -> None:
    story = run(latency(escalate=STEPS), *[100] * 10, *[250] * 200, *[100] * 50)
    assert story.kinds() == ["opened", "escalated", "escalated", "escalated", "resolved"]
    opened, *escalated, resolved = story.events
    assert opened.at == MIDNIGHT + 10 * STEP
    assert [event.at - opened.at for event in escalated] == [
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=6),
    ]
    assert [event.level for event in escalated] == [1, 2, 3]
    assert [event.severity for event in story.events] == ["medium", "high", "high", "critical", "critical"]
    assert (escalated[1].channel, escalated[1].mention) == ("#on-call", "@lead")
    assert resolved.duration == 200 * STEP
    assert resolved.at == opened.at + 200 * STEP
    assert len({event.violation.opened_at for event in story.events}) == 1


def test_the_worst_value_is_kept_whichever_way_is_worse() -> None:
    slow = run(latency(), 250, 900, 300)
    assert slow.states["answers", ""].violation.peak == 900
    share = Story(sla("answers", "availability", target=99.5))
    assert run(share, 99.4, 97, 99.1).states["answers", ""].violation.peak == 97
    assert share.states["answers", ""].violation.actual == 99.1
    assert share.states["answers", ""].violation.last_seen_at == MIDNIGHT + 2 * STEP


def test_breaches_must_come_in_a_row_to_open_and_good_verdicts_in_a_row_to_resolve() -> None:
    story = latency(open_after=3, resolve_after=2)
    assert run(story, 250, 250, 100, 250, 250).kinds() == []
    assert run(story, 250).kinds() == ["opened"]
    assert story.events[0].violation.breach_since == MIDNIGHT + 3 * STEP
    assert run(story, 100, 250, 100).kinds() == ["opened"]
    assert run(story, 100).kinds() == ["opened", "resolved"]
    # From the first breach of the row that opened it to the first good verdict of the row that resolved it.
    assert story.events[1].duration == 5 * STEP
    assert story.events[1].recovered_at == MIDNIGHT + 8 * STEP


def test_flapping_goes_on_with_one_incident_whose_escalation_clock_runs_on() -> None:
    story = run(latency(escalate=STEPS[:2]), *[250, 250, 100] * 4)
    assert story.kinds().count("opened") == story.kinds().count("resolved") == 4
    assert len({event.incident for event in story.events}) == 1
    assert [event.reopened for event in story.events if event.kind == "opened"] == [0, 1, 2, 3]
    escalated = [event for event in story.events if event.kind == "escalated"]
    assert [event.at for event in escalated] == [MIDNIGHT + timedelta(minutes=30)]


def test_flapping_at_every_tick_does_not_keep_an_escalation_from_its_time() -> None:
    story = run(latency(escalate=STEPS[:2]), *[250, 100] * 20)
    assert [(event.level, event.at - MIDNIGHT) for event in story.events if event.kind == "escalated"] == [
        (1, timedelta(minutes=30)),
        (2, timedelta(hours=2)),
    ]


def test_a_violation_after_the_flap_window_is_a_new_incident_that_escalates_anew() -> None:
    story = run(latency(escalate=STEPS[:1], flap_window="30m"), *[250] * 8, *[100] * 8, *[250] * 8)
    assert story.kinds() == ["opened", "escalated", "resolved", "opened", "escalated"]
    assert len({event.incident for event in story.events}) == 2
    assert story.events[3].reopened == 0


def test_an_acknowledged_violation_is_not_escalated_and_resolves_as_ever() -> None:
    story = run(latency(escalate=STEPS), *[250] * 7)
    definition, key = story.definitions[0], ("answers", "")
    story.states[key], told = acknowledge(definition, story.states[key], "ana", MIDNIGHT + 7 * STEP)
    assert [(event.kind, event.by) for event in told] == [("acknowledged", "ana")]
    assert acknowledge(definition, story.states[key], "ben", MIDNIGHT + 7 * STEP) == (story.states[key], ())
    assert run(story, *[250] * 300, 100).kinds() == ["opened", "escalated", "resolved"]
    assert story.events[2].violation.acked_by == "ana"
    # It comes back at once: the same incident, still somebody's.
    assert run(story, *[250] * 200).kinds()[3:] == ["opened"]
    assert story.events[3].violation.acked_by == "ana"


def test_only_an_open_violation_can_be_acknowledged() -> None:
    story = run(latency(), 100)
    with pytest.raises(SlaError, match=r"answers has no open violation to acknowledge"):
        acknowledge(story.definitions[0], story.states["answers", ""], "ana", MIDNIGHT)


def test_not_knowing_opens_a_violation_of_its_own_after_its_grace() -> None:
    story = run(latency(grace="20m"), 100, *[None] * 4)
    assert story.kinds() == []
    run(story, None)
    assert story.kinds() == ["opened"]
    violation = story.events[0].violation
    assert (violation.kind, violation.breach_since) == ("unknown", MIDNIGHT + STEP)
    assert "not known: no answer" in story.events[0].message
    run(story, None, 100)
    assert story.kinds() == ["opened", "resolved"]
    assert story.events[1].duration == 6 * STEP


def test_not_knowing_never_resolves_and_interrupts_a_recovery() -> None:
    story = run(latency(resolve_after=2, grace="10m"), 250, *[None] * 100)
    assert story.kinds() == ["opened"]
    run(story, 100, None, 100)
    assert story.kinds() == ["opened"]
    run(story, 100)
    assert story.kinds() == ["opened", "resolved"]


def test_not_knowing_neither_adds_to_the_breaches_in_a_row_nor_ends_the_row() -> None:
    story = run(latency(open_after=2, grace="1h"), 250, None, None)
    assert story.kinds() == []
    assert run(story, 250).kinds() == ["opened"]
    assert story.events[0].violation.breach_since == MIDNIGHT


def test_an_unknown_that_turns_out_to_be_a_breach_is_closed_and_told_as_one_incident() -> None:
    story = run(latency(grace="10m"), *[None] * 5, 250, 100)
    assert story.kinds() == ["opened", "resolved", "opened", "resolved"]
    assert [event.violation.kind for event in story.events] == ["unknown", "unknown", "breach", "breach"]
    assert [event.reason for event in story.events] == [None, "known", None, "recovered"]
    assert len({event.incident for event in story.events}) == 1


def test_a_missing_observation_is_unknown_and_not_good() -> None:
    story = latency(grace="10m")
    story.run(MIDNIGHT, MIDNIGHT + 3 * STEP, lambda now: [])
    assert [event.violation.kind for event in story.events] == ["unknown"]


def test_what_has_never_been_seen_and_what_is_no_number_is_unknown() -> None:
    backup = sla("backup", "backup_age", target=26, unit="hours")
    assert evaluate(backup, Observation("backup"), MIDNIGHT).state == "unknown"
    ms = sla("answers", "latency_p95", target=200)
    assert evaluate(ms, Observation("answers", float("nan")), MIDNIGHT).state == "unknown"
    assert evaluate(ms, Observation("answers", at=MIDNIGHT), MIDNIGHT).state == "unknown"
    future = Observation("backup", at=MIDNIGHT + timedelta(days=70))
    assert evaluate(backup, future, MIDNIGHT).state == "unknown"


def test_clocks_that_differ_by_seconds_are_no_matter() -> None:
    beat = sla("beat", "heartbeat", target=3)
    verdict = evaluate(beat, Observation("beat", at=MIDNIGHT + timedelta(seconds=20)), MIDNIGHT)
    assert (verdict.state, verdict.actual) == ("ok", 0)


def test_an_age_breaks_at_the_instant_it_passes_its_target_whenever_the_tick_comes() -> None:
    story = Story(sla("backup", "backup_age", target=26, unit="hours"))
    story.run(at("00:00"), at("00:00", day=2), lambda now: [Observation("backup", at=at("00:02"))], timedelta(hours=1))
    assert story.told() == [("opened", "11 03:00")]
    assert story.events[0].violation.breach_since == at("02:02", day=1)


def test_too_few_samples_say_nothing_either_way() -> None:
    def seen(value: float, samples: int) -> Observation:
        return Observation("answers", value, details={"samples": samples})

    definition = sla("answers", "availability", target=99, min_samples=20)
    story = Story(definition)
    for tick, (value, samples) in enumerate([(0, 19), (0, 20), (100, 19), (100, 19), (100, 20)]):
        story.tick(MIDNIGHT + tick * STEP, seen(value, samples))
    assert [(event.kind, (event.at - MIDNIGHT) / STEP) for event in story.events] == [("opened", 1), ("resolved", 4)]


def test_a_value_equal_to_the_target_keeps_the_promise() -> None:
    assert evaluate(sla("a", "latency_p95", target=200), Observation("a", 200), MIDNIGHT).state == "ok"
    assert evaluate(sla("a", "check_rate", target=99.9), Observation("a", 99.9), MIDNIGHT).state == "ok"
    assert evaluate(sla("a", "check_rate", target=100), Observation("a", 99.999), MIDNIGHT).state == "breach"


def test_nearing_the_target_is_told_once_until_it_has_been_away_for_the_flap_window() -> None:
    story = run(latency(alert_threshold=150, flap_window="30m"), 100, 160, 170, 100, 160, *[100] * 8, 180)
    assert [(event.kind, (event.at - MIDNIGHT) / STEP) for event in story.events] == [("warned", 1), ("warned", 13)]


def test_a_removed_sla_closes_its_violation_as_retired() -> None:
    story = run(latency(), 250)
    story.definitions = ()
    run(story, 250)
    assert [(event.kind, event.reason) for event in story.events[1:]] == [("resolved", "retired")]
    assert story.states == {}
    assert run(story, 250).kinds() == ["opened", "resolved"]


def test_a_changed_target_is_a_new_version_and_the_violation_keeps_its_own() -> None:
    story = run(latency(), 250)
    before = story.states["answers", ""].violation
    story.definitions = (sla("answers", "latency_p95", target=220, dataset="agent/agent_queries"),)
    run(story, 250)
    state = story.states["answers", ""]
    assert (state.violation.expected, state.violation.version) == (200, before.version)
    assert state.version == story.definitions[0].version != before.version
    assert story.kinds() == ["opened"]


@pytest.mark.parametrize("value, reason", [(250, "changed"), (190, "recovered")])
def test_a_violation_that_only_the_new_target_ends_is_resolved_as_changed(value: float, reason: str) -> None:
    story = run(latency(), 250)
    story.definitions = (sla("answers", "latency_p95", target=300, dataset="agent/agent_queries"),)
    run(story, value)
    assert [(event.kind, event.reason) for event in story.events] == [("opened", None), ("resolved", reason)]


@pytest.mark.parametrize(
    "more", [{"dataset": "agent/agent_facts"}, {"kind": "sql", "unit": "ms", "comparison": "at_most"}]
)
def test_an_sla_about_something_else_under_the_old_name_starts_anew(more: dict[str, str]) -> None:
    story = run(latency(), 250)
    story.definitions = (
        sla("answers", **{"kind": "latency_p95", "target": 200, "dataset": "agent/agent_queries"} | more),
    )
    run(story, 250)
    assert [(event.kind, event.reason) for event in story.events] == [
        ("opened", None),
        ("resolved", "changed"),
        ("opened", None),
    ]
    assert len(story.open) == 1


def test_a_deadline_that_becomes_an_age_leaves_no_partition_behind() -> None:
    story = Story(sla()).run(at("00:00"), at("07:00"), lambda now: [Observation("orders_by_six")])
    story.definitions = (sla(kind="event_time_lag", target=30, unit="hours"),)
    story.tick(at("07:05"), Observation("orders_by_six", at=at("07:00")))
    assert [(event.kind, event.reason) for event in story.events] == [("opened", None), ("resolved", "changed")]
    assert story.states.keys() == {("orders_by_six", "")}


def test_breaches_counted_against_an_old_target_do_not_count_against_the_new_one() -> None:
    story = run(latency(open_after=3), 250, 250)
    story.definitions = (sla("answers", "latency_p95", target=210, dataset="agent/agent_queries", open_after=3),)
    assert run(story, 250, 250).kinds() == []
    assert run(story, 250).kinds() == ["opened"]


def test_advance_leaves_the_state_it_was_given_alone() -> None:
    definition = sla("answers", "latency_p95", target=200)
    state = State("answers", "", definition.version, MIDNIGHT)
    before = state.as_dict()
    after, told = advance(definition, state, evaluate(definition, Observation("answers", 250), MIDNIGHT), MIDNIGHT)
    assert (state.as_dict(), len(told)) == (before, 1)
    assert after.violation is not None


def test_escalation_steps_missed_while_nobody_ticked_are_all_told_in_order() -> None:
    story = run(latency(escalate=STEPS[:3]), 250)
    later: datetime = MIDNIGHT + timedelta(hours=7)
    assert [event.level for event in story.tick(later, *level("answers", 250)(later))] == [1, 2, 3]
