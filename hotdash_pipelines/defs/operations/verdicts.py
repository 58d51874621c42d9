"""Checks of what operations keep: a function that judges becomes an asset check whose verdict is stored.

Belongs here: what backups', archives' and exports' checks have in common. Does not belong here: the judging.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.check_results import counted_as, keep, result_of
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import runbook
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, StoresResource, WarehouseResource
from hotdash_pipelines.quality.results import CheckFinding


@dataclass(frozen=True)
class OperationVerdict:
    """What a check found. `message` is a sentence without any value of the data; `rows` is how many were looked at."""

    passed: bool
    message: str
    rows: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    # A check that has nothing to look at yet does not pass, but nobody has to get up for it.
    nothing_yet: bool = False


Judge = Callable[[StoresResource, str, datetime], OperationVerdict]


def stored_check(
    asset: dg.AssetKey,
    name: str,
    judge: Judge,
    description: str,
    *,
    dimension: str,
    page: str,
    warns: bool = False,
) -> dg.AssetChecksDefinition:
    """A check that calls `judge` with the stores, the warehouse's URL and the present.

    Unless it only `warns`, a failure ends its run, so that an alert goes out; `page` is its runbook below docs/.
    """
    where = "/".join(asset.path)

    @dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        blocking=not warns,
        metadata={**counted_as(dimension, name), "runbook": runbook(page)},
        pool=keys.WAREHOUSE_POOL,
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        clock: ClockResource,
        stores: StoresResource,
        warehouse: WarehouseResource,
        project: ProjectResource,
    ) -> dg.AssetCheckResult:
        with one_line_errors(context.op_execution_context, where):
            verdict = judge(stores, warehouse.url(), clock.now())
            is_quiet = warns or verdict.nothing_yet
            finding = CheckFinding(
                asset=where,
                check=name,
                dimension=dimension,
                severity="warning" if is_quiet else "critical",
                blocking=not is_quiet,
                passed=verdict.passed,
                type="operations",
                message=verdict.message,
                element_count=verdict.rows,
                runbook=f"docs/{page}",
            )
            keep(warehouse.url(), [finding], project.key(), context.run.run_id, clock.now())
        return result_of(finding, verdict.facts)

    return check
