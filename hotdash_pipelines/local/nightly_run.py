"""The process of a first load: runs the nightly job over a range of partitions and tells how it goes.

`python -m hotdash_pipelines.local.nightly_run DEFINITIONS FIRST LAST [past]`, started by first_load.py. It tells a JSON
object a line on its standard output: `ended` (runs that a killed load left), `steps`, and at last `outcome` or `error`.

Belongs here: the run. Does not belong here: who waits for it (first_load.py), what the job does (defs).
"""

import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.garbage import collect_rarely
from hotdash_pipelines.local.first_load import LoadOutcome, StepProgress

if TYPE_CHECKING:
    import dagster as dg

_POLL_S = 1.0
_GRACE_S = 10.0


def main(definitions: str, first: str, last: str, part: str = "all") -> None:
    """Run the nightly job of a module of definitions over `first`..`last`; of its `past` only lake and raw tables."""
    tell = _own_the_output()
    # Before Dagster is imported, which makes most of what this process holds.
    collect_rarely()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    # A shell starts what it puts in the background with Ctrl-C ignored, and Dagster treats SIGTERM as Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Here, so that a module that cannot be imported is told like any other failure.
        from hotdash_pipelines.local.instance import end_orphaned_runs, open_instance

        nightly_job(definitions)
        with open_instance() as instance:
            tell(ended=end_orphaned_runs(instance))
            outcome = run_nightly(
                definitions, instance, first, last, lambda steps: tell(steps=steps), is_past=part == "past"
            )
            tell(outcome=asdict(outcome))
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told in one line
        traceback.print_exc()
        kind = "" if isinstance(error, HotdashError) else f"{type(error).__name__}: "
        tell(error=f"{kind}{str(error).strip().partition(chr(10))[0]}")


def _own_the_output() -> Callable[..., None]:
    """What others print on standard output (dbt does) goes to the log from now on; only we tell."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    writing = threading.Lock()

    def tell(**message: Any) -> None:
        with writing:
            print(json.dumps(message), file=pipe)

    return tell


def _end_with_the_parent() -> None:
    """Standard input ends when the process that waits for us does, however it ended."""
    # Not by sys.stdin, whose lock a thread would hold at the end of the interpreter.
    os.read(0, 1)
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.killpg(0, signal.SIGKILL)


@cache
def nightly_job(definitions: str) -> "dg.JobDefinition":
    """The nightly job of a module of definitions, all of its steps in this process."""
    from hotdash_pipelines.orchestration import keys
    from hotdash_pipelines.orchestration.executor import in_this_process

    job = importlib.import_module(definitions).defs().resolve_job_def(keys.NIGHTLY_JOB)
    return job.with_executor_def(in_this_process())


def run_nightly(
    definitions: str,
    instance: "dg.DagsterInstance",
    first: str,
    last: str,
    report: Callable[[list[dict[str, Any]]], None],
    *,
    is_past: bool = False,
) -> LoadOutcome:
    """Run the nightly job over `first`..`last` in this process; `report` is called with the steps as they move.

    Of a range that `is_past` only the lake and the raw tables are made, with the checks that their steps make.
    """
    import dagster as dg

    from hotdash_pipelines.orchestration import keys

    runnable = dg.build_reconstructable_job(nightly_job.__module__, nightly_job.__name__, (definitions,))
    if is_past:
        runnable = _landing_only(runnable)
    job = runnable.get_definition()
    steps = [node.name for node in job.graph.nodes_in_topological_order]
    ours = {"hotdash/load": str(uuid.uuid4())}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(instance, ours, steps, report, stop), daemon=True)
    watcher.start()
    try:
        # Not JobDefinition.execute_in_process, which has an executor of its own.
        result = dg.execute_job(
            runnable,
            instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={
                **keys.range_tags(first, last, refetch=keys.REFETCH_DUE),
                "hotdash/pid": str(os.getpid()),
                "hotdash/started_by": "hotdash up",
                **ours,
            },
        )
    finally:
        stop.set()
        watcher.join()
    outcome = outcome_of(result.run_id, result.success, result.all_events)
    if not outcome.success:
        nodes = job.asset_layer.asset_graph.asset_nodes
        outcome.owners = {node.key.to_user_string(): node.owners[0] for node in nodes if node.owners}
    return outcome


def _landing_only(runnable: Any) -> Any:
    """The part of the job that lands windows, as a job that can be rebuilt."""
    graph = runnable.get_definition().asset_layer.asset_graph
    made = [one for one in graph.assets_defs if one.is_executable and any(map(_lands, one.keys))]
    return runnable.get_subset(
        asset_selection={key for one in made for key in one.keys},
        asset_check_selection={key for one in made for key in one.check_keys},
    )


def _lands(key: "dg.AssetKey") -> bool:
    return key.path[0].startswith(("lake_", "raw_"))


def _watch(
    instance: "dg.DagsterInstance",
    tags: Mapping[str, str],
    steps: Sequence[str],
    report: Callable[[list[dict[str, Any]]], None],
    stop: threading.Event,
) -> None:
    import dagster as dg

    states = {
        dg.DagsterEventType.STEP_START: "running",
        dg.DagsterEventType.STEP_SUCCESS: "done",
        dg.DagsterEventType.STEP_FAILURE: "failed",
        dg.DagsterEventType.STEP_SKIPPED: "skipped",
        dg.DagsterEventType.STEP_UP_FOR_RETRY: "retrying",
    }
    landed = dg.DagsterEventType.ASSET_MATERIALIZATION
    progress = {name: StepProgress(name) for name in steps}
    windows: dict[str, set[str]] = {}
    started: dict[str, float] = {}
    cursor, run_id = None, None
    while True:
        ending = stop.is_set()
        if run_id is None:
            run_id = next((run.run_id for run in instance.get_runs(dg.RunsFilter(tags=tags), limit=1)), None)
            if run_id is None:
                if ending:
                    return
                stop.wait(_POLL_S)
                continue
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type={*states, landed})
        cursor = page.cursor
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is None or event.step_key is None:
                continue
            step = progress.setdefault(event.step_key, StepProgress(event.step_key))
            if event.event_type is landed:
                if event.partition:
                    windows.setdefault(step.name, set()).add(event.partition)
                    step.windows = len(windows[step.name])
                continue
            step.state = states[event.event_type]
            at = record.event_log_entry.timestamp
            if event.is_step_start:
                started[step.name] = at
            else:
                step.seconds = at - started.get(step.name, at)
        for name, since in started.items():
            if progress[name].state == "running":
                progress[name].seconds = time.time() - since
        report([asdict(step) for step in progress.values()])
        if ending and not page.records:
            return
        stop.wait(_POLL_S)


def outcome_of(run_id: str, success: bool, events: "Sequence[dg.DagsterEvent]") -> LoadOutcome:
    """What a finished run did, read from its events."""
    import dagster as dg

    from hotdash_pipelines.orchestration.blast_radius import LEFT_OUT_BECAUSE, STATE_OF
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
        elif event.event_type_value == "ASSET_OBSERVATION" and event.asset_key:
            facts = event.asset_observation_data.asset_observation.metadata
            if LEFT_OUT_BECAUSE in facts:
                outcome.left_out[event.asset_key.to_user_string()] = str(facts[STATE_OF].value)
        elif event.is_step_failure:
            outcome.errors.append(f"{event.step_key}: {failure_line(event)}")
    return outcome


if __name__ == "__main__":
    # By its own name, under which the job is found again.
    importlib.import_module("hotdash_pipelines.local.nightly_run").main(*sys.argv[1:])
