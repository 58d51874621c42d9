"""A store and a stack for tests that break things.

Belongs here: fixtures. Does not belong here: what is broken.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.pipeline.faults.states import rows_of
from tests.pipeline.harness.in_process import Bench, open_bench
from tests.pipeline.harness.stack import NOW, SEED, Stack, open_stack


@pytest.fixture(scope="package")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=0.003, now=NOW) as running:
        yield running


@pytest.fixture(scope="package")
def clean(
    server: object, session_home: Path, store: RunningStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """What lake and tables hold of a stream's window after a run without faults."""
    known: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in known:
            assert not store.scenarios.pending(), "ask before the fault is planted"
            home = tmp_path_factory.mktemp("clean")
            with open_stack(server, session_home, home) as stack, open_bench(stack, store) as bench:
                assert bench.run(name).success
                known[name] = bench.state(name)
                assert rows_of(known[name]) > 0
        return known[name]

    return of


@pytest.fixture
def bench(stack: Stack, store: RunningStandIn) -> Iterator[Bench]:
    with open_bench(stack, store) as bench:
        yield bench
