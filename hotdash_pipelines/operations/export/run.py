"""Exports of annotated drafts as training data without the people in them.

Belongs here: what becomes of a row, the gate before publication, the way from the tables to a published version. Does
not belong here: reading the tables (rows.py), finding personal data (redaction/redactor.py), files (files.py).

The annotator is left out, conversations become pseudonyms, every text is redacted, keys and values of JSON included.
What was redacted is then looked through again; one finding anywhere, and nothing is published.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.export import files
from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.operations.export.files import ExportManifest
from hotdash_pipelines.operations.export.formats import COLUMNS, FORMATS
from hotdash_pipelines.operations.export.people import People
from hotdash_pipelines.operations.export.pseudonyms import Pseudonyms
from hotdash_pipelines.operations.export.rows import Draft, Filters, snapshot
from hotdash_pipelines.redaction.redactor import REDACTOR_VERSION, KnownEntity, Redactor
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.scratch import scratch_folder
from hotdash_pipelines.storage.sealed import sha256_of

_ROWS_NAMED = 20
_SHORTEST_NUMBER = 7
_TEXTS = ("input_text", "model_draft", "notes")
_JSON = ("labels", "rubric", "meta")

Progress = Callable[[int, int], None]


class PersonalDataLeft(ExportError):
    """Redacted texts still look personal, so nothing was published. Says kinds and row numbers, never text."""


@dataclass(frozen=True)
class Export:
    """What an export did. `is_new` is False when a version with the same content was there, or in a dry run."""

    manifest: ExportManifest
    location: str
    is_new: bool
    dry_run: bool


@dataclass
class _Tally:
    """What was met so far; findings by kind and the ids of their rows."""

    rows: int = 0
    texts: int = 0
    redactions: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    rows_found: list[int] = field(default_factory=list)


def export_training(
    url: str,
    store: Store,
    *,
    now: datetime,
    scratch: Path,
    pseudonym_key: bytes,
    format: str = "json",  # noqa: A002 - the option's name
    key: str | None = None,
    filters: Filters | None = None,
    dry_run: bool = False,
    allow_empty: bool = False,
    on_progress: Progress | None = None,
) -> Export:
    """Export the drafts of the database at `url` under `filters` (by default those marked safe to send) to `store`.

    `scratch` is a folder for files on the way; nothing stays in it, also not of a run that was killed before. `key`
    signs the manifest. A dry run reads, redacts and looks through everything and publishes nothing. `on_progress` is
    told rows done and rows in all. Raises PersonalDataLeft, ExportError, StoreError, WarehouseError.
    """
    filters = filters or Filters()
    pseudonyms, tally = Pseudonyms(pseudonym_key), _Tally()
    with workspace(scratch) as folder, snapshot(url, filters) as drafts:
        if not drafts.wanted and not allow_empty:
            raise ExportError(_nothing(drafts.total))
        people = People(drafts.conn)
        data = folder / FORMATS[format].data_file
        with FORMATS[format].writer(data) as write:
            for batch in drafts.batches():
                write(_redacted(batch, people, pseudonyms, tally))
                if on_progress:
                    on_progress(tally.rows, drafts.wanted)
        if tally.findings:
            raise PersonalDataLeft(_left(tally))
        digest = sha256_of(data)
        manifest = ExportManifest(
            version=files.version_name(now, digest),
            format=format,
            rows=tally.rows,
            texts=tally.texts,
            made_at=now.astimezone(UTC).isoformat(),
            snapshot_at=drafts.taken_at.astimezone(UTC).isoformat(),
            filters=filters.as_json(),
            columns=COLUMNS,
            redactor_version=REDACTOR_VERSION,
            redactions=dict(sorted(tally.redactions.items())),
            known=people.as_json(),
            pseudonym_key_id=pseudonyms.key_id,
            files={data.name: {"bytes": data.stat().st_size, "sha256": digest}},
        ).signed(key)
        # What is published next needs no database, and a long transaction keeps the server from cleaning up.
        drafts.conn.rollback()
        reach("export.written")
        if dry_run:
            return Export(manifest, store.uri(manifest.version), is_new=False, dry_run=True)
        equal = files.publish(store, manifest, data, folder, now, key)
        there = equal or manifest
        return Export(there, store.uri(there.version), is_new=equal is None, dry_run=False)


def findings(redactor: Redactor, row: Mapping[str, Any]) -> Counter[str]:
    """What still looks personal in the texts of an exported row, by kind."""
    counts: Counter[str] = Counter()
    for name in (*_TEXTS, *_JSON):
        for text in texts_of(row[name]):
            counts.update(redactor.rescan(text))
    return counts


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value: keys too, and numbers that are long enough to be somebody's."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, int | float) and len(number := str(value)) >= _SHORTEST_NUMBER:
        yield number


def workspace(scratch: Path) -> AbstractContextManager[Path]:
    """A private folder of its own below `scratch`, removed at the end; first removes those of killed processes."""
    return scratch_folder(scratch, f"export-{uuid.uuid4().hex[:12]}")


def _redacted(batch: list[Draft], people: People, pseudonyms: Pseudonyms, tally: _Tally) -> list[dict[str, Any]]:
    known = people.of(draft.conversation_id for draft in batch)
    redactors: dict[tuple[KnownEntity, ...], Redactor] = {}
    rows = []
    for draft in batch:
        entities = known.get(draft.conversation_id, ())
        if draft.annotator and draft.annotator.strip():
            entities = (*entities, KnownEntity("name", draft.annotator.strip()))
        if entities not in redactors:
            redactors[entities] = Redactor(entities)
        rows.append(_row(draft, redactors[entities], pseudonyms, tally))
    return rows


def _row(draft: Draft, redactor: Redactor, pseudonyms: Pseudonyms, tally: _Tally) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": draft.id,
        "conversation_id": pseudonyms.of(draft.conversation_id),
        "safe_to_send": draft.safe_to_send,
        "created_at": draft.created_at,
        "updated_at": draft.updated_at,
    }
    for name in (*_TEXTS, *_JSON):
        plain = _flat(draft.labels) if name == "labels" else getattr(draft, name)
        plain = pseudonyms.in_json(plain, draft.conversation_id)
        row[name], counts = redactor.value(plain)
        tally.redactions.update(counts)
        tally.texts += sum(1 for _ in texts_of(row[name]))
    left = findings(redactor, row)
    if left:
        tally.findings.update(left)
        tally.rows_found.append(draft.id)
    tally.rows += 1
    return row


def _flat(labels: list[Any] | None) -> list[Any] | None:
    """Postgres lets an array of text have more dimensions; the files know one."""
    if labels is None:
        return None
    return [item for label in labels for item in ((_flat(label) or ()) if isinstance(label, list) else (label,))]


def _left(tally: _Tally) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.findings.items()))
    rows = ", ".join(map(str, tally.rows_found[:_ROWS_NAMED]))
    more = f" and {len(tally.rows_found) - _ROWS_NAMED} more" if len(tally.rows_found) > _ROWS_NAMED else ""
    return (
        f"after redaction something personal was still found ({kinds}) in rows {rows}{more} of agent.agent_feedback: "
        "nothing was published; mend or remove those rows, then export again"
    )


def _nothing(total: int) -> str:
    if total:
        return (
            f"none of the {total} drafts passes the filters: review drafts first, widen --since and --until, "
            "give --include-unsafe, or --allow-empty for an export without rows"
        )
    return "agent.agent_feedback has no rows, so there is nothing to export: give --allow-empty if that is expected"
