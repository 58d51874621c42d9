"""What one order contains: its lines and its money, made from the order's own seed.

Belongs here: the order as placed, with a line more or with one at a lower price. Does not belong here: what happens to
it and when (`shop_timeline`), and how an API shows it. Amounts are whole cents in pairs `(shop, presentment)`; each
currency is a ledger of its own in which these identities hold exactly:

- line: `original - sum(discount allocations) = net`, what staff took off being one of the allocations
- order: `sum(net of all lines but the tip) = subtotal`; `sum(line tax) + shipping tax = tax`
- order: `subtotal + tax + shipping + tip + duties + fees = total`; where prices include tax, so do subtotal and
  shipping, and it is `subtotal + shipping + tip + duties + fees = total`; duties and fees bear no tax
- order: `sum(allocations over lines) = total discounts`
- a payment in cash: `total + rounding` is a multiple of five cents; the rounding is part of no other amount (that of a
  refund in cash is part of its transaction: `shop_timeline`)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from hotdash_pipelines.demo.world.shop_catalog import Product, Variant
from hotdash_pipelines.demo.world.shop_people import Place

LINE_ID_BASE = 1_000
GIFT_CARD_CENTS = (2_500, 5_000, 10_000)
CODES = (("WELCOME10", 10), ("AUTUMN15", 15), ("VIP20", 20), ("REPLACEMENT", 100))
AUTOMATIC_DISCOUNT = ("Bundle and save", 5)
FREE_SHIPPING_CENTS = 7_500
RATES = {"USD": 1.0, "CAD": 1.3625, "EUR": 0.9215, "GBP": 0.7885}
TIP_PERCENT = (5, 10, 15)
DUTY_PERCENT = 12
HANDLING_CENTS = 250
# Tax that is part of the price, in basis points, where no sales tax of the place is known.
VALUE_ADDED_TAX_BPS = 2_000
CASH_STEP_CENTS = 5


class Money(NamedTuple):
    """An amount in whole cents, in the shop's currency and in the buyer's."""

    shop: int
    presentment: int

    def plus(self, other: Money) -> Money:
        """The sum, currency by currency."""
        return Money(self.shop + other.shop, self.presentment + other.presentment)

    def minus(self, other: Money) -> Money:
        """The difference, currency by currency."""
        return Money(self.shop - other.shop, self.presentment - other.presentment)

    def share(self, part: int, whole: int) -> Money:
        """`part` of `whole` of the amount, half a cent up; shares of 0..whole grow to exactly the amount."""
        return Money(*((2 * cents * part + whole) // (2 * whole) for cents in self))


ZERO = Money(0, 0)


class Line(NamedTuple):
    """One order line as placed. `variant` and `product` are None for gift cards and custom items."""

    id: int
    product: Product | None
    variant: Variant | None
    sku: str | None
    title: str
    quantity: int
    unit: Money
    original: Money
    automatic_discount: Money
    code_discount: Money
    net: Money
    tax: Money
    taxable: bool
    requires_shipping: bool
    is_gift_card: bool
    is_tip: bool = False
    staff_discount: Money = ZERO

    @property
    def discount(self) -> Money:
        """All that is taken off the original price."""
        return self.automatic_discount.plus(self.code_discount).plus(self.staff_discount)


class Repricing(NamedTuple):
    """By how much staff lower the price of a line, and the tax that goes with it."""

    line_index: int
    discount: Money
    tax: Money


@dataclass(slots=True)
class Basket:
    """The content and the money of one order, nothing of it given back. Read-only by convention.

    `tax` holds `shipping_tax`. Where `taxes_included`, prices, `subtotal` and `shipping` hold their tax.
    """

    lines: tuple[Line, ...]
    currency: str
    discount_code: str | None
    source_name: str
    subtotal: Money
    discounts: Money
    tax: Money
    shipping: Money
    total: Money
    tax_bps: int
    taxes_included: bool = False
    shipping_tax: Money = ZERO
    tip: Money = ZERO
    duties: Money = ZERO
    fees: Money = ZERO
    rounding: Money = ZERO

    def goods(self) -> list[int]:
        """Places of the lines that are no tip."""
        return [index for index, line in enumerate(self.lines) if not line.is_tip]

    def worth(self, subtotal: Money, tax: Money, *charges: Money) -> Money:
        """What goods, their tax and the other charges (shipping, tip, duties, fees) come to, tax counted once."""
        worth = subtotal if self.taxes_included else subtotal.plus(tax)
        for charge in charges:
            worth = worth.plus(charge)
        return worth

    def with_line(self, line: Line) -> Basket:
        """The same order with this line behind the others."""
        return replace(
            self,
            lines=(*self.lines, line),
            subtotal=self.subtotal.plus(line.net),
            tax=self.tax.plus(line.tax),
            total=self.total.plus(self.worth(line.net, line.tax)),
        )

    def with_repricing(self, repricing: Repricing) -> Basket:
        """The same order with one line at a lower price."""
        index, discount, tax = repricing
        line = self.lines[index]
        line = line._replace(
            net=line.net.minus(discount),
            tax=line.tax.minus(tax),
            staff_discount=line.staff_discount.plus(discount),
        )
        return replace(
            self,
            lines=(*self.lines[:index], line, *self.lines[index + 1 :]),
            subtotal=self.subtotal.minus(discount),
            discounts=self.discounts.plus(discount),
            tax=self.tax.minus(tax),
            total=self.total.minus(self.worth(discount, tax)),
        )

    def tax_of(self, line: Line, amount: Money) -> Money:
        """The tax on an amount that the line costs or might cost, or the tax within it where prices include tax."""
        if not line.taxable:
            return ZERO
        return Money(*(_tax(cents, self.tax_bps, self.taxes_included) for cents in amount))


# A line in one currency: unit, original, automatic discount, code discount, net, tax.
Amounts = tuple[int, int, int, int, int, int]
_AUTOMATIC, _CODE, _NET, _TAX = 2, 3, 4, 5


class _Item(NamedTuple):
    variant: Variant | None
    product: Product | None
    title: str
    cents: int
    quantity: int
    is_gift_card: bool
    automatic: bool


def fill_basket(
    order_id: int,
    created_ts: int,
    place: Place | None,
    catalogue: Sequence[Product],
    random_: random.Random,
    *,
    line_count: int | None = None,
    is_rough: Callable[[str], bool] = lambda _kind: False,
) -> Basket:
    """What is in the order `order_id`, placed at `created_ts`; `line_count` overrides the usual one to six lines.

    `is_rough` says which kinds of roughness hit the order; they leave what is bought as it is.
    """
    r = random_.random
    source = "web" if (u := r()) < 0.93 else ("pos" if u < 0.97 else "shopify_draft_order")
    currency = place.currency if place is not None and source == "web" else "USD"
    tax_bps = place.tax_bps if place is not None else 888
    is_abroad = place is not None and place.country_code != "US" and source == "web"
    included = is_abroad and is_rough("tax_included")
    if included:
        tax_bps = tax_bps or VALUE_ADDED_TAX_BPS
    count = line_count or 1 + int(r() ** 2.2 * 5.2)
    items = [_pick_item(created_ts, catalogue, r) for _ in range(count)]
    code, percent = None, 0
    if r() < 0.2:
        code, percent = CODES[int(r() * 3)] if r() < 0.985 else CODES[3]
    shop = _ledger(items, 1.0, percent, tax_bps, included)
    other = shop if currency == "USD" else _ledger(items, RATES[currency], percent, tax_bps, included)
    lines = tuple(_make_line(order_id * LINE_ID_BASE + n, item, shop[n], other[n]) for n, item in enumerate(items))
    subtotal = _sum(shop, other, _NET)
    discounts = _sum(shop, other, _AUTOMATIC).plus(_sum(shop, other, _CODE))
    tax = _sum(shop, other, _TAX)
    shipping = ZERO
    if source == "web" and subtotal.shop < FREE_SHIPPING_CENTS and any(line.requires_shipping for line in lines):
        cents = 595 if place is None or place.country_code == "US" else 1495
        shipping = Money(cents, round(cents * RATES[currency]))
    basket = Basket(lines, currency, code, source, subtotal, discounts, tax, shipping, ZERO, tax_bps, included)
    if shipping.shop and (included or is_rough("taxed_shipping")):
        basket.shipping_tax = Money(*(_tax(cents, tax_bps, included) for cents in shipping))
        basket.tax = tax.plus(basket.shipping_tax)
    if is_abroad and is_rough("duties"):
        basket.duties = Money(*(cents * DUTY_PERCENT // 100 for cents in subtotal))
    if source == "web" and is_rough("fees"):
        basket.fees = Money(HANDLING_CENTS, round(HANDLING_CENTS * RATES[currency]))
    if subtotal.shop and is_rough("tips"):
        percent = TIP_PERCENT[order_id % len(TIP_PERCENT)]
        basket.tip = Money(*(max(1, cents * percent // 100) for cents in subtotal))
        basket.lines += (_make_tip(order_id * LINE_ID_BASE + count, basket.tip),)
    basket.total = basket.worth(subtotal, basket.tax, shipping, basket.tip, basket.duties, basket.fees)
    if source == "pos" and is_rough("cash_rounding"):
        basket.rounding = to_cash(basket.total)
    return basket


def draw_addition(
    order_id: int, created_ts: int, basket: Basket, catalogue: Sequence[Product], random_: random.Random
) -> Line:
    """A line that staff may add to the order: at the price of its day and its rate of tax, without any discount."""
    item = _pick_item(created_ts, catalogue, random_.random)._replace(automatic=False)
    rates = (1.0, RATES[basket.currency])
    shop, other = (_ledger([item], rate, 0, basket.tax_bps, basket.taxes_included)[0] for rate in rates)
    return _make_line(order_id * LINE_ID_BASE + len(basket.lines), item, shop, other)


def repricing_of(basket: Basket, index: int, percent: int) -> Repricing:
    """The line at this place of the order for so many percent less."""
    line = basket.lines[index]
    discount = line.net.share(percent, 100)
    return Repricing(index, discount, line.tax.minus(basket.tax_of(line, line.net.minus(discount))))


def _make_tip(line_id: int, amount: Money) -> Line:
    return Line(
        line_id, None, None, None, "Tip", 1, amount, amount, ZERO, ZERO, amount, ZERO, False, False, False, is_tip=True
    )


def to_cash(amount: Money) -> Money:
    """What makes the amount one that can be paid in coins: -2 to +2 cents."""
    return Money(*((cents + CASH_STEP_CENTS // 2) // CASH_STEP_CENTS * CASH_STEP_CENTS - cents for cents in amount))


def _tax(net: int, bps: int, included: bool) -> int:
    """The tax on an amount, or the tax within it, half a cent rounded up."""
    whole = 10_000 + bps if included else 10_000
    return (2 * net * bps + whole) // (2 * whole)


def _sum(shop: list[Amounts], other: list[Amounts], column: int) -> Money:
    ours = sum([row[column] for row in shop])
    return Money(ours, ours if other is shop else sum([row[column] for row in other]))


def _make_line(line_id: int, item: _Item, shop: Amounts, other: Amounts) -> Line:
    variant = item.variant
    return Line(
        line_id,
        item.product,
        variant,
        variant.sku if variant is not None else None,
        item.title,
        item.quantity,
        Money(shop[0], other[0]),
        Money(shop[1], other[1]),
        Money(shop[2], other[2]) if shop[2] else ZERO,
        Money(shop[3], other[3]) if shop[3] else ZERO,
        Money(shop[4], other[4]),
        Money(shop[5], other[5]) if shop[5] else ZERO,
        variant.taxable if variant is not None else not item.is_gift_card,
        variant.requires_shipping if variant is not None else not item.is_gift_card,
        item.is_gift_card,
    )


def _pick_item(created_ts: int, catalogue: Sequence[Product], r) -> _Item:
    u = r()
    if u < 0.012:
        return _Item(None, None, "Gift Card", GIFT_CARD_CENTS[int(r() * 3)], 1, True, False)
    if u < 0.025:
        return _Item(None, None, "Custom engraving", 500 + int(r() * 30) * 50, 1 + int(r() * 2), False, False)
    # Squaring the draw makes a few products sell most.
    product = catalogue[int(r() ** 2 * len(catalogue))]
    if not product.exists(created_ts):
        product = catalogue[0]
    variant = product.variants[int(r() * len(product.variants))]
    quantity = 1 if (q := r()) < 0.78 else (2 if q < 0.93 else 3 + int(r() * 4))
    cents = variant.price_cents(product.revision(created_ts))
    return _Item(variant, product, product.title, cents, quantity, False, quantity >= 3)


def _ledger(items: list[_Item], rate: float, percent: int, tax_bps: int, included: bool) -> list[Amounts]:
    """The amounts of each line in cents of one currency."""
    rows = []
    for item in items:
        unit = item.cents if rate == 1.0 else round(item.cents * rate)
        original = unit * item.quantity
        automatic = original * AUTOMATIC_DISCOUNT[1] // 100 if item.automatic else 0
        rows.append((unit, original, automatic))
    codes = _code_shares(items, rows, percent) if percent else [0] * len(rows)
    ledger = []
    for item, (unit, original, automatic), code in zip(items, rows, codes, strict=True):
        net = original - automatic - code
        taxed = item.variant.taxable if item.variant is not None else not item.is_gift_card
        tax = _tax(net, tax_bps, included) if taxed else 0
        ledger.append((unit, original, automatic, code, net, tax))
    return ledger


def _code_shares(items: list[_Item], rows: list[tuple[int, int, int]], percent: int) -> list[int]:
    """A code takes a part of the whole order; what rounding leaves over goes to the first lines that can bear it."""
    bases = [
        0 if item.is_gift_card else original - automatic
        for item, (_, original, automatic) in zip(items, rows, strict=True)
    ]
    codes = [base * percent // 100 for base in bases]
    left = sum(bases) * percent // 100 - sum(codes)
    for index, base in enumerate(bases):
        if left and codes[index] < base:
            codes[index] += 1
            left -= 1
    return codes
