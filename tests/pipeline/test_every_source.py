"""Every source does the whole: fetch, load, night, doctor; one that fails is named and the others go on."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import pytest

from hotdash_pipelines.cli.doctor import Diagnosis, examine
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.local.first_load import LoadOutcome
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sources import PermanentSourceError, all_sources, registry
from tests.pipeline.harness.in_process import KEY, Bench, open_bench
from tests.pipeline.harness.stack import Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("every-source")]

EVERY_SOURCE = pytest.mark.parametrize("source", all_sources())


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench


def streams(source: str) -> list[Contract]:
    return [contract for contract in load_contracts() if contract.source == source]


def assets(contract: Contract) -> list[dg.AssetKey]:
    tables = [keys.raw_key(contract.source, table.name) for table in contract.tables]
    return [keys.lake_key(contract.source, contract.stream), *tables]


def diagnosis(source: str) -> Diagnosis:
    return next(entry for entry in examine(Settings()) if entry.subject == source)


def names(outcome: LoadOutcome) -> set[str]:
    """The sources that anything was made of."""
    return {name.partition("/")[0].partition("_")[2] for name in outcome.assets}


@EVERY_SOURCE
def test_every_source_is_fetched_loaded_in_the_night_and_seen_by_doctor(bench: Bench, source: str) -> None:
    assert diagnosis(source).is_fine
    assert keys.api_pool(source) in keys.pools()
    wanted = [key for contract in streams(source) for key in assets(contract)]
    assert set(wanted) <= bench.job.asset_layer.executable_asset_keys
    # The day before the present: a listing can be fetched for no other.
    outcome = bench.execute(wanted, "2026-03-09", "2026-03-09")
    assert outcome.success, outcome.errors
    assert {key.to_user_string() for key in wanted} <= outcome.assets.keys()
    # Nothing has to be gone from a source.
    full = [contract.stream for contract in streams(source) if contract.stream != "deletions"]
    assert all(outcome.assets[f"lake_{source}/{stream}"] > 0 for stream in full)


@EVERY_SOURCE
@pytest.mark.parametrize("planted", ["open", "fetch"])
def test_a_source_that_fails_is_named_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, source: str, planted: str
) -> None:
    def fail(*_: object) -> None:
        raise PermanentSourceError(f"planted in {source}")

    first = {name: next(entry for entry in streams(name) if entry.semantics != "snapshot") for name in all_sources()}
    if planted == "open":
        monkeypatch.setitem(all_sources(), source, replace(all_sources()[source], open=fail))
        assert diagnosis(source).finding.startswith(f"planted in {source}")
        assert all(diagnosis(name).is_fine for name in all_sources() if name != source)
    else:
        monkeypatch.setitem(registry._FETCHERS, (source, first[source].stream), fail)
    outcome = bench.execute([key for contract in first.values() for key in assets(contract)], KEY, KEY)
    assert not outcome.success
    (error,) = outcome.errors
    assert f"{source}/{first[source].stream} {KEY}: planted in {source}" in error
    assert names(outcome) == all_sources().keys() - {source}
