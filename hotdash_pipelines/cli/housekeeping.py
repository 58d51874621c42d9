"""`hotdash housekeeping`: what may go, and letting it go.

Belongs here: opening what the sweep needs, printing. Does not belong here: what is old (operations.housekeeping,
run_history).
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.housekeeping import Swept

app = typer.Typer(
    help="Remove raw pages, quarantined pages, runs, dumps and results that are older than the settings say.",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]


@app.command()
def plan(as_json: _Json = False) -> None:
    """Say what is older than its limit, in counts and bytes; change nothing. Exit codes: 0 told, 1 a part failed."""
    _sweep(dry_run=True, as_json=as_json)


@app.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    as_json: _Json = False,
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
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.storage import open_store
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    lake = open_store(settings.lake, settings.s3_endpoint_url)
    backups = open_store(settings.backups, settings.s3_endpoint_url, "HOTDASH_BACKUP_URL")
    with started(settings) as url, connect(url, autocommit=True) as conn:
        swept = sweep(
            conn,
            settings.now(),
            settings,
            lake=lake,
            contracts=load_contracts(),
            project=settings.project,
            backups=backups,
            rollback_dumps=settings.home / "backups",
            history=partial(prune_instance, settings),
            dry_run=dry_run,
        )
    if as_json:
        print(json.dumps(swept.as_json()))
    else:
        _table(swept)
    for part in swept.failed:
        print(f"hotdash: {part.name}: {part.error}", file=sys.stderr)
    raise typer.Exit(1 if swept.failed else 0)


def _table(swept: "Swept") -> None:
    for part in swept.parts:
        limit = f"older than {part.before:%Y-%m-%d %H:%M} UTC" if part.before else "not yet beside the backups"
        told = "failed" if part.error else f"{part.items:>9,} {part.bytes:>15,} bytes"
        print(f"{part.name:17} {told}  {limit}")
    print(f"{'would remove' if swept.dry_run else 'removed'} {swept.bytes:,} bytes")
