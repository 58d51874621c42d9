"""`hotdash schema`: the warehouse's schema, its changes and its protection.

Belongs here: what is printed, and who is asked before production changes. Does not belong here: migrations
(warehouse.schema.migrate), what a rollback would lose (warehouse.schema.rollback), the lints (warehouse.access.lint).
"""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

app = typer.Typer(help="The warehouse's schema: what it is, changing it, and the way back.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Env = Annotated[str | None, typer.Option("--env", help="The environment you mean; `prod` asks before it changes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Go on in production without being asked.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL that would run; change nothing.")]


@app.command()
def validate(
    files_only: Annotated[bool, typer.Option("--files-only", help="Look at no database.")] = False,
    as_json: Json = False,
) -> None:
    """Whether files and database agree. Exit code 1 when they do not, or when a migration is pending."""
    from hotdash_pipelines.warehouse.migrations.files import migrations
    from hotdash_pipelines.warehouse.schema.checks import check_database, check_files

    problems = check_files()
    # Without its way back a migration has no checksum to compare.
    if not files_only and not any(problem.id == "file-missing" for problem in problems):
        problems += check_database(_warehouse_url())
    if as_json:
        found = [{"id": problem.id, "subject": problem.subject, "message": problem.message} for problem in problems]
        print(json.dumps({"ok": not problems, "problems": found}, sort_keys=True))
    elif problems:
        print("\n".join(f"{problem.subject} {problem.message} [{problem.id}]" for problem in problems))
    else:
        where = "well formed" if files_only else "well formed and applied"
        print(f"{len(migrations())} migrations are {where}")
    if problems:
        raise typer.Exit(1)


@app.command()
def migrate(dry_run: DryRun = False, env: Env = None, yes: Yes = False, as_json: Json = False) -> None:
    """Apply what the database lacks, one transaction a file. Safe to repeat; `hotdash up` does it by itself."""
    from hotdash_pipelines.warehouse.schema import migrate as steps
    from hotdash_pipelines.warehouse.schema.script import upgrade_script

    url = _warehouse_url()
    pending = steps.pending(url)
    if dry_run:
        script = upgrade_script(pending)
        waiting = [migration.name for migration in pending]
        _say({"dry_run": True, "pending": waiting, "sql": script}, script or "-- the schema is up to date", as_json)
        return
    if pending:
        _confirm(url, env, yes, f"apply {len(pending)} migrations to", as_json)
    applied = steps.migrate(url)
    text = "\n".join(f"applied {revision}" for revision in applied) or "the schema is up to date"
    _say({"dry_run": False, "applied": applied}, text, as_json)


@app.command()
def rollback(
    to: Annotated[str, typer.Option("--to", help="Newest migration to keep, such as 0004; `base` keeps none.")],
    dry_run: DryRun = False,
    allow_data_loss: Annotated[
        bool, typer.Option("--allow-data-loss", help="Dump the rows that would go, prove the dump, then go on.")
    ] = False,
    env: Env = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Undo every migration after --to, in one transaction. Refused (exit code 3) while that would take rows with it."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.schema import migrate as steps
    from hotdash_pipelines.warehouse.schema.rollback import RollbackRefused, guarded_rollback, rehearse
    from hotdash_pipelines.warehouse.schema.script import downgrade_script

    url = _warehouse_url()
    revision = None if to == "base" else to.partition("_")[0]
    undone = steps.to_undo(url, revision)
    if dry_run:
        losses = rehearse(url, revision)
        script = downgrade_script(undone)
        warning = "".join(
            f"-- takes {loss.rows} rows of {loss}: refused without --allow-data-loss\n" for loss in losses
        )
        rows = {str(loss): loss.rows for loss in losses}
        found = {"dry_run": True, "undone": [migration.name for migration in undone], "losses": rows, "sql": script}
        _say(found, warning + script or "-- nothing to undo", as_json)
        return
    if undone:
        _confirm(url, env, yes, f"undo {len(undone)} migrations of", as_json)
    settings = get_settings()
    try:
        done = guarded_rollback(
            url, revision, allow_data_loss=allow_data_loss, backups=settings.home / "backups", now=settings.now()
        )
    except RollbackRefused as error:
        raise _refused(str(error), as_json) from error
    lines = [f"undid {gone}" for gone in done.revisions]
    if done.backup:
        lines.append(f"the rows of {', '.join(map(str, done.losses))} are in {done.backup}")
    _say(
        {
            "dry_run": False,
            "undone": done.revisions,
            "losses": {str(loss): loss.rows for loss in done.losses},
            "backup": str(done.backup) if done.backup else None,
        },
        "\n".join(lines) or "nothing to undo",
        as_json,
    )


@app.command()
def history(as_json: Json = False) -> None:
    """Every migration, and when this database got it."""
    from hotdash_pipelines.warehouse.migrations.files import migrations
    from hotdash_pipelines.warehouse.schema.migrate import applied_at

    applied = applied_at(_warehouse_url())
    names = {migration.revision: migration.name for migration in migrations()}
    names |= {revision: name for revision, (name, _) in applied.items()}
    rows = [
        {
            "revision": revision,
            "name": name,
            "applied_at": applied[revision][1].isoformat(timespec="seconds") if revision in applied else None,
        }
        for revision, name in sorted(names.items())
    ]
    if as_json:
        print(json.dumps({"current": max(applied, default=None), "migrations": rows}, sort_keys=True))
        return
    for row in rows:
        print(f"{row['applied_at'] or 'pending':25}  {row['name']}")


@app.command()
def lint(as_json: Json = False) -> None:
    """Find open doors: rights, policies, views and functions that let somebody see or do too much."""
    from hotdash_pipelines.warehouse.access import lint as rules
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(_warehouse_url()) as conn:
        findings = rules.lint(conn)
    checked = len(rules.lints())
    if as_json:
        shown = [asdict(finding) for finding in findings]
        print(json.dumps({"ok": not findings, "lints": checked, "findings": shown}, sort_keys=True))
    else:
        for finding in findings:
            print(f"{finding.problem} [{finding.id}]\n    {finding.remedy}")
        print(f"{checked} lints, {len(findings)} findings")
    if findings:
        raise typer.Exit(1)


def _say(found: dict[str, Any], text: str, as_json: bool) -> None:
    print(json.dumps(found, sort_keys=True) if as_json else text.rstrip("\n"))


def _refused(reason: str, as_json: bool) -> typer.Exit:
    if as_json:
        print(json.dumps({"refused": reason}))
    print(f"hotdash: {reason}", file=sys.stderr)
    return typer.Exit(3)


def _confirm(url: str, env: str | None, yes: bool, action: str, as_json: bool) -> None:
    """Ask before production changes: its name must be typed, and nobody at the keyboard means no."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import describe

    if yes or "prod" not in (env, get_settings().stage):
        return
    where = describe(url)
    if not _somebody_types():
        raise _refused(f"{where} is production: pass --yes to {action} it", as_json)
    print(f"{where} is production. Type its name ({where}) to {action} it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != where:
        raise _refused("that is not its name: nothing was changed", as_json)


def _somebody_types() -> bool:
    return sys.stdin.isatty()


def _warehouse_url() -> str:
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import database_url

    settings = get_settings()
    secret = settings.database_url
    return database_url(secret.get_secret_value() if secret else None, settings.home)
