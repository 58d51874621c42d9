"""How far back Dagster's own instance remembers: old runs go, what the UI stands on stays.

Belongs here: which events and runs of the instance may go, and removing them. Does not belong here: when (operations.
housekeeping asks), ticks of schedules and sensors (dagster.yaml).

Deleting a run through the instance takes its materialisations along, and their partitions count as missing from then
on. A nightly run nearly always holds the newest materialisation of some day, so whole runs would hardly ever go. So
of each old run all events go but the newest of each kind of an asset and partition; a run that holds none of these
goes whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.failpoints import reach

if TYPE_CHECKING:
    import dagster as dg

_RUNS_AT_ONCE = 200


class HistoryError(HotdashError):
    """Dagster's storage cannot be swept. One line, says what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, DagsterPostgresException) as error:
        # Behind the first line come the statement and its values.
        reason = str(error).strip().partition("\n")[0]
        raise HistoryError(f"Dagster's storage cannot be swept ({reason}): mend that, then run again") from error


@dataclass(frozen=True)
class PrunedRuns:
    """`runs` went whole, `trimmed` ones kept a few events; `events` and `bytes` (of events and captured logs) went."""

    runs: int
    trimmed: int
    events: int
    bytes: int


@dataclass(frozen=True)
class _Kept:
    """Event numbers, numbers of check executions and runs that stay."""

    events: frozenset[int]
    executions: frozenset[int]
    of_runs: frozenset[str]


@one_line_errors()
def prune_runs(instance: "dg.DagsterInstance", before: datetime, *, dry_run: bool = False) -> PrunedRuns | None:
    """Remove what finished runs that ended before `before` (aware) left, and as old events outside of runs.

    Stays: the newest event of each kind of each asset and partition, the newest evaluation of each check, unfinished
    runs, and runs of unfinished backfills. None for an instance whose storage is no shared database: there each run
    has a file of its own. Killed at any moment, a second call ends in the same state. Raises HistoryError.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage) or isinstance(storage, SqliteEventLogStorage):
        return None
    kept = _kept(storage)
    runs = trimmed = events = size = 0
    for run_id in list(_old_runs(instance, before)):
        went, went_bytes = _prune_events(storage, run_id, kept, dry_run=dry_run)
        log_bytes = _prune_logs(instance, run_id, dry_run=dry_run)
        events, size = events + went, size + went_bytes + log_bytes
        reach("history.events_gone")
        if run_id not in kept.of_runs:
            runs += 1
            if not dry_run:
                instance.delete_run(run_id)
        else:
            trimmed += went > 0
    went, went_bytes = _prune_runless(storage, before, kept, dry_run=dry_run)
    return PrunedRuns(runs, trimmed, events + went, size + went_bytes)


def _kept(storage: Any) -> _Kept:
    import sqlalchemy as sa
    from dagster._core.storage.event_log import schema

    checks, logs = schema.AssetCheckExecutionsTable, schema.SqlEventLogStorageTable
    newest_events = (
        sa.select(sa.func.max(logs.c.id))
        .where(logs.c.asset_key.is_not(None))
        .group_by(logs.c.asset_key, logs.c.partition, logs.c.dagster_event_type)
    )
    newest_checks = sa.select(sa.func.max(checks.c.id)).group_by(
        checks.c.asset_key, checks.c.check_name, checks.c.partition
    )
    evaluations = sa.select(
        checks.c.id, checks.c.run_id, checks.c.evaluation_event_storage_id, checks.c.materialization_event_storage_id
    ).where(checks.c.id.in_(newest_checks))
    with storage.index_connection() as conn:
        events = {number for (number,) in conn.execute(newest_events)}
        executions, of_runs = set(), set()
        for execution, run_id, *stored in conn.execute(evaluations):
            executions.add(execution)
            of_runs.add(run_id)
            events.update(number for number in stored if number is not None)
        # By number, so that a partition materialised again since is not looked up twice.
        for some in _batches(sorted(events), 1000):
            of_runs.update(
                run for (run,) in conn.execute(sa.select(logs.c.run_id).where(logs.c.id.in_(some)).distinct())
            )
    return _Kept(frozenset(events), frozenset(executions), frozenset(of_runs))


def _old_runs(instance: "dg.DagsterInstance", before: datetime) -> Iterator[str]:
    """Numbers of finished runs that ended before `before`, newest first."""
    import dagster as dg
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus
    from dagster._core.storage.dagster_run import FINISHED_STATUSES
    from dagster._core.storage.tags import BACKFILL_ID_TAG

    open_statuses = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    unfinished = {found.backfill_id for found in instance.get_backfills(BulkActionsFilter(statuses=open_statuses))}
    wanted = dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=before)
    cursor = None
    while page := instance.get_run_records(wanted, limit=_RUNS_AT_ONCE, cursor=cursor):
        for record in page:
            ended = record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
            if ended < before.timestamp() and record.dagster_run.tags.get(BACKFILL_ID_TAG) not in unfinished:
                yield record.dagster_run.run_id
        cursor = page[-1].dagster_run.run_id


def _prune_events(storage: Any, run_id: str, kept: _Kept, *, dry_run: bool) -> tuple[int, int]:
    """Events removed and their bytes."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import schema

    checks, logs = schema.AssetCheckExecutionsTable, schema.SqlEventLogStorageTable
    with storage.index_connection() as conn:
        events = {
            number: (kind, size)
            for number, kind, size in conn.execute(
                sa.select(logs.c.id, logs.c.dagster_event_type, sa.func.length(logs.c.event)).where(
                    logs.c.run_id == run_id
                )
            )
        }
        # A run that stays keeps the few events that say how it went.
        spared = _status_events() if run_id in kept.of_runs else frozenset()
        going = [number for number, (kind, _) in events.items() if number not in kept.events and kind not in spared]
        if not dry_run:
            _delete(conn, going)
            executions = {
                number for (number,) in conn.execute(sa.select(checks.c.id).where(checks.c.run_id == run_id))
            } - kept.executions
            for some in _batches(sorted(executions), 1000):
                conn.execute(sa.delete(checks).where(checks.c.id.in_(some)))
    return len(going), sum(events[number][1] or 0 for number in going)


def _prune_runless(storage: Any, before: datetime, kept: _Kept, *, dry_run: bool) -> tuple[int, int]:
    """Old events of assets that no run wrote, such as those that a sensor reports: removed and their bytes."""
    import sqlalchemy as sa
    from dagster._core.instance.utils import RUNLESS_RUN_ID
    from dagster._core.storage.event_log import schema

    logs = schema.SqlEventLogStorageTable
    old = sa.select(logs.c.id, sa.func.length(logs.c.event)).where(
        logs.c.run_id == RUNLESS_RUN_ID,
        logs.c.asset_key.is_not(None),
        logs.c.timestamp < before.astimezone(UTC).replace(tzinfo=None),
    )
    with storage.index_connection() as conn:
        going = {number: size or 0 for number, size in conn.execute(old) if number not in kept.events}
        if not dry_run:
            _delete(conn, list(going))
    return len(going), sum(going.values())


def _delete(conn: Any, events: list[int]) -> None:
    """Events with their tags, the tags first: without its event a tag would never be found again."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import schema

    tags, logs = schema.AssetEventTagsTable, schema.SqlEventLogStorageTable
    for some in _batches(events, 1000):
        conn.execute(sa.delete(tags).where(tags.c.event_id.in_(some)))
        conn.execute(sa.delete(logs).where(logs.c.id.in_(some)))


def _prune_logs(instance: "dg.DagsterInstance", run_id: str, *, dry_run: bool) -> int:
    """Remove what the steps of a run printed; bytes of it, where it lies in a local folder."""
    from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

    manager, size = instance.compute_log_manager, 0
    if isinstance(manager, LocalComputeLogManager):
        folder = Path(manager.get_captured_local_path([run_id, "any"], "out")).parent
        with suppress(FileNotFoundError):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    # An empty prefix would mean every run.
    if run_id and not dry_run:
        manager.delete_logs(prefix=[run_id])
    return size


def _status_events() -> frozenset[str]:
    from dagster import DagsterEventType

    names = ("ENQUEUED", "DEQUEUED", "STARTING", "START", "SUCCESS", "FAILURE", "CANCELING", "CANCELED")
    return frozenset(DagsterEventType[f"RUN_{name}"].value for name in names)


def _batches(numbers: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
