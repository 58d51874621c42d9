"""ShopifyClient against scripted answers: signing in, waiting, what an error means."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.sources import PermanentSourceError, QuotaExhausted, TransientSourceError, fetcher
from hotdash_pipelines.sources.errors import QueryTooCostly
from hotdash_pipelines.sources.shopify.client import ShopifyClient, version_end
from hotdash_pipelines.sources.shopify.paging import read_connection
from hotdash_pipelines.sources.shopify.streams import CUSTOMERS_CONNECTION, sum_line_parts, updated_within
from tests.unit.sources.shopify_answers import (
    CLIENT_SECRET,
    SHOP,
    TOKEN,
    client,
    failed,
    good,
    line,
    minted,
    order,
    page,
    signing_in,
)


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


def test_a_token_that_ends_after_it_was_accepted_is_replaced_again(script, fake_time):
    throttled = failed("THROTTLED", requested=300, available=100, rate=50)
    ended = httpx.Response(401)
    steps = script(minted(), ended, minted("shpua_second"), throttled, ended, minted("shpua_third"), good({"fine": 1}))
    assert signing_in(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}
    assert steps.seen[-1].headers["x-shopify-access-token"] == "shpua_third"


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


def test_an_error_without_a_usable_code_is_tried_again_then_transient_and_not_repeated(script, fake_time):
    for error in ({"message": TOKEN}, {"message": TOKEN, "extensions": {"code": f"no field for {TOKEN}"}}, TOKEN, None):
        answers = [httpx.Response(200, json={"errors": [error]})] * 4
        with pytest.raises(TransientSourceError, match="failed inside Shopify 4 times") as caught:
            client(script(*answers).transport, fake_time).graphql("q", {}, "Orders")
        assert TOKEN not in str(caught.value)


def test_an_error_without_a_code_that_points_into_the_query_is_permanent(script, fake_time):
    refused = httpx.Response(200, json={"errors": [{"message": "Parse error", "locations": [{"line": 1}]}]})
    with pytest.raises(PermanentSourceError, match="does not fit API version"):
        client(script(*[refused] * 4).transport, fake_time).graphql("q", {}, "Orders")


def test_data_beside_errors_is_a_failure(script, fake_time):
    half = httpx.Response(200, json={"data": {"orders": None}, "errors": [{"message": "no", "extensions": {}}]})
    with pytest.raises(TransientSourceError):
        client(script(*[half] * 4).transport, fake_time).graphql("q", {}, "Orders")


def test_a_missing_scope_is_named_with_the_field(script, fake_time):
    message = "Access denied for orders field. Required access: `read_orders` access scope."
    error = {"message": message, "path": ["orders"], "extensions": {"code": "ACCESS_DENIED"}}
    with pytest.raises(PermanentSourceError, match=r"the field orders .*access scope read_orders;"):
        client(script(httpx.Response(200, json={"errors": [error]})).transport, fake_time).graphql("q", {}, "Orders")


def test_a_missing_approval_is_named_with_the_field(script, fake_time):
    message = "This app is not approved to access the MailingAddress object. See https://shopify.dev for more details."
    error = {"message": message, "path": ["orders", "nodes", 0, "billing"], "extensions": {"code": "ACCESS_DENIED"}}
    answer = httpx.Response(200, json={"errors": [error], "data": {"orders": {"nodes": []}}})
    words = (
        r"the field orders\.nodes\.billing .*approval for protected customer data \(MailingAddress\); .*PERSONAL_FIELDS"
    )
    with pytest.raises(PermanentSourceError, match=words):
        client(script(answer).transport, fake_time).graphql("q", {}, "Orders")


@pytest.mark.parametrize(
    "strange",
    [
        {"errors": {"message": "an object"}},
        {"data": None},
        {"data": [1]},
        {"data": "text"},
        {},
        {"extensions": [1], "data": None},
        {"extensions": {"cost": {"requestedQueryCost": "many", "throttleStatus": [1]}}, "errors": [3]},
    ],
    ids=str,
)
def test_an_envelope_of_another_shape_is_one_transient_line(script, fake_time, strange):
    with pytest.raises(TransientSourceError) as caught:
        client(script(*[httpx.Response(200, json=strange)] * 4).transport, fake_time).graphql("q", {}, "Orders")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expires_in", ["soon", None, -5, [1], "86399"])
def test_a_token_whose_life_is_not_told_is_used_all_the_same(script, fake_time, expires_in):
    steps = script(minted(expires_in=expires_in), good({"fine": 1}))
    assert signing_in(steps.transport, fake_time).graphql("q", {}, "A").data == {"fine": 1}


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
