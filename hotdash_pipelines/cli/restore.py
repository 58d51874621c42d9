"""`hotdash restore`: a backup becomes the database again.

Belongs here: asking, refusing, printing. Does not belong here: the work (hotdash_pipelines.operations.restore.run*).
"""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.cli.output import (
    DryRun,
    Json,
    WrongUsage,
    Yes,
    ask,
    must_ask,
    note,
    refusals_in,
    refuse_production,
    say,
)

if TYPE_CHECKING:
    from hotdash_pipelines.operations.restore.run import Restored

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
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into a new database, prove it, and put it in the place of the present one.

    Until it is proven the present database is only read; then both are renamed in one step, and its sessions end.
    Exit codes: 0 done, 1 failed (everything is as it was), 2 wrong usage, 3 refused for safety.
    """
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.backup.files import is_id
    from hotdash_pipelines.operations.restore import run as operation
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    if backup_id != operation.LATEST and not is_id(backup_id):
        raise WrongUsage("that is no backup's id: `hotdash backup list` shows them")
    settings = get_settings()
    stores = Stores(settings)
    goes_on = yes or dry_run
    with refusals_in(as_json):
        if not goes_on:
            refuse_production("this is production (HOTDASH_ENVIRONMENT): look with --dry-run first, then give --yes")
        with started(settings) as url:
            run = partial(
                operation.restore,
                url,
                stores.backups(),
                backup_id,
                scratch=stores.scratch,
                key=stores.manifest_key,
                without_the_rest=without_the_rest,
                on_progress=note,
            )
            asks = must_ask(goes_on=goes_on or not replace, as_json=as_json)
            if dry_run or asks:
                plan = run(replace=True, dry_run=True)
                lines = _planned(plan)
                if dry_run:
                    say(asdict(plan), [*lines, *([] if replace or not plan.replaced else [_NEEDS])], as_json)
                    return
                say(None, lines)
                if plan.replaced:
                    ask("Restore it?", "nothing was changed")
            done = run(replace=replace, dry_run=False)
    say(asdict(done), _done(done), as_json)


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


def _done(done: "Restored") -> list[str]:
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
