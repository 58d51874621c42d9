"""What was deleted in the shop is told by its window, in one request, held against what the world took away."""

import pytest

from hotdash_pipelines.sources.shopify.paging import READINGS

KEY = "2026-11-18"


def placed_on(bench, key):
    window = bench.window(key)
    return bench.store.world.shop.orders_updated_between(window.start, window.end)


def test_an_order_deleted_today_is_told_by_todays_window_and_is_no_longer_listed(bench):
    shop = bench.store.world.shop
    order, neighbour = placed_on(bench, KEY)[:2]
    before = bench.fetch("shopify", "orders", KEY)
    removed_at = shop.remove("ORDER", order.id)
    today = shop.day_of(removed_at).isoformat()
    bench.store.log.clear()
    told = bench.fetch("shopify", "orders", today).deleted
    assert {number: int(at.timestamp()) for number, at in told.items()} == {str(order.id): removed_at}
    asked = [entry["operation"] for entry in bench.store.log.entries("shopify")]
    assert asked.count("Deletions") == 1
    after = bench.fetch("shopify", "orders", KEY)
    assert after.deleted == {}
    ids = {node["legacyResourceId"] for node in bench.records(after)}
    assert {node["legacyResourceId"] for node in bench.records(before)} - ids == {str(order.id)}
    assert str(neighbour.id) in ids
    assert after.expected_rows == before.expected_rows - 1


def test_a_deleted_customer_is_told_and_an_order_is_not_taken_for_one(bench):
    shop = bench.store.world.shop
    customers = [order.customer_id for order in placed_on(bench, KEY) if order.customer_id]
    removed_at = shop.remove("CUSTOMER", customers[0])
    today = shop.day_of(removed_at).isoformat()
    assert set(bench.fetch("shopify", "customers", today).deleted) == {str(customers[0])}
    assert str(customers[0]) not in bench.fetch("shopify", "orders", today).deleted


def test_the_rough_world_deletes_orders_of_itself_and_each_is_told_once(bench):
    shop = bench.store.world.shop
    calm = shop.roughness
    shop.roughness = type(calm).read("calm,+deleted_orders=1")
    try:
        keys = ["2026-11-12", "2026-11-13", "2026-11-14", "2026-11-15", "2026-11-16", KEY]
        told = [number for key in keys for number in bench.fetch("shopify", "orders", key).deleted]
        start, end = bench.window(keys[0]).start, bench.window(KEY).end
        expected = shop.removals.told_between(int(start.timestamp()), int(end.timestamp()))
        assert len(told) == len(set(told)) > 0
        days = {bench.window(key).day for key in keys}
        gone = {str(one.id) for one in expected if one.kind == "ORDER" and shop.day_of(one.ts) in days}
        assert set(told) == gone
        assert all(shop.is_gone("ORDER", int(number)) for number in told)
    finally:
        shop.roughness = calm


@pytest.mark.parametrize("fault", ["empty", "truncated_page"])
def test_events_that_come_short_of_their_count_are_read_again(bench, fault):
    shop = bench.store.world.shop
    # The later half of two is one.
    gone = [order.id for order in placed_on(bench, "2026-11-16")[:2]]
    today = shop.day_of(max(shop.remove("ORDER", number) for number in gone)).isoformat()
    whole = bench.fetch("shopify", "orders", today)
    assert set(whole.deleted) >= {str(number) for number in gone}
    bench.store.scenarios.add(fault, "shopify", "Deletions", READINGS - 1)
    bench.store.log.clear()
    told = bench.fetch("shopify", "orders", today)
    asked = [entry["operation"] for entry in bench.store.log.entries("shopify")]
    assert asked.count("Deletions") == READINGS
    assert told.deleted == whole.deleted
    assert "deletions_unknown" not in told.notes
    assert told.requests == len(asked)


def test_events_that_never_add_up_are_taken_as_far_as_they_come_and_the_notes_say_so(bench):
    shop = bench.store.world.shop
    removed_at = shop.remove("ORDER", placed_on(bench, "2026-11-16")[2].id)
    today = shop.day_of(removed_at).isoformat()
    whole = bench.fetch("shopify", "orders", today)
    bench.store.scenarios.add("wrong_count", "shopify", "Deletions", READINGS, off=1)
    told = bench.fetch("shopify", "orders", today)
    assert told.deleted == whole.deleted
    assert told.notes["deletions_unknown"] is True
    assert len(bench.records(told)) == whole.expected_rows


def test_a_shop_that_does_not_show_its_events_costs_the_deletions_alone(bench):
    """An older server: the field does not exist for it."""

    class Older:
        def __init__(self, client):
            self._client = client

        def __getattr__(self, name):
            return getattr(self._client, name)

        def graphql(self, query, variables, operation):
            changed = query.replace("events(", "eventLog(") if operation == "Deletions" else query
            return self._client.graphql(changed, variables, operation)

    fetched = bench.fetch("shopify", "orders", KEY, Older(bench.client("shopify")))
    assert fetched.notes["deletions_unknown"] is True
    assert len(bench.records(fetched)) == fetched.expected_rows > 0


def test_a_merged_customer_is_gone_and_their_orders_name_the_other(bench):
    shop = bench.store.world.shop
    first, second = [order for order in placed_on(bench, "2026-11-17") if order.customer_id][:2]
    merged, heir = first.customer_id, second.customer_id
    removed_at = shop.remove("CUSTOMER", merged, heir)
    today = shop.day_of(removed_at).isoformat()
    customers = bench.records(bench.fetch("shopify", "customers", today))
    assert str(merged) not in {node["legacyResourceId"] for node in customers}
    orders = bench.records(bench.fetch("shopify", "orders", today))
    moved = {node["legacyResourceId"]: node["customer"] for node in orders}
    assert moved[str(first.id)] == {"legacyResourceId": str(heir)}
