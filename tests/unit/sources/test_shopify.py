"""ShopifyClient and the paging of connections, against scripted answers."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.sources import PermanentSourceError, QuotaExhausted, TransientSourceError, fetcher
from hotdash_pipelines.sources.errors import QueryTooCostly
from hotdash_pipelines.sources.http import Patience
from hotdash_pipelines.sources.shopify.client import ShopifyClient, version_end
from hotdash_pipelines.sources.shopify.page_size import PageSize
from hotdash_pipelines.sources.shopify.paging import read_connection
from hotdash_pipelines.sources.shopify.streams import (
    CUSTOMERS_CONNECTION,
    ORDERS_CONNECTION,
    PRODUCTS_CONNECTION,
    sum_line_parts,
    updated_within,
)

SHOP = "https://hotdash-demo.myshopify.com"
CLIENT_SECRET = "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"
TOKEN = "shpat_0123456789abcdef0123456789abcdef"


def client(transport, fake_time, **options):
    given = options or {"access_token": TOKEN}
    return ShopifyClient(SHOP, "2026-10", sleep=fake_time.sleep, clock=fake_time.now, transport=transport, **given)


def signing_in(transport, fake_time):
    return client(transport, fake_time, client_id="app", client_secret=CLIENT_SECRET)


def minted(token="shpua_first", expires_in=86_399):
    return httpx.Response(200, json={"access_token": token, "scope": "read_orders", "expires_in": expires_in})


def cost(requested=10, available=20_000, maximum=20_000, rate=1000, actual=5):
    status = {"maximumAvailable": maximum, "currentlyAvailable": available, "restoreRate": rate}
    return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}


def good(data, **costs):
    return httpx.Response(200, json={"data": data, "extensions": {"cost": cost(**costs)}})


def failed(code, status=200, **costs):
    error = {"message": f"{code} {TOKEN}", "extensions": {"code": code}}
    return httpx.Response(status, json={"errors": [error], "extensions": {"cost": cost(**costs)}})


def counted(count, precision="EXACT", root="customersCount"):
    return good({root: {"count": count, "precision": precision}})


def page(ids, cursor=None, root="customers", **costs):
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return good({root: {"nodes": [{"legacyResourceId": str(one)} for one in ids], "pageInfo": info}}, **costs)


def variables(request):
    return orjson.loads(request.content)["variables"]


def ids_of(fetched, root="customers"):
    return [node["legacyResourceId"] for body in fetched.pages for node in orjson.loads(body)["data"][root]["nodes"]]


def test_a_static_token_goes_into_the_header_and_nowhere_else(script, fake_time):
    steps = script(good({"shop": {"myshopifyDomain": "hotdash-demo.myshopify.com"}}))
    assert client(steps.transport, fake_time).ping() == "hotdash-demo.myshopify.com, API 2026-10"
    (request,) = steps.seen
    assert request.headers["x-shopify-access-token"] == TOKEN
    assert str(request.url) == f"{SHOP}/admin/api/2026-10/graphql.json"
    assert TOKEN not in request.content.decode()


def test_client_credentials_are_exchanged_once_and_the_token_is_kept(script, fake_time):
    steps = script(minted(), good({}), good({}))
    shop = signing_in(steps.transport, fake_time)
    shop.graphql("q", {}, "A")
    shop.graphql("q", {}, "B")
    grant, first, second = steps.seen
    assert grant.url.path == "/admin/oauth/access_token"
    assert orjson.loads(grant.content)["grant_type"] == "client_credentials"
    assert {one.headers["x-shopify-access-token"] for one in (first, second)} == {"shpua_first"}


def test_a_token_is_replaced_before_it_expires(script, fake_time):
    steps = script(minted(), good({}), minted("shpua_second"), good({}))
    shop = signing_in(steps.transport, fake_time)
    shop.graphql("q", {}, "A")
    fake_time.at += timedelta(seconds=86_399 - 300)
    shop.graphql("q", {}, "A")
    assert steps.seen[-1].headers["x-shopify-access-token"] == "shpua_second"


def test_a_refused_token_is_replaced_once(script, fake_time):
    steps = script(minted(), httpx.Response(401), minted("shpua_second"), good({"fine": 1}))
    assert signing_in(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}
    assert [one.headers.get("x-shopify-access-token") for one in steps.seen] == [
        None,
        "shpua_first",
        None,
        "shpua_second",
    ]


def test_a_token_refused_twice_is_permanent(script, fake_time):
    steps = script(minted(), httpx.Response(401), minted("shpua_second"), httpx.Response(401, text="shpua_second"))
    with pytest.raises(PermanentSourceError, match="401: the token is refused") as caught:
        signing_in(steps.transport, fake_time).graphql("q", {}, "A")
    assert "shpua" not in str(caught.value)


def test_a_refused_static_token_is_permanent_at_once(script, fake_time):
    steps = script(httpx.Response(401))
    with pytest.raises(PermanentSourceError, match="HOTDASH_SHOPIFY_ACCESS_TOKEN"):
        client(steps.transport, fake_time).graphql("q", {}, "A")
    assert len(steps.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_client_secret_is_permanent_and_never_shown(script, fake_time, status):
    steps = script(httpx.Response(status, text=CLIENT_SECRET))
    with pytest.raises(PermanentSourceError, match="HOTDASH_SHOPIFY_CLIENT_SECRET") as caught:
        signing_in(steps.transport, fake_time).graphql("q", {}, "A")
    assert CLIENT_SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_signing_in_without_a_token_in_the_answer_is_permanent(script, fake_time):
    steps = script(httpx.Response(200, json={"hello": "world"}))
    with pytest.raises(PermanentSourceError, match="gave no token"):
        signing_in(steps.transport, fake_time).graphql("q", {}, "A")


def test_no_credentials_are_told_when_the_client_is_made():
    with pytest.raises(PermanentSourceError, match="HOTDASH_SHOPIFY_CLIENT_ID"):
        ShopifyClient(SHOP, "2026-10", client_id="app")


@pytest.mark.parametrize("status", [200, 429])
def test_throttled_under_either_status_waits_for_the_missing_points(script, fake_time, status):
    steps = script(failed("THROTTLED", status, requested=300, available=100, rate=50), good({"fine": 1}))
    assert client(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}
    assert 4.0 <= fake_time.naps[0] <= 4.5


def test_throttled_for_ever_ends_as_quota_with_a_time_to_resume(script, fake_time):
    steps = script(*[lambda request: failed("THROTTLED", requested=900, available=0, maximum=1000, rate=10)] * 99)
    with pytest.raises(QuotaExhausted, match="throttled for 600 s") as caught:
        client(steps.transport, fake_time).graphql("q", {}, "A")
    assert caught.value.resume_at > fake_time.now()
    assert caught.value.retry_after >= 90


def test_a_query_that_no_refill_can_pay_is_too_costly(script, fake_time):
    steps = script(failed("THROTTLED", requested=3000, available=2000, maximum=2000))
    with pytest.raises(QueryTooCostly):
        client(steps.transport, fake_time).graphql("q", {}, "A")


@pytest.mark.parametrize(
    ("code", "words"),
    [("ACCESS_DENIED", "check the app's scopes"), ("undefinedField", "does not fit API version 2026-10")],
)
def test_a_refused_query_is_permanent_and_its_message_is_not_repeated(script, fake_time, code, words):
    steps = script(failed(code))
    with pytest.raises(PermanentSourceError, match=words) as caught:
        client(steps.transport, fake_time).graphql("q", {}, "Orders")
    assert TOKEN not in str(caught.value)


def test_an_error_code_that_is_a_text_is_not_repeated(script, fake_time):
    with pytest.raises(PermanentSourceError, match="GRAPHQL_ERROR"):
        client(script(failed(f"no field for {TOKEN}")).transport, fake_time).graphql("q", {}, "Orders")


def test_data_beside_errors_is_a_failure(script, fake_time):
    half = httpx.Response(200, json={"data": {"orders": None}, "errors": [{"message": "no", "extensions": {}}]})
    with pytest.raises(PermanentSourceError):
        client(script(half).transport, fake_time).graphql("q", {}, "Orders")


def test_an_internal_error_is_tried_again_then_transient(script, fake_time):
    steps = script(failed("INTERNAL_SERVER_ERROR"), good({"fine": 1}))
    assert client(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}
    with pytest.raises(TransientSourceError, match="failed inside Shopify 4 times"):
        client(script(*[failed("INTERNAL_SERVER_ERROR")] * 4).transport, fake_time).graphql("q", {}, "A")


@pytest.mark.parametrize("status", [402, 403, 404, 423])
def test_a_barred_shop_is_permanent(script, fake_time, status):
    with pytest.raises(PermanentSourceError, match=f"answered {status}"):
        client(script(httpx.Response(status)).transport, fake_time).graphql("q", {}, "A")


def test_a_plain_429_is_waited_out(script, fake_time):
    steps = script(httpx.Response(429, headers={"retry-after": "2"}), httpx.Response(429), good({"fine": 1}))
    assert client(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}
    assert 2 <= fake_time.naps[0] <= 2.5


def test_another_version_than_asked_for_is_noted(script, fake_time):
    old = {"x-shopify-api-version": "2026-01"}
    steps = script(
        httpx.Response(200, json={"data": {"customersCount": {"count": 0, "precision": "EXACT"}}}, headers=old),
        httpx.Response(200, json=orjson.loads(page([]).content), headers=old),
    )
    fetched = read_connection(client(steps.transport, fake_time), CUSTOMERS_CONNECTION, None)
    assert fetched.api_version == "2026-01"
    assert fetched.notes["api_version_asked"] == "2026-10"


def test_a_version_near_its_end_is_noted(fake_time):
    assert str(version_end("2026-10")) == "2027-10-01"
    assert version_end("unstable") is None
    shop = client(None, fake_time)
    assert shop.version_notes() == {}
    fake_time.at = datetime.fromisoformat("2027-08-01T00:00:00+00:00")
    assert shop.version_notes() == {"api_version_days_left": 61}


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


def test_a_page_over_which_the_server_fails_is_halved(script, fake_time):
    steps = script(counted(1), *[httpx.Response(502)] * 2, page([1]))
    shop = client(steps.transport, fake_time, access_token=TOKEN, patience=Patience(attempts=2))
    read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 50, 25]


def test_a_server_that_fails_on_gives_up_after_three_halvings(script, fake_time):
    steps = script(counted(1), *[httpx.ReadTimeout("t")] * 99)
    shop = client(steps.transport, fake_time, access_token=TOKEN, patience=Patience(attempts=2))
    with pytest.raises(TransientSourceError, match="timed out"):
        read_connection(shop, CUSTOMERS_CONNECTION, None)
    assert [variables(one)["first"] for one in steps.seen[1:]] == [50, 50, 25, 25, 12, 12, 6, 6]


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


def nested(ids, cursor=None):
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return {"nodes": [{"id": f"gid://shopify/LineItem/{one}"} for one in ids], "pageInfo": info}


def line(number, taxes=(), discounts=()):
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "taxLines": [{"priceSet": {"shopMoney": {"amount": one}}} for one in taxes],
        "discountAllocations": [{"allocatedAmountSet": {"shopMoney": {"amount": one}}} for one in discounts],
    }


def order(lines, refunds=()):
    return {"legacyResourceId": "7", "lineItems": lines, "refunds": list(refunds)}


def lines(numbers, cursor=None):
    return {**nested((), cursor), "nodes": [line(one) for one in numbers]}


def orders(node):
    return good({"orders": {"nodes": [node], "pageInfo": {"hasNextPage": False, "endCursor": None}}})


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


def refund(number, items, adjustments=None):
    return {"legacyResourceId": str(number), "refundLineItems": items, "orderAdjustments": adjustments or nested([])}


@pytest.mark.parametrize("cut", ["refundLineItems", "orderAdjustments"])
def test_a_cut_list_inside_a_refund_is_read_whole(script, fake_time, cut):
    short = refund(1, nested([1], "r1") if cut == "refundLineItems" else nested([1]))
    if cut == "orderAdjustments":
        short["orderAdjustments"] = nested([8], "a8")
    whole = [refund(1, nested([1, 2, 3]), nested([8, 9]))]
    steps = script(
        counted(1, root="ordersCount"), orders(order(lines([1]), [short])), good({"order": {"refunds": whole}})
    )
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    assert orjson.loads(fetched.pages[0])["data"]["orders"]["nodes"][0]["refunds"] == whole
    assert variables(steps.seen[2]) == {"id": "gid://shopify/Order/7", "first": 250}


def test_a_refund_too_long_to_be_read_whole_fails_rather_than_being_cut(script, fake_time):
    cut = [refund(1, nested([1], "r1"))]
    steps = script(counted(1, root="ordersCount"), orders(order(lines([1]), cut)), good({"order": {"refunds": cut}}))
    with pytest.raises(PermanentSourceError, match="more than 250"):
        read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)


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


def test_a_record_deleted_while_its_lists_are_read_is_transient(script, fake_time):
    steps = script(counted(1, root="ordersCount"), orders(order(lines([1], "l1"))), good({"order": None}))
    with pytest.raises(TransientSourceError, match="vanished"):
        read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)


def test_taxes_and_discounts_of_a_line_are_summed_exactly():
    whole = order({"nodes": [line(1, ["0.10", "0.20"], ["5.00", "0.005"]), line(2)], "pageInfo": {}})
    assert sum_line_parts(whole)
    first, second = (one["lineTotals"] for one in whole["lineItems"]["nodes"])
    assert (Decimal(first["taxAmount"]), Decimal(first["discountAmount"])) == (Decimal("0.30"), Decimal("5.005"))
    assert second == {"discountAmount": "0", "taxAmount": "0"}


def test_the_search_is_half_open_in_utc_even_on_the_day_of_25_hours():
    window = window_of("2026-11-01", ZoneInfo("America/New_York"))
    assert updated_within(window) == "updated_at:>='2026-11-01T04:00:00Z' updated_at:<'2026-11-02T05:00:00Z'"


def test_an_error_of_a_fetch_names_stream_and_partition(script, fake_time):
    window = window_of("2026-11-18", ZoneInfo("America/New_York"))
    with pytest.raises(PermanentSourceError, match=r"^shopify/orders 2026-11-18: hotdash-demo\.myshopify\.com: "):
        fetcher("shopify", "orders")(client(script(httpx.Response(404)).transport, fake_time), None, window)
