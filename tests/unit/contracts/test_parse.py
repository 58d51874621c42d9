"""Pages parsed by their contracts: what lands, what is reported, what is left out."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts import parse
from hotdash_pipelines.contracts.parse import parse_pages
from tests.unit.contracts.pages import (
    AGENTS,
    CONVERSATIONS,
    CUSTOMERS,
    MONEY,
    TRAFFIC,
    a_conversation,
    a_customer,
    ids_of,
    page_of,
    report_of,
    report_row,
)


def test_a_record_becomes_typed_columns() -> None:
    (row,) = parse_pages(CUSTOMERS, [page_of(a_customer(7))]).tables["customers"].to_pylist()
    assert row["customer_id"] == 7
    assert row["updated_at"] == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert row["email"] == "ada@example.com"
    assert row["tags"] == ["vip"]
    assert row["spent_amount"] == Decimal("1.5000")
    assert (row["last_name"], row["phone"], row["city"]) == (None, None, None)


def test_no_pages_and_empty_pages_give_empty_tables_in_the_contracts_schema() -> None:
    for pages in ([], [page_of()]):
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
        (page_of(a_customer(9)) + b" x", "a response is not JSON"),
        (page_of(a_customer(9)) + page_of(a_customer(9)), "a response is not JSON"),
        (b'{"data": {}}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": null}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": []}', "customers: data.customers.nodes: a list stands where an object should"),
        (b'{"data": {"customers": {"nodes": null}}}', "customers: data.customers.nodes is missing from a response"),
        (b'{"data": {"customers": {"nodes": {}}}}', "customers: data.customers.nodes is an object, not a list"),
    ],
)
def test_a_page_that_cannot_be_read_is_left_out_and_the_others_are_parsed(bad: bytes, reason: str) -> None:
    parsed = parse_pages(CUSTOMERS, [page_of(a_customer(1)), bad, page_of(a_customer(2)), page_of(a_customer(3))])
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
            a_customer(9, defaultEmailAddress="ada@example.com"),
            "defaultEmailAddress.emailAddress: a text",
        ),
        (a_customer(9, state=None), "customers.state is null in a record"),
        (a_customer(9, firstName={"ada": 1}), "customers.first_name is not a string (an object sent)"),
        (a_customer(9, createdAt="ada@example.com"), "customers.created_at is not a timestamp (a text sent)"),
        (a_customer(9, createdAt="2025-03-01T12:00:00"), "customers.created_at is a time without its zone"),
        (a_customer(9, createdAt="0001-01-01T00:00:00+05:00"), "customers.created_at is not a timestamp"),
        (a_customer(9, createdAt=1740830400), "customers.created_at is not a timestamp (a number sent)"),
        (a_customer(9, numberOfOrders="0x10"), "customers.order_count is not a int64 (a text sent)"),
        (a_customer(9, numberOfOrders=True), "customers.order_count is not a int64 (a boolean sent)"),
        (a_customer(9, numberOfOrders=str(2**63)), "customers.order_count does not fit a int64"),
        (a_customer(9, numberOfOrders="1e999999999"), "customers.order_count does not fit a int64"),
        (a_customer(9, amountSpent={"amount": "ada"}), "customers.spent_amount is not a decimal(18,4) (a text sent)"),
        (a_customer(9, tags="ada"), "customers.tags is not a list<string> (a text sent)"),
        (a_customer(9, tags=[["ada"]]), "customers.tags is not a list<string> (a list sent)"),
    ],
)
def test_a_sick_record_is_set_aside_with_its_reason_and_its_neighbours_land(sick: Any, reason: str) -> None:
    parsed = parse_pages(
        CUSTOMERS, [page_of(a_customer(1)), page_of(a_customer(2), sick, a_customer(3)), page_of(a_customer(4))]
    )
    assert parsed.tables["customers"]["customer_id"].to_pylist() == [1, 2, 3, 4]
    assert not parsed.bad_pages
    (rejected,) = parsed.rejected
    assert rejected.page == 1
    assert reason in rejected.reason
    assert "ada" not in rejected.reason
    assert json.loads(rejected.record) == sick
    assert rejected.key == ('["9"]' if isinstance(sick, dict) else None)


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
    pages = [page_of(a_customer(1, **odd), a_customer(2, anything=5)), page_of(a_customer(3, anything="x"))]
    parsed = parse_pages(CUSTOMERS, pages)
    assert parsed.tables["customers"]["customer_id"].to_pylist() == [1, 2, 3]
    assert (parsed.rejected, parsed.bad_pages, parsed.mended_values) == ([], [], {})


def test_what_no_contract_names_costs_no_page_a_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record by record a page takes some thirty times as long."""

    def never(*_: object) -> None:
        raise AssertionError("a page was read record by record")

    monkeypatch.setattr(parse, "mend_page", never)
    odd = [a_customer(1, free=1), a_customer(2, free="x"), a_customer(3, free=[{"q": 1}, []]), a_customer(4, free={})]
    assert ids_of([page_of(*odd), page_of(a_customer(5, free=None, wallet={"points": "many"}))]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "free",
    [b'{"k": 1, "k": "2"}', b"[" * 5000 + b"]" * 5000, b'"\\ud800"', b'"\\u0000"', b"1e400", b"NaN", b'"\xff"'],
    ids=["doubled keys", "deep", "lone surrogate", "nul", "beyond a double", "nan", "no utf-8"],
)
@pytest.mark.parametrize("beside", ["a healthy record", "a sick record"])
def test_what_no_contract_names_may_hold_what_json_forbids(free: bytes, beside: str) -> None:
    other = a_customer(9, state=None if beside == "a sick record" else "ENABLED")
    page = page_of(a_customer(1, free="FREE"), other).replace(b'"FREE"', free)
    parsed = parse_pages(CUSTOMERS, [page, page_of(a_customer(2))])
    healthy = [1, 2] if beside == "a sick record" else [1, 9, 2]
    assert parsed.tables["customers"]["customer_id"].to_pylist() == healthy
    assert len(parsed.rejected) == (beside == "a sick record")
    assert not parsed.bad_pages


def test_of_a_field_that_is_given_twice_the_last_one_counts() -> None:
    page = page_of(a_customer(1)).replace(b'"state"', b'"state": "DISABLED", "state"')
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["state"].to_pylist() == ["ENABLED"]


def test_several_bad_pages_are_each_found() -> None:
    pages = [page_of(a_customer(number)) for number in range(9)]
    for position in (0, 4, 8):
        pages[position] = b"{"
    parsed = parse_pages(CUSTOMERS, pages)
    assert [page.index for page in parsed.bad_pages] == [0, 4, 8]
    assert parsed.tables["customers"].num_rows == 6


def test_pages_in_many_groups_equal_pages_in_one() -> None:
    pages = [page_of(a_customer(number), a_customer(number + 100)) for number in range(20)]
    pages[7] = b"{"
    pages[9] = page_of(a_customer(9), a_customer(None), a_customer(109))
    together = parse_pages(CUSTOMERS, pages)
    apart = parse_pages(CUSTOMERS, pages, 2 * len(pages[0]))
    assert apart.tables["customers"].equals(together.tables["customers"])
    assert apart.bad_pages == together.bad_pages
    assert [page.index for page in apart.bad_pages] == [7]
    assert apart.rejected == together.rejected
    assert [record.page for record in apart.rejected] == [9]


def test_a_page_printed_over_many_lines_is_one_document() -> None:
    pretty = json.dumps(json.loads(page_of(a_customer(1), a_customer(2))), indent=2).replace("\n", "\r\n").encode()
    assert ids_of([pretty, page_of(a_customer(3))]) == [1, 2, 3]


def test_unknown_fields_at_any_depth_are_reported_and_dropped() -> None:
    new = a_customer(1, loyaltyTier="gold", wallet={"points": 3})
    new["amountSpent"] = {**MONEY, "precision": 2}
    parsed = parse_pages(CUSTOMERS, [page_of(new), page_of(a_customer(2))])
    assert parsed.unknown_fields == {"loyaltyTier": "string", "wallet": "object", "amountSpent.precision": "int64"}
    assert parsed.tables["customers"].schema.names == list(CUSTOMERS.table.column_names)
    assert not parsed.bad_pages


@pytest.mark.parametrize("group_bytes", [1, 1_000, 10**9])
def test_drift_is_seen_on_the_first_the_64th_and_the_last_page_whatever_the_groups(group_bytes: int) -> None:
    pages = [page_of(a_customer(number + 1, **{f"new{number}": 1})) for number in range(100)]
    assert set(parse_pages(CUSTOMERS, pages, group_bytes).unknown_fields) == {"new0", "new64", "new99"}


def test_ignored_fields_and_the_envelope_are_not_reported() -> None:
    page = json.loads(page_of(a_customer(1, id="gid://shopify/Customer/1")))
    page["extensions"] = {"cost": {"requestedQueryCost": 3}}
    assert parse_pages(CUSTOMERS, [json.dumps(page).encode()]).unknown_fields == {}
    agent = {"id": 1, "name": "A", "email": "a@example.com", "role": "agent", "anything": {"else": 1}}
    assert parse_pages(AGENTS, [json.dumps({"payload": [agent]}).encode()]).unknown_fields == {}


def test_values_outside_an_enum_are_counted_and_kept_and_nulls_are_none_of_them() -> None:
    rows = [a_customer(1, state="SLEEPING"), a_customer(2, state="SLEEPING"), a_customer(3, defaultEmailAddress=None)]
    parsed = parse_pages(CUSTOMERS, [page_of(*rows), page_of(a_customer(4, state="AWAKE"))])
    assert parsed.unknown_enum_values == {"customers.state": 3}
    assert parsed.tables["customers"]["state"].to_pylist() == ["SLEEPING", "SLEEPING", "ENABLED", "AWAKE"]


def test_a_missing_object_makes_its_columns_null() -> None:
    page = json.dumps({"payload": [a_conversation(1, meta=None)]}).encode()
    (row,) = parse_pages(CONVERSATIONS, [page]).tables["conversations"].to_pylist()
    assert (row["contact_id"], row["assignee_id"], row["channel"]) == (None, None, None)


def test_positional_lists_become_columns_and_page_values_stand_on_every_row() -> None:
    euro = {"currencyCode": "EUR", "timeZone": "UTC", "subjectToThresholding": True}
    parsed = parse_pages(
        TRAFFIC, [report_of(report_row()), report_of(report_row(group="e"), report_row(group="f"), metadata=euro)]
    )
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
    parsed = parse_pages(TRAFFIC, [report_of(), report_of(report_row()), b"{}"])
    assert parsed.tables["traffic_daily"].num_rows == 1
    assert not parsed.bad_pages


@pytest.mark.parametrize(
    "row",
    [
        report_row(dimensions=1),
        report_row(metrics=("1", "2")),
        report_row(day="2025-03-01"),
        report_row(day="(other)"),
        report_row(day="20250230"),
        report_row(day="2025031"),
        report_row(metrics=("many",) * 6),
    ],
    ids=["short dimensions", "short metrics", "another format", "no date", "no such day", "short date", "no number"],
)
def test_a_report_row_that_does_not_fit_is_set_aside_alone(row: dict[str, Any]) -> None:
    parsed = parse_pages(
        TRAFFIC, [report_of(report_row()), report_of(report_row(group="e"), row, report_row(group="f"))]
    )
    assert [record.page for record in parsed.rejected] == [1]
    assert parsed.tables["traffic_daily"].num_rows == 3


def test_what_a_page_says_once_is_not_paid_for_with_a_copy_of_the_page_for_every_row() -> None:
    page = report_of(*(report_row(group=f"d{number}") for number in range(2_000)))
    most = pa.default_memory_pool().max_memory() or 0
    parsed = parse_pages(TRAFFIC, [page])
    assert parsed.tables["traffic_daily"]["currency_code"].to_pylist() == ["USD"] * 2_000
    # A copy of the page for every row would be a thousand times as much.
    assert (pa.default_memory_pool().max_memory() or 0) - most < 20 * len(page)
