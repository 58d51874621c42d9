"""The paging of connections against scripted answers: pages, counts, the lists inside records."""

import httpx
import orjson
import pytest

from hotdash_pipelines.sources import TransientSourceError
from hotdash_pipelines.sources.errors import QueryTooCostly
from hotdash_pipelines.sources.http import Patience
from hotdash_pipelines.sources.shopify.page_size import PageSize
from hotdash_pipelines.sources.shopify.paging import read_connection
from hotdash_pipelines.sources.shopify.streams import CUSTOMERS_CONNECTION, ORDERS_CONNECTION, PRODUCTS_CONNECTION
from tests.unit.sources.shopify_answers import (
    TOKEN,
    client,
    counted,
    failed,
    good,
    ids_of,
    lines,
    nested,
    order,
    orders,
    page,
    refund,
    variables,
)


def test_pages_are_followed_by_cursor_and_the_untouched_bodies_returned(script, fake_time):
    pages = [page([1, 2], "c1"), page([3], None)]
    bodies = [one.content for one in pages]
    steps = script(counted(3), *pages)
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, "updated_at:>='x'")
    assert fetched.pages == bodies
    assert (fetched.expected_rows, fetched.requests, fetched.cost) == (3, 3, 15)
    assert [variables(one).get("after") for one in steps.seen] == [None, None, "c1"]
    assert {variables(one)["query"] for one in steps.seen} == {"updated_at:>='x'"}


def test_the_page_follows_the_reported_cost_to_two_fifths_of_the_bucket(script, fake_time):
    steps = script(
        counted(3),
        page([1], "c1", requested=500, maximum=2000),
        page([2], "c2", requested=800, maximum=2000),
        page([3]),
    )
    shop = client(steps.transport, fake_time)
    read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:4]] == [50, 80, 80]


@pytest.mark.parametrize(("requested", "size"), [(1, 250), (10**9, 1), (None, 50)])
def test_the_page_stays_between_one_and_250(requested, size):
    chosen = PageSize()
    chosen.learn(50, requested, 2000)
    assert chosen.size == size


def test_a_page_that_costs_too_much_is_halved_and_stays_below(script, fake_time):
    steps = script(
        counted(2), failed("MAX_COST_EXCEEDED"), failed("MAX_COST_EXCEEDED"), page([1], "c1", requested=1), page([2])
    )
    shop = client(steps.transport, fake_time)
    fetched = read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 25, 12, 12]
    assert ids_of(fetched) == ["1", "2"]


def test_one_record_that_costs_too_much_is_permanent(script, fake_time):
    steps = script(counted(2), *[failed("MAX_COST_EXCEEDED")] * 9)
    with pytest.raises(QueryTooCostly):
        read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 25, 12, 6, 3, 1]


def test_a_page_over_which_the_server_fails_is_halved_then_grows_again(script, fake_time):
    steps = script(counted(3), *[httpx.Response(502)] * 2, page([1]), page([1], "c1"), page([2], "c2"), page([3]))
    shop = client(steps.transport, fake_time, access_token=TOKEN, patience=Patience(attempts=2))
    assert ids_of(read_connection(shop, CUSTOMERS_CONNECTION, None)) == ["1", "2", "3"]
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 50, 1, 25, 50, 100]


def test_a_server_that_fails_at_everything_is_given_up_after_one_page(script, fake_time):
    steps = script(counted(1), *[httpx.ReadTimeout("t")] * 99)
    shop = client(steps.transport, fake_time, access_token=TOKEN, patience=Patience(attempts=2))
    with pytest.raises(TransientSourceError, match="timed out"):
        read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 50, 1, 1]


def test_a_record_that_moves_while_it_is_read_is_kept_once_as_last_seen(script, fake_time):
    steps = script(counted(3), page([1, 2], "c1"), page([3, 1]))
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert ids_of(fetched) == ["2", "3", "1"]
    assert "read_again" not in fetched.notes


def test_pages_that_disagree_with_the_count_are_read_again(script, fake_time):
    steps = script(counted(3), page([1]), counted(3), page([1, 2, 3]))
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert ids_of(fetched) == ["1", "2", "3"]
    assert fetched.notes == {"read_again": True}


def test_a_count_that_follows_the_pages_saves_the_second_reading(script, fake_time):
    steps = script(counted(3), page([1, 2]), counted(2))
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert fetched.expected_rows == 2
    assert len(steps.seen) == 3


def test_an_open_day_that_grows_while_it_is_read_is_read_once_and_one_that_shrinks_again(script, fake_time):
    grown = script(counted(1), page([1, 2]))
    fetched = read_connection(client(grown.transport, fake_time), CUSTOMERS_CONNECTION, None, may_grow=True)
    assert (ids_of(fetched), fetched.notes) == (["1", "2"], {})
    shrunk = script(counted(3), page([1]), counted(3), page([1, 2, 3]))
    fetched = read_connection(client(shrunk.transport, fake_time), CUSTOMERS_CONNECTION, None, may_grow=True)
    assert (ids_of(fetched), fetched.notes) == (["1", "2", "3"], {"read_again": True})


def test_a_count_that_never_agrees_is_left_to_the_check(script, fake_time):
    steps = script(counted(9), page([1]), counted(9), page([1]))
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert fetched.expected_rows == 9
    assert fetched.notes["count_disagrees"] is True


def test_a_count_that_is_not_exact_is_never_compared(script, fake_time):
    steps = script(counted(10_000, "AT_LEAST"), page([1]))
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert fetched.expected_rows is None
    assert fetched.notes == {"count_precision": "AT_LEAST"}


def test_a_cursor_that_does_not_move_fails(script, fake_time):
    steps = script(counted(9), page([1], "same"), page([2], "same"))
    with pytest.raises(TransientSourceError, match="does not move on"):
        read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)


def test_lines_beyond_the_first_page_are_read_and_merged(script, fake_time):
    steps = script(
        counted(1, root="ordersCount"),
        orders(order(lines([1, 2], "l2"))),
        good({"order": {"lineItems": lines([3, 4], "l4")}}),
        good({"order": {"lineItems": lines([5])}}),
    )
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    line_items = orjson.loads(fetched.pages[0])["data"]["orders"]["nodes"][0]["lineItems"]
    assert [one["id"][-1] for one in line_items["nodes"]] == ["1", "2", "3", "4", "5"]
    assert line_items["pageInfo"]["hasNextPage"] is False
    assert [variables(one).get("after") for one in steps.seen[2:]] == ["l2", "l4"]
    assert variables(steps.seen[2])["id"] == "gid://shopify/Order/7"


@pytest.mark.parametrize("cut", ["refundLineItems", "orderAdjustments"])
def test_a_refund_of_any_length_is_read_on_by_cursor(script, fake_time, cut):
    short = refund(31, nested([1], "r1"), nested([8])) if cut == "refundLineItems" else refund(31, nested([1]))
    if cut == "orderAdjustments":
        short["orderAdjustments"] = nested([1], "r1")
    more = [nested(range(100 * n + 2, 100 * n + 102), None if n == 5 else f"r{n + 2}") for n in range(6)]
    steps = script(
        counted(1, root="ordersCount"),
        orders(order(lines([1]), [refund(30, nested([7])), short])),
        *[good({"refund": {cut: rest}}) for rest in more],
    )
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    first, second = orjson.loads(fetched.pages[0])["data"]["orders"]["nodes"][0]["refunds"]
    assert [one["id"].rpartition("/")[2] for one in second[cut]["nodes"]] == [str(number) for number in range(1, 602)]
    assert len(first["refundLineItems"]["nodes"]) == 1
    assert second[cut]["pageInfo"]["hasNextPage"] is False
    assert {variables(one)["id"] for one in steps.seen[2:]} == {"gid://shopify/Refund/31"}
    assert [variables(one)["after"] for one in steps.seen[2:]] == ["r1", "r2", "r3", "r4", "r5", "r6"]


def test_a_nested_page_that_costs_too_much_is_halved(script, fake_time):
    steps = script(
        counted(1, root="ordersCount"),
        orders(order(lines([1], "l1"))),
        failed("MAX_COST_EXCEEDED"),
        good({"order": {"lineItems": lines([2])}}),
    )
    read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[2:]] == [100, 50]


def test_variants_beyond_the_first_page_are_read_and_merged(script, fake_time):
    product = {"legacyResourceId": "9", "variants": nested([1], "v1")}
    steps = script(
        counted(1, root="productsCount"),
        good({"products": {"nodes": [product], "pageInfo": {"hasNextPage": False, "endCursor": None}}}),
        good({"product": {"variants": nested([2])}}),
    )
    fetched = read_connection(client(steps.transport, fake_time), PRODUCTS_CONNECTION, None)
    variants = orjson.loads(fetched.pages[0])["data"]["products"]["nodes"][0]["variants"]["nodes"]
    assert len(variants) == 2


def test_a_record_deleted_while_its_lists_are_read_is_set_aside_and_its_neighbours_are_read(script, fake_time):
    neighbour = order(lines([5])) | {"legacyResourceId": "8"}
    both = good(
        {
            "orders": {
                "nodes": [order(lines([1], "l1")), neighbour],
                "pageInfo": {"hasNextPage": False, "endCursor": None},
            }
        }
    )
    steps = script(counted(2, root="ordersCount"), both, good({"order": None}))
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    assert ids_of(fetched, "orders") == ["8"]
    ((record, reason),) = [(one.record, one.reason) for one in fetched.skipped]
    assert (record, reason) == ("7", "it was deleted while the rest of it was read")
    assert fetched.expected_rows == 2
