"""The sales agreements of an order: what was sold, taken back and priced anew, each at its own instant.

Belongs here: making them of the order's events. Does not belong here: their fields (`fields.sale`), or what an event
does to the order (`world.shop_timeline`).

Amounts hold their tax and are net of discounts; what goes back is negative. These identities hold in each currency at
every instant:

- `sum(all sales but adjustments) = current total`
- a refund's agreement: `sum(its sales) = -(transaction - rounding)`
- a line of which all units were taken: its sales and its discounts come to exactly nothing
- `original price with tax = total amount + discount after taxes`, and without tax the same of the discount before taxes
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hotdash_pipelines.demo.shopify.views import OrderView, RefundView
from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Line, Money, Repricing
from hotdash_pipelines.demo.world.shop_timeline import Cancellation, OrderEvent, Refund, RefundItem

# Ids stay below 2**63: an order has fewer than a hundred agreements, an agreement fewer than ten thousand sales.
AGREEMENTS_AN_ORDER = 100
SALES_AN_AGREEMENT = 10_000

_AGREEMENT_TYPES = {"ORDER": "OrderAgreement", "ORDER_EDIT": "OrderEditAgreement", "REFUND": "RefundAgreement"}
_SALE_TYPES = {
    "ADDITIONAL_FEE": "AdditionalFeeSale",
    "ADJUSTMENT": "AdjustmentSale",
    "DUTY": "DutySale",
    "GIFT_CARD": "GiftCardSale",
    "PRODUCT": "ProductSale",
    "SHIPPING": "ShippingLineSale",
    "TIP": "TipSale",
}


class DiscountAmounts(NamedTuple):
    """A discount without the tax that it saves, and with it."""

    before_taxes: Money
    after_taxes: Money

    def minus(self, other: DiscountAmounts) -> DiscountAmounts:
        """The difference of both."""
        return DiscountAmounts(self.before_taxes.minus(other.before_taxes), self.after_taxes.minus(other.after_taxes))

    def share(self, part: int, whole: int) -> DiscountAmounts:
        """`part` of `whole` of both, as `Money.share`."""
        return DiscountAmounts(self.before_taxes.share(part, whole), self.after_taxes.share(part, whole))


NO_DISCOUNT = DiscountAmounts(ZERO, ZERO)


class SaleView(NamedTuple):
    """One sale of an agreement; `line_index` where it is of a line, `quantity` likewise."""

    view: OrderView
    number: int
    action: str
    line_type: str
    amount: Money
    tax: Money
    discount: DiscountAmounts = NO_DISCOUNT
    quantity: int | None = None
    line_index: int | None = None

    def type_name(self) -> str:
        """The concrete type of the interface."""
        return _SALE_TYPES[self.line_type]


class AgreementView(NamedTuple):
    """One agreement with its sales; `refund` where it is one's."""

    view: OrderView
    number: int
    ts: int
    reason: str
    sales: list[SaleView]
    refund: RefundView | None = None

    def type_name(self) -> str:
        """The concrete type of the interface."""
        return _AGREEMENT_TYPES[self.reason]


def agreements_of(view: OrderView) -> list[AgreementView]:
    """The agreements made so far, oldest first; none of an order that is as if older than agreements are."""
    if view.shop.is_rough("no_agreements", view.order.id):
        return []
    writer = _AgreementWriter(view)
    for event in view.order.events:
        if event.ts > view.now:
            break
        writer.write(event)
    return writer.agreements


def discounts_of(basket: Basket, line: Line) -> DiscountAmounts:
    """What is taken off all units of a line; the tax saved is that on the original price less that which is left."""
    saved = basket.tax_of(line, line.original).minus(line.tax)
    if basket.taxes_included:
        return DiscountAmounts(line.discount.minus(saved), line.discount)
    return DiscountAmounts(line.discount, line.discount.plus(saved))


class _AgreementWriter:
    """Writes the agreements of one order event by event, keeping track of the lines and of what was taken of them."""

    def __init__(self, view: OrderView) -> None:
        self.view = view
        self.basket = view.order.basket
        self.taken: Counter[int] = Counter()
        self.agreements: list[AgreementView] = []

    def write(self, event: OrderEvent) -> None:
        payload = event.payload
        if event.kind == "create":
            self._begin(event.ts, "ORDER")
            for index in range(len(self.basket.lines)):
                self._order(index)
            basket = self.basket
            self._charge("ORDER", basket.shipping, basket.shipping_tax, basket.duties, basket.fees)
        elif isinstance(payload, Line):
            self._begin(event.ts, "ORDER_EDIT")
            self.basket = self.basket.with_line(payload)
            self._order(len(self.basket.lines) - 1)
        elif isinstance(payload, Repricing):
            self._begin(event.ts, "ORDER_EDIT")
            self._reprice(payload)
        elif isinstance(payload, RefundItem):
            self._begin(event.ts, "ORDER_EDIT")
            self._take(payload)
        elif isinstance(payload, Refund):
            self._begin(event.ts, "REFUND", RefundView(self.view, payload))
            for item in payload.items:
                self._take(item)
            self._charge("RETURN", payload.shipping, payload.shipping_tax, payload.duties)
            if payload.discrepancy != ZERO:
                self._add("RETURN", "ADJUSTMENT", payload.discrepancy, ZERO)
        elif isinstance(payload, Cancellation) and all(one.reason != "REFUND" for one in self.agreements):
            self._begin(event.ts, "ORDER_EDIT")
            for item in payload.items:
                self._take(item)
            basket = self.basket
            self._charge("RETURN", basket.shipping, basket.shipping_tax, basket.duties, basket.fees)

    def _begin(self, ts: int, reason: str, refund: RefundView | None = None) -> None:
        number = self.view.order.id * AGREEMENTS_AN_ORDER + len(self.agreements)
        self.agreements.append(AgreementView(self.view, number, ts, reason, [], refund))

    def _add(
        self, action: str, line_type: str, amount: Money, tax: Money, discount: DiscountAmounts = NO_DISCOUNT,
        quantity: int | None = None, line_index: int | None = None,
    ) -> None:  # fmt: skip
        agreement = self.agreements[-1]
        number = agreement.number * SALES_AN_AGREEMENT + len(agreement.sales)
        sale = SaleView(self.view, number, action, line_type, amount, tax, discount, quantity, line_index)
        agreement.sales.append(sale)

    def _order(self, index: int) -> None:
        line = self.basket.lines[index]
        amount = self.basket.worth(line.net, line.tax)
        discount = discounts_of(self.basket, line)
        self._add("ORDER", _line_type(line), amount, line.tax, discount, line.quantity, index)

    def _take(self, item: RefundItem) -> None:
        index, line = item.line_index, self.basket.lines[item.line_index]
        before = self.taken[index]
        self.taken[index] += item.quantity
        whole = discounts_of(self.basket, line)
        left = whole.share(before, line.quantity).minus(whole.share(self.taken[index], line.quantity))
        amount = ZERO.minus(self.basket.worth(item.subtotal, item.tax))
        self._add("RETURN", _line_type(line), amount, ZERO.minus(item.tax), left, -item.quantity, index)

    def _reprice(self, repricing: Repricing) -> None:
        index, discount, tax = repricing
        line = self.basket.lines[index]
        before = discounts_of(self.basket, line)
        self.basket = self.basket.with_repricing(repricing)
        more = discounts_of(self.basket, self.basket.lines[index]).minus(before)
        amount = ZERO.minus(self.basket.worth(discount, tax))
        self._add("UPDATE", _line_type(line), amount, ZERO.minus(tax), more, 0, index)

    def _charge(self, action: str, shipping: Money, shipping_tax: Money, duties: Money, fees: Money = ZERO) -> None:
        charges = (
            ("SHIPPING", self.basket.worth(shipping, shipping_tax), shipping_tax),
            ("DUTY", duties, ZERO),
            ("ADDITIONAL_FEE", fees, ZERO),
        )
        for line_type, amount, tax in charges:
            if amount != ZERO and action == "RETURN":
                self._add(action, line_type, ZERO.minus(amount), ZERO.minus(tax))
            elif amount != ZERO:
                self._add(action, line_type, amount, tax)


def _line_type(line: Line) -> str:
    if line.is_tip:
        return "TIP"
    return "GIFT_CARD" if line.is_gift_card else "PRODUCT"
