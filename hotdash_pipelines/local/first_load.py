"""The load of `hotdash up`: runs over ranges of partitions, each in a child process.

Belongs here: which windows are due, waiting for the run over them, and what came of it.
Does not belong here: printing (cli.up), the run itself (nightly_run.py), what the job does (defs).
"""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.windows import current_day, days_ending
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.local.children import ChildError, Children, raise_received
from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    from hotdash_pipelines.storage import Store

DAYS_A_RUN = 30
"""A run writes an event for each partition of each asset, and each costs more than the last (dagster issue 19618)."""
_DAYS_WAIT = ": days_match_the_source (warning)"
COMMAND = (sys.executable, "-m", "hotdash_pipelines.local.nightly_run", "hotdash_pipelines.definitions")


@dataclass
class StepProgress:
    """One step of the run as the progress display shows it. `windows` are the days that it has landed so far."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0
    windows: int = 0


@dataclass
class LoadOutcome:
    """What a run did: rows per asset, checks by verdict, and its errors, one line each."""

    run_id: str
    success: bool
    assets: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    failed: int = 0
    warned: int = 0
    failed_checks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Models that were not built because something they read did not land, with the instant that their state is of."""
    owners: dict[str, str] = field(default_factory=dict)
    """By asset, for whoever is told; only of a run that failed."""


def due_range(
    settings: Settings,
    contracts: Sequence[Contract],
    store: "Store",
    loaded: set[tuple[str, str, str]],
    days: int,
    now: datetime,
) -> tuple[str, str]:
    """First and last partition that a load of the last `days` days, and of the current one up to now, has to visit.

    `loaded` holds (source, stream, partition key) of every window that was over when it was read and is in the raw
    tables. The range begins at the oldest window that the lake or the warehouse lacks, and at the latest where a stream
    may still change. It ends with the open day. No partition lies before `settings.first_partition`.
    """
    from hotdash_pipelines.lake.partition import partitions

    *wanted, today = (
        key for key in days_ending(current_day(now, settings.zone), days + 1) if key >= settings.first_partition
    )
    first = max(contract.refetch_days for contract in contracts)
    oldest = wanted[-min(first, len(wanted))] if wanted else today
    for contract in contracts:
        if contract.semantics == "snapshot":
            continue
        held = set(partitions(store, contract, settings.project))
        missing = [key for key in wanted if key not in held or (contract.source, contract.stream, key) not in loaded]
        oldest = min([oldest, *missing])
    return oldest, today


def runs_over(first: str, last: str) -> list[tuple[str, str]]:
    """The range in parts of at most `DAYS_A_RUN` partitions, the oldest first; only the first may be shorter."""
    newest = date.fromisoformat(last)
    keys = days_ending(newest, (newest - date.fromisoformat(first)).days + 1)
    starts = [*range(len(keys) - DAYS_A_RUN, 0, -DAYS_A_RUN)][::-1]
    return [(keys[begin], keys[end - 1]) for begin, end in pairwise([0, *starts, len(keys)])]


def joined(outcomes: Sequence[LoadOutcome]) -> LoadOutcome:
    """What the runs over the parts of a range did, the newest last: what that one built, and the errors of all.

    A window that failed long ago costs its day, not the models; the run that is named is the first that failed. That
    days of the past waited for later runs, or could not be compared, is left out: the newest run judges every day.
    """
    outcomes = [*(_without_waiting_days(outcome) for outcome in outcomes[:-1]), outcomes[-1]]
    last, failed = outcomes[-1], [outcome for outcome in outcomes if not outcome.success]
    return replace(
        last,
        run_id=failed[0].run_id if failed else last.run_id,
        success=not failed,
        passed=sum(outcome.passed for outcome in outcomes),
        failed=sum(outcome.failed for outcome in outcomes),
        warned=sum(outcome.warned for outcome in outcomes),
        failed_checks=list(dict.fromkeys(check for outcome in outcomes for check in outcome.failed_checks)),
        errors=[error for outcome in outcomes for error in outcome.errors],
        owners={asset: owner for outcome in outcomes for asset, owner in outcome.owners.items()},
    )


def _without_waiting_days(outcome: LoadOutcome) -> LoadOutcome:
    kept = [check for check in outcome.failed_checks if not check.endswith(_DAYS_WAIT)]
    waited = len(outcome.failed_checks) - len(kept)
    return replace(outcome, warned=outcome.warned - waited, failed_checks=kept)


def load(
    logs: Path,
    first: str,
    last: str,
    report: Callable[[list[StepProgress]], None],
    tell: Callable[[str], None],
    command: Sequence[str] = COMMAND,
    *,
    is_past: bool = False,
) -> LoadOutcome:
    """Run the nightly job over `first`..`last` in a child process, which ends when this one does.

    A range that `is_past` only lands in the lake and the raw tables: the run over the newest days builds the models.
    `report` is called with the steps as they move, `tell` with each run that a killed load left. What the child prints
    goes to `<logs>/run.log`. ChildError when it ends without an outcome.
    """
    said: dict[str, Any] = {}
    with Children(logs) as children:
        raise_received()
        child = children.start("run", [*command, first, last, *(["past"] if is_past else [])], piped=True)
        for line in child.process.stdout or ():
            said = json.loads(line)
            for run_id in said.get("ended", ()):
                tell(run_id)
            if "steps" in said:
                report([StepProgress(**step) for step in said["steps"]])
        code = child.process.wait()
    if "outcome" in said:
        return LoadOutcome(**said["outcome"])
    if "error" in said:
        raise ChildError(f"the load failed: {said['error']}; see {child.log}")
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    raise ChildError(f"the load {how}, see {child.log}; run `hotdash up` again, it continues where this ended")
