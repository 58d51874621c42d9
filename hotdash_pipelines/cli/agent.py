"""`hotdash agent`: rows for the support agent's tables, and their removal.

Belongs here: asking, refusing, printing. Does not belong here: the rows (hotdash_pipelines.operations).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.base.errors import SafetyRefusal
from hotdash_pipelines.cli.output import DryRun, Json, Yes, ask, counts, must_ask, refuse_production, say

if TYPE_CHECKING:
    from hotdash_pipelines.agent.cleanup import Marked

app = typer.Typer(help="The support agent's tables: fill them to try things out, clean up again.", no_args_is_help=True)


@app.command()
def seed(
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write 36 made-up approvals, drafts and queries of the last two days, once: repeating it adds nothing."""
    from hotdash_pipelines.agent.seed import seed as write
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect, describe

    settings = get_settings()
    if not (yes or dry_run):
        refuse_production("this is production (HOTDASH_ENVIRONMENT): made-up rows belong elsewhere, or give --yes")
    with started(settings) as url, connect(url, autocommit=True) as conn:
        done = write(conn, settings.now(), dry_run=dry_run)
        where = describe(url)
    lines = [*counts(done.rows), f"{'would write' if dry_run else 'wrote'} {done.total} rows at {where}"]
    if done.there:
        lines = [f"nothing written: {done.there} seeded rows are there already; `hotdash agent cleanup` removes them"]
    say({"dry_run": dry_run, "rows": done.rows, "total": done.total, "already_there": done.there}, lines, as_json)


@app.command()
def cleanup(
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove what `seed` and the demo wrote, and only that, in one transaction. Audit rows stay."""
    from hotdash_pipelines.agent import cleanup as agent_cleanup
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect, describe

    asks = must_ask(goes_on=dry_run or yes, as_json=as_json)
    with started(get_settings()) as url, connect(url, autocommit=True) as conn:
        marked = agent_cleanup.count(conn)
        if not as_json:
            say(None, [*counts(marked.removable), f"{marked.total:,} marked rows at {describe(url)}; {_kept(marked)}"])
        if asks and marked.total:
            ask("Remove them?", "nothing removed")
        removed = agent_cleanup.remove(conn) if marked.total and not dry_run else None
    done = f"removed {removed.total:,} rows" if removed else "nothing removed"
    say({"dry_run": dry_run, **_as_json(removed or marked, removed is not None)}, [done], as_json)


@app.command()
def simulate(
    days: Annotated[int, typer.Option(help="How many past days to have.", min=1, max=90)] = 14,
    as_json: Json = False,
) -> None:
    """Write the demo's agent activity of the last days that were never written. Needs the running stand-in store.

    `hotdash up` does this by itself, and so does the night.
    """
    from hotdash_pipelines.agent.activity import read_from, write_days
    from hotdash_pipelines.base.windows import days_ending, last_complete_day
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    base_url = settings.demo_url()
    if base_url is None:
        raise SafetyRefusal(
            "credentials are set, so this is a real store's warehouse: simulated activity belongs to the demo only"
        )
    now = settings.now()
    with started(settings) as url:
        wanted = days_ending(last_complete_day(now, settings.zone), days)
        done = write_days(url, read_from(base_url), wanted, settings.project, now)
    outcome = {"written": done.days, "before": done.before, "empty": done.empty, "not_over": done.not_over}
    lines = [*(counts(done.rows) if done.total else ()), done.describe()]
    say({**outcome, "rows": done.rows, "total": done.total}, lines, as_json)


def _kept(marked: "Marked") -> str:
    audit = sum(marked.kept.values())
    return f"{audit:,} audit rows ({', '.join(marked.kept)}) stay: nobody may change those"


def _as_json(marked: "Marked", is_done: bool) -> dict[str, Any]:
    removed = marked.removable if is_done else dict.fromkeys(marked.removable, 0)
    return {"marked": marked.removable, "removed": removed, "kept": marked.kept}
