"""`hotdash backup`: making, listing, verifying and pruning backups.

Belongs here: asking, refusing, printing. Does not belong here: the work (hotdash_pipelines.operations.backup.run*).
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.backup.files import ListedBackup, Scope
    from hotdash_pipelines.settings import Settings
    from hotdash_pipelines.storage import Store

app = typer.Typer(
    help="Backups of the warehouse. Exit codes: 0 done, 1 failed or damaged, 2 wrong usage, 3 refused for safety.",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


@app.command()
def create(
    full: Annotated[bool, typer.Option("--full", help="The whole warehouse, not only the operational tables.")] = False,
    tables: Annotated[
        list[str] | None,
        typer.Option("--tables", help="Only tables named so, such as 'agent_*'. Repeat it; never the day's backup."),
    ] = None,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Back up the operational tables: dump, prove the dump, publish it. Exit code 1 when that fails."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup.run import create_backup, plan_backup
    from hotdash_pipelines.settings import get_settings

    if full and tables:
        _usage("--full and --tables exclude each other")
    settings = get_settings()
    scope: Scope = "full" if full else "tables" if tables else "operational"
    store = _store(settings)
    with started(settings) as url:
        if dry_run:
            plan = plan_backup(url, scope, tables or ())
            found = {"dry_run": True, "scope": scope, "tables": plan.tables, "bytes": plan.bytes}
            lines = [*plan.tables, f"would back up {len(plan.tables)} tables ({_size(plan.bytes)}) to {store.uri('')}"]
            _say({**found, "location": store.uri("")}, lines, as_json)
            return
        done = create_backup(
            url,
            store,
            now=settings.now(),
            scratch=settings.home / "scratch",
            scope=scope,
            tables=tables or (),
            key=_key(settings),
            on_progress=_progress,
        )
    manifest = done.manifest
    _say(
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
def list_them(as_json: _Json = False) -> None:
    """Every backup in the store, the newest first. Exit code 1 when one is broken. Needs no database."""
    from hotdash_pipelines.operations.backup.files import list_backups
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    store = _store(settings)
    listed = list_backups(store, _key(settings))
    lines = [_line(one) for one in listed] or [f"no backup at {store.uri('')}"]
    _say({"location": store.uri(""), "backups": [_as_json(one) for one in listed]}, lines, as_json)
    if any(one.state == "broken" for one in listed):
        raise typer.Exit(1)


@app.command()
def verify(
    backup_id: Annotated[str, typer.Argument(metavar="ID|latest", help="Which one; `latest` is the newest valid one.")],
    quick: Annotated[bool, typer.Option("--quick", help="Sizes and digests only.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Also restore it into a scratch database, compare, and drop that.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Read a backup whole and decode it to the last row. Exit code 1 when it is damaged or missing."""
    from hotdash_pipelines.operations.backup.files import BackupError, is_id, newest
    from hotdash_pipelines.operations.backup.verify import verify_decode, verify_quick
    from hotdash_pipelines.settings import get_settings

    if quick and restore:
        _usage("--quick and --restore exclude each other")
    if backup_id != "latest" and not is_id(backup_id):
        _usage("that is no backup's id: `hotdash backup list` shows them")
    settings = get_settings()
    store, key = _store(settings), _key(settings)
    level = "quick" if quick else "restore" if restore else "decode"
    try:
        if backup_id == "latest":
            backup_id = newest(store, key)
        manifest = (verify_quick if quick else verify_decode)(store, backup_id, key, _progress)
        if restore:
            _restore_test(settings, store, backup_id)
    except BackupError as error:
        if as_json:
            print(json.dumps({"id": backup_id, "level": level, "ok": False, "reason": str(error)}))
        raise
    done = {"quick": "whole", "decode": "whole, and decodes", "restore": "whole, and restores to equal tables"}[level]
    _say(
        {"id": backup_id, "level": level, "ok": True, "rows": manifest.rows, "bytes": manifest.bytes},
        [f"{backup_id}  is {done}: {manifest.rows:,} rows, {_size(manifest.bytes)}"],
        as_json,
    )


@app.command()
def prune(
    dry_run: _DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    as_json: _Json = False,
) -> None:
    """Remove all but the newest good backups (HOTDASH_BACKUP_KEEP). Exit code 3 when nobody can be asked."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup import prune as backup_prune
    from hotdash_pipelines.operations.backup.run import one_at_a_time
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    store, key, keep = _store(settings), _key(settings), settings.backup_keep
    plan = backup_prune.prune(store, keep, key=key, dry_run=True, now=settings.now())
    work = len(plan.removed) + len(plan.swept)
    if dry_run or not work:
        _say(_pruned(plan, dry_run), [*plan.removed, *plan.swept, f"{work} to remove; {len(plan.kept)} stay"], as_json)
        return
    if not yes:
        if as_json or not sys.stdin.isatty():
            _refuse("nobody can be asked here: look with --dry-run first, then give --yes")
        print("\n".join([*plan.removed, *plan.swept]))
        if not typer.confirm(f"Remove these {work} and free {_size(plan.bytes)}?"):
            raise typer.Exit(3)
    with started(settings) as url, connect(url, autocommit=True) as conn, one_at_a_time(conn):
        done = backup_prune.prune(store, keep, key=key, conn=conn, now=settings.now())
    _say(
        _pruned(done, dry_run=False),
        [f"removed {len(done.removed) + len(done.swept)} ({_size(done.bytes)}); {len(done.kept)} stay"],
        as_json,
    )


def _restore_test(settings: "Settings", store: "Store", backup_id: str) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.restore.check import restore_test

    with started(settings) as url:
        restore_test(
            url,
            store,
            backup_id,
            now=settings.now(),
            scratch=settings.home / "scratch",
            key=_key(settings),
            on_progress=_progress,
        )


def _store(settings: "Settings") -> "Store":
    from hotdash_pipelines.storage import open_store

    return open_store(settings.backups, settings.s3_endpoint_url, "HOTDASH_BACKUP_URL")


def _key(settings: "Settings") -> str | None:
    return settings.manifest_key.get_secret_value() if settings.manifest_key else None


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _line(one: "ListedBackup") -> str:
    if one.manifest is None:
        return f"{one.id}  {one.state:10}  {one.reason or 'being made, or cut short'}"
    held = f"{one.manifest.rows:>12,} rows  {_size(one.manifest.bytes):>12}"
    return f"{one.id}  {one.state:10}  {one.manifest.scope:11}  {held}"


def _as_json(one: "ListedBackup") -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.id, "state": one.state, "location": one.location, "reason": one.reason}
    manifest = one.manifest
    if manifest:
        found |= {
            "scope": manifest.scope,
            "started_at": manifest.started_at.isoformat(),
            "finished_at": manifest.finished_at.isoformat(),
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "schema_version": manifest.schema_version,
        }
    return found


def _pruned(done: Any, dry_run: bool) -> dict[str, Any]:
    return {"dry_run": dry_run, "kept": done.kept, "removed": done.removed, "swept": done.swept, "bytes": done.bytes}


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _say(found: dict[str, Any], lines: list[str], as_json: bool) -> None:
    print(json.dumps(found) if as_json else "\n".join(lines))


def _usage(reason: str) -> NoReturn:
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(2)


def _refuse(reason: str) -> NoReturn:
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(3)
