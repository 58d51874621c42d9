"""A source that says another count than it gives: what reaches whoever compares the two."""

from typing import Any

import pytest

from hotdash_pipelines.sources import TransientSourceError, counter
from tests.integration.sources.conftest import Bench, contract_of

KEY = "2026-11-18"
COUNTED = [
    ("shopify", "orders", "OrdersCountByDay"),
    ("shopify", "customers", "CustomersCountByDay"),
    ("chatwoot", "conversations", "/reports"),
]


def by_day(bench: Bench, source: str, stream: str) -> int:
    count = counter(source, stream)
    assert count is not None
    answered: Any = count(bench.client(source), contract_of(source, stream), [bench.window(KEY)])
    return answered[KEY]


@pytest.mark.parametrize(("source", "stream", "operation"), COUNTED, ids=lambda name: name.strip("/"))
@pytest.mark.parametrize("off", [1, -1])
def test_a_day_is_counted_as_the_source_says_it(
    bench: Bench, source: str, stream: str, operation: str, off: int
) -> None:
    right = by_day(bench, source, stream)
    assert right > 1
    bench.store.scenarios.add("wrong_count", source, operation, off=off)
    assert (by_day(bench, source, stream) - right) * off > 0
    assert by_day(bench, source, stream) == right


@pytest.mark.parametrize(("stream", "operation"), [("orders", "OrdersCount"), ("customers", "CustomersCount")])
@pytest.mark.parametrize("off", [2, -2])
def test_a_window_is_read_again_and_then_keeps_the_count_that_it_contradicts(
    bench: Bench, stream: str, operation: str, off: int
) -> None:
    right = bench.fetch("shopify", stream, KEY)
    bench.store.scenarios.add("wrong_count", "shopify", operation, 99, off=off)
    lied_to = bench.fetch("shopify", stream, KEY)
    assert (lied_to.expected_rows or 0) - (right.expected_rows or 0) == off
    assert lied_to.notes["count_disagrees"] is True
    assert bench.records(lied_to) == bench.records(right)


def test_rows_that_a_report_announces_and_never_sends_are_told(bench: Bench) -> None:
    bench.store.scenarios.add("wrong_count", "ga4", "sessionSource", off=3)
    with pytest.raises(TransientSourceError, match=r"runReport sent \d+ of \d+ rows"):
        bench.fetch("ga4", "traffic_daily", KEY)


def test_rows_beyond_those_that_a_report_announces_are_counted(bench: Bench) -> None:
    right = bench.fetch("ga4", "traffic_daily", KEY)
    bench.store.scenarios.add("wrong_count", "ga4", "sessionSource", off=-1)
    lied_to = bench.fetch("ga4", "traffic_daily", KEY)
    assert lied_to.expected_rows == len(bench.records(lied_to)) - 1 == (right.expected_rows or 0) - 1


def test_a_wrong_count_in_a_list_of_chatwoot_loses_and_adds_nothing(bench: Bench) -> None:
    right = bench.fetch("chatwoot", "contacts", KEY)
    bench.store.scenarios.add("wrong_count", "chatwoot", "/contacts", 99, off=5)
    assert bench.records(bench.fetch("chatwoot", "contacts", KEY)) == bench.records(right)
