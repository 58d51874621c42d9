"""`hotdash export`: training data without the people in it.

Belongs here: options, printing, exit codes. Does not belong here: exporting (hotdash_pipelines.operations.export.run).
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import Json, picked, say

if TYPE_CHECKING:
    from hotdash_pipelines.operations.export.run import Export
    from hotdash_pipelines.services.stores import Stores

app = typer.Typer(help="Training data for the support agent, without the people in it.", no_args_is_help=True)


_NONE_YET = "no exports yet: `hotdash export training` makes one"


class Format(StrEnum):
    """What `--format` takes."""

    json = "json"
    csv = "csv"
    parquet = "parquet"


@app.command()
def training(
    file_format: Annotated[Format, typer.Option("--format", help="How the rows are written.")] = Format.json,
    output: Annotated[
        Path | None, typer.Option(help="Copy the version into this folder as well; nothing there is overwritten.")
    ] = None,
    include_unsafe: Annotated[
        bool, typer.Option("--include-unsafe", help="Also drafts that were found unsafe or that nobody has reviewed.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="Only drafts from this instant on (ISO 8601, UTC if unsaid).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only drafts before this instant (ISO 8601, UTC if unsaid).")
    ] = None,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Publish also when there is no draft.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read, redact and look through; publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Export annotated drafts as a new version, redacted; the same content again gives the version that is there.

    Exit codes: 0 exported, or a version with this content was there; 1 failed, or something personal was left after
    redaction; 2 wrong usage; 3 refused for safety.
    """
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.operations.export.files import checked_output
    from hotdash_pipelines.operations.export.pseudonyms import pseudonym_key
    from hotdash_pipelines.operations.export.rows import Filters
    from hotdash_pipelines.operations.export.run import export_training
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    stores = Stores(settings)
    filters = Filters(include_unsafe, _instant("--since", since), _instant("--until", until))
    if output is not None:
        checked_output(output)
    with started(settings) as url:
        done = export_training(
            url,
            stores.exports(),
            format=file_format.value,
            now=settings.now(),
            scratch=stores.scratch,
            pseudonym_key=pseudonym_key(settings.home, stores.export_key),
            key=stores.manifest_key,
            filters=filters,
            dry_run=dry_run,
            allow_empty=allow_empty,
            on_progress=_progress("redacted"),
        )
    copied = None
    if output is not None and not dry_run:
        copied = _copied(stores, done.manifest.version, output)
    lines = [*_lines(done), *([f"copied to {copied}"] if copied else [])]
    say({**_as_json(done), "copied_to": copied}, lines, as_json)


@app.command("list")
def list_exports(as_json: Json = False) -> None:
    """List the finished versions, oldest first. Sizes are looked at, contents only by `verify`.

    Exit codes: 0 listed; 1 a version is damaged, or the store cannot be read.
    """
    from hotdash_pipelines.operations.export.files import listed
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    documents, lines = [], []
    exports = list(listed(Stores(get_settings()).exports()))
    for export in exports:
        manifest = export.manifest
        described = _described(manifest) if manifest else {}
        documents.append({**picked(export, "version", "location", "problem"), **described})
        about = f"{manifest.format:8} {manifest.rows:>9,} rows {manifest.bytes:>13,} bytes" if manifest else ""
        lines.append(f"{export.version}  {about}{'  damaged: ' + export.problem if export.problem else ''}".rstrip())
    say({"versions": documents}, lines or [_NONE_YET], as_json)
    if any(export.problem for export in exports):
        raise typer.Exit(1)


@app.command()
def verify(
    version: Annotated[str | None, typer.Argument(help="Name of a version, or `latest`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every version.")] = False,
    as_json: Json = False,
) -> None:
    """Hold versions against their manifests (size, sha256, signature, rows) and look through their texts again.

    Exit codes: 0 all is well; 1 something is wrong, or there is no such version; 2 wrong usage; 3 refused for safety.
    """
    from hotdash_pipelines.operations.export import files as export_files
    from hotdash_pipelines.operations.export.verify import verify as prove
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    if (version is None) is not every:
        raise typer.BadParameter("give a version, `latest` or --all")
    stores = Stores(get_settings())
    store, scratch, key = stores.exports(), stores.scratch, stores.manifest_key
    names = export_files.versions(store) if version is None else [export_files.find(store, version)]
    proofs = [prove(store, name, scratch=scratch, key=key, on_progress=_progress(f"{name}: read")) for name in names]
    lines = []
    for proof in proofs:
        lines.append(f"{proof.version}  {'well' if proof.is_sound else 'BROKEN'}  {proof.rows:,} rows")
        lines += [f"  {problem}" for problem in proof.problems]
    documents = [{**vars(proof), "is_sound": proof.is_sound} for proof in proofs]
    say({"versions": documents}, lines or [_NONE_YET], as_json)
    if any(not proof.is_sound for proof in proofs):
        raise typer.Exit(1)


def _copied(stores: "Stores", version: str, output: Path) -> str:
    from hotdash_pipelines.operations.export.files import copy_out
    from hotdash_pipelines.operations.export.run import workspace

    with workspace(stores.scratch) as folder:
        return str(copy_out(stores.exports(), version, output, folder))


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} takes an instant such as 2026-11-01T00:00+00:00 or 2026-11-01") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _progress(what: str) -> Callable[[int, int], None]:
    """Says how far a long export is, on standard error and only where somebody looks."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{what} {done:,} of {total:,} rows", end="\n" if done >= total else "", file=sys.stderr, flush=True
            )

    return tell


def _described(manifest: Any) -> dict[str, Any]:
    entry = picked(manifest, "format", "rows", "bytes", "sha256", "made_at")
    return {**entry, "is_signed": manifest.signature is not None}


def _as_json(done: "Export") -> dict[str, Any]:
    manifest = done.manifest
    return {
        "version": manifest.version,
        "location": done.location,
        "is_new": done.is_new,
        "dry_run": done.dry_run,
        **_described(manifest),
        "texts": manifest.texts,
        "redactions": dict(manifest.redactions),
        "known": dict(manifest.known),
        "redactor_version": manifest.redactor_version,
    }


def _lines(done: "Export") -> list[str]:
    manifest = done.manifest
    said = "would export" if done.dry_run else "exported" if done.is_new else "nothing new, the same content is there:"
    redacted = ", ".join(f"{kind} {count:,}" for kind, count in manifest.redactions.items()) or "nothing"
    known = manifest.known
    return [
        f"{said} {manifest.rows:,} rows ({manifest.bytes:,} bytes)",
        f"redacted: {redacted}",
        f"people looked for in the texts: of {known['matched']:,} conversations, unknown of {known['unmatched']:,}",
        done.location,
    ]
