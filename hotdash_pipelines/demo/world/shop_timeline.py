"""What happens to an order after it was placed, and its state at a given instant.

Belongs here: events (paid, edited, fulfilled, refunded, cancelled, tagged) and their fold. Does not belong here: the
basket (`shop_orders`). The state served is the fold of the events up to now; `updated_ts` is the last of them.
These identities hold in each currency at every instant:

- `current subtotal = subtotal - sum(units taken away by edits, refunds or cancellation, at their net price)`
- `current subtotal + current tax + current shipping = current total`
- a refund: `transaction = sum(item subtotal + tax) + shipping - discrepancy` (a discrepancy is negative when the
  buyer gets more than the items' worth, as in a gesture of goodwill)
- `total refunded = sum(transactions)`; `net payment = received - total refunded`
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Money

HOUR = 3_600
DAY = 86_400
# No event of an order lies further from its creation than this.
MAX_AGE_DAYS = 40


class RefundItem(NamedTuple):
    """Units of one line given back, with their net price and tax."""

    line_index: int
    quantity: int
    subtotal: Money
    tax: Money
    restock_type: str


class Refund(NamedTuple):
    """One refund; `discrepancy` as in the module's docstring."""

    number: int
    ts: int
    items: tuple[RefundItem, ...]
    shipping: Money
    discrepancy: Money
    transaction: Money
    note: str | None


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
    """The fold of an order's events up to an instant. Amounts are `Money`; `taken` counts units by line index."""

    updated_ts: int
    subtotal: Money
    tax: Money
    shipping: Money
    financial_status: str
    fulfillment_status: str = "UNFULFILLED"
    received: Money = ZERO
    refunded: Money = ZERO
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
        return self.subtotal.plus(self.tax).plus(self.shipping)


class _Drafter:
    """Draws the events of one order in order of time, keeping track of what is left to take away."""

    def __init__(self, created_ts: int, basket: Basket, random_: random.Random) -> None:
        self.basket = basket
        self.r = random_.random
        self.created_ts = created_ts
        self.taken = [0] * len(basket.lines)
        self.left = basket.total
        self.shipping_left = basket.shipping
        self.refunds = 0
        self.events: list[OrderEvent] = []

    def add(self, ts: int, kind: str, payload: object = None) -> None:
        self.events.append(OrderEvent(ts, kind, payload))

    def take(self, index: int, quantity: int, restock_type: str) -> RefundItem:
        """Take units of a line away; shares are cumulative, so taking all of them leaves exactly nothing."""
        line = self.basket.lines[index]
        before, after = self.taken[index], self.taken[index] + quantity
        subtotal = line.net.share(after, line.quantity).minus(line.net.share(before, line.quantity))
        tax = line.tax.share(after, line.quantity).minus(line.tax.share(before, line.quantity))
        self.taken[index] = after
        self.left = self.left.minus(subtotal).minus(tax)
        return RefundItem(index, quantity, subtotal, tax, restock_type)

    def remaining(self) -> list[int]:
        return [i for i, line in enumerate(self.basket.lines) if line.quantity > self.taken[i]]

    def take_all(self, restock_type: str) -> list[RefundItem]:
        lines = self.basket.lines
        return [self.take(i, lines[i].quantity - self.taken[i], restock_type) for i in self.remaining()]

    def refund(self, ts: int, items: list[RefundItem], shipping: Money, gesture: Money, note: str | None) -> None:
        self.shipping_left = self.shipping_left.minus(shipping)
        self.left = self.left.minus(shipping)
        paid = shipping.plus(gesture)
        for item in items:
            paid = paid.plus(item.subtotal).plus(item.tax)
        self.refunds += 1
        refund = Refund(self.refunds, ts, tuple(items), shipping, ZERO.minus(gesture), paid, note)
        self.add(ts, "refund", refund)


def draft_events(created_ts: int, basket: Basket, batch_ts: int, random_: random.Random) -> tuple[OrderEvent, ...]:
    """All events of an order, oldest first, whether or not they have happened yet.

    `batch_ts` is the next nightly export: a part of the orders is tagged in that same second.
    """
    d = _Drafter(created_ts, basket, random_)
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
        d.add(batch_ts, "tag", "exported")
    if r() < 0.04:
        d.add(created_ts + 600 + int(r() * 9 * DAY), "tag", ("gift", "priority", "call-back")[int(r() * 3)])
    if r() < 0.025:
        _draft_cancellation(d, paid_ts)
    else:
        _draft_life(d, paid_ts)
    d.events.sort(key=lambda event: event.ts)
    return tuple(d.events)


def _draft_cancellation(d: _Drafter, paid_ts: int) -> None:
    ts = d.created_ts + 900 + int(d.r() * 2 * DAY)
    reason = ("CUSTOMER", "INVENTORY", "FRAUD", "OTHER")[int(d.r() * 4)]
    unpaid_items: list[RefundItem] = []
    if paid_ts < ts:
        if paid_ts > d.created_ts:
            d.add(paid_ts, "pay", d.left)
        d.refund(ts, d.take_all("CANCEL"), d.shipping_left, ZERO, None)
    else:
        unpaid_items = d.take_all("CANCEL")
    d.add(ts, "cancel", Cancellation(reason, tuple(unpaid_items)))


def _draft_life(d: _Drafter, paid_ts: int) -> None:
    r = d.r
    if paid_ts > d.created_ts:
        # Only what is not yet paid is edited here, so no edit leaves money owed to the buyer.
        if r() < 0.22:
            _draft_edit(d, d.created_ts + int((paid_ts - d.created_ts) * (0.1 + 0.8 * r())))
        d.add(paid_ts, "pay", d.left)
    if any(line.requires_shipping for line in d.basket.lines):
        if r() < 0.985:
            shipped_ts = paid_ts + 4 * HOUR + int(r() ** 2 * 4.5 * DAY)
            if len(d.basket.lines) > 1 and r() < 0.12:
                d.add(shipped_ts, "fulfil_part")
                shipped_ts += DAY + int(r() * 2 * DAY)
            d.add(shipped_ts, "fulfil")
    else:
        d.add(paid_ts + 60, "fulfil")
    if d.left.shop and r() < 0.07:
        _draft_refund(d, max(paid_ts + HOUR, d.created_ts + DAY + int(r() * 28.5 * DAY)))


def _draft_edit(d: _Drafter, ts: int) -> None:
    lines = d.basket.lines
    index = int(d.r() * len(lines))
    # The last unit of an order stays: an order edited down to nothing would be a cancellation.
    if lines[index].quantity > 1:
        d.add(ts, "edit", d.take(index, 1, "NO_RESTOCK"))
    elif len(lines) > 1:
        d.add(ts, "edit", d.take(index, lines[index].quantity, "NO_RESTOCK"))


def _draft_refund(d: _Drafter, ts: int) -> None:
    r = d.r
    u = r()
    if u < 0.1 and d.shipping_left.shop:
        d.refund(ts, [], d.shipping_left, ZERO, "Arrived late")
    elif u < 0.2 and d.left.shop >= 1_000:
        d.refund(ts, [], ZERO, d.left.share(1, 10), "Goodwill")
    elif u < 0.4:
        d.refund(ts, d.take_all("RETURN"), d.shipping_left, ZERO, None)
    else:
        indexes = d.remaining()
        index = indexes[int(r() * len(indexes))]
        d.refund(ts, [d.take(index, 1, "RETURN" if r() < 0.8 else "NO_RESTOCK")], ZERO, ZERO, None)
        if r() < 0.15 and (rest := d.remaining()):
            later = min(ts + HOUR + int(r() * 5 * DAY), d.created_ts + 30 * DAY)
            if later > ts:
                d.refund(later, [d.take(rest[0], 1, "RETURN")], ZERO, ZERO, "Second parcel")


def fold(basket: Basket, events: tuple[OrderEvent, ...], now_ts: int) -> OrderState:
    """The order's state at `now_ts` (epoch seconds); `events` oldest first, the first being its creation."""
    first = events[0]
    state = OrderState(first.ts, basket.subtotal, basket.tax, basket.shipping, str(first.payload))
    if first.payload == "PAID":
        state.received = basket.total
    for event in events:
        if event.ts > now_ts:
            break
        state.updated_ts = event.ts
        _apply(state, event)
    if state.refunds and state.financial_status != "VOIDED":
        whole = state.refunded.shop >= state.received.shop
        state.financial_status = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
    return state


def _apply(state: OrderState, event: OrderEvent) -> None:
    payload = event.payload
    match event.kind:
        case "pay":
            state.received = payload  # type: ignore[assignment]
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
            _take(state, payload)  # type: ignore[arg-type]
        case "refund":
            refund: Refund = payload  # type: ignore[assignment]
            state.refunds.append(refund)
            state.refunded = state.refunded.plus(refund.transaction)
            state.shipping = state.shipping.minus(refund.shipping)
            for item in refund.items:
                _take(state, item)
        case "cancel":
            state.cancelled_ts = state.closed_ts = event.ts
            cancellation: Cancellation = payload  # type: ignore[assignment]
            state.cancel_reason = cancellation.reason
            if not state.refunds:
                state.financial_status = "VOIDED"
                state.shipping = ZERO
            for item in cancellation.items:
                _take(state, item)


def _take(state: OrderState, item: RefundItem) -> None:
    state.taken[item.line_index] = state.taken.get(item.line_index, 0) + item.quantity
    state.subtotal = state.subtotal.minus(item.subtotal)
    state.tax = state.tax.minus(item.tax)
