"""`hotdash agent`: rows for the support agent's tables, and their removal.

Belongs here: asking, refusing, printing. Does not belong here: the rows (hotdash_pipelines.operations).
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.agent.cleanup import Marked

app = typer.Typer(help="The support agent's tables: fill them to try things out, clean up again.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@app.command()
def seed(
    dry_run: _DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Needed in production.")] = False,
    as_json: _Json = False,
) -> None:
    """Write 36 made-up approvals, drafts and queries of the last two days, once: repeating it adds nothing."""
    from hotdash_pipelines.agent.seed import seed as write
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect, describe

    settings = get_settings()
    if settings.stage == "prod" and not (yes or dry_run):
        _refuse("this is production (HOTDASH_ENVIRONMENT): made-up rows belong elsewhere, or give --yes")
    with started(settings) as url, connect(url, autocommit=True) as conn:
        done = write(conn, settings.now(), dry_run=dry_run)
        where = describe(url)
    if as_json:
        print(json.dumps({"dry_run": dry_run, "rows": done.rows, "total": done.total, "already_there": done.there}))
    elif done.there:
        print(f"nothing written: {done.there} seeded rows are there already; `hotdash agent cleanup` removes them")
    else:
        _table(done.rows)
        print(f"{'would write' if dry_run else 'wrote'} {done.total} rows at {where}")


@app.command()
def cleanup(
    dry_run: _DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: _Json = False,
) -> None:
    """Remove what `seed` and the demo wrote, and only that, in one transaction. Audit rows stay."""
    from hotdash_pipelines.agent import cleanup as agent_cleanup
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect, describe

    asks = not (dry_run or yes)
    if asks and (as_json or not _somebody_answers()):
        _refuse("nobody can be asked here: look with --dry-run first, then give --yes")
    with started(get_settings()) as url, connect(url, autocommit=True) as conn:
        found = agent_cleanup.count(conn)
        if not as_json:
            _table(found.removable)
            print(f"{found.total:,} marked rows at {describe(url)}; {_kept(found)}")
        if asks and found.total and not typer.confirm("Remove them?"):
            print("nothing removed")
            raise typer.Exit(3)
        removes = not dry_run and found.total
        removed = agent_cleanup.remove(conn) if removes else None
    if as_json:
        print(json.dumps({"dry_run": dry_run, **_as_json(removed or found, removed is not None)}))
    elif removed:
        print(f"removed {removed.total:,} rows")
    else:
        print("nothing removed")


@app.command()
def simulate(
    days: Annotated[int, typer.Option(help="How many past days to have.", min=1, max=90)] = 14,
    as_json: _Json = False,
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
        _refuse("credentials are set, so this is a real store's warehouse: simulated activity belongs to the demo only")
    now = settings.now()
    with started(settings) as url:
        wanted = days_ending(last_complete_day(now, settings.zone), days)
        done = write_days(url, read_from(base_url), wanted, settings.project, now)
    if as_json:
        outcome = {"written": done.days, "before": done.before, "empty": done.empty, "not_over": done.not_over}
        print(json.dumps({**outcome, "rows": done.rows, "total": done.total}))
    else:
        if done.total:
            _table(done.rows)
        print(done.describe())


def _somebody_answers() -> bool:
    return sys.stdin.isatty()


def _refuse(reason: str) -> NoReturn:
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(3)


def _table(rows: dict[str, int]) -> None:
    for table, count in rows.items():
        print(f"{table:26} {count:>8,}")


def _kept(found: "Marked") -> str:
    audit = sum(found.kept.values())
    return f"{audit:,} audit rows ({', '.join(found.kept)}) stay: nobody may change those"


def _as_json(found: "Marked", is_done: bool) -> dict[str, Any]:
    removed = found.removable if is_done else dict.fromkeys(found.removable, 0)
    return {"marked": found.removable, "removed": removed, "kept": found.kept}
