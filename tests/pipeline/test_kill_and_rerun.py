"""SIGKILL between streams, in lake, staging and commit; a rerun of all of them ends where an undisturbed run does.

Every point, over a first load and over an earlier one: tests/integration/warehouse/test_kill_and_rerun.py. In dbt:
test_faults_of_up.py.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.demo.credentials import write_endpoint_file
from hotdash_pipelines.demo.testing import RunningStandIn
from tests.pipeline.harness.stack import Stack, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
DAYS = ("2026-03-08", "2026-03-09")
# One of each semantics and of each API, orders with all their nested tables.
STREAMS = ("chatwoot/conversations", "ga4/traffic_daily", "shopify/orders", "shopify/products")
# The number is how often the point is passed first: so the kill falls into different streams, tables and days.
INGEST_POINTS = ("lake.before_manifest:5", "load.staged:8", "load.before_commit:7")


@dataclass
class Bench:
    """A home and a database for runs of tests.pipeline.harness.ingest_days."""

    stack: Stack
    store: RunningStandIn

    def ingest(self, kill_at: str = "") -> int:
        write_endpoint_file(self.stack.home / "demo" / "endpoint.json", self.store.endpoint())
        program = [
            sys.executable,
            "-m",
            "tests.pipeline.harness.ingest_days",
            str(self.stack.home),
            self.stack.warehouse_url,
            ",".join(DAYS),
            ",".join(STREAMS),
        ]
        environment = {**os.environ, "HOTDASH_KILL_AT": kill_at}
        return subprocess.run(program, cwd=ROOT, env=environment, timeout=120, check=False).returncode

    def state(self) -> tuple[dict[str, str], dict[str, str], list[tuple[object, ...]]]:
        loads = self.stack.query("select * from ops.lake_loads order by source, stream, window_key")
        return self.stack.lake_digests(), self.stack.checksums("raw_%"), loads

    def files(self) -> list[str]:
        """Every file of the lake but its locks; raw responses, which tell quotas, go by their name without the hash."""
        root = self.stack.home / "lake"
        names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != ".lock")
        return sorted(re.sub(r"pages-\w+", "pages", name) for name in names)


@pytest.fixture(scope="module")
def undisturbed(
    server: object, session_home: Path, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    with open_stack(server, session_home, tmp_path_factory.mktemp("undisturbed")) as stack:
        bench = Bench(stack, store)
        assert bench.ingest() == 0
        yield bench


@pytest.mark.xdist_group("killed-ingests")
@pytest.mark.parametrize("kill_at", INGEST_POINTS)
def test_a_rerun_of_a_killed_ingest_equals_an_undisturbed_one(
    undisturbed: Bench, stack: Stack, store: RunningStandIn, kill_at: str
) -> None:
    disturbed = Bench(stack, store)
    assert disturbed.ingest(kill_at) == -signal.SIGKILL
    assert disturbed.state() != undisturbed.state()
    assert disturbed.ingest() == 0
    assert disturbed.state() == undisturbed.state()
    assert disturbed.files() == undisturbed.files()


@pytest.mark.xdist_group("killed-ingests")
def test_the_comparison_covers_every_window_and_every_table(undisturbed: Bench) -> None:
    digests, checksums, loads = undisturbed.state()
    contracts = [one for one in load_contracts() if f"{one.source}/{one.stream}" in STREAMS]
    windows = {(one.source, one.stream, day) for one in contracts for day in days_of(one)}
    assert {(row[1], row[2], row[3]) for row in loads} == windows
    assert len(digests) == len(windows)
    assert set(checksums) == {f"raw_{one.source}.{table.name}" for one in contracts for table in one.tables}
    assert [name for name, found in checksums.items() if found.startswith("0:")] in (
        [],
        ["raw_shopify.refund_adjustments"],
    )


def days_of(contract: Contract) -> tuple[str, ...]:
    return DAYS[-1:] if contract.semantics == "snapshot" else DAYS
