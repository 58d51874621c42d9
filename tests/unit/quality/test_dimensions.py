"""Each dimension and severity has one record: what follows from every one, and that half a record is refused."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.defs.operations.verdicts import OperationVerdict, stored_check
from hotdash_pipelines.orchestration.check_results import finding_of, result_of, suite_specs
from hotdash_pipelines.quality import CHECK_SEVERITIES, DIMENSIONS, CheckFinding, DimensionError, SuiteError, load_suite
from hotdash_pipelines.quality.dimensions import Dimension, check_rated, dimension_of_dbt_test, registered
from hotdash_pipelines.services.slas import promised
from hotdash_pipelines.settings import PROJECT_ROOT
from hotdash_pipelines.sla import Definition
from tests.dbt_parse import parsed_project


def suite(folder: Path, dimension: str = "validity", severity: str = "critical", blocking: bool = False) -> Path:
    """A suite file with one entry."""
    entry = {
        "type": "expect_table_row_count_to_be_between",
        "kwargs": {"min_value": 1},
        "severity": severity,
        "meta": {
            "check": "things_are_present",
            "description": "No thing is left to be looked at.",
            "rule": "T1",
            "dimension": dimension,
            "blocking": blocking,
            "runbook": "docs/runbooks/quality-check-failed.md",
        },
    }
    path = folder / "raw_x.things.json"
    path.write_text(json.dumps({"name": "raw_x.things", "meta": {"asset": "raw_x/things"}, "expectations": [entry]}))
    return path


def finding(**changes: Any) -> CheckFinding:
    given = {"dimension": "validity", "severity": "critical", **changes}
    return CheckFinding(
        "raw_x/things", "things_are_present", blocking=False, passed=False, type="x", message="none", **given
    )


def rated(dimension: object) -> Definition:
    """The SLA on the score of completeness, on another dimension's instead."""
    score = next(definition for definition in promised() if definition.name == "completeness")
    return score.model_copy(update={"params": {"dimension": dimension}})


def operations_check(dimension: str) -> dg.AssetChecksDefinition:
    return stored_check(
        dg.AssetKey(["ops", "things"]),
        "things_are_kept",
        lambda *_: OperationVerdict(True, "kept"),
        "Nothing is lost.",
        dimension=dimension,
        page="runbooks/backup-failed.md",
    )


def dbt_test(kind: str | None = None, **meta: str) -> dict[str, Any]:
    """A test as dbt's manifest has it."""
    return {"name": "things_add_up", "config": {"meta": meta}, "test_metadata": {"name": kind} if kind else None}


@pytest.mark.parametrize("dimension", DIMENSIONS.values(), ids=lambda dimension: dimension.name)
def test_a_dimension_goes_all_the_way(dimension: Dimension, tmp_path: Path) -> None:
    """From a suite's file, an operation and a dbt test into a check, a finding, a score and the runbook."""
    (spec,) = suite_specs(load_suite(suite(tmp_path, dimension=dimension.name)))
    (operation,) = operations_check(dimension.name).check_specs
    assert spec.metadata["dimension"] == operation.metadata["dimension"] == dimension.name
    shown = result_of(finding(dimension=dimension.name))
    assert shown.metadata["dimension"].value == dimension.name
    assert finding_of(shown, spec, "x").dimension == dimension.name
    assert dimension_of_dbt_test(dbt_test(dimension=dimension.name)) == dimension
    assert all(dimension_of_dbt_test(dbt_test(kind)) == dimension for kind in dimension.dbt_tests)
    check_rated([rated(dimension.name)])
    runbook = (PROJECT_ROOT / "docs" / "runbooks" / "quality-check-failed.md").read_text()
    assert f"| {dimension.name} | {dimension.meaning} | {dimension.usual_cause} |" in runbook.splitlines()


@pytest.mark.parametrize("name", CHECK_SEVERITIES)
def test_a_severity_goes_all_the_way(name: str, tmp_path: Path) -> None:
    severity = CHECK_SEVERITIES[name]
    assert load_suite(suite(tmp_path, severity=name)).expectations[0].severity == name
    shown = result_of(finding(severity=name))
    assert (shown.severity == dg.AssetCheckSeverity.ERROR) is severity.stops
    if severity.stops:
        assert load_suite(suite(tmp_path, severity=name, blocking=True)).expectations[0].blocking
    else:
        with pytest.raises(SuiteError, match="a blocking check must be critical"):
            load_suite(suite(tmp_path, severity=name, blocking=True))


def test_every_test_of_the_dbt_project_has_a_dimension(session_home: Path) -> None:
    nodes = json.loads((parsed_project(session_home) / "manifest.json").read_text())["nodes"].values()
    tests = [node for node in nodes if node["resource_type"] == "test"]
    kinds = {node["test_metadata"]["name"] for node in tests if dimension_of_dbt_test(node)}
    assert {"unique_combination", "relationships_tenant", "not_null"} <= kinds


def test_a_dimension_registered_twice_or_half_is_refused_by_name() -> None:
    beauty = Dimension("beauty", "It pleases.", "haste")
    with pytest.raises(DimensionError, match="beauty is registered twice"):
        registered(beauty, Dimension("beauty", "It shines.", "dust"))
    with pytest.raises(DimensionError, match=r"beauty of quality/dimensions\.py lacks usual_cause"):
        registered(Dimension("beauty", "It pleases.", ""))
    with pytest.raises(DimensionError, match="the dbt test is_fair belongs to two dimensions"):
        registered(*(Dimension(name, "It pleases.", "haste", frozenset({"is_fair"})) for name in ("beauty", "grace")))


def test_an_unknown_dimension_is_refused_by_name_wherever_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"things_are_present.*'beauty' is not one of"):
        load_suite(suite(tmp_path, dimension="beauty"))
    with pytest.raises(DimensionError, match="things_are_kept: 'beauty' is no dimension of quality"):
        operations_check("beauty")
    with pytest.raises(DimensionError, match="the dbt test things_add_up: 'beauty' is no dimension"):
        dimension_of_dbt_test(dbt_test(dimension="beauty"))
    with pytest.raises(DimensionError, match="completeness: 'beauty' is no dimension"):
        check_rated([rated("beauty")])


@pytest.mark.parametrize("kind", [None, "is_fair"])
def test_a_dbt_test_of_a_kind_without_a_dimension_is_refused_by_name(kind: str | None) -> None:
    with pytest.raises(DimensionError, match=r"the dbt test things_add_up is of a kind that no dimension knows"):
        dimension_of_dbt_test(dbt_test(kind))
