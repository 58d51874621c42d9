"""Responses of the sources, made of what the contracts name.

Belongs here: records and pages. Does not belong here: tests.
"""

import json
from typing import Any

from hotdash_pipelines.contracts import parse
from hotdash_pipelines.contracts.parse import parse_pages
from tests.synthetic import contract_of

CUSTOMERS = contract_of("shopify", "customers")
ORDERS = contract_of("shopify", "orders")
CONVERSATIONS = contract_of("chatwoot", "conversations")
AGENTS = contract_of("chatwoot", "agents")
TRAFFIC = contract_of("ga4", "traffic_daily")
NOON = "2025-03-01T12:00:00Z"
MONEY = {"amount": "1.50", "currencyCode": "USD"}


def a_customer(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "legacyResourceId": str(number),
        "createdAt": NOON,
        "updatedAt": NOON,
        "firstName": "Ada",
        "lastName": None,
        "defaultEmailAddress": {"emailAddress": "ada@example.com", "marketingState": "SUBSCRIBED"},
        "defaultPhoneNumber": None,
        "state": "ENABLED",
        "tags": ["vip"],
        "numberOfOrders": "3",
        "amountSpent": MONEY,
        "defaultAddress": None,
    } | changes


def page_of(*customers: Any) -> bytes:
    return json.dumps({"data": {"customers": {"nodes": customers, "pageInfo": {"hasNextPage": False}}}}).encode()


def a_conversation(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "inbox_id": 1,
        "status": "open",
        "priority": None,
        "labels": [],
        "meta": {"sender": {"id": 5}, "assignee": None, "channel": "Channel::Email"},
        "created_at": 1740830400,
        "updated_at": 1740830400.123456,
        "last_activity_at": 1740830400,
        "first_reply_created_at": 0,
        "waiting_since": 1740830401,
    } | changes


def report_of(*rows: dict[str, Any], **changes: Any) -> bytes:
    body: dict[str, Any] = {"kind": "analyticsData#runReport", "metadata": {"currencyCode": "USD", "timeZone": "UTC"}}
    return json.dumps(body | ({"rows": rows} if rows else {}) | changes).encode()


def report_row(
    *,
    day: str = "20250301",
    dimensions: int = 4,
    metrics: tuple[str, ...] = ("1", "2", "3", "4", "5", "6.78905"),
    group: str = "d0",
) -> dict[str, Any]:
    values = (day, group, *(f"d{number}" for number in range(1, dimensions)))
    return {"dimensionValues": [{"value": v} for v in values], "metricValues": [{"value": v} for v in metrics]}


def ids_of(pages: list[bytes]) -> list[int]:
    return parse_pages(CUSTOMERS, pages).tables["customers"]["customer_id"].to_pylist()


def an_order(number: int, lines: int, refunds: tuple[int, ...] = ()) -> dict[str, Any]:
    """An order made of what the contract names; `refunds` holds the number of lines of each refund."""
    order = filled(ORDERS.table)
    order["legacyResourceId"] = str(number)
    order["lineItems"] = {
        "nodes": [filled(ORDERS.tables[1]) | {"id": gid_of("LineItem", number, n)} for n in range(lines)]
    }
    order["refunds"] = []
    for position, count in enumerate(refunds):
        refund = filled(next(table for table in ORDERS.tables if table.name == "refunds"))
        refund["legacyResourceId"] = f"{number}{position}"
        line = filled(next(table for table in ORDERS.tables if table.name == "refund_lines"))
        nodes = [
            line | {"lineItem": {"id": gid_of("LineItem", number, n)}, "id": gid_of("RefundLineItem", number, n)}
            for n in range(count)
        ]
        refund |= {"refundLineItems": {"nodes": nodes}, "orderAdjustments": {"nodes": []}}
        order["refunds"].append(refund)
    return order


def gid_of(kind: str, number: int, position: int) -> str:
    return f"gid://shopify/{kind}/{number}{position}"


def filled(table: Any) -> dict[str, Any]:
    """A record with a fitting value at every path of the table's fields."""
    record: dict[str, Any] = {}
    for field in table.fields:
        *folders, last = (field.path or "").split(".")
        node = record
        for folder in folders:
            node = node.setdefault(folder, {})
        by_type: dict[str, Any] = {"timestamp": NOON, "bool": False, "list<string>": ["a"], "string": "x"}
        value = by_type.get(field.type, "1" if field.decimal or field.encoding != "plain" else 1)
        node[last] = field.enum[0] if field.enum else value
    return record


def parse_orders(*orders: Any) -> parse.Parsed:
    return parse_pages(ORDERS, [json.dumps({"data": {"orders": {"nodes": orders}}}).encode()])


def order_version(number: int, minute: int, lines: int, name: str) -> dict[str, Any]:
    return an_order(number, lines) | {"updatedAt": f"2025-03-01T12:{minute:02}:00Z", "name": name}
