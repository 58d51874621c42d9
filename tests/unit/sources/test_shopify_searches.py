"""What Shopify is asked for in so many words: a search that says no status shows some of them only."""

from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.sources import Held, counter, fetcher
from tests.synthetic import contract_of
from tests.unit.sources.shopify_answers import client, good

WINDOW = window_of("2026-11-20", UTC)  # type: ignore[arg-type]
EVERY_STATUS = {"orders": "status:any ", "products": "status:active,archived,draft,unlisted"}
EMPTY = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
NONE = {"count": 0, "precision": "EXACT"}


class Shop:
    """A shop without records; `searches` holds what it was asked for, by operation."""

    def __init__(self, fake_time):
        self.searches, self.events = {}, []
        self.client = client(httpx.MockTransport(self.answer), fake_time)

    def answer(self, request):
        asked = orjson.loads(request.content)
        operation, searches = asked["operationName"], asked["variables"]
        self.searches[operation] = list(searches.values()) if "ByDay" in operation else [searches.get("query")]
        roots = ("orders", "customers", "products")
        return good(
            dict.fromkeys(roots, EMPTY)
            | {"events": {**EMPTY, "nodes": self.events}}
            | {f"{root}Count": NONE for root in roots}
            | {name: NONE for name in searches if name.startswith("day")}
            | {name.replace("id", "at"): {"id": value} for name, value in searches.items() if name.startswith("id")}
            | {"currentAppInstallation": {"accessScopes": [{"handle": "read_all_orders"}]}}
        )


class OneOrder(Held):
    def alive(self, _stream):
        return {7: WINDOW.start - timedelta(days=3)}


@pytest.fixture
def shop(fake_time):
    return Shop(fake_time)


@pytest.mark.parametrize("stream", EVERY_STATUS)
def test_a_listing_and_its_count_ask_for_every_status(shop, stream):
    fetcher("shopify", stream)(shop.client, contract_of("shopify", stream), WINDOW)
    name = stream.capitalize()
    for (search,) in (shop.searches[name], shop.searches[f"{name}Count"]):
        assert search.startswith(EVERY_STATUS[stream])


def test_the_look_for_lost_orders_asks_for_every_status(shop, fake_time):
    shop.client.id_sweep_days = 1
    fetcher("shopify", "orders")(
        shop.client, contract_of("shopify", "orders"), WINDOW.asked_at(fake_time.at), OneOrder()
    )
    ((search,), counted) = shop.searches["OrderIdSweep"], shop.searches["OrdersCount"]
    assert search.startswith("status:any created_at:>=")
    assert counted == [search]


def test_orders_of_a_day_are_counted_by_the_instant_that_they_count_on_whatever_their_status(shop):
    contract = contract_of("shopify", "orders")
    count = counter("shopify", "orders")
    assert count is not None
    assert count(shop.client, contract, [WINDOW]) == {WINDOW.key: 0}
    (search,) = shop.searches["OrdersCountByDay"]
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (WINDOW.start, WINDOW.end))
    assert contract.business_day == "processed_at"
    assert search == f"status:any processed_at:>='{start}' processed_at:<'{end}'"
    assert datetime.fromisoformat(end) - datetime.fromisoformat(start) == timedelta(days=1)


def test_events_of_another_kind_are_no_deletions_though_the_search_lets_them_through(shop):
    """A search that does not know a field ignores it."""
    at = "2026-11-20T10:00:00Z"
    happened = (("destroy", "Order", 7), ("destroy", "Customer", 8), ("create", "Order", 9), ("destroy", "Product", 10))
    shop.events = [
        {
            "id": f"gid://shopify/BasicEvent/{number}",
            "action": action,
            "createdAt": at,
            "subjectType": kind.upper(),
            "subjectId": f"gid://shopify/{kind}/{number}",
        }
        for action, kind, number in happened
    ]
    shop.events.append({"id": "gid://shopify/CommentEvent/11", "action": "destroy", "createdAt": at})
    fetched = fetcher("shopify", "orders")(shop.client, contract_of("shopify", "orders"), WINDOW)
    assert fetched.deleted == {"7": datetime(2026, 11, 20, 10, tzinfo=UTC)}
