"""The expectation suites as asset checks: one check an expectation, one step a suite.

Belongs here: one multi-asset check for each file in expectations/. Does not belong here: running a suite (quality).
"""

from collections.abc import Collection, Iterator

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.blast_radius import Failures, failures_so_far, has_news
from hotdash_pipelines.orchestration.check_results import keep, result_of, suite_specs
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.resources import ClockResource, ProjectResource, WarehouseResource
from hotdash_pipelines.quality.run import run_suite
from hotdash_pipelines.quality.suites import Suite, load_suites


def suite_checks(suite: Suite) -> dg.AssetChecksDefinition:
    """The checks of one table, run together in one pass over it."""

    @dg.multi_asset_check(
        name=f"expectations_{suite.schema}__{suite.table}",
        specs=suite_specs(suite),
        can_subset=True,
        pool=keys.WAREHOUSE_POOL,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        clock: ClockResource,
        warehouse: WarehouseResource,
        project: ProjectResource,
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name for key in context.selected_asset_check_keys}
        step = context.op_execution_context
        failures = failures_so_far(step)
        reason = failures.missing.get(suite.asset)
        if reason and not has_news(step, dg.AssetKey(suite.asset.split("/"))):
            yield from _not_run(suite, selected, f"not run: nothing new has landed ({reason})")
            return
        # What is new here may well have no counterpart in what has stayed as it was.
        for expectation in suite.select(selected):
            others = sorted(other for other in expectation.compared_with if _was_left_out(step, failures, other))
            if others:
                told = f"not run: it compares with {', '.join(others)}, where nothing new has landed"
                yield from _not_run(suite, {expectation.check}, told)
                selected.discard(expectation.check)
        try:
            with one_line_errors(step, suite.asset):
                findings = run_suite(suite, warehouse.url(), selected, project.key(), now=clock.now())
                keep(warehouse.url(), findings, project.key(), context.run.run_id, clock.now())
        except dg.Failure as error:
            yield from _not_run(suite, selected, error.description or "")
            raise
        for finding in findings:
            yield result_of(finding)

    return checks


def _was_left_out(step: dg.OpExecutionContext, failures: Failures, dataset: str) -> bool:
    """Whether a dataset that this run was to make has stayed as it was, by a failure of this run."""
    key = dg.AssetKey(dataset.split("/"))
    is_of_this_run = key in step.job_def.asset_layer.selected_asset_keys
    return bool(failures.reasons) and is_of_this_run and not has_news(step, key)


def _not_run(suite: Suite, selected: Collection[str], reason: str) -> Iterator[dg.AssetCheckResult]:
    """Results in place of verdicts: what is behind the checks decides by what failed, and waits for each of them."""
    for check in sorted(selected):
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey(suite.asset.split("/")),
            check_name=check,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=reason,
        )


suite_definitions = [suite_checks(suite) for suite in load_suites()]
