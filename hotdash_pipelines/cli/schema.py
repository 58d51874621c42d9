"""`hotdash schema`: the warehouse's schema, its changes and its protection.

Belongs here: what is printed, and who is asked before production changes. Does not belong here: migrations
(warehouse.schema.migrate), what a rollback would lose (warehouse.schema.rollback), the lints (warehouse.access.lint).
"""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from hotdash_pipelines.base.errors import SafetyRefusal
from hotdash_pipelines.cli.db import warehouse
from hotdash_pipelines.cli.output import Env, Json, Yes, is_production, picked, refusals_in, say, somebody_answers

app = typer.Typer(help="The warehouse's schema: what it is, changing it, and the way back.", no_args_is_help=True)

_Script = Annotated[bool, typer.Option("--dry-run", help="Print the SQL that would run; change nothing.")]


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
        problems += check_database(warehouse())
    lines = [f"{problem.subject} {problem.message} [{problem.id}]" for problem in problems]
    if not problems:
        lines = [f"{len(migrations())} migrations are {'well formed' if files_only else 'well formed and applied'}"]
    document = {"ok": not problems, "problems": [picked(problem, "id", "subject", "message") for problem in problems]}
    say(document, lines, as_json)
    if problems:
        raise typer.Exit(1)


@app.command()
def migrate(dry_run: _Script = False, env: Env = None, yes: Yes = False, as_json: Json = False) -> None:
    """Apply what the database lacks, one transaction a file. Safe to repeat; `hotdash up` does it by itself."""
    from hotdash_pipelines.warehouse.schema import migrate as steps
    from hotdash_pipelines.warehouse.schema.script import upgrade_script

    url = warehouse()
    pending = steps.pending(url)
    if dry_run:
        script = upgrade_script(pending)
        document = {"dry_run": True, "pending": [migration.name for migration in pending], "sql": script}
        say(document, [script.rstrip("\n") or "-- the schema is up to date"], as_json)
        return
    if pending:
        _confirm(url, env, yes, f"apply {len(pending)} migrations to", as_json)
    applied = steps.migrate(url)
    lines = [f"applied {revision}" for revision in applied] or ["the schema is up to date"]
    say({"dry_run": False, "applied": applied}, lines, as_json)


@app.command()
def rollback(
    to: Annotated[str, typer.Option("--to", help="Newest migration to keep, such as 0004; `base` keeps none.")],
    dry_run: _Script = False,
    allow_data_loss: Annotated[
        bool, typer.Option("--allow-data-loss", help="Dump the rows that would go, prove the dump, then go on.")
    ] = False,
    env: Env = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Undo every migration after --to, in one transaction. Refused (exit code 3) while that would take rows with it."""
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.schema import migrate as steps
    from hotdash_pipelines.warehouse.schema.rollback import guarded_rollback, rehearse
    from hotdash_pipelines.warehouse.schema.script import downgrade_script

    url = warehouse()
    revision = None if to == "base" else to.partition("_")[0]
    undone = steps.to_undo(url, revision)
    if dry_run:
        losses = rehearse(url, revision)
        script = downgrade_script(undone)
        warning = "".join(
            f"-- takes {loss.rows} rows of {loss}: refused without --allow-data-loss\n" for loss in losses
        )
        rows = {str(loss): loss.rows for loss in losses}
        document = {"dry_run": True, "undone": [migration.name for migration in undone], "losses": rows, "sql": script}
        say(document, [(warning + script).rstrip("\n") or "-- nothing to undo"], as_json)
        return
    if undone:
        _confirm(url, env, yes, f"undo {len(undone)} migrations of", as_json)
    settings = get_settings()
    dumps = Stores(settings).rollback_dumps
    with refusals_in(as_json):
        done = guarded_rollback(url, revision, allow_data_loss=allow_data_loss, backups=dumps, now=settings.now())
    lines = [f"undid {gone}" for gone in done.revisions]
    if done.backup:
        lines.append(f"the rows of {', '.join(map(str, done.losses))} are in {done.backup}")
    say(
        {
            "dry_run": False,
            "undone": done.revisions,
            "losses": {str(loss): loss.rows for loss in done.losses},
            "backup": str(done.backup) if done.backup else None,
        },
        lines or ["nothing to undo"],
        as_json,
    )


@app.command()
def history(as_json: Json = False) -> None:
    """Every migration, and when this database got it."""
    from hotdash_pipelines.warehouse.migrations.files import migrations
    from hotdash_pipelines.warehouse.schema.migrate import applied_at

    applied = applied_at(warehouse())
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
    lines = [f"{row['applied_at'] or 'pending':25}  {row['name']}" for row in rows]
    say({"current": max(applied, default=None), "migrations": rows}, lines, as_json)


@app.command()
def lint(as_json: Json = False) -> None:
    """Find open doors: rights, policies, views and functions that let somebody see or do too much."""
    from hotdash_pipelines.warehouse.access import lint as rules
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(warehouse()) as conn:
        findings = rules.lint(conn)
    checked = len(rules.lints())
    lines = [f"{finding.problem} [{finding.id}]\n    {finding.remedy}" for finding in findings]
    document = {"ok": not findings, "lints": checked, "findings": [asdict(finding) for finding in findings]}
    say(document, [*lines, f"{checked} lints, {len(findings)} findings"], as_json)
    if findings:
        raise typer.Exit(1)


def _confirm(url: str, env: str | None, yes: bool, action: str, as_json: bool) -> None:
    """Ask before production changes: its name must be typed, and nobody at the keyboard means no."""
    from hotdash_pipelines.warehouse.postgres import describe

    if yes or not is_production(env):
        return
    where = describe(url)
    with refusals_in(as_json):
        if not somebody_answers():
            raise SafetyRefusal(f"{where} is production: pass --yes to {action} it")
        print(f"{where} is production. Type its name ({where}) to {action} it: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip() != where:
            raise SafetyRefusal("that is not its name: nothing was changed")
