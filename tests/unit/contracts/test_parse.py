"""Pages parsed by their contracts: what lands, what is reported, what is left out."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts import parse
from hotdash_pipelines.contracts.casts import LONGEST_TEXT, ContractBreach, cast
from hotdash_pipelines.contracts.parse import parse_pages
from tests.synthetic import contract_of

CUSTOMERS = contract_of("shopify", "customers")
ORDERS = contract_of("shopify", "orders")
CONVERSATIONS = contract_of("chatwoot", "conversations")
AGENTS = contract_of("chatwoot", "agents")
TRAFFIC = contract_of("ga4", "traffic_daily")
NOON = "2025-03-01T12:00:00Z"
MONEY = {"amount": "1.50", "currencyCode": "USD"}


def _customer(number: int, **changes: Any) -> dict[str, Any]:
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


def _page(*customers: Any) -> bytes:
    return json.dumps({"data": {"customers": {"nodes": customers, "pageInfo": {"hasNextPage": False}}}}).encode()


def _conversation(number: int, **changes: Any) -> dict[str, Any]:
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


def _report(*rows: dict[str, Any], **changes: Any) -> bytes:
    body: dict[str, Any] = {"kind": "analyticsData#runReport", "metadata": {"currencyCode": "USD", "timeZone": "UTC"}}
    return json.dumps(body | ({"rows": rows} if rows else {}) | changes).encode()


def _row(
    *,
    day: str = "20250301",
    dimensions: int = 4,
    metrics: tuple[str, ...] = ("1", "2", "3", "4", "5", "6.78905"),
    group: str = "d0",
) -> dict[str, Any]:
    values = (day, group, *(f"d{number}" for number in range(1, dimensions)))
    return {"dimensionValues": [{"value": v} for v in values], "metricValues": [{"value": v} for v in metrics]}


def _ids(pages: list[bytes]) -> list[int]:
    return parse_pages(CUSTOMERS, pages).tables["customers"]["customer_id"].to_pylist()


def test_a_record_becomes_typed_columns() -> None:
    (row,) = parse_pages(CUSTOMERS, [_page(_customer(7))]).tables["customers"].to_pylist()
    assert row["customer_id"] == 7
    assert row["updated_at"] == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert row["email"] == "ada@example.com"
    assert row["tags"] == ["vip"]
    assert row["spent_amount"] == Decimal("1.5000")
    assert (row["last_name"], row["phone"], row["city"]) == (None, None, None)


def test_no_pages_and_empty_pages_give_empty_tables_in_the_contracts_schema() -> None:
    for pages in ([], [_page()]):
        parsed = parse_pages(CUSTOMERS, pages)
        assert parsed.tables["customers"].num_rows == 0
        assert parsed.tables["customers"].schema.names == list(CUSTOMERS.table.column_names)
        assert not parsed.bad_pages


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"data":', "a response is not JSON"),
        (b"", "a response is not JSON"),
        (b"[1]", "a response is not a JSON object"),
        (b"<html>502</html>", "a response is not JSON"),
        (_page(_customer(9)) + b" x", "a response is not JSON"),
        (_page(_customer(9)) + _page(_customer(9)), "a response is not JSON"),
        (b'{"data": {}}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": null}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": []}', "customers: data.customers.nodes: a list stands where an object should"),
        (b'{"data": {"customers": {"nodes": null}}}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": {"customers": {"nodes": {}}}}', "customers: data.customers.nodes is an object, not a list"),
    ],
)
def test_a_page_that_cannot_be_read_is_left_out_and_the_others_are_parsed(bad: bytes, reason: str) -> None:
    parsed = parse_pages(CUSTOMERS, [_page(_customer(1)), bad, _page(_customer(2)), _page(_customer(3))])
    assert parsed.tables["customers"]["customer_id"].to_pylist() == [1, 2, 3]
    ((index, said),) = ((page.index, page.reason) for page in parsed.bad_pages)
    assert index == 1
    assert reason in said
    assert "ada" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("sick", "reason"),
    [
        (None, "customers: a record is null"),
        ("ada", "customers: a record is a text"),
        (
            _customer(9, defaultEmailAddress="ada@example.com"),
            "defaultEmailAddress.emailAddress: a text",
        ),
        (_customer(9, state=None), "customers.state is null in a record"),
        (_customer(9, firstName={"ada": 1}), "customers.first_name is not a string (an object sent)"),
        (_customer(9, createdAt="ada@example.com"), "customers.created_at is not a timestamp (a text sent)"),
        (_customer(9, createdAt="2025-03-01T12:00:00"), "customers.created_at is a time without its zone"),
        (_customer(9, createdAt="0001-01-01T00:00:00+05:00"), "customers.created_at is not a timestamp"),
        (_customer(9, createdAt=1740830400), "customers.created_at is not a timestamp (a number sent)"),
        (_customer(9, numberOfOrders="0x10"), "customers.order_count is not a int64 (a text sent)"),
        (_customer(9, numberOfOrders=True), "customers.order_count is not a int64 (a boolean sent)"),
        (_customer(9, numberOfOrders=str(2**63)), "customers.order_count does not fit a int64"),
        (_customer(9, numberOfOrders="1e999999999"), "customers.order_count does not fit a int64"),
        (_customer(9, amountSpent={"amount": "ada"}), "customers.spent_amount is not a decimal(18,4) (a text sent)"),
        (_customer(9, tags="ada"), "customers.tags is not a list<string> (a text sent)"),
        (_customer(9, tags=[["ada"]]), "customers.tags is not a list<string> (a list sent)"),
    ],
)
def test_a_sick_record_is_set_aside_with_its_reason_and_its_neighbours_land(sick: Any, reason: str) -> None:
    parsed = parse_pages(CUSTOMERS, [_page(_customer(1)), _page(_customer(2), sick, _customer(3)), _page(_customer(4))])
    assert parsed.tables["customers"]["customer_id"].to_pylist() == [1, 2, 3, 4]
    assert not parsed.bad_pages
    (rejected,) = parsed.rejected
    assert rejected.page == 1
    assert reason in rejected.reason
    assert "ada" not in rejected.reason
    assert json.loads(rejected.record) == sick
    assert rejected.key == ('["9"]' if isinstance(sick, dict) else None)


def test_a_record_keeps_its_numbers_as_they_were_spelled() -> None:
    page = _page(_customer(9, state=None)).replace(b'"numberOfOrders": "3"', b'"numberOfOrders": 3.10, "n": 1E2')
    (rejected,) = parse_pages(CUSTOMERS, [page]).rejected
    assert b'"numberOfOrders": 3.10, "n": 1E2' in rejected.record


@pytest.mark.parametrize(
    "odd",
    [
        {"anything": [1, "x", {"q": 1}, [], None, [[]]]},
        {"anything": {"a": {"b": [{"c": 1}, {"c": "1"}, {"c": []}]}}},
        {"anything": 10**400},
        {"": 0},
    ],
)
def test_what_no_contract_names_may_have_any_shape(odd: dict[str, Any]) -> None:
    pages = [_page(_customer(1, **odd), _customer(2, anything=5)), _page(_customer(3, anything="x"))]
    parsed = parse_pages(CUSTOMERS, pages)
    assert parsed.tables["customers"]["customer_id"].to_pylist() == [1, 2, 3]
    assert (parsed.rejected, parsed.bad_pages, parsed.mended_values) == ([], [], {})


@pytest.mark.parametrize(
    "free",
    [b'{"k": 1, "k": "2"}', b"[" * 5000 + b"]" * 5000, b'"\\ud800"', b'"\\u0000"', b"1e400", b"NaN", b'"\xff"'],
    ids=["doubled keys", "deep", "lone surrogate", "nul", "beyond a double", "nan", "no utf-8"],
)
@pytest.mark.parametrize("beside", ["a healthy record", "a sick record"])
def test_what_no_contract_names_may_hold_what_json_forbids(free: bytes, beside: str) -> None:
    other = _customer(9, state=None if beside == "a sick record" else "ENABLED")
    page = _page(_customer(1, free="FREE"), other).replace(b'"FREE"', free)
    parsed = parse_pages(CUSTOMERS, [page, _page(_customer(2))])
    healthy = [1, 2] if beside == "a sick record" else [1, 9, 2]
    assert parsed.tables["customers"]["customer_id"].to_pylist() == healthy
    assert len(parsed.rejected) == (beside == "a sick record")
    assert not parsed.bad_pages


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("3", 3),
        ("3.0", 3),
        ("1.0E2", 100),
        ("2.5", 3),
        ("2.4999999999999999999999999999999999999999", 2),
        ("-2.5", -3),
        ("+7", 7),
        (" 8 ", 8),
        ("1E-400", 0),
        ("0e999999999", 0),
        (3, 3),
        (3.0, 3),
        (1e2, 100),
        (2.5, 3),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_a_count_is_a_count_however_it_is_spelled(sent: Any, kept: int) -> None:
    pages = [_page(_customer(1, numberOfOrders=sent), _customer(2)), _page(_customer(3))]
    parsed = parse_pages(CUSTOMERS, pages)
    assert parsed.tables["customers"]["order_count"].to_pylist() == [kept, 3, 3]
    assert not parsed.rejected


def test_ids_texts_and_flags_may_come_as_other_types() -> None:
    page = _page(_customer(1, legacyResourceId=1, firstName=5.10, lastName=True, tags=[1, True, None, "x"]))
    page = page.replace(b"5.1", b"5.10")
    (row,) = parse_pages(CUSTOMERS, [page]).tables["customers"].to_pylist()
    assert (row["customer_id"], row["first_name"], row["last_name"]) == (1, "5.10", "true")
    assert row["tags"] == ["1", "true", None, "x"]
    order = _order(1, lines=0) | {"test": "TRUE", "taxesIncluded": 0}
    (row,) = _orders(order).tables["orders"].to_pylist()
    assert (row["is_test"], row["taxes_included"]) == (True, False)


def test_respelled_values_are_counted_by_column_and_rounding_is_none() -> None:
    odd = _customer(1, legacyResourceId=1, firstName=5, numberOfOrders="3.4", amountSpent=MONEY | {"amount": 1.50})
    parsed = parse_pages(CUSTOMERS, [_page(odd), _page(_customer(2, numberOfOrders="3.4"))])
    assert parsed.mended_values == {
        "customers.customer_id": 1,
        "customers.first_name": 1,
        "customers.spent_amount": 1,
    }


def test_text_is_made_storable_and_counted() -> None:
    page = _page(_customer(1, firstName="A\0da", lastName="x" * (LONGEST_TEXT + 5), tags=["v\0ip", None], city=None))
    bad = _page(_customer(2)).replace(b'"Ada"', b'"\\ud83d!"').replace(b'"vip"', b'"\xffip"')
    parsed = parse_pages(CUSTOMERS, [page, bad])
    first, second = parsed.tables["customers"].to_pylist()
    assert (first["first_name"], len(first["last_name"]), first["tags"]) == ("Ada", LONGEST_TEXT, ["vip", None])
    assert (second["first_name"], second["tags"]) == ("\ufffd!", ["\ufffdip"])
    assert parsed.mended_values == {
        "customers.first_name": 2,
        "customers.last_name": 1,
        "customers.tags": 1,
    }
    assert not parsed.rejected


def test_of_a_field_that_is_given_twice_the_last_one_counts() -> None:
    page = _page(_customer(1)).replace(b'"state"', b'"state": "DISABLED", "state"')
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["state"].to_pylist() == ["ENABLED"]


def test_several_bad_pages_are_each_found() -> None:
    pages = [_page(_customer(number)) for number in range(9)]
    for position in (0, 4, 8):
        pages[position] = b"{"
    parsed = parse_pages(CUSTOMERS, pages)
    assert [page.index for page in parsed.bad_pages] == [0, 4, 8]
    assert parsed.tables["customers"].num_rows == 6


def test_an_instant_that_came_as_a_fraction_is_rounded() -> None:
    page = json.dumps({"payload": [_conversation(1, created_at=1740830400.5)]}).encode()
    assert parse_pages(CONVERSATIONS, [page]).tables["conversations"]["created_at"].to_pylist() == [
        datetime(2025, 3, 1, 12, 0, 1, tzinfo=UTC)
    ]


@pytest.mark.parametrize("sent", [10**12, -(10**12), 1e300, "soon", True])
def test_an_epoch_outside_the_calendar_is_a_bad_record(sent: Any) -> None:
    page = json.dumps({"payload": [_conversation(1, created_at=sent), _conversation(2, updated_at=sent)]}).encode()
    parsed = parse_pages(CONVERSATIONS, [page, json.dumps({"payload": [_conversation(3)]}).encode()])
    assert [record.key for record in parsed.rejected] == ['["1"]', '["2"]']
    assert parsed.tables["conversations"].num_rows == 1


def test_pages_in_many_groups_equal_pages_in_one() -> None:
    pages = [_page(_customer(number), _customer(number + 100)) for number in range(20)]
    pages[7] = b"{"
    pages[9] = _page(_customer(9), _customer(None), _customer(109))
    together = parse_pages(CUSTOMERS, pages)
    apart = parse_pages(CUSTOMERS, pages, 2 * len(pages[0]))
    assert apart.tables["customers"].equals(together.tables["customers"])
    assert apart.bad_pages == together.bad_pages
    assert [page.index for page in apart.bad_pages] == [7]
    assert apart.rejected == together.rejected
    assert [record.page for record in apart.rejected] == [9]


def test_a_page_printed_over_many_lines_is_one_document() -> None:
    pretty = json.dumps(json.loads(_page(_customer(1), _customer(2))), indent=2).replace("\n", "\r\n").encode()
    assert _ids([pretty, _page(_customer(3))]) == [1, 2, 3]


def test_unknown_fields_at_any_depth_are_reported_and_dropped() -> None:
    new = _customer(1, loyaltyTier="gold", wallet={"points": 3})
    new["amountSpent"] = {**MONEY, "precision": 2}
    parsed = parse_pages(CUSTOMERS, [_page(new), _page(_customer(2))])
    assert parsed.unknown_fields == {"loyaltyTier": "string", "wallet": "object", "amountSpent.precision": "int64"}
    assert parsed.tables["customers"].schema.names == list(CUSTOMERS.table.column_names)
    assert not parsed.bad_pages


def test_ignored_fields_and_the_envelope_are_not_reported() -> None:
    page = json.loads(_page(_customer(1, id="gid://shopify/Customer/1")))
    page["extensions"] = {"cost": {"requestedQueryCost": 3}}
    assert parse_pages(CUSTOMERS, [json.dumps(page).encode()]).unknown_fields == {}
    agent = {"id": 1, "name": "A", "email": "a@example.com", "role": "agent", "anything": {"else": 1}}
    assert parse_pages(AGENTS, [json.dumps({"payload": [agent]}).encode()]).unknown_fields == {}


def test_values_outside_an_enum_are_counted_and_kept_and_nulls_are_none_of_them() -> None:
    rows = [_customer(1, state="SLEEPING"), _customer(2, state="SLEEPING"), _customer(3, defaultEmailAddress=None)]
    parsed = parse_pages(CUSTOMERS, [_page(*rows), _page(_customer(4, state="AWAKE"))])
    assert parsed.unknown_enum_values == {"customers.state": 3}
    assert parsed.tables["customers"]["state"].to_pylist() == ["SLEEPING", "SLEEPING", "ENABLED", "AWAKE"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("12.34", "12.3400"),
        ("0.00005", "0.0001"),
        ("0.00015", "0.0002"),
        ("0.00025", "0.0003"),
        ("-0.00005", "-0.0001"),
        ("0.000049999", "0.0000"),
        ("12345678901234.5678", "12345678901234.5678"),
        ("1e3", "1000.0000"),
        ("6346.2638449999995", "6346.2638"),
        ("0.00004999999999999999999999999999999999999999999", "0.0000"),
        ("0.00005000000000000000000000000000000000000000000", "0.0001"),
        ("1E-400", "0.0000"),
        (" 1.5", "1.5000"),
        (6346.26385, "6346.2639"),
        (12, "12.0000"),
    ],
)
def test_money_keeps_every_digit_of_the_contract_and_is_rounded_half_up(sent: Any, kept: str) -> None:
    page = _page(_customer(1, amountSpent={"amount": sent, "currencyCode": "USD"}), _customer(2))
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["spent_amount"].to_pylist() == [
        Decimal(kept),
        Decimal("1.5"),
    ]


@pytest.mark.parametrize(
    "sent", ["123456789012345.5", "NaN", "", "1,5", "1E30", "1E400", float("inf"), "1_000", "１２"]
)
def test_money_that_does_not_fit_is_a_bad_record_and_no_guess(sent: Any) -> None:
    parsed = parse_pages(CUSTOMERS, [_page(_customer(1, amountSpent={"amount": sent, "currencyCode": "USD"}))])
    assert (len(parsed.rejected), parsed.tables["customers"].num_rows) == (1, 0)


def test_offsets_are_turned_into_utc() -> None:
    page = _page(_customer(1, createdAt="2025-03-01T12:00:00-05:00"), _customer(2, createdAt="2025-03-01T12:00:00.25Z"))
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["created_at"].to_pylist() == [
        datetime(2025, 3, 1, 17, tzinfo=UTC),
        datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC),
    ]


def test_epoch_times_keep_their_microseconds_and_zero_means_never_only_where_it_says_so() -> None:
    page = json.dumps({"payload": [_conversation(1), _conversation(2, first_reply_created_at=1740830405)]}).encode()
    rows = parse_pages(CONVERSATIONS, [page]).tables["conversations"].to_pylist()
    assert rows[0]["updated_at"] == datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert [row["first_reply_created_at"] for row in rows] == [None, datetime(2025, 3, 1, 12, 0, 5, tzinfo=UTC)]
    zero = json.dumps({"payload": [_conversation(1, created_at=0)]}).encode()
    assert parse_pages(CONVERSATIONS, [zero]).tables["conversations"]["created_at"].to_pylist() == [
        datetime(1970, 1, 1, tzinfo=UTC)
    ]


def test_a_missing_object_makes_its_columns_null() -> None:
    page = json.dumps({"payload": [_conversation(1, meta=None)]}).encode()
    (row,) = parse_pages(CONVERSATIONS, [page]).tables["conversations"].to_pylist()
    assert (row["contact_id"], row["assignee_id"], row["channel"]) == (None, None, None)


def test_positional_lists_become_columns_and_page_values_stand_on_every_row() -> None:
    euro = {"currencyCode": "EUR", "timeZone": "UTC", "subjectToThresholding": True}
    parsed = parse_pages(TRAFFIC, [_report(_row()), _report(_row(group="e"), _row(group="f"), metadata=euro)])
    rows = parsed.tables["traffic_daily"].to_pylist()
    assert rows[0]["property_date"] == date(2025, 3, 1)
    assert [rows[0][name] for name in ("channel_group", "source", "medium", "campaign")] == ["d0", "d1", "d2", "d3"]
    assert [rows[0][name] for name in ("sessions", "purchases", "revenue_amount")] == [1, 5, Decimal("6.7891")]
    assert [(row["currency_code"], row["is_thresholded"]) for row in rows] == [
        ("USD", None),
        ("EUR", True),
        ("EUR", True),
    ]


def test_an_absent_rows_list_is_an_empty_report_where_the_contract_allows_it() -> None:
    parsed = parse_pages(TRAFFIC, [_report(), _report(_row()), b"{}"])
    assert parsed.tables["traffic_daily"].num_rows == 1
    assert not parsed.bad_pages


@pytest.mark.parametrize(
    "row",
    [
        _row(dimensions=1),
        _row(metrics=("1", "2")),
        _row(day="2025-03-01"),
        _row(day="(other)"),
        _row(day="20250230"),
        _row(day="2025031"),
        _row(metrics=("many",) * 6),
    ],
    ids=["short dimensions", "short metrics", "another format", "no date", "no such day", "short date", "no number"],
)
def test_a_report_row_that_does_not_fit_is_set_aside_alone(row: dict[str, Any]) -> None:
    parsed = parse_pages(TRAFFIC, [_report(_row()), _report(_row(group="e"), row, _row(group="f"))])
    assert [record.page for record in parsed.rejected] == [1]
    assert parsed.tables["traffic_daily"].num_rows == 3


def test_metrics_that_come_as_doubles_are_numbers() -> None:
    parsed = parse_pages(TRAFFIC, [_report(_row(metrics=("3.0", "1.0E2", "2.5", "4", "5", "6346.2638449999995")))])
    (row,) = parsed.tables["traffic_daily"].to_pylist()
    assert [row[name] for name in ("sessions", "engaged_sessions", "total_users")] == [3, 100, 3]
    assert row["revenue_amount"] == Decimal("6346.2638")


def _order(number: int, lines: int, refunds: tuple[int, ...] = ()) -> dict[str, Any]:
    """An order made of what the contract names; `refunds` holds the number of lines of each refund."""
    order = _filled(ORDERS.table)
    order["legacyResourceId"] = str(number)
    order["lineItems"] = {
        "nodes": [_filled(ORDERS.tables[1]) | {"id": _gid("LineItem", number, n)} for n in range(lines)]
    }
    order["refunds"] = []
    for position, count in enumerate(refunds):
        refund = _filled(next(table for table in ORDERS.tables if table.name == "refunds"))
        refund["legacyResourceId"] = f"{number}{position}"
        line = _filled(next(table for table in ORDERS.tables if table.name == "refund_lines"))
        nodes = [
            line | {"lineItem": {"id": _gid("LineItem", number, n)}, "id": _gid("RefundLineItem", number, n)}
            for n in range(count)
        ]
        refund |= {"refundLineItems": {"nodes": nodes}, "orderAdjustments": {"nodes": []}}
        order["refunds"].append(refund)
    return order


def _gid(kind: str, number: int, position: int) -> str:
    return f"gid://shopify/{kind}/{number}{position}"


def _filled(table: Any) -> dict[str, Any]:
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


def test_nested_lists_become_tables_that_carry_the_keys_of_all_their_parents() -> None:
    nodes = [_order(1, lines=2, refunds=(1, 2)), _order(2, lines=0), _order(3, lines=1, refunds=(0,))]
    page = json.dumps({"data": {"orders": {"nodes": nodes}}}).encode()
    parsed = parse_pages(ORDERS, [page])
    assert not parsed.bad_pages
    assert parsed.unknown_fields == {}
    keys = {
        table.name: [
            tuple(row.values())
            for row in parsed.tables[table.name].select([*table.inherits, *table.key][:3]).to_pylist()
        ]
        for table in ORDERS.tables[1:]
    }
    assert keys["order_lines"] == [(1, 10), (1, 11), (3, 30)]
    assert [row[:2] for row in keys["refunds"]] == [(1, 10), (1, 11), (3, 30)]
    refund_lines = parsed.tables["refund_lines"].select(["order_id", "refund_id", "order_line_id"]).to_pylist()
    assert [tuple(row.values()) for row in refund_lines] == [(1, 10, 10), (1, 11, 10), (1, 11, 11)]
    assert parsed.tables["refund_adjustments"].num_rows == 0


def test_children_follow_their_parents_over_pages_and_groups() -> None:
    pages = [
        json.dumps({"data": {"orders": {"nodes": [_order(number, lines=number % 3)]}}}).encode()
        for number in range(1, 7)
    ]
    expected = [(number, int(f"{number}{n}")) for number in range(1, 7) for n in range(number % 3)]
    for size in (10**9, 1):
        lines = parse_pages(ORDERS, pages, size).tables["order_lines"].select(["order_id", "order_line_id"]).to_pylist()
        assert [tuple(row.values()) for row in lines] == expected


def _orders(*orders: Any) -> parse.Parsed:
    return parse_pages(ORDERS, [json.dumps({"data": {"orders": {"nodes": orders}}}).encode()])


def test_an_order_without_its_lines_is_set_aside_alone() -> None:
    order = _order(1, lines=1)
    del order["lineItems"]
    parsed = _orders(order, _order(2, lines=1))
    (rejected,) = parsed.rejected
    assert (rejected.key, rejected.reason) == ('["1"]', "order_lines: lineItems.nodes is missing from a record")
    assert parsed.tables["order_lines"]["order_id"].to_pylist() == [2]


@pytest.mark.parametrize("sick", ["line", "refund", "refund line"])
def test_a_sick_child_sets_its_whole_order_aside(sick: str) -> None:
    order = _order(1, lines=2, refunds=(2,))
    nodes = {
        "line": order["lineItems"]["nodes"],
        "refund": order["refunds"],
        "refund line": order["refunds"][0]["refundLineItems"]["nodes"],
    }[sick]
    nodes[-1]["updatedAt" if sick == "refund" else "quantity"] = []
    parsed = _orders(order, _order(2, lines=1, refunds=(1,)))
    (rejected,) = parsed.rejected
    assert json.loads(rejected.record) == order
    assert {name: table["order_id"].to_pylist() for name, table in parsed.tables.items() if table.num_rows} == {
        "orders": [2],
        "order_lines": [2],
        "refunds": [2],
        "refund_lines": [2],
    }


def test_two_entries_of_a_refund_for_one_order_line_are_two_rows() -> None:
    order = _order(1, lines=1, refunds=(3, 3))
    first, second = (refund["refundLineItems"]["nodes"] for refund in order["refunds"])
    for line in (*first, *second):
        line["lineItem"] = {"id": _gid("LineItem", 1, 0)}
    for line in second:
        line["id"] = None
    rows = _orders(order).tables["refund_lines"].select(["refund_id", "refund_line_id", "order_line_id"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (10, 10, 10),
        (10, 11, 10),
        (10, 12, 10),
        (11, -1, 10),
        (11, -2, 10),
        (11, -3, 10),
    ]


def test_entries_without_ids_are_numbered_beside_a_sick_order_too() -> None:
    order, sick = _order(1, lines=1, refunds=(2,)), _order(2, lines=1)
    for line in order["refunds"][0]["refundLineItems"]["nodes"]:
        del line["id"]
    sick["name"] = None
    assert _orders(sick, order).tables["refund_lines"]["refund_line_id"].to_pylist() == [-1, -2]


def test_rows_that_differ_in_one_long_text_have_keys_of_their_own() -> None:
    pages = [
        {"dimensionValues": [{"value": v} for v in ("20250301", "/" + "x" * 5000 + end, "a", "b")]} for end in "yz"
    ]
    rows = [page | {"metricValues": [{"value": "1"}] * 7} for page in pages]
    found = parse_pages(contract_of("ga4", "landing_daily"), [_report(*rows)]).tables["landing_daily"]
    assert [len(digest) for digest in found["dimensions_digest"].to_pylist()] == [64, 64]
    assert len(set(found["dimensions_digest"].to_pylist())) == 2


def test_an_id_with_a_query_part_is_no_number_and_stays_whole_as_a_text() -> None:
    sick = _order(1, lines=1)
    sick["lineItems"]["nodes"][0]["id"] = "gid://shopify/InventoryLevel/1?inventory_item_id=2"
    (rejected,) = _orders(sick, _order(2, lines=1)).rejected
    assert rejected.reason == "order_lines.order_line_id is an id with a query part, which only a text column can keep"
    column = ORDERS.table.fields[0].model_copy(update={"type": "string", "encoding": "gid"})
    ids = pa.array(["gid://shopify/InventoryLevel/1?inventory_item_id=2"])
    assert cast(column, ids).to_pylist() == ["1?inventory_item_id=2"]


def _version(number: int, minute: int, lines: int, name: str) -> dict[str, Any]:
    return _order(number, lines) | {"updatedAt": f"2025-03-01T12:{minute:02}:00Z", "name": name}


@pytest.mark.parametrize("apart", [1, 10**9])
def test_of_two_versions_of_an_order_the_newest_counts_with_its_own_lines(apart: int) -> None:
    orders = [_version(1, 5, 1, "new"), _version(2, 0, 2, "x"), _version(1, 4, 3, "old"), _version(2, 0, 2, "x")]
    pages = [json.dumps({"data": {"orders": {"nodes": [order]}}}).encode() for order in orders]
    parsed = parse_pages(ORDERS, pages, apart)
    assert sorted(parsed.tables["orders"]["order_name"].to_pylist()) == ["new", "x"]
    lines = parsed.tables["order_lines"].select(["order_id", "order_line_id"]).to_pylist()
    assert sorted(tuple(row.values()) for row in lines) == [(1, 10), (2, 20), (2, 21)]
    assert (parsed.superseded, parsed.repeated, parsed.arrived) == (1, 1, 4)


def test_a_record_that_a_shifting_listing_gives_twice_is_counted_as_repeated() -> None:
    agent = {"id": 1, "name": "A", "email": "a@example.com", "role": "agent"}
    parsed = parse_pages(AGENTS, [json.dumps({"payload": [agent, agent | {"id": 2}, agent]}).encode()])
    assert sorted(parsed.tables["agents"]["agent_id"].to_pylist()) == [1, 2]
    assert (parsed.repeated, parsed.superseded) == (1, 0)


def test_rows_of_a_date_that_have_one_key_and_differ_are_refused_by_name() -> None:
    twice = _row(metrics=("9", "2", "3", "4", "5", "6"))
    with pytest.raises(ContractBreach, match=r"traffic_daily: rows of one key .*dimensions_digest"):
        parse_pages(TRAFFIC, [_report(_row()), _report(twice)])
    assert parse_pages(TRAFFIC, [_report(_row()), _report(_row())]).repeated == 1
