"""What the store sells: products and variants, and how price and stock move over time.

Belongs here: the catalogue, a closed form of time (no state is kept). Does not belong here: orders.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

PRODUCT_ID_BASE = 8_000_000_000_000
VARIANT_ID_BASE = 44_000_000_000_000
INVENTORY_ITEM_ID_BASE = 46_000_000_000_000

_ADJECTIVES = (
    "Linen",
    "Merino",
    "Cedar",
    "Copper",
    "Alpine",
    "Everyday",
    "Crème",
    "Nordic",
    "Desert",
    "Indigo",
    "Café",
)
_NOUNS = ("Shirt", "Throw", "Candle", "Kettle", "Backpack", "Mug", "Scarf", "Notebook", "Lamp", "Tote", "Apron", "Vase")
_VENDORS = ("Hearth & Co", "Ålesund Studio", "Field Supply", "Maison Été", "Northwind")
_SIZES = ("S", "M", "L", "XL")


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `deleted_at` is set if it is deleted one day; until then it is served."""

    id: int
    title: str
    handle: str
    vendor: str
    product_type: str
    tags: tuple[str, ...]
    created_ts: int
    deleted_ts: int | None
    edit_every_s: int
    archived: bool
    variants: tuple[Variant, ...]

    @property
    def created_at(self) -> datetime:
        """When the product was created."""
        return datetime.fromtimestamp(self.created_ts, UTC)

    def revision(self, ts: int) -> int:
        """How many times the product had been edited at `ts` (epoch seconds)."""
        return max(0, (ts - self.created_ts) // self.edit_every_s)

    def updated_ts(self, ts: int) -> int:
        """The last edit at or before `ts`, both in epoch seconds."""
        return self.created_ts + self.revision(ts) * self.edit_every_s

    def exists(self, ts: int) -> bool:
        """True if the product is created and not deleted at `ts` (epoch seconds)."""
        return self.created_ts <= ts and (self.deleted_ts is None or ts < self.deleted_ts)


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant. Prices in cents of the shop's currency, one a revision of the product, in turn."""

    id: int
    product_id: int
    sku: str | None
    title: str
    price_cycle: tuple[int, ...]
    compare_at_cents: int | None
    unit_cost_cents: int
    barcode: str | None
    inventory_item_id: int
    taxable: bool
    requires_shipping: bool
    position: int

    @property
    def price(self) -> Decimal:
        """The price at creation, in the shop's currency."""
        return Decimal(self.price_cycle[0]).scaleb(-2)

    def price_cents(self, revision: int) -> int:
        """The price in cents at this revision of the product."""
        return self.price_cycle[revision % len(self.price_cycle)]

    def inventory(self, revision: int) -> int:
        """Units in stock at this revision; may be negative, as in a store that oversells."""
        return (self.id * 31 + revision * 17) % 120 - 4


def make_products(count: int, opened_ts: int, random_: random.Random) -> tuple[Product, ...]:
    """`count` products, three quarters of them from the store's opening on, the rest added over two years."""
    r = random_.random
    day = 86_400
    products = []
    for index in range(count):
        noun = _NOUNS[int(r() * len(_NOUNS))]
        title = f"{_ADJECTIVES[int(r() * len(_ADJECTIVES))]} {noun}"
        handle = f"{noun.lower()}-{index + 1:04d}"
        created = opened_ts - day if index < count * 3 // 4 else opened_ts + int(r() * 730 * day)
        # The first product is never deleted, so that an order always finds something to sell.
        deleted = created + int((200 + r() * 900) * day) if index and r() < 0.05 else None
        product_id = PRODUCT_ID_BASE + index + 1
        requires_shipping = r() >= 0.04
        product_type = noun if requires_shipping else "Digital"
        variants = tuple(
            _make_variant(product_id, index, position, requires_shipping, random_)
            for position in range(1, 2 + int(r() * 4))
        )
        products.append(
            Product(
                id=product_id,
                title=title,
                handle=handle,
                vendor=_VENDORS[int(r() * len(_VENDORS))],
                product_type=product_type,
                tags=tuple(tag for tag in ("bestseller", "sale", "new") if r() < 0.15),
                created_ts=created,
                deleted_ts=deleted,
                edit_every_s=int((5 + r() * 35) * day),
                archived=r() < 0.05,
                variants=variants,
            )
        )
    return tuple(products)


def _make_variant(
    product_id: int, index: int, position: int, requires_shipping: bool, random_: random.Random
) -> Variant:
    r = random_.random
    cents = 800 + int(r() ** 2 * 140) * 100 + (99, 50, 0)[int(r() * 3)]
    cycle = (cents, cents, cents + 200) if r() < 0.15 else (cents,)
    variant_id = VARIANT_ID_BASE + index * 10 + position
    return Variant(
        id=variant_id,
        product_id=product_id,
        sku=f"HD-{index + 1:04d}-{position}" if r() >= 0.02 else None,
        title="Default Title" if position == 1 and r() < 0.2 else _SIZES[position - 1],
        price_cycle=cycle,
        compare_at_cents=cents + 1500 if r() < 0.2 else None,
        unit_cost_cents=cents * (30 + int(r() * 30)) // 100,
        barcode=f"0{200_000_000_000 + variant_id % 1_000_000:012d}" if r() < 0.7 else None,
        inventory_item_id=INVENTORY_ITEM_ID_BASE + variant_id % 1_000_000,
        taxable=r() >= 0.03,
        requires_shipping=requires_shipping,
        position=position,
    )
