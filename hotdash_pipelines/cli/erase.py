"""`hotdash erase`: delete everything about one conversation, when two people ask for it.

Belongs here: asking, refusing, printing. Does not belong here: what goes and the record of it (operations.erasure.run).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import DryRun, Json, Yes, ask, counts, must_ask, note, say

if TYPE_CHECKING:
    from hotdash_pipelines.operations.erasure.run import Erasure, Holder
    from hotdash_pipelines.services.stores import Stores

app = typer.Typer(help="Delete everything about one conversation, when two people ask for it.")


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
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
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
def list_(as_json: Json = False) -> None:
    """Every erasure, newest first, with the files that held the conversation then. Exit code 0."""
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.erasure.run import listed
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect

    with started(get_settings()) as url, connect(url, autocommit=True) as conn:
        erasures = listed(conn)
    lines = []
    for erasure in erasures:
        lines.append(
            f"{erasure.finished_at:%Y-%m-%d %H:%M} UTC  conversation {erasure.subject}: {erasure.total:,} rows, "
            f"approved by {' and '.join(erasure.approved_by)}"
        )
        lines += _files(erasure.holders)
    lines.append(f"{len(erasures)} erasures" if erasures else "nothing was erased yet")
    say({"erasures": [erasure.as_json() for erasure in erasures]}, lines, as_json)


def _erase(subject: str, approved_by: list[str], reason: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.erasure import run as operation
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.warehouse.postgres import connect, describe

    people = operation.two_people(*approved_by)
    asks = must_ask(goes_on=dry_run or yes, as_json=as_json)
    settings = get_settings()
    stores = Stores(settings)
    with started(settings) as url, connect(url, autocommit=True) as conn:
        rows = operation.count(conn, subject)
        read: list[str] = []
        holders = _holders(stores, conn, subject, read)
        total = f"{sum(rows.values()):,} rows at {describe(url)} are about conversation {subject}"
        if dry_run or not as_json:
            say(_as_json(rows, holders, None, is_new=False), [*counts(rows), *_files(holders), total], as_json)
        if dry_run:
            return
        if asks and any(rows.values()):
            ask("Erase them? Nothing brings them back", "nothing erased")
        before = {entry.erasure_id for entry in operation.listed(conn)}
        try:
            done = operation.erase(conn, subject, people, settings.now(), reason=reason, holders=holders)
            # Retention may have moved rows from a table into an archive that was not there when we looked.
            holders = _both(holders, _holders(stores, conn, subject, read))
        except operation.UnknownSubject:
            holders = _both(holders, _holders(stores, conn, subject, read))
            done = operation.erase(conn, subject, people, settings.now(), reason=reason, holders=holders)
        done = operation.note_holders(conn, done, holders)
        operation.keep_beside(stores.backups(), operation.listed(conn))
    is_new = done.erasure_id not in before
    line = f"erased {done.total:,} rows; the record is {done.erasure_id}"
    if not is_new:
        line = f"nothing left to erase: it was erased on {done.finished_at:%Y-%m-%d %H:%M} UTC"
    say(_as_json(rows, holders, done, is_new=is_new), [line], as_json)


def _holders(stores: "Stores", conn: Any, subject: str, read: "list[str]") -> "list[Holder]":
    """Files that hold the subject, archives in `read` left out; those that are read now are added to it."""
    from hotdash_pipelines.operations.erasure.holders import find, kept_databases

    def reading(path: str) -> None:
        note(f"looking into {path}")
        read.append(path)

    return find(
        subject,
        archive=stores.archive(),
        backups=stores.backups(),
        exports=stores.exports(),
        rollback_dumps=stores.rollback_dumps,
        databases=kept_databases(conn),
        read_before=tuple(read),
        reading=reading,
    )


def _both(first: "list[Holder]", second: "list[Holder]") -> "list[Holder]":
    return sorted({*first, *second}, key=lambda holder: (holder.kind, holder.name))


def _files(holders: "Iterable[Holder]") -> list[str]:
    return [
        f"  {holder.kind:8} {holder.name}: {'may hold it' if holder.rows is None else f'{holder.rows:,} rows'}"
        for holder in holders
    ]


def _as_json(rows: dict[str, int], holders: "list[Holder]", done: "Erasure | None", *, is_new: bool) -> dict[str, Any]:
    document = {"dry_run": done is None, "found_rows": rows, "holders": [vars(holder) for holder in holders]}
    return {**document, "erased_now": is_new, "erasure": done.as_json() if done else None}
