"""Who buys and how they came: customers, their addresses, and the visits before an order.

Belongs here: names, places and channels, made from a seed. Does not belong here: when and what they buy
(`shop_orders`). Every address, e-mail and phone number lies in a range reserved for examples.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime

FIRST_NAMES = (
    "Ava", "Liam", "Zoë", "Noah", "Søren", "Mia", "José", "Emma", "Łukasz", "Olivia", "François", "Ethan", "Nguyễn",
    "Chloé", "Aarav", "Sofía", "Jürgen", "Grace", "陽菜", "Amara", "Björn", "Ines", "Oisín", "Priya", "Mateo", "Hannah",
    "Yusuf", "Ingrid", "Omar", "Ruth", "Kenji", "Leïla", "Tomás", "Ella", "Dmitri", "Nora", "Владимир", "Isla", "Jack",
)  # fmt: skip
LAST_NAMES = (
    "Smith", "Müller", "García", "O'Brien", "Nguyen", "Kowalski", "Johnson", "Åkesson", "Dubois", "Rossi", "Tanaka",
    "Brown", "Fernández", "Ibrahim", "Kaya", "Lee", "Novák", "Patel", "Jensen", "Martin", "佐藤", "Silva", "Walker",
    "de la Cruz", "Clarke", "Öztürk", "Weiß", "Ivanova", "Cohen", "Lopez", "Haddad", "Young", "Çelik", "Moreau",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A city customers live in, with its sales tax in basis points and the currency shown to buyers there."""

    city: str
    province_code: str | None
    country_code: str
    zip: str
    tax_bps: int
    currency: str
    locale: str


# Repeated places weigh more: four buyers in five live in the United States.
_US = (
    Place("New York", "NY", "US", "10001", 888, "USD", "en"),
    Place("Los Angeles", "CA", "US", "90001", 950, "USD", "en"),
    Place("Chicago", "IL", "US", "60601", 1025, "USD", "en"),
    Place("Austin", "TX", "US", "73301", 825, "USD", "en"),
    Place("Portland", "OR", "US", "97201", 0, "USD", "en"),
    Place("Miami", "FL", "US", "33101", 700, "USD", "es"),
    Place("Seattle", "WA", "US", "98101", 1035, "USD", "en"),
    Place("Boston", "MA", "US", "02108", 625, "USD", "en"),
)
_ABROAD = (
    Place("Toronto", "ON", "CA", "M5H 2N2", 1300, "CAD", "en"),
    Place("Montréal", "QC", "CA", "H2Y 1C6", 1498, "CAD", "fr"),
    Place("London", "ENG", "GB", "EC1A 1BB", 0, "GBP", "en"),
    Place("München", None, "DE", "80331", 0, "EUR", "de"),
    Place("Paris", None, "FR", "75001", 0, "EUR", "fr"),
    Place("Kraków", None, "PL", "30-001", 0, "USD", "pl"),
    Place("Dublin", "D", "IE", "D02 X285", 0, "EUR", "en"),
)
PLACES = _US * 4 + _ABROAD


def place_of(seed: int, customer_id: int) -> Place:
    """Where this customer lives; known without making the customer."""
    return PLACES[((customer_id * 2_654_435_761 + seed * 40_503) >> 9) % len(PLACES)]


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer as created; what changes over time (orders, spend) is asked of the shop."""

    id: int
    first_name: str | None
    last_name: str
    email: str
    phone: str | None
    created_at: datetime
    city: str
    province_code: str | None
    country_code: str
    zip: str
    address1: str
    locale: str
    tags: tuple[str, ...]
    accepts_marketing: bool
    state: str
    place: Place


def make_customer(customer_id: int, created_ts: int, place: Place, random_: random.Random) -> Customer:
    """The customer with this id, living at `place`, created at `created_ts` (epoch seconds)."""
    r = random_.random
    first: str | None = FIRST_NAMES[int(r() * len(FIRST_NAMES))]
    last = LAST_NAMES[int(r() * len(LAST_NAMES))]
    if r() < 0.01:
        first = None
    has_phone = r() < 0.4
    tags = tuple(tag for tag, odds in (("newsletter", 0.25), ("vip", 0.04), ("wholesale", 0.02)) if r() < odds)
    accepts = r() < 0.35
    return Customer(
        id=customer_id,
        first_name=first,
        last_name=last,
        email=f"customer.{customer_id}@example.com",
        phone=f"+1{202 + int(r() * 700)}5550{100 + int(r() * 100)}" if has_phone else None,
        created_at=datetime.fromtimestamp(created_ts, UTC),
        city=place.city,
        province_code=place.province_code,
        country_code=place.country_code,
        zip=place.zip,
        address1=f"{1 + int(r() * 999)} Example Street",
        locale=place.locale,
        tags=tags,
        accepts_marketing=accepts,
        state="ENABLED" if r() < 0.3 else "DISABLED",
        place=place,
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """How a buyer came to the store; `channel_group` is one of GA4's default channel groups."""

    source: str
    medium: str
    campaign: str | None
    channel_group: str
    landing_page: str
    device: str


# (weight, source, medium, campaign, channel group)
CHANNELS: tuple[tuple[int, str, str, str | None, str], ...] = (
    (24, "google", "organic", None, "Organic Search"),
    (4, "bing", "organic", None, "Organic Search"),
    (14, "google", "cpc", "brand", "Paid Search"),
    (8, "google", "cpc", "autumn-sale", "Paid Search"),
    (20, "(direct)", "(none)", None, "Direct"),
    (8, "newsletter", "email", "weekly-digest", "Email"),
    (4, "klaviyo", "email", "win-back", "Email"),
    (5, "instagram.com", "social", None, "Organic Social"),
    (3, "tiktok.com", "social", None, "Organic Social"),
    (5, "facebook", "paid_social", "lookalike", "Paid Social"),
    (5, "blog.example.org", "referral", None, "Referral"),
)
CHANNEL_GROUPS = tuple(dict.fromkeys(channel[4] for channel in CHANNELS))
DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet")


def make_visits(handles: list[str], random_: random.Random) -> list[Visit]:
    """A pool of visits to draw from evenly; channels appear in it by their weight."""
    pages = ["/", "/", "/", "/collections/all", "/collections/new", "/collections/sale", "/pages/about"]
    pages += [f"/products/{handle}" for handle in handles[:24]]
    pool = []
    for weight, source, medium, campaign, group in CHANNELS:
        for _ in range(weight * 6):
            page = pages[int(random_.random() * len(pages))]
            device = DEVICES[int(random_.random() * len(DEVICES))]
            pool.append(Visit(source, medium, campaign, group, page, device))
    return pool
