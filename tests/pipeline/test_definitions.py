"""What the code location serves: an inventory that names every definition, and what each asset must say of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline")]

INVENTORY = Path(__file__).with_name("inventory.json")


@pytest.fixture(scope="module")
def location() -> dg.Definitions:
    return defs()


def inventory(location: dg.Definitions) -> dict[str, list[str]]:
    """Every definition by kind, by name."""
    repository = location.get_repository_def()
    graph = location.resolve_asset_graph()
    return {
        "assets": sorted(key.to_user_string() for key in graph.materializable_asset_keys),
        "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    }


def test_the_inventory_names_every_definition(location: dg.Definitions) -> None:
    """A file whose definitions Dagster drops silently would be missed here; regenerate with HOTDASH_WRITE_INVENTORY=1."""
    found = inventory(location)
    if os.environ.get("WRITE_INVENTORY"):
        INVENTORY.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(INVENTORY.read_text())


def test_every_asset_has_owner_group_description_kind_freshness_and_columns(location: dg.Definitions) -> None:
    lacking = []
    for spec in location.resolve_all_asset_specs():
        graph_key = spec.key.to_user_string()
        checks = {
            "owner": bool(spec.owners),
            "group": spec.group_name not in (None, "default"),
            "description": len(spec.description or "") > 20,
            "kind": bool(spec.kinds),
            "freshness policy": spec.freshness_policy is not None,
            "code version": bool(spec.code_version),
            "column schema": bool(spec.metadata.get("dagster/column_schema")),
        }
        lacking += [f"{graph_key}: {name}" for name, has in checks.items() if not has]
    assert lacking == []


def test_every_lake_and_raw_asset_runs_a_range_in_one_run(location: dg.Definitions) -> None:
    graph = location.resolve_asset_graph()
    partitioned = [key for key in graph.materializable_asset_keys if graph.get(key).partitions_def]
    assert len(partitioned) > 15
    for key in partitioned:
        assert graph.get(key).backfill_policy == dg.BackfillPolicy.single_run(), key


def test_lineage_is_unbroken_from_the_lake_to_the_rollup(location: dg.Definitions) -> None:
    graph = location.resolve_asset_graph()
    downstream = graph.get_downstream_assets if hasattr(graph, "get_downstream_assets") else None
    seen, waiting = set(), [dg.AssetKey(["lake_shopify", "orders"])]
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            waiting.extend(graph.get(key).child_keys)
    assert downstream is None or seen
    for name in ("raw_shopify/orders", "staging/stg_shopify__orders", "marts_core/fct_order", "metrics/agg_sales_daily"):
        assert dg.AssetKey(name.split("/")) in seen, name


_DENIED = """
import socket, sys
def refuse(*a, **k): raise OSError("network denied")
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
from hotdash_pipelines.definitions import defs
location = defs()
heavy = sorted(set(sys.modules) & {"great_expectations", "pandas", "boto3", "adbc_driver_postgresql", "alembic", "dbt.cli"})
print(len(list(location.resolve_all_asset_specs())), *heavy)
"""


def test_the_location_loads_with_no_environment_and_network_denied(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _DENIED], env={}, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    count, *heavy = finished.stdout.split()
    assert int(count) > 40
    assert heavy == []
