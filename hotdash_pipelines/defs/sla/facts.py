"""What Dagster's instance knows, in the form that observers of SLAs read.

Belongs here: asking the instance, few queries however many SLAs there are. Does not belong here: judging (sla).
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from hotdash_pipelines.sla.observers.facts import Facts, FinishedRun, Wanted

if TYPE_CHECKING:
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_UNDER_WAY = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
_OVER = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_RUNS_SHOWN = 1_000


def facts_of(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, wanted: Wanted) -> Facts:
    """The wanted facts; none but `failure` when the instance does not answer, whatever it raised."""
    try:
        return _facts(instance, repository, wanted)
    except Exception as error:  # noqa: BLE001 - not to know is a verdict of its own, and never breaks a tick
        return Facts(failure=f"Dagster's instance did not answer ({type(error).__name__})")


def last_run(instance: dg.DagsterInstance, dataset: str) -> str | None:
    """The last run that made a dataset, or should have; None when that cannot be told."""
    try:
        records = instance.get_asset_records([dg.AssetKey(dataset.split("/"))])
    except Exception:  # noqa: BLE001 - a message without this link is better than none
        return None
    return next((record.asset_entry.last_run_id for record in records), None)


def _facts(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, wanted: Wanted) -> Facts:
    graph = repository.asset_graph
    keys = {name: dg.AssetKey(name.split("/")) for name in wanted.deadlines}
    with_partitions = frozenset(
        name for name, key in keys.items() if graph.has(key) and graph.get(key).partitions_def is not None
    )
    return Facts(
        newest=_newest(instance, {name: key for name, key in keys.items() if name not in with_partitions}),
        first=_first(instance, {keys[name] for name in with_partitions}, wanted.partitions),
        partitioned=with_partitions,
        running=_running(instance, repository, wanted.deadlines),
        freshness=_freshness(instance, wanted.freshness),
        runs=_runs(instance, wanted.runs_since),
    )


def _newest(instance: dg.DagsterInstance, keys: Mapping[str, dg.AssetKey]) -> dict[str, datetime]:
    """The newest materialisation of each asset, all in one query."""
    materialized = {}
    for record in instance.get_asset_records(list(keys.values())) if keys else ():
        newest = record.asset_entry.last_materialization_record
        if newest is not None:
            materialized[record.asset_entry.asset_key.to_user_string()] = datetime.fromtimestamp(newest.timestamp, UTC)
    return materialized


def _first(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], partitions: Collection[str]
) -> dict[tuple[str, str], datetime]:
    """When each partition was first materialised, all in one query."""
    if not keys or not partitions:
        return {}
    import sqlalchemy as sa
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events

    storage: SqlEventLogStorage | Any = instance.event_log_storage
    texts = {key.to_string(): key.to_user_string() for key in keys}
    columns = Events.c
    statement = (
        sa.select(columns.asset_key, columns.partition, sa.func.min(columns.timestamp))
        .where(
            columns.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            columns.asset_key.in_(list(texts)),
            columns.partition.in_(list(partitions)),
        )
        .group_by(columns.asset_key, columns.partition)
    )
    with storage.index_connection() as conn:
        rows = conn.execute(statement).fetchall()
    # Dagster keeps its instants in UTC without saying so.
    return {(texts[key], partition): at.replace(tzinfo=UTC) for key, partition, at in rows}


def _running(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, names: Collection[str]
) -> dict[str, datetime]:
    since_by_name: dict[str, datetime] = {}
    records = instance.get_run_records(dg.RunsFilter(statuses=list(_UNDER_WAY)), limit=_RUNS_SHOWN)
    for record in records:
        run, since = record.dagster_run, record.start_time
        if since is None:
            continue
        began = datetime.fromtimestamp(since, UTC)
        selected = run.asset_selection
        if selected is None and repository.has_job(run.job_name):
            selected = repository.get_job(run.job_name).asset_layer.executable_asset_keys
        for name in {key.to_user_string() for key in selected or ()} & set(names):
            since_by_name[name] = min(began, since_by_name.get(name, began))
    return since_by_name


def _freshness(instance: dg.DagsterInstance, names: Collection[str]) -> dict[str, str]:
    if not names:
        return {}
    records = instance.get_freshness_state_records([dg.AssetKey(name.split("/")) for name in names])
    return {key.to_user_string(): record.freshness_state.value for key, record in records.items()}


def _runs(instance: dg.DagsterInstance, since: datetime | None) -> tuple[FinishedRun, ...]:
    if since is None:
        return ()
    records = instance.get_run_records(dg.RunsFilter(statuses=list(_OVER), updated_after=since), limit=_RUNS_SHOWN)
    return tuple(
        FinishedRun(
            record.dagster_run.job_name,
            record.dagster_run.status == dg.DagsterRunStatus.SUCCESS,
            datetime.fromtimestamp(record.end_time, UTC),
        )
        for record in records
        if record.end_time is not None
    )
