"""`hotdash housekeeping`: what may go, and letting it go.

Belongs here: opening what the sweep needs, printing. Does not belong here: what is old (operations.housekeeping,
run_history).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hotdash_pipelines.cli.output import DryRun, Json, note, say

if TYPE_CHECKING:
    from hotdash_pipelines.operations.housekeeping import Swept

app = typer.Typer(
    help="Remove raw pages, quarantined pages, runs, dumps and results that are older than the settings say.",
    no_args_is_help=True,
)


@app.command()
def plan(as_json: Json = False) -> None:
    """Say what is older than its limit, in counts and bytes; change nothing. Exit codes: 0 told, 1 a part failed."""
    _sweep(dry_run=True, as_json=as_json)


@app.command()
def run(
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove what is older than its limit. Running it again removes nothing more. Exit codes: 0 done, 1 a part failed.

    Never removed: the Parquet files of the lake, backups, dead alerts, unfinished runs, and the newest materialisation
    of a partition. A part that fails does not stop the others.
    """
    _sweep(dry_run=dry_run, as_json=as_json)


def _sweep(*, dry_run: bool, as_json: bool) -> None:
    from functools import partial

    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.local.history import prune_instance
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.housekeeping import sweep
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    stores = Stores(settings)
    lake, backups = stores.lake(), stores.backups()
    with started(settings) as url, connect(url, autocommit=True) as conn:
        swept = sweep(
            conn,
            settings.now(),
            settings,
            lake=lake,
            contracts=load_contracts(),
            project=settings.project,
            backups=backups,
            rollback_dumps=stores.rollback_dumps,
            history=partial(prune_instance, settings),
            dry_run=dry_run,
        )
    say(swept.as_json(), _lines(swept), as_json)
    for part in swept.failed:
        note(f"hotdash: {part.name}: {part.error}")
    raise typer.Exit(1 if swept.failed else 0)


def _lines(swept: "Swept") -> Iterator[str]:
    for part in swept.parts:
        limit = f"older than {part.before:%Y-%m-%d %H:%M} UTC" if part.before else "not yet beside the backups"
        removed = "failed" if part.error else f"{part.items:>9,} {part.bytes:>15,} bytes"
        yield f"{part.name:17} {removed}  {limit}"
    yield f"{'would remove' if swept.dry_run else 'removed'} {swept.bytes:,} bytes"
