"""The events of one order while they are drawn, and what is left of it then.

Belongs here: adding an event, with what it takes or adds. Does not belong here: which events there are (`order_life`).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from hotdash_pipelines.demo.world.shop_orders import ZERO, Basket, Line, Money, Repricing, to_cash
from hotdash_pipelines.demo.world.shop_timeline import OrderEvent, Refund, RefundItem


class Drafter:
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
        # What can be given back, which fees cannot.
        self.left = basket.total.minus(basket.fees)
        self.shipping_left = basket.shipping
        self.duties_left = basket.duties
        self.refunds = 0
        self.events: list[OrderEvent] = []

    def add(self, ts: int, kind: str, payload: object = None) -> None:
        """Something happens."""
        self.events.append(OrderEvent(ts, kind, payload))

    def add_line(self, ts: int, line: Line) -> Money:
        """Staff add a line; what it costs the buyer."""
        before, self.basket = self.basket.total, self.basket.with_line(line)
        cost = self.basket.total.minus(before)
        self.taken.append(0)
        self.left = self.left.plus(cost)
        self.add(ts, "edit", line)
        return cost

    def reprice(self, ts: int, repricing: Repricing) -> None:
        """Staff lower the price of a line of which no unit is taken away yet."""
        before, self.basket = self.basket.total, self.basket.with_repricing(repricing)
        self.left = self.left.minus(before.minus(self.basket.total))
        self.add(ts, "edit", repricing)

    def take(self, index: int, quantity: int, restock_type: str) -> RefundItem:
        """Take units of a line away; shares are cumulative, so taking all of them leaves exactly nothing."""
        line = self.basket.lines[index]
        before, after = self.taken[index], self.taken[index] + quantity
        subtotal = line.net.share(after, line.quantity).minus(line.net.share(before, line.quantity))
        tax = line.tax.share(after, line.quantity).minus(line.tax.share(before, line.quantity))
        self.taken[index] = after
        self.left = self.left.minus(self.paid_for(subtotal, tax))
        return RefundItem(index, quantity, subtotal, tax, restock_type)

    def owed(self) -> Money:
        """What the order costs as it stands."""
        return self.left.plus(self.basket.fees)

    def paid_for(self, net: Money, tax: Money) -> Money:
        """What was paid for a part of the order, whose net price holds the tax where prices do."""
        return net if self.basket.taxes_included else net.plus(tax)

    def remaining(self) -> list[int]:
        """Places of the goods of which units are left."""
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
