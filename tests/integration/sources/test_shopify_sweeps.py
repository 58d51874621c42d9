"""What Shopify lost without a word is found by its id within a round of nights, and nothing else is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from hotdash_pipelines.sources import Held, fetcher
from hotdash_pipelines.sources.shopify.sweeps import IDS_A_REQUEST, MOST_ASKED

from .conftest import contract_of

NIGHTS = 3


@dataclass
class HeldHere(Held):
    """What is loaded: records with their creation; and what today's window noted when it was read before."""

    records: Mapping[int, datetime]
    noted: dict[str, object] = field(default_factory=dict)

    def alive(self, _stream, /):
        return self.records

    def notes_of_window(self):
        return self.noted


class Shop:
    """The shop with what a warehouse would hold of its last days, and the open window of each night."""

    def __init__(self, bench):
        self.bench = bench
        self.shop = bench.store.world.shop
        self.client = bench.client("shopify", id_sweep_days=NIGHTS, clock=bench.store.clock.now)
        now = self.shop.now_ts()
        days = [date(2026, 11, 12) + timedelta(days=number) for number in range(6)]
        self.held = {
            "orders": {
                order.id: datetime.fromtimestamp(order.created_ts, UTC)
                for day in days
                for order in self.shop.orders_created_on(day)
            },
            "customers": {one.id: one.created_at for day in days for one in self.shop.customers_created_on(day)},
        }
        assert all(at.timestamp() < now for held in self.held.values() for at in held.values())

    def tonight(self, stream, records=None, noted=None):
        """Today's window, open, as a run of this night reads it."""
        now = self.bench.store.clock.now()
        window = self.bench.window(self.shop.day_of(int(now.timestamp())).isoformat()).asked_at(now)
        held = HeldHere(self.held[stream] if records is None else records, noted or {})
        return fetcher("shopify", stream)(self.client, contract_of("shopify", stream), window, held)

    def round(self, stream):
        """What a whole round of nights finds, by night."""
        found = []
        for _ in range(NIGHTS):
            found.append(self.tonight(stream))
            self.bench.store.clock.advance(timedelta(days=1))
        return found

    def asked(self):
        return [entry["operation"] for entry in self.bench.store.log.entries("shopify")]


@pytest.fixture
def shop(bench):
    clock, before = bench.store.clock, bench.store.clock.now()
    planted = dict(bench.store.world.shop.removals._planted)
    yield Shop(bench)
    clock.set(before)
    bench.store.world.shop.removals._planted.clear()
    bench.store.world.shop.removals._planted.update(planted)


@pytest.mark.parametrize("stream", ["orders", "customers"])
def test_what_is_gone_without_a_word_is_found_once_within_a_round_and_only_that(shop, stream):
    kind = {"orders": "ORDER", "customers": "CUSTOMER"}[stream]
    ids = sorted(shop.held[stream])
    gone = {ids[0], ids[len(ids) // 2], ids[-1]}
    for number in gone:
        shop.shop.remove(kind, number, is_told=False)
    found = shop.round(stream)
    missed = [number for one in found for number, at in one.deleted.items() if at is None]
    assert sorted(missed) == [str(number) for number in sorted(gone)]
    assert sum(one.notes["ids_swept"] for one in found) == len(ids)


def test_a_merged_customer_is_found_and_the_heir_is_not(shop):
    first, second, *_ = sorted(shop.held["customers"])
    shop.shop.remove("CUSTOMER", first, second)
    assert {number for one in shop.round("customers") for number in one.deleted} == {str(first)}


def test_what_an_event_tells_is_told_by_it(shop):
    number = min(shop.held["orders"])
    at = shop.shop.remove("ORDER", number)
    told = [one.deleted for one in shop.round("orders") if one.deleted]
    assert told[0][str(number)].timestamp() == at


@pytest.mark.parametrize("stream", ["orders", "customers"])
def test_a_night_costs_a_page_of_ids_for_each_250_of_its_part(shop, stream):
    shop.bench.store.log.clear()
    shop.tonight(stream)
    asked = shop.asked()
    part = len(shop.held[stream]) // NIGHTS
    assert asked.count(f"{stream[:-1].capitalize()}IdSweep") == -(-part // 50) if part <= 50 else 2
    assert not [one for one in asked if one.endswith("sThere")]


def test_the_missing_are_asked_for_by_themselves_many_a_request(shop):
    for number in shop.held["customers"]:
        shop.shop.remove("CUSTOMER", number, is_told=False)
    shop.bench.store.log.clear()
    found = shop.tonight("customers")
    assert len(found.deleted) == min(MOST_ASKED, found.notes["ids_swept"])
    assert shop.asked().count("CustomersThere") == -(-len(found.deleted) // IDS_A_REQUEST)


def test_a_list_that_lacks_records_is_not_believed_without_a_second_witness(shop):
    """The listing of ids comes back empty, and so does its count; the records are there when asked for."""
    for _ in range(8):
        shop.bench.store.scenarios.add("empty", "shopify", "CustomerIdSweep", 1)
    shop.bench.store.scenarios.add("empty", "shopify", "CustomersCount", 8)
    found = shop.tonight("customers")
    shop.bench.store.scenarios.clear()
    assert found.deleted == {}
    assert "CustomersThere" in shop.asked()


def test_a_second_run_of_the_day_asks_for_no_id_again(shop):
    shop.bench.store.log.clear()
    found = shop.tonight("orders", noted={"ids_swept": 7})
    assert found.notes["ids_swept"] == 7
    assert "OrderIdSweep" not in shop.asked()


def test_nothing_is_looked_for_where_it_is_switched_off_or_the_window_is_over(shop):
    shop.bench.store.log.clear()
    held = HeldHere(shop.held["orders"])
    window = shop.bench.window("2026-11-18")
    fetcher("shopify", "orders")(shop.client, contract_of("shopify", "orders"), window, held)
    shop.client.id_sweep_days = 0
    shop.tonight("orders")
    assert "OrderIdSweep" not in shop.asked()


def test_orders_that_the_app_is_not_shown_are_not_taken_for_gone(shop):
    api = shop.bench.store.world.extra["shopify"]
    old = {
        order.id: datetime.fromtimestamp(order.created_ts, UTC)
        for order in shop.shop.orders_created_on(date(2026, 8, 3))
    }
    scopes = api.scopes
    api.scopes = frozenset(scopes - {"read_all_orders"})
    try:
        for _ in range(NIGHTS):
            assert shop.tonight("orders", {**old, **shop.held["orders"]}).deleted == {}
            shop.bench.store.clock.advance(timedelta(days=1))
    finally:
        api.scopes = scopes


def test_a_sweep_that_fails_costs_itself_alone(shop):
    shop.bench.store.scenarios.add("status", "shopify", "OrderIdSweep", 20, status=400, body={"errors": "x"})
    found = shop.tonight("orders")
    shop.bench.store.scenarios.clear()
    assert found.notes["sweep_failed"] is True
    assert "ids_swept" not in found.notes
    assert len(shop.bench.records(found)) == found.expected_rows


def test_the_rough_world_deletes_orders_of_which_no_event_tells(shop):
    rough = type(shop.shop.roughness).read("calm,+deleted_orders=1,+untold_deletions=1")
    calm, shop.shop.roughness = shop.shop.roughness, rough
    try:
        found = shop.round("orders")
        gone = {str(number) for number in shop.held["orders"] if shop.shop.is_gone("ORDER", number)}
        named = {number for one in found for number in one.deleted}
        assert gone >= named > set()
        assert all(at is None for one in found for at in one.deleted.values())
    finally:
        shop.shop.roughness = calm


def test_customers_whom_the_rough_world_merges_are_found_and_nobody_else(shop):
    rough = type(shop.shop.roughness).read("calm,+merged_customers=0.3")
    calm, shop.shop.roughness = shop.shop.roughness, rough
    try:
        # Some turn into others after their turn in a round: those are found in the next.
        shop.round("customers")
        found = shop.round("customers")
        merged = {number for number in shop.held["customers"] if shop.shop.is_gone("CUSTOMER", number)}
        named = {int(number) for one in found for number in one.deleted}
        assert merged == named > set()
    finally:
        shop.shop.roughness = calm
