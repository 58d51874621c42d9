"""Visits to the store's site: sessions a day by channel, landing page and device.

Belongs here: the numbers of each cell and how they settle after the day. Does not belong here: reports, or any rule of
an analytics API (`demo.ga4`).

A day is a set of cells, one for each (channel group, source, medium, campaign, landing page, device). Numbers are drawn
for a cell, not for a session, so every report of a day adds up to the same sums. Each order placed on the site (no test
order, none from the till or a draft) is a purchase session in the cell of its visit; about 2 to 3 % of sessions buy.

Numbers settle: during the day they grow with the hours, four hours after its end they stand at about 95 %, and two
days after its end they are final. They depend on the clock only, never on what was asked before.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.shop_people import CHANNELS, DEVICES, Visit

if TYPE_CHECKING:
    from hotdash_pipelines.demo.world.shop import Order, Shop

HOUR = 3_600
# Share of a day's events that have arrived when the first processing ends, and the hours it takes.
FIRST_SHARE = 0.945
FIRST_PROCESSING_S = 4 * HOUR
FINAL_AFTER_S = 48 * HOUR
KEPT_DAYS = 120


class Cell(NamedTuple):
    """Where sessions came from, where they landed and on what. Absent values are named as GA4 names them."""

    channel_group: str
    source: str
    medium: str
    campaign: str
    landing_page: str
    device: str


@dataclass(slots=True)
class Numbers:
    """The additive numbers of a cell, or of several cells; revenue in cents of the shop's currency.

    `users` adds up over cells only roughly: see `Traffic.users_of`.
    """

    sessions: int = 0
    engaged_sessions: int = 0
    users: int = 0
    new_users: int = 0
    views: int = 0
    key_events: int = 0
    purchases: int = 0
    revenue_cents: int = 0

    def add(self, other: Numbers) -> None:
        """Add another cell's numbers to these."""
        self.sessions += other.sessions
        self.engaged_sessions += other.engaged_sessions
        self.users += other.users
        self.new_users += other.new_users
        self.views += other.views
        self.key_events += other.key_events
        self.purchases += other.purchases
        self.revenue_cents += other.revenue_cents


class _Purchase(NamedTuple):
    cell: Cell
    arrives_ts: int
    revenue_cents: int


class _Day(NamedTuple):
    """A day once settled: sessions that do not buy, and the purchases with the instant each one shows up."""

    browsing: dict[Cell, Numbers]
    purchases: tuple[_Purchase, ...]


# How a channel behaves: odds that a session is engaged and that its user is new, views a session.
_HABITS: Mapping[str, tuple[float, float, float]] = {
    "Organic Search": (0.62, 0.66, 3.1),
    "Paid Search": (0.58, 0.70, 2.9),
    "Direct": (0.66, 0.42, 3.6),
    "Email": (0.70, 0.12, 4.0),
    "Organic Social": (0.44, 0.74, 1.9),
    "Paid Social": (0.38, 0.81, 1.7),
    "Referral": (0.55, 0.60, 2.4),
}
_WEEKDAY = (1.02, 1.0, 0.99, 1.0, 0.96, 0.98, 1.05)


class Traffic:
    """Sessions of the store's site as of the clock's instant. Safe to use from several threads."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._lock = threading.Lock()
        self._days: dict[date, _Day] = {}
        self._weights = self._cell_weights()
        self._served: dict[date, tuple[float, dict[Cell, Numbers]]] = {}

    def day(self, day: date) -> Mapping[Cell, Numbers]:
        """The numbers of this day as known now, by cell, cells without a session left out. Read-only."""
        now = self._shop.clock.now().timestamp()
        with self._lock:
            served = self._served.get(day)
            moment = self._last_change(day, now)
            if served is None or served[0] != moment:
                served = (moment, self._as_of(day, now))
                self._served[day] = served
                while len(self._served) > KEPT_DAYS:
                    self._served.pop(next(iter(self._served)))
            return served[1]

    def arrived_share(self, day: date, now: float) -> float:
        """The share of the day's browsing that is known at `now` (epoch seconds): 0 at its start, 1 when final."""
        start, end = self._shop.day_start_ts(day), self._shop.day_start_ts(day + timedelta(days=1))
        if now <= start:
            return 0.0
        if now < end + FIRST_PROCESSING_S:
            return FIRST_SHARE * max(0.0, now - start - FIRST_PROCESSING_S) / (end - start)
        settled = min(1.0, (now - end - FIRST_PROCESSING_S) / (FINAL_AFTER_S - FIRST_PROCESSING_S))
        return FIRST_SHARE + (1.0 - FIRST_SHARE) * settled

    @staticmethod
    def users_of(total: Numbers, cells: int) -> int:
        """Distinct users behind numbers added up over `cells` cells: fewer than the sum, as people come back."""
        if cells < 2:
            return total.users
        return min(total.sessions, round(total.users * (0.9 + 0.1 / cells)))

    def _last_change(self, day: date, now: float) -> float:
        """The instant the day's numbers are computed for: they settle in steps of ten minutes, then not at all."""
        final = self._shop.day_start_ts(day + timedelta(days=1)) + FINAL_AFTER_S
        return float(min(now // 600 * 600, final))

    def _as_of(self, day: date, now: float) -> dict[Cell, Numbers]:
        now = self._last_change(day, now)
        share = self.arrived_share(day, now)
        if share <= 0.0:
            return {}
        settled = self._days.get(day)
        if settled is None:
            settled = self._days[day] = self._settled(day)
            while len(self._days) > KEPT_DAYS:
                self._days.pop(next(iter(self._days)))
        cells = {}
        for cell, final in settled.browsing.items():
            # Rounding half up in every number keeps the order engaged <= sessions of the final ones.
            known = Numbers(
                int(final.sessions * share + 0.5),
                int(final.engaged_sessions * share + 0.5),
                int(final.users * share + 0.5),
                int(final.new_users * share + 0.5),
                int(final.views * share + 0.5),
                int(final.key_events * share + 0.5),
            )
            if known.sessions:
                cells[cell] = known
        for purchase in settled.purchases:
            if purchase.arrives_ts <= now:
                bought = Numbers(1, 1, 1, 0, 6, 1, 1, purchase.revenue_cents)
                cells.setdefault(purchase.cell, Numbers()).add(bought)
        return cells

    def _settled(self, day: date) -> _Day:
        random_ = rng(self._shop.seed, "traffic", day.isoformat())
        end = self._shop.day_start_ts(day + timedelta(days=1))
        orders = (order for order in self._shop.orders_created_on(day) if not order.is_test)
        purchases = tuple(_purchase(order, end) for order in orders if order.basket.source_name == "web")
        wanted = len(purchases) / (0.021 + 0.008 * random_.random()) * _WEEKDAY[day.weekday()] - len(purchases)
        moods = {group: 0.85 + 0.3 * random_.random() for group in _HABITS}
        browsing = {}
        r = random_.random
        for cell, weight in self._weights.items():
            expected = wanted * weight * moods[cell.channel_group] * (0.75 + 0.5 * r())
            sessions = int(expected + r())
            if sessions:
                browsing[cell] = _browse(sessions, cell.channel_group, random_)
        return _Day(browsing, purchases)

    def _cell_weights(self) -> dict[Cell, float]:
        """The share of each cell in the day's sessions: channel by weight, page by the channel, device by use."""
        pages = ["/", "/collections/all", "/collections/new", "/collections/sale", "/pages/about", ""]
        pages += [f"/products/{product.handle}" for product in self._shop.products[:24]]
        weights: dict[Cell, float] = {}
        random_ = rng(self._shop.seed, "landing pages")
        for weight, source, medium, campaign, group in CHANNELS:
            shares = [random_.random() ** 2 + (1.5 if page == "/" else 0.05) for page in pages]
            for page, share in zip(pages, shares, strict=True):
                for device in DEVICES:
                    cell = cell_of(Visit(source, medium, campaign, group, page, device))
                    weights[cell] = weights.get(cell, 0.0) + weight * share / sum(shares)
        total = sum(weights.values())
        return {cell: weight / total for cell, weight in weights.items()}


def cell_of(visit: Visit) -> Cell:
    """The cell a visit counts in. A session without a campaign is named after its kind, as GA4 does."""
    unnamed = {"organic": "(organic)", "(none)": "(direct)", "referral": "(referral)"}
    campaign = visit.campaign or unnamed.get(visit.medium, "(not set)")
    return Cell(visit.channel_group, visit.source, visit.medium, campaign, visit.landing_page, visit.device)


def _purchase(order: Order, day_end: int) -> _Purchase:
    """Most purchases show up within the first processing, one in twenty only later."""
    position = (order.id * 2_654_435_761) % 1000
    arrives = order.created_ts + FIRST_PROCESSING_S
    if position < 50:
        arrives = day_end + FIRST_PROCESSING_S + (FINAL_AFTER_S - FIRST_PROCESSING_S) * position // 50
    return _Purchase(cell_of(order.visit), arrives, int(order.total * 100))


def _browse(sessions: int, group: str, random_: random.Random) -> Numbers:
    engaged_odds, new_odds, views = _HABITS[group]
    r = random_.random
    engaged = min(sessions, int(sessions * (engaged_odds + 0.1 * (r() - 0.5)) + r()))
    users = max(1, int(sessions * (0.86 + 0.08 * r())))
    return Numbers(
        sessions=sessions,
        engaged_sessions=engaged,
        users=users,
        new_users=min(users, int(users * new_odds + r())),
        views=max(sessions, int(sessions * views * (0.85 + 0.3 * r()))),
        key_events=min(engaged, int(engaged * 0.12 + r())),
    )
