"""Promises that something is there by a time of day: early, late, never, old, running, when the clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.sla import Observation, evaluate, tick, watched
from tests.unit.sla.story import MIDNIGHT, STEP, ZONE, Story, arrives, at, sla

NOTHING = Observation("orders_by_six")


def test_a_partition_that_comes_in_time_is_never_told_of() -> None:
    story = Story(sla()).run(at("00:00"), at("23:55"), arrives(at("04:40")))
    assert story.told() == []
    assert story.verdict("orders_by_six", "2026-02-09").state == "ok"


def test_a_partition_that_never_comes_opens_once_after_its_deadline_and_stays_open() -> None:
    story = Story(sla()).run(at("00:00"), at("23:55"), lambda now: [NOTHING])
    assert story.told() == [("opened", "10 06:05")]
    event = story.events[0]
    assert (event.partition, event.violation.kind) == ("2026-02-09", "breach")
    assert event.violation.breach_since == at("06:00")
    assert event.message == (
        "marts_core/fct_order 2026-02-09: not there, 5 minutes late (promised by 06:00 America/New_York on 2026-02-10)"
    )


def test_a_late_partition_is_open_until_it_comes_and_lasted_from_the_deadline_to_its_arrival() -> None:
    story = Story(sla()).run(at("00:00"), at("12:00"), arrives(at("06:42")))
    assert story.told() == [("opened", "10 06:05"), ("resolved", "10 06:45")]
    resolved = story.events[1]
    assert resolved.reason == "recovered"
    assert resolved.duration == timedelta(minutes=42)
    assert resolved.recovered_at == at("06:42")
    assert story.open == []


def test_before_the_deadline_nothing_is_either_good_or_bad_whether_or_not_a_job_runs() -> None:
    definition = sla()
    running = Observation("orders_by_six", details={"running_since": "05:58"})
    for seen in (NOTHING, running):
        for moment in (at("00:00"), at("05:59"), at("06:00")):
            assert evaluate(definition, seen, moment).state == "pending"
    late = evaluate(definition, running, at("06:05"))
    assert late.state == "breach"
    assert "a run is under way since 05:58" in late.message


def test_a_job_running_at_every_tick_before_the_deadline_leaves_no_trace() -> None:
    def see(now: datetime) -> list[Observation]:
        running = {"running_since": "05:30"} if now < at("06:00") else {}
        return [Observation("orders_by_six", at=at("06:00") if now >= at("06:00") else None, details=running)]

    assert Story(sla()).run(at("05:30"), at("08:00"), see).told() == []


def test_an_old_partition_loaded_again_does_not_make_todays() -> None:
    def see(now: datetime) -> list[Observation]:
        return [Observation("orders_by_six", at=now - timedelta(minutes=1), partition="2026-01-15")]

    story = Story(sla()).run(at("00:00"), at("12:00"), see)
    assert story.told() == [("opened", "10 06:05")]
    assert story.open == [("orders_by_six", "2026-02-09")]
    assert "what came is partition 2026-01-15" in story.events[0].message


def test_on_time_with_old_data_is_a_matter_of_the_event_times_alone() -> None:
    newest = at("04:00", day=-2)
    definitions = sla(), sla("orders_are_new", "event_time_lag", target=30, unit="hours", dataset="raw_shopify/orders")

    def see(now: datetime) -> list[Observation]:
        return [*arrives(at("04:40"))(now), Observation("orders_are_new", at=newest)]

    story = Story(*definitions).run(at("00:00"), at("08:00"), see)
    assert {event.sla for event in story.events} == {"orders_are_new"}
    assert story.verdict("orders_by_six", "2026-02-09").state == "ok"
    assert story.events[0].violation.breach_since == newest + timedelta(hours=30)


def test_a_table_without_partitions_counts_from_when_its_day_opens() -> None:
    definition = sla(opens="04:00")
    before, after = at("03:59"), at("04:01")
    old = Observation("orders_by_six", at=before)
    assert evaluate(definition, old, at("06:05")).state == "breach"
    assert evaluate(definition, Observation("orders_by_six", at=after), at("06:05")).state == "ok"


def test_a_repeat_after_the_deadline_does_not_make_an_unpartitioned_table_late() -> None:
    story = Story(sla())
    story.run(at("05:00"), at("06:30"), arrives(at("04:40"), partition=None))
    story.run(at("06:35"), at("12:00"), arrives(at("06:31"), partition=None))
    assert story.told() == []


def test_todays_violation_stays_open_over_midnight_and_tomorrow_has_its_own() -> None:
    def see(now: datetime) -> list[Observation]:
        came = {"2026-02-10": at("04:30", day=1), "2026-02-09": at("13:00", day=1)}
        return [
            Observation("orders_by_six", at=when if when <= now else None, partition=key) for key, when in came.items()
        ]

    story = Story(sla()).run(at("00:00"), at("23:55", day=1), see)
    assert story.told() == [("opened", "10 06:05"), ("resolved", "11 13:00")]
    assert story.events[1].duration == timedelta(hours=31)
    assert story.states.keys() == {("orders_by_six", "2026-02-10")}


def test_two_missing_days_are_two_violations_of_one_incident() -> None:
    story = Story(sla()).run(at("00:00"), at("12:00", day=1), lambda now: [NOTHING])
    assert story.told() == [("opened", "10 06:05"), ("opened", "11 06:05")]
    assert story.open == [("orders_by_six", "2026-02-09"), ("orders_by_six", "2026-02-10")]
    assert len({event.incident for event in story.events}) == 1


def test_the_observer_is_asked_for_the_standing_deadline_the_open_ones_and_those_that_passed_unseen() -> None:
    story = Story(sla()).run(at("00:00"), at("07:00"), lambda now: [NOTHING])
    asked = watched(story.definitions, story.states, at("09:00", day=3))["orders_by_six"]
    assert [due.partition for due in asked] == ["2026-02-09", "2026-02-10", "2026-02-11", "2026-02-12"]
    assert asked[-1].deadline == at("06:00", day=3)
    assert asked[-1].opens_at == at("00:00", day=3)


def test_a_deadline_missed_and_made_up_for_while_nobody_looked_is_in_the_history() -> None:
    story = Story(sla()).run(at("00:00"), at("05:00"), lambda now: [NOTHING])
    told = story.tick(at("08:00"), Observation("orders_by_six", at=at("06:40"), partition="2026-02-09"))
    assert [event.kind for event in told] == ["opened", "resolved"]
    assert told[1].duration == timedelta(minutes=40)
    assert told[0].violation.opened_at == told[1].at == at("08:00")
    assert story.run(at("08:05"), at("09:00"), arrives(at("06:40"))).events == list(told)


def test_a_whole_day_without_a_daemon_loses_no_missing_partition() -> None:
    story = Story(sla()).run(at("00:00"), at("05:00"), arrives(at("04:40")))
    there = [Observation("orders_by_six", at=at("04:40", day=n), partition=f"2026-02-{9 + n:02}") for n in (0, 2)]
    story.tick(at("07:00", day=2), *there, Observation("orders_by_six", partition="2026-02-10"))
    assert story.open == [("orders_by_six", "2026-02-10")]
    assert story.events[0].violation.breach_since == at("06:00", day=1)


def test_a_new_sla_does_not_accuse_the_past() -> None:
    late = Observation("orders_by_six", at=at("06:40"), partition="2026-02-09")
    assert Story(sla()).tick(at("08:00"), late) == ()


def test_days_without_a_deadline_have_none() -> None:
    # 2026-02-13 is a Friday, the 16th a holiday.
    definition = sla(calendar={"days": ["mon", "tue", "wed", "thu", "fri"], "skip": ["2026-02-16"]})
    story = Story(definition).run(at("06:00", day=3), at("12:00", day=7), arrives(at("04:00", day=3), "2026-02-12"))
    assert story.told() == [("opened", "17 06:05")]
    assert story.open == [("orders_by_six", "2026-02-16")]


def test_retention_is_due_on_sundays_and_on_the_first() -> None:
    calendar = {"days": ["sun"], "month_days": [1]}
    definition = sla("retention", "retention_done", zone="UTC", by="05:00", calendar=calendar)
    rule = definition.rule
    days = [datetime(2026, 3, day, 6, tzinfo=UTC) for day in range(1, 32)] + [datetime(2026, 4, 1, 6, tzinfo=UTC)]
    assert sorted({rule.due_at(day).partition for day in days}) == [
        "2026-03-01",
        "2026-03-08",
        "2026-03-15",
        "2026-03-22",
        "2026-03-29",
        "2026-04-01",
    ]
    done = Observation("retention", at=datetime(2026, 4, 1, 3, 20, tzinfo=UTC))
    assert evaluate(definition, done, datetime(2026, 4, 1, 6, tzinfo=UTC)).state == "ok"
    assert evaluate(definition, done, datetime(2026, 4, 5, 6, tzinfo=UTC)).state == "breach"


@pytest.mark.parametrize("target, opened", [(0, "06:05"), (15, "06:20")])
def test_a_target_is_what_may_pass_after_the_deadline(target: int, opened: str) -> None:
    story = Story(sla(target=target)).run(at("00:00"), at("07:00"), lambda now: [NOTHING])
    assert story.told() == [("opened", f"10 {opened}")]


def test_a_warning_comes_once_before_the_deadline() -> None:
    story = Story(sla(alert_threshold=-30)).run(at("00:00"), at("05:55"), lambda now: [NOTHING])
    assert story.told() == [("warned", "10 05:35")]
    assert story.events[0].violation is None


@pytest.mark.parametrize(
    "day, utc_deadline",
    [
        ("2026-03-07", "2026-03-07T11:00:00+00:00"),
        ("2026-03-08", "2026-03-08T10:00:00+00:00"),
        ("2026-10-31", "2026-10-31T10:00:00+00:00"),
        ("2026-11-01", "2026-11-01T11:00:00+00:00"),
    ],
)
def test_six_oclock_is_six_oclock_on_the_wall_on_both_nights_of_the_clocks(day: str, utc_deadline: str) -> None:
    deadline = datetime.fromisoformat(utc_deadline)
    start = deadline - timedelta(hours=12)
    definition = sla()
    story = Story(definition).run(start, deadline + timedelta(hours=1), lambda now: [NOTHING])
    opened = [event for event in story.events if event.violation.breach_since == deadline]
    assert [event.at for event in opened] == [deadline + STEP]
    assert opened[0].at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M") == f"{day} 06:05"


@pytest.mark.parametrize(
    "day, by, utc_deadline",
    [
        # 02:30 does not exist on the 8th of March: it is read as 03:30 of the new time.
        ("2026-03-08", "02:30", "2026-03-08T07:30:00+00:00"),
        # 01:30 comes twice on the 1st of November: the promise is broken after the second.
        ("2026-11-01", "01:30", "2026-11-01T06:30:00+00:00"),
    ],
)
def test_a_deadline_in_the_skipped_or_repeated_hour_is_the_later_reading(day: str, by: str, utc_deadline: str) -> None:
    definition = sla(by=by)
    deadline = datetime.fromisoformat(utc_deadline)
    due = definition.rule.due_at(deadline)
    assert (due.day.isoformat(), due.deadline) == (day, deadline)
    assert evaluate(definition, NOTHING, deadline).state == "pending"
    assert evaluate(definition, NOTHING, deadline + timedelta(seconds=1)).state == "breach"


def test_every_day_of_two_years_has_one_deadline_that_stands_for_the_whole_day() -> None:
    definition = sla()
    seen: dict[str, set[datetime]] = {}
    now, end = datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC)
    while now < end:
        due = definition.rule.due_at(now)
        assert due.opens_at <= now
        assert now - due.opens_at < timedelta(hours=25)
        seen.setdefault(due.partition, set()).add(due.deadline)
        now += timedelta(minutes=30)
    assert len(seen) == (end.date() - date(2026, 1, 1)).days
    assert all(len(deadlines) == 1 for deadlines in seen.values())
    assert len(set().union(*seen.values())) == len(seen)


def test_the_standing_deadline_does_not_depend_on_what_was_asked_before() -> None:
    asked = sla()
    moments = [MIDNIGHT + timedelta(hours=hours) for hours in (0, 49, -30, 5, 23, 24, -1)]
    for moment in moments:
        assert asked.rule.due_at(moment) == sla().rule.due_at(moment)


def test_an_observation_from_the_future_is_no_success() -> None:
    story = Story(sla()).run(at("05:00"), at("07:00"), lambda now: [Observation("orders_by_six", at=at("23:00"))])
    assert story.told() == [("opened", "10 06:05")]


def test_the_same_arguments_give_the_same_tick() -> None:
    story = Story(sla()).run(at("00:00"), at("06:05"), lambda now: [NOTHING])
    once, twice = (tick(story.definitions, story.states, [NOTHING], {}, at("06:10")) for _ in range(2))
    assert once.states == twice.states
    assert once.events == twice.events


def test_a_clock_that_was_ahead_for_one_look_leaves_nothing_open_and_repeats_nothing() -> None:
    story = Story(sla())
    # Eight in the morning, and the day came an hour late.
    late = Observation("orders_by_six", at=at("07:00"), partition="2026-02-09")
    story.tick(at("05:00"), NOTHING)
    story.tick(at("08:00"), late)
    assert story.kinds() == ["opened", "resolved"]
    story.tick(at("08:00", day=400), late)
    ahead = story.open
    assert len(ahead) > 20
    assert sorted(event.key for event in story.tick(at("08:05"), late) if event.kind == "resolved") == sorted(ahead)
    for minute in range(10, 60, 10):
        assert story.tick(at(f"08:{minute}"), late) == ()
    assert story.open == []
    assert all(event.duration >= timedelta(0) for event in story.events if event.duration is not None)
    # The next day is judged as ever.
    assert [event.partition for event in story.tick(at("06:05", day=1), NOTHING)] == ["2026-02-10"]
