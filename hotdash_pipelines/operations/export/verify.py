"""Proving that a published export is what it was: whole, unchanged, signed, and without anything personal.

Belongs here: the checks of one version. Does not belong here: publishing (files.py).

The people of the conversations are not looked up again, since they change and retention removes them: a version is
looked through by the redactor's patterns alone, in its present version.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hotdash_pipelines.operations.export import files
from hotdash_pipelines.operations.export.errors import ExportError, ExportRefused
from hotdash_pipelines.operations.export.files import ExportManifest
from hotdash_pipelines.operations.export.formats import COLUMNS, FORMATS
from hotdash_pipelines.operations.export.pseudonyms import Pseudonyms
from hotdash_pipelines.operations.export.run import findings, workspace
from hotdash_pipelines.redaction.redactor import REDACTOR_VERSION, Redactor
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.sealed import sha256_of

_ROWS_NAMED = 20


@dataclass(frozen=True)
class Verified:
    """What was found of one version. `problems` are lines without exported text; none means that all is well."""

    version: str
    rows: int
    is_signature_checked: bool
    redactor_version: str
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(
    store: Store,
    version: str,
    *,
    scratch: Path,
    key: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Hold a version against its manifest and look through its texts again.

    With `key` the signature must be there and right. `on_progress` is told rows read and rows in all. Raises
    ExportRefused for names and links that lead elsewhere; everything else that is wrong is a problem in the answer.
    """
    files.check_name(version)
    problems: list[str] = []
    rows = 0
    try:
        manifest = files.read_manifest(store, version)
    except ExportRefused:
        raise
    except ExportError as error:
        return Verified(version, 0, key is not None, REDACTOR_VERSION, (str(error),))
    if key is not None and not manifest.is_signed_with(key):
        problems.append("the manifest is not signed with HOTDASH_MANIFEST_KEY")
    if not version.endswith(f"-{manifest.sha256[:16]}"):
        problems.append("the version is not named after its content")
    if manifest.columns != COLUMNS:
        problems.append("the columns are not those of an export")
    others = {path.partition("/")[2] for path in store.list(version)} - {manifest.data_file, files.MANIFEST}
    if others:
        problems.append(f"{len(others)} files lie beside the data that the manifest does not name")
    with workspace(scratch) as folder:
        data = folder / manifest.data_file
        problem = _fetched(store, manifest, data)
        if problem:
            problems.append(problem)
        else:
            rows = _look_through(manifest, data, problems, on_progress)
    return Verified(version, rows, key is not None, REDACTOR_VERSION, tuple(problems))


def _fetched(store: Store, manifest: ExportManifest, data: Path) -> str | None:
    path = f"{manifest.version}/{manifest.data_file}"
    files.contained(store, path)
    try:
        store.fetch(path, data)
    except FileNotFoundError:
        return f"{manifest.data_file} is missing"
    if data.stat().st_size != manifest.bytes:
        return f"{manifest.data_file} has {data.stat().st_size} bytes instead of {manifest.bytes}"
    if sha256_of(data) != manifest.sha256:
        return f"{manifest.data_file} has another sha256 than its manifest says"
    return None


def _look_through(
    manifest: ExportManifest, data: Path, problems: list[str], on_progress: Callable[[int, int], None] | None
) -> int:
    redactor, findings_by_kind, rows_found = Redactor(()), Counter[str](), list[int]()
    rows, last, misshapen = 0, 0, 0
    try:
        for batch in FORMATS[manifest.format].read(data):
            for row in batch:
                misshapen += not _is_in_shape(row, last)
                left = findings(redactor, row)
                findings_by_kind.update(left)
                if left:
                    rows_found.append(row["id"])
                rows, last = rows + 1, row["id"] if isinstance(row["id"], int) else last
            if on_progress:
                on_progress(rows, manifest.rows)
    except ExportError as error:
        problems.append(str(error))
        return rows
    if rows != manifest.rows:
        problems.append(f"{manifest.data_file} has {rows} rows instead of {manifest.rows}")
    if misshapen:
        problems.append(f"{misshapen} rows are out of order, or their own columns hold what they should not")
    if findings_by_kind:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(findings_by_kind.items()))
        named = ", ".join(map(str, rows_found[:_ROWS_NAMED]))
        problems.append(
            f"the texts hold something personal ({kinds}) in rows {named}: see docs/runbooks/leaked-export.md"
        )
    return rows


def _is_in_shape(row: dict[str, Any], last: int) -> bool:
    """Whether the columns that are no texts hold what an export writes there."""
    return (
        type(row["id"]) is int
        and row["id"] > last
        and isinstance(row["conversation_id"], str)
        and Pseudonyms.SHAPE.fullmatch(row["conversation_id"]) is not None
        and row["safe_to_send"] in (True, False, None)
        and _is_instant(row["created_at"])
        and _is_instant(row["updated_at"])
    )


def _is_instant(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
