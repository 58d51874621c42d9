"""Agreements of an order and the sales of each are read to their ends, however many there are."""

import orjson
import pytest

from hotdash_pipelines.sources.shopify.paging import read_connection
from hotdash_pipelines.sources.shopify.streams import ORDERS_CONNECTION, sum_line_parts
from tests.unit.sources.shopify_answers import (
    client,
    counted,
    good,
    line,
    lines,
    nested,
    order,
    orders,
    refund,
    variables,
)


def sales(ids, cursor=None):
    return {**nested((), cursor), "nodes": [{"id": f"gid://shopify/ProductSale/{one}"} for one in ids]}


def agreement(number, held):
    return {"id": f"gid://shopify/OrderAgreement/{number}", "reason": "ORDER", "sales": held}


def agreements(*held, cursor=None):
    return {**nested((), cursor), "nodes": list(held)}


def answer(*held, cursor=None):
    return good({"order": {"agreements": agreements(*held, cursor=cursor)}})


def shown(fetched):
    """Per agreement, the numbers of its sales."""
    (record,) = orjson.loads(fetched.pages[0])["data"]["orders"]["nodes"]
    return {
        one["id"].rpartition("/")[2]: [sale["id"].rpartition("/")[2] for sale in one["sales"]["nodes"]]
        for one in record["agreements"]["nodes"]
    }


def test_what_fits_into_the_page_is_not_asked_for_again(script, fake_time):
    whole = {**order(lines([1])), "agreements": agreements(agreement(1, sales([11])))}
    steps = script(counted(1, root="ordersCount"), orders(whole))
    assert shown(read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)) == {"1": ["11"]}


@pytest.mark.parametrize(
    "listed",
    [
        agreements(agreement(1, sales([11], "s1")), agreement(2, sales([21]))),
        agreements(agreement(1, sales([11, 12, 13])), cursor="a1"),
    ],
    ids=["sales go on", "agreements go on"],
)
def test_cut_lists_are_read_anew_one_agreement_after_the_other(script, fake_time, listed):
    steps = script(
        counted(1, root="ordersCount"),
        orders({**order(lines([1])), "agreements": listed}),
        answer(agreement(1, sales([11, 12], "s2")), cursor="a1"),
        answer(agreement(1, sales([13])), cursor="a1"),
        answer(agreement(2, sales([21])), cursor="a2"),
        answer(agreement(3, sales([]))),
    )
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    assert shown(fetched) == {"1": ["11", "12", "13"], "2": ["21"], "3": []}
    asked = [(variables(one)["behind"], variables(one)["after"]) for one in steps.seen[2:]]
    assert asked == [(None, None), (None, "s2"), ("a1", None), ("a2", None)]


@pytest.mark.parametrize("then", [answer(), answer(agreement(1, sales([], "s3")), cursor="a1")], ids=["gone", "empty"])
def test_an_order_whose_agreements_cannot_be_read_on_is_set_aside(script, fake_time, then):
    cut = {**order(lines([1])), "agreements": agreements(agreement(1, sales([11], "s1")))}
    steps = script(
        counted(1, root="ordersCount"), orders(cut), answer(agreement(1, sales([11], "s2")), cursor="a1"), then
    )
    fetched = read_connection(client(steps.transport, fake_time), ORDERS_CONNECTION, None)
    assert [skipped.record for skipped in fetched.skipped] == ["7"]


def test_only_refunds_that_went_through_are_rounded():
    def paid(kind, status, amount):
        rounding = None if amount is None else {"shopMoney": {"amount": amount}}
        return {"kind": kind, "status": status, "amountRoundingSet": rounding}

    back = refund(31, nested([]))
    back["transactions"]["nodes"] = [
        paid("REFUND", "SUCCESS", "0.02"),
        paid("REFUND", "SUCCESS", "-0.01"),
        paid("REFUND", "SUCCESS", None),
        paid("REFUND", "FAILURE", "0.04"),
        paid("VOID", "SUCCESS", "0.03"),
    ]
    whole = order({"nodes": [line(1)], "pageInfo": {}}, [back])
    assert sum_line_parts(whole)
    assert whole["refunds"][0]["charges"]["roundingAmount"] == "0.01"
