"""One order of the store, and what is known of a customer: what the API faces hold on to.

Belongs here: the skeleton and reading its content and its state. Does not belong here: making either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

from hotdash_pipelines.demo.world.shop_orders import Basket, Line
from hotdash_pipelines.demo.world.shop_people import Customer, Visit
from hotdash_pipelines.demo.world.shop_timeline import OrderEvent, OrderState, fold


class OrderBook(Protocol):
    """What an order asks of the shop that it belongs to."""

    def orders_before(self, day: date) -> int:
        """How many orders the days before `day` have."""
        ...

    def day_start_ts(self, day: date) -> int:
        """The first second of the store's day."""
        ...

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with that number."""
        ...

    def details_of(self, order: Order) -> tuple[Basket, tuple[OrderEvent, ...]]:
        """The order's basket and events, made anew."""
        ...


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What a customer has done up to an instant: orders (no test orders), net payments in cents, last change."""

    orders: int
    spent_cents: int
    updated_ts: int


class Order:
    """One order: a light skeleton; basket and events are made when first read, and may be made again later."""

    __slots__ = (
        "_details",
        "_shop",
        "created_ts",
        "customer_id",
        "day",
        "id",
        "index",
        "is_test",
        "mutations",
        "visit",
    )

    def __init__(
        self, shop: OrderBook, day: date, index: int, order_id: int, created_ts: int, customer_id: int | None,
        visit: Visit, is_test: bool,
    ) -> None:  # fmt: skip
        self._shop = shop
        self._details: tuple[Basket, tuple[OrderEvent, ...]] | None = None
        self.day = day
        self.index = index
        self.id = order_id
        self.created_ts = created_ts
        self.customer_id = customer_id
        self.visit = visit
        self.is_test = is_test
        # What the control plane changed: (epoch seconds, field -> value), oldest first.
        self.mutations: list[tuple[int, Mapping[str, Any]]] = []

    @property
    def name(self) -> str:
        """The number buyers see, `#1001` for the store's first order."""
        return f"#{1001 + self._shop.orders_before(self.day) + self.index}"

    @property
    def created_at(self) -> datetime:
        """When the order was created."""
        return datetime.fromtimestamp(self.created_ts, UTC)

    @property
    def processed_ts(self) -> int:
        """Epoch seconds of the sale: for one order in fifty, entered late, up to 70 minutes before, the same day."""
        if self.id % 50 != 7:
            return self.created_ts
        return max(self._shop.day_start_ts(self.day), self.created_ts - (self.id % 7 + 1) * 600)

    @property
    def processed_at(self) -> datetime:
        """When the sale took place."""
        return datetime.fromtimestamp(self.processed_ts, UTC)

    @property
    def customer(self) -> Customer | None:
        """Who ordered; None for a guest."""
        return None if self.customer_id is None else self._shop.customer(self.customer_id)

    @property
    def basket(self) -> Basket:
        """Lines and money as placed; what staff added since is in the basket of `state`."""
        return (self._details or self._shop.details_of(self))[0]

    @property
    def events(self) -> tuple[OrderEvent, ...]:
        """Everything that ever happens to the order, oldest first, regardless of the clock."""
        return (self._details or self._shop.details_of(self))[1]

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines as placed."""
        return self.basket.lines

    @property
    def total(self) -> Decimal:
        """The total as placed, in the shop's currency, tax and shipping included."""
        return Decimal(self.basket.total.shop).scaleb(-2)

    def state(self, now_ts: int) -> OrderState:
        """The order as it stood at `now_ts` (epoch seconds)."""
        return fold(self.basket, self.events, now_ts)

    def updated_ts(self, now_ts: int) -> int:
        """The last change at or before `now_ts`, both in epoch seconds."""
        last = self.created_ts
        for event in self.events:
            if event.ts > now_ts:
                break
            last = event.ts
        return max(last, *(ts for ts, _ in self.mutations if ts <= now_ts)) if self.mutations else last
