"""The events of the store, as far as they tell of deletions.

Belongs here: the listing of `events` and its search. Does not belong here: what is deleted when (`world.shop_index`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hotdash_pipelines.demo.shopify.execute import QueryFault, Request
from hotdash_pipelines.demo.shopify.listing import COUNT_CAP_DEFAULT
from hotdash_pipelines.demo.shopify.paging import Entry, Page, decode_cursor, fingerprint, page_of_entries, page_size
from hotdash_pipelines.demo.shopify.search import instant_range, parse_search
from hotdash_pipelines.demo.shopify.values import gid, instant_text
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.shop_index import Removal
from hotdash_pipelines.demo.world.shop_timeline import DAY

# Shopify keeps events for a year.
KEPT_DAYS = 365
_NAMES = {"ORDER": "Order", "CUSTOMER": "Customer", "PRODUCT": "Product"}
_SCOPES = {"ORDER": "read_orders", "CUSTOMER": "read_customers", "PRODUCT": "read_products"}


def list_events(shop: Shop, arguments: Mapping[str, Any], request: Request) -> Page:
    """One page of the events, oldest first: deletions alone, of what the app's scopes let it see."""
    size, from_end = page_size(arguments)
    if from_end or arguments.get("before") or arguments.get("reverse"):
        raise QueryFault("the stand-in pages events forwards: use first and after", code="BAD_REQUEST")
    entries = _entries(shop, arguments.get("query"), request)
    mark = fingerprint("events", arguments.get("query"))
    after = decode_cursor(arguments["after"], mark) if arguments.get("after") else None
    left = [entry for entry in entries if after is None or entry[:2] > after]
    return page_of_entries(left[:size], len(left) > size, after is not None, mark)


def count_events(shop: Shop, arguments: Mapping[str, Any], request: Request) -> tuple[int, str]:
    """(count, precision); the count stops at 10,000 and is a lower bound then."""
    counted = len(_entries(shop, arguments.get("query"), request))
    return (counted, "EXACT") if counted <= COUNT_CAP_DEFAULT else (COUNT_CAP_DEFAULT, "AT_LEAST")


def _entries(shop: Shop, query: str | None, request: Request) -> list[Entry]:
    low, high = float(shop.now_ts() - KEPT_DAYS * DAY), float(shop.now_ts() + 1)
    kinds, actions = set(_NAMES), {"destroy"}
    for term in parse_search(query):
        if term.field == "created_at":
            start, end = instant_range(term, shop.zone)
            low, high = max(low, start), min(high, end)
        elif term.field == "subject_type":
            kinds &= set(term.value.upper().split(","))
        elif term.field == "action":
            actions &= {term.value.lower()}
    entries = [
        Entry(removal.ts, removal.id, removal)
        for removal in (_removals(shop, int(low), int(high)) if actions and low < high else [])
        if removal.kind in kinds and _SCOPES[removal.kind] in request.scopes
    ]
    return sorted(entries, key=lambda entry: entry[:2])


def _removals(shop: Shop, start_ts: int, end_ts: int) -> list[Removal]:
    products = [
        Removal(product.deleted_ts, "PRODUCT", product.id)
        for product in shop.products
        if product.deleted_ts is not None and start_ts <= product.deleted_ts < end_ts
    ]
    return [*shop.removals.told_between(start_ts, end_ts), *products]


RESOLVERS: dict[str, Any] = {
    "action": lambda _removal: "destroy",
    "createdAt": lambda removal: instant_text(removal.ts),
    "id": lambda removal: gid("BasicEvent", removal.id),
    "subjectId": lambda removal: gid(_NAMES[removal.kind], removal.id),
    "subjectType": lambda removal: removal.kind,
}
