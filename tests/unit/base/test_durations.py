"""Lengths of time: what is read, how it is written back, how it is told."""

from datetime import timedelta

import pytest

from hotdash_pipelines.base.durations import is_duration, lasted, parse_duration, roughly, spell_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5_400), ("2d", 172_800), ("0s", 0), ("36500d", 3.1536e9)]
)
def test_a_length_reads_as_it_is_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert is_duration(text)
    assert parse_duration(spell_duration(parse_duration(text))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30 minutes", "1.5h", "-1h", "30m1h", "m"])
def test_what_is_no_length_is_refused_with_the_form(text: str) -> None:
    assert not is_duration(text)
    with pytest.raises(ValueError, match="write it as 90s, 15m, 1h30m or 2d"):
        parse_duration(text)


def test_a_length_that_no_calendar_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 36500 days"):
        parse_duration("99999999999999d")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=42, seconds=59), "42 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=2, hours=4), "2 d 4 h"),
        (-timedelta(hours=3), "0 s"),
        (None, "0 s"),
    ],
)
def test_lengths_are_words(length: timedelta | None, text: str) -> None:
    assert lasted(length) == text


@pytest.mark.parametrize(("seconds", "text"), [(119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 d")])
def test_a_moving_figure_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
