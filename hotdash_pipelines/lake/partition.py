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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.arrow import compute, table_schema
from hotdash_pipelines.contracts.manifest import FileEntry, PartitionManifest
from hotdash_pipelines.storage import Store, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

_MANIFEST = "manifest.json"
_PAGES = re.compile(r"^pages-[0-9a-f]{12}\.jsonl\.zst$")
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
    tables: Mapping[str, "pa.Table"],
    pages: Sequence[bytes],
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
    deleted: Mapping[str, datetime] | None = None,
) -> PartitionManifest:
    """Write or replace a partition; until the manifest is in place, readers see what was there before.

    What another run read later than this one stays, and its manifest is returned.
    `tables` holds every table of the contract in the contract's schema; `quarantined` counts main records that arrived
    but are not in it. The same input gives byte-identical files.
    Raises LakeError when the store refuses; then the partition is as it was.
    """
    folder = folder_of(contract, project, window.key)
    files, contents = [], {}
    # Arrow compresses without holding the interpreter's lock, so the raw pages are packed beside the tables.
    with ThreadPoolExecutor(1, thread_name_prefix="lake") as worker:
        packing = worker.submit(_pack, pages)
        parquet = [_parquet(tables[table.name]) for table in contract.tables]
        packed = packing.result()
    for table, content in zip(contract.tables, parquet, strict=True):
        sha = hashlib.sha256(content).hexdigest()
        name = f"{table.name}-{sha[:12]}.parquet"
        files.append(FileEntry(table.name, name, len(content), sha, tables[table.name].num_rows))
        contents[name] = content
    pages_name = None
    if pages:
        pages_name = f"pages-{hashlib.sha256(packed).hexdigest()[:12]}.jsonl.zst"
        contents[pages_name] = packed
    lowest, highest = _cursor_range(contract, tables[contract.table.name])
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
        deleted={record: at.isoformat() for record, at in (deleted or {}).items()},
        is_open=fetched_at < window.end,
    )
    with (
        named(contract, window.key, "the partition is as it was; mend that, then materialise it again"),
        store.exclusive(stream_folder(contract, project)),
    ):
        held = _readable(store, contract, project, window.key)
        if held is not None and held.fetched_at > fetched_at:
            return held
        for name, content in contents.items():
            store.write(f"{folder}/{name}", content)
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


def _parquet(table: "pa.Table") -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(table.combine_chunks(), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _pack(pages: Sequence[bytes]) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        for page in pages:
            # A raw line feed is illegal inside a JSON string, so replacing it only touches white space.
            packed.write(page.replace(b"\n", b" ") + b"\n")
    return sink.getvalue().to_pybytes()


def _cursor_range(contract: Contract, table: "pa.Table") -> tuple[str | None, str | None]:
    pc = compute()

    if contract.cursor is None or not table.num_rows:
        return None, None
    ends = pc.min_max(table[contract.cursor]).as_py()
    lowest, highest = ends["min"], ends["max"]
    return (lowest.isoformat(), highest.isoformat()) if lowest is not None else (None, None)


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


def read_table(store: Store, contract: Contract, manifest: PartitionManifest, table: str) -> "pa.Table":
    """One table of a partition in the contract's schema, after its size, sha256 and row count were verified.

    A nullable column that the contract gained since is null. Raises LakeCorruption for a damaged or missing file,
    LakeError when the contract changed in a way that needs a new fetch.
    """
    import pyarrow as pa
    from pyarrow import parquet

    entry = next((entry for entry in manifest.files if entry.table == table), None)
    if entry is None:
        raise LakeError(
            f"{manifest.name}: the partition was written before the contract had table {table}; materialise it again"
        )
    path = f"{folder_of(contract, manifest.project, manifest.key)}/{entry.name}"
    try:
        with named(contract, manifest.key, "mend that, then run again"):
            content = store.read(path)
    except FileNotFoundError as error:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} is missing") from error
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} was changed after it was written (sha256 differs)")
    try:
        rows = parquet.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} is no Parquet file") from error
    if rows.num_rows != entry.rows:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} has {rows.num_rows} rows, not {entry.rows}")
    return _conformed(contract, manifest, table, rows)


def read_pages(store: Store, contract: Contract, manifest: PartitionManifest) -> list[bytes]:
    """The raw responses of a partition, one JSON document each, to parse them again by a newer contract.

    Raises LakeError when they were pruned, LakeCorruption when they are damaged.
    """
    import pyarrow as pa

    if manifest.pages_file is None:
        raise LakeError(f"{manifest.name}: its raw responses are no longer kept; materialise it from the source")
    path = f"{folder_of(contract, manifest.project, manifest.key)}/{manifest.pages_file}"
    try:
        with named(contract, manifest.key, "mend that, then run again"):
            packed = store.read(path)
    except FileNotFoundError as error:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} is missing") from error
    if f"pages-{hashlib.sha256(packed).hexdigest()[:12]}.jsonl.zst" != manifest.pages_file:
        raise _corrupt(contract, manifest.key, f"{store.uri(path)} was changed after it was written (sha256 differs)")
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        return stream.read().split(b"\n")[:-1]


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


def _conformed(contract: Contract, manifest: PartitionManifest, table: str, rows: "pa.Table") -> "pa.Table":
    """`found` in today's schema of the contract."""
    import pyarrow as pa

    columns = []
    schema = table_schema(contract, next(known for known in contract.tables if known.name == table))
    for field in schema:
        position = rows.schema.get_field_index(field.name)
        if position < 0 and field.nullable:
            columns.append(pa.nulls(rows.num_rows, field.type))
        elif position < 0 or rows.schema.field(position).type != field.type:
            was = "missing" if position < 0 else str(rows.schema.field(position).type)
            raise LakeError(
                f"{manifest.name}: {table}.{field.name} is {was} in the lake and {field.type} in the contract; "
                "materialise the partition again, or give the changed column a new name"
            )
        else:
            columns.append(rows.column(position))
    return pa.Table.from_arrays(columns, schema=schema)


def _corrupt(contract: Contract, key: str, what: str) -> LakeCorruption:
    return LakeCorruption(
        f"{contract.source}/{contract.stream} {key}: {what}; "
        f"materialise lake_{contract.source}/{contract.stream} {key} again"
    )
