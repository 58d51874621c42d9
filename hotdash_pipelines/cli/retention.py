"""`hotdash retention`: which rows are too old, taking them out, and the archives that keep them.

Belongs here: asking, refusing, printing. Does not belong here: the work (operations.retention).
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.retention.archive_audit import Found
    from hotdash_pipelines.operations.retention.rules import Planned, RetentionPlan, RetentionRule
    from hotdash_pipelines.operations.retention.run import RetentionOutcome, RetentionPart
    from hotdash_pipelines.settings import Settings
    from hotdash_pipelines.storage import Store

app = typer.Typer(
    help="Rows of the support agent that are too old: archive, then delete. "
    "Exit codes: 0 done, 1 failed or damaged, 2 wrong usage, 3 refused for safety.",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
_Table = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table; repeat it for more. Unset: all with a rule.")
]


@app.command()
def plan(table: _Table = None, as_json: _Json = False) -> None:
    """Count the rows that are too old now, table by table. Changes nothing and needs no backup."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    with started(settings) as url:
        _show(_planned(settings, url, table), as_json)


@app.command()
def run(table: _Table = None, dry_run: _DryRun = False, yes: _Yes = False, as_json: _Json = False) -> None:
    """Archive the rows that are too old, then delete them. Exit code 1 when that failed, 3 when it was refused.

    Needs a verified backup of this day (UTC); one that was never restored for a test is restored first. A row is in
    its table or in a verified archive at every instant: a run that was stopped is simply run again.
    """
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.retention.rules import RetentionRefused
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    if not (dry_run or yes) and (as_json or not sys.stdin.isatty()):
        _refuse("nobody can be asked here: look with --dry-run first, then give --yes")
    with started(settings) as url:
        found = _planned(settings, url, table)
        if dry_run or not as_json:
            _show(found, as_json, dry_run=True)
        if dry_run:
            return
        if found.rows and not yes and not typer.confirm(f"Archive and delete {found.rows:,} rows?"):
            print("nothing deleted")
            raise typer.Exit(3)
        try:
            outcomes = _run(settings, url, found)
        except RetentionRefused as error:
            _refuse(str(error))
    if as_json:
        print(json.dumps({"dry_run": False, "tables": [_outcome_as_json(outcome) for outcome in outcomes]}))
    else:
        total = sum(part.rows for outcome in outcomes for part in outcome.parts)
        print(f"archived and deleted {total:,} rows")


@app.command()
def archives(as_json: _Json = False) -> None:
    """Every archive, by its manifest and size. Exit code 1 when one is damaged, missing or left over."""
    _look(decode=False, as_json=as_json)


@app.command()
def verify(as_json: _Json = False) -> None:
    """Read every archive whole and prove it by the digests of its record. Exit code 1 when something is wrong."""
    _look(decode=True, as_json=as_json)


@app.command()
def clean(dry_run: _DryRun = False, as_json: _Json = False) -> None:
    """Remove archives that a stopped run left, where every row of them is still in its table."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.retention.archive_audit import clean as remove
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    with started(settings) as url, connect(url, autocommit=True) as conn:
        gone = remove(conn, _store(settings), scratch=settings.home / "scratch", key=_key(settings), dry_run=dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, "removed": [_found_as_json(found) for found in gone]}))
    else:
        for found in gone:
            print(found.uri)
        print(f"{'would remove' if dry_run else 'removed'} {len(gone)} archives that no run committed")


def _planned(settings: "Settings", url: str, tables: Sequence[str] | None) -> "RetentionPlan":
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
        print(f"hotdash: no rule for {', '.join(unknown)}; there are rules for {', '.join(names)}", file=sys.stderr)
        raise typer.Exit(2)
    return [rule for rule in known if not tables or rule.table in tables]


def _run(settings: "Settings", url: str, found: "RetentionPlan") -> "list[RetentionOutcome]":
    from hotdash_pipelines.operations.retention.gate import standing_backup
    from hotdash_pipelines.operations.retention.run import run_table
    from hotdash_pipelines.storage import open_store

    now, scratch, key = settings.now(), settings.home / "scratch", _key(settings)
    backup_id = None
    if found.rows:
        backups = open_store(settings.backups, settings.s3_endpoint_url, "HOTDASH_BACKUP_URL")
        among = [planned.rule for planned in found.tables]
        backup_id = standing_backup(url, backups, among, now=now, scratch=scratch, key=key, on_progress=_progress)
    return [
        run_table(
            url,
            _store(settings),
            planned.rule,
            now=now,
            scratch=scratch,
            backup_id=backup_id,
            key=key,
            on_progress=_tell,
        )
        for planned in found.tables
    ]


def _look(*, decode: bool, as_json: bool) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.retention.archive_audit import look
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    store = _store(settings)
    with started(settings) as url, connect(url, autocommit=True) as conn:
        found = look(
            conn,
            store,
            scratch=settings.home / "scratch",
            key=_key(settings),
            decode=decode,
            on_progress=_progress if decode else None,
        )
    if as_json:
        print(json.dumps({"location": store.uri(""), "archives": [_found_as_json(one) for one in found]}))
    else:
        for one in found:
            rows = "" if one.rows is None else f"{one.rows:,} rows"
            print(f"{one.state:10} {rows:>16}  {one.uri}" + (f"\n{'':29}{one.problem}" if one.problem else ""))
        print(f"{len(found)} archives at {store.uri('')}" if found else f"no archive at {store.uri('')}")
    if any(one.state != "kept" for one in found):
        raise typer.Exit(1)


def _show(found: "RetentionPlan", as_json: bool, dry_run: bool | None = None) -> None:
    if as_json:
        more = {} if dry_run is None else {"dry_run": dry_run}
        print(json.dumps({**more, "rows": found.rows, "tables": [_planned_as_json(one) for one in found.tables]}))
        return
    for one in found.tables:
        oldest = f"oldest of {one.oldest:%Y-%m-%d}" if one.oldest else ""
        exception = f", exceptions before {one.cut_offs.long:%Y-%m-%d}" if one.cut_offs.long else ""
        print(
            f"{one.rule.table:26} {one.rows:>10,}  before {one.cut_offs.normal:%Y-%m-%d}{exception}  {oldest}".rstrip()
        )
    print(f"{found.rows:,} rows are too old")


def _planned_as_json(one: "Planned") -> dict[str, Any]:
    at = one.cut_offs
    return {
        "table": one.rule.table,
        "rows": one.rows,
        "cutoff": at.normal.isoformat(),
        "long_cutoff": at.long.isoformat() if at.long else None,
        "oldest": one.oldest.isoformat() if one.oldest else None,
    }


def _outcome_as_json(outcome: "RetentionOutcome") -> dict[str, Any]:
    return {
        "table": outcome.table,
        "cutoff": outcome.cutoff.isoformat(),
        "rows": outcome.rows,
        "archives": [
            {"table": part.table, "uri": part.uri, "rows": part.rows, "sha256": part.sha256} for part in outcome.parts
        ],
    }


def _found_as_json(one: "Found") -> dict[str, Any]:
    return {
        "uri": one.uri,
        "state": one.state,
        "table": one.table,
        "rows": one.rows,
        "bytes": one.bytes,
        "sha256": one.sha256,
        "problem": one.problem,
    }


def _tell(part: "RetentionPart") -> None:
    _progress(f"{part.table} part {part.part}: {part.rows:,} rows in {part.uri}")


def _progress(line: str) -> None:
    print(line, file=sys.stderr)


def _store(settings: "Settings") -> "Store":
    from hotdash_pipelines.storage import open_store

    return open_store(settings.archive, settings.s3_endpoint_url, "HOTDASH_ARCHIVE_URL")


def _key(settings: "Settings") -> str | None:
    return settings.manifest_key.get_secret_value() if settings.manifest_key else None


def _refuse(reason: str) -> NoReturn:
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(3)
