"""The benchmark of the monitoring views measures real rows, and every read of a tile is served by an index."""

from dataclasses import replace

import pytest

from benchmarks import agent_views
from benchmarks.agent_views import READS, TABLES, cost_of_rls, fill, measure
from hotdash_pipelines.warehouse.postgres import connect

ROWS = 20_000


@pytest.mark.xdist_group("benchmarks")
def test_every_read_of_a_tile_finds_its_rows_by_index(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(warehouse_url, ROWS)
    with connect(warehouse_url) as conn:
        counts = [conn.execute(f"select count(*) from agent.{table}".encode()).fetchone() for table in TABLES]
    assert counts == [(ROWS,)] * len(TABLES)
    results = measure(warehouse_url, ROWS, 2)
    assert len(results) == 2 * len(READS)
    everybody = [result for result in results if result.role != "authenticated"]
    assert all(result.returned > 0 for result in everybody), everybody
    assert {result.name: result.scanned for result in results if result.scanned} == {}
    assert all(result.p95_ms >= result.median_ms > 0 for result in results)
    assert cost_of_rls(warehouse_url, 5) > 0

    # What the plan is held against is seen when it is there, and a wrong set of rows is no measurement.
    with connect(warehouse_url, autocommit=True) as conn:
        conn.execute("drop index agent.agent_approvals_created_at_idx")
    depth = next(read for read in READS if read.name.startswith("v_approval_queue_depth"))
    monkeypatch.setattr(agent_views, "READS", (replace(depth),))
    assert {result.scanned for result in measure(warehouse_url, ROWS, 1) if result.role == "operator"} == {
        ("agent_approvals",)
    }
    monkeypatch.setattr(agent_views, "_FILTERED", agent_views._GUARDED)
    with pytest.raises(RuntimeError, match="row security let"):
        cost_of_rls(warehouse_url, 1)
