"""The SLAs of this installation: slas/*.yaml, read with the store's zone, ready to be observed.

Belongs here: settings and definitions brought together, which checks show them, and one turn of the evaluation.
Does not belong here: what an entry may say (sla.definitions.model), what Dagster knows (defs/sla), wording (alerts).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import cache

from hotdash_pipelines.settings import PROJECT_ROOT, Settings, get_settings
from hotdash_pipelines.sla import Definition, load_definitions, observe, watched
from hotdash_pipelines.sla.observers.facts import Facts, Wanted, wanted
from hotdash_pipelines.sla.records.heartbeat import EVALUATION_SECONDS
from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.sla.records.store import Applied, apply_tick, load_states

FOLDER = PROJECT_ROOT / "slas"


@cache
def promised() -> tuple[Definition, ...]:
    """Every SLA by name, read once. Raises SlaError naming file and entry."""
    return load_definitions(FOLDER, store_zone=get_settings().store_timezone)


def take_turn(
    settings: Settings,
    database_url: str,
    ask: Callable[[Wanted], Facts],
    upstream: Mapping[str, Collection[str]],
    impact: Mapping[str, Impact],
    now: datetime,
    run_of: Callable[[str], str | None] | None = None,
) -> Applied:
    """Look at everything that was promised, judge it and keep what comes of it.

    `ask` answers for Dagster, `run_of` names the run that a message about a dataset leads to.
    Raises SlaError and WarehouseError when the warehouse refuses or is away; then nothing has changed.
    """
    from hotdash_pipelines.services.sla_notices import notice_writer
    from hotdash_pipelines.warehouse.postgres import connect

    definitions = promised()
    with connect(database_url, autocommit=True) as conn:
        dues = watched(definitions, load_states(conn), now)
        facts = ask(wanted(definitions, dues, now))
        seen = observe(definitions, conn, dues, facts, now, project=settings.project, zone=settings.zone)
        return apply_tick(
            conn,
            definitions,
            seen,
            upstream,
            now,
            impact=impact,
            enqueue=notice_writer(settings, run_of),
            apart=timedelta(seconds=EVALUATION_SECONDS / 2),
        )
