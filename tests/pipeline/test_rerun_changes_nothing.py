"""Running any partition again, alone, out of order or with the whole range, changes no row and no `_loaded_at`.

A whole second `hotdash up`: test_up.py.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.pipeline.harness.ingest_days import ingest
from tests.pipeline.harness.stack import NOW, SEED, Stack, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("ingested")]

DAYS = ["2026-03-07", "2026-03-08", "2026-03-09"]
STREAMS = [f"{one.source}/{one.stream}" for one in load_contracts()]


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def ingested(
    server: object, session_home: object, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Every stream of three days in lake and raw tables."""
    with open_stack(server, session_home, tmp_path_factory.mktemp("ingested")) as stack:
        write_endpoint_file(stack.home / "demo" / "endpoint.json", store.endpoint())
        ingest(stack.home, stack.warehouse_url, DAYS, STREAMS)
        yield stack


@pytest.mark.parametrize("name", STREAMS)
def test_a_rerun_of_a_stream_changes_nothing(ingested: Stack, name: str) -> None:
    before = ingested.checksums("raw_%"), ingested.lake_digests()
    table = f"raw_{name.replace('/', '.')}"
    assert int(before[0][table].split(":")[0]) > 0 or name.endswith("/deletions")
    is_listing = next(one for one in load_contracts() if f"{one.source}/{one.stream}" == name).semantics == "snapshot"
    later = NOW
    for days in [DAYS[-1:], *([] if is_listing else [DAYS[:1], DAYS[1:2], DAYS[::-1]]), DAYS]:
        later += timedelta(hours=1)
        ingest(ingested.home, ingested.warehouse_url, days, [name], now=later)
        assert (ingested.checksums("raw_%"), ingested.lake_digests()) == before, days


def test_days_loaded_newest_first_give_the_same_rows(ingested: Stack, stack: Stack, store: RunningStandIn) -> None:
    write_endpoint_file(stack.home / "demo" / "endpoint.json", store.endpoint())
    for day in reversed(DAYS):
        listings = {f"{one.source}/{one.stream}" for one in load_contracts() if one.semantics == "snapshot"}
        names = [name for name in STREAMS if day == DAYS[-1] or name not in listings]
        ingest(stack.home, stack.warehouse_url, [day], names)
    assert stack.lake_digests() == ingested.lake_digests()
    assert stack.checksums("raw_%") == ingested.checksums("raw_%")


def test_a_changed_order_moves_its_own_row_and_no_other(stack: Stack) -> None:
    """The guard of this file: the comparison sees one changed row."""
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as own:
        write_endpoint_file(stack.home / "demo" / "endpoint.json", own.endpoint())
        ingest(stack.home, stack.warehouse_url, DAYS, ["shopify/orders"])
        before = stack.checksums("raw_shopify")
        first = window_of(DAYS[0], own.world.shop.zone)
        moved = own.world.shop.orders_updated_between(first.start, first.end)[0]
        own.clock.set(NOW - timedelta(hours=9))
        own.world.shop.mutate_order(moved.id, {"note": "changed"})
        own.clock.set(NOW)
        ingest(stack.home, stack.warehouse_url, DAYS[-1:], ["shopify/orders"], now=NOW + timedelta(hours=1))
        after = stack.checksums("raw_shopify")
        assert [name for name in before if before[name] != after[name]] == ["raw_shopify.orders"]
        changed = "select order_id from raw_shopify.orders where _loaded_at > %s"
        assert stack.query(changed, (NOW,)) == [(moved.id,)]
