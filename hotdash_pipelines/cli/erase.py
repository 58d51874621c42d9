"""`hotdash erase`: delete everything about one conversation, when two people ask for it.

Belongs here: asking, refusing, printing. Does not belong here: what goes and the record of it (operations.erasure.run).
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.erasure.run import Erasure, Holder
    from hotdash_pipelines.settings import Settings

app = typer.Typer(help="Delete everything about one conversation, when two people ask for it.")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]


@app.callback(invoke_without_command=True)
def erase(
    context: typer.Context,
    subject: Annotated[str | None, typer.Option(help="The conversation's number.")] = None,
    approved_by: Annotated[
        list[str] | None, typer.Option(help="Who asks for it. Give it twice: two people, not the same.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Kept in the record. Name no customer here: the record outlives the rows.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
    as_json: _Json = False,
) -> None:
    """Delete everything about one conversation, when two people ask for it.

    Rows of all tables of the support agent go in one transaction, with a record in `ops.erasures`; a restore of an
    older backup deletes them again. Archives, backups, exports and databases that a restore kept are not touched:
    those that hold the conversation, or may, are listed and recorded. Repeating it changes nothing. Exit codes: 0 done,
    1 nobody knows the conversation, 2 wrong usage, 3 not two people, or nobody could be asked.
    """
    if context.invoked_subcommand is not None:
        return
    if not subject or not subject.strip():
        raise typer.BadParameter("say which conversation: --subject NUMBER")
    if len(approved_by or ()) > 2:
        raise typer.BadParameter("two people approve: give --approved-by exactly twice")
    _erase(subject.strip(), [*(approved_by or ()), "", ""][:2], reason, dry_run, yes, as_json)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """Every erasure, newest first, with the files that held the conversation then. Exit code 0."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.erasure.run import listed
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    with started(get_settings()) as url, connect(url, autocommit=True) as conn:
        found = listed(conn)
    if as_json:
        print(json.dumps({"erasures": [entry.as_json() for entry in found]}))
        return
    for entry in found:
        print(
            f"{entry.finished_at:%Y-%m-%d %H:%M} UTC  conversation {entry.subject}: {entry.total:,} rows, "
            f"approved by {' and '.join(entry.approved_by)}"
        )
        _files(entry.holders)
    print(f"{len(found)} erasures" if found else "nothing was erased yet")


def _erase(subject: str, approved_by: list[str], reason: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.erasure import run as operation
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.storage import open_store
    from hotdash_pipelines.warehouse.postgres import connect, describe

    try:
        people = operation.two_people(*approved_by)
    except operation.EraseRefused as error:
        _refuse(str(error))
    asks = not (dry_run or yes)
    if asks and (as_json or not _somebody_answers()):
        _refuse("nobody can be asked here: look with --dry-run first, then give --yes")
    settings = get_settings()
    with started(settings) as url, connect(url, autocommit=True) as conn:
        found = operation.count(conn, subject)
        read: list[str] = []
        holders = _holders(settings, conn, subject, read)
        if not as_json:
            _table(found)
            _files(holders)
            print(f"{sum(found.values()):,} rows at {describe(url)} are about conversation {subject}")
        if dry_run:
            if as_json:
                _print_json(found, holders, None, is_new=False)
            return
        if asks and any(found.values()) and not typer.confirm("Erase them? Nothing brings them back"):
            print("nothing erased")
            raise typer.Exit(3)
        before = {entry.erasure_id for entry in operation.listed(conn)}
        try:
            done = operation.erase(conn, subject, people, settings.now(), reason=reason, holders=holders)
            # Retention may have moved rows from a table into an archive that was not there when we looked.
            holders = _both(holders, _holders(settings, conn, subject, read))
        except operation.UnknownSubject:
            holders = _both(holders, _holders(settings, conn, subject, read))
            done = operation.erase(conn, subject, people, settings.now(), reason=reason, holders=holders)
        done = operation.note_holders(conn, done, holders)
        backups = open_store(settings.backups, settings.s3_endpoint_url, "HOTDASH_BACKUP_URL")
        operation.keep_beside(backups, operation.listed(conn))
    is_new = done.erasure_id not in before
    if as_json:
        _print_json(found, holders, done, is_new=is_new)
    elif not is_new:
        print(f"nothing left to erase: it was erased on {done.finished_at:%Y-%m-%d %H:%M} UTC")
    else:
        print(f"erased {done.total:,} rows; the record is {done.erasure_id}")


def _holders(settings: "Settings", conn: Any, subject: str, read: "list[str]") -> "list[Holder]":
    """Files that hold the subject, archives in `read` left out; those that are read now are added to it."""
    from hotdash_pipelines.operations.erasure.holders import find, kept_databases
    from hotdash_pipelines.storage import open_store

    def reading(path: str) -> None:
        print(f"looking into {path}", file=sys.stderr)
        read.append(path)

    endpoint = settings.s3_endpoint_url
    return find(
        subject,
        archive=open_store(settings.archive, endpoint, "HOTDASH_ARCHIVE_URL"),
        backups=open_store(settings.backups, endpoint, "HOTDASH_BACKUP_URL"),
        exports=open_store(settings.exports, endpoint, "HOTDASH_EXPORT_URL"),
        rollback_dumps=settings.home / "backups",
        databases=kept_databases(conn),
        read_before=tuple(read),
        reading=reading,
    )


def _both(first: "list[Holder]", second: "list[Holder]") -> "list[Holder]":
    return sorted({*first, *second}, key=lambda one: (one.kind, one.name))


def _somebody_answers() -> bool:
    return sys.stdin.isatty()


def _refuse(reason: str) -> NoReturn:
    print(f"hotdash: {reason}", file=sys.stderr)
    raise typer.Exit(3)


def _table(rows: dict[str, int]) -> None:
    for table, count in rows.items():
        print(f"{table:26} {count:>8,}")


def _files(holders: "list[Holder] | tuple[Holder, ...]") -> None:
    for holder in holders:
        held = "may hold it" if holder.rows is None else f"{holder.rows:,} rows"
        print(f"  {holder.kind:8} {holder.name}: {held}")


def _print_json(found: dict[str, int], holders: "list[Holder]", done: "Erasure | None", *, is_new: bool) -> None:
    plain: dict[str, Any] = {"dry_run": done is None, "found_rows": found, "holders": [vars(one) for one in holders]}
    print(json.dumps({**plain, "erased_now": is_new, "erasure": done.as_json() if done else None}))
