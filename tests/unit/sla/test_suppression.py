"""What is late because something above it is late is told with that, once, and speaks for itself when it has to."""

from datetime import datetime, timedelta

from hotdash_pipelines.sla import Definition, Observation, Trouble, roots
from tests.unit.sla.story import MIDNIGHT, STEP, Story, at, sla

SOURCE, STAGING = "raw_shopify/orders", "staging/stg_shopify__orders"
MARTS = [f"marts_core/fct_{number:02}" for number in range(15)]
UPSTREAM = {STAGING: {SOURCE}} | {mart: {STAGING} for mart in MARTS}
KEYS = tuple((f"fct_{number:02}", "2026-02-09") for number in range(15))


def source(**more: object) -> Definition:
    return sla("orders_arrive", "event_time_lag", target=26, unit="hours", dataset=SOURCE, **more)


def marts(**more: object) -> tuple[Definition, ...]:
    return tuple(sla(mart.rpartition("/")[2], dataset=mart, **more) for mart in MARTS)


def lag_of(name: str, hours: float) -> Observation:
    return Observation(name, hours)


def seeing(source_back: datetime, marts_back: datetime, source_gone: datetime = MIDNIGHT):
    """The source is late from `source_gone` to `source_back`, the marts come at `marts_back`."""

    def see(now: datetime) -> list[Observation]:
        late = source_gone <= now < source_back
        there = marts_back if marts_back <= now else None
        return [lag_of("orders_arrive", 30 if late else 1), *(Observation(name, at=there) for name, _ in KEYS)]

    return see


def test_a_late_source_with_fifteen_marts_behind_it_is_one_incident_that_lists_them() -> None:
    story = Story(source(), *marts(), upstream=UPSTREAM)
    story.run(at("05:00"), at("12:00"), seeing(at("08:00"), at("08:40")))
    told = [event for event in story.events if not event.silent]
    assert [(event.kind, event.sla) for event in told] == [("opened", "orders_arrive"), ("resolved", "orders_arrive")]
    silent = [event for event in story.events if event.silent]
    assert sorted({event.key for event in silent}) == list(KEYS)
    assert [event.kind for event in silent] == ["opened"] * 15 + ["resolved"] * 15
    assert {event.incident for event in story.events} == {told[0].incident}
    assert {event.suppressed_by for event in silent if event.kind == "opened"} == {("orders_arrive", "")}
    assert {event.duration for event in silent if event.kind == "resolved"} == {timedelta(hours=2, minutes=40)}
    assert story.open == []


def test_the_root_lists_what_is_late_behind_it_as_long_as_it_is() -> None:
    story = Story(source(), *marts(), upstream=UPSTREAM)
    story.run(at("05:00"), at("06:00"), seeing(at("08:00"), at("07:00")))
    assert story.last.behind == {}
    story.run(at("06:05"), at("06:05"), seeing(at("08:00"), at("07:00")))
    assert story.last.behind == {("orders_arrive", ""): KEYS}
    story.run(at("06:10"), at("07:05"), seeing(at("08:00"), at("07:00")))
    assert story.last.behind == {}


def test_root_and_children_that_break_in_one_tick_are_one_message_with_the_list_in_it() -> None:
    story = Story(*marts(), source(), upstream=UPSTREAM)
    story.run(at("05:00"), at("06:05"), seeing(at("08:00"), at("08:00"), source_gone=at("06:05")))
    told = [event for event in story.events if not event.silent]
    assert [(event.kind, event.sla, event.behind) for event in told] == [("opened", "orders_arrive", KEYS)]
    assert len(story.open) == 16


def test_a_root_is_as_severe_as_what_is_behind_it() -> None:
    story = Story(source(severity="low"), *marts(severity="critical"), upstream=UPSTREAM)
    story.run(at("05:00"), at("07:00"), seeing(at("08:00"), at("08:00")))
    told = [event for event in story.events if not event.silent]
    assert [(event.kind, event.severity, len(event.behind)) for event in told] == [
        ("opened", "low", 0),
        ("raised", "critical", 15),
    ]


def test_marts_that_do_not_follow_their_source_speak_for_themselves_after_the_catch_up() -> None:
    story = Story(source(), *marts(catch_up="45m"), upstream=UPSTREAM)
    story.run(at("05:00"), at("12:00"), seeing(at("08:00"), at("11:00")))
    told = [event for event in story.events if not event.silent]
    assert [event.kind for event in told] == ["opened", "resolved"] + ["unsuppressed"] * 15 + ["resolved"] * 15
    assert {event.at for event in told if event.kind == "unsuppressed"} == {at("08:50")}
    assert {event.duration for event in told[-15:]} == {timedelta(hours=5)}


def test_what_broke_before_its_root_falls_silent_and_its_first_message_still_gets_its_end() -> None:
    mart = marts(escalate=[{"after": "2h", "severity": "high"}])[0]
    story = Story(source(), mart, upstream=UPSTREAM)
    story.run(at("05:00"), at("12:00"), seeing(at("10:00"), at("10:30"), source_gone=at("06:30")))
    assert [(event.kind, event.sla, event.silent) for event in story.events] == [
        ("opened", "fct_00", False),
        ("opened", "orders_arrive", False),
        ("suppressed", "fct_00", False),
        ("resolved", "orders_arrive", False),
        ("resolved", "fct_00", False),
    ]
    assert story.events[2].incident == story.events[1].incident
    assert story.events[2].suppressed_by == ("orders_arrive", "")


def test_nothing_is_told_of_a_mart_whose_source_is_late_in_its_own_maintenance() -> None:
    window = [{"from": "05:00", "to": "09:00"}]
    story = Story(source(maintenance=window), *marts(), upstream=UPSTREAM)
    assert story.run(at("05:00"), at("08:30"), seeing(at("08:00"), at("08:20"))).events == []


def test_a_child_waits_for_a_root_that_counts_its_breaches_still() -> None:
    story = Story(source(open_after=4), marts()[0], upstream=UPSTREAM)
    story.run(at("06:00"), at("07:00"), seeing(at("08:00"), at("08:00"), source_gone=at("06:05")))
    assert [(event.kind, event.sla, event.silent, event.at) for event in story.events] == [
        ("opened", "orders_arrive", False, at("06:20")),
        ("opened", "fct_00", True, at("06:20")),
    ]


def test_a_breach_of_another_cause_upstream_explains_nothing() -> None:
    checks = sla("orders_are_right", "check_status", target=0, dataset=SOURCE)
    late = Story(checks, marts()[0], upstream=UPSTREAM)
    late.tick(at("06:30"), Observation("orders_are_right", 3), Observation("fct_00"))
    assert [event.silent for event in late.events] == [False, False]
    # Unless the entry says so.
    named = Story(checks, marts(depends_on=["orders_are_right"])[0], upstream={})
    named.tick(at("06:30"), Observation("orders_are_right", 3), Observation("fct_00"))
    assert [(event.sla, event.silent) for event in named.events] == [("orders_are_right", False), ("fct_00", True)]


def test_yesterdays_hole_upstream_does_not_explain_todays() -> None:
    definitions = sla("parent", dataset=SOURCE), sla("child", dataset=MARTS[0])
    story = Story(*definitions, upstream=UPSTREAM)
    story.run(at("00:00"), at("07:00"), lambda now: [Observation("parent"), Observation("child", at=at("05:00"))])
    tomorrow = at("07:00", day=1)
    story.tick(tomorrow, Observation("parent", at=at("05:00", day=1), partition="2026-02-10"), Observation("child"))
    assert [(event.sla, event.partition, event.silent) for event in story.events] == [
        ("parent", "2026-02-09", False),
        ("child", "2026-02-10", False),
    ]


def test_one_observer_that_is_blind_is_one_message() -> None:
    blind = {"unknown_reason": "the warehouse does not answer", "details": {"cause": "warehouse"}}
    definitions = [sla(f"lag_{n}", "event_time_lag", dataset=f"raw/t{n}", grace=f"{10 + n}m") for n in range(20)]
    story = Story(*definitions)
    story.run(MIDNIGHT, MIDNIGHT + timedelta(hours=2), lambda now: [Observation(d.name, **blind) for d in definitions])
    told = [event for event in story.events if not event.silent]
    assert [(event.kind, event.sla) for event in told] == [("opened", "lag_0")]
    assert len(story.open) == 20
    assert len(story.last.behind["lag_0", ""]) == 19
    story.run(
        MIDNIGHT + timedelta(hours=2, minutes=5),
        MIDNIGHT + timedelta(hours=4),
        lambda now: [lag_of(d.name, 1) for d in definitions],
    )
    assert story.open == []
    assert [event.kind for event in story.events if not event.silent] == ["opened", "resolved"]


def test_what_is_unknown_for_reasons_of_its_own_is_told_by_itself() -> None:
    definitions = [sla(f"lag_{n}", "event_time_lag", dataset=f"raw/t{n}", grace="10m") for n in range(3)]
    story = Story(*definitions)
    story.run(MIDNIGHT, MIDNIGHT + 3 * STEP, lambda now: [Observation(d.name) for d in definitions])
    assert [event.silent for event in story.events] == [False] * 3


def trouble(name: str, dataset: str | None = None, **more: object) -> Trouble:
    return Trouble((name, ""), dataset or name, "lateness", **more)  # type: ignore[arg-type]


def named(explained: dict) -> dict[str, str]:
    return {child: root for (child, _), (root, _) in explained.items()}


def test_the_root_is_the_end_of_the_chain_even_through_datasets_that_are_fine() -> None:
    upstream = {"d": {"c"}, "c": {"b"}, "b": {"a"}}
    assert named(roots([trouble("a"), trouble("c"), trouble("d")], upstream)) == {"c": "a", "d": "a"}


def test_of_two_roots_the_nearest_explains_and_the_one_that_did_so_far_stays() -> None:
    upstream = {"child": {"near", "mid"}, "mid": {"far"}}
    troubles = [trouble("far"), trouble("mid"), trouble("near")]
    assert named(roots([*troubles, trouble("child")], upstream)) == {"mid": "far", "child": "near"}
    assert named(roots([*troubles, trouble("child", root=("far", ""))], upstream))["child"] == "far"
    assert named(roots([*troubles, trouble("child", root=("gone", ""))], upstream))["child"] == "near"


def test_a_ring_keeps_one_of_its_own_unexplained() -> None:
    ring = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"c"}}
    assert named(roots([trouble(name) for name in "dcba"], ring)) == {"b": "a", "c": "a", "d": "a"}
    assert roots([trouble("a")], {"a": {"a"}}) == {}


def test_slas_of_one_dataset_do_not_explain_each_other() -> None:
    assert roots([trouble("one", "t"), trouble("two", "t")], {"t": {"t"}}) == {}


def test_a_root_that_breaks_now_and_then_and_never_opens_does_not_keep_a_late_mart_silent() -> None:
    story = Story(source(open_after=2), marts()[0], upstream=UPSTREAM)

    def see(now: datetime) -> list[Observation]:
        is_odd_tick = (now - MIDNIGHT) // STEP % 2 == 1
        return [lag_of("orders_arrive", 30 if is_odd_tick else 1), Observation("fct_00")]

    story.run(at("05:00"), at("12:00"), see)
    told = [event for event in story.events if not event.silent]
    # Late from the first look after 06:00 on, free of the source at 06:10, an hour to catch up.
    assert [(event.kind, event.sla, event.at) for event in told] == [("opened", "fct_00", at("07:10"))]


def test_what_is_broken_when_it_can_be_seen_again_is_told_at_once() -> None:
    seen_late = [
        sla(name, "queue_age", dataset=f"agent/{name}", target=5, unit="minutes") for name in ("asked", "done")
    ]
    away = {"unknown_reason": "no answer", "details": {"cause": "warehouse"}}
    for blind in (1, 12):
        story = Story(*seen_late)
        for tick in range(blind):
            story.tick(MIDNIGHT + tick * STEP, Observation("asked", **away), Observation("done", **away))
        back = MIDNIGHT + blind * STEP
        story.tick(back, Observation("asked", 30.0), Observation("done", 30.0))
        told = [(event.sla, event.at) for event in story.events if event.kind == "opened" and event.at == back]
        assert told == [("asked", back), ("done", back)], f"{blind} looks without an answer"
        assert not any(event.silent for event in story.events if event.at == back and event.kind == "opened")
