"""How plain values look on Shopify's wire.

Belongs here: ids, instants and amounts. Does not belong here: any field.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from hotdash_pipelines.demo.world.shop_orders import Money


class Bag:
    """A `MoneyBag`: an amount in cents with its two currencies."""

    __slots__ = ("buyer_currency", "money", "shop_currency")

    def __init__(self, money: Money, shop_currency: str, buyer_currency: str) -> None:
        self.money = money
        self.shop_currency = shop_currency
        self.buyer_currency = buyer_currency


@lru_cache(maxsize=65_536)
def decimal_text(cents: int) -> str:
    """An amount as the scalar `Decimal` shows it: no trailing zeros, but one digit after the point at least."""
    sign = "-" if cents < 0 else ""
    whole, part = divmod(abs(cents), 100)
    return f"{sign}{whole}.{part:02d}".removesuffix("0") if part % 10 == 0 else f"{sign}{whole}.{part:02d}"


def money_text(cents: int) -> str:
    """An amount as the scalar `Money` shows it: two digits after the point."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def instant_text(ts: int) -> str:
    """Epoch seconds as `DateTime` shows them, in UTC."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gid(kind: str, number: int) -> str:
    """A global id."""
    return f"gid://shopify/{kind}/{number}"


def gid_number(text: str, kind: str) -> int | None:
    """The number in a global id of this kind, or None."""
    prefix, _, number = text.rpartition("/")
    return int(number) if prefix == f"gid://shopify/{kind}" and number.isdigit() else None
