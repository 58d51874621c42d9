"""A first night in which a source never answers: what it feeds was never built, all else is there and is checked.

Belongs here: an empty stack. Does not belong here: nights after a healthy one (test_blast_radius.py).
"""

from pathlib import Path

import pytest

from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.local.warehouse import prepare
from tests.pipeline.blast.evenings import EVENING, STREAMS, readers, run_night
from tests.pipeline.harness.in_process import open_bench
from tests.pipeline.harness.stack import SEED, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("first-night")]

NOT_RUN = " (warning)"


def test_a_source_that_never_answered_costs_what_reads_it_and_no_check_blames_another(
    server: object, session_home: Path, tmp_path: Path
) -> None:
    with (
        start_stand_in(seed=SEED, scale=0.003, now=EVENING) as store,
        open_stack(server, session_home, tmp_path / "home") as stack,
        open_bench(stack, store) as bench,
    ):
        prepare(stack.warehouse_url)
        bench.plant("status", "chatwoot", None, status=500)
        outcome = run_night(bench, EVENING)
    closed = {stream for stream in STREAMS if stream.startswith("chatwoot/")}
    assert {line.partition(": ")[2].partition(" ")[0] for line in outcome.errors} == closed
    assert {name.replace("/", ".") for name in outcome.left_out} == readers(closed)
    assert set(outcome.left_out.values()) == {"never built"}
    assert [check for check in outcome.failed_checks if not check.endswith(NOT_RUN)] == []
    assert "marts_agent/fct_agent_query: agent_query_agents_are_known (warning)" in outcome.failed_checks
    for built in ("marts_core/fct_order", "marts_core/fct_web_sessions_daily", "metrics/agg_sales_daily"):
        assert outcome.assets[built] > 0
