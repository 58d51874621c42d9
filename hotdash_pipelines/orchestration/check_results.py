"""Dagster's check results as findings, so that every verdict is kept in `ops.check_results`.

Belongs here: the translation between the two, for checks that Dagster or dbt evaluated and for suites.
Does not belong here: running checks (quality, dbt), definitions (defs).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from hotdash_pipelines.quality.dimensions import CHECK_SEVERITIES, dimension_of
from hotdash_pipelines.quality.results import CheckFinding, store_findings
from hotdash_pipelines.quality.suites import Suite
from hotdash_pipelines.settings import get_settings


def counted_as(dimension: str, check: str) -> dict[str, str]:
    """The entry of a check's metadata that says its dimension. Raises DimensionError for one that is not known."""
    return {"dimension": dimension_of(dimension, check).name}


def suite_specs(suite: Suite) -> list[dg.AssetCheckSpec]:
    """One check a expectation, on the suite's asset."""
    docs = get_settings().runbook_base_url
    return [
        dg.AssetCheckSpec(
            expectation.check,
            asset=dg.AssetKey(suite.asset.split("/")),
            description=expectation.description,
            blocking=expectation.blocking,
            metadata={
                **counted_as(expectation.dimension, expectation.check),
                "expectation": expectation.type,
                "runbook": dg.MetadataValue.url(f"{docs}/{expectation.runbook.removeprefix('docs/')}"),
            },
        )
        for expectation in suite.expectations
    ]


def result_of(finding: CheckFinding, facts: Mapping[str, Any] | None = None) -> dg.AssetCheckResult:
    """A finding as Dagster shows it: counts, a sentence and further facts, never a value of the data."""
    metadata: dict[str, Any] = {"dimension": finding.dimension, **(facts or {})}
    if finding.element_count is not None:
        metadata["rows_checked"] = finding.element_count
    if finding.unexpected_count is not None:
        metadata["rows_broken"] = finding.unexpected_count
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(finding.asset.split("/")),
        check_name=finding.check,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity[CHECK_SEVERITIES[finding.severity].stored.upper()],
        description=finding.message,
        metadata=metadata,
    )


def finding_of(
    result: dg.AssetCheckResult | dg.AssetCheckEvaluation, spec: dg.AssetCheckSpec, kind: str
) -> CheckFinding:
    """A check that Dagster or dbt evaluated, as a finding of the dimension in its spec. `kind` names the evaluator."""
    if result.asset_key is None or result.check_name is None:
        raise ValueError("a check result without asset and name cannot be kept")
    is_error = result.severity == dg.AssetCheckSeverity.ERROR
    broken = result.metadata.get("dagster_dbt/failed_row_count")
    return CheckFinding(
        asset="/".join(result.asset_key.path),
        check=result.check_name,
        dimension=spec.metadata["dimension"],
        severity="critical" if is_error else "warning",
        blocking=spec.blocking and is_error,
        passed=bool(result.passed),
        type=kind,
        message="passed" if result.passed else "failed",
        unexpected_count=int(broken.value) if broken is not None and isinstance(broken.value, int) else None,
    )


def keep(url: str, findings: Sequence[CheckFinding], project_key: str, run_id: str, now: datetime) -> None:
    """Store the findings of one step."""
    if findings:
        store_findings(url, findings, project_key, run_id, now)
