"""Failures of the rooms below, as Dagster should treat them.

Belongs here: the one sorting of errors into "retry this step" and "a person must act", and the name of what failed.
Does not belong here: what went wrong; the rooms say that in one line.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.redaction.scrub import safe_line

STEP_RETRIES = 3
FIRST_WAIT_S = 5.0
# A source that asks for more (a daily quota) ends the step; the next run goes on where this one stopped.
LONGEST_WAIT_S = 600.0


@contextmanager
def one_line_errors(step: dg.OpExecutionContext, where: str) -> Iterator[None]:
    """Turn errors of the rooms into Dagster's: transient ones retry the step, the others end it at once.

    `where` is put before errors that do not name their partition themselves. Waits double with each retry unless the
    source said how long. Failed checks are never retried.
    """
    try:
        yield
    except (HotdashError, OSError) as error:
        raise sorted_out(step, where, error) from error


def sorted_out(step: dg.OpExecutionContext, where: str, error: Exception) -> dg.Failure | dg.RetryRequested:
    """What Dagster should do about an error: try the step again, or end it with a line that names `where`."""
    if not isinstance(error, HotdashError):
        return dg.Failure(_unexpected(where, error), allow_retries=False)
    said = str(error)
    line = said if said.startswith(f"{where.partition(' ')[0]} ") else f"{where}: {said}"
    wait = FIRST_WAIT_S * 2**step.retry_number if error.retry_after is None else error.retry_after
    if not error.is_transient or step.retry_number >= STEP_RETRIES or wait > LONGEST_WAIT_S:
        return dg.Failure(line, allow_retries=False)
    step.log.warning(f"{line} (retry {step.retry_number + 1} of {STEP_RETRIES} in {wait:.0f} s)")
    return dg.RetryRequested(max_retries=STEP_RETRIES, seconds_to_wait=wait)


def _unexpected(where: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{where}: the disk refused: {error.strerror or error}; mend that, then materialise again"
    return f"{where}: failed by a {type(error).__name__} that nothing foresaw; the run's log has its traceback"


def windows_of(contract: Contract, keys: Sequence[str]) -> str:
    """`source/stream key`, or `source/stream first to last`, as errors name what they are about."""
    name = f"{contract.source}/{contract.stream}"
    return f"{name} {keys[0]}" if len(keys) == 1 else f"{name} {keys[0]} to {keys[-1]}"


def failure_line(event: dg.DagsterEvent) -> str:
    """Why a step failed, in one line and without the class of the error; `event` is its STEP_FAILURE."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description.strip().partition("\n")[0]
    if data.error is None:
        return "failed"
    # The outer error only says that the step failed.
    error = data.error.cause or data.error
    kind = (error.cls_name or "").rpartition(".")[2]
    said = error.message.strip().partition(f"{kind}: ")[2].strip() or error.message.strip()
    # Dagster puts the names of failed checks on the lines after the first.
    return " ".join(said.split()) if kind == "DagsterAssetCheckFailedError" else said.partition("\n")[0]


def dbt_failure(results: Sequence[Mapping[str, Any]]) -> str:
    """One line about a failed `dbt build` from the entries of its run_results.json: what failed first, and how many."""
    failed = [entry for entry in results if entry["status"] in ("error", "fail")]
    if not failed:
        return "dbt: the build ended before any model failed; its log says why; mend that, then materialise again"
    first = failed[0]
    lines = [line.strip() for line in (first.get("message") or "").splitlines() if line.strip()]
    # The first line only repeats the name of the model.
    reason = lines[1] if len(lines) > 1 and first["status"] == "error" else lines[0] if lines else first["status"]
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    kind, _, name = str(first["unique_id"]).split(".")[:3]
    return f"dbt: {kind} {name} failed: {safe_line(reason)}{others}; mend that, then materialise again"
