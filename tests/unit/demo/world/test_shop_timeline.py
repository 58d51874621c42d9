"""What happens to orders: money that adds up at every instant, and changes seen when they happen, not before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.world.shop import Order, Shop
from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Line, Money, Repricing, _tax, repricing_of, to_cash
from hotdash_pipelines.demo.world.shop_timeline import (
    PAGE_LINES,
    OrderEvent,
    OrderState,
    Refund,
    RefundItem,
    fold,
)

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


def test_an_orders_amounts_add_up_as_placed_and_with_every_added_line(orders: list[Order]) -> None:
    for order, basket in [(o, basket) for o in orders for basket in (o.basket, states(o)[-1].basket)]:
        for line in basket.lines:
            assert line.original == Money(line.unit.shop * line.quantity, line.unit.presentment * line.quantity)
            parts = (line.automatic_discount, line.code_discount, line.staff_discount)
            assert line.original.minus(total(list(parts))) == line.net
            assert line.discount == total(list(parts))
            assert min(line.net) >= 0
        assert total([line.net for line in basket.lines if not line.is_tip]) == basket.subtotal
        assert total([line.net for line in basket.lines if line.is_tip]) == basket.tip
        assert total([line.tax for line in basket.lines]).plus(basket.shipping_tax) == basket.tax
        assert total([line.discount for line in basket.lines]) == basket.discounts
        charged = with_tax(order, basket.subtotal.plus(basket.shipping), basket.tax)
        assert charged.plus(basket.tip).plus(basket.duties).plus(basket.fees) == basket.total


def test_an_orders_amounts_add_up_after_every_event(orders: list[Order]) -> None:
    for order in orders:
        for state in states(order):
            charged = with_tax(order, state.subtotal.plus(state.shipping), state.tax)
            assert charged.plus(state.tip).plus(state.duties).plus(state.fees) == state.total
            parts = (state.subtotal, state.tax, state.shipping, state.tip, state.duties, state.fees)
            assert min(*(cents for part in parts for cents in part)) >= 0
            assert total([refund.transaction for refund in state.refunds]) == state.refunded
            assert total([refund.rounding for refund in state.refunds]) == state.refund_rounding
            assert state.refunded.minus(state.refund_rounding).shop <= state.received.shop
            for refund in state.refunds:
                items = total([with_tax(order, item.subtotal, item.tax) for item in refund.items])
                shipping = with_tax(order, refund.shipping, refund.shipping_tax)
                paid = items.plus(shipping).plus(refund.duties).minus(refund.discrepancy).plus(refund.rounding)
                assert paid == refund.transaction
            for index, taken in state.taken.items():
                assert 0 < taken <= state.basket.lines[index].quantity
            added = state.basket.lines[len(order.lines) :]
            grown = total([with_tax(order, line.net, line.tax) for line in added])
            cuts = [event.payload for event in order.events if event.ts <= state.updated_ts]
            fallen = [with_tax(order, one.discount, one.tax) for one in cuts if isinstance(one, Repricing)]
            assert state.basket.total == order.basket.total.plus(grown).minus(total(fallen))
            if state.financial_status == "PAID":
                assert state.received == state.total
            if state.financial_status == "PARTIALLY_PAID":
                assert ZERO < state.received < state.total


def test_what_is_left_of_an_order_is_what_was_not_taken(orders: list[Order]) -> None:
    for order in orders:
        state = states(order)[-1]
        left, lines = state.basket.subtotal, state.basket.lines
        for index, taken in state.taken.items():
            if not lines[index].is_tip:
                left = left.minus(lines[index].net.share(taken, lines[index].quantity))
        assert state.subtotal == left


def test_a_cancelled_order_is_worth_nothing_but_the_fees_that_were_paid(orders: list[Order]) -> None:
    cancelled = [state for order in orders for state in states(order) if state.cancelled_ts]
    assert {state.financial_status for state in cancelled if not state.fees.shop} == {"REFUNDED", "VOIDED"}
    for state in cancelled:
        assert state.total == (state.basket.fees if state.received.shop else ZERO)
        assert state.received.minus(state.refunded.minus(state.refund_rounding)) == state.total


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


def test_a_deleted_order_is_neither_counted_nor_numbered() -> None:
    shop = Shop(7, 0.01, VirtualClock(NOW), roughness=Roughness.read("calm,+deleted_orders=1"))
    now = shop.now_ts()
    placed = [o for n in range(20) for o in shop.orders_created_on(date(2026, 10, 1) + timedelta(days=n))]
    gone = [o for o in placed if o.customer is not None and not o.is_test and shop.is_gone("ORDER", o.id)]
    assert gone
    for order in gone:
        assert order.customer is not None
        every = [o for o in shop.orders_of(order.customer.id, shop.day_of(now)) if o.created_ts <= now]
        there = [o for o in every if not o.is_test and not shop.is_gone("ORDER", o.id)]
        assert shop.customer_facts(order.customer, now).orders == len(there)
        assert [shop.customer_order_number(o) for o in there] == list(range(1, len(there) + 1))


def test_each_kind_of_money_is_there_and_is_given_back(shop: Shop, orders: list[Order]) -> None:
    if not shop.roughness.rates:
        baskets = [order.basket for order in orders]
        assert not any(b.tip.shop or b.duties.shop or b.fees.shop or b.shipping_tax.shop for b in baskets)
        return
    ends = [states(order)[-1] for order in orders]
    assert any(end.basket.tip.shop and not end.tip.shop for end in ends)
    assert any(end.basket.duties.shop and not end.duties.shop for end in ends)
    assert any(end.basket.fees == end.fees != ZERO and end.refunds for end in ends)
    assert any(refund.shipping_tax.shop for end in ends for refund in end.refunds)
    assert any(end.basket.taxes_included and end.refunds for end in ends)
    named = [[item.line_index for item in refund.items] for end in ends for refund in end.refunds]
    assert any(len(set(indexes)) < len(indexes) for indexes in named)


def test_tax_inside_the_price_is_the_share_that_the_rate_makes_of_it() -> None:
    # 120.00 with 20 % inside holds 20.00; 59.95 holds 9.99.
    assert [_tax(12_000, 2_000, True), _tax(5_995, 2_000, True), _tax(10_000, 2_000, False)] == [2_000, 999, 2_000]


def test_a_payment_in_cash_is_rounded_to_five_cents() -> None:
    rounded = [to_cash(Money(cents, cents + 2)) for cents in (1_000, 1_001, 1_002, 1_003, 1_004)]
    assert rounded == [(0, -2), (-1, 2), (-2, 1), (2, 0), (1, -1)]
    shop = Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read("calm,+cash_rounding=1"))
    tills = [o for o in shop.orders_created_on(date(2026, 9, 8)) if o.basket.source_name == "pos"]
    assert any(order.basket.rounding.shop for order in tills)
    for order in tills:
        assert (order.basket.total.shop + order.basket.rounding.shop) % 5 == 0
        assert order.basket.total == order.basket.subtotal.plus(order.basket.tax).plus(order.basket.shipping)


def test_a_refund_in_cash_pays_out_a_multiple_of_five_cents() -> None:
    shop = Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read("calm,+refund_rounding=1"))
    orders = [o for n in range(20) for o in shop.orders_created_on(date(2026, 9, 8) + timedelta(days=n))]
    ends = [states(order)[-1] for order in orders]
    at_till = [end for end in ends if end.refunds and end.basket.source_name == "pos"]
    assert {refund.rounding.shop for end in at_till for refund in end.refunds} == {-2, -1, 0, 1, 2}
    assert all(refund.transaction.shop % 5 == 0 for end in at_till for refund in end.refunds)
    assert not any(end.refund_rounding.shop for end in ends if end.basket.source_name != "pos")
    # Who got all back has got all back, though in coins it was a cent less.
    wholes = [end for end in at_till if end.total == ZERO]
    assert any(end.refunded.shop < end.received.shop for end in wholes)
    assert {end.financial_status for end in wholes} == {"REFUNDED"}


def test_the_goods_are_the_same_with_and_without_the_rough_money() -> None:
    calm, rough = (Shop(7, 0.02, VirtualClock(NOW), roughness=Roughness.read(text)) for text in ("calm", "all"))
    for day in (date(2026, 9, 8), date(2026, 9, 9)):
        for before, after in zip(calm.orders_created_on(day), rough.orders_created_on(day), strict=True):
            assert [line._replace(tax=ZERO) for line in before.lines] == [
                line._replace(tax=ZERO) for line in after.lines if not line.is_tip
            ]
            added = [event.ts for event in after.events if isinstance(event.payload, Line)]
            added += [event.ts for event in after.events if isinstance(event.payload, Repricing)]
            settled = [] if before.events[0].payload != "PAID" else [e.ts for e in after.events if e.kind == "pay"]
            assert len(settled) == (len(added) if before.events[0].payload == "PAID" else 0)
            kinds = [
                (event.ts, event.kind)
                for event in after.events
                if event.payload not in ("reviewed", "merged") and event.ts not in (*added, *settled)
            ]
            if len(before.lines) <= PAGE_LINES:
                assert kinds == [(event.ts, event.kind) for event in before.events]


def good(line_id: int, quantity: int, cents: int, tax: int) -> Line:
    unit, net = Money(cents, cents), Money(cents * quantity, cents * quantity)
    return Line(
        line_id, None, None, "MUG", "Mug", quantity, unit, net, ZERO, ZERO, net, Money(tax, tax), True, True, False
    )


def test_an_added_line_is_owed_then_paid_and_given_back_like_any_other() -> None:
    """By hand: 2 mugs of 10.00 at 8.88 % and 5.95 of shipping, all paid: 20.00 + 1.78 + 5.95 = 27.73. A mug of 15.00
    with 1.33 of tax is added, which makes 44.06; it is paid, and then given back with one of the first two."""

    def both(cents: int) -> Money:
        return Money(cents, cents)

    placed = Basket(
        (good(1, 2, 1_000, 178),), "USD", None, "web", both(2_000), ZERO, both(178), both(595), both(2_773), 888
    )
    items = (
        RefundItem(1, 1, both(1_500), both(133), "RETURN"),
        RefundItem(0, 1, both(1_000), both(89), "RETURN"),
    )
    events = (
        OrderEvent(0, "create", "PAID"),
        OrderEvent(10, "edit", good(2, 1, 1_500, 133)),
        OrderEvent(20, "pay", both(1_633)),
        OrderEvent(30, "refund", Refund(1, 30, items, ZERO, ZERO, both(2_722), None)),
    )

    def told(at: int) -> tuple[object, ...]:
        state = fold(placed, events, at)
        amounts = (state.basket.total, state.basket.subtotal, state.basket.tax, state.total, state.subtotal, state.tax)
        return (*(a.shop for a in amounts), state.received.shop, state.financial_status, state.edited)

    assert told(9) == (2_773, 2_000, 178, 2_773, 2_000, 178, 2_773, "PAID", False)
    assert told(10) == (4_406, 3_500, 311, 4_406, 3_500, 311, 2_773, "PARTIALLY_PAID", True)
    assert told(20) == (4_406, 3_500, 311, 4_406, 3_500, 311, 4_406, "PAID", True)
    # 44.06 - 27.22 = 16.84 = 10.00 + 0.89 + 5.95; before returns nothing changes.
    assert told(30) == (4_406, 3_500, 311, 1_684, 1_000, 89, 4_406, "PARTIALLY_REFUNDED", True)
    assert placed.lines == (good(1, 2, 1_000, 178),)


def test_staff_add_a_line_to_paid_and_unpaid_orders_before_their_parcels_leave() -> None:
    shop = Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read("calm,+added_lines=1"))
    before = set()
    for order in shop.orders_created_on(date(2026, 9, 8)):
        has_parcels = any(line.requires_shipping for line in order.lines) and order.basket.source_name != "pos"
        edits = [event for event in order.events if isinstance(event.payload, Line)]
        assert len(edits) == (has_parcels and not any(event.kind == "cancel" for event in order.events))
        for edit in edits:
            line, state = edit.payload, order.state(edit.ts)
            assert isinstance(line, Line)
            assert line.id not in {other.id for other in order.lines}
            assert line.net == line.original
            assert not line.taxable or line.tax.shop == _tax(line.net.shop, order.basket.tax_bps, False)
            assert state.edited
            assert not order.state(edit.ts - 1).basket.lines[len(order.lines) :]
            assert all(event.ts > edit.ts for event in order.events if event.kind in ("fulfil", "refund"))
            (pay,) = [event for event in order.events if event.kind == "pay"]
            assert edit.ts < pay.ts
            if state.received.shop:
                assert state.financial_status == "PARTIALLY_PAID"
                assert pay.payload == state.total.minus(order.state(edit.ts - 1).total)
            before.add(order.events[0].payload)
    assert before == {"PAID", "AUTHORIZED", "PENDING"}


@pytest.mark.parametrize("included, tax, saved, total_after", [(False, 178, 27, 2_446), (True, 163, 24, 2_295)])
def test_a_lower_price_is_a_discount_of_its_own(included: bool, tax: int, saved: int, total_after: int) -> None:
    """By hand: 2 mugs of 10.00 and 5.95 of shipping; 15 % off is 3.00; 17.00 at 8.88 % bear 1.51 (hold 1.39)."""

    def both(cents: int) -> Money:
        return Money(cents, cents)

    total = both(2_595 if included else 2_595 + tax)
    mugs = (good(1, 2, 1_000, tax),)
    placed = Basket(mugs, "USD", None, "web", both(2_000), ZERO, both(tax), both(595), total, 888, included)
    repricing = repricing_of(placed, 0, 15)
    assert repricing == Repricing(0, both(300), both(saved))
    state = fold(placed, (OrderEvent(0, "create", "PENDING"), OrderEvent(10, "edit", repricing)), 10)
    (line,) = state.basket.lines
    assert (line.original, line.staff_discount, line.net) == (both(2_000), both(300), both(1_700))
    assert (state.basket.discounts, state.tax, line.tax) == (both(300), both(tax - saved), both(tax - saved))
    assert state.total == state.basket.total == both(total_after)
    assert (state.financial_status, state.edited, placed.lines) == ("PENDING", True, mugs)


def test_staff_lower_a_price_only_of_unpaid_orders_and_untouched_lines() -> None:
    shops = [
        Shop(7, 0.05, VirtualClock(NOW), roughness=Roughness.read(text)) for text in ("calm", "calm,+repriced_lines=1")
    ]
    before, after = (shop.orders_created_on(date(2026, 9, 8)) for shop in shops)
    hit = 0
    for was, order in zip(before, after, strict=True):
        cuts = [event for event in order.events if isinstance(event.payload, Repricing)]
        if not cuts:
            assert (was.basket, was.events) == (order.basket, order.events)
            continue
        (cut,) = cuts
        assert isinstance(cut.payload, Repricing)
        hit += 1
        assert order.basket == was.basket
        assert [(e.ts, e.kind) for e in order.events if e != cut] == [(e.ts, e.kind) for e in was.events]
        assert order.events[0].payload in ("PENDING", "AUTHORIZED")
        (pay,) = [event for event in order.events if event.kind == "pay"]
        assert order.created_ts < cut.ts < pay.ts
        assert pay.payload == order.state(pay.ts).total
        taken = [e.payload.line_index for e in order.events if isinstance(e.payload, RefundItem)]
        assert cut.payload.line_index not in taken
        assert min(cut.payload.discount) > 0
    assert hit > 10
