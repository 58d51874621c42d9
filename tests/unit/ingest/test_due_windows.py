"""Which windows a routine run fetches, and how far back it looks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.base.windows import Window, current_day, days_ending, keys_between, last_complete_day, window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.ingest.run import NotYetOver, can_be_read, ingest_window, is_due, is_off
from hotdash_pipelines.local.first_load import due_range, runs_over
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.storage import open_store

ZONE = ZoneInfo("America/New_York")
NEWEST = window_of("2026-03-09", ZONE)
TODAY = window_of("2026-03-10", ZONE)


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    return {f"{contract.source}/{contract.stream}": contract for contract in load_contracts()}


def held(contract: Contract, key: str) -> PartitionManifest:
    window = window_of(key, ZONE)
    return PartitionManifest(
        source=contract.source,
        stream=contract.stream,
        project="p",
        key=key,
        window_start=window.start,
        window_end=window.end,
        contract_version=contract.version,
        contract_digest=contract.digest,
        api_version="v",
        fetched_at=window.end,
        requests=1,
        cost=None,
        rows={contract.stream: 0},
        expected_rows=None,
        cursor_min=None,
        cursor_max=None,
        files=(),
        pages_file=None,
    )


def test_a_window_is_due_while_it_is_missing_or_may_change(contracts: dict[str, Contract]) -> None:
    orders = contracts["shopify/orders"]
    due = [key for key in days_ending(NEWEST.day, 6) if is_due(orders, window_of(key, ZONE), NEWEST, held(orders, key))]
    assert due == ["2026-03-07", "2026-03-08", "2026-03-09"]
    assert is_due(orders, window_of("2026-01-01", ZONE), NEWEST, None)


def test_a_date_that_was_never_read_after_it_settled_is_due_until_it_is(contracts: dict[str, Contract]) -> None:
    """A machine that was off for some nights has dates as they stood before Google was done with them."""
    traffic = contracts["ga4/traffic_daily"]
    key = "2026-03-05"
    early, window = held(traffic, key), window_of(key, ZONE)
    for hours, due in ((0, True), (47, True), (48, False), (90, False)):
        read = replace(early, fetched_at=window.end + timedelta(hours=hours))
        assert is_due(traffic, window, NEWEST, read) is due, hours
    orders = contracts["shopify/orders"]
    assert not is_due(orders, window, NEWEST, held(orders, key)), "its changes come with a later window"


def test_a_window_written_by_another_contract_is_due(contracts: dict[str, Contract]) -> None:
    orders = contracts["shopify/orders"]
    old = replace(held(orders, "2026-01-01"), contract_digest="other")
    assert is_due(orders, window_of("2026-01-01", ZONE), NEWEST, old)


def test_of_a_listing_only_the_newest_window_can_be_fetched(contracts: dict[str, Contract]) -> None:
    products = contracts["shopify/products"]
    assert is_due(products, NEWEST, NEWEST, held(products, NEWEST.key))
    assert not is_due(products, window_of("2026-03-08", ZONE), NEWEST, None)


def test_a_window_that_was_just_read_can_wait_unless_it_is_unsound(contracts: dict[str, Contract]) -> None:
    orders, products = contracts["shopify/orders"], contracts["shopify/products"]
    for contract in (orders, products):
        sound = held(contract, NEWEST.key)
        before, after = sound.fetched_at - timedelta(seconds=1), sound.fetched_at
        assert not is_due(contract, NEWEST, NEWEST, sound, just_read_since=before)
        assert is_due(contract, NEWEST, NEWEST, sound, just_read_since=after)
        assert is_due(contract, NEWEST, NEWEST, None, just_read_since=before)
        assert is_due(contract, NEWEST, NEWEST, replace(sound, contract_digest="other"), just_read_since=before)
        assert is_due(contract, NEWEST, NEWEST, replace(sound, expected_rows=5), just_read_since=before)


def test_windows_follow_the_store_through_the_change_of_clocks() -> None:
    short = window_of("2026-03-08", ZONE)
    assert (short.end - short.start).total_seconds() == 23 * 3600
    long = window_of("2026-11-01", ZONE)
    assert (long.end - long.start).total_seconds() == 25 * 3600
    assert list(keys_between("2026-02-27", "2026-03-01")) == ["2026-02-27", "2026-02-28", "2026-03-01"]


def test_yesterday_is_the_stores_yesterday() -> None:
    assert last_complete_day(datetime(2026, 3, 10, 3, 59, tzinfo=UTC), ZONE).isoformat() == "2026-03-08"
    assert last_complete_day(datetime(2026, 3, 10, 4, 0, tzinfo=UTC), ZONE).isoformat() == "2026-03-09"


def test_a_load_begins_at_the_oldest_window_that_anything_lacks(
    tmp_path: Path, contracts: dict[str, Contract], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    store = open_store(str(tmp_path))
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    streams = [contracts["shopify/orders"], contracts["shopify/products"]]
    days = days_ending(NEWEST.day, 10)
    assert due_range(settings, streams, store, set(), 10, now) == (days[0], TODAY.key)

    monkeypatch.setattr("hotdash_pipelines.lake.partition.partitions", lambda *_: list(days))
    loaded = {("shopify", "orders", key) for key in days}
    assert due_range(settings, streams, store, loaded, 10, now) == (days[-3], TODAY.key)
    lacking = loaded - {("shopify", "orders", days[4])}
    assert due_range(settings, streams, store, lacking, 10, now) == (days[4], TODAY.key)
    assert due_range(settings, streams, store, loaded, 1, now) == (days[-1], TODAY.key)


def test_a_load_begins_with_the_first_partition_however_many_days_are_wanted(
    tmp_path: Path, contracts: dict[str, Contract]
) -> None:
    settings = Settings(first_partition="2026-03-01")
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    streams = [contracts["shopify/orders"]]
    assert due_range(settings, streams, open_store(str(tmp_path)), set(), 400, now) == ("2026-03-01", TODAY.key)


def test_a_long_load_goes_in_runs_of_a_month_the_oldest_first() -> None:
    assert runs_over("2026-02-09", "2026-03-10") == [("2026-02-09", "2026-03-10")]
    assert runs_over("2026-03-10", "2026-03-10") == [("2026-03-10", "2026-03-10")]
    assert runs_over("2026-02-08", "2026-03-10") == [("2026-02-08", "2026-02-08"), ("2026-02-09", "2026-03-10")]
    year = runs_over("2025-02-04", "2026-03-10")
    days = [list(keys_between(*run)) for run in year]
    assert [key for run in days for key in run] == list(keys_between("2025-02-04", "2026-03-10"))
    assert [len(run) for run in days] == [10] + [30] * 13


def test_the_open_day_of_changes_is_due_in_every_run_and_read_again_once_it_is_over(
    contracts: dict[str, Contract],
) -> None:
    orders = contracts["shopify/orders"]
    read_at = TODAY.start + timedelta(hours=4)
    open_day = replace(held(orders, TODAY.key), fetched_at=read_at, is_open=True)
    assert open_day.complete_to == read_at
    assert is_due(orders, TODAY, NEWEST, None)
    assert is_due(orders, TODAY, NEWEST, open_day)
    assert not is_due(orders, TODAY, NEWEST, open_day, just_read_since=read_at - timedelta(minutes=1))
    for nights in (0, 1, 30):
        newest = window_of((TODAY.day + timedelta(days=nights)).isoformat(), ZONE)
        assert is_due(orders, TODAY, newest, open_day), nights
        assert is_due(orders, TODAY, newest, open_day, just_read_since=read_at - timedelta(minutes=1)), nights


def test_an_open_day_may_hold_more_than_was_counted_but_never_less(contracts: dict[str, Contract]) -> None:
    orders = contracts["shopify/orders"]
    open_day = replace(held(orders, TODAY.key), is_open=True, rows={"orders": 12})
    assert not is_off(replace(open_day, expected_rows=10))
    assert is_off(replace(open_day, expected_rows=13))
    assert is_off(replace(open_day, expected_rows=10, is_open=False))


def test_a_date_or_a_listing_of_the_open_day_is_never_read(contracts: dict[str, Contract]) -> None:
    """Google counts a day when it is over, and a listing stands for the last complete day."""
    for name in ("ga4/traffic_daily", "shopify/products"):
        assert not can_be_read(contracts[name], TODAY, NEWEST)
        assert not is_due(contracts[name], TODAY, NEWEST, None)
        assert can_be_read(contracts[name], NEWEST, NEWEST)
    older = window_of("2026-03-08", ZONE)
    assert can_be_read(contracts["ga4/traffic_daily"], older, NEWEST)
    assert not can_be_read(contracts["shopify/products"], older, NEWEST)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Asia/Kolkata"])
def test_today_begins_at_midnight_of_the_store_to_the_second(zone: str) -> None:
    store = ZoneInfo(zone)
    for key in ("2026-03-08", "2026-11-01", "2026-12-31"):
        window = window_of(key, store)
        assert current_day(window.start, store) == window.day
        assert current_day(window.start - timedelta(microseconds=1), store) == window.day - timedelta(days=1)
        asked = window.asked_at(window.start)
        assert (asked.start, asked.is_open) == (window.start, True)
        assert window.asked_at(window.end - timedelta(microseconds=1)).is_open
        assert window.asked_at(window.end) == window


def test_a_row_that_is_touched_past_midnight_while_an_open_day_is_read_stays_within_reach() -> None:
    asked = TODAY.asked_at(TODAY.end - timedelta(seconds=1))
    assert asked.start <= TODAY.end + timedelta(minutes=20) < asked.end


def test_a_source_is_asked_for_an_open_day_beyond_its_end_and_for_one_that_is_over_as_it_is(
    tmp_path: Path, contracts: dict[str, Contract]
) -> None:
    asked: list[Window] = []

    def fetch(_client: object, _contract: Contract, window: Window, *_: object) -> Fetched:
        asked.append(window)
        return Fetched([b'{"data": {"orders": {"nodes": []}}}'], 1, None, "v", None)

    for now in (TODAY.end - timedelta(minutes=1), TODAY.end):
        ingest_window(contracts["shopify/orders"], None, fetch, open_store(str(tmp_path)), "p", TODAY, now)
    open_day, over = asked
    assert (open_day.start, open_day.is_open, open_day.end > TODAY.end) == (TODAY.start, True, True)
    assert over == TODAY


def test_a_load_begins_at_a_day_that_was_open_when_it_was_last_read(
    tmp_path: Path, contracts: dict[str, Contract], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was off for a fortnight: `loaded` leaves out what was open."""
    days = days_ending(NEWEST.day, 14)
    monkeypatch.setattr("hotdash_pipelines.lake.partition.partitions", lambda *_: list(days))
    loaded = {("shopify", "orders", key) for key in days[1:]}
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    streams = [contracts["shopify/orders"]]
    assert due_range(Settings(), streams, open_store(str(tmp_path)), loaded, 14, now) == (days[0], TODAY.key)


def test_a_day_that_has_not_begun_is_refused_and_an_open_date_too(contracts: dict[str, Contract]) -> None:
    def never(*_: object) -> Fetched:
        raise AssertionError("the source was asked")

    refused = {
        "shopify/orders": (TODAY.start - timedelta(seconds=1), "has not begun", "2026-03-10 04:00 UTC"),
        "ga4/traffic_daily": (TODAY.end - timedelta(seconds=1), "is not over", "2026-03-11 04:00 UTC"),
    }
    for name, (now, why, when) in refused.items():
        with pytest.raises(NotYetOver, match=f"{name} 2026-03-10: the day {why}.*{when}"):
            ingest_window(contracts[name], None, never, None, "p", TODAY, now)  # type: ignore[arg-type]
