"""`hotdash backup`: making, listing, verifying and pruning backups.

Belongs here: asking, refusing, printing. Does not belong here: the work (hotdash_pipelines.operations.backup.run*).
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import DryRun, Json, WrongUsage, Yes, ask, must_ask, note, picked, say

if TYPE_CHECKING:
    from hotdash_pipelines.operations.backup.files import ListedBackup, Scope
    from hotdash_pipelines.services.stores import Stores

app = typer.Typer(
    help="Backups of the warehouse. Exit codes: 0 done, 1 failed or damaged, 2 wrong usage, 3 refused for safety.",
    no_args_is_help=True,
)


@app.command()
def create(
    full: Annotated[bool, typer.Option("--full", help="The whole warehouse, not only the operational tables.")] = False,
    tables: Annotated[
        list[str] | None,
        typer.Option("--tables", help="Only tables named so, such as 'agent_*'. Repeat it; never the day's backup."),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Back up the operational tables: dump, prove the dump, publish it. Exit code 1 when that fails."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup.run import create_backup, plan_backup
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    if full and tables:
        raise WrongUsage("--full and --tables exclude each other")
    settings = get_settings()
    stores = Stores(settings)
    scope: Scope = "full" if full else "tables" if tables else "operational"
    store = stores.backups()
    with started(settings) as url:
        if dry_run:
            plan = plan_backup(url, scope, tables or ())
            planned = {"dry_run": True, "scope": scope, "tables": plan.tables, "bytes": plan.bytes}
            lines = [*plan.tables, f"would back up {len(plan.tables)} tables ({_size(plan.bytes)}) to {store.uri('')}"]
            say({**planned, "location": store.uri("")}, lines, as_json)
            return
        done = create_backup(
            url,
            store,
            now=settings.now(),
            scratch=stores.scratch,
            scope=scope,
            tables=tables or (),
            key=stores.manifest_key,
            on_progress=note,
        )
    manifest = done.manifest
    say(
        {
            "dry_run": False,
            "id": done.id,
            "scope": scope,
            "location": done.location,
            "tables": len(manifest.tables),
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "seconds": done.seconds,
        },
        [f"{done.id}  {manifest.rows:,} rows of {len(manifest.tables)} tables in {_size(manifest.bytes)}, verified"],
        as_json,
    )


@app.command("list")
def list_them(as_json: Json = False) -> None:
    """Every backup in the store, the newest first. Exit code 1 when one is broken. Needs no database."""
    from hotdash_pipelines.operations.backup.files import list_backups
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    stores = Stores(get_settings())
    store = stores.backups()
    backups = list_backups(store, stores.manifest_key)
    lines = [_line(backup) for backup in backups] or [f"no backup at {store.uri('')}"]
    say({"location": store.uri(""), "backups": [_as_json(backup) for backup in backups]}, lines, as_json)
    if any(backup.state == "broken" for backup in backups):
        raise typer.Exit(1)


@app.command()
def verify(
    backup_id: Annotated[str, typer.Argument(metavar="ID|latest", help="Which one; `latest` is the newest valid one.")],
    quick: Annotated[bool, typer.Option("--quick", help="Sizes and digests only.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Also restore it into a scratch database, compare, and drop that.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a backup whole and decode it to the last row. Exit code 1 when it is damaged or missing."""
    from hotdash_pipelines.operations.backup.files import BackupError, is_id, newest
    from hotdash_pipelines.operations.backup.verify import verify_decode, verify_quick
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    if quick and restore:
        raise WrongUsage("--quick and --restore exclude each other")
    if backup_id != "latest" and not is_id(backup_id):
        raise WrongUsage("that is no backup's id: `hotdash backup list` shows them")
    stores = Stores(get_settings())
    store, key = stores.backups(), stores.manifest_key
    level = "quick" if quick else "restore" if restore else "decode"
    try:
        if backup_id == "latest":
            backup_id = newest(store, key)
        manifest = (verify_quick if quick else verify_decode)(store, backup_id, key, note)
        if restore:
            _restore_test(stores, backup_id)
    except BackupError as error:
        say({"id": backup_id, "level": level, "ok": False, "reason": str(error)}, (), as_json)
        raise
    done = {"quick": "whole", "decode": "whole, and decodes", "restore": "whole, and restores to equal tables"}[level]
    say(
        {"id": backup_id, "level": level, "ok": True, "rows": manifest.rows, "bytes": manifest.bytes},
        [f"{backup_id}  is {done}: {manifest.rows:,} rows, {_size(manifest.bytes)}"],
        as_json,
    )


@app.command()
def prune(
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove all but the newest good backups (HOTDASH_BACKUP_KEEP). Exit code 3 when nobody can be asked."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup import prune as backup_prune
    from hotdash_pipelines.operations.backup.run import one_at_a_time
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    stores = Stores(settings)
    store, key, keep = stores.backups(), stores.manifest_key, settings.backup_keep
    plan = backup_prune.prune(store, keep, key=key, dry_run=True, now=settings.now())
    work = len(plan.removed) + len(plan.swept)
    if dry_run or not work:
        say(_pruned(plan, dry_run), [*plan.removed, *plan.swept, f"{work} to remove; {len(plan.kept)} stay"], as_json)
        return
    if must_ask(goes_on=yes, as_json=as_json):
        print(*plan.removed, *plan.swept, sep="\n")
        ask(f"Remove these {work} and free {_size(plan.bytes)}?")
    with started(settings) as url, connect(url, autocommit=True) as conn, one_at_a_time(conn):
        done = backup_prune.prune(store, keep, key=key, conn=conn, now=settings.now())
    say(
        _pruned(done, dry_run=False),
        [f"removed {len(done.removed) + len(done.swept)} ({_size(done.bytes)}); {len(done.kept)} stay"],
        as_json,
    )


def _restore_test(stores: "Stores", backup_id: str) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.restore.check import restore_test

    settings, key = stores.settings, stores.manifest_key
    with started(settings) as url:
        restore_test(
            url, stores.backups(), backup_id, now=settings.now(), scratch=stores.scratch, key=key, on_progress=note
        )


def _line(backup: "ListedBackup") -> str:
    manifest = backup.manifest
    if manifest is None:
        return f"{backup.id}  {backup.state:10}  {backup.reason or 'being made, or cut short'}"
    held = f"{manifest.rows:>12,} rows  {_size(manifest.bytes):>12}"
    return f"{backup.id}  {backup.state:10}  {manifest.scope:11}  {held}"


def _as_json(backup: "ListedBackup") -> dict[str, Any]:
    entry = picked(backup, "id", "state", "location", "reason")
    if backup.manifest:
        entry |= picked(backup.manifest, "scope", "started_at", "finished_at", "rows", "bytes", "schema_version")
    return entry


def _pruned(done: Any, dry_run: bool) -> dict[str, Any]:
    return {"dry_run": dry_run, **picked(done, "kept", "removed", "swept", "bytes")}


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
