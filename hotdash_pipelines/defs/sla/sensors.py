"""The sensor that judges every SLA once a minute.

Belongs here: one turn and what the tick's log says of it. Does not belong here: the turn itself (promised), sending
(defs/alerts).
A tick must not break: whatever goes wrong stands in its log, changes nothing, and the next tick tries anew.
"""

from functools import cache

import dagster as dg

from hotdash_pipelines.defs.sla.checks import news
from hotdash_pipelines.defs.sla.facts import facts_of, last_run
from hotdash_pipelines.orchestration.graph import upstream_of
from hotdash_pipelines.orchestration.resources import ClockResource, WarehouseResource
from hotdash_pipelines.services.slas import promised, take_turn
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sla import SlaError
from hotdash_pipelines.sla.records.heartbeat import EVALUATION_SECONDS
from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.transform.lineage import impacts, read_tiles
from hotdash_pipelines.warehouse.postgres import WarehouseError


@dg.sensor(
    name="sla_evaluation_sensor",
    minimum_interval_seconds=EVALUATION_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges every SLA of slas/*.yaml; what opens, escalates or ends goes to the outbox.",
)
def sla_evaluation_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource, clock: ClockResource
) -> dg.SensorResult:
    """Verdicts are reported as asset checks when they change, and once an hour."""
    try:
        return _turn(context, warehouse, clock)
    except (SlaError, WarehouseError) as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - see above
        # Its text is not ours: it may hold values.
        reason = f"{type(error).__name__} in {_where(error)}"
    context.log.error(f"SLAs were not judged: {reason}")
    return dg.SensorResult(skip_reason=f"not judged: {reason}", cursor=context.cursor)


def _turn(context: dg.SensorEvaluationContext, warehouse: WarehouseResource, clock: ClockResource) -> dg.SensorResult:
    repository = context.repository_def
    if repository is None:
        raise SlaError("the sensor was evaluated outside of its code location, whose assets it needs")
    now = clock.now()
    upstream, impact = _lineage(repository)
    done = take_turn(
        get_settings(),
        warehouse.url(),
        lambda wanted: facts_of(context.instance, repository, wanted),
        upstream,
        impact,
        now,
        lambda dataset: last_run(context.instance, dataset),
    )
    for warning in done.warnings:
        context.log.warning(warning)
    if done.tick is None:
        return dg.SensorResult(skip_reason=done.skipped, cursor=context.cursor)
    for notice in done.notices:
        context.log.info(f"{notice.event.kind}: {notice.event.message}")
    evaluations, cursor = news(promised(), done.tick.verdicts, context.cursor, now)
    states = [verdict.state for verdict in done.tick.verdicts.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("ok", "breach", "unknown", "pending"))
    return dg.SensorResult(skip_reason=counts, asset_events=evaluations, cursor=cursor)


@cache
def _lineage(repository: dg.RepositoryDefinition) -> tuple[dict[str, frozenset[str]], dict[str, Impact]]:
    from hotdash_pipelines.transform.manifest import prepare_manifest

    upstream = upstream_of(repository.asset_graph)
    return upstream, impacts(upstream, read_tiles(prepare_manifest()))


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "unknown place"
