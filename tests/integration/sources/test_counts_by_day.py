"""The sources' own counts by business day, held against the world's own objects."""

import json
from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts.parse import parse_pages
from hotdash_pipelines.sources import TransientSourceError, counter
from hotdash_pipelines.sources.shopify.counts import DAYS_A_REQUEST

from .conftest import contract_of

DAYS = [f"2026-11-{number:02d}" for number in range(14, 21)]


def counted(bench, stream, keys):
    count = counter("shopify", stream)
    assert count is not None
    return count(bench.client("shopify"), contract_of("shopify", stream), [bench.window(key) for key in keys])


def test_orders_are_counted_on_the_stores_day_on_which_they_were_processed(bench):
    shop = bench.store.world.shop
    now = shop.now_ts()
    expected = Counter()
    for back in range(10):
        for order in shop.orders_created_on(date(2026, 11, 20) - timedelta(days=back)):
            if order.created_ts <= now:
                expected[shop.day_of(order.processed_ts).isoformat()] += 1
    answer = counted(bench, "orders", DAYS)
    assert answer == {key: expected[key] for key in DAYS}
    assert min(answer.values()) > 0


def test_customers_are_counted_on_the_stores_day_on_which_they_were_created(bench):
    shop = bench.store.world.shop
    expected = Counter(
        shop.day_of(int(customer.created_at.timestamp())).isoformat()
        for back in range(-1, 10)
        for customer in shop.customers_created_on(date(2026, 11, 20) - timedelta(days=back))
        if customer.created_at.timestamp() <= shop.now_ts()
    )
    answer = counted(bench, "customers", DAYS)
    assert answer == {key: expected[key] for key in DAYS}
    assert min(answer.values()) > 0


@pytest.mark.parametrize("stream", ["orders", "customers"])
def test_many_days_cost_few_requests(bench, stream):
    last = date(2026, 11, 20)
    keys = [(last - timedelta(days=back)).isoformat() for back in range(DAYS_A_REQUEST + 1)]
    assert len(counted(bench, stream, keys)) == DAYS_A_REQUEST + 1
    asked = [request for request in bench.wire.sent if request.url.path.endswith("graphql.json")]
    assert len(asked) == 2
    assert json.loads(asked[0].content)["query"].count("limit: null") == DAYS_A_REQUEST


def test_a_count_that_is_only_a_lower_bound_is_no_count(bench):
    client = bench.client("shopify")
    ask = client.graphql

    def capped(query, variables, operation):
        return ask(query.replace("limit: null", "limit: 1"), variables, operation)

    client.graphql = capped
    count = counter("shopify", "orders")
    assert count is not None
    windows = [bench.window(key) for key in DAYS[:2]]
    assert count(client, contract_of("shopify", "orders"), windows) == dict.fromkeys(DAYS[:2])


def chatwoot_counted(bench, stream, keys):
    count = counter("chatwoot", stream)
    assert count is not None
    windows = [bench.window(key) for key in keys]
    return count(bench.client("chatwoot"), contract_of("chatwoot", stream), windows)


def test_conversations_are_counted_on_the_stores_day_on_which_they_began(bench):
    shop, support = bench.store.world.shop, bench.store.world.support
    expected = Counter(shop.day_of(int(one.created_at)).isoformat() for one in support.conversations())
    answer = chatwoot_counted(bench, "conversations", DAYS)
    assert answer == {key: expected[key] for key in DAYS}
    assert sum(answer.values()) > 0
    assert len([one for one in bench.wire.sent if one.url.path.endswith("/reports")]) == 1


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Pacific/Chatham", "Australia/Lord_Howe", "UTC"])
def test_conversations_are_counted_by_the_stores_day_in_any_zone(bench, zone):
    """Hours are cut at the half and the quarter where the store's midnight is."""
    windows = [window_of(key, ZoneInfo(zone)) for key in DAYS]
    count = counter("chatwoot", "conversations")
    answer = count(bench.client("chatwoot"), contract_of("chatwoot", "conversations"), windows)
    began = [one.created_at for one in bench.store.world.support.conversations()]
    assert answer == {
        one.key: sum(one.start.timestamp() <= at < one.end.timestamp() for at in began) for one in windows
    }


def test_four_hundred_days_of_chatwoot_are_counted_in_a_request_a_month(bench):
    keys = [(date(2026, 11, 20) - timedelta(days=back)).isoformat() for back in range(400)]
    assert len(chatwoot_counted(bench, "conversations", keys)) == 400
    assert len([one for one in bench.wire.sent if one.url.path.endswith("/reports")]) <= 14


@pytest.mark.parametrize("body", [{"error": "x"}, [None], [{"timestamp": "soon", "value": 1}], [{"timestamp": 3}]])
def test_a_report_of_another_shape_is_no_count(bench, body):
    bench.store.scenarios.add("status", "chatwoot", "reports", 1, status=200, body=body)
    with pytest.raises(TransientSourceError, match=r"^chatwoot/conversations by day: the report conversations_count"):
        chatwoot_counted(bench, "conversations", DAYS)


@pytest.mark.parametrize("stream", ["contacts", "inboxes", "agents"])
def test_what_chatwoot_does_not_count_by_day_has_no_count(stream):
    assert counter("chatwoot", stream) is None


def test_the_number_of_an_order_among_its_customers_is_read_with_it(bench):
    """The truth is counted over all days on which the customer can have ordered, not asked of the stand-in."""
    shop = bench.store.world.shop
    fetched = bench.fetch("shopify", "orders", "2026-11-18")
    rows = parse_pages(contract_of("shopify", "orders"), fetched.pages).tables["orders"].to_pylist()
    placed = {}
    for back in range(140, -1, -1):
        for order in shop.orders_created_on(date(2026, 11, 18) - timedelta(days=back)):
            if order.customer_id is not None and not order.is_test:
                placed.setdefault(order.customer_id, []).append(order.id)
    numbers = {
        row["order_id"]: placed[row["customer_id"]].index(row["order_id"]) + 1
        for row in rows
        if row["source_name"] == "web" and row["customer_id"] is not None and not row["is_test"]
    }
    told = {row["order_id"]: row["customer_order_number"] for row in rows}
    assert {order: told[order] for order in numbers} == numbers
    assert {number for order, number in told.items() if order not in numbers} == {None}
    assert {1, 2} <= set(numbers.values())


def test_days_that_the_app_is_not_shown_have_no_count(bench):
    """Without `read_all_orders` Shopify counts what it shows; whether that is all of a day cannot be told."""
    api = bench.store.world.extra["shopify"]
    scopes = api.scopes
    keys = ["2026-08-01", "2026-11-18"]
    assert None not in counted(bench, "orders", keys).values()
    api.scopes = frozenset(scopes - {"read_all_orders"})
    try:
        answer = counted(bench, "orders", keys)
        assert answer["2026-08-01"] is None
        assert answer["2026-11-18"] is not None
        bench.wire.sent.clear()
        counted(bench, "orders", keys[1:])
        assert not [request for request in bench.wire.sent if b"AccessScopes" in request.content]
    finally:
        api.scopes = scopes


def test_the_day_in_which_the_horizon_lies_has_no_count_and_the_day_after_it_has(bench):
    api = bench.store.world.extra["shopify"]
    scopes, zone = api.scopes, bench.store.world.shop.zone
    horizon = (bench.client("shopify").now() - timedelta(days=60)).astimezone(zone).date()
    keys = [(horizon + timedelta(days=more)).isoformat() for more in (0, 1)]
    api.scopes = frozenset(scopes - {"read_all_orders"})
    try:
        first, second = counted(bench, "orders", keys).values()
    finally:
        api.scopes = scopes
    assert first is None
    assert second is not None
