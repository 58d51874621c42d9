"""How far back the instance below `HOTDASH_HOME` remembers.

Belongs here: finding that instance and having its old runs pruned. Does not belong here: which runs go
(orchestration/run_history.py).
"""

import os
from datetime import datetime
from pathlib import Path

from hotdash_pipelines.local.instance import prepare_instance
from hotdash_pipelines.orchestration.run_history import PrunedRuns, one_line_errors, prune_runs
from hotdash_pipelines.settings import Settings


@one_line_errors()
def prune_instance(settings: Settings, before: datetime, *, dry_run: bool = False) -> PrunedRuns | None:
    """As `prune_runs`, on the instance of this installation; None too when it has none yet."""
    from dagster import DagsterInstance

    from hotdash_pipelines.services.connections import warehouse_url

    if not (Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster") / "dagster.yaml").exists():
        return None
    prepare_instance(settings, warehouse_url(settings))
    with DagsterInstance.get() as instance:
        return prune_runs(instance, before, dry_run=dry_run)
