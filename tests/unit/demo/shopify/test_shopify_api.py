"""Shopify over HTTP, as a client meets it: tokens, versions, scopes, pages, costs and faults."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hotdash_pipelines.demo.shopify.http import TOKEN_SECONDS, serve_version
from tests.unit.demo.shopify.shopify_client import GRAPHQL, NOW, ORDERS, Store, day_window

DAY = day_window("2026-11-18", "2026-11-19")


@pytest.fixture
def store() -> Store:
    return Store(scale=0.005)


@pytest.fixture(scope="module")
def shared() -> Store:
    return Store(scale=0.01)


def token(store: Store, **changes: str) -> Any:
    body = {"client_id": "the-client", "client_secret": "the-secret", "grant_type": "client_credentials", **changes}
    return store.http.post("/admin/oauth/access_token", json=body)


def error_of(response: Any) -> dict[str, Any]:
    return response.json()["errors"][0]


# Tokens, versions, scopes.


def test_a_granted_token_works_until_it_expires(store: Store) -> None:
    granted = token(store).json()
    assert granted["expires_in"] == TOKEN_SECONDS == 86_399
    store.headers = {"X-Shopify-Access-Token": granted["access_token"]}
    assert store.data("{ shop { name } }") == {"shop": {"name": "HotDash Demo"}}
    store.world.clock.advance(timedelta(seconds=86_398))
    assert store.post("{ shop { name } }").status_code == 200
    store.world.clock.advance(timedelta(seconds=1))
    expired = store.post("{ shop { name } }")
    assert expired.status_code == 401
    assert "Invalid API key or access token" in expired.json()["errors"]


def test_a_wrong_secret_or_grant_gives_no_token(store: Store) -> None:
    assert token(store, client_secret="wrong").status_code == 401
    assert token(store, client_id="wrong").status_code == 401
    assert token(store, grant_type="password").status_code == 400
    store.headers = {"X-Shopify-Access-Token": "shpat_wrong"}
    assert store.post("{ shop { name } }").status_code == 401


def test_versions_are_routed_as_shopify_routes_them(shared: Store) -> None:
    assert serve_version("2026-07") == "2026-07"
    current = shared.post("{ shop { name } }")
    assert current.headers["X-Shopify-API-Version"] == "2026-10"
    expired = shared.post("{ shop { name } }", path="/admin/api/2024-01/graphql.json")
    assert (expired.status_code, expired.headers["X-Shopify-API-Version"]) == (200, "2026-01")
    assert shared.post("{ shop { name } }", path="/admin/api/2026-13/graphql.json").status_code == 404
    assert shared.post("{ shop { name } }", path="/admin/api/2030-01/graphql.json").status_code == 404


def test_a_missing_scope_is_denied_with_null(store: Store) -> None:
    assert store.control("shopify", {"scopes": ["read_orders", "read_products"]}).status_code == 200
    denied = store.post("{ customers(first: 1) { nodes { id } } shop { name } }").json()
    assert denied["data"] is None
    assert denied["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    query = "{ orders(first: 3) { nodes { name customer { id } } } }"
    partly = store.post(query).json()
    assert [node["customer"] for node in partly["data"]["orders"]["nodes"]] == [None] * 3
    assert partly["errors"][0]["path"] == ["orders", "nodes", "customer"]
    no_cost = store.post("{ products(first: 1) { nodes { variants(first: 1) { nodes { inventoryItem { id } } } } } }")
    assert no_cost.json()["data"] is None


# Pages.


def test_pages_hold_every_order_once_in_order(shared: Store) -> None:
    paged = shared.all_orders(DAY, first=7)
    assert len(paged) > 50
    assert [order["id"] for order in paged] == [order["id"] for order in shared.all_orders(DAY, first=250)]
    assert len({order["id"] for order in paged}) == len(paged)
    assert [order["updatedAt"] for order in paged] == sorted(order["updatedAt"] for order in paged)
    assert all("2026-11-18T05:00:00Z" <= order["updatedAt"] < "2026-11-19T05:00:00Z" for order in paged)
    counted = shared.data("query($q: String) { ordersCount(query: $q, limit: null) { count precision } }", {"q": DAY})
    assert counted["ordersCount"] == {"count": len(paged), "precision": "EXACT"}


@pytest.mark.parametrize("sort, field", [("CREATED_AT", "createdAt"), ("PROCESSED_AT", "processedAt"), ("ID", "id")])
def test_every_sort_key_pages_completely(shared: Store, sort: str, field: str) -> None:
    search = "created_at:>='2026-11-17T05:00:00Z' created_at:<'2026-11-19T05:00:00Z'"
    paged = shared.all_orders(search, first=30, sort=sort)
    values = [order[field] for order in paged]
    assert values == sorted(values)
    world = [o for d in (17, 18) for o in shared.world.shop.orders_created_on(NOW.date().replace(day=d))]
    assert {order["id"] for order in paged} == {f"gid://shopify/Order/{o.id}" for o in world}


def test_reverse_pages_backwards(shared: Store) -> None:
    query = """query($after: String) { orders(first: 40, after: $after, reverse: true, sortKey: UPDATED_AT) {
      nodes { id updatedAt } pageInfo { endCursor } } }"""
    first = shared.data(query)["orders"]
    second = shared.data(query, {"after": first["pageInfo"]["endCursor"]})["orders"]
    times = [node["updatedAt"] for node in first["nodes"] + second["nodes"]]
    assert times == sorted(times, reverse=True)
    assert len({node["id"] for node in first["nodes"] + second["nodes"]}) == 80


def test_a_foreign_cursor_is_refused(shared: Store) -> None:
    cursor = shared.data(ORDERS, {"query": DAY, "first": 2})["orders"]["pageInfo"]["endCursor"]
    other = {"query": day_window("2026-11-17", "2026-11-18"), "first": 2, "after": cursor}
    assert error_of(shared.post(ORDERS, other))["message"] == "Invalid cursor for current pagination sort."
    assert error_of(shared.post(ORDERS, {"query": DAY, "first": 2, "after": cursor, "sort": "ID"}))
    assert error_of(shared.post(ORDERS, {"query": DAY, "first": 2, "after": "bm90IG91cnM="}))
    assert shared.data(ORDERS, {"query": DAY, "first": 2, "after": cursor})


@pytest.mark.parametrize("first", [251, -1, None])
def test_a_page_size_out_of_range_is_refused(shared: Store, first: int | None) -> None:
    size = "" if first is None else f"(first: {first})"
    response = shared.post(f"{{ orders{size} {{ nodes {{ id }} }} }}").json()
    assert response["data"] is None
    assert response["errors"]


def test_a_long_order_is_drained_by_pages_of_lines(shared: Store) -> None:
    shop = shared.world.shop
    giant = next(
        o for n in range(1, 9) for o in shop.orders_created_on(NOW.date() - timedelta(days=n)) if len(o.lines) == 300
    )
    query = """query($id: ID!, $after: String) { order(id: $id) { subtotalLineItemsQuantity
      lineItems(first: 250, after: $after) {
        nodes { id quantity isGiftCard } pageInfo { hasNextPage endCursor } } } }"""
    first = shared.data(query, {"id": f"gid://shopify/Order/{giant.id}"})["order"]
    page = first["lineItems"]["pageInfo"]
    assert page["hasNextPage"] is True
    rest = shared.data(query, {"id": f"gid://shopify/Order/{giant.id}", "after": page["endCursor"]})["order"]
    lines = first["lineItems"]["nodes"] + rest["lineItems"]["nodes"]
    assert len({line["id"] for line in lines}) == 300
    assert rest["lineItems"]["pageInfo"]["hasNextPage"] is False
    # Shopify leaves gift cards out of this sum.
    assert first["subtotalLineItemsQuantity"] == sum(line["quantity"] for line in lines if not line["isGiftCard"])


def test_nothing_later_than_the_clock_is_served(store: Store) -> None:
    latest = store.all_orders("updated_at:>'2026-11-19'", first=250)[-1]["updatedAt"]
    assert latest <= "2026-11-20T15:00:00Z"
    before = store.data("{ ordersCount(limit: null) { count } }")["ordersCount"]["count"]
    store.world.clock.advance(timedelta(days=1))
    after = store.data("{ ordersCount(limit: null) { count } }")["ordersCount"]["count"]
    assert before < after < before + 100


# What is served.


def test_customers_and_products_are_listed_completely(shared: Store) -> None:
    query = """query($q: String, $after: String) { customers(first: 20, after: $after, query: $q, sortKey: UPDATED_AT) {
      nodes { id updatedAt numberOfOrders } pageInfo { hasNextPage endCursor } } }"""
    nodes: list[dict[str, Any]] = []
    page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        page = shared.data(query, {"q": DAY, "after": page["pageInfo"]["endCursor"]})["customers"]
        nodes += page["nodes"]
    assert len({customer["id"] for customer in nodes}) == len(nodes) > 20
    assert [c["updatedAt"] for c in nodes] == sorted(c["updatedAt"] for c in nodes)
    products = shared.data("{ products(first: 250) { nodes { id } } productsCount { count } }")
    assert len(products["products"]["nodes"]) == products["productsCount"]["count"] < len(shared.world.shop.products)


def test_a_deleted_product_leaves_its_lines_without_product(shared: Store) -> None:
    shop = shared.world.shop
    gone = {product.id for product in shop.products if not product.exists(shop.now_ts())}
    order = next(
        o
        for n in range(60, 400, 5)
        for o in shop.orders_created_on(NOW.date() - timedelta(days=n))
        if any(line.product is not None and line.product.id in gone for line in o.lines)
    )
    query = """query($id: ID!) { order(id: $id) { lineItems(first: 250) {
      nodes { title sku product { id } variant { id } } } } }"""
    lines = shared.data(query, {"id": f"gid://shopify/Order/{order.id}"})["order"]["lineItems"]["nodes"]
    assert any(line["product"] is None and line["variant"] is None and line["title"] for line in lines)


def test_an_unknown_search_field_is_ignored_with_a_warning(shared: Store) -> None:
    answer = shared.post(ORDERS, {"query": f"{DAY} updatd_at:>'2026-01-01'", "first": 1}).json()
    assert answer["data"]["orders"]["nodes"]
    warning = answer["extensions"]["search"][0]["warnings"][0]
    assert (warning["field"], warning["code"]) == ("updatd_at", "invalid_field")


def test_searches_narrow_by_status_id_and_test(shared: Store) -> None:
    paid = shared.all_orders(f"{DAY} financial_status:refunded")
    assert paid
    assert {order["displayFinancialStatus"] for order in paid} == {"REFUNDED"}
    number = paid[0]["id"].rpartition("/")[2]
    assert [o["id"] for o in shared.all_orders(f"id:{number} {DAY}")] == [paid[0]["id"]]
    rest = shared.all_orders(f"{DAY} -financial_status:refunded")
    assert len(rest) + len(paid) == len(shared.all_orders(DAY))
    assert error_of(shared.post(ORDERS, {"query": "id:1 OR id:2", "first": 1}))


# Costs.


def test_the_difference_to_the_actual_cost_is_refunded(store: Store) -> None:
    cost = store.post(ORDERS, {"query": "id:1", "first": 100}).json()["extensions"]["cost"]
    assert cost["requestedQueryCost"] > cost["actualQueryCost"] == 2
    assert cost["throttleStatus"]["currentlyAvailable"] == 20_000 - 2


def test_the_published_rule_prices_connections_by_first(store: Store) -> None:
    store.control("shopify", {"plan": "standard"})
    cost = store.post("{ orders(first: 10) { nodes { id } } }").json()["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 12 == cost["actualQueryCost"]
    nested = """{ orders(first: 10) { nodes {
      totalPriceSet { shopMoney { amount } } lineItems(first: 5) { nodes { id } } } } }"""
    assert store.post(nested).json()["extensions"]["cost"]["requestedQueryCost"] == 2 + 10 * (1 + 2 + 2 + 5)


def test_the_observed_rule_stays_near_a_reported_figure(store: Store) -> None:
    query = '{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { inventoryItem { id } } } } }'
    cost = store.post(query).json()["extensions"]["cost"]["requestedQueryCost"]
    # Reported from a real shop: 25, where the published rule gives 503.
    assert 20 <= cost <= 30


def test_too_costly_a_query_is_refused_outright(store: Store) -> None:
    store.control("shopify", {"plan": "standard"})
    error = error_of(store.post("{ orders(first: 250) { nodes { lineItems(first: 50) { nodes { id } } } } }"))
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert error["extensions"]["maxCost"] == 1_000


def test_an_empty_bucket_throttles_and_a_retry_is_served_on_a_frozen_clock(store: Store) -> None:
    store.control("shopify", {"limits": {"maximum_available": 30}})
    query = "{ orders(first: 20) { nodes { id customer { id } } } }"
    answers = [store.post(query).json() for _ in range(3)]
    assert "data" in answers[0]
    refused = next(answer for answer in answers if "data" not in answer)
    assert refused["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = refused["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    # What a client computes as its wait: nothing, because the frozen clock will not move for it.
    assert cost["throttleStatus"]["currentlyAvailable"] >= cost["requestedQueryCost"]
    assert "data" in store.post(query).json()


def test_a_throttle_scenario_answers_200_or_429(store: Store) -> None:
    store.world.scenarios.add("throttle", "shopify", match="orders")
    store.world.scenarios.add("throttle", "shopify", match="orders", status=429)
    answers = [store.post(ORDERS, {"query": DAY, "first": 1}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert [("errors" in answer.json()) for answer in answers] == [True, True, False]
    assert store.post("{ shop { name } }").json()["data"]


# Faults.


def test_a_scenario_hits_only_what_it_matches_and_only_so_often(store: Store) -> None:
    store.world.scenarios.add("status", "shopify", match="Customers", times=2, status=503, retry_after=7)
    assert store.post(ORDERS, {"query": DAY, "first": 1}).status_code == 200
    query = "query customers { customers(first: 1) { nodes { id } } }"
    answers = [store.post(query) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"


def test_bad_json_cannot_be_parsed(store: Store) -> None:
    store.world.scenarios.add("bad_json", "shopify")
    response = store.post("{ shop { name } }")
    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()


def test_an_expired_token_scenario_ends_every_granted_token(store: Store) -> None:
    store.headers = {"X-Shopify-Access-Token": token(store).json()["access_token"]}
    store.world.scenarios.add("expired_token", "shopify")
    assert [store.post("{ shop { name } }").status_code for _ in range(2)] == [401, 401]
    store.headers = {"X-Shopify-Access-Token": token(store).json()["access_token"]}
    assert store.post("{ shop { name } }").status_code == 200


def test_a_drawn_expiry_ends_one_token_and_only_when_it_has_served(store: Store) -> None:
    store.world.scenarios.add_rough("shopify", share=1.0, faults=["expired_token"])
    other, shown = ({"X-Shopify-Access-Token": token(store).json()["access_token"]} for _ in range(2))
    answers = []
    for store.headers in (other, shown, shown, other):
        answers.append(store.post("{ shop { name } }").status_code)
    assert answers == [200, 200, 401, 401]
    store.world.scenarios.clear()
    store.headers = {"X-Shopify-Access-Token": token(store).json()["access_token"]}
    assert store.post("{ shop { name } }").status_code == 200


def test_a_token_that_met_nothing_but_failures_has_not_served(store: Store) -> None:
    store.headers = {"X-Shopify-Access-Token": token(store).json()["access_token"]}
    store.world.scenarios.add_rough("shopify", share=1.0, faults=["expired_token"])
    store.world.scenarios.add("bad_json", "shopify")
    store.world.scenarios.add("status", "shopify", status=503)
    assert [store.post("{ shop { name } }").status_code for _ in range(4)] == [200, 503, 200, 401]


def test_a_truncated_page_drops_nodes_and_says_nothing(store: Store) -> None:
    whole = store.data(ORDERS, {"query": DAY, "first": 20})["orders"]
    store.world.scenarios.add("truncated_page", "shopify")
    cut = store.data(ORDERS, {"query": DAY, "first": 20})["orders"]
    assert len(cut["nodes"]) == len(whole["nodes"]) // 2
    assert cut["pageInfo"] == whole["pageInfo"]


def test_distortions_change_the_nodes_they_say(store: Store) -> None:
    variables = {"query": DAY, "first": 5}
    store.world.scenarios.add("unknown_field", "shopify")
    assert all("fieldNobodyAskedFor" in node for node in store.data(ORDERS, variables)["orders"]["nodes"])
    store.world.scenarios.add("wrong_type", "shopify", field="name", value=[1])
    assert store.data(ORDERS, variables)["orders"]["nodes"][0]["name"] == [1]
    store.world.scenarios.add("empty", "shopify")
    assert store.data(ORDERS, variables)["orders"]["nodes"] == []
    assert store.data(ORDERS, variables)["orders"]["nodes"][0]["name"].startswith("#")


def test_a_drifting_page_moves_its_first_order_out_of_the_window(store: Store) -> None:
    before = [order["id"] for order in store.all_orders(DAY)]
    store.world.scenarios.add("page_drift", "shopify")
    store.post(ORDERS, {"query": DAY, "first": 5})
    assert [order["id"] for order in store.all_orders(DAY)] == before[1:]


def test_requests_are_logged_without_secrets(store: Store) -> None:
    token(store)
    store.post(ORDERS, {"query": DAY, "first": 3})
    entries = store.world.log.entries("shopify")
    assert [entry["operation"] for entry in entries] == ["access_token", "orders"]
    assert entries[1]["variables"] == {"query": DAY, "first": 3}
    assert entries[1]["path"] == GRAPHQL
    assert "the-secret" not in repr(entries)
