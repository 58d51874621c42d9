"""Keys tell rows apart: what is one row, what is the same twice, what is refused."""

import json

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts.casts import ContractBreach, cast
from hotdash_pipelines.contracts.parse import parse_pages
from hotdash_pipelines.contracts.unique import repeated_keys
from tests.synthetic import contract_of
from tests.unit.contracts.pages import (
    AGENTS,
    ORDERS,
    TRAFFIC,
    an_order,
    gid_of,
    order_version,
    parse_orders,
    report_of,
    report_row,
)


def test_two_entries_of_a_refund_for_one_order_line_are_two_rows() -> None:
    order = an_order(1, lines=1, refunds=(3, 3))
    first, second = (refund["refundLineItems"]["nodes"] for refund in order["refunds"])
    for line in (*first, *second):
        line["lineItem"] = {"id": gid_of("LineItem", 1, 0)}
    for line in second:
        line["id"] = None
    rows = (
        parse_orders(order).tables["refund_lines"].select(["refund_id", "refund_line_id", "order_line_id"]).to_pylist()
    )
    assert [tuple(row.values()) for row in rows] == [
        (10, 10, 10),
        (10, 11, 10),
        (10, 12, 10),
        (11, -1, 10),
        (11, -2, 10),
        (11, -3, 10),
    ]


def test_entries_without_ids_are_numbered_beside_a_sick_order_too() -> None:
    order, sick = an_order(1, lines=1, refunds=(2,)), an_order(2, lines=1)
    for line in order["refunds"][0]["refundLineItems"]["nodes"]:
        del line["id"]
    sick["name"] = None
    assert parse_orders(sick, order).tables["refund_lines"]["refund_line_id"].to_pylist() == [-1, -2]


def test_rows_that_differ_in_one_long_text_have_keys_of_their_own() -> None:
    pages = [
        {"dimensionValues": [{"value": v} for v in ("20250301", "/" + "x" * 5000 + end, "a", "b")]} for end in "yz"
    ]
    rows = [page | {"metricValues": [{"value": "1"}] * 7} for page in pages]
    found = parse_pages(contract_of("ga4", "landing_daily"), [report_of(*rows)]).tables["landing_daily"]
    assert [len(digest) for digest in found["dimensions_digest"].to_pylist()] == [64, 64]
    assert len(set(found["dimensions_digest"].to_pylist())) == 2


def test_rows_whose_texts_only_read_alike_when_joined_have_keys_of_their_own() -> None:
    rows = [
        {"dimensionValues": [{"value": v} for v in ("20250301", *texts)], "metricValues": [{"value": "1"}] * 7}
        for texts in (("/ab", "c", "d"), ("/a", "bc", "d"), ("/abc", "", "d"))
    ]
    found = parse_pages(contract_of("ga4", "landing_daily"), [report_of(*rows)]).tables["landing_daily"]
    assert len(set(found["dimensions_digest"].to_pylist())) == 3


def test_an_id_with_a_query_part_is_no_number_and_stays_whole_as_a_text() -> None:
    sick = an_order(1, lines=1)
    sick["lineItems"]["nodes"][0]["id"] = "gid://shopify/InventoryLevel/1?inventory_item_id=2"
    (rejected,) = parse_orders(sick, an_order(2, lines=1)).rejected
    assert rejected.reason == "order_lines.order_line_id is an id with a query part, which only a text column can keep"
    column = ORDERS.table.fields[0].model_copy(update={"type": "string", "encoding": "gid"})
    ids = pa.array(["gid://shopify/InventoryLevel/1?inventory_item_id=2"])
    assert cast(column, ids).to_pylist() == ["1?inventory_item_id=2"]


@pytest.mark.parametrize("apart", [1, 10**9])
def test_of_two_versions_of_an_order_the_newest_counts_with_its_own_lines(apart: int) -> None:
    orders = [
        order_version(1, 5, 1, "new"),
        order_version(2, 0, 2, "x"),
        order_version(1, 4, 3, "old"),
        order_version(2, 0, 2, "x"),
    ]
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
    twice = report_row(metrics=("9", "2", "3", "4", "5", "6"))
    with pytest.raises(ContractBreach, match=r"traffic_daily: rows of one key .*dimensions_digest"):
        parse_pages(TRAFFIC, [report_of(report_row()), report_of(twice)])
    assert parse_pages(TRAFFIC, [report_of(report_row()), report_of(report_row())]).repeated == 1


@pytest.mark.parametrize("as_key", [int, str], ids=["numbers", "texts"])
def test_a_key_that_comes_again_groups_later_is_found_whatever_its_type(as_key: type) -> None:
    groups = [[9, 4, 7], [2], [], [7, 1, 4, 7]]
    keys = [
        pa.table({"key": pa.array([as_key(n) for n in group], pa.int64() if as_key is int else pa.string())})
        for group in groups
    ]
    assert sorted(repeated_keys(keys)["key"].to_pylist()) == [as_key(4), as_key(7)]
    assert repeated_keys(keys[:2]).num_rows == 0
