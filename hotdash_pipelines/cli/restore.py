"""`hotdash restore`: a backup becomes the database again.

Belongs here: asking, refusing, printing. Does not belong here: the work (hotdash_pipelines.operations.restore.run*).
"""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.restore.run import Restored
    from hotdash_pipelines.settings import Settings

_NEEDS = "this needs --replace"


def restore(
    backup_id: Annotated[
        str, typer.Option("--backup-id", metavar="ID|latest", help="Which one; `latest` is the newest valid one.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a database that holds tables; it is kept beside.")
    ] = False,
    without_the_rest: Annotated[
        bool,
        typer.Option(
            "--without-the-rest",
            help="Leave raw tables, models and marts behind, where those are damaged: `hotdash up` builds them again.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed in production.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")
    ] = False,
) -> None:
    """Restore a backup into a new database, prove it, and put it in the place of the present one.

    Until it is proven the present database is only read; then both are renamed in one step, and its sessions end.
    Exit codes: 0 done, 1 failed (everything is as it was), 2 wrong usage, 3 refused for safety.
    """
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup.files import is_id
    from hotdash_pipelines.operations.restore.run import LATEST, RestoreRefused
    from hotdash_pipelines.settings import get_settings

    if backup_id != LATEST and not is_id(backup_id):
        print("hotdash: that is no backup's id: `hotdash backup list` shows them", file=sys.stderr)
        raise typer.Exit(2)
    settings = get_settings()
    if settings.stage == "prod" and not (yes or dry_run):
        _refuse("this is production (HOTDASH_ENVIRONMENT): look with --dry-run first, then give --yes", as_json)
    with started(settings) as url:
        run = _restorer(settings, url, backup_id, without_the_rest)
        try:
            asks = replace and not (yes or dry_run)
            if asks and (as_json or not sys.stdin.isatty()):
                _refuse("nobody can be asked here: look with --dry-run first, then give --yes", as_json)
            if dry_run or asks:
                plan = run(replace=True, dry_run=True)
                if dry_run:
                    _say(plan, [*_planned(plan), *([] if replace or not plan.replaced else [_NEEDS])], as_json)
                    return
                print("\n".join(_planned(plan)))
                if plan.replaced and not typer.confirm("Restore it?"):
                    print("nothing was changed")
                    raise typer.Exit(3)
            done = run(replace=replace, dry_run=False)
        except RestoreRefused as error:
            _refuse(str(error), as_json)
    _say(done, _told(done), as_json)


def _restorer(settings: "Settings", url: str, backup_id: str, without_the_rest: bool) -> Any:
    from hotdash_pipelines.operations.restore import run as operation
    from hotdash_pipelines.storage import open_store

    endpoint, key = settings.s3_endpoint_url, settings.manifest_key
    store = open_store(settings.backups, endpoint, "HOTDASH_BACKUP_URL")

    def run(*, replace: bool, dry_run: bool) -> "Restored":
        return operation.restore(
            url,
            store,
            backup_id,
            replace=replace,
            scratch=settings.home / "scratch",
            key=key.get_secret_value() if key else None,
            dry_run=dry_run,
            without_the_rest=without_the_rest,
            on_progress=lambda line: print(line, file=sys.stderr),
        )

    return run


def _planned(plan: "Restored") -> list[str]:
    lines = [f"backup {plan.backup_id}: {plan.rows:,} rows of {plan.tables} tables, into {plan.database}"]
    if plan.replaced:
        lines.append(f"its {plan.replaced} tables are kept in {plan.kept_as}")
    if plan.carried:
        lines.append(f"carried over from it as they are: {', '.join(plan.carried)}")
    if plan.sessions:
        lines.append(f"{plan.sessions} sessions will be ended; stop running jobs first")
    if plan.roles_made:
        lines.append(f"roles to be made, without passwords: {', '.join(plan.roles_made)}")
    return lines


def _told(done: "Restored") -> list[str]:
    lines = [
        f"restored {done.backup_id}: {done.rows:,} rows of {done.tables} tables, compared and proven; "
        f"{done.sessions} sessions were ended"
    ]
    if done.roles_made:
        lines.append(f"roles made, without passwords: {', '.join(done.roles_made)}")
    if done.migrated:
        lines.append(f"applied migrations that are newer than the backup: {', '.join(done.migrated)}")
    if done.erased_again:
        lines.append(f"done again: {done.erased_again} erasures that the backup did not know")
    if done.untried:
        lines.append(f"roles that this user may not become, so nobody read as them: {', '.join(done.untried)}")
    if done.kept_as:
        drop = f'drop database "{done.kept_as}"'
        lines.append(f"what was there before is kept in {done.kept_as}; when it is needed no more:")
        lines.append(f"  hotdash db psql -- -c '{drop}'")
    return lines


def _say(found: "Restored", lines: list[str], as_json: bool) -> None:
    print(json.dumps(asdict(found), sort_keys=True) if as_json else "\n".join(lines))


def _refuse(reason: str, as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps({"refused": reason}))
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(3)
