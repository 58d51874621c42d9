"""The pipeline on a separate Postgres 15 server, named by HOTDASH_DATABASE_URL.

`loaded` is on it, so test_end_to_end.py looks at its rows, and test_faults_of_up.py compares them with the embedded
server's.
"""

import json
from pathlib import Path

import pytest

from tests.pipeline.harness.stack import Stack, open_stack

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.xdist_group("loaded"), pytest.mark.timeout(900)]

OF_OTHER_JOBS = ("archive/", "backups/", "exports/", "ops/housekeeping")
INVENTORY = json.loads(Path(__file__).with_name("inventory.json").read_text())


def test_the_pipeline_passes_on_a_separate_postgres_15(postgres15: str, loaded: Stack) -> None:
    assets, checks = loaded.outcome["assets"], loaded.outcome["checks"]
    assert sorted(assets) == [name for name in INVENTORY["assets"] if not name.startswith(OF_OTHER_JOBS)]
    assert checks["failed"] == 0
    of_this_job = [name for name in INVENTORY["checks"] if not name.startswith(OF_OTHER_JOBS) and ": sla_" not in name]
    assert checks["passed"] + checks["warned"] == len(of_this_job)
    ((version,),) = loaded.query("show server_version_num")
    assert 150000 <= int(version) < 160000
    assert loaded.query_dagster("select count(*) from runs where status = 'SUCCESS'") == [(1,)]
    ((orders,),) = loaded.query("select sum(order_count) from metrics.agg_sales_daily")
    assert orders == assets["marts_core/fct_order"]
    assert not (loaded.home / "postgres").exists()


def test_a_start_of_the_embedded_server_is_refused_then(postgres15: str, session_home: Path, tmp_path: Path) -> None:
    with open_stack(None, session_home, tmp_path, admin_url=postgres15) as stack:
        stack.run("db", "up")
        assert stack.run("db", "down").code == 3
        assert not (tmp_path / "postgres").exists()
        assert json.loads(stack.run("db", "status", "--json").out)["version"] == 15
