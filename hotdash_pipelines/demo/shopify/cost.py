"""What a query costs, and the bucket it is paid from.

Belongs here: the two cost rules, the shop's plan, the leaky bucket on the virtual clock. Does not belong here: the
wire format of a throttled answer.

Rules. `published`: scalar and enum 0, object 1, connection `2 + first * node`, a list sized by `first` likewise
without the 2. `observed`: the same, but sized by `1 + 2 ln(first)` instead of `first`, and money objects free; it
reproduces figures people report (`variants(first: 250)` with one object each: 25 asked for, where the published rule
gives 503).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

from hotdash_pipelines.demo.clock import VirtualClock

MONEY_TYPES = frozenset({"MoneyBag", "MoneyV2"})


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The limits of a shop. The rate limit is points a second; `max_query_cost` bounds a single query."""

    maximum_available: float = 20_000.0
    restore_rate: float = 1_000.0
    max_query_cost: float = 20_000.0
    rule: str = "observed"

    def size(self, count: int) -> float:
        """By how much a connection of `count` nodes multiplies the cost of one node."""
        if self.rule == "published" or count <= 1:
            return float(count)
        return min(float(count), 1 + 2 * math.log(count))

    def object_cost(self, type_name: str) -> int:
        """The cost of one object of this type, without its fields; what only carries a page is free."""
        if type_name == "PageInfo" or type_name.endswith("Edge"):
            return 0
        return 0 if self.rule == "observed" and type_name in MONEY_TYPES else 1


# The demo's default lets a first load pass unthrottled; STANDARD and PLUS are what Shopify documents.
GENEROUS = QueryPlan()
STANDARD = QueryPlan(2_000.0, 100.0, 1_000.0, "published")
PLUS = QueryPlan(20_000.0, 1_000.0, 1_000.0, "published")
PLANS = {"generous": GENEROUS, "standard": STANDARD, "plus": PLUS}


class Bucket:
    """A leaky bucket that refills with virtual time.

    On a frozen clock time never refills it, and a client that waits in real time would wait in vain: there a refused
    query fills the bucket at once, and the status answered says so, so that the wait a client computes is none.
    """

    def __init__(self, plan: QueryPlan, clock: VirtualClock) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self.plan = plan
        self._available = plan.maximum_available
        self._at = clock.now()

    def use(self, plan: QueryPlan) -> None:
        """Change the shop's plan; the new bucket starts full."""
        with self._lock:
            self.plan, self._available, self._at = plan, plan.maximum_available, self._clock.now()

    def reserve(self, cost: float) -> tuple[bool, dict[str, float]]:
        """Take `cost` points if they are there: (whether they were, the throttle status to answer with)."""
        with self._lock:
            self._refill()
            granted = cost <= self._available
            if granted:
                self._available -= cost
            elif self._clock.is_frozen:
                self._available = self.plan.maximum_available
            return granted, self._status()

    def refund(self, cost: float) -> dict[str, float]:
        """Give `cost` points back, and tell the throttle status after it."""
        with self._lock:
            self._refill()
            self._available = min(self.plan.maximum_available, self._available + max(0.0, cost))
            return self._status()

    def drain(self) -> None:
        """Empty the bucket."""
        with self._lock:
            self._refill()
            self._available = 0.0

    def _refill(self) -> None:
        now = self._clock.now()
        passed = max(0.0, (now - self._at).total_seconds())
        self._available = min(self.plan.maximum_available, self._available + passed * self.plan.restore_rate)
        self._at = now

    def _status(self) -> dict[str, float]:
        return {
            "maximumAvailable": self.plan.maximum_available,
            "currentlyAvailable": math.floor(self._available),
            "restoreRate": self.plan.restore_rate,
        }


def cost_report(requested: float, actual: float | None, status: dict[str, float]) -> dict[str, Any]:
    """The value of `extensions.cost`."""
    return {
        "requestedQueryCost": math.ceil(requested),
        "actualQueryCost": None if actual is None else math.ceil(actual),
        "throttleStatus": status,
    }
