"""What happens to an order after it was placed, and its state at a given instant.

Belongs here: events (paid, edited, fulfilled, refunded, cancelled, tagged) and their fold. Does not belong here: the
basket (`shop_orders`). The state served is the fold of the events up to now; `updated_ts` is the last of them.

An edit takes units away or adds a line. Shopify's reference of `Order` (2026-10) has three kinds of amounts, and only
the first is "at the time of order creation": `originalTotalPriceSet` stays. Those "before returns" (`totalPriceSet`,
`subtotalPriceSet`, `totalTaxSet`, `totalDiscountsSet`) are sums over all lines, added ones too; units taken away stay
in them, as in `LineItem.quantity`. The `current...` amounts are what is left "after edits and returns". So `basket` is
the order before returns as of an instant, and grows by each added line. A paid order is PARTIALLY_PAID from then until
the rest is paid. Order-wide discounts are not spread anew: an added line has none.

These identities hold in each currency at every instant, those of `shop_orders` for `basket` too:

- `current subtotal = subtotal - sum(units taken away by edits, refunds or cancellation, at their net price)`
- `current subtotal + current tax + current shipping + current tip + current duties = current total`; where prices
  include tax, current tax is part of current subtotal and current shipping, and is not added
- a refund: `transaction = sum(item subtotal + tax) + shipping + shipping tax + duties - discrepancy + rounding`, tax
  counted only where prices do not include it (a discrepancy is negative when the buyer gets more than the items' worth,
  as in a gesture of goodwill); what is given back in cash is a multiple of five cents, else the rounding is nothing
- `total refunded = sum(transactions)`; `net payment = received - total refunded`
- `basket.total = total as placed + sum(net + tax of added lines)`, tax counted only where prices do not include it
- while nothing was refunded: `outstanding = current total - received`, which is nothing once all is paid
- a refund may name a line in two items; together they are what one item would have been
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Line, Money, to_cash

HOUR = 3_600
DAY = 86_400
# When the nightly export tags what it took, after the store's midnight.
EXPORT_AFTER_S = 4 * HOUR + 900
# No event of an order lies further from its creation than this.
MAX_AGE_DAYS = 40
# More lines than fit into one page of Shopify's make an order a giant.
PAGE_LINES = 250


class RefundItem(NamedTuple):
    """Units of one line given back, with their net price and tax."""

    line_index: int
    quantity: int
    subtotal: Money
    tax: Money
    restock_type: str


class Refund(NamedTuple):
    """One refund; `discrepancy` as in the module's docstring. `shipping` holds its tax where prices do."""

    number: int
    ts: int
    items: tuple[RefundItem, ...]
    shipping: Money
    discrepancy: Money
    transaction: Money
    note: str | None
    shipping_tax: Money = ZERO
    duties: Money = ZERO
    rounding: Money = ZERO


class Cancellation(NamedTuple):
    """Why an order was cancelled, and the units that go back without a refund because nothing was paid."""

    reason: str
    items: tuple[RefundItem, ...]


class OrderEvent(NamedTuple):
    """Something that happened to an order at `ts` (epoch seconds); the payload's type follows from the kind."""

    ts: int
    kind: str
    payload: object = None


@dataclass(slots=True)
class OrderState:
    """The fold of an order's events up to an instant. Amounts are `Money`; `taken` counts units by line index.

    `basket` is the order with all lines up to then; the other amounts are what is left of it.
    `tax` holds the tax of lines and shipping; `subtotal` and `shipping` hold it too where prices include tax.
    """

    basket: Basket
    updated_ts: int
    subtotal: Money
    tax: Money
    shipping: Money
    tip: Money
    duties: Money
    financial_status: str
    fulfillment_status: str = "UNFULFILLED"
    received: Money = ZERO
    refunded: Money = ZERO
    refund_rounding: Money = ZERO
    refunds: list[Refund] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    cancelled_ts: int | None = None
    cancel_reason: str | None = None
    closed_ts: int | None = None
    edited: bool = False

    @property
    def total(self) -> Money:
        """What the order is worth after edits and refunds."""
        return self.basket.worth(self.subtotal, self.tax, self.shipping, self.tip, self.duties)


class _Drafter:
    """Draws the events of one order in order of time, keeping track of what is left to take away."""

    def __init__(
        self, created_ts: int, basket: Basket, random_: random.Random, is_rough: Callable[[str], bool]
    ) -> None:
        self.basket = basket
        self.is_rough = is_rough
        self.splits_items = is_rough("split_refunds")
        self.refunds_cash = basket.source_name == "pos" and is_rough("refund_rounding")
        self.r = random_.random
        self.created_ts = created_ts
        self.taken = [0] * len(basket.lines)
        self.left = basket.total
        self.shipping_left = basket.shipping
        self.duties_left = basket.duties
        self.refunds = 0
        self.events: list[OrderEvent] = []

    def add(self, ts: int, kind: str, payload: object = None) -> None:
        self.events.append(OrderEvent(ts, kind, payload))

    def add_line(self, ts: int, line: Line) -> Money:
        """Staff add a line; what it costs the buyer."""
        before, self.basket = self.basket.total, self.basket.with_line(line)
        cost = self.basket.total.minus(before)
        self.taken.append(0)
        self.left = self.left.plus(cost)
        self.add(ts, "edit", line)
        return cost

    def take(self, index: int, quantity: int, restock_type: str) -> RefundItem:
        """Take units of a line away; shares are cumulative, so taking all of them leaves exactly nothing."""
        line = self.basket.lines[index]
        before, after = self.taken[index], self.taken[index] + quantity
        subtotal = line.net.share(after, line.quantity).minus(line.net.share(before, line.quantity))
        tax = line.tax.share(after, line.quantity).minus(line.tax.share(before, line.quantity))
        self.taken[index] = after
        self.left = self.left.minus(self.paid_for(subtotal, tax))
        return RefundItem(index, quantity, subtotal, tax, restock_type)

    def paid_for(self, net: Money, tax: Money) -> Money:
        """What was paid for a part of the order, whose net price holds the tax where prices do."""
        return net if self.basket.taxes_included else net.plus(tax)

    def remaining(self) -> list[int]:
        return [i for i in self.basket.goods() if self.basket.lines[i].quantity > self.taken[i]]

    def take_all(self, restock_type: str) -> list[RefundItem]:
        """Take away what is left of every line, the tip's too."""
        items = []
        for index, line in enumerate(self.basket.lines):
            left = line.quantity - self.taken[index]
            if left > 1 and self.splits_items:
                items.append(self.take(index, 1, restock_type))
                left -= 1
            if left:
                items.append(self.take(index, left, restock_type))
        return items

    def refund(
        self, ts: int, items: list[RefundItem], gesture: Money = ZERO, note: str | None = None, *,
        with_shipping: bool = False, with_duties: bool = False,
    ) -> None:  # fmt: skip
        """Give back these items, and with them what is left of shipping and duties, if wanted."""
        shipping = self.shipping_left if with_shipping else ZERO
        shipping_tax = self.basket.shipping_tax if shipping.shop else ZERO
        duties = self.duties_left if with_duties else ZERO
        charges = self.paid_for(shipping, shipping_tax).plus(duties)
        self.shipping_left = self.shipping_left.minus(shipping)
        self.duties_left = self.duties_left.minus(duties)
        self.left = self.left.minus(charges)
        paid = charges.plus(gesture)
        for item in items:
            paid = paid.plus(self.paid_for(item.subtotal, item.tax))
        self.refunds += 1
        rounding = to_cash(paid) if self.refunds_cash else ZERO
        given_back = (shipping, ZERO.minus(gesture), paid.plus(rounding), note, shipping_tax, duties, rounding)
        self.add(ts, "refund", Refund(self.refunds, ts, tuple(items), *given_back))


def draft_events(
    created_ts: int,
    basket: Basket,
    midnight_ts: int,
    random_: random.Random,
    is_rough: Callable[[str], bool],
    addition: Line | None = None,
    merged_ts: int | None = None,
) -> tuple[OrderEvent, ...]:
    """All events of an order, oldest first, whether or not they have happened yet.

    `midnight_ts` ends the order's day: a part of the orders is tagged in the second of the export after it.
    `is_rough` says which kinds of roughness hit the order, `addition` is the line that staff add to it if it is
    shipped one day, `merged_ts` when its customer becomes another.
    """
    d = _Drafter(created_ts, basket, random_, is_rough)
    r = d.r
    paid_ts = created_ts
    u = r()
    if u >= 0.97:
        d.add(created_ts, "create", "PENDING")
        paid_ts = created_ts + DAY + int(r() * 4 * DAY)
    elif u >= 0.88:
        d.add(created_ts, "create", "AUTHORIZED")
        paid_ts = created_ts + HOUR + int(r() * 47 * HOUR)
    else:
        d.add(created_ts, "create", "PAID")
    if r() < 0.08:
        d.add(midnight_ts + EXPORT_AFTER_S, "tag", "exported")
    if r() < 0.04:
        d.add(created_ts + 600 + int(r() * 9 * DAY), "tag", ("gift", "priority", "call-back")[int(r() * 3)])
    if r() < 0.025:
        _draft_cancellation(d, paid_ts)
    else:
        _draft_life(d, paid_ts, addition)
    if is_rough("late_touches"):
        d.add(midnight_ts + created_ts * 2_654_435_761 % (4 * HOUR), "tag", "reviewed")
    if merged_ts is not None and merged_ts > created_ts:
        d.add(merged_ts, "tag", "merged")
    d.events.sort(key=lambda event: event.ts)
    return tuple(d.events)


def _draft_cancellation(d: _Drafter, paid_ts: int) -> None:
    ts = d.created_ts + 900 + int(d.r() * 2 * DAY)
    reason = ("CUSTOMER", "INVENTORY", "FRAUD", "OTHER")[int(d.r() * 4)]
    unpaid_items: list[RefundItem] = []
    if paid_ts < ts:
        if paid_ts > d.created_ts:
            d.add(paid_ts, "pay", d.left)
        d.refund(ts, d.take_all("CANCEL"), with_shipping=True, with_duties=True)
    else:
        unpaid_items = d.take_all("CANCEL")
    d.add(ts, "cancel", Cancellation(reason, tuple(unpaid_items)))


def _draft_life(d: _Drafter, paid_ts: int, addition: Line | None) -> None:
    r = d.r
    has_parcels = any(line.requires_shipping for line in d.basket.lines)
    is_divisible = len(d.basket.goods()) > 1
    settled_ts = paid_ts
    if paid_ts > d.created_ts:
        # Only what is not yet paid is edited here, so no edit leaves money owed to the buyer.
        if r() < 0.22:
            _draft_edit(d, d.created_ts + int((paid_ts - d.created_ts) * (0.1 + 0.8 * r())))
        if addition and has_parcels:
            d.add_line(d.created_ts + 1 + _spread(addition, paid_ts - d.created_ts - 1), addition)
        d.add(paid_ts, "pay", d.left)
    elif addition and has_parcels:
        # Before the parcel leaves; the buyer pays the rest within two days.
        ts = paid_ts + 600 + _spread(addition, 3 * HOUR)
        settled_ts = ts + HOUR + _spread(addition, 2 * DAY)
        d.add(settled_ts, "pay", d.add_line(ts, addition))
    if has_parcels:
        if r() < 0.985:
            shipped_ts = paid_ts + 4 * HOUR + int(r() ** 2 * 4.5 * DAY)
            if is_divisible and r() < 0.12:
                d.add(shipped_ts, "fulfil_part")
                shipped_ts += DAY + int(r() * 2 * DAY)
            d.add(shipped_ts, "fulfil")
    else:
        d.add(paid_ts + 60, "fulfil")
    if len(d.basket.lines) > PAGE_LINES and d.is_rough("giant_refunds"):
        d.refund(settled_ts + DAY + int(r() * DAY), d.take_all("RETURN"), with_shipping=True, with_duties=True)
    elif d.left.shop and r() < 0.07:
        _draft_refund(d, max(settled_ts + HOUR, d.created_ts + DAY + int(r() * 28.5 * DAY)))


def _spread(line: Line, seconds: int) -> int:
    """An instant of the line's own below `seconds`; no draw, so that the order's other events stay as they are."""
    return line.id * 2_654_435_761 % seconds


def _draft_edit(d: _Drafter, ts: int) -> None:
    lines, goods = d.basket.lines, d.basket.goods()
    index = goods[int(d.r() * len(goods))]
    # The last unit of an order stays: an order edited down to nothing would be a cancellation.
    if lines[index].quantity > 1:
        d.add(ts, "edit", d.take(index, 1, "NO_RESTOCK"))
    elif len(goods) > 1:
        d.add(ts, "edit", d.take(index, lines[index].quantity, "NO_RESTOCK"))


def _draft_refund(d: _Drafter, ts: int) -> None:
    r = d.r
    u = r()
    if u < 0.1 and d.shipping_left.shop:
        d.refund(ts, [], note="Arrived late", with_shipping=True)
    elif u < 0.2 and d.left.shop >= 1_000:
        d.refund(ts, [], d.left.share(1, 10), "Goodwill")
    elif u < 0.4:
        d.refund(ts, d.take_all("RETURN"), with_shipping=True, with_duties=True)
    else:
        indexes = d.remaining()
        index = indexes[int(r() * len(indexes))]
        d.refund(ts, [d.take(index, 1, "RETURN" if r() < 0.8 else "NO_RESTOCK")])
        if r() < 0.15 and (rest := d.remaining()):
            later = min(ts + HOUR + int(r() * 5 * DAY), d.created_ts + 30 * DAY)
            if later > ts:
                d.refund(later, [d.take(rest[0], 1, "RETURN")], note="Second parcel")


def fold(basket: Basket, events: tuple[OrderEvent, ...], now_ts: int) -> OrderState:
    """The order's state at `now_ts` (epoch seconds); `events` oldest first, the first being its creation."""
    first = events[0]
    parts = (basket.subtotal, basket.tax, basket.shipping, basket.tip, basket.duties)
    state = OrderState(basket, first.ts, *parts, str(first.payload))
    if first.payload == "PAID":
        state.received = basket.total
    for event in events:
        if event.ts > now_ts:
            break
        state.updated_ts = event.ts
        _apply(state, event)
    if state.refunds and state.financial_status != "VOIDED":
        whole = state.refunded.minus(state.refund_rounding).shop >= state.received.shop
        state.financial_status = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
    return state


def _apply(state: OrderState, event: OrderEvent) -> None:
    payload = event.payload
    match event.kind:
        case "pay":
            state.received = state.received.plus(payload)  # type: ignore[arg-type]
            state.financial_status = "PAID"
        case "tag":
            state.tags.append(str(payload))
        case "fulfil_part":
            state.fulfillment_status = "PARTIALLY_FULFILLED"
        case "fulfil":
            state.fulfillment_status = "FULFILLED"
            state.closed_ts = event.ts
        case "edit":
            state.edited = True
            if isinstance(payload, Line):
                _add_line(state, payload)
            else:
                _take(state, payload)  # type: ignore[arg-type]
        case "refund":
            refund: Refund = payload  # type: ignore[assignment]
            state.refunds.append(refund)
            state.refunded = state.refunded.plus(refund.transaction)
            state.refund_rounding = state.refund_rounding.plus(refund.rounding)
            state.shipping = state.shipping.minus(refund.shipping)
            state.tax = state.tax.minus(refund.shipping_tax)
            state.duties = state.duties.minus(refund.duties)
            for item in refund.items:
                _take(state, item)
        case "cancel":
            state.cancelled_ts = state.closed_ts = event.ts
            cancellation: Cancellation = payload  # type: ignore[assignment]
            state.cancel_reason = cancellation.reason
            if not state.refunds:
                state.financial_status = "VOIDED"
                state.shipping = state.duties = ZERO
                state.tax = state.tax.minus(state.basket.shipping_tax)
            for item in cancellation.items:
                _take(state, item)


def _add_line(state: OrderState, line: Line) -> None:
    state.basket = state.basket.with_line(line)
    state.subtotal = state.subtotal.plus(line.net)
    state.tax = state.tax.plus(line.tax)
    if state.financial_status == "PAID":
        state.financial_status = "PARTIALLY_PAID" if state.received.shop else "PENDING"


def _take(state: OrderState, item: RefundItem) -> None:
    state.taken[item.line_index] = state.taken.get(item.line_index, 0) + item.quantity
    state.tax = state.tax.minus(item.tax)
    if state.basket.lines[item.line_index].is_tip:
        state.tip = state.tip.minus(item.subtotal)
    else:
        state.subtotal = state.subtotal.minus(item.subtotal)
