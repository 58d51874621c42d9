"""The roughness of the stand-in's world: what is asked for is what occurs, the same for the same seed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import KINDS, Roughness
from hotdash_pipelines.demo.world.shop import Order, Shop
from hotdash_pipelines.settings import Settings
from tests.unit.demo.shopify.shopify_client import Store, day_window

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAY = date(2026, 11, 10)


def make(rough: str, scale: float = 0.02) -> Shop:
    return Shop(7, scale, VirtualClock(NOW), roughness=Roughness.read(rough))


def changed_late(order: Order, shop: Shop) -> bool:
    midnight = shop.day_start_ts(order.day + timedelta(days=1))
    return any(midnight <= event.ts < midnight + 4 * 3_600 and event.payload == "reviewed" for event in order.events)


def test_every_kind_says_whom_it_hits_and_what_it_does() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert 0 < kind.rate <= 1
        assert kind.effect.endswith(".")
        assert kind.unit
        assert kind.left_out is None or kind.left_out.endswith(".")


def test_the_usual_world_has_all_kinds_but_those_left_out_for_a_reason() -> None:
    usual = {kind.name: kind.rate for kind in KINDS if kind.left_out is None}
    assert Roughness.read("usual").rates == usual
    assert Roughness.read("calm").rates == {}
    assert set(Roughness.read("all").rates) == {kind.name for kind in KINDS}
    assert make("usual").roughness == Shop(7, 0.02, VirtualClock(NOW)).roughness


def test_single_kinds_are_switched_off_on_and_to_another_rate() -> None:
    assert "late_touches" not in Roughness.read("-late_touches").rates
    assert "late_touches" not in Roughness.read("usual, -late_touches").rates
    assert Roughness.read("calm,+late_touches=0.5").rates == {"late_touches": 0.5}
    rough = Roughness.read("usual,+late_touches=0.25,-odd_attributes")
    assert Roughness.read(rough.text()) == rough


def test_the_demo_is_rough_unless_somebody_wants_it_calm(tmp_path: Path) -> None:
    rough = Roughness.read(Settings(home=tmp_path).demo_roughness)
    assert rough.rates == {kind.name: kind.rate for kind in KINDS if kind.left_out is None}
    assert {"late_touches", "added_lines", "split_refunds", "deleted_conversations"} <= rough.rates.keys()


@pytest.mark.parametrize(
    "text", ["wild", "usual,late_touches", "+nonsense", "calm,+late_touches=2", "calm,+late_touches=x", ""]
)
def test_an_unknown_roughness_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="roughness"):
        Roughness.read(text)


def test_a_kind_without_a_record_is_acted_out_nowhere() -> None:
    with pytest.raises(KeyError):
        Roughness.read("all").hits("gremlins", 7, 1)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_each_kind_hits_as_many_as_its_record_says(kind: str) -> None:
    rough = Roughness.read(f"calm,+{kind}=0.2")
    hits = [rough.hits(kind, 7, number) for number in range(5_000)]
    assert hits == [rough.hits(kind, 7, number) for number in range(5_000)]
    assert hits != [rough.hits(kind, 8, number) for number in range(5_000)]
    assert abs(sum(hits) / 5_000 - 0.2) < 0.02
    assert not any(Roughness.read("calm").hits(kind, 7, number) for number in range(100))


def test_one_kind_more_changes_nothing_else_of_the_world() -> None:
    calm, touched = make("calm"), make("calm,+late_touches=1")
    for before, after in zip(calm.orders_created_on(DAY), touched.orders_created_on(DAY), strict=True):
        assert before.lines == after.lines
        assert before.events == tuple(event for event in after.events if event.payload != "reviewed")


def test_an_order_touched_after_midnight_has_left_its_own_day() -> None:
    shop = make("calm,+late_touches=1")
    orders = shop.orders_created_on(DAY)
    assert all(changed_late(order, shop) for order in orders)
    assert not any(changed_late(order, shop) for order in make("calm").orders_created_on(DAY))
    morning = shop.day_start_ts(DAY + timedelta(days=1)) + 4 * 3_600
    start, end = shop.day_start_ts(DAY), shop.day_start_ts(DAY + timedelta(days=1))
    assert not any(start <= order.updated_ts(morning) < end for order in orders)


def test_a_merged_customer_is_told_by_no_event_and_moves_orders_and_heir() -> None:
    shop = make("calm,+merged_customers=0.4")
    merges = [merge for one in shop.customers_created_on(DAY) if (merge := shop.removals.merge_of(one.id))]
    assert merges
    for merge in merges:
        heir = shop.customer(merge.heir or 0)
        assert heir is not None
        assert shop.removals.merge_of(heir.id) is None
        assert shop.removals.heir_of(merge.id, shop.now_ts()) == heir.id
        first = shop.orders_of(merge.id)[0]
        assert first.created_ts < merge.ts <= shop.now_ts()
        assert merge.ts in [event.ts for event in first.events]
        assert shop.customer_updated_ts(heir, shop.now_ts()) >= merge.ts
        assert shop.customer_updated_ts(heir, merge.ts) == merge.ts
    days = (shop.day_start_ts(DAY), shop.now_ts())
    assert shop.removals.told_between(*days) == []


def test_attributes_and_landing_pages_are_as_odd_on_the_wire() -> None:
    query = """query orders($query: String) { orders(first: 5, query: $query) { nodes {
        customerJourneySummary { lastVisit { landingPage } }
        lineItems(first: 5) { nodes { customAttributes { key value } } } } } }"""
    store = Store(scale=0.005, rough="calm,+odd_attributes=1,+doubled_keys=1,+long_landing_pages=1")
    nodes = store.data(query, {"query": day_window("2026-11-18", "2026-11-19")})["orders"]["nodes"]
    pages = [
        node["customerJourneySummary"]["lastVisit"]["landingPage"] for node in nodes if node["customerJourneySummary"]
    ]
    assert pages
    assert all(len(page) > 1_000 for page in pages)
    for line in (line for node in nodes for line in node["lineItems"]["nodes"]):
        names = [attribute["key"] for attribute in line["customAttributes"]]
        assert names.count("Engraving") == 2
        assert None in [attribute["value"] for attribute in line["customAttributes"]]


def test_the_control_plane_tells_how_rough_the_world_is() -> None:
    assert Store(rough="calm,+late_touches=0.5").http.get("/_control").json()["roughness"] == {"late_touches": 0.5}
