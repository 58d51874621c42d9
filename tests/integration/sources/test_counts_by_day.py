"""The sources' own counts by business day, held against the world's own objects."""

import json
from collections import Counter
from datetime import date, timedelta

import pytest

from hotdash_pipelines.sources import counter
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
