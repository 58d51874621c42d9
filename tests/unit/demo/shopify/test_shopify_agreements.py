"""The sales agreements of orders: they add up to the order at every instant, and are served as Shopify serves them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.shopify.agreements import (
    AGREEMENTS_AN_ORDER,
    SALES_AN_AGREEMENT,
    AgreementView,
    SaleView,
    agreements_of,
)
from hotdash_pipelines.demo.shopify.views import OrderView
from hotdash_pipelines.demo.world.shop import IDS_A_DAY, ORDER_ID_BASE, Order, Shop
from hotdash_pipelines.demo.world.shop_orders import ZERO, Line, Money, Repricing
from hotdash_pipelines.demo.world.shop_timeline import Cancellation, Refund, RefundItem
from tests.truth import orders_until, sales_by_day
from tests.unit.demo.shopify.shopify_client import NOW, Store

# Every kind of edit often enough to be met beside every other.
ROUGH = "all,+added_lines=0.5,+repriced_lines=1,+fees=0.3,+duties=0.5,+tips=0.2,-no_agreements"


@pytest.fixture(scope="module", params=["calm", ROUGH])
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read(request.param))


@pytest.fixture(scope="module")
def orders(shop: Shop) -> list[Order]:
    return [o for n in range(6) for o in shop.orders_created_on(date(2026, 9, 8) + timedelta(days=n))]


def total(amounts: Iterator[Money]) -> Money:
    sum_ = ZERO
    for amount in amounts:
        sum_ = sum_.plus(amount)
    return sum_


def agreements(shop: Shop, order: Order, ts: int | None = None) -> list[AgreementView]:
    return agreements_of(OrderView(shop, order, order.events[-1].ts if ts is None else ts))


def test_the_sales_add_up_to_the_order_at_every_instant(shop: Shop, orders: list[Order]) -> None:
    adjusted = 0
    for order in orders:
        for ts in sorted({event.ts for event in order.events}):
            state, made = order.state(ts), agreements(shop, order, ts)
            sales = [sale for agreement in made for sale in agreement.sales]
            assert total(sale.amount for sale in sales if sale.line_type != "ADJUSTMENT") == state.total
            assert total(sale.tax for sale in sales) == state.tax
            units = Counter(dict.fromkeys(range(len(state.basket.lines)), 0))
            for sale in sales:
                units[-1 if sale.line_index is None else sale.line_index] += sale.quantity or 0
            left = {n: line.quantity - state.taken.get(n, 0) for n, line in enumerate(state.basket.lines)}
            assert {index: count for index, count in units.items() if index >= 0} == left
            refunds = [one for one in made if one.refund is not None]
            assert [one.refund.refund for one in refunds if one.refund] == state.refunds
            for agreement, refund in zip(refunds, state.refunds, strict=True):
                paid = total(sale.amount for sale in agreement.sales)
                assert paid == ZERO.minus(refund.transaction.minus(refund.rounding))
                adjusted += refund.discrepancy != ZERO
            if shop.is_rough("repriced_lines", order.id) or ts == order.events[-1].ts:
                assert_lines_add_up(order, ts, sales)
    assert adjusted


def assert_lines_add_up(order: Order, ts: int, sales: list[SaleView]) -> None:
    state = order.state(ts)
    for index, line in enumerate(state.basket.lines):
        own = [sale for sale in sales if sale.line_index == index]
        sold = [sale for sale in own if sale.action != "RETURN"]
        inside = state.basket.taxes_included
        gross = line.original.plus(ZERO if inside else state.basket.tax_of(line, line.original))
        amount, tax = total(sale.amount for sale in sold), total(sale.tax for sale in sold)
        before = total(sale.discount.before_taxes for sale in sold)
        after = total(sale.discount.after_taxes for sale in sold)
        assert amount.plus(after) == gross
        assert after == line.discount if inside else before == line.discount
        # Taxes apart, the price is the original one less its own tax.
        bare = line.original.minus(state.basket.tax_of(line, line.original)) if inside else line.original
        assert amount.minus(tax).plus(before) == bare
        if state.taken.get(index) == line.quantity:
            for part in ("before_taxes", "after_taxes"):
                assert total(getattr(sale.discount, part) for sale in own) == ZERO
            assert total(sale.amount for sale in own) == total(sale.tax for sale in own) == ZERO


def test_every_event_of_sales_is_an_agreement_at_its_instant(shop: Shop, orders: list[Order]) -> None:
    seen = set()
    for order in orders:
        made = agreements(shop, order)
        refunded = any(isinstance(event.payload, Refund) for event in order.events)
        expected = [(order.created_ts, "ORDER")]
        for event in order.events:
            if isinstance(event.payload, Refund):
                expected.append((event.ts, "REFUND"))
            elif event.kind == "edit" or (isinstance(event.payload, Cancellation) and not refunded):
                expected.append((event.ts, "ORDER_EDIT"))
        assert [(one.ts, one.reason) for one in made] == expected
        for agreement, (ts, _) in zip(made, expected, strict=True):
            payloads = [event.payload for event in order.events if event.ts == ts]
            actions = {sale.action for sale in agreement.sales}
            for kind, action in ((RefundItem, "RETURN"), (Repricing, "UPDATE"), (Line, "ORDER")):
                if len(payloads) == 1 and isinstance(payloads[0], kind):
                    assert (agreement.reason, actions) == ("ORDER_EDIT", {action})
            for sale in agreement.sales:
                seen.add((sale.line_type, sale.action))
                assert (sale.quantity is None) == (sale.line_index is None)
                assert sale.action != "RETURN" or sale.quantity is None or sale.quantity < 0
                assert sale.action != "UPDATE" or (sale.quantity == 0 and min(sale.discount.before_taxes) > 0)
    types = {"PRODUCT", "GIFT_CARD", "SHIPPING"}
    if shop.roughness.rates:
        types |= {"TIP", "DUTY", "ADDITIONAL_FEE"}
        assert ("PRODUCT", "UPDATE") in seen
    assert {(kind, action) for kind in types for action in ("ORDER", "RETURN")} <= seen
    assert ("ADJUSTMENT", "RETURN") in seen


def test_ids_are_unique_and_fit_into_eight_bytes(shop: Shop, orders: list[Order]) -> None:
    made = [agreement for order in orders for agreement in agreements(shop, order)]
    sales = [sale.number for agreement in made for sale in agreement.sales]
    assert len({agreement.number for agreement in made}) == len(made)
    assert len(set(sales)) == len(sales)
    assert {number // (AGREEMENTS_AN_ORDER * SALES_AN_AGREEMENT) for number in sales} == {o.id for o in orders}
    last = ORDER_ID_BASE + 30_000 * IDS_A_DAY
    assert (last + 1) * AGREEMENTS_AN_ORDER * SALES_AN_AGREEMENT < 2**63


def test_an_order_without_agreements_answers_with_none() -> None:
    shop = Shop(7, 0.02, VirtualClock(NOW), roughness=Roughness.read("calm,+no_agreements=0.5"))
    placed = shop.orders_created_on(date(2026, 9, 8))
    assert {bool(agreements(shop, o)) for o in placed} == {True, False}
    for order in placed:
        assert bool(agreements(shop, order)) != shop.is_rough("no_agreements", order.id)


SALES = """query($id: ID!, $first: Int!, $after: String) { order(id: $id) {
  agreements(first: 20) { nodes { __typename id reason happenedAt
    ... on RefundAgreement { refund { id totalRefundedSet { shopMoney { amount } } } }
    sales(first: $first, after: $after) { pageInfo { hasNextPage endCursor } nodes { __typename id actionType lineType
      quantity totalAmount { ...m } totalTaxAmount { ...m } totalDiscountAmountBeforeTaxes { ...m }
      totalDiscountAmountAfterTaxes { ...m }
      ... on ProductSale { lineItem { id } } ... on GiftCardSale { lineItem { id } } ... on TipSale { lineItem { id } }
      ... on ShippingLineSale { shippingLine { id } } } } } }
  refunds { id } } }
  fragment m on MoneyBag { shopMoney { amount } }"""


def cents(bag: dict[str, Any]) -> int:
    return int(Decimal(bag["shopMoney"]["amount"]) * 100)


def test_agreements_are_served_as_shopify_serves_them() -> None:
    store = Store(scale=0.05, rough="calm")
    shop = store.world.shop
    placed = (o for n in range(40, 45) for o in shop.orders_created_on(NOW.date() - timedelta(days=n)))
    order = next(o for o in placed if o.basket.shipping.shop and not o.state(shop.now_ts()).shipping.shop)
    made = store.data(SALES, {"id": f"gid://shopify/Order/{order.id}", "first": 50})["order"]
    first, *_, last = made["agreements"]["nodes"]
    assert (first["__typename"], first["reason"]) == ("OrderAgreement", "ORDER")
    assert first["id"] == f"gid://shopify/OrderAgreement/{order.id * 100}"
    assert datetime.fromisoformat(first["happenedAt"]) == datetime.fromtimestamp(order.created_ts, UTC)
    *goods, shipping = first["sales"]["nodes"]
    for line, sale in zip(order.lines, goods, strict=True):
        assert sale["lineItem"] == {"id": f"gid://shopify/LineItem/{line.id}"}
        assert (sale["actionType"], sale["quantity"]) == ("ORDER", line.quantity)
        assert (cents(sale["totalAmount"]), cents(sale["totalTaxAmount"])) == (line.net.plus(line.tax)[0], line.tax[0])
        assert cents(sale["totalDiscountAmountBeforeTaxes"]) == line.discount.shop
    assert (shipping["__typename"], shipping["quantity"]) == ("ShippingLineSale", None)
    assert shipping["shippingLine"] == {"id": f"gid://shopify/ShippingLine/{order.id}"}
    assert (last["__typename"], last["refund"]["id"]) == ("RefundAgreement", made["refunds"][-1]["id"])
    (returned,) = [sale for sale in last["sales"]["nodes"] if sale["lineType"] == "SHIPPING"]
    assert (returned["shippingLine"], cents(returned["totalAmount"])) == (None, -order.basket.shipping.shop)
    paid = sum(cents(sale["totalAmount"]) for sale in last["sales"]["nodes"])
    assert paid == -int(Decimal(last["refund"]["totalRefundedSet"]["shopMoney"]["amount"]) * 100)


def test_sales_of_a_giant_order_come_page_by_page() -> None:
    store = Store(scale=0.005, rough="calm")
    shop = store.world.shop
    placed = (o for n in range(1, 15) for o in shop.orders_created_on(NOW.date() - timedelta(days=n)))
    giant = next(o for o in placed if len(o.lines) > 250)
    seen: list[str] = []
    after = None
    while after or not seen:
        variables = {"id": f"gid://shopify/Order/{giant.id}", "first": 250, "after": after}
        query = SALES.replace("agreements(first: 20)", "agreements(first: 1)")
        (agreement,) = store.data(query, variables)["order"]["agreements"]["nodes"]
        seen += [sale["id"] for sale in agreement["sales"]["nodes"]]
        page = agreement["sales"]["pageInfo"]
        after = page["endCursor"] if page["hasNextPage"] else None
    assert len(set(seen)) == len(seen) == len(giant.lines) + bool(giant.basket.shipping.shop)


def test_agreements_are_not_searched() -> None:
    store = Store(scale=0.005)
    order = store.world.shop.orders_created_on(NOW.date() - timedelta(days=3))[0]
    query = """query($id: ID!) { order(id: $id) { agreements(first: 1, query: "id:1") { nodes { id } } } }"""
    (error,) = store.post(query, {"id": f"gid://shopify/Order/{order.id}"}).json()["errors"]
    assert "does not search agreements" in error["message"]


def test_a_payment_in_coins_tells_what_was_rounded_of_it() -> None:
    store = Store(scale=0.05, rough="calm,+cash_rounding=1,+refund_rounding=1")
    shop = store.world.shop
    query = (
        """query($id: ID!) { order(id: $id) { transactions { kind amountRoundingSet { shopMoney { amount } } } } }"""
    )
    placed = [o for n in range(30, 60) for o in shop.orders_created_on(NOW.date() - timedelta(days=n))]
    at_till = [o for o in placed if o.basket.rounding.shop and o.state(shop.now_ts()).refund_rounding.shop]
    for order, is_rounded in [(at_till[0], True), (next(o for o in placed if o.basket.source_name == "web"), False)]:
        told = store.data(query, {"id": f"gid://shopify/Order/{order.id}"})["order"]["transactions"]
        bags = [(one["kind"], one["amountRoundingSet"]) for one in told if one["kind"] != "AUTHORIZATION"]
        if is_rounded:
            rounding = [cents(bag) for kind, bag in bags if kind != "REFUND"]
            assert rounding == [order.basket.rounding.shop]
            given = sum(cents(bag) for kind, bag in bags if kind == "REFUND" and bag)
            assert given == order.state(shop.now_ts()).refund_rounding.shop
        else:
            assert {bag is None for _, bag in bags} == {True}


COUNTED = (
    *("ordered_quantity", "returned_quantity", "gross_amount", "discount_amount", "returned_amount", "tax_amount"),
    *("shipping_amount", "tip_amount", "duty_amount", "fee_amount", "gift_card_amount", "refund_discrepancy_amount"),
)
NAMES = {"TIP": "tip", "DUTY": "duty", "ADDITIONAL_FEE": "fee", "SHIPPING": "shipping", "GIFT_CARD": "gift_card"}


def test_what_agreements_say_of_a_day_is_what_the_truth_counts() -> None:
    world = Store(scale=0.02, rough=ROUGH).world
    shop, now = world.shop, world.shop.now_ts()
    first = shop.day_of(now) - timedelta(days=25)
    told: dict[date, Counter[str]] = defaultdict(Counter)
    for order in orders_until(world, first, now):
        for agreement in agreements(shop, order, now):
            figures = told[shop.day_of(order.processed_ts if agreement.reason == "ORDER" else agreement.ts)]
            for sale in agreement.sales:
                net, discount = sale.amount.minus(sale.tax).shop, sale.discount.before_taxes.shop
                figures["tax_amount"] += sale.tax.shop
                if sale.line_type in ("PRODUCT", "GIFT_CARD") and sale.quantity:
                    name = "returned_quantity" if sale.action == "RETURN" else "ordered_quantity"
                    figures[name] += abs(sale.quantity)
                if sale.line_type in NAMES:
                    figures[f"{NAMES[sale.line_type]}_amount"] += net
                elif sale.line_type == "ADJUSTMENT":
                    figures["refund_discrepancy_amount"] -= net
                elif sale.action == "RETURN":
                    figures["returned_amount"] -= net
                else:
                    figures["gross_amount"] += net + discount
                    figures["discount_amount"] += discount
    truth = sales_by_day(world, first, now)
    assert len(truth) == 26
    for day, sales in truth.items():
        assert {name: told[day][name] for name in COUNTED} == {name: getattr(sales, name) for name in COUNTED}
        rounding = sales.cash_rounding_amount - sales.refund_rounding_amount
        charges = sum(getattr(sales, f"{name}_amount") for name in ("tax", "shipping", "tip", "duty", "fee"))
        assert sales.total_amount == sales.net_amount + charges + rounding


def test_an_edit_counts_on_the_day_of_the_order_where_no_agreement_tells_of_it() -> None:
    rough = "calm,+added_lines=1,+repriced_lines=1,+tax_included=1"
    worlds = [Store(scale=0.02, rough=f"{rough}{more}").world for more in ("", ",+no_agreements=1")]
    now = worlds[0].shop.now_ts()
    first = worlds[0].shop.day_of(now) - timedelta(days=25)
    with_, without = (sales_by_day(world, first, now) for world in worlds)
    moved = [day for day in with_ if with_[day] != without[day]]
    assert len(moved) > 10
    for day in with_:
        told = {name: getattr(with_[day], name) for name in ("shipping_amount", "refunded_amount", "order_count")}
        assert told == {name: getattr(without[day], name) for name in told}
