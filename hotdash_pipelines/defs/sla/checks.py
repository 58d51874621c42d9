"""SLAs as asset checks: the verdict of the last evaluation beside the dataset that it is about.

Belongs here: how a verdict looks in the UI, and when it is reported. Does not belong here: judging (sla), the turn that
judges (sensors.py). A check that somebody runs by hand tells the stored verdict; it judges nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import runbook
from hotdash_pipelines.orchestration.resources import WarehouseResource
from hotdash_pipelines.orchestration.sla_checks import check_key
from hotdash_pipelines.quality.dimensions import check_rated
from hotdash_pipelines.services.slas import promised
from hotdash_pipelines.sla import Definition, Verdict
from hotdash_pipelines.sla.definitions.rule import Key

# A verdict that stays is told again so often: the UI dims a check that is silent for long, and the log must not grow.
REPEATED_EVERY = timedelta(hours=1)
_WORST_FIRST = ("breach", "unknown", "pending", "ok")
_SEVERE = ("high", "critical")


def spec_of(definition: Definition) -> dg.AssetCheckSpec | None:
    """The check of one SLA; None for one that is about no single asset."""
    key = check_key(definition)
    if key is None:
        return None
    return dg.AssetCheckSpec(
        key.name,
        asset=key.asset_key,
        description=f"{definition.description} Judged every minute; this shows the last verdict.",
        metadata={
            "owner": definition.owner,
            "severity": definition.severity,
            "sla": definition.name,
            "runbook": runbook(definition.runbook.removeprefix("docs/")),
        },
    )


def told_by(definition: Definition, standing: str, message: str) -> dg.AssetCheckEvaluation | None:
    """How one SLA stands, as an evaluation; `standing` is the state of a verdict."""
    key = check_key(definition)
    if key is None:
        return None
    is_severe = standing == "breach" and definition.severity in _SEVERE
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        # Before a deadline, or with too few samples, nothing is broken.
        passed=standing in ("ok", "pending"),
        severity=dg.AssetCheckSeverity.ERROR if is_severe else dg.AssetCheckSeverity.WARN,
        description=message,
        metadata={
            "state": standing,
            "target": f"{definition.target:f} {definition.unit}",
            "version": definition.version,
        },
    )


def news(
    definitions: Sequence[Definition], verdicts: Mapping[Key, Verdict], cursor: str | None, now: datetime
) -> tuple[list[dg.AssetCheckEvaluation], str]:
    """The evaluations to report, and the next cursor: those that changed, and each once an hour.

    Of an SLA with several partitions the worst verdict is shown.
    """
    before: dict[str, list[str]] = _read(cursor)
    after, evaluations = {}, []
    for definition in definitions:
        own = [verdict for (name, _), verdict in verdicts.items() if name == definition.name]
        if not own:
            continue
        shown = min(own, key=lambda verdict: _WORST_FIRST.index(verdict.state))
        state, at = before.get(definition.name, ["", ""])
        if state == shown.state and at and now - datetime.fromisoformat(at) < REPEATED_EVERY:
            after[definition.name] = [state, at]
            continue
        after[definition.name] = [shown.state, now.isoformat()]
        if evaluation := told_by(definition, shown.state, shown.message):
            evaluations.append(evaluation)
    return evaluations, json.dumps(after)


def _read(cursor: str | None) -> dict[str, list[str]]:
    try:
        content = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


check_rated(promised())
_definitions = {definition.check_name: definition for definition in promised() if check_key(definition)}


@dg.multi_asset_check(
    name="sla_verdicts",
    specs=[spec for definition in _definitions.values() if (spec := spec_of(definition))],
    can_subset=True,
    pool=keys.WAREHOUSE_POOL,
)
def sla_verdicts(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
    """The stored verdict of every selected SLA."""
    from hotdash_pipelines.sla.records.history import standings
    from hotdash_pipelines.warehouse.postgres import connect

    with (
        one_line_errors(context.op_execution_context, "slas"),
        connect(warehouse.url(), autocommit=True) as conn,
    ):
        stored: dict[str, Any] = {}
        for standing in standings(conn):
            rank = _WORST_FIRST.index(standing.standing or "unknown")
            if standing.sla not in stored or rank < _WORST_FIRST.index(stored[standing.sla].standing or "unknown"):
                stored[standing.sla] = standing
    for key in sorted(context.selected_asset_check_keys):
        definition = _definitions[key.name]
        last = stored.get(definition.name)
        standing = (last.standing if last else None) or "unknown"
        evaluation = told_by(definition, standing, (last.message if last else None) or "not judged yet")
        if evaluation:
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=evaluation.passed,
                severity=evaluation.severity,
                description=evaluation.description,
                metadata=evaluation.metadata,
            )
