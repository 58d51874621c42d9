"""The nightly job for one stream inside a test process: its own databases and lake, a stand-in that acts out faults.

Belongs here: pointing the settings at a stack and running parts of the job. Does not belong here: assertions.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.testing import RunningStandIn
from hotdash_pipelines.local.first_load import LoadOutcome
from hotdash_pipelines.local.nightly_run import nightly_job, outcome_of
from hotdash_pipelines.orchestration import failures, keys
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.http import Patience, utc_now
from hotdash_pipelines.sources.shopify import client as shopify
from tests.pipeline.harness.stack import Stack

KEY = "2026-03-08"
DEFINITIONS = "hotdash_pipelines.definitions"
_JOB = dg.build_reconstructable_job(nightly_job.__module__, nightly_job.__name__, (DEFINITIONS,))
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def contract_of(name: str) -> Contract:
    """The contract of `source/stream`."""
    return next(one for one in load_contracts() if f"{one.source}/{one.stream}" == name)


@dataclass
class Bench:
    """One stack in this process. `naps` are the seconds that clients meant to sleep."""

    stack: Stack
    store: RunningStandIn
    job: dg.JobDefinition
    instance: dg.DagsterInstance
    patch: pytest.MonkeyPatch
    naps: list[float] = field(default_factory=list)

    def client_clock(self) -> datetime:
        """The present as the clients see it."""
        return utc_now() + timedelta(seconds=sum(self.naps))

    def set(self, **variables: str | None) -> None:
        """Set (or with None unset) `HOTDASH_<name>` and have the settings read anew."""
        for name, value in variables.items():
            if value is None:
                self.patch.delenv(f"HOTDASH_{name.upper()}", raising=False)
            else:
                self.patch.setenv(f"HOTDASH_{name.upper()}", value)
        get_settings.cache_clear()

    def endpoint(self, **changed: Any) -> None:
        """Write the store's endpoint file, some entries changed."""
        write_endpoint_file(self.stack.home / "demo" / "endpoint.json", {**self.store.endpoint(), **changed})

    def plant(self, name: str, source: str, match: str | None, times: int = 1_000_000, **args: Any) -> None:
        """Have the store act out a fault from now on."""
        self.store.scenarios.add(name, source, match, times, **args)

    def heal(self) -> None:
        """End every fault. The quota is given back too: its hours do not pass while the clock is frozen."""
        self.naps.clear()
        self.store.scenarios.clear()
        self.store.world.extra["ga4"].quota._spent.clear()

    def run(self, name: str, first: str = KEY, only: str = "both", refetch: str = "all") -> LoadOutcome:
        """Run lake and raw assets of `source/stream` for one day; `only` may be `lake` or `raw`."""
        contract = contract_of(name)
        lake = [keys.lake_key(contract.source, contract.stream)]
        raw = [keys.raw_key(contract.source, table.name) for table in contract.tables]
        return self.execute({"both": lake + raw, "lake": lake, "raw": raw}[only], first, first, refetch)

    def execute(
        self,
        assets: list[dg.AssetKey] | None,
        first: str,
        last: str,
        refetch: str = "all",
        tags: Mapping[str, str] | None = None,
    ) -> LoadOutcome:
        """Run these assets of the nightly job over a range of days, all of them for None."""
        result = dg.execute_job(
            _JOB,
            self.instance,
            asset_selection=assets,
            run_config=_QUIET,
            tags={**keys.range_tags(first, last, refetch=refetch), **(tags or {})},
        )
        return outcome_of(result.run_id, result.success, result.all_events)

    def state(self, name: str) -> dict[str, Any]:
        """Manifests of a stream, checksums of its tables and its bookkeeping."""
        contract = contract_of(name)
        manifests = {
            path: json.loads((self.stack.home / "lake" / path).read_text())
            for path in self.stack.lake_digests()
            if path.startswith(f"{name}/")
        }
        tables = {f"raw_{contract.source}.{table.name}" for table in contract.tables}
        checksums = self.stack.checksums(f"raw_{contract.source}")
        return {
            "manifests": manifests,
            "tables": {table: checksums.get(table, "0:none") for table in tables},
            "loads": self.stack.query(
                "select * from ops.lake_loads where source = %s and stream = %s order by window_key",
                (contract.source, contract.stream),
            ),
        }


def resume(bench: Bench, run_id: str) -> LoadOutcome:
    """Execute a failed run again from its failure, as the button of the UI does."""
    run = bench.instance.get_run_by_id(run_id)
    assert run is not None
    result = dg.execute_job(
        _JOB.get_subset(asset_selection=run.asset_selection, asset_check_selection=run.asset_check_selection),
        bench.instance,
        tags={**run.tags, "dagster/is_resume_retry": "true"},
        reexecution_options=dg.ReexecutionOptions.from_failure(run_id, bench.instance),
    )
    return outcome_of(result.run_id, result.success, result.all_events)


@contextmanager
def open_bench(stack: Stack, store: RunningStandIn, instance: dg.DagsterInstance | None = None) -> Iterator[Bench]:
    """Point this process at a stack and a stand-in; waits of clients and of step retries are not slept.

    Runs are kept in memory, or by `instance`.
    """
    with pytest.MonkeyPatch.context() as patch, instance or dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(stack, store, nightly_job(DEFINITIONS), instance, patch)
        bench.set(**{name.removeprefix("HOTDASH_").lower(): value for name, value in stack.environment.items()})
        bench.endpoint()
        for client in (shopify.ShopifyClient, ChatwootClient, Ga4Client):
            patch.setitem(client.__init__.__kwdefaults__, "sleep", bench.naps.append)
            # Time passes for the clients as if they had slept, or they would never lose patience.
            patch.setitem(client.__init__.__kwdefaults__, "clock", bench.client_clock)
            patch.setitem(client.__init__.__kwdefaults__, "timeout", 0.5)
            patch.setitem(client.__init__.__kwdefaults__, "patience", Patience(attempts=3, deadline=5.0))
        patch.setattr(failures, "FIRST_WAIT_S", 0.0)
        patch.setattr(failures, "LONGEST_WAIT_S", 5.0)
        patch.setattr(shopify, "_THROTTLE_PATIENCE_S", 5.0)
        try:
            yield bench
        finally:
            bench.heal()
    get_settings.cache_clear()


def lake_files(home: Path) -> list[str]:
    """Every file of the lake but its locks, quarantine included."""
    root = home / "lake"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != ".lock")
