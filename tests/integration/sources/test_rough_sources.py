"""A fifth of all requests fails at random, in every way that passes: what is read is what is there."""

from datetime import timedelta

import pytest

from hotdash_pipelines.sources import QuotaExhausted, TransientSourceError

KEYS = ("2026-11-17", "2026-11-18")
STREAMS = [
    ("shopify", "orders"),
    ("shopify", "customers"),
    ("shopify", "products"),
    ("chatwoot", "conversations"),
    ("chatwoot", "messages"),
    ("ga4", "traffic_daily"),
]


def read(bench, source, stream, key):
    """A window as a run reads it: a transient failure is tried again."""
    for _ in range(4):
        try:
            return bench.fetch(source, stream, key, bench.client(source))
        except QuotaExhausted:
            bench.store.clock.advance(timedelta(hours=1))
        except TransientSourceError:
            pass
    raise AssertionError(f"{source}/{stream} {key} never came through")


def in_order(records):
    return sorted(records, key=str)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("source", "stream"), STREAMS, ids=lambda part: part)
def test_random_faults_leave_no_trace_in_what_is_read(bench, source, stream, seed):
    expected = {key: in_order(bench.records(bench.fetch(source, stream, key))) for key in KEYS}
    bench.store.log.clear()
    bench.store.scenarios.add_rough(share=0.2, seed=seed)
    for key in KEYS:
        assert in_order(bench.records(read(bench, source, stream, key))) == expected[key]
