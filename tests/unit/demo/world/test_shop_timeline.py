"""What happens to orders: money that adds up at every instant, and changes seen when they happen, not before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.world.shop import Order, Shop
from hotdash_pipelines.demo.world.shop_orders import ZERO, Money, _tax, _to_cash
from hotdash_pipelines.demo.world.shop_timeline import OrderState

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.fixture(scope="module", params=["calm", "all"])
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read(request.param))


@pytest.fixture(scope="module")
def orders(shop: Shop) -> list[Order]:
    return [o for n in range(6) for o in shop.orders_created_on(date(2026, 9, 8) + timedelta(days=n))]


def total(amounts: list[Money]) -> Money:
    return Money(sum(a.shop for a in amounts), sum(a.presentment for a in amounts))


def with_tax(order: Order, amount: Money, tax: Money) -> Money:
    """What was paid for something: where prices include tax, the amount already holds it."""
    return amount if order.basket.taxes_included else amount.plus(tax)


def states(order: Order) -> list[OrderState]:
    return [order.state(event.ts) for event in order.events]


def test_an_orders_amounts_add_up_as_placed(orders: list[Order]) -> None:
    for order in orders:
        basket = order.basket
        for line in basket.lines:
            assert line.original == Money(line.unit.shop * line.quantity, line.unit.presentment * line.quantity)
            assert line.original.minus(line.automatic_discount).minus(line.code_discount) == line.net
            assert min(line.net) >= 0
        assert total([line.net for line in basket.lines if not line.is_tip]) == basket.subtotal
        assert total([line.net for line in basket.lines if line.is_tip]) == basket.tip
        assert total([line.tax for line in basket.lines]).plus(basket.shipping_tax) == basket.tax
        allocated = [part for line in basket.lines for part in (line.automatic_discount, line.code_discount)]
        assert total(allocated) == basket.discounts
        charged = with_tax(order, basket.subtotal.plus(basket.shipping), basket.tax)
        assert charged.plus(basket.tip).plus(basket.duties) == basket.total


def test_an_orders_amounts_add_up_after_every_event(orders: list[Order]) -> None:
    for order in orders:
        for state in states(order):
            charged = with_tax(order, state.subtotal.plus(state.shipping), state.tax)
            assert charged.plus(state.tip).plus(state.duties) == state.total
            assert min(*state.subtotal, *state.tax, *state.shipping, *state.tip, *state.duties) >= 0
            assert total([refund.transaction for refund in state.refunds]) == state.refunded
            assert state.refunded.shop <= state.received.shop
            for refund in state.refunds:
                items = total([with_tax(order, item.subtotal, item.tax) for item in refund.items])
                shipping = with_tax(order, refund.shipping, refund.shipping_tax)
                paid = items.plus(shipping).plus(refund.duties).minus(refund.discrepancy)
                assert paid == refund.transaction
            for index, taken in state.taken.items():
                assert 0 < taken <= order.lines[index].quantity


def test_what_is_left_of_an_order_is_what_was_not_taken(orders: list[Order]) -> None:
    for order in orders:
        state = states(order)[-1]
        left = order.basket.subtotal
        for index, taken in state.taken.items():
            if not order.lines[index].is_tip:
                left = left.minus(order.lines[index].net.share(taken, order.lines[index].quantity))
        assert state.subtotal == left


def test_a_cancelled_order_is_worth_nothing(orders: list[Order]) -> None:
    cancelled = [state for order in orders for state in states(order) if state.cancelled_ts]
    assert {state.financial_status for state in cancelled} == {"REFUNDED", "VOIDED"}
    for state in cancelled:
        assert state.total == ZERO
        assert state.received.minus(state.refunded) == ZERO


def test_a_paid_order_was_paid_what_it_was_worth_then(orders: list[Order]) -> None:
    edited = 0
    for order in orders:
        state = states(order)[-1]
        edited += state.edited
        if state.received.shop and not state.refunds:
            assert state.received == state.total
    assert edited


def test_a_change_is_seen_when_it_happens_and_not_before(orders: list[Order]) -> None:
    refunded = next(o for o in orders if any(event.kind == "refund" for event in o.events))
    ts = next(event.ts for event in refunded.events if event.kind == "refund")
    assert refunded.state(ts - 1).refunds == []
    assert refunded.updated_ts(ts - 1) < ts
    assert len(refunded.state(ts).refunds) == 1
    assert refunded.updated_ts(ts) == ts


def test_windows_of_change_cover_every_order_once() -> None:
    shop = Shop(7, 0.01, VirtualClock(NOW))
    start = NOW - timedelta(days=5)
    whole = shop.orders_updated_between(start, NOW + timedelta(days=1))
    parts = [
        order
        for n in range(40)
        for order in shop.orders_updated_between(start + timedelta(hours=3 * n), start + timedelta(hours=3 * n + 3))
    ]
    assert [o.id for o in parts] == [o.id for o in whole]
    assert len({o.id for o in whole}) == len(whole)
    now = shop.now_ts()
    expected = {
        order.id
        for n in range(60)
        for order in shop.orders_created_on(NOW.date() - timedelta(days=n))
        if order.created_ts <= now and start.timestamp() <= order.updated_ts(now)
    }
    assert {o.id for o in whole} == expected


def test_many_orders_share_the_second_of_their_last_change() -> None:
    shop = Shop(7, 0.02, VirtualClock(NOW))
    changed = [ts for ts, _, _ in shop.changes_between(shop.now_ts() - 86_400, shop.now_ts())]
    assert max(changed.count(ts) for ts in set(changed)) >= 5


def test_a_mutated_order_moves_to_now_and_is_listed_once() -> None:
    shop = Shop(7, 0.01, VirtualClock(NOW))
    order = shop.orders_created_on(date(2026, 11, 1))[0]
    shop.mutate_order(order.id, {"note": "a"})
    shop.mutate_order(order.id, {"note": "b"})
    ids = [o.id for o in shop.orders_updated_between(NOW, NOW + timedelta(seconds=1))]
    assert ids.count(order.id) == 1
    with pytest.raises(KeyError):
        shop.mutate_order(shop.orders_created_on(date(2026, 11, 25))[0].id, {})


def test_a_customers_facts_follow_their_orders() -> None:
    shop = Shop(7, 0.01, VirtualClock(NOW))
    order = next(o for o in shop.orders_created_on(date(2026, 11, 2)) if o.customer is not None and not o.is_test)
    customer = order.customer
    assert customer is not None
    before = shop.customer_facts(customer, order.created_ts - 1)
    after = shop.customer_facts(customer, order.created_ts)
    assert after.orders == before.orders + 1
    assert after.spent_cents - before.spent_cents == order.state(order.created_ts).received.shop
    assert after.updated_ts == order.created_ts


def test_each_kind_of_money_is_there_and_is_given_back(shop: Shop, orders: list[Order]) -> None:
    if not shop.roughness.rates:
        assert not any(o.basket.tip.shop or o.basket.duties.shop or o.basket.shipping_tax.shop for o in orders)
        return
    ends = [states(order)[-1] for order in orders]
    assert any(end.basket.tip.shop and not end.tip.shop for end in ends)
    assert any(end.basket.duties.shop and not end.duties.shop for end in ends)
    assert any(refund.shipping_tax.shop for end in ends for refund in end.refunds)
    assert any(end.basket.taxes_included and end.refunds for end in ends)
    named = [[item.line_index for item in refund.items] for end in ends for refund in end.refunds]
    assert any(len(set(indexes)) < len(indexes) for indexes in named)


def test_tax_inside_the_price_is_the_share_that_the_rate_makes_of_it() -> None:
    # 120.00 with 20 % inside holds 20.00; 59.95 holds 9.99.
    assert [_tax(12_000, 2_000, True), _tax(5_995, 2_000, True), _tax(10_000, 2_000, False)] == [2_000, 999, 2_000]


def test_a_payment_in_cash_is_rounded_to_five_cents() -> None:
    assert [_to_cash(cents) for cents in (1_000, 1_001, 1_002, 1_003, 1_004)] == [0, -1, -2, 2, 1]
    shop = Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read("calm,+cash_rounding=1"))
    tills = [o for o in shop.orders_created_on(date(2026, 9, 8)) if o.basket.source_name == "pos"]
    assert any(order.basket.rounding.shop for order in tills)
    for order in tills:
        assert (order.basket.total.shop + order.basket.rounding.shop) % 5 == 0
        assert order.basket.total == order.basket.subtotal.plus(order.basket.tax).plus(order.basket.shipping)


def test_the_goods_are_the_same_with_and_without_the_rough_money() -> None:
    calm, rough = (Shop(7, 0.02, VirtualClock(NOW), roughness=Roughness.read(text)) for text in ("calm", "all"))
    for day in (date(2026, 9, 8), date(2026, 9, 9)):
        for before, after in zip(calm.orders_created_on(day), rough.orders_created_on(day), strict=True):
            assert [line._replace(tax=ZERO) for line in before.lines] == [
                line._replace(tax=ZERO) for line in after.lines if not line.is_tip
            ]
            kinds = [(event.ts, event.kind) for event in after.events if event.payload not in ("reviewed", "merged")]
            assert kinds == [(event.ts, event.kind) for event in before.events]
