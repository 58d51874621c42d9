"""A Shopify client against scripted answers, and the answers.

Belongs here: clients and answers of the unit tests of sources/shopify. Does not belong here: assertions.
"""

import httpx
import orjson

from hotdash_pipelines.sources.shopify.client import ShopifyClient

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
    return {"legacyResourceId": "7", "lineItems": lines, "refunds": list(refunds), "agreements": nested(())}


def lines(numbers, cursor=None):
    return {**nested((), cursor), "nodes": [line(one) for one in numbers]}


def orders(node):
    return good({"orders": {"nodes": [node], "pageInfo": {"hasNextPage": False, "endCursor": None}}})


def refund(number, items, adjustments=None):
    return {
        "legacyResourceId": str(number),
        "refundLineItems": items,
        "refundShippingLines": nested([]),
        "duties": None,
        "orderAdjustments": adjustments or nested([]),
        "transactions": nested([]),
    }
