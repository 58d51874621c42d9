"""Sensors that tell people.

Belongs here: noticing failed runs, draining the outbox. Does not belong here: wording and delivery (alerts).
A failure of the alerting itself is written to the tick's log and tried again by the next tick.
"""

from datetime import UTC, datetime

import dagster as dg

from hotdash_pipelines.alerts import FailedRun, FailedStep, kinds
from hotdash_pipelines.alerts.wording.run_failures import RUN_RUNBOOK
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import failure_line
from hotdash_pipelines.orchestration.resources import AlertChannelsResource, WarehouseResource
from hotdash_pipelines.services.notifications import deliver, raise_alert
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.postgres import WarehouseError
from hotdash_pipelines.warehouse.server.binaries import EmbeddedPostgresError

_MAX_STEPS = 200


class AlertNotKeptError(dg.DagsterError):
    """The warehouse did not take the alert of a failed run.

    Dagster moves on to the next run after any error but its own kind; after that one the tick is taken again.
    """


@dg.run_failure_sensor(
    name="run_failure_sensor",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
    description="Puts one alert a failed root run into the outbox; failed blocking checks are part of it.",
)
def run_failure_sensor(context: dg.RunFailureSensorContext, warehouse: WarehouseResource) -> None:
    """A retried run alerts once: the key of the alert is the root run's id."""
    from psycopg import errors

    run, failed = context.dagster_run, _failed_run(context)
    try:
        raise_alert(get_settings(), warehouse.url(), failed, _owners(context), keys.TEAM_DATA, get_settings().now())
    except (WarehouseError, EmbeddedPostgresError) as error:
        raise AlertNotKeptError(str(error)) from error
    # What would be refused of every alert. What is wrong with this one must not hold up the others.
    except (errors.OperationalError, errors.InterfaceError, errors.ProgrammingError) as error:
        raise AlertNotKeptError(f"the warehouse did not take the alert of run {run.run_id}") from error
    context.log.info(f"alert raised for run {run.run_id}")


def _owners(context: dg.RunFailureSensorContext) -> dict[str, str]:
    """The owner of every asset, by its key as text."""
    repository = context.repository_def
    specs = repository.asset_graph.asset_nodes if repository else ()
    return {"/".join(node.key.path): node.owners[0] for node in specs if node.owners}


def _failed_run(context: dg.RunFailureSensorContext) -> FailedRun:
    run, stats = context.dagster_run, context.instance.get_run_stats(context.dagster_run.run_id)
    failures = context.get_step_failure_events()[:_MAX_STEPS]
    return FailedRun(
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        job="a run by hand" if run.job_name.startswith("__") else run.job_name,
        environment=get_settings().stage,
        owner=keys.TEAM_DATA,
        failed_at=datetime.fromtimestamp(stats.end_time, UTC) if stats.end_time else get_settings().now(),
        started_at=datetime.fromtimestamp(stats.start_time, UTC) if stats.start_time else None,
        failed_steps=tuple(FailedStep(str(event.step_key), failure_line(event)) for event in failures),
        reason=context.failure_event.message or "",
        runbook=run.tags.get(keys.RUNBOOK_TAG, RUN_RUNBOOK),
    )


@dg.sensor(
    name="alert_delivery_sensor",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    # Naming them here has a channel that is half there refused when the definitions load.
    description=f"Sends what waits in ops.alert_outbox ({', '.join(kinds())}) with back-off; nothing is lost while one "
    "of them is away.",
)
def alert_delivery_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource, alert_channels: AlertChannelsResource
) -> dg.SkipReason:
    """Each message is committed by itself, so a crash repeats at most one."""
    outcome = deliver(warehouse.url(), alert_channels.destinations(), get_settings().now())
    context.log.info(f"sent {outcome.sent}, failed {outcome.failed}, waiting {outcome.waiting}")
    return dg.SkipReason(
        f"sent {outcome.sent}, waiting {outcome.waiting}, undeliverable {outcome.undeliverable}, "
        f"held by quiet hours {outcome.held}"
    )
