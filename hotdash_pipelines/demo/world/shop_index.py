"""Where to find orders: by the time anything happened to them, by who placed them, and which records are gone.

Belongs here: indexes over days already describable, filled day by day when first needed. Does not belong here: what
an order is, or which of its changes is the last by now.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from hotdash_pipelines.demo.world.shop_order import Order
from hotdash_pipelines.demo.world.shop_timeline import DAY, MAX_AGE_DAYS

# A cancelled or test order that is deleted one day goes within so many days of its creation.
DELETED_WITHIN_DAYS = 8
OrdersOn = Callable[[date], Sequence[Order]]
Change = tuple[int, int, Order]


class ChangeIndex:
    """Everything that ever happens to any order, as (epoch seconds, order id, order), by UTC day."""

    def __init__(self, orders_on: OrdersOn) -> None:
        self._orders_on = orders_on
        self._indexed: set[date] = set()
        self._buckets: dict[int, list[Change]] = {}
        self._unsorted: set[int] = set()

    def between(self, start_ts: int, end_ts: int) -> list[Change]:
        """What happens in `[start_ts, end_ts)`, sorted; an order appears once for each time something happens."""
        changes: list[Change] = []
        for number in range(start_ts // DAY, (end_ts - 1) // DAY + 1):
            bucket = self._bucket(number)
            changes += bucket[bisect_left(bucket, (start_ts,)) : bisect_left(bucket, (end_ts,))]
        return changes

    def add(self, ts: int, order: Order) -> None:
        """File one more change of an order, unless one of that second is filed already."""
        if (ts, order.id) not in [entry[:2] for entry in self._bucket(ts // DAY)]:
            self._file(ts, order)

    def _bucket(self, number: int) -> list[Change]:
        # A store's day begins up to half a day off the UTC day; nothing happens to an order after MAX_AGE_DAYS.
        last = datetime.fromtimestamp(number * DAY, UTC).date() + timedelta(days=1)
        for back in range(MAX_AGE_DAYS + 2):
            day = last - timedelta(days=back)
            if day not in self._indexed:
                self._indexed.add(day)
                for order in self._orders_on(day):
                    for ts in {event.ts for event in order.events}:
                        self._file(ts, order)
        bucket = self._buckets.setdefault(number, [])
        if number in self._unsorted:
            bucket.sort(key=lambda entry: entry[:2])
            self._unsorted.discard(number)
        return bucket

    def _file(self, ts: int, order: Order) -> None:
        self._buckets.setdefault(ts // DAY, []).append((ts, order.id, order))
        self._unsorted.add(ts // DAY)


class CustomerIndex:
    """The orders of each customer, who orders within `loyal_days` of being created or not at all."""

    def __init__(self, orders_on: OrdersOn, loyal_days: int) -> None:
        self._orders_on = orders_on
        self._loyal_days = loyal_days
        self._linked: set[date] = set()
        self._complete: set[tuple[date, date]] = set()
        self._orders: dict[int, list[Order]] = {}

    def orders_of(self, customer_id: int, created_on: date, until: date) -> list[Order]:
        """The customer's orders up to the day `until` at least, oldest first; maybe some later ones."""
        last = min(until, created_on + timedelta(days=self._loyal_days))
        if (created_on, last) not in self._complete:
            for number in range((last - created_on).days + 1):
                self._link(created_on + timedelta(days=number))
            self._complete.add((created_on, last))
        return self._orders.get(customer_id, [])

    def _link(self, day: date) -> None:
        if day in self._linked:
            return
        self._linked.add(day)
        for order in self._orders_on(day):
            if order.customer_id is not None:
                filed = self._orders.setdefault(order.customer_id, [])
                filed.append(order)
                # Days are linked in any order.
                if len(filed) > 1 and filed[-2].id > order.id:
                    filed.sort(key=lambda filed_order: filed_order.id)


class Removal(NamedTuple):
    """A record that is gone from `ts` on. `kind` is ORDER, CUSTOMER or PRODUCT.

    A merge puts `heir` in a customer's place. Not all is told by events: no merge is, as Shopify does not.
    """

    ts: int
    kind: str
    id: int
    heir: int | None = None
    is_told: bool = True


class Removals:
    """What was deleted or merged: by hand, and by the roughness kinds `deleted_orders` and `merged_customers`.

    `signed_up` gives when a customer signs up, in epoch seconds, None for an id that is nobody's.
    """

    def __init__(
        self, orders_on: OrdersOn, is_rough: Callable[..., bool], signed_up: Callable[[int], int | None]
    ) -> None:
        self._orders_on = orders_on
        self._is_rough = is_rough
        self._signed_up = signed_up
        self._planted: dict[tuple[str, int], Removal] = {}

    def plant(self, removal: Removal) -> None:
        """Take a record away by hand; the first removal of a record counts."""
        self._planted.setdefault((removal.kind, removal.id), removal)

    def of(self, kind: str, number: int) -> Removal | None:
        """How a record is taken away, whether or not it has gone by now; of orders what was done by hand alone."""
        return self._planted.get((kind, number)) or (self.merge_of(number) if kind == "CUSTOMER" else None)

    def merge_of(self, customer_id: int) -> Removal | None:
        """How a customer turns out of itself to be the one who signed up before them, None if they do not."""
        heir = customer_id - 1
        if not self._is_rough("merged_customers", customer_id) or self._is_rough("merged_customers", heir):
            return None
        signed_up = self._signed_up(customer_id)
        if signed_up is None or self._signed_up(heir) is None:
            return None
        return Removal(signed_up + 2 * DAY + customer_id * 2_654_435_761 % (2 * DAY), "CUSTOMER", customer_id, heir)

    def heir_of(self, customer_id: int, now_ts: int) -> int | None:
        """The customer then in this one's place: itself, the one it was merged into, or None if it was deleted."""
        seen: set[int] = set()
        number: int | None = customer_id
        while number is not None and number not in seen:
            seen.add(number)
            removal = self.of("CUSTOMER", number)
            if removal is None or removal.ts > now_ts:
                break
            number = removal.heir
        return number

    def of_order(self, order: Order) -> Removal | None:
        """How an order goes, by hand or of itself, whether or not it has gone by now."""
        planted = self._planted.get(("ORDER", order.id))
        if planted is not None or not self._is_rough("deleted_orders", order.id):
            return planted
        cancelled = next((event.ts for event in order.events if event.kind == "cancel"), None)
        if cancelled is None and not order.is_test:
            return None
        ts = (cancelled or order.created_ts) + DAY + order.id * 2_654_435_761 % (4 * DAY)
        return Removal(ts, "ORDER", order.id, is_told=not self._is_rough("untold_deletions", order.id))

    def orders_gone(self, now_ts: int) -> int:
        """How many orders were taken away by hand by now."""
        return sum(removal.kind == "ORDER" and removal.ts <= now_ts for removal in self._planted.values())

    def told_between(self, start_ts: int, end_ts: int) -> list[Removal]:
        """Deletions of orders and customers in `[start_ts, end_ts)`, oldest first; merges are not told."""
        told = list(self._planted.values())
        day = datetime.fromtimestamp(start_ts, UTC).date() - timedelta(days=DELETED_WITHIN_DAYS)
        while day <= datetime.fromtimestamp(end_ts, UTC).date():
            told += [removal for order in self._orders_on(day) if (removal := self.of_order(order)) is not None]
            day += timedelta(days=1)
        return sorted({one for one in told if start_ts <= one.ts < end_ts and one.heir is None and one.is_told})
