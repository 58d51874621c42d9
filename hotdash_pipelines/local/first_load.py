"""One run over a range of partitions in this process, with its progress reported as it happens.

Belongs here: which windows are due, running the nightly job over them, and what came of it.
Does not belong here: printing (cli.up), what the job does (defs).
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from hotdash_pipelines.base.windows import days_ending, last_complete_day
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.local.children import raise_for, signals_received
from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

    from hotdash_pipelines.storage import Store

_POLL_S = 0.4


@dataclass
class StepProgress:
    """One step of the run as the progress display shows it."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0


@dataclass
class LoadOutcome:
    """What a run did: rows per asset, checks by verdict, and the first error in one line."""

    run_id: str
    success: bool
    assets: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    failed: int = 0
    warned: int = 0
    failed_checks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def due_range(
    settings: Settings,
    contracts: Sequence[Contract],
    store: "Store",
    loaded: set[tuple[str, str, str]],
    days: int,
    now: datetime,
) -> tuple[str, str]:
    """First and last partition that a load of the last `days` days has to visit.

    `loaded` holds (source, stream, partition key) of every window in the raw tables. The range begins at the oldest
    window that the lake or the warehouse lacks, and at the latest where a stream may still change.
    """
    from hotdash_pipelines.lake.partition import partitions

    last = last_complete_day(now, settings.zone)
    wanted = days_ending(last, days)
    first = max(contract.refetch_days for contract in contracts)
    oldest = wanted[-min(first, days)]
    for contract in contracts:
        if contract.semantics == "snapshot":
            continue
        held = set(partitions(store, contract, settings.project))
        missing = [key for key in wanted if key not in held or (contract.source, contract.stream, key) not in loaded]
        oldest = min([oldest, *missing])
    return oldest, wanted[-1]


def run_nightly(
    load: Callable[[], "dg.Definitions"],
    instance: "dg.DagsterInstance",
    first: str,
    last: str,
    report: Callable[[list[StepProgress]], None],
) -> LoadOutcome:
    """Run the nightly job over `first`..`last` in this process; `report` is called with the steps as they move.

    `load` gives the code location's definitions.
    """
    with signals_received() as received:
        from hotdash_pipelines.orchestration import keys

        job = load().resolve_job_def(keys.NIGHTLY_JOB)
        run_id = str(uuid.uuid4())
        stop = threading.Event()
        watcher = threading.Thread(
            target=_watch,
            args=(instance, run_id, [node.name for node in job.graph.nodes_in_topological_order], report, stop),
            daemon=True,
        )
        # It may have come while modules loaded, and have been ignored there.
        raise_for(received())
        watcher.start()
        try:
            result = job.execute_in_process(
                run_id=run_id,
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags={
                    **keys.range_tags(first, last, refetch=keys.REFETCH_DUE),
                    "hotdash/pid": str(os.getpid()),
                    "hotdash/started_by": "hotdash up",
                },
            )
        finally:
            stop.set()
            watcher.join()
        # Dagster turns a signal into a failed run; here it must end the command.
        raise_for(received())
    return outcome_of(run_id, result.success, result.all_events)


def _watch(
    instance: "dg.DagsterInstance",
    run_id: str,
    steps: Sequence[str],
    report: Callable[[list[StepProgress]], None],
    stop: threading.Event,
) -> None:
    import dagster as dg

    kinds = {
        dg.DagsterEventType.STEP_START,
        dg.DagsterEventType.STEP_SUCCESS,
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.STEP_SKIPPED,
        dg.DagsterEventType.STEP_UP_FOR_RETRY,
    }
    progress = {name: StepProgress(name) for name in steps}
    started: dict[str, float] = {}
    cursor = None
    while True:
        ending = stop.is_set()
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=kinds)
        cursor = page.cursor
        for record in page.records:
            event = record.event_log_entry.dagster_event
            name = event.step_key if event else None
            if event is None or name is None:
                continue
            step = progress.setdefault(name, StepProgress(name))
            if event.is_step_start:
                started[name] = record.event_log_entry.timestamp
                step.state = "running"
            elif event.is_step_success or event.is_step_failure or event.is_step_skipped or event.is_step_up_for_retry:
                step.state = (
                    "done"
                    if event.is_step_success
                    else "failed"
                    if event.is_step_failure
                    else "retrying"
                    if event.is_step_up_for_retry
                    else "skipped"
                )
                step.seconds = record.event_log_entry.timestamp - started.get(name, record.event_log_entry.timestamp)
        for name, since in started.items():
            if progress[name].state == "running":
                progress[name].seconds = time.time() - since
        report(list(progress.values()))
        if ending and not page.records:
            return
        stop.wait(_POLL_S)


def outcome_of(run_id: str, success: bool, events: "Sequence[dg.DagsterEvent]") -> LoadOutcome:
    """What a finished run did, read from its events."""
    import dagster as dg

    from hotdash_pipelines.orchestration.failures import failure_line

    outcome = LoadOutcome(run_id, success)
    for event in events:
        if event.is_step_materialization and event.asset_key:
            rows = event.step_materialization_data.materialization.metadata.get("dagster/row_count")
            if rows is not None:
                outcome.assets[event.asset_key.to_user_string()] = int(str(rows.value))
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if check.passed:
                outcome.passed += 1
            elif check.severity == dg.AssetCheckSeverity.WARN:
                outcome.warned += 1
                outcome.failed_checks.append(f"{check.asset_key.to_user_string()}: {check.check_name} (warning)")
            else:
                outcome.failed += 1
                outcome.failed_checks.append(f"{check.asset_key.to_user_string()}: {check.check_name}")
        elif event.is_step_failure:
            outcome.errors.append(f"{event.step_key}: {failure_line(event)}")
    return outcome
