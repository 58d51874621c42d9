"""Which windows a routine run fetches, and how far back it looks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.base.windows import days_ending, keys_between, last_complete_day, window_of
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.ingest.run import is_due
from hotdash_pipelines.local.first_load import due_range
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.storage import open_store

ZONE = ZoneInfo("America/New_York")
NEWEST = window_of("2026-03-09", ZONE)


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
    assert due_range(settings, streams, store, set(), 10, now) == (days[0], days[-1])

    monkeypatch.setattr("hotdash_pipelines.lake.partition.partitions", lambda *_: list(days))
    loaded = {("shopify", "orders", key) for key in days}
    assert due_range(settings, streams, store, loaded, 10, now) == (days[-3], days[-1])
    assert due_range(settings, streams, store, loaded - {("shopify", "orders", days[4])}, 10, now) == (
        days[4],
        days[-1],
    )
    assert due_range(settings, streams, store, loaded, 1, now) == (days[-1], days[-1])
