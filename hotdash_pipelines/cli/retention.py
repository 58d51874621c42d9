"""`hotdash retention`: which rows are too old, taking them out, and the archives that keep them.

Belongs here: asking, refusing, printing. Does not belong here: the work (operations.retention).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import DryRun, Json, WrongUsage, Yes, ask, must_ask, note, picked, say

if TYPE_CHECKING:
    from hotdash_pipelines.operations.retention.archive_audit import Found
    from hotdash_pipelines.operations.retention.rules import Planned, RetentionPlan, RetentionRule
    from hotdash_pipelines.operations.retention.run import RetentionOutcome, RetentionPart
    from hotdash_pipelines.settings import Settings

app = typer.Typer(
    help="Rows of the support agent that are too old: archive, then delete. "
    "Exit codes: 0 done, 1 failed or damaged, 2 wrong usage, 3 refused for safety.",
    no_args_is_help=True,
)

_Table = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table; repeat it for more. Unset: all with a rule.")
]


@app.command()
def plan(table: _Table = None, as_json: Json = False) -> None:
    """Count the rows that are too old now, table by table. Changes nothing and needs no backup."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    with started(settings) as url:
        plan = _plan(settings, url, table)
    say(_plan_as_json(plan), _lines(plan), as_json)


@app.command()
def run(table: _Table = None, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Archive the rows that are too old, then delete them. Exit code 1 when that failed, 3 when it was refused.

    Needs a verified backup of this day (UTC); one that was never restored for a test is restored first. A row is in
    its table or in a verified archive at every instant: a run that was stopped is simply run again.
    """
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    asks = must_ask(goes_on=dry_run or yes, as_json=as_json)
    with started(settings) as url:
        plan = _plan(settings, url, table)
        if dry_run or not as_json:
            say({"dry_run": True, **_plan_as_json(plan)}, _lines(plan), as_json)
        if dry_run:
            return
        if asks and plan.rows:
            ask(f"Archive and delete {plan.rows:,} rows?", "nothing deleted")
        outcomes = _run(settings, url, plan)
    total = sum(part.rows for outcome in outcomes for part in outcome.parts)
    document = {"dry_run": False, "tables": [_outcome_as_json(outcome) for outcome in outcomes]}
    say(document, [f"archived and deleted {total:,} rows"], as_json)


@app.command()
def archives(as_json: Json = False) -> None:
    """Every archive, by its manifest and size. Exit code 1 when one is damaged, missing or left over."""
    _look(decode=False, as_json=as_json)


@app.command()
def verify(as_json: Json = False) -> None:
    """Read every archive whole and prove it by the digests of its record. Exit code 1 when something is wrong."""
    _look(decode=True, as_json=as_json)


@app.command()
def clean(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove archives that a stopped run left, where every row of them is still in its table."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.retention.archive_audit import clean as remove
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    stores = Stores(get_settings())
    with started(stores.settings) as url, connect(url, autocommit=True) as conn:
        gone = remove(conn, stores.archive(), scratch=stores.scratch, key=stores.manifest_key, dry_run=dry_run)
    lines = [archive.uri for archive in gone]
    lines.append(f"{'would remove' if dry_run else 'removed'} {len(gone)} archives that no run committed")
    say({"dry_run": dry_run, "removed": [_archive_as_json(archive) for archive in gone]}, lines, as_json)


def _plan(settings: "Settings", url: str, tables: Sequence[str] | None) -> "RetentionPlan":
    from hotdash_pipelines.operations.retention import rules as retention
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(url, autocommit=True) as conn:
        return retention.plan(conn, _rules(settings, tables), settings.now())


def _rules(settings: "Settings", tables: Sequence[str] | None) -> "list[RetentionRule]":
    from hotdash_pipelines.operations.retention.calendar import retained

    known = retained(settings)
    names = [rule.table for rule in known]
    unknown = sorted(set(tables or ()) - set(names))
    if unknown:
        raise WrongUsage(f"no rule for {', '.join(unknown)}; there are rules for {', '.join(names)}")
    return [rule for rule in known if not tables or rule.table in tables]


def _run(settings: "Settings", url: str, plan: "RetentionPlan") -> "list[RetentionOutcome]":
    from hotdash_pipelines.operations.retention.gate import standing_backup
    from hotdash_pipelines.operations.retention.run import run_table
    from hotdash_pipelines.services.stores import Stores

    stores, rules, backup_id = Stores(settings), [planned.rule for planned in plan.tables], None
    now, scratch, key = settings.now(), stores.scratch, stores.manifest_key
    if plan.rows:
        backups = stores.backups()
        backup_id = standing_backup(url, backups, rules, now=now, scratch=scratch, key=key, on_progress=note)
    return [
        run_table(
            url,
            stores.archive(),
            rule,
            now=now,
            scratch=scratch,
            backup_id=backup_id,
            key=key,
            on_progress=_note_part,
        )
        for rule in rules
    ]


def _look(*, decode: bool, as_json: bool) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.retention.archive_audit import look
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    stores = Stores(get_settings())
    store, progress = stores.archive(), note if decode else None
    with started(stores.settings) as url, connect(url, autocommit=True) as conn:
        archives = look(
            conn, store, scratch=stores.scratch, key=stores.manifest_key, decode=decode, on_progress=progress
        )
    lines = []
    for archive in archives:
        rows = "" if archive.rows is None else f"{archive.rows:,} rows"
        lines.append(f"{archive.state:10} {rows:>16}  {archive.uri}")
        lines += [f"{'':29}{archive.problem}"] if archive.problem else []
    lines.append(f"{len(archives)} archives at {store.uri('')}" if archives else f"no archive at {store.uri('')}")
    document = {"location": store.uri(""), "archives": [_archive_as_json(archive) for archive in archives]}
    say(document, lines, as_json)
    if any(archive.state != "kept" for archive in archives):
        raise typer.Exit(1)


def _lines(plan: "RetentionPlan") -> Iterator[str]:
    for planned in plan.tables:
        at = planned.cut_offs
        oldest = f"oldest of {planned.oldest:%Y-%m-%d}" if planned.oldest else ""
        exception = f", exceptions before {at.long:%Y-%m-%d}" if at.long else ""
        line = f"{planned.rule.table:26} {planned.rows:>10,}  before {at.normal:%Y-%m-%d}{exception}  {oldest}"
        yield line.rstrip()
    yield f"{plan.rows:,} rows are too old"


def _plan_as_json(plan: "RetentionPlan") -> dict[str, Any]:
    return {"rows": plan.rows, "tables": [_planned_as_json(planned) for planned in plan.tables]}


def _planned_as_json(planned: "Planned") -> dict[str, Any]:
    cutoffs = {"cutoff": planned.cut_offs.normal, "long_cutoff": planned.cut_offs.long}
    return {"table": planned.rule.table, "rows": planned.rows, **cutoffs, "oldest": planned.oldest}


def _outcome_as_json(outcome: "RetentionOutcome") -> dict[str, Any]:
    parts = [picked(part, "table", "uri", "rows", "sha256") for part in outcome.parts]
    return {**picked(outcome, "table", "cutoff", "rows"), "archives": parts}


def _archive_as_json(archive: "Found") -> dict[str, Any]:
    return picked(archive, "uri", "state", "table", "rows", "bytes", "sha256", "problem")


def _note_part(part: "RetentionPart") -> None:
    note(f"{part.table} part {part.part}: {part.rows:,} rows in {part.uri}")
