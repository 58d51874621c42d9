"""`hotdash export`: training data without the people in it.

Belongs here: options, printing, exit codes. Does not belong here: exporting (hotdash_pipelines.operations.export.run).
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hotdash_pipelines.operations.export.run import Export
    from hotdash_pipelines.settings import Settings
    from hotdash_pipelines.storage import Store

app = typer.Typer(help="Training data for the support agent, without the people in it.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]


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
    as_json: _Json = False,
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
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    filters = Filters(include_unsafe, _instant("--since", since), _instant("--until", until))
    with _refusals():
        if output is not None:
            checked_output(output)
        export_key = settings.export_key.get_secret_value() if settings.export_key else None
        with started(settings) as url:
            done = export_training(
                url,
                _store(settings),
                format=file_format.value,
                now=settings.now(),
                scratch=_scratch(settings),
                pseudonym_key=pseudonym_key(settings.home, export_key),
                key=_key(settings),
                filters=filters,
                dry_run=dry_run,
                allow_empty=allow_empty,
                on_progress=_progress("redacted"),
            )
        copied = None
        if output is not None and not dry_run:
            copied = _copied(settings, done.manifest.version, output)
    if as_json:
        print(json.dumps({**_as_json(done), "copied_to": copied}))
    else:
        _tell(done)
        if copied:
            print(f"copied to {copied}")


@app.command("list")
def list_exports(as_json: _Json = False) -> None:
    """List the finished versions, oldest first. Sizes are looked at, contents only by `verify`.

    Exit codes: 0 listed; 1 a version is damaged, or the store cannot be read.
    """
    from hotdash_pipelines.operations.export.files import listed
    from hotdash_pipelines.settings import get_settings

    found = list(listed(_store(get_settings())))
    if as_json:
        rows = [
            {
                "version": one.version,
                "location": one.location,
                "problem": one.problem,
                **(_described(one.manifest) if one.manifest else {}),
            }
            for one in found
        ]
        print(json.dumps({"versions": rows}))
    elif not found:
        print("no exports yet: `hotdash export training` makes one")
    for one in () if as_json else found:
        about = (
            f"{one.manifest.format:8} {one.manifest.rows:>9,} rows {one.manifest.bytes:>13,} bytes"
            if one.manifest
            else ""
        )
        print(f"{one.version}  {about}{'  damaged: ' + one.problem if one.problem else ''}".rstrip())
    if any(one.problem for one in found):
        raise typer.Exit(1)


@app.command()
def verify(
    version: Annotated[str | None, typer.Argument(help="Name of a version, or `latest`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Verify every version.")] = False,
    as_json: _Json = False,
) -> None:
    """Hold versions against their manifests (size, sha256, signature, rows) and look through their texts again.

    Exit codes: 0 all is well; 1 something is wrong, or there is no such version; 2 wrong usage; 3 refused for safety.
    """
    from hotdash_pipelines.operations.export import files as export_files
    from hotdash_pipelines.operations.export.verify import verify as prove
    from hotdash_pipelines.settings import get_settings

    if (version is None) is not every:
        raise typer.BadParameter("give a version, `latest` or --all")
    settings = get_settings()
    store = _store(settings)
    with _refusals():
        names = export_files.versions(store) if version is None else [export_files.find(store, version)]
        found = [
            prove(store, name, scratch=_scratch(settings), key=_key(settings), on_progress=_progress(f"{name}: read"))
            for name in names
        ]
    if as_json:
        print(json.dumps({"versions": [{**vars(one), "is_sound": one.is_sound} for one in found]}))
    else:
        for one in found:
            print(f"{one.version}  {'well' if one.is_sound else 'BROKEN'}  {one.rows:,} rows")
            for problem in one.problems:
                print(f"  {problem}")
        if not found:
            print("no exports yet: `hotdash export training` makes one")
    if any(not one.is_sound for one in found):
        raise typer.Exit(1)


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors that stand for an exit code of their own."""
    from hotdash_pipelines.operations.export.files import BadVersionName, ExportRefused

    try:
        yield
    except ExportRefused as error:
        print(f"hotdash: {error}", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, BadVersionName) else 3) from error


def _store(settings: "Settings") -> "Store":
    from hotdash_pipelines.storage import open_store

    return open_store(settings.exports, settings.s3_endpoint_url, "HOTDASH_EXPORT_URL")


def _scratch(settings: "Settings") -> Path:
    return settings.home / "scratch"


def _key(settings: "Settings") -> str | None:
    return settings.manifest_key.get_secret_value() if settings.manifest_key else None


def _copied(settings: "Settings", version: str, output: Path) -> str:
    from hotdash_pipelines.operations.export.files import copy_out
    from hotdash_pipelines.operations.export.run import workspace

    with workspace(_scratch(settings)) as folder:
        return str(copy_out(_store(settings), version, output, folder))


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} takes an instant such as 2026-11-01T00:00+00:00 or 2026-11-01") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _progress(what: str) -> Callable[[int, int], None]:
    """Says how far a long export is, on standard error and only where somebody looks."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{what} {done:,} of {total:,} rows", end="\n" if done >= total else "", file=sys.stderr, flush=True
            )

    return tell


def _described(manifest: Any) -> dict[str, Any]:
    return {
        "format": manifest.format,
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "made_at": manifest.made_at,
        "is_signed": manifest.signature is not None,
    }


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


def _tell(done: "Export") -> None:
    manifest = done.manifest
    said = "would export" if done.dry_run else "exported" if done.is_new else "nothing new, the same content is there:"
    redacted = ", ".join(f"{kind} {count:,}" for kind, count in manifest.redactions.items()) or "nothing"
    print(f"{said} {manifest.rows:,} rows ({manifest.bytes:,} bytes)")
    known = manifest.known
    print(f"redacted: {redacted}")
    print(f"people looked for in the texts: of {known['matched']:,} conversations, unknown of {known['unmatched']:,}")
    print(done.location)
