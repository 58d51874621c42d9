"""What the code location serves: an inventory that names every definition, and what each asset must say of itself."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("definitions")]

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
    """A definition that Dagster drops silently is missed here; WRITE_INVENTORY=1 writes the file anew for a review."""
    found = inventory(location)
    if os.environ.get("WRITE_INVENTORY"):
        INVENTORY.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(INVENTORY.read_text())


def what_lacks(specs: Iterable[dg.AssetSpec]) -> list[str]:
    """`<asset>: <what it does not say of itself>` for every gap."""
    lacking = []
    for spec in specs:
        schema = spec.metadata.get("dagster/column_schema")
        columns = schema.columns if isinstance(schema, dg.TableSchema) else []
        says = {
            "owner": bool(spec.owners),
            "group": spec.group_name not in (None, "default"),
            "description": len(spec.description or "") > 20,
            "kind": bool(spec.kinds),
            "freshness policy": spec.freshness_policy is not None,
            "code version": bool(spec.code_version),
            # Views and intermediate tables get types, and these all their columns, from Postgres when they are built.
            "columns": bool(columns) or spec.key.path[0] == "intermediate",
            "type of every column": all(column.type for column in columns) or spec.key.path[0] == "staging",
            "description of every column": all(column.description for column in columns),
        }
        lacking += [f"{spec.key.to_user_string()}: {name}" for name, is_said in says.items() if not is_said]
    return lacking


def test_every_asset_says_whose_and_what_it_is_and_when_it_is_late(location: dg.Definitions) -> None:
    specs = list(location.resolve_all_asset_specs())
    assert len(specs) > 50
    assert what_lacks(specs) == []


def test_an_asset_that_says_nothing_of_itself_is_found() -> None:
    assert len(what_lacks([dg.AssetSpec("bare")])) == 7


def test_every_lake_and_raw_asset_runs_a_month_in_one_run(location: dg.Definitions) -> None:
    graph = location.resolve_asset_graph()
    partitioned = [key for key in graph.materializable_asset_keys if graph.get(key).partitions_def]
    assert len(partitioned) > 15
    for key in partitioned:
        assert graph.get(key).backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=30), key


def fresh_interpreter(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter without environment variables, in an empty folder."""
    return subprocess.run(
        [sys.executable, "-c", code], env={}, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


_DENIED = """
import socket, sys

def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError("network denied")

sys.addaudithook(refuse)
import dagster, dagster_dbt
before = set(sys.modules)
{code}
print(*sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in {heavy} or name == "dbt.cli"))
"""
_LOAD = """
from hotdash_pipelines.definitions import defs
print(len(list(defs().resolve_all_asset_specs())))
"""
_HEAVY = {"great_expectations", "pandas", "boto3", "adbc_driver_postgresql", "alembic", "psycopg", "psycopg2", "httpx"}


def test_the_location_loads_with_no_environment_and_network_denied(tmp_path: Path) -> None:
    finished = fresh_interpreter(_DENIED.format(code=_LOAD, heavy=_HEAVY), tmp_path)
    assert finished.returncode == 0, finished.stderr[-2000:]
    count, *heavy = finished.stdout.split()
    assert int(count) > 50
    assert heavy == []


def test_a_heavy_import_while_loading_is_found(tmp_path: Path) -> None:
    finished = fresh_interpreter(_DENIED.format(code="print(0)\nimport psycopg", heavy=_HEAVY), tmp_path)
    assert "psycopg" in finished.stdout.split()


def test_a_connection_while_loading_is_refused(tmp_path: Path) -> None:
    code = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')"
    finished = fresh_interpreter(_DENIED.format(code=code, heavy=_HEAVY), tmp_path)
    assert "network denied" in finished.stderr


def cpu_seconds(code: str, folder: Path) -> float:
    """Processor time of a fresh interpreter, children included: unlike the clock, it is the same on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert fresh_interpreter(code, folder).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_loading_costs_at_most_half_more_than_importing_dagster(tmp_path: Path) -> None:
    """Measured: 1.29 of `import dagster, dagster_dbt`, of which 0.16 are dbt's selection of the project's nodes.

    The least of three, because what else runs on the machine only ever adds.
    """
    location = "from hotdash_pipelines.definitions import defs\ndefs().get_repository_def()"
    bare = min(cpu_seconds("import dagster, dagster_dbt", tmp_path) for _ in range(3))
    whole = min(cpu_seconds(location, tmp_path) for _ in range(3))
    assert whole <= 1.5 * bare, (whole, bare)
