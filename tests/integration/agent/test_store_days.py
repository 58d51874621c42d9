"""Business days as the monitoring views cut them: at clock changes, on leap days, in every kind of zone."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.xdist_group("monitoring")
Days = list[tuple[date, datetime, datetime]]


def store_days(conn: "psycopg.Connection[Any]", at: str, count: int, zone: str) -> Days:
    return conn.execute("select day, starts_at, ends_at from app.store_days(%s, %s, %s)", (at, count, zone)).fetchall()


def test_days_are_as_long_as_the_clock_says(warehouse: "psycopg.Connection[Any]") -> None:
    for at, zone, hours in (
        ("2026-03-08T20:00Z", "America/New_York", {date(2026, 3, 7): 24, date(2026, 3, 8): 23}),
        ("2026-11-02T00:30Z", "America/New_York", {date(2026, 10, 31): 24, date(2026, 11, 1): 25}),
        ("2026-03-29T12:00Z", "Europe/Berlin", {date(2026, 3, 28): 24, date(2026, 3, 29): 23}),
        ("2026-10-25T12:00Z", "Europe/Berlin", {date(2026, 10, 24): 24, date(2026, 10, 25): 25}),
        # The clock is turned at midnight itself.
        ("2026-11-01T18:00Z", "America/Havana", {date(2026, 10, 31): 24, date(2026, 11, 1): 25}),
        ("2026-03-08T18:00Z", "America/Havana", {date(2026, 3, 7): 24, date(2026, 3, 8): 23}),
        # Half an hour.
        ("2026-04-05T03:00Z", "Australia/Lord_Howe", {date(2026, 4, 4): 24, date(2026, 4, 5): 24.5}),
        ("2028-02-29T23:30Z", "UTC", {date(2028, 2, 28): 24, date(2028, 2, 29): 24}),
        ("2028-03-01T04:30Z", "America/New_York", {date(2028, 2, 28): 24, date(2028, 2, 29): 24}),
        ("2028-03-01T05:00Z", "America/New_York", {date(2028, 2, 29): 24, date(2028, 3, 1): 24}),
    ):
        days = store_days(warehouse, at, 2, zone)
        assert (at, {day: (end - start) / timedelta(hours=1) for day, start, end in days}) == (at, hours)
        assert days[-1][1] <= datetime.fromisoformat(at) < days[-1][2]


def test_days_join_without_gap_and_start_where_the_date_changes(any_warehouse_url: str) -> None:
    """Every day of three years, leap day included, on a session in another zone than the store."""
    with connect(any_warehouse_url, autocommit=True) as conn:
        for zone in ("America/New_York", "Europe/Berlin", "America/Havana", "Africa/Cairo", "Asia/Kolkata", "UTC"):
            conn.execute("set time zone 'Pacific/Auckland'")
            days = store_days(conn, "2028-12-31T12:00Z", 1096, zone)
            assert len(days) == 1096
            assert date(2028, 2, 29) in {day for day, _, _ in days}
            here = ZoneInfo(zone)
            for (day, start, end), (_, after, _) in zip(days, [*days[1:], (None, days[-1][2], None)], strict=True):
                assert end == after
                assert start.astimezone(here).date() == day
                assert (start.astimezone(UTC) - timedelta(microseconds=1)).astimezone(here).date() == day - timedelta(
                    days=1
                )
