"""The store: which orders, customers and products exist, found by day, by id and by time of change.

Belongs here: the façade every API face reads, and the days' skeletons. Does not belong here: baskets (`shop_orders`),
what happens to an order (`shop_timeline`), or any wire format.

Days are made one by one, when first asked for, from a generator seeded with (seed, day); so the world does not depend
on the order of access, and only the days needed are made. It does not depend on the clock either: the clock decides
what is visible, which is up to `orders_updated_between`, `customers` and the API faces.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.drafts.order_life import draft_events
from hotdash_pipelines.demo.world.shop_catalog import Product, Variant, make_products
from hotdash_pipelines.demo.world.shop_index import ChangeIndex, CustomerIndex, Removal, Removals
from hotdash_pipelines.demo.world.shop_order import CustomerFacts, Order
from hotdash_pipelines.demo.world.shop_orders import Basket, Line, draw_addition, fill_basket
from hotdash_pipelines.demo.world.shop_people import Customer, Visit, make_customer, make_visits, place_of
from hotdash_pipelines.demo.world.shop_timeline import OrderEvent

__all__ = ["Customer", "CustomerFacts", "Line", "Order", "Product", "Shop", "Variant", "Visit"]

OPENED_ON = date(2024, 1, 1)
ORDER_ID_BASE = 5_000_000_000_000
CUSTOMER_ID_BASE = 7_000_000_000_000
# Room for a million orders a day: an id tells its day, so nothing has to be searched.
IDS_A_DAY = 1_000_000
# A customer orders again within this many days of the first order, or never.
LOYAL_DAYS = 90
ALL_SCOPES = frozenset({"read_orders", "read_all_orders", "read_customers", "read_products", "read_inventory"})
# So many orders keep their baskets in memory; an older one is made again when asked for.
KEPT_BASKETS = 60_000
GIANT_ORDER_LINES = 300

_MOVES_CUSTOMER = frozenset({"create", "pay", "edit", "refund", "cancel"})
_WEEKDAY = (1.0, 0.94, 0.95, 0.98, 1.08, 1.1, 0.95)
# Share of a day's orders by local hour, as a table to draw from evenly.
_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 6, 6, 6, 6, 6, 7, 8, 8, 7, 5, 3)
_HOURS = tuple(hour for hour, weight in enumerate(_HOUR_WEIGHTS) for _ in range(weight))


class Shop:
    """One store of `scale` times 10,000 orders a day, the same for the same seed.

    Instants are epoch seconds where a name ends in `_ts`, aware datetimes otherwise. Safe to use from several threads.
    """

    currency = "USD"

    def __init__(
        self,
        seed: int,
        scale: float,
        clock: VirtualClock,
        time_zone: str = "America/New_York",
        roughness: Roughness | None = None,
    ) -> None:
        if not 0 < scale <= 50:
            raise ValueError("scale must lie above 0 and be at most 50")
        self.seed = seed
        self.scale = scale
        self.clock = clock
        self.roughness = roughness or Roughness.read()
        # What the merchant granted the app.
        self.app_scopes = ALL_SCOPES
        self.time_zone = time_zone
        self.zone = ZoneInfo(time_zone)
        self.opened_ts = self.day_start_ts(OPENED_ON)
        self.products: tuple[Product, ...] = make_products(
            max(20, int(400 * scale)), self.opened_ts, rng(seed, "products")
        )
        self.products_by_id = {product.id: product for product in self.products}
        self._visits = make_visits([product.handle for product in self.products], rng(seed, "visits"))
        self._lock = threading.RLock()
        self._days: dict[date, tuple[Order, ...]] = {}
        self._counts: dict[date, tuple[int, int]] = {}
        self._before: list[int] = [0]
        self._newcomers: dict[date, list[int]] = {}
        self._with_details: deque[Order] = deque()
        self._changes = ChangeIndex(self.orders_created_on)
        self.removals = Removals(self.orders_created_on, self.is_rough, self._signed_up)
        self._by_customer = CustomerIndex(self.orders_created_on, LOYAL_DAYS)
        self._customers: dict[int, Customer] = {}
        self.mutated_customers: dict[int, list[tuple[int, Mapping[str, Any]]]] = {}

    # The calendar of the store.

    @lru_cache(maxsize=4096)  # noqa: B019 - a shop lives as long as its process
    def day_start_ts(self, day: date) -> int:
        """Epoch seconds of 00:00 store time on `day`."""
        return int(datetime.combine(day, time(), self.zone).timestamp())

    def day_of(self, ts: int) -> date:
        """The business day, in the store's zone, of an instant in epoch seconds."""
        return datetime.fromtimestamp(ts, self.zone).date()

    def now_ts(self) -> int:
        """The clock's instant in whole epoch seconds."""
        return int(self.clock.now().timestamp())

    def is_rough(self, kind: str, *labels: object) -> bool:
        """Whether this kind of roughness hits what the labels name; the same answer whenever it is asked."""
        return self.roughness.hits(kind, self.seed, *labels)

    # Orders.

    def orders_created_on(self, day: date) -> Sequence[Order]:
        """The orders of a business day, oldest first, ids ascending; regardless of the clock."""
        orders = self._days.get(day)
        if orders is None:
            with self._lock:
                orders = self._days.get(day) or self._make_day(day)
                self._days[day] = orders
        return orders

    def order(self, order_id: int) -> Order | None:
        """The order with this id, or None."""
        offset = order_id - ORDER_ID_BASE
        if not 0 <= offset < 30_000 * IDS_A_DAY:
            return None
        orders = self.orders_created_on(OPENED_ON + timedelta(days=offset // IDS_A_DAY))
        index = offset % IDS_A_DAY - 1
        return orders[index] if 0 <= index < len(orders) else None

    def orders_before(self, day: date) -> int:
        """How many orders the store had seen before `day`."""
        number = max(0, (day - OPENED_ON).days)
        with self._lock:
            while len(self._before) <= number:
                passed = OPENED_ON + timedelta(days=len(self._before) - 1)
                self._before.append(self._before[-1] + self._day_counts(passed)[0])
        return self._before[number]

    def orders_updated_between(self, start: datetime, end: datetime) -> list[Order]:
        """Orders whose last change up to now lies in `[start, end)`, sorted by (last change, id)."""
        return [entry[2] for entry in self.changes_between(int(start.timestamp()), int(end.timestamp()))]

    def changes_between(self, start_ts: int, end_ts: int) -> list[tuple[int, int, Order]]:
        """`(updated_ts, id, order)` for every order last changed in `[start_ts, end_ts)` as of now, sorted."""
        now = self.now_ts()
        start_ts = max(start_ts, self.opened_ts)
        end_ts = min(end_ts, now + 1)
        with self._lock:
            happened = self._changes.between(start_ts, end_ts)
        return [entry for entry in happened if entry[2].updated_ts(now) == entry[0]]

    def mutate_order(self, order_id: int, changes: Mapping[str, Any]) -> int:
        """Overlay fields of an order from now on; moves its `updated_ts` to now, which is returned.

        Raises KeyError if there is no such order yet.
        """
        now = self.now_ts()
        order = self.order(order_id)
        if order is None or order.created_ts > now:
            raise KeyError(order_id)
        with self._lock:
            order.mutations.append((now, dict(changes)))
            self._changes.add(now, order)
        return now

    # What is gone.

    def remove(self, kind: str, number: int, heir: int | None = None, *, is_told: bool = True) -> int:
        """Delete an ORDER, CUSTOMER or PRODUCT now, or merge a customer into `heir`; the instant is returned.

        A merge moves the customer's orders, and their `updated_ts`, to the heir. No event tells of it unless `is_told`.
        Raises KeyError for a record that is not there by now.
        """
        now = self.now_ts()
        find = {"ORDER": self.order, "CUSTOMER": self.customer, "PRODUCT": self.products_by_id.get}[kind]
        if find(number) is None or (heir is not None and self.customer(heir) is None):
            raise KeyError(number)
        self.removals.plant(Removal(now, kind, number, heir, is_told))
        if heir is not None:
            for order in self.orders_of(number, self.day_of(now)):
                if order.created_ts <= now:
                    self.mutate_order(order.id, {})
            self.mutate_customer(heir, {})
        return now

    def is_gone(self, kind: str, number: int) -> bool:
        """Whether a record was deleted, or merged into another, by now."""
        if kind == "ORDER":
            order = self.order(number)
            removal = None if order is None else self.removals.of_order(order)
        else:
            removal = self.removals.of(kind, number)
        return removal is not None and removal.ts <= self.now_ts()

    # Customers.

    def customer(self, customer_id: int) -> Customer | None:
        """The customer with this id, or None; regardless of the clock."""
        known = self._customers.get(customer_id)
        if known is None:
            day, index = self._customer_key(customer_id)
            created = self._newcomer_times(day)
            if not 0 <= index < len(created):
                return None
            place = place_of(self.seed, customer_id)
            known = make_customer(customer_id, created[index], place, rng(self.seed, "customer", customer_id))
            self._customers[customer_id] = known
        return known

    def customers_created_on(self, day: date) -> list[Customer]:
        """The customers of a business day, oldest first; regardless of the clock."""
        base = CUSTOMER_ID_BASE + (day - OPENED_ON).days * IDS_A_DAY + 1
        made = (self.customer(base + index) for index in range(len(self._newcomer_times(day))))
        return [customer for customer in made if customer is not None]

    @property
    def customers(self) -> list[Customer]:
        """Everyone who is a customer by now, oldest first. Long: it makes every day since the opening."""
        now = self.now_ts()
        days = (self.day_of(now) - OPENED_ON).days
        customers = [c for n in range(days + 1) for c in self.customers_created_on(OPENED_ON + timedelta(days=n))]
        return [customer for customer in customers if customer.created_at.timestamp() <= now]

    def orders_of(self, customer_id: int, until: date | None = None) -> list[Order]:
        """Every order the customer ever places, oldest first; `until` a day saves looking further than needed."""
        day, _ = self._customer_key(customer_id)
        with self._lock:
            return self._by_customer.orders_of(customer_id, day, until or day + timedelta(days=LOYAL_DAYS))

    def customer_order_number(self, order: Order) -> int | None:
        """Which of the customer's orders this is by now, 1 for the first; None for a guest's and for a test order."""
        if order.customer_id is None or order.is_test:
            return None
        earlier = (other for other in self.orders_of(order.customer_id, order.day) if other.id < order.id)
        return 1 + sum(not other.is_test and not self.is_gone("ORDER", other.id) for other in earlier)

    def customer_facts(self, customer: Customer, now_ts: int) -> CustomerFacts:
        """Number of orders, spend in the shop's currency and last change, all as of `now_ts`, without deleted orders.

        A customer changes when they order, and when an order of theirs is paid, edited, refunded or cancelled.
        """
        count = spent = 0
        for order in self.orders_of(customer.id, self.day_of(now_ts)):
            if order.created_ts > now_ts:
                break
            if not order.is_test and not self.is_gone("ORDER", order.id):
                state = order.state(now_ts)
                count += 1
                spent += state.received.shop - state.refunded.shop
        return CustomerFacts(count, spent, self.customer_updated_ts(customer, now_ts))

    def customer_updated_ts(self, customer: Customer, now_ts: int) -> int:
        """The customer's last change at or before `now_ts`, both in epoch seconds."""
        updated = int(customer.created_at.timestamp())
        for order in self.orders_of(customer.id, self.day_of(now_ts)):
            if order.created_ts > now_ts:
                break
            for event in order.events:
                if updated < event.ts <= now_ts and event.kind in _MOVES_CUSTOMER:
                    updated = event.ts
        changes = [ts for ts, _ in self.mutated_customers.get(customer.id, ())]
        if (merge := self.removals.merge_of(customer.id + 1)) is not None:
            changes.append(merge.ts)
        return max([updated, *(ts for ts in changes if ts <= now_ts)])

    def customers_updated_between(self, start_ts: int, end_ts: int) -> list[tuple[int, int, Customer]]:
        """`(updated_ts, id, customer)` for every customer last changed in `[start_ts, end_ts)` as of now, sorted."""
        now = self.now_ts()
        start_ts, end_ts = max(start_ts, self.opened_ts), min(end_ts, now + 1)
        touched = {mutated for mutated, changes in self.mutated_customers.items() if changes}
        with self._lock:
            happened = self._changes.between(start_ts, end_ts)
        touched.update(entry[2].customer_id for entry in happened if entry[2].customer_id is not None)
        # Who is merged into another changes that one.
        touched.update([merge.heir for one in touched if (merge := self.removals.merge_of(one)) and merge.heir])
        updates = []
        for customer_id in touched:
            customer = self.customer(customer_id)
            if customer is not None:
                updated = self.customer_updated_ts(customer, now)
                if start_ts <= updated < end_ts:
                    updates.append((updated, customer_id, customer))
        return sorted(updates, key=lambda entry: entry[:2])

    def mutate_customer(self, customer_id: int, changes: Mapping[str, Any]) -> int:
        """Overlay fields of a customer from now on; moves their `updated_ts` to now, which is returned.

        Raises KeyError if there is no such customer yet.
        """
        now = self.now_ts()
        customer = self.customer(customer_id)
        if customer is None or customer.created_at.timestamp() > now:
            raise KeyError(customer_id)
        self.mutated_customers.setdefault(customer_id, []).append((now, dict(changes)))
        return now

    # How a day is made.

    def _day_counts(self, day: date) -> tuple[int, int]:
        """How many orders and how many new customers a day has."""
        counts = self._counts.get(day)
        if counts is None:
            if day < OPENED_ON:
                counts = (0, 0)
            else:
                noise = 0.92 + 0.16 * rng(self.seed, "count", day).random()
                orders = max(1, round(10_000 * self.scale * _WEEKDAY[day.weekday()] * noise))
                counts = (orders, max(1, round(orders * 0.55)))
            self._counts[day] = counts
        return counts

    def _make_day(self, day: date) -> tuple[Order, ...]:
        count, newcomers = self._day_counts(day)
        number = (day - OPENED_ON).days
        start, end = self.day_start_ts(day), self.day_start_ts(day + timedelta(days=1))
        r = rng(self.seed, "orders", day).random
        length = end - start
        times = sorted(start + int((_HOURS[int(r() * len(_HOURS))] + r()) * length / 24) for _ in range(count))
        if times and number % 3 == 0:
            times[0], times[-1] = start, end - 1
        base = ORDER_ID_BASE + number * IDS_A_DAY + 1
        customer_base = CUSTOMER_ID_BASE + number * IDS_A_DAY + 1
        new_left, seats_left, visits = newcomers, count, self._visits
        orders = []
        first_orders: list[int] = []
        for index, created in enumerate(times):
            customer_id: int | None
            if r() * seats_left < new_left:
                customer_id = customer_base + newcomers - new_left
                new_left -= 1
                first_orders.append(created - 60)
            else:
                customer_id = self._returning(day, r) if r() < 0.82 else None
            seats_left -= 1
            visit = visits[int(r() * len(visits))]
            orders.append(Order(self, day, index, base + index, created, customer_id, visit, r() < 0.006))
        # Rounding may leave seats unfilled on the smallest scales: those people sign up without an order.
        first_orders += [end - 1] * new_left
        self._newcomers[day] = first_orders
        return tuple(orders)

    def _returning(self, day: date, r) -> int | None:
        back = 1 + int(r() ** 2 * (LOYAL_DAYS - 1))
        first_day = day - timedelta(days=back)
        newcomers = self._day_counts(first_day)[1]
        if not newcomers:
            return None
        return CUSTOMER_ID_BASE + (first_day - OPENED_ON).days * IDS_A_DAY + 1 + int(r() * newcomers)

    def _newcomer_times(self, day: date) -> list[int]:
        self.orders_created_on(day)
        return self._newcomers[day]

    def _signed_up(self, customer_id: int) -> int | None:
        customer = self.customer(customer_id)
        return None if customer is None else int(customer.created_at.timestamp())

    def _customer_key(self, customer_id: int) -> tuple[date, int]:
        number, index = divmod(customer_id - CUSTOMER_ID_BASE - 1, IDS_A_DAY)
        if not 0 <= number < 30_000:
            return OPENED_ON, -1
        return OPENED_ON + timedelta(days=number), index

    def details_of(self, order: Order) -> tuple[Basket, tuple[OrderEvent, ...]]:
        """Make basket and events of an order, from a seed of its own."""

        def is_rough(kind: str) -> bool:
            return self.is_rough(kind, order.id)

        random_ = rng(self.seed, "order", order.id)
        number = (order.day - OPENED_ON).days
        place = None if order.customer_id is None else place_of(self.seed, order.customer_id)
        giant = number % 7 == 3 and order.index == min(4, self._day_counts(order.day)[0] - 1)
        basket = fill_basket(
            order.id,
            order.created_ts,
            place,
            self.products,
            random_,
            line_count=GIANT_ORDER_LINES if giant else None,
            is_rough=is_rough,
        )
        addition = None
        if basket.source_name != "pos" and is_rough("added_lines"):
            added = rng(self.seed, "addition", order.id)
            addition = draw_addition(order.id, order.created_ts, basket, self.products, added)
        midnight = self.day_start_ts(order.day + timedelta(days=1))
        merge = self.removals.merge_of(order.customer_id) if order.customer_id is not None else None
        events = draft_events(order.created_ts, basket, midnight, random_, is_rough, addition, merge and merge.ts)
        order._details = (basket, events)
        with self._lock:
            self._with_details.append(order)
            if len(self._with_details) > KEPT_BASKETS:
                self._with_details.popleft()._details = None
        return basket, events
