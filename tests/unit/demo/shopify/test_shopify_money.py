"""The money of orders over HTTP: it adds up, and edits and refunds in cash are told as Shopify tells them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hotdash_pipelines.demo.world.shop_orders import Repricing
from tests.unit.demo.shopify.shopify_client import NOW, Store, day_window

DAY = day_window("2026-11-18", "2026-11-19")
MONEY = """query($q: String) { orders(first: 250, query: $q, sortKey: UPDATED_AT) { nodes {
  legacyResourceId taxesIncluded subtotalPriceSet { ...m } totalTaxSet { ...m } totalShippingPriceSet { ...m }
  totalPriceSet { ...m } totalDiscountsSet { ...m } currentTotalPriceSet { ...m } currentSubtotalPriceSet { ...m }
  currentTotalTaxSet { ...m } currentShippingPriceSet { ...m } totalRefundedSet { ...m } netPaymentSet { ...m }
  totalReceivedSet { ...m } totalTipReceivedSet { ...m } originalTotalDutiesSet { ...m } currentTotalDutiesSet { ...m }
  originalTotalAdditionalFeesSet { ...m } currentTotalAdditionalFeesSet { ...m } additionalFees { price { ...m } }
  totalCashRoundingAdjustment { paymentSet { ...m } refundSet { ...m } }
  shippingLines(first: 5) { nodes { taxLines { priceSet { ...m } } } }
  lineItems(first: 250) { nodes { quantity currentQuantity originalTotalSet { ...m }
    discountedTotalSet(withCodeDiscounts: true) { ...m } discountAllocations { allocatedAmountSet { ...m } }
    taxLines { priceSet { ...m } } title product { id } isGiftCard } }
  refunds(first: 20) { totalRefundedSet { ...m } duties { amountSet { ...m } }
    refundShippingLines(first: 5) { nodes { subtotalAmountSet { ...m } taxAmountSet { ...m } } }
    orderAdjustments(first: 5) { nodes { amountSet { ...m } } } transactions(first: 5) { nodes { amountSet { ...m } } }
    refundLineItems(first: 50) { nodes { id subtotalSet { ...m } totalTaxSet { ...m } } } } } } }
fragment m on MoneyBag { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"""


@pytest.mark.parametrize("side", ["shopMoney", "presentmentMoney"])
@pytest.mark.parametrize("rough", ["calm", "all"])
def test_the_money_served_adds_up(rough: str, side: str) -> None:
    def money(bag: dict[str, Any] | None) -> Decimal:
        return Decimal(0 if bag is None else bag[side]["amount"])

    def with_tax(amount: Decimal, tax: Decimal, order: dict[str, Any]) -> Decimal:
        return amount if order["taxesIncluded"] else amount + tax

    def rounding(order: dict[str, Any]) -> Decimal:
        return money(order["totalCashRoundingAdjustment"]["refundSet"])

    orders = Store(scale=0.01, rough=rough).data(MONEY, {"q": DAY})["orders"]["nodes"]
    refunds = [(order, refund) for order in orders for refund in order["refunds"]]
    assert refunds
    assert any(order["taxesIncluded"] for order in orders) == (rough == "all")
    for order in orders:
        lines = order["lineItems"]["nodes"]
        allocated = {
            id(x): sum((money(a["allocatedAmountSet"]) for a in x["discountAllocations"]), Decimal(0)) for x in lines
        }
        subtotal, tax, shipping, tip, duties, fees = (
            money(order[f"{k}Set"])
            for k in ("subtotalPrice", "totalTax", "totalShippingPrice", "totalTipReceived", "originalTotalDuties",
                      "originalTotalAdditionalFees")
        )  # fmt: skip
        assert with_tax(subtotal + shipping, tax, order) + tip + duties + fees == money(order["totalPriceSet"])
        assert sum(money(fee["price"]) for fee in order["additionalFees"]) == fees
        assert all(money(x["originalTotalSet"]) - allocated[id(x)] == money(x["discountedTotalSet"]) for x in lines)
        if len(lines) < 250:
            tips = [x for x in lines if x["title"] == "Tip"]
            assert all(x["product"] is None and not x["taxLines"] for x in tips)
            assert sum(money(x["discountedTotalSet"]) for x in tips) == tip
            assert sum(money(x["discountedTotalSet"]) for x in lines) == subtotal + tip
            assert sum(allocated.values()) == money(order["totalDiscountsSet"])
            taxed = [*lines, *order["shippingLines"]["nodes"]]
            assert sum(money(t["priceSet"]) for x in taxed for t in x["taxLines"]) == tax
        left = money(order["currentSubtotalPriceSet"]) + money(order["currentShippingPriceSet"])
        left = with_tax(left, money(order["currentTotalTaxSet"]), order) + money(order["currentTotalDutiesSet"])
        left += money(order["currentTotalAdditionalFeesSet"])
        assert money(order["currentTotalPriceSet"]) - left in (0, tip)
        refunded = sum((money(r["totalRefundedSet"]) for r in order["refunds"]), Decimal(0))
        assert refunded == money(order["totalRefundedSet"])
        assert money(order["totalReceivedSet"]) - refunded == money(order["netPaymentSet"])
    unexplained: dict[str, Decimal] = defaultdict(Decimal)
    for order, refund in refunds:
        items, shipping = refund["refundLineItems"]["nodes"], refund["refundShippingLines"]["nodes"]
        assert len({x["id"] for x in items}) == len(items)
        paid = sum(with_tax(money(x["subtotalSet"]), money(x["totalTaxSet"]), order) for x in items)
        paid += sum(with_tax(money(x["subtotalAmountSet"]), money(x["taxAmountSet"]), order) for x in shipping)
        paid += sum(money(x["amountSet"]) for x in refund["duties"] or [])
        paid -= sum(money(x["amountSet"]) for x in refund["orderAdjustments"]["nodes"])
        unexplained[order["legacyResourceId"]] += money(refund["totalRefundedSet"]) - paid
        assert sum(money(t["amountSet"]) for t in refund["transactions"]["nodes"]) == money(refund["totalRefundedSet"])
    assert {order["legacyResourceId"]: rounding(order) for order in orders if order["refunds"]} == unexplained


def test_an_order_with_an_added_line_is_served_as_shopify_serves_it() -> None:
    """`originalTotalPriceSet` stays as placed, amounts before returns hold the line; the rest is owed, then paid."""
    store = Store(scale=0.005, rough="calm,+added_lines=1")
    shop = store.world.shop
    orders = shop.orders_created_on(NOW.date() - timedelta(days=9))
    paid = next(o for o in orders if o.events[0].payload == "PAID" and o.state(shop.now_ts()).edited)
    added = next(event for event in paid.events if event.kind == "edit")
    settled = next(event for event in paid.events if event.kind == "pay")
    query = """query($id: ID!) { order(id: $id) { edited displayFinancialStatus fullyPaid subtotalLineItemsQuantity
      originalTotalPriceSet { ...m } totalPriceSet { ...m } currentTotalPriceSet { ...m } subtotalPriceSet { ...m }
      totalTaxSet { ...m } totalOutstandingSet { ...m } totalReceivedSet { ...m }
      transactions { kind amountSet { ...m } } lineItems(first: 50) { nodes { id quantity currentQuantity } } } }
      fragment m on MoneyBag { shopMoney { amount } }"""

    def at(ts: int) -> tuple[dict[str, Any], dict[str, Decimal]]:
        store.world.clock.set(datetime.fromtimestamp(ts, UTC))
        node = store.data(query, {"id": f"gid://shopify/Order/{paid.id}"})["order"]
        bags = {name: bag for name, bag in node.items() if name.endswith("Set")}
        return node, {name: Decimal(bag["shopMoney"]["amount"]) * 100 for name, bag in bags.items()}

    before, was = at(added.ts - 1)
    owed, then = at(added.ts)
    line, cost = added.payload, settled.payload.shop
    assert (before["edited"], before["displayFinancialStatus"], before["fullyPaid"]) == (False, "PAID", True)
    assert (owed["edited"], owed["displayFinancialStatus"], owed["fullyPaid"]) == (True, "PARTIALLY_PAID", False)
    grown = {"totalPriceSet": cost, "currentTotalPriceSet": cost, "totalOutstandingSet": cost}
    grown |= {"subtotalPriceSet": line.net.shop, "totalTaxSet": line.tax.shop}
    assert then == {name: amount + grown.get(name, 0) for name, amount in was.items()}
    *placed, last = owed["lineItems"]["nodes"]
    assert placed == before["lineItems"]["nodes"]
    assert last == {"id": f"gid://shopify/LineItem/{line.id}"} | dict.fromkeys(
        ["quantity", "currentQuantity"], line.quantity
    )

    after, now = at(settled.ts)
    assert after["displayFinancialStatus"] == "PAID"
    assert now == {**then, "totalOutstandingSet": 0, "totalReceivedSet": then["totalPriceSet"]}
    moved = [Decimal(one["amountSet"]["shopMoney"]["amount"]) * 100 for one in after["transactions"]]
    assert moved == [was["totalPriceSet"], cost]


def test_a_refund_in_cash_tells_its_rounding_with_the_order_alone() -> None:
    store = Store(scale=0.05, rough="calm,+refund_rounding=1")
    shop = store.world.shop
    orders = (o for n in range(5, 40) for o in shop.orders_created_on(NOW.date() - timedelta(days=n)))
    order = next(o for o in orders if o.state(shop.now_ts()).refund_rounding.shop)
    query = """query($id: ID!) { order(id: $id) { totalRefundedSet { ...m }
      totalCashRoundingAdjustment { paymentSet { ...m } refundSet { ...m } }
      refunds { totalRefundedSet { ...m } orderAdjustments(first: 5) { nodes { id } }
        transactions(first: 5) { nodes { amountSet { ...m } } } } } }
      fragment m on MoneyBag { shopMoney { amount } }"""
    node = store.data(query, {"id": f"gid://shopify/Order/{order.id}"})["order"]
    state = order.state(shop.now_ts())

    def cents(bag: dict[str, Any]) -> Decimal:
        return Decimal(bag["shopMoney"]["amount"]) * 100

    assert cents(node["totalRefundedSet"]) == state.refunded.shop
    assert cents(node["totalRefundedSet"]) % 5 == 0
    adjustment = node["totalCashRoundingAdjustment"]
    assert (cents(adjustment["paymentSet"]), cents(adjustment["refundSet"])) == (0, state.refund_rounding.shop)
    for refund, true in zip(node["refunds"], state.refunds, strict=True):
        assert bool(refund["orderAdjustments"]["nodes"]) == bool(true.discrepancy.shop)
        assert [cents(one["amountSet"]) for one in refund["transactions"]["nodes"]] == [true.transaction.shop]


def test_a_lower_price_is_served_as_a_discount_that_staff_gave() -> None:
    store = Store(scale=0.02, rough="calm,+repriced_lines=1")
    shop = store.world.shop
    orders = (o for n in range(5, 20) for o in shop.orders_created_on(NOW.date() - timedelta(days=n)))
    repriced = ((o, event) for o in orders for event in o.events if isinstance(event.payload, Repricing))
    order, cut = next((o, e) for o, e in repriced if o.basket.discount_code)
    query = """query($id: ID!) { order(id: $id) { edited originalTotalPriceSet { ...m } totalPriceSet { ...m }
      totalDiscountsSet { ...m } currentTotalDiscountsSet { ...m } subtotalPriceSet { ...m } totalTaxSet { ...m }
      discountApplications(first: 5) { nodes { __typename index value { ... on MoneyV2 { amount currencyCode } }
        ... on ManualDiscountApplication { title } } }
      lineItems(first: 50) { nodes { discountedTotalSet(withCodeDiscounts: true) { ...m } discountAllocations {
        allocatedAmountSet { ...m } discountApplication { __typename index } } } } } }
      fragment m on MoneyBag { shopMoney { amount } }"""

    def at(ts: int) -> tuple[dict[str, Any], dict[str, Decimal]]:
        store.world.clock.set(datetime.fromtimestamp(ts, UTC))
        node = store.data(query, {"id": f"gid://shopify/Order/{order.id}"})["order"]
        bags = {name: bag for name, bag in node.items() if name.endswith("Set")}
        return node, {name: Decimal(bag["shopMoney"]["amount"]) * 100 for name, bag in bags.items()}

    before, was = at(cut.ts - 1)
    after, now = at(cut.ts)
    index, discount, tax = cut.payload
    assert (before["edited"], after["edited"]) == (False, True)
    inside = order.basket.taxes_included
    fallen = {"totalPriceSet": discount.shop + (0 if inside else tax.shop), "totalTaxSet": tax.shop}
    fallen |= dict.fromkeys(["totalDiscountsSet", "currentTotalDiscountsSet"], -discount.shop)
    fallen |= {"subtotalPriceSet": discount.shop}
    assert now == {name: amount - fallen.get(name, 0) for name, amount in was.items()}
    *others, manual = after["discountApplications"]["nodes"]
    assert others == before["discountApplications"]["nodes"]
    assert (manual["__typename"], manual["index"]) == ("ManualDiscountApplication", len(others))
    assert manual["value"]["currencyCode"] == order.basket.currency
    assert Decimal(manual["value"]["amount"]) * 100 == discount.presentment
    allocation = after["lineItems"]["nodes"][index]["discountAllocations"][-1]
    assert allocation["discountApplication"] == {"__typename": "ManualDiscountApplication", "index": len(others)}
    assert Decimal(allocation["allocatedAmountSet"]["shopMoney"]["amount"]) * 100 == discount.shop
