"""One partition of the lake: the Parquet files of one window of one stream, its raw pages and its manifest.

Layout: `<source>/<stream>/project=<project>/window=<key>/` with `<table>-<sha12>.parquet`, `pages-<sha12>.jsonl.zst`,
`manifest.json`. The manifest is written last and is the commit point: files that it does not name do not count, and
are removed by the next write.

Belongs here: writing, reading, verifying and pruning partitions. Does not belong here: storage (storage/store.py),
loading.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, BinaryIO

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.arrow import table_schema
from hotdash_pipelines.contracts.manifest import FileEntry, PartitionManifest
from hotdash_pipelines.lake.draft import PartitionDraft
from hotdash_pipelines.storage import COPIED_AT_ONCE, Spool, Store, StoreError, Workspace, digest_of, disk_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_MANIFEST = "manifest.json"
_PAGES = re.compile(r"^pages-[0-9a-f]{12}\.jsonl\.zst$")
_AS_IT_WAS = "the partition is as it was; mend that, then materialise it again"
# Where rows are small, their number is what makes a batch large.
_MOST_ROWS = 16_384
_PROJECT = re.compile(r"^[a-z0-9][a-z0-9-]*$")


class LakeError(HotdashError):
    """A partition cannot be read or written. One line: the stream, the partition, what to do."""


class LakeCorruption(LakeError):
    """A partition's files are not what its manifest says."""


@dataclass(frozen=True)
class PrunedPartitions:
    """What was deleted, or would be: partitions or paths, and their bytes."""

    keys: tuple[str, ...]
    bytes: int


def folder_of(contract: Contract, project: str, key: str) -> str:
    """The partition's folder below the lake's root."""
    date.fromisoformat(key)
    return f"{stream_folder(contract, project)}/window={key}"


def stream_folder(contract: Contract, project: str) -> str:
    """The folder of a stream's partitions below the lake's root. Raises LakeError for what is no project key."""
    if not _PROJECT.match(project):
        raise LakeError(f"{project!r} is no project key: HOTDASH_PROJECT_KEY takes small letters, digits and hyphens")
    return f"{contract.source}/{contract.stream}/project={project}"


@contextlib.contextmanager
def named(contract: Contract, key: str, what_to_do: str) -> Iterator[None]:
    """Tell of a store's refusal with stream, partition and what to do."""
    try:
        yield
    except StoreError as error:
        raise LakeError(f"{contract.source}/{contract.stream} {key}: {error}; {what_to_do}") from error


def write_partition(
    store: Store,
    contract: Contract,
    project: str,
    window: Window,
    draft: PartitionDraft,
    pages: Spool,
    *,
    fetched_at: datetime,
    api_version: str,
    requests: int,
    cost: float | None,
    expected_rows: int | None,
    unknown_fields: Mapping[str, str],
    unknown_enum_values: Mapping[str, int],
    quarantined: int,
    repeated: int = 0,
    superseded: int = 0,
    mended_values: Mapping[str, int] | None = None,
    notes: Mapping[str, str | int | float | bool],
    deleted: Mapping[str, datetime | None] | None = None,
) -> PartitionManifest:
    """Write or replace a partition; until the manifest is in place, readers see what was there before.

    What another run read later than this one stays, and its manifest is returned.
    `draft` holds every row of the window, `pages` the responses they came from; `quarantined` counts main records that
    arrived but are not in the draft. The same input gives byte-identical files.
    Raises LakeError when the store refuses; then the partition is as it was.
    """
    folder = folder_of(contract, project, window.key)
    with named(contract, window.key, _AS_IT_WAS):
        finished = draft.finish()
        packed = pages.packed() if len(pages) else None
    contents: dict[str, BinaryIO] = {}
    files = []
    for table in finished:
        name = f"{table.table}-{table.sha256[:12]}.parquet"
        files.append(FileEntry(table.table, name, table.bytes, table.sha256, table.rows))
        contents[name] = table.content
    pages_name = None
    if packed is not None:
        pages_name = f"pages-{digest_of(packed)[:12]}.jsonl.zst"
        contents[pages_name] = packed
    lowest, highest = draft.cursor_range
    manifest = PartitionManifest(
        source=contract.source,
        stream=contract.stream,
        project=project,
        key=window.key,
        window_start=window.start,
        window_end=window.end,
        contract_version=contract.version,
        contract_digest=contract.digest,
        api_version=api_version,
        fetched_at=fetched_at,
        requests=requests,
        cost=cost,
        expected_rows=expected_rows,
        rows={entry.table: entry.rows for entry in files},
        cursor_min=lowest,
        cursor_max=highest,
        files=tuple(files),
        pages_file=pages_name,
        unknown_fields=dict(unknown_fields),
        unknown_enum_values=dict(unknown_enum_values),
        quarantined=quarantined,
        repeated=repeated,
        superseded=superseded,
        mended_values=dict(mended_values or {}),
        notes=dict(notes),
        deleted={record: at.isoformat() if at else None for record, at in (deleted or {}).items()},
        is_open=fetched_at < window.end,
    )
    with named(contract, window.key, _AS_IT_WAS), store.exclusive(stream_folder(contract, project)):
        held = _readable(store, contract, project, window.key)
        if held is not None and held.fetched_at > fetched_at:
            return held
        for name, content in contents.items():
            store.put(f"{folder}/{name}", content)
            reach("lake.part_written")
        reach("lake.before_manifest")
        store.write(f"{folder}/{_MANIFEST}", manifest.to_json())
        reach("lake.after_manifest")
        _collect(store, folder, {*contents, _MANIFEST})
    return manifest


def _collect(store: Store, folder: str, named: set[str]) -> None:
    for path in store.list(folder):
        if path.removeprefix(f"{folder}/") not in named:
            store.delete(path)
    store.sweep(folder)


def read_manifest(store: Store, contract: Contract, project: str, key: str) -> PartitionManifest | None:
    """The manifest of a partition, None when the partition was never written."""
    path = f"{folder_of(contract, project, key)}/{_MANIFEST}"
    try:
        with named(contract, key, "mend that, then run again"):
            return PartitionManifest.from_json(store.read(path))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(contract, key, f"{store.uri(path)} is not a manifest ({type(error).__name__})") from error


def _readable(store: Store, contract: Contract, project: str, key: str) -> PartitionManifest | None:
    """The manifest that is there, None where there is none or a damaged one, which a new write replaces."""
    try:
        return read_manifest(store, contract, project, key)
    except LakeCorruption:
        return None


def add_notes(
    store: Store, contract: Contract, manifest: PartitionManifest, notes: Mapping[str, str | int | float | bool]
) -> PartitionManifest:
    """Write notes into the manifest of a partition; one that another run has written meanwhile stays as it is."""
    path = f"{folder_of(contract, manifest.project, manifest.key)}/{_MANIFEST}"
    with (
        named(contract, manifest.key, "mend that, then run again"),
        store.exclusive(stream_folder(contract, manifest.project)),
    ):
        if read_manifest(store, contract, manifest.project, manifest.key) != manifest:
            return manifest
        noted = replace(manifest, notes={**manifest.notes, **notes})
        store.write(path, noted.to_json())
    return noted


@contextlib.contextmanager
def open_table(
    store: Store, contract: Contract, manifest: PartitionManifest, table: str, workspace: Workspace | None = None
) -> "Iterator[pa.RecordBatchReader]":
    """One table of a partition in the contract's schema, batch by batch, after sha256 and number of rows were verified.

    A nullable column that the contract gained since is null, an optional table that it gained since is empty. Raises
    LakeCorruption for a damaged or missing file, LakeError when the contract changed in a way that needs a new fetch.
    """
    import pyarrow as pa
    from pyarrow import parquet

    known = next(known for known in contract.tables if known.name == table)
    schema = table_schema(contract, known)
    entry = next((entry for entry in manifest.files if entry.table == table), None)
    if entry is None and known.records_optional:
        yield pa.RecordBatchReader.from_batches(schema, [])
        return
    if entry is None:
        raise LakeError(
            f"{manifest.name}: the partition was written before the contract had table {table}; materialise it again"
        )
    workspace = workspace or Workspace()
    with _verified(store, contract, manifest, entry.name, entry.sha256, workspace) as content:
        uri = store.uri(f"{folder_of(contract, manifest.project, manifest.key)}/{entry.name}")
        try:
            file = parquet.ParquetFile(content, pre_buffer=False)
        except pa.ArrowException as error:
            raise _corrupt(contract, manifest.key, f"{uri} is no Parquet file") from error
        if file.metadata.num_rows != entry.rows:
            raise _corrupt(contract, manifest.key, f"{uri} has {file.metadata.num_rows} rows, not {entry.rows}")
        _check_columns(manifest, table, file.schema_arrow, schema)
        batches = _batches(file, workspace, schema, _corrupt(contract, manifest.key, f"{uri} cannot be read"))
        yield pa.RecordBatchReader.from_batches(schema, batches)


def _batches(
    file: "parquet.ParquetFile", workspace: Workspace, schema: "pa.Schema", otherwise: LakeCorruption
) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    try:
        for batch in file.iter_batches(_rows_at_once(file.metadata, workspace)):
            yield _conformed(batch, schema)
    except (pa.ArrowException, OSError) as error:
        raise otherwise from error


def _rows_at_once(file: "parquet.FileMetaData", workspace: Workspace) -> int:
    """Rows of a batch that stays small in memory, by what the file's rows take on the average."""
    size = sum(file.row_group(number).total_byte_size for number in range(file.num_row_groups))
    return max(1, min(_MOST_ROWS, workspace.batch_bytes * file.num_rows // max(size, 1)))


def read_pages(
    store: Store, contract: Contract, manifest: PartitionManifest, workspace: Workspace | None = None
) -> Iterator[bytes]:
    """The raw responses of a partition, one JSON document each, to parse them again by a newer contract.

    Raises LakeError when they were pruned, LakeCorruption when they are damaged: before the first is handed out.
    """
    name = manifest.pages_file
    if name is None:
        raise LakeError(f"{manifest.name}: its raw responses are no longer kept; materialise it from the source")
    digest = name.removeprefix("pages-").removesuffix(".jsonl.zst")
    return _lines(_verified(store, contract, manifest, name, digest, workspace or Workspace()))


def _lines(packed: BinaryIO) -> Iterator[bytes]:
    import pyarrow as pa

    left = b""
    with packed, pa.CompressedInputStream(pa.PythonFile(packed), "zstd") as stream:
        while read := stream.read(COPIED_AT_ONCE):
            *lines, left = (left + read).split(b"\n")
            yield from lines


def _verified(
    store: Store, contract: Contract, manifest: PartitionManifest, name: str, sha256: str, workspace: Workspace
) -> BinaryIO:
    """A file of the partition, copied while its sha256, or the beginning of it, was compared."""
    path = f"{folder_of(contract, manifest.project, manifest.key)}/{name}"
    digest = hashlib.sha256()
    copy = workspace.unnamed_file()
    try:
        with named(contract, manifest.key, "mend that, then run again"), disk_errors("a copy of the lake's file"):
            for chunk in store.chunks(path):
                digest.update(chunk)
                copy.write(chunk)
            copy.seek(0)
        if not digest.hexdigest().startswith(sha256):
            raise _corrupt(
                contract, manifest.key, f"{store.uri(path)} was changed after it was written (sha256 differs)"
            )
    except FileNotFoundError as error:
        copy.close()
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} is missing") from error
    except BaseException:
        copy.close()
        raise
    return copy


def partitions(store: Store, contract: Contract, project: str) -> list[str]:
    """Keys of the partitions that were written, oldest first."""
    folder = stream_folder(contract, project)
    with named(contract, "(all partitions)", "mend that, then run again"):
        paths = [path.removeprefix(f"{folder}/").split("/") for path in store.list(folder)]
    return sorted(parts[0].removeprefix("window=") for parts in paths if parts[-1] == _MANIFEST and len(parts) == 2)


def prune_pages(
    store: Store, contract: Contract, project: str, older_than: datetime, *, dry_run: bool = False
) -> PrunedPartitions:
    """Delete the raw responses of partitions fetched before `older_than`. Parquet files stay.

    What a pruning that was killed left behind goes with them.
    """
    folder = stream_folder(contract, project)
    with named(contract, "(all partitions)", "mend that, then run again"):
        paths = [path.removeprefix(f"{folder}/").split("/") for path in store.list(folder)]
    packed: dict[str, list[str]] = {}
    for window, name in (parts for parts in paths if len(parts) == 2):
        if _PAGES.match(name):
            packed.setdefault(window.removeprefix("window="), []).append(name)
    pruned, size = [], 0
    for key, names in sorted(packed.items()):
        with named(contract, key, "mend that, then run again"), store.exclusive(folder):
            manifest = read_manifest(store, contract, project, key)
            if manifest is None or manifest.fetched_at >= older_than:
                continue
            where = folder_of(contract, project, key)
            # While the manifest names pages, others beside them are those of a write that is under way or was killed.
            going = [name for name in names if manifest.pages_file in (name, None)]
            for name in going:
                with contextlib.suppress(FileNotFoundError):
                    size += store.size(f"{where}/{name}")
            if going and not dry_run:
                if manifest.pages_file is not None:
                    store.write(f"{where}/{_MANIFEST}", replace(manifest, pages_file=None).to_json())
                reach("lake.pages_unnamed")
                for name in going:
                    store.delete(f"{where}/{name}")
            if going:
                pruned.append(key)
    return PrunedPartitions(tuple(pruned), size)


def _check_columns(manifest: PartitionManifest, table: str, there: "pa.Schema", wanted: "pa.Schema") -> None:
    for field in wanted:
        position = there.get_field_index(field.name)
        if (position < 0 and not field.nullable) or (position >= 0 and there.field(position).type != field.type):
            was = "missing" if position < 0 else str(there.field(position).type)
            raise LakeError(
                f"{manifest.name}: {table}.{field.name} is {was} in the lake and {field.type} in the contract; "
                "materialise the partition again, replay it with hotdash lake replay, or name the changed column anew"
            )


def _conformed(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    """The batch in today's schema of the contract."""
    import pyarrow as pa

    there = batch.schema
    columns = [
        batch.column(field.name) if there.get_field_index(field.name) >= 0 else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _corrupt(contract: Contract, key: str, what: str) -> LakeCorruption:
    return LakeCorruption(
        f"{contract.source}/{contract.stream} {key}: {what}; "
        f"materialise lake_{contract.source}/{contract.stream} {key} again"
    )
