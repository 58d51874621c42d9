"""How a stream finds its fetch function."""

import pickle
from datetime import UTC, datetime

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.sources import (
    Fetched,
    HalfSource,
    PermanentSourceError,
    QuotaExhausted,
    counted_streams,
    counter,
    counts,
    fetcher,
    fetches,
    registry,
)


def test_every_contract_has_a_fetch_function():
    for contract in load_contracts():
        assert callable(fetcher(contract.source, contract.stream))


@pytest.mark.parametrize(("source", "stream"), [("shopify", "toys"), ("nowhere", "orders")])
def test_a_stream_without_a_fetch_function_says_how_to_add_one(source, stream):
    with pytest.raises(LookupError, match=rf'@fetches\("{source}", "{stream}"\) in sources/{source}/streams.py'):
        fetcher(source, stream)


def test_a_marked_function_is_found(monkeypatch):
    monkeypatch.setattr(registry, "_FETCHERS", {})
    empty = Fetched([], 0, None, "1", 0)

    @fetches("toybox", "toys")
    def fetch_toys(_client, _contract, _window):
        return empty

    assert fetcher("toybox", "toys")(None, None, None) is empty


def test_a_second_function_for_a_stream_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "_FETCHERS", {})
    fetches("toybox", "toys")(lambda *_: None)
    with pytest.raises(HalfSource, match="toybox/toys has two fetch functions"):
        fetches("toybox", "toys")(lambda *_: None)


def test_streams_that_are_counted_by_day_have_a_contract_and_a_function_to_call():
    known = {(contract.source, contract.stream) for contract in load_contracts()}
    assert {("shopify", "orders"), ("shopify", "customers")} <= counted_streams() <= known
    for source, stream in counted_streams():
        assert callable(counter(source, stream))
    assert counter("shopify", "products") is None
    assert counter("nowhere", "orders") is None


def test_a_second_count_of_a_stream_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "_COUNTERS", {})
    counts("toybox", "toys")(lambda *_: {})
    with pytest.raises(HalfSource, match="toybox/toys has two count functions"):
        counts("toybox", "toys")(lambda *_: {})


def test_an_error_of_a_count_names_the_stream(monkeypatch):
    monkeypatch.setattr(registry, "_COUNTERS", {})

    @counts("toybox", "toys")
    def count_toys(_client, _contract, _windows):
        raise PermanentSourceError("the token is refused")

    with pytest.raises(PermanentSourceError, match=r"^toybox/toys by day: the token is refused$"):
        count_toys(None, None, [])


def test_errors_read_as_one_line_and_survive_another_process():
    error = PermanentSourceError("the token is refused")
    error.where = "shopify/orders 2026-11-18"
    assert str(error) == "shopify/orders 2026-11-18: the token is refused"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    quota = QuotaExhausted("no more", datetime(2026, 11, 20, tzinfo=UTC), 5.0)
    assert pickle.loads(pickle.dumps(quota)).resume_at == quota.resume_at
