"""The days that the UI offers, and runs may ask for."""

from datetime import datetime

import dagster as dg
import pytest

from hotdash_pipelines.orchestration.partitions import daily_partitions


@pytest.mark.parametrize(
    ("now", "newest"),
    [("2026-03-10T03:59:59+00:00", "2026-03-09"), ("2026-03-10T04:00:00+00:00", "2026-03-10")],
    ids=["before the store's midnight", "after it"],
)
def test_the_current_day_of_the_store_is_a_partition(now: str, newest: str) -> None:
    days = daily_partitions("2026-03-07", "America/New_York")
    with dg.partition_loading_context(effective_dt=datetime.fromisoformat(now)):
        assert days.get_first_partition_key() == "2026-03-07"
        assert days.get_last_partition_key() == newest
