"""The evening from which hard nights begin.

Belongs here: fixtures. Does not belong here: what goes wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.local.warehouse import prepare
from tests.pipeline.blast.evenings import EVENING, Evening, run_night
from tests.pipeline.harness.in_process import open_bench
from tests.pipeline.harness.stack import SEED, open_stack


@pytest.fixture(scope="module")
def evening(server: object, session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    """A stack after one healthy night, and what the night after it gives if nothing is wrong."""
    folder = tmp_path_factory.mktemp("blast")
    with (
        start_stand_in(seed=SEED, scale=0.003, now=EVENING) as store,
        open_stack(server, session_home, folder / "home") as stack,
        open_bench(stack, store) as bench,
    ):
        prepare(stack.warehouse_url)
        first = run_night(bench, EVENING)
        assert first.success, first.errors
        assert first.left_out == {}
        evening = Evening(bench, folder / "lake")
        evening.keep()
        try:
            healthy = evening.night()
            assert healthy.outcome.success, healthy.outcome.errors
            assert healthy.left_out == set()
            evening.healthy, evening.healthy_figures = healthy.tables, evening.figures()
            yield evening
        finally:
            evening.end()
