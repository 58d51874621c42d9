"""The load of `hotdash up`: one run over a range of partitions, in a child process.

Belongs here: which windows are due, waiting for the run over them, and what came of it.
Does not belong here: printing (cli.up), the run itself (nightly_run.py), what the job does (defs).
"""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.windows import current_day, days_ending
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.local.children import ChildError, Children, raise_received
from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    from hotdash_pipelines.storage import Store

COMMAND = (sys.executable, "-m", "hotdash_pipelines.local.nightly_run", "hotdash_pipelines.definitions")


@dataclass
class StepProgress:
    """One step of the run as the progress display shows it."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0


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
    may still change. It ends with the open day.
    """
    from hotdash_pipelines.lake.partition import partitions

    *wanted, today = days_ending(current_day(now, settings.zone), days + 1)
    first = max(contract.refetch_days for contract in contracts)
    oldest = wanted[-min(first, days)]
    for contract in contracts:
        if contract.semantics == "snapshot":
            continue
        held = set(partitions(store, contract, settings.project))
        missing = [key for key in wanted if key not in held or (contract.source, contract.stream, key) not in loaded]
        oldest = min([oldest, *missing])
    return oldest, today


def load(
    logs: Path,
    first: str,
    last: str,
    report: Callable[[list[StepProgress]], None],
    tell: Callable[[str], None],
    command: Sequence[str] = COMMAND,
) -> LoadOutcome:
    """Run the nightly job over `first`..`last` in a child process, which ends when this one does.

    `report` is called with the steps as they move, `tell` with each run that a killed load left. What the child prints
    goes to `<logs>/run.log`. ChildError when it ends without an outcome.
    """
    said: dict[str, Any] = {}
    with Children(logs) as children:
        raise_received()
        child = children.start("run", [*command, first, last], piped=True)
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
