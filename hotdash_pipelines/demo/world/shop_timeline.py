"""What happens to an order after it was placed, and its state at a given instant.

Belongs here: events (paid, edited, fulfilled, refunded, cancelled, tagged) and their fold. Does not belong here: the
basket (`shop_orders`), or which events there will be (`drafts`). The state served is the fold of the events up to now;
`updated_ts` is the last of them.

An edit takes units away, adds a line or lowers the price of one. Shopify's reference of `Order` (2026-10) has three
kinds of amounts, and only the first is "at the time of order creation": `originalTotalPriceSet` stays. Those "before
returns" (`totalPriceSet`, `subtotalPriceSet`, `totalTaxSet`, `totalDiscountsSet`) are sums over all lines, added ones
too, at their last prices; units taken away stay in them, as in `LineItem.quantity`. The `current...` amounts are what
is left "after edits and returns". So `basket` is the order before returns as of an instant, and grows by each added
line. A paid order is PARTIALLY_PAID from then until the rest is paid. A price is lowered only while the order is unpaid
and its line untouched, so that nobody is owed money by it and all units of the line are worth the same. Order-wide
discounts are not spread anew: an added line has none.

These identities hold in each currency at every instant, those of `shop_orders` for `basket` too:

- `current subtotal = subtotal - sum(units taken away by edits, refunds or cancellation, at their net price)`
- `current subtotal + current tax + current shipping + current tip + current duties + current fees = current total`;
  where prices include tax, current tax is part of current subtotal and current shipping, and is not added
- fees stay when all else is given back; only an order that is cancelled before anything was paid is rid of them
- a refund: `transaction = sum(item subtotal + tax) + shipping + shipping tax + duties - discrepancy + rounding`, tax
  counted only where prices do not include it (a discrepancy is negative when the buyer gets more than the items' worth,
  as in a gesture of goodwill); what is given back in cash is a multiple of five cents, else the rounding is nothing
- `total refunded = sum(transactions)`; `net payment = received - total refunded`
- `basket.total = total as placed + sum(net + tax of added lines) - sum(discount + tax of repricings)`, tax counted only
  where prices do not include it
- while nothing was refunded: `outstanding = current total - received`, which is nothing once all is paid
- a refund may name a line in two items; together they are what one item would have been
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Line, Money, Repricing

DAY = 86_400
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
    fees: Money
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
        return self.basket.worth(self.subtotal, self.tax, self.shipping, self.tip, self.duties, self.fees)


def fold(basket: Basket, events: tuple[OrderEvent, ...], now_ts: int) -> OrderState:
    """The order's state at `now_ts` (epoch seconds); `events` oldest first, the first being its creation."""
    first = events[0]
    parts = (basket.subtotal, basket.tax, basket.shipping, basket.tip, basket.duties, basket.fees)
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
            elif isinstance(payload, Repricing):
                _reprice(state, payload)
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
                state.shipping = state.duties = state.fees = ZERO
                state.tax = state.tax.minus(state.basket.shipping_tax)
            for item in cancellation.items:
                _take(state, item)


def _add_line(state: OrderState, line: Line) -> None:
    state.basket = state.basket.with_line(line)
    state.subtotal = state.subtotal.plus(line.net)
    state.tax = state.tax.plus(line.tax)
    if state.financial_status == "PAID":
        state.financial_status = "PARTIALLY_PAID" if state.received.shop else "PENDING"


def _reprice(state: OrderState, repricing: Repricing) -> None:
    state.basket = state.basket.with_repricing(repricing)
    state.subtotal = state.subtotal.minus(repricing.discount)
    state.tax = state.tax.minus(repricing.tax)


def _take(state: OrderState, item: RefundItem) -> None:
    state.taken[item.line_index] = state.taken.get(item.line_index, 0) + item.quantity
    state.tax = state.tax.minus(item.tax)
    if state.basket.lines[item.line_index].is_tip:
        state.tip = state.tip.minus(item.subtotal)
    else:
        state.subtotal = state.subtotal.minus(item.subtotal)
