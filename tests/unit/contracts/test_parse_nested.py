"""Records within records: whose children they are, and what a sick one sets aside."""

import json

import pytest

from hotdash_pipelines.contracts.parse import parse_pages
from tests.unit.contracts.pages import (
    ORDERS,
    an_order,
    parse_orders,
)


def test_nested_lists_become_tables_that_carry_the_keys_of_all_their_parents() -> None:
    nodes = [an_order(1, lines=2, refunds=(1, 2)), an_order(2, lines=0), an_order(3, lines=1, refunds=(0,))]
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
        json.dumps({"data": {"orders": {"nodes": [an_order(number, lines=number % 3)]}}}).encode()
        for number in range(1, 7)
    ]
    expected = [(number, int(f"{number}{n}")) for number in range(1, 7) for n in range(number % 3)]
    for size in (10**9, 1):
        lines = parse_pages(ORDERS, pages, size).tables["order_lines"].select(["order_id", "order_line_id"]).to_pylist()
        assert [tuple(row.values()) for row in lines] == expected


def test_an_order_without_its_lines_is_set_aside_alone() -> None:
    order = an_order(1, lines=1)
    del order["lineItems"]
    parsed = parse_orders(order, an_order(2, lines=1))
    (rejected,) = parsed.rejected
    assert (rejected.key, rejected.reason) == ('["1"]', "order_lines: lineItems.nodes is missing from a record")
    assert parsed.tables["order_lines"]["order_id"].to_pylist() == [2]


@pytest.mark.parametrize("sick", ["line", "refund", "refund line"])
def test_a_sick_child_sets_its_whole_order_aside(sick: str) -> None:
    order = an_order(1, lines=2, refunds=(2,))
    nodes = {
        "line": order["lineItems"]["nodes"],
        "refund": order["refunds"],
        "refund line": order["refunds"][0]["refundLineItems"]["nodes"],
    }[sick]
    nodes[-1]["updatedAt" if sick == "refund" else "quantity"] = []
    parsed = parse_orders(order, an_order(2, lines=1, refunds=(1,)))
    (rejected,) = parsed.rejected
    assert json.loads(rejected.record) == order
    assert {name: table["order_id"].to_pylist() for name, table in parsed.tables.items() if table.num_rows} == {
        "orders": [2],
        "order_lines": [2],
        "refunds": [2],
        "refund_lines": [2],
    }
