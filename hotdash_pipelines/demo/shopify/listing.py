"""The root fields: what is listed, filtered, sorted, counted and found by id.

Belongs here: searches over the world and their pages. Does not belong here: the fields of what is listed.
A field a search does not know is ignored with a warning, as Shopify does; a sort key the stand-in lacks is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from typing import Any, NamedTuple

from hotdash_pipelines.demo.shopify.execute import QueryFault, Request
from hotdash_pipelines.demo.shopify.fields.catalog import CustomerView, ProductView, VariantView
from hotdash_pipelines.demo.shopify.paging import Entry, Page, decode_cursor, fingerprint, page_of_entries, page_size
from hotdash_pipelines.demo.shopify.search import Term, instant_range, parse_search
from hotdash_pipelines.demo.shopify.values import gid_number
from hotdash_pipelines.demo.shopify.views import OrderView
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.shop_timeline import DAY

# How far back an app sees orders without `read_all_orders`.
HORIZON_DAYS = 60
# What a count stops at unless its `limit` says otherwise.
COUNT_CAP_DEFAULT = 10_000
_SIGN_UP = 60
Test = Callable[[Any], bool]


class ListingKind(NamedTuple):
    """One listable resource.

    `instants` and `tests` name the fields a search knows: a time each to a range, the rest each to a comparison of an
    item with a term. `sorts` gives an item's value under a sort key. `chunks(shop, sort key, ranges, from, reverse)`
    yields items in batches that follow each other in the order of the sort key; `find` gives the item with an id that
    exists by now, or None; `view` makes a field source. `subject` is what events call the kind.
    """

    name: str
    instants: Mapping[str, Callable[[Shop, Any, int], int]]
    tests: Mapping[str, Callable[[Shop, Any, str], bool]]
    numbers: Mapping[str, Callable[[Any], int]]
    sorts: Mapping[str, Callable[[Shop, Any, int], Any]]
    chunks: Callable[[Shop, str, dict[str, tuple[float, float]], Any, bool], Iterator[Iterable[Any]]]
    find: Callable[[Shop, int], Any]
    view: Callable[[Shop, Any, int], Any]
    subject: str | None = None


class Search:
    """A parsed search of one kind: ranges of time, and tests for everything else."""

    def __init__(self, kind: ListingKind, shop: Shop, now: int, text: str | None, request: Request | None) -> None:
        self.kind, self.shop, self.now = kind, shop, now
        self.ranges: dict[str, tuple[float, float]] = {}
        self.tests: list[Test] = []
        self.id: int | None = None
        unknown = []
        terms = parse_search(text)
        for term in terms:
            if term.field in kind.instants and not term.negated:
                low, high = instant_range(term, shop.zone)
                known = self.ranges.get(term.field, (float("-inf"), float("inf")))
                self.ranges[term.field] = (max(known[0], low), min(known[1], high))
            elif (test := self._test(term)) is not None:
                self.tests.append(test)
            else:
                unknown.append(term)
        if kind is PRODUCTS and request is not None and not any(term.field in ("status", "id") for term in terms):
            # Shopify documents this as what a listing shows that asks for no status.
            self.tests.append(lambda item: not item.archived)
        if unknown and request is not None:
            request.warnings.append(_warning(kind.name, text or "", unknown))

    def _test(self, term: Term) -> Test | None:
        kind, shop = self.kind, self.shop
        if term.field in kind.numbers:
            read = kind.numbers[term.field]
            try:
                wanted = int(term.value.rpartition("/")[2])
            except ValueError:
                raise QueryFault(f"not a number: {term.value[:40]}", code="BAD_REQUEST") from None
            if term.field == "id" and term.op == "=" and not term.negated:
                self.id = wanted
            compare = _COMPARE[term.op]
            return lambda item: compare(read(item), wanted) != term.negated
        if term.field in kind.tests:
            holds = kind.tests[term.field]
            return lambda item: holds(shop, item, term.value.lower()) != term.negated
        return None

    def hide_old_orders(self, request: Request) -> None:
        """An app without `read_all_orders` sees the orders of the last 60 days, and no word of the others."""
        if self.kind is ORDERS and "read_all_orders" not in request.scopes:
            low, high = self.ranges.get("created_at", (float("-inf"), float("inf")))
            self.ranges["created_at"] = (max(low, self.now - HORIZON_DAYS * DAY), high)

    def chunks(self, sort_key: str, start: Any = None, reverse: bool = False) -> Iterator[Iterable[Any]]:
        """Candidates in batches, from the sort value `start` on; just the one where the search names an id."""
        if self.id is None:
            yield from self.kind.chunks(self.shop, sort_key, self.ranges, start, reverse)
        elif (item := self.kind.find(self.shop, self.id)) is not None:
            yield [item]

    def accepts(self, item: Any) -> bool:
        """True if the item satisfies the search, and is neither deleted nor merged into another."""
        if self.kind.subject and self.shop.is_gone(self.kind.subject, item.id):
            return False
        for field, (low, high) in self.ranges.items():
            if not low <= self.kind.instants[field](self.shop, item, self.now) < high:
                return False
        return all(test(item) for test in self.tests)


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
}


def _warning(path: str, query: str, terms: list[Term]) -> dict[str, Any]:
    warnings = [
        {"field": term.field, "message": "Invalid search field for this query.", "code": "invalid_field"}
        for term in terms
    ]
    return {"path": [path], "query": query, "warnings": warnings}


def list_page(kind: ListingKind, shop: Shop, arguments: Mapping[str, Any], request: Request) -> Page:
    """One page of a listing. Raises QueryFault for arguments Shopify refuses, and for `last`, which needs `reverse`."""
    size, from_end = page_size(arguments)
    if from_end or arguments.get("before"):
        raise QueryFault("the stand-in pages forwards at the root: use first, after and reverse", code="BAD_REQUEST")
    sort_key, reverse = arguments["sortKey"], bool(arguments.get("reverse"))
    if sort_key not in kind.sorts:
        raise QueryFault(f"the stand-in does not sort {kind.name} by {sort_key}", code="BAD_REQUEST")
    now = shop.now_ts()
    search = Search(kind, shop, now, arguments.get("query"), request)
    search.hide_old_orders(request)
    mark = fingerprint(kind.name, arguments.get("query"), sort_key, reverse)
    after = decode_cursor(arguments["after"], mark) if arguments.get("after") else None
    entries = list(islice(_entries(search, sort_key, reverse, after), size + 1))
    chosen = [entry._replace(source=kind.view(shop, entry.source, now)) for entry in entries[:size]]
    return page_of_entries(chosen, len(entries) > size, after is not None, mark)


def _entries(search: Search, sort_key: str, reverse: bool, after: tuple[Any, int] | None) -> Iterator[Entry]:
    kind, shop, now = search.kind, search.shop, search.now
    value = kind.sorts[sort_key]
    for chunk in search.chunks(sort_key, after[0] if after else None, reverse):
        batch = [Entry(value(shop, item, now), item.id, item) for item in chunk]
        batch.sort(key=lambda entry: entry[:2], reverse=reverse)
        for entry in batch:
            if after is not None and (entry[:2] >= after if reverse else entry[:2] <= after):
                continue
            if search.accepts(entry.source):
                yield entry


def count(kind: ListingKind, shop: Shop, arguments: Mapping[str, Any], request: Request) -> tuple[int, str]:
    """(count, precision); `limit` null counts everything, otherwise the count stops there and is a lower bound."""
    search = Search(kind, shop, shop.now_ts(), arguments.get("query"), request)
    search.hide_old_orders(request)
    limit = arguments.get("limit", COUNT_CAP_DEFAULT)
    if kind is ORDERS and not search.ranges and not search.tests:
        # Made without making every day since the opening.
        today = shop.day_of(search.now)
        placed = sum(1 for order in shop.orders_created_on(today) if order.created_ts <= search.now)
        total = shop.orders_before(today) + placed - shop.removals.orders_gone(search.now)
        return (total, "EXACT") if limit is None or total <= limit else (limit, "AT_LEAST")
    matching = 0
    for chunk in search.chunks("ID"):
        matching += sum(1 for item in chunk if search.accepts(item))
        if limit is not None and matching > limit:
            return limit, "AT_LEAST"
    return matching, "EXACT"


# What each kind can be searched and sorted by.


def _days(shop: Shop, ranges: list[tuple[float, float]], start: int | None, reverse: bool) -> Iterator[date]:
    """The store's days that can hold anything in all of these ranges, from the cursor's day on."""
    low = max([shop.opened_ts, *(r[0] for r in ranges)])
    high = min([shop.now_ts() + 1, *(r[1] for r in ranges)])
    if start is not None:
        low, high = (low, min(high, start + 1)) if reverse else (max(low, start), high)
    if low >= high:
        return
    first, last = shop.day_of(int(low)), shop.day_of(int(high - 1))
    length = (last - first).days + 1
    for number in range(length):
        yield last - timedelta(days=number) if reverse else first + timedelta(days=number)


def _spans(shop: Shop, span: tuple[float, float], start: int | None, reverse: bool) -> Iterator[tuple[int, int]]:
    """The span cut into UTC days, from the cursor on; open ends end at the store's opening and at now."""
    low, high = int(max(shop.opened_ts, span[0])), int(min(shop.now_ts() + 1, span[1]))
    if start is not None:
        low, high = (low, min(high, start + 1)) if reverse else (max(low, start), high)
    cuts = [(max(low, n * DAY), min(high, (n + 1) * DAY)) for n in range(low // DAY, (high - 1) // DAY + 1)]
    yield from (reversed(cuts) if reverse else cuts)


_EVER = (float("-inf"), float("inf"))


def _order_chunks(
    shop: Shop, sort_key: str, ranges: dict[str, tuple[float, float]], start: Any, reverse: bool
) -> Iterator[Iterable[Any]]:
    if sort_key == "UPDATED_AT":
        for low, high in _spans(shop, ranges.get("updated_at", _EVER), start, reverse):
            yield [order for _, _, order in shop.changes_between(low, high)]
        return
    # An order entered late was processed earlier on the same day of the store.
    created = [ranges[name] for name in ("created_at", "processed_at") if name in ranges]
    if "updated_at" in ranges:
        low, high = _clip(shop, ranges["updated_at"])
        yield [order for _, _, order in shop.changes_between(low, high)]
        return
    now = shop.now_ts()
    start = start if sort_key in ("CREATED_AT", "PROCESSED_AT") else None
    for day in _days(shop, created, start, reverse):
        yield [order for order in shop.orders_created_on(day) if order.created_ts <= now]


def _customer_chunks(
    shop: Shop, sort_key: str, ranges: dict[str, tuple[float, float]], start: Any, reverse: bool
) -> Iterator[Iterable[Any]]:
    if sort_key == "UPDATED_AT":
        for low, high in _spans(shop, ranges.get("updated_at", _EVER), start, reverse):
            yield [customer for _, _, customer in shop.customers_updated_between(low, high)]
        return
    if "updated_at" in ranges:
        low, high = _clip(shop, ranges["updated_at"])
        yield [customer for _, _, customer in shop.customers_updated_between(low, high)]
        return
    now = shop.now_ts()
    created = []
    if "customer_date" in ranges:
        # Who orders in a day's first minute was created in the last minute of the day before.
        created = [(ranges["customer_date"][0], ranges["customer_date"][1] + _SIGN_UP)]
    for day in _days(shop, created, start if sort_key == "CREATED_AT" else None, reverse):
        yield [customer for customer in shop.customers_created_on(day) if customer.created_at.timestamp() <= now]


def _product_chunks(shop: Shop, *_: Any) -> Iterator[Iterable[Any]]:
    now = shop.now_ts()
    yield [product for product in shop.products if product.exists(now)]


def _variant_chunks(shop: Shop, *_: Any) -> Iterator[Iterable[Any]]:
    now = shop.now_ts()
    yield [variant for product in shop.products if product.exists(now) for variant in product.variants]


def _clip(shop: Shop, span: tuple[float, float]) -> tuple[int, int]:
    return int(max(shop.opened_ts, span[0])), int(min(shop.now_ts() + 1, span[1]))


def _status(shop: Shop, order: Any, value: str) -> bool:
    state = order.state(shop.now_ts())
    return {
        "any": True,
        "open": state.closed_ts is None and state.cancelled_ts is None,
        "not_closed": state.closed_ts is None,
        "closed": state.closed_ts is not None and state.cancelled_ts is None,
        "cancelled": state.cancelled_ts is not None,
    }.get(value, False)


def _variant_product(shop: Shop, variant: Any) -> Any:
    return shop.products_by_id[variant.product_id]


def _find_order(shop: Shop, number: int) -> Any:
    order = shop.order(number)
    return order if order is not None and order.created_ts <= shop.now_ts() else None


def _find_customer(shop: Shop, number: int) -> Any:
    customer = shop.customer(number)
    return customer if customer is not None and customer.created_at.timestamp() <= shop.now_ts() else None


def _find_product(shop: Shop, number: int) -> Any:
    product = shop.products_by_id.get(number)
    return product if product is not None and product.exists(shop.now_ts()) else None


def _find_variant(shop: Shop, number: int) -> Any:
    return next((variant for chunk in _variant_chunks(shop) for variant in chunk if variant.id == number), None)


ORDERS = ListingKind(
    "orders",
    instants={
        "created_at": lambda _s, o, _n: o.created_ts,
        "processed_at": lambda _s, o, _n: o.processed_ts,
        "updated_at": lambda _s, o, n: o.updated_ts(n),
    },
    tests={
        "status": _status,
        "financial_status": lambda s, o, v: o.state(s.now_ts()).financial_status.lower() == v,
        "fulfillment_status": lambda s, o, v: o.state(s.now_ts()).fulfillment_status.lower() == v,
        "test": lambda _s, o, v: o.is_test == (v == "true"),
        "name": lambda _s, o, v: o.name.lstrip("#") == v.lstrip("#"),
        "tag": lambda s, o, v: v in o.state(s.now_ts()).tags,
        "source_name": lambda _s, o, v: o.basket.source_name == v,
    },
    numbers={"id": lambda o: o.id, "customer_id": lambda o: o.customer_id or 0},
    sorts={
        "CREATED_AT": lambda _s, o, _n: o.created_ts,
        "ID": lambda _s, o, _n: o.id,
        "ORDER_NUMBER": lambda _s, o, _n: o.id,
        "PROCESSED_AT": lambda _s, o, _n: o.processed_ts,
        "UPDATED_AT": lambda _s, o, n: o.updated_ts(n),
    },
    chunks=_order_chunks,
    find=_find_order,
    view=OrderView,
    subject="ORDER",
)
CUSTOMERS = ListingKind(
    "customers",
    instants={
        "customer_date": lambda _s, c, _n: int(c.created_at.timestamp()),
        "updated_at": lambda s, c, n: s.customer_updated_ts(c, n),
    },
    tests={
        "email": lambda _s, c, v: c.email == v,
        "state": lambda _s, c, v: c.state.lower() == v,
        "tag": lambda _s, c, v: v in c.tags,
        "country": lambda _s, c, v: c.country_code.lower() == v,
    },
    numbers={"id": lambda c: c.id},
    sorts={
        "CREATED_AT": lambda _s, c, _n: int(c.created_at.timestamp()),
        "ID": lambda _s, c, _n: c.id,
        "UPDATED_AT": lambda s, c, n: s.customer_updated_ts(c, n),
    },
    chunks=_customer_chunks,
    find=_find_customer,
    view=CustomerView,
    subject="CUSTOMER",
)
PRODUCTS = ListingKind(
    "products",
    instants={
        "created_at": lambda _s, p, _n: p.created_ts,
        "updated_at": lambda _s, p, n: p.updated_ts(n),
    },
    tests={
        "status": lambda _s, p, v: ("archived" if p.archived else "active") in v.split(","),
        "vendor": lambda _s, p, v: p.vendor.lower() == v,
        "product_type": lambda _s, p, v: p.product_type.lower() == v,
        "handle": lambda _s, p, v: p.handle in v.split(","),
        "title": lambda _s, p, v: v in p.title.lower(),
        "tag": lambda _s, p, v: v in p.tags,
    },
    numbers={"id": lambda p: p.id},
    sorts={
        "CREATED_AT": lambda _s, p, _n: p.created_ts,
        "ID": lambda _s, p, _n: p.id,
        "TITLE": lambda _s, p, _n: p.title,
        "UPDATED_AT": lambda _s, p, n: p.updated_ts(n),
    },
    chunks=_product_chunks,
    find=_find_product,
    view=ProductView,
    subject="PRODUCT",
)
VARIANTS = ListingKind(
    "productVariants",
    instants={"updated_at": lambda s, v, n: _variant_product(s, v).updated_ts(n)},
    tests={"sku": lambda _s, v, t: (v.sku or "").lower() == t},
    numbers={"id": lambda v: v.id, "product_id": lambda v: v.product_id},
    sorts={"ID": lambda _s, v, _n: v.id, "SKU": lambda _s, v, _n: v.sku or ""},
    chunks=_variant_chunks,
    find=_find_variant,
    view=lambda s, v, n: VariantView(ProductView(s, _variant_product(s, v), n), v),
)


def find(kind: ListingKind, gid_kind: str, shop: Shop, arguments: Mapping[str, Any], request: Request) -> Any:
    """The field source of the item with the global id in the arguments, or None if there is none by now."""
    number = gid_number(arguments["id"], gid_kind)
    item = None if number is None else kind.find(shop, number)
    if item is None:
        return None
    search = Search(kind, shop, shop.now_ts(), f"id:{number}", request)
    search.hide_old_orders(request)
    return kind.view(shop, item, shop.now_ts()) if search.accepts(item) else None
