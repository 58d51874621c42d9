"""Nothing of an order is too long to be read: held against the world's own orders."""

import json
from datetime import timedelta

from hotdash_pipelines.demo.world.shop_timeline import OrderEvent, Refund


def of_order(fetched, number):
    nodes = [node for body in fetched.pages for node in json.loads(body)["data"]["orders"]["nodes"]]
    return next(node for node in nodes if node["legacyResourceId"] == str(number))


def test_a_refund_of_three_hundred_lines_is_read_to_its_last_line(bench):
    """An order of 300 lines is given back whole in the present hour, line by line in one refund."""
    shop = bench.store.world.shop
    days = (shop.day_of(shop.now_ts()) - timedelta(days=back) for back in range(2, 10))
    order = next(order for day in days if len((order := shop.orders_created_on(day)[4]).basket.lines) == 300)
    give_back(shop, order)
    fetched = bench.fetch("shopify", "orders", shop.day_of(shop.now_ts()).isoformat())
    node = of_order(fetched, order.id)
    (refund,) = [one for one in node["refunds"] if len(one["refundLineItems"]["nodes"]) > 250]
    read = {one["lineItem"]["id"].rpartition("/")[2] for one in refund["refundLineItems"]["nodes"]}
    assert read == {str(line.id) for line in order.basket.lines}
    assert {line["id"].rpartition("/")[2] for line in node["lineItems"]["nodes"]} == read
    asked = [entry["operation"] for entry in bench.store.log.entries("shopify")]
    assert asked.count("RefundLines") <= 3
    assert asked.count("OrderLines") <= 3


def give_back(shop, order):
    """A refund of every line, put into the order's history at this moment."""
    from hotdash_pipelines.demo.world.shop_orders import ZERO
    from hotdash_pipelines.demo.world.shop_timeline import RefundItem

    basket, now = order.basket, shop.now_ts()
    items = tuple(
        RefundItem(index, line.quantity, line.net, line.tax, "RETURN") for index, line in enumerate(basket.lines)
    )
    refund = Refund(9, now, items, ZERO, ZERO, basket.total, None)
    kept = tuple(event for event in order.events if event.ts < now and event.kind != "refund")
    order._details = (basket, (*kept, OrderEvent(now, "refund", refund)))
    shop.mutate_order(order.id, {})
