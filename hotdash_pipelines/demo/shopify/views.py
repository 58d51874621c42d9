"""What the resolvers of orders read from: an order as it stands now, and its parts.

Belongs here: sources of fields, and short listings of them. Does not belong here: any field.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hotdash_pipelines.demo.shopify.values import Bag
from hotdash_pipelines.demo.world.shop import Order, Shop
from hotdash_pipelines.demo.world.shop_orders import ZERO, Line, Money
from hotdash_pipelines.demo.world.shop_timeline import Refund, RefundItem

REFUND_ID_FACTOR = 10
# The kinds of discounts, as the types of their applications are called.
CODE, AUTOMATIC, MANUAL = "DiscountCodeApplication", "AutomaticDiscountApplication", "ManualDiscountApplication"


class OrderView:
    """An order as it stands now, with what its fields share; `basket` is before returns, added lines in it."""

    __slots__ = ("basket", "currency", "now", "order", "shop", "state")

    def __init__(self, shop: Shop, order: Order, now: int) -> None:
        self.shop = shop
        self.order = order
        self.now = now
        self.state = order.state(now)
        self.basket = self.state.basket
        self.currency = self.basket.currency

    def bag(self, money: Money) -> Bag:
        """A money bag in the order's two currencies."""
        return Bag(money, self.shop.currency, self.currency)

    def overlay(self) -> dict[str, Any] | None:
        """What the control plane put over the order's fields."""
        mutations = self.order.mutations
        if not mutations:
            return None
        changes: dict[str, Any] = {}
        for ts, fields in mutations:
            if ts <= self.now:
                changes.update(fields)
        return changes

    def lines(self) -> list[LineView]:
        """The order's lines, in the order they were added."""
        return [LineView(self, index, line) for index, line in enumerate(self.basket.lines)]

    def refunds(self) -> list[RefundView]:
        """The refunds made so far, oldest first."""
        return [RefundView(self, refund) for refund in self.state.refunds]


class LineView(NamedTuple):
    """A line of an order as it stands now."""

    view: OrderView
    position: int
    line: Line

    def left(self) -> int:
        """Units neither removed nor refunded."""
        return self.line.quantity - self.view.state.taken.get(self.position, 0)


class RefundView(NamedTuple):
    """A refund of an order."""

    view: OrderView
    refund: Refund

    def number(self) -> int:
        """The refund's numeric id."""
        return self.view.order.id * REFUND_ID_FACTOR + self.refund.number


class RefundItemView(NamedTuple):
    """Units of a line given back."""

    view: OrderView
    refund: Refund
    item: RefundItem
    position: int


class DiscountView(NamedTuple):
    """A discount application of an order: a code over the whole order, or one on lines, automatic or by staff."""

    view: OrderView
    kind: str
    position: int

    def is_code(self) -> bool:
        """Whether it counts for the whole order."""
        return self.kind == CODE


class AllocationView(NamedTuple):
    """The part of a discount that falls to one line."""

    application: DiscountView
    money: Money


class TaxView(NamedTuple):
    """A tax on a line or an order."""

    view: OrderView
    money: Money


class TransactionView(NamedTuple):
    """Money that changed hands; `rounding` is what was rounded of it in coins."""

    view: OrderView
    kind: str
    ts: int
    money: Money
    number: int
    rounding: Money = ZERO
    status: str = "SUCCESS"


class VisitView(NamedTuple):
    """A visit before the order; `lead` is how many seconds before."""

    view: OrderView
    lead: int


def first_of(items: list[Any], arguments: dict[str, Any]) -> list[Any]:
    """The first of a plain list, as many as the argument `first` says; all without it."""
    first = arguments.get("first")
    return items if first is None else items[:first]


def taxes_of(view: OrderView, money: Money) -> list[TaxView]:
    """The taxes that make up an amount: one, or none where it is nothing."""
    return [TaxView(view, money)] if money.shop or money.presentment else []
