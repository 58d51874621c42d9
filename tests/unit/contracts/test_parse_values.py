"""Numbers, texts and instants however they are spelled."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hotdash_pipelines.contracts.casts import LONGEST_TEXT
from hotdash_pipelines.contracts.parse import parse_pages
from tests.unit.contracts.pages import (
    CONVERSATIONS,
    CUSTOMERS,
    MONEY,
    TRAFFIC,
    a_conversation,
    a_customer,
    an_order,
    page_of,
    parse_orders,
    report_of,
    report_row,
)


def test_a_record_keeps_its_numbers_as_they_were_spelled() -> None:
    page = page_of(a_customer(9, state=None)).replace(b'"numberOfOrders": "3"', b'"numberOfOrders": 3.10, "n": 1E2')
    (rejected,) = parse_pages(CUSTOMERS, [page]).rejected
    assert b'"numberOfOrders": 3.10, "n": 1E2' in rejected.record


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
    pages = [page_of(a_customer(1, numberOfOrders=sent), a_customer(2)), page_of(a_customer(3))]
    parsed = parse_pages(CUSTOMERS, pages)
    assert parsed.tables["customers"]["order_count"].to_pylist() == [kept, 3, 3]
    assert not parsed.rejected


def test_ids_texts_and_flags_may_come_as_other_types() -> None:
    page = page_of(a_customer(1, legacyResourceId=1, firstName=5.10, lastName=True, tags=[1, True, None, "x"]))
    page = page.replace(b"5.1", b"5.10")
    (row,) = parse_pages(CUSTOMERS, [page]).tables["customers"].to_pylist()
    assert (row["customer_id"], row["first_name"], row["last_name"]) == (1, "5.10", "true")
    assert row["tags"] == ["1", "true", None, "x"]
    order = an_order(1, lines=0) | {"test": "TRUE", "taxesIncluded": 0}
    (row,) = parse_orders(order).tables["orders"].to_pylist()
    assert (row["is_test"], row["taxes_included"]) == (True, False)


def test_respelled_values_are_counted_by_column_and_rounding_is_none() -> None:
    odd = a_customer(1, legacyResourceId=1, firstName=5, numberOfOrders="3.4", amountSpent=MONEY | {"amount": 1.50})
    parsed = parse_pages(CUSTOMERS, [page_of(odd), page_of(a_customer(2, numberOfOrders="3.4"))])
    assert parsed.mended_values == {
        "customers.customer_id": 1,
        "customers.first_name": 1,
        "customers.spent_amount": 1,
    }


def test_text_is_made_storable_and_counted() -> None:
    page = page_of(a_customer(1, firstName="A\0da", lastName="x" * (LONGEST_TEXT + 5), tags=["v\0ip", None], city=None))
    bad = page_of(a_customer(2)).replace(b'"Ada"', b'"\\ud83d!"').replace(b'"vip"', b'"\xffip"')
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


@pytest.mark.parametrize(("sent", "column"), [(b'"Ada"', "first_name"), (b'"vip"', "tags")])
def test_bytes_that_are_no_text_are_replaced_though_nothing_else_is_wrong(sent: bytes, column: str) -> None:
    """Arrow's reader takes them for text, and Postgres would refuse the whole window."""
    page = page_of(a_customer(1)).replace(sent, b'"\xffip"')
    parsed = parse_pages(CUSTOMERS, [page, page_of(a_customer(2))])
    (text,) = parsed.tables["customers"][column].to_pylist()[:1]
    assert text in ("\ufffdip", ["\ufffdip"])
    assert not parsed.rejected


def test_an_instant_that_came_as_a_fraction_is_rounded() -> None:
    page = json.dumps({"payload": [a_conversation(1, created_at=1740830400.5)]}).encode()
    assert parse_pages(CONVERSATIONS, [page]).tables["conversations"]["created_at"].to_pylist() == [
        datetime(2025, 3, 1, 12, 0, 1, tzinfo=UTC)
    ]


@pytest.mark.parametrize("sent", [10**12, -(10**12), 1e300, "soon", True])
def test_an_epoch_outside_the_calendar_is_a_bad_record(sent: Any) -> None:
    page = json.dumps({"payload": [a_conversation(1, created_at=sent), a_conversation(2, updated_at=sent)]}).encode()
    parsed = parse_pages(CONVERSATIONS, [page, json.dumps({"payload": [a_conversation(3)]}).encode()])
    assert [record.key for record in parsed.rejected] == ['["1"]', '["2"]']
    assert parsed.tables["conversations"].num_rows == 1


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
    page = page_of(a_customer(1, amountSpent={"amount": sent, "currencyCode": "USD"}), a_customer(2))
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["spent_amount"].to_pylist() == [
        Decimal(kept),
        Decimal("1.5"),
    ]


@pytest.mark.parametrize(
    "sent", ["123456789012345.5", "NaN", "", "1,5", "1E30", "1E400", float("inf"), "1_000", "１２"]
)
def test_money_that_does_not_fit_is_a_bad_record_and_no_guess(sent: Any) -> None:
    parsed = parse_pages(CUSTOMERS, [page_of(a_customer(1, amountSpent={"amount": sent, "currencyCode": "USD"}))])
    assert (len(parsed.rejected), parsed.tables["customers"].num_rows) == (1, 0)


def test_offsets_are_turned_into_utc() -> None:
    page = page_of(
        a_customer(1, createdAt="2025-03-01T12:00:00-05:00"), a_customer(2, createdAt="2025-03-01T12:00:00.25Z")
    )
    assert parse_pages(CUSTOMERS, [page]).tables["customers"]["created_at"].to_pylist() == [
        datetime(2025, 3, 1, 17, tzinfo=UTC),
        datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC),
    ]


def test_epoch_times_keep_their_microseconds_and_zero_means_never_only_where_it_says_so() -> None:
    page = json.dumps({"payload": [a_conversation(1), a_conversation(2, first_reply_created_at=1740830405)]}).encode()
    rows = parse_pages(CONVERSATIONS, [page]).tables["conversations"].to_pylist()
    assert rows[0]["updated_at"] == datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert [row["first_reply_created_at"] for row in rows] == [None, datetime(2025, 3, 1, 12, 0, 5, tzinfo=UTC)]
    zero = json.dumps({"payload": [a_conversation(1, created_at=0)]}).encode()
    assert parse_pages(CONVERSATIONS, [zero]).tables["conversations"]["created_at"].to_pylist() == [
        datetime(1970, 1, 1, tzinfo=UTC)
    ]


def test_metrics_that_come_as_doubles_are_numbers() -> None:
    parsed = parse_pages(
        TRAFFIC, [report_of(report_row(metrics=("3.0", "1.0E2", "2.5", "4", "5", "6346.2638449999995")))]
    )
    (row,) = parsed.tables["traffic_daily"].to_pylist()
    assert [row[name] for name in ("sessions", "engaged_sessions", "total_users")] == [3, 100, 3]
    assert row["revenue_amount"] == Decimal("6346.2638")
