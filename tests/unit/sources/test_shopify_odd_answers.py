"""Answers that Shopify should not give: told in one line, or the sick record named and stepped over."""

import httpx
import orjson
import pytest

from hotdash_pipelines.sources import TransientSourceError
from hotdash_pipelines.sources.http import Patience
from hotdash_pipelines.sources.shopify.paging import SICK_RECORDS, read_connection
from hotdash_pipelines.sources.shopify.streams import CUSTOMERS_CONNECTION, ORDERS_CONNECTION
from tests.unit.sources.shopify_answers import (
    TOKEN,
    client,
    counted,
    good,
    ids_of,
    line,
    lines,
    order,
    orders,
    page,
)


def impatient(transport, fake_time):
    return client(transport, fake_time, access_token=TOKEN, patience=Patience(attempts=2))


class Shop:
    """A listing of customers by number that answers 500 to every page holding a sick one."""

    def __init__(self, count, sick):
        self.count, self.sick, self.asked = count, sick, []

    def __call__(self, request):
        body = orjson.loads(request.content)
        if body["operationName"] == "CustomersCount":
            return counted(self.count)
        given = body["variables"]
        start = int(given["after"] or 0)
        ids = range(start + 1, min(self.count, start + given["first"]) + 1)
        self.asked.append((body["operationName"], given["first"], start))
        if body["operationName"] == "Customers" and self.sick & set(ids):
            return httpx.Response(500)
        return page(ids, str(ids[-1]) if ids and ids[-1] < self.count else None)


def test_a_page_that_fails_for_ever_is_halved_down_to_the_sick_record_and_its_neighbours_are_read(fake_time):
    shop = Shop(200, sick={77, 78})
    fetched = read_connection(impatient(httpx.MockTransport(shop), fake_time), CUSTOMERS_CONNECTION, None)
    assert ids_of(fetched) == [str(number) for number in range(1, 201) if number not in shop.sick]
    assert [(one.record, one.reason) for one in fetched.skipped] == [
        ("77", "the source fails whenever it is asked for it"),
        ("78", "the source fails whenever it is asked for it"),
    ]
    assert fetched.expected_rows == 200
    assert fetched.notes["skipped"].startswith("77: the source fails")
    assert "count_disagrees" not in fetched.notes
    assert len(shop.asked) < 80


def test_more_sick_records_than_a_few_are_the_sources_fault(fake_time):
    shop = Shop(60, sick=set(range(10, 40)))
    with pytest.raises(TransientSourceError, match=f"more than {SICK_RECORDS} records cannot be read"):
        read_connection(impatient(httpx.MockTransport(shop), fake_time), CUSTOMERS_CONNECTION, None)


def test_a_record_whose_lists_fail_for_ever_is_set_aside_with_what_there_is_of_it(script, fake_time):
    steps = script(counted(1, root="ordersCount"), orders(order(lines([1], "l1"))), *[httpx.Response(500)] * 4)
    fetched = read_connection(impatient(steps.transport, fake_time), ORDERS_CONNECTION, None)
    (skipped,) = fetched.skipped
    assert (skipped.record, orjson.loads(skipped.body)["legacyResourceId"]) == ("7", "7")
    assert ids_of(fetched, "orders") == []


@pytest.mark.parametrize(
    "change",
    [
        {"lineItems": None},
        {"lineItems": {"nodes": None, "pageInfo": {"hasNextPage": False}}},
        {"lineItems": {"nodes": [None], "pageInfo": {"hasNextPage": False}}},
        {"lineItems": {"nodes": []}},
        {"lineItems": [1]},
        {"refunds": None},
        {"refunds": [{"legacyResourceId": "1"}]},
        {"refunds": "none"},
        {"lineItems": {"nodes": [line(1, ["many"])], "pageInfo": {"hasNextPage": False}}},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_set_aside_and_its_neighbour_is_read(script, fake_time, change):
    nodes = [order(lines([1])) | change, order(lines([2])) | {"legacyResourceId": "8"}]
    both = good({"orders": {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}})
    fetched = read_connection(
        client(script(counted(2, root="ordersCount"), both).transport, fake_time), ORDERS_CONNECTION, None
    )
    assert ids_of(fetched, "orders") == ["8"]
    assert [(one.record, one.reason) for one in fetched.skipped] == [("7", "it has another shape than was asked for")]


PAGE = {"nodes": [{"legacyResourceId": "1"}], "pageInfo": {"hasNextPage": False, "endCursor": None}}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"nodes": None, "pageInfo": PAGE["pageInfo"]},
        {"nodes": [None], "pageInfo": PAGE["pageInfo"]},
        {"nodes": [{"legacyResourceId": None}], "pageInfo": PAGE["pageInfo"]},
        {"nodes": PAGE["nodes"]},
        {"nodes": PAGE["nodes"], "pageInfo": None},
        {"nodes": PAGE["nodes"], "pageInfo": {"hasNextPage": None}},
        {"nodes": PAGE["nodes"], "pageInfo": {"hasNextPage": True}},
    ],
    ids=str,
)
def test_a_page_of_another_shape_is_one_transient_line(fake_time, answer):
    def always(request):
        return counted(1) if b'"CustomersCount"' in request.content else good({"customers": answer})

    with pytest.raises(TransientSourceError) as caught:
        read_connection(client(httpx.MockTransport(always), fake_time), CUSTOMERS_CONNECTION, None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [None, [], {}, {"count": "3", "precision": "EXACT"}, {"count": 3}])
def test_a_count_of_another_shape_is_no_count(script, fake_time, count):
    steps = script(good({"customersCount": count}), page([1]))
    assert read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None).expected_rows is None


def forever(cursor_of, ids_of_page):
    """A listing that never ends: page n has these ids and this cursor."""
    pages = iter(range(1, 1_000))

    def answer(request):
        if b'"CustomersCount"' in request.content:
            return counted(9)
        number = next(pages)
        return page(ids_of_page(number), cursor_of(number))

    return httpx.MockTransport(answer)


def test_cursors_that_go_round_in_circles_end_at_the_first_that_comes_back(fake_time):
    transport = forever(lambda number: "BA"[number % 2], lambda number: [number])
    shop = client(transport, fake_time)
    with pytest.raises(TransientSourceError, match="go round in circles"):
        read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert shop.requests < 10


@pytest.mark.parametrize("ids", [lambda _number: [], lambda number: [number % 2]], ids=["none", "the same"])
def test_pages_that_bring_nothing_new_end(fake_time, ids):
    shop = client(forever(lambda number: f"c{number}", ids), fake_time)
    with pytest.raises(TransientSourceError, match="bring nothing new"):
        read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert shop.requests < 10


def test_nested_pages_that_never_end_set_their_record_aside(fake_time):
    cursors = iter(f"l{number}" for number in range(1_000))

    def answer(request):
        if b'"OrdersCount"' in request.content:
            return counted(1, root="ordersCount")
        if b'"OrderLines"' in request.content:
            return good({"order": {"lineItems": lines([], next(cursors))}})
        return orders(order(lines([1], "first")))

    shop = client(httpx.MockTransport(answer), fake_time)
    fetched = read_connection(shop, ORDERS_CONNECTION, None)
    assert [one.record for one in fetched.skipped] == ["7"]
    assert shop.requests < 10


def test_the_ids_of_a_listing_are_asked_for_only_over_a_page_that_fails(fake_time):
    shop = Shop(200, sick=set())
    read_connection(client(httpx.MockTransport(shop), fake_time), CUSTOMERS_CONNECTION, None)
    assert {operation for operation, *_ in shop.asked} == {"Customers"}
