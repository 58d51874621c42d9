"""Maintenance holds back what is told, quiet hours hold back the message, and both know the nights of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.sla import CalendarWindow, Observation
from hotdash_pipelines.sla.definitions.calendar import Once, window_end
from tests.unit.sla.story import MIDNIGHT, STEP, ZONE, Story, at, level, sla

NEW_YORK = ZoneInfo(ZONE)


def slow(**more: object) -> Story:
    return Story(sla("answers", "latency_p95", target=200, **more))


def test_maintenance_holds_the_opening_back_but_not_the_observation() -> None:
    window = {"start": "2026-02-10 01:00", "end": "2026-02-10 03:00", "reason": "upgrade"}
    story = slow(maintenance=[window]).run(at("00:30"), at("04:00"), level("answers", 100, 250, start=at("01:05")))
    assert story.told() == [("opened", "10 03:00")]
    assert story.events[0].violation.breach_since == at("01:10")


def test_a_breach_that_ends_within_maintenance_is_never_told() -> None:
    window = {"from": "01:00", "to": "03:00", "days": ["tue"]}
    values = [100, *[250] * 10, 100]
    story = slow(maintenance=[window]).run(at("00:00"), at("05:00"), level("answers", *values, start=at("01:10")))
    assert story.told() == []
    # The same breach a day later, a Wednesday, is told.
    story.run(at("00:00", day=1), at("05:00", day=1), level("answers", *values, start=at("01:10", day=1)))
    assert story.kinds() == ["opened", "resolved"]


def test_maintenance_holds_escalation_back_and_lets_a_recovery_through() -> None:
    step = {"after": "30m", "severity": "high"}
    window = {"from": "01:00", "to": "03:00"}
    held = slow(maintenance=[window], escalate=[step])
    held.run(at("00:45"), at("04:00"), level("answers", 250))
    assert held.told() == [("opened", "10 00:45"), ("escalated", "10 03:00")]
    over = slow(maintenance=[window], escalate=[step])
    over.run(at("00:45"), at("04:00"), level("answers", *[250] * 12, 100, start=at("00:45")))
    assert over.told() == [("opened", "10 00:45"), ("resolved", "10 01:45")]


def test_a_deadline_within_maintenance_is_told_after_it() -> None:
    story = Story(sla(maintenance=[{"from": "05:00", "to": "08:00"}]))
    story.run(at("00:00"), at("09:00"), lambda now: [Observation("orders_by_six")])
    assert story.told() == [("opened", "10 08:00")]
    assert story.events[0].violation.breach_since == at("06:00")


@pytest.mark.parametrize("severity, held", [("low", True), ("medium", True), ("high", False), ("critical", False)])
def test_quiet_hours_hold_the_small_ones_until_morning_and_never_the_big_ones(severity: str, held: bool) -> None:
    story = slow(severity=severity, quiet_hours={"from": "22:00", "to": "07:00"})
    story.run(at("23:00"), at("23:00"), level("answers", 250))
    assert story.events[0].hold_until == (at("07:00", day=1) if held else None)


def test_what_escalates_to_high_in_the_night_is_not_held() -> None:
    steps = [{"after": "1h", "channel": "#more"}, {"after": "2h", "severity": "high"}]
    story = slow(quiet_hours={"from": "22:00", "to": "07:00"}, escalate=steps)
    story.run(at("23:00"), at("01:00", day=1), level("answers", 250))
    assert story.kinds() == ["opened", "escalated", "escalated"]
    assert [event.hold_until is None for event in story.events] == [False, False, True]


def test_outside_quiet_hours_nothing_is_held() -> None:
    story = slow(quiet_hours={"from": "22:00", "to": "07:00"})
    story.run(at("07:00"), at("07:00"), level("answers", 250))
    assert story.events[0].hold_until is None


@pytest.mark.parametrize(
    "evening, hours",
    [("2026-03-07T23:00-05:00", 7), ("2026-10-31T23:00-04:00", 9), ("2026-11-01T23:00-05:00", 8)],
)
def test_quiet_hours_end_by_the_wall_clock_on_both_nights_of_the_clocks(evening: str, hours: int) -> None:
    quiet = CalendarWindow.model_validate({"from": "22:00", "to": "07:00"})
    now = datetime.fromisoformat(evening)
    end = window_end((quiet,), now, NEW_YORK)
    assert end is not None
    assert end - now == timedelta(hours=hours)
    assert end.astimezone(NEW_YORK).strftime("%H:%M") == "07:00"


@pytest.mark.parametrize(
    "start, end, day, minutes",
    [
        # 02:00 to 02:30 does not exist in the spring: it is read as 03:00 to 03:30.
        ("02:00", "02:30", "2026-03-08", 30),
        # 01:00 to 02:00 comes twice in the autumn, and lasts from the first start to the second end.
        ("01:00", "02:00", "2026-11-01", 120),
        ("00:00", "12:00", "2026-03-08", 660),
        ("00:00", "12:00", "2026-11-01", 780),
    ],
)
def test_a_weekly_window_exists_on_the_nights_of_the_clocks(start: str, end: str, day: str, minutes: int) -> None:
    window = CalendarWindow.model_validate({"from": start, "to": end, "days": ["sun"]})
    first = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=NEW_YORK).astimezone(UTC)
    inside = [
        first + timedelta(minutes=n) for n in range(26 * 60) if window.around(first + timedelta(minutes=n), NEW_YORK)
    ]
    assert len(inside) == minutes
    assert inside[-1] - inside[0] == timedelta(minutes=minutes - 1)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    window = CalendarWindow.model_validate({"from": "23:00", "to": "01:00", "days": ["tue"]})
    assert window.around(at("23:30"), NEW_YORK) == (at("23:00"), at("01:00", day=1))
    assert window.around(at("00:30", day=1), NEW_YORK) == (at("23:00"), at("01:00", day=1))
    assert window.around(at("00:30"), NEW_YORK) is None
    assert window.around(at("01:00", day=1), NEW_YORK) is None


def test_windows_that_follow_each_other_are_one_and_an_endless_pair_does_not_hang() -> None:
    early = CalendarWindow.model_validate({"from": "01:00", "to": "03:00"})
    late = Once(start=at("02:30"), end=at("05:00"))
    assert window_end((early, late), at("01:30"), NEW_YORK) == at("05:00")
    night, day = (
        CalendarWindow.model_validate({"from": a, "to": b}) for a, b in (("20:00", "08:00"), ("08:00", "20:00"))
    )
    end = window_end((night, day), MIDNIGHT, NEW_YORK)
    assert end is not None
    assert end > MIDNIGHT + timedelta(days=7)


def test_a_window_has_a_zone_of_its_own_or_that_of_the_sla() -> None:
    berlin = CalendarWindow.model_validate({"from": "09:00", "to": "10:00", "zone": "Europe/Berlin"})
    assert berlin.around(at("03:30"), NEW_YORK) == (at("03:00"), at("04:00"))


def test_ticks_within_maintenance_still_keep_the_worst_value() -> None:
    story = slow(maintenance=[{"from": "01:00", "to": "03:00"}])
    story.run(at("00:50"), at("02:00"), level("answers", 250, 250, 900, 260, start=at("00:55")))
    assert story.states["answers", ""].violation.peak == 900
    assert story.states["answers", ""].violation.last_seen_at == at("02:00")
    assert story.ticks == (at("02:00") - at("00:50")) // STEP + 1
