"""A range of days that is interrupted at each of its windows: what landed is seen at once and is not asked for again.

The witnesses are the stand-in's log of requests and the events of the run. SIGKILL at every point of the lake and the
load themselves: test_kill_and_rerun.py.
"""

import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.ingest.run import BadData
from hotdash_pipelines.local.nightly_run import run_nightly
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.sources import PermanentSourceError, TransientSourceError, fetcher, registry
from tests.pipeline.harness.in_process import DEFINITIONS, Bench, contract_of, open_bench, resume
from tests.pipeline.harness.stack import open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("interrupted-backfills")]

# Without a suite of expectations, which would cost more than what is looked at; orders have six tables.
CUSTOMERS, ORDERS = "shopify/customers", "shopify/orders"
LENGTH = 5
EVERY_WINDOW = pytest.mark.parametrize("at", range(LENGTH))
_SILENT = {"telemetry": {"enabled": False}}
_DAY = re.compile(r"updated_at:>='(\d{4}-\d\d-\d\d)")


@pytest.fixture(scope="module")
def bench(
    server: object, session_home: Path, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """One stack for all: each test has days of its own. Its instance outlives the process of a run.

    SQLite keeps it below the session's home, which is in memory where there is room: each event is a commit of its own.
    """
    runs = tempfile.mkdtemp(prefix="interrupted-", dir=session_home)
    with (
        open_stack(server, session_home, tmp_path_factory.mktemp("interrupted")) as stack,
        dg.DagsterInstance.local_temp(runs, _SILENT) as instance,
        open_bench(stack, store, instance) as bench,
    ):
        yield bench


_ranges = iter(range(1000))


@pytest.fixture
def days() -> list[str]:
    """A range of days that no other test asks for."""
    first = date(2025, 3, 20) + timedelta(days=(LENGTH + 1) * next(_ranges))
    return [(first + timedelta(days=number)).isoformat() for number in range(LENGTH)]


def assets(name: str) -> list[dg.AssetKey]:
    contract = contract_of(name)
    raw = [keys.raw_key(contract.source, table.name) for table in contract.tables]
    return [keys.lake_key(contract.source, contract.stream), *raw]


def asked(bench: Bench) -> set[str]:
    """The days that the stand-in was asked for since the log was cleared; the store's nights begin on their own day."""
    return {day for entry in bench.store.log.entries() for day in _DAY.findall(str(entry["variables"]))}


def seen(bench: Bench, name: str, days: list[str]) -> list[set[str]]:
    """For the lake's asset and each raw table: which of the days the UI shows as materialised."""
    return [bench.instance.get_materialized_partitions(asset) & set(days) for asset in assets(name)]


def events(bench: Bench, asset: dg.AssetKey, days: list[str]) -> list[str]:
    wanted = dg.AssetRecordsFilter(asset, days)
    return sorted(str(record.partition_key) for record in bench.instance.fetch_materializations(wanted, 100).records)


@pytest.mark.slow
def test_the_past_of_a_long_range_lands_without_models_and_says_how_far_it_is(bench: Bench, days: list[str]) -> None:
    """What `hotdash up` does of more than a month: the models come with the newest days."""
    reports: list[list[dict[str, Any]]] = []
    outcome = run_nightly(DEFINITIONS, bench.instance, days[0], days[-1], reports.append, is_past=True)
    assert outcome.success, outcome.errors
    # A listing says what is there now: of the past it has nothing to load.
    dated = [one for one in load_contracts() if one.semantics != "snapshot"]
    tables = {f"raw_{one.source}/{table.name}" for one in dated for table in one.tables}
    assert set(outcome.assets) == tables | {f"lake_{one.source}/{one.stream}" for one in load_contracts()}
    steps = {step["name"]: step for step in reports[-1]}
    assert {step["state"] for step in steps.values()} == {"done"}
    assert {steps["lake_shopify__orders"]["windows"], steps["raw_shopify__orders"]["windows"]} == {LENGTH}
    assert bench.stack.query("select count(*) from raw_shopify.orders") > [(0,)]
    assert bench.stack.checksums("marts_%", "metrics") == {}


@dataclass
class Sick:
    """Makes the reader of a stream fail for one of its days; `asked` are the days that it was called for."""

    patch: pytest.MonkeyPatch
    name: str

    def on(self, *days: str, error: Callable[[str], Exception]) -> None:
        source, stream = self.name.split("/")
        read = fetcher(source, stream)

        def fetch(client: object, contract: Contract, window: Window, *more: Any) -> object:
            if window.key in days:
                raise error(f"{self.name} {window.key}: planted")
            return read(client, contract, window, *more)

        self.patch.setitem(registry._FETCHERS, (source, stream), fetch)


@pytest.mark.parametrize(("name", "at"), [*((CUSTOMERS, at) for at in range(LENGTH)), (ORDERS, 2)])
def test_a_window_that_breaks_the_contract_is_the_only_one_that_is_missing_and_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: list[str], name: str, at: int
) -> None:
    with monkeypatch.context() as patch:
        Sick(patch, name).on(days[at], error=BadData)
        failed = bench.execute(assets(name), days[0], days[-1])
    assert failed.errors == [f"lake_{name.replace('/', '__')}: {name} {days[at]}: planted"]
    others = set(days) - {days[at]}
    assert seen(bench, name, days) == [others] * len(assets(name))

    bench.store.log.clear()
    again = resume(bench, failed.run_id)
    assert again.success, again.errors
    assert asked(bench) == {days[at]}
    assert seen(bench, name, days) == [set(days)] * len(assets(name))
    assert [events(bench, asset, days) for asset in assets(name)] == [days] * len(assets(name))


@EVERY_WINDOW
def test_a_source_that_goes_away_is_asked_next_from_the_window_at_which_it_went(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: list[str], at: int
) -> None:
    with monkeypatch.context() as patch:
        Sick(patch, CUSTOMERS).on(*days[at:], error=PermanentSourceError)
        failed = bench.execute(assets(CUSTOMERS), days[0], days[-1])
    (line,) = failed.errors
    assert line.startswith(f"lake_shopify__customers: {CUSTOMERS} {days[at]}: planted")
    assert all(day in line for day in days[at : at + 2])
    assert seen(bench, CUSTOMERS, days) == [set(days[:at])] * 2

    bench.store.log.clear()
    assert resume(bench, failed.run_id).success
    assert asked(bench) == set(days[at:])
    assert seen(bench, CUSTOMERS, days) == [set(days)] * 2


def test_a_source_that_is_silent_twice_in_a_row_is_asked_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: list[str]
) -> None:
    read, called = fetcher(*CUSTOMERS.split("/")), []

    def fetch(client: object, contract: Contract, window: Window, *more: Any) -> object:
        called.append(window.key)
        if window.key > days[0]:
            raise PermanentSourceError("planted")
        return read(client, contract, window, *more)

    with monkeypatch.context() as patch:
        patch.setitem(registry._FETCHERS, ("shopify", "customers"), fetch)
        failed = bench.execute(assets(CUSTOMERS), days[0], days[-1])
    assert called == days[:3]
    (line,) = failed.errors
    assert line.endswith(f"(failed too: {days[2]}) (not asked for: {', '.join(days[3:])})")


@EVERY_WINDOW
def test_a_step_that_is_tried_again_goes_on_where_it_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: list[str], at: int
) -> None:
    tries = iter([TransientSourceError] * 2)
    with monkeypatch.context() as patch:
        source, stream = CUSTOMERS.split("/")
        read = fetcher(source, stream)
        called: list[str] = []

        def fetch(client: object, contract: Contract, window: Window, *more: Any) -> object:
            called.append(window.key)
            if window.key == days[at] and (error := next(tries, None)):
                raise error("planted")
            return read(client, contract, window, *more)

        patch.setitem(registry._FETCHERS, (source, stream), fetch)
        outcome = bench.execute(assets(CUSTOMERS), days[0], days[-1])
    assert outcome.success, outcome.errors
    assert called == [*days[:at], *[days[at]] * 3, *days[at + 1 :]]
    assert [events(bench, asset, days) for asset in assets(CUSTOMERS)] == [days] * 2


@pytest.mark.slow
@EVERY_WINDOW
def test_a_killed_process_leaves_what_landed_and_the_next_attempt_asks_for_the_rest(
    bench: Bench, days: list[str], at: int
) -> None:
    killed = _killed(bench, days, f"lake.before_manifest:{at + 1}")
    assert seen(bench, CUSTOMERS, days)[0] == set(days[:at])

    bench.store.log.clear()
    again = resume(bench, killed)
    assert again.success, again.errors
    assert asked(bench) == set(days[at:])
    assert [events(bench, asset, days) for asset in assets(CUSTOMERS)] == [days] * 2


@pytest.mark.slow
@EVERY_WINDOW
def test_a_load_that_is_killed_is_not_made_again_for_what_was_loaded(bench: Bench, days: list[str], at: int) -> None:
    killed = _killed(bench, days, f"load.before_commit:{at + 1}")
    assert seen(bench, CUSTOMERS, days) == [set(days), set(days[:at])]

    bench.store.log.clear()
    assert resume(bench, killed).success
    assert asked(bench) == set()
    assert [events(bench, asset, days) for asset in assets(CUSTOMERS)] == [days] * 2


def _killed(bench: Bench, days: list[str], point: str) -> str:
    """The run that a forked process of ours was killed in."""
    before = {run.run_id for run in bench.instance.get_runs()}
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.environ["HOTDASH_KILL_AT"] = point
            bench.execute(assets(CUSTOMERS), days[0], days[-1])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the run was not killed"
    (run,) = [run for run in bench.instance.get_runs() if run.run_id not in before]
    bench.instance.report_run_failed(run)
    return run.run_id
