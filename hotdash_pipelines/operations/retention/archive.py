"""Archives: Parquet files of the rows that retention took out of the tables, each with a manifest that proves it.

Belongs here: writing rows into an archive, comparing it with the rows again, putting it into the store, verifying and
reading it back. Does not belong here: which rows (retention), the database's record of an archive (archive_audit.py).

An archive is `<table>/<cut-off>/rows-<digest>.parquet` and the same name with `.json`, written last. Its name follows
from its content, so what a killed run left is found again by the next one instead of being kept twice.
"""

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.operations.retention.rules import RetentionError
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.sealed import DamagedManifest, Seal, sha256_of

if TYPE_CHECKING:
    import pyarrow as pa

DATA, MANIFEST = ".parquet", ".json"
_FORMAT = 1
# Other files below the root, such as the records of erasures, are not of archives.
_FOLDER = re.compile(r"^[a-z_]+/\d{8}/")
_PATH = re.compile(r"^[a-z_]+/\d{8}/rows-[0-9a-f]{16}(-\d+)?\.parquet$")
_NAMES_TRIED = 9
_BATCH_ROWS = 50_000
# The driver makes an instant before the first that Postgres has (4713 BC, in microseconds) of both infinite ones.
_FIRST_INSTANT = -210_866_803_200_000_000


def _signed(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


_SEAL = Seal(
    "digest",
    "hmac",
    signed=_signed,
    digested=lambda body, signature: _signed({**body, "hmac": signature} if signature else body),
)


class ArchiveError(RetentionError):
    """An archive is not what it was when it was written, or could not be written. One line, says what to do."""


@dataclass(frozen=True)
class Archive:
    """One archive as its manifest tells of it. `path` is that of the Parquet file below the root of the store."""

    path: str
    table: str
    cutoff: datetime
    rows: int
    bytes: int
    sha256: str

    @property
    def manifest(self) -> str:
        """Path of the manifest."""
        return self.path.removesuffix(DATA) + MANIFEST


def spool(batches: "pa.RecordBatchReader", target: Path, key: str) -> int:
    """Write rows as they come from the database to an uncompressed Arrow file, in the order of `key`; how many.

    JSON becomes text, everything else keeps its type; arrays are flat. Raises ArchiveError for a type or an instant
    that an archive cannot tell.
    """
    import pyarrow as pa

    schema = pa.schema([_plain(field) for field in batches.schema])
    pc = compute()
    rows, newest, is_sorted = 0, None, True
    with pa.OSFile(str(target), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            if batch.num_rows:
                _refuse_infinite(batch)
                columns = [c.storage if isinstance(c, pa.ExtensionArray) else c for c in batch.columns]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                rows += batch.num_rows
                keys = batch[key]
                rises = pc.all(pc.less(keys[:-1], keys[1:])).as_py() is not False
                is_sorted = is_sorted and rises and (newest is None or newest < keys[0].as_py())
                newest = keys[-1].as_py()
    if not is_sorted:
        _sort(target, key)
    return rows


def _sort(path: Path, key: str) -> None:
    """Put a spool into the order of its key. The database gives rows in the order in which it finds them."""
    import pyarrow as pa

    rows = spooled(path)
    batches = rows.read_all().sort_by(key).to_batches(max_chunksize=_BATCH_ROWS)
    ordered = path.with_suffix(".ordered")
    with pa.OSFile(str(ordered), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    ordered.replace(path)


def _refuse_infinite(batch: "pa.RecordBatch") -> None:
    import pyarrow as pa

    pc = compute()
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not pa.types.is_timestamp(field.type):
            continue
        first = pc.min(column.view(pa.int64())).as_py()
        if first is not None and first < _FIRST_INSTANT:
            raise ArchiveError(
                f"a row that is too old has an infinite {field.name}, which an archive cannot tell: give it a real one"
            )


def _plain(field: "pa.Field[Any]") -> "pa.Field[Any]":
    import pyarrow as pa

    if not isinstance(field.type, pa.BaseExtensionType):
        return field
    if field.type.extension_name != "arrow.json":
        raise ArchiveError(
            f"column {field.name} has a type that archives do not know ({field.type}): "
            "teach operations/retention/archive.py"
        )
    return field.with_type(field.type.storage_type)


def spooled(path: Path) -> "pa.RecordBatchFileReader":
    """The rows of a spool again, batch by batch."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path)))


def write(source: Path, target: Path) -> None:
    """Write a spool as Parquet: zstd, a checksum a page, one row group a batch. On disk when this returns."""
    import pyarrow.parquet as pq

    rows = spooled(source)
    # Texts hardly repeat: without dictionaries the file is a tenth smaller and written in three quarters of the time.
    options = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True}
    with pq.ParquetWriter(target, rows.schema, **options) as writer:
        for number in range(rows.num_record_batches):
            writer.write_batch(rows.get_batch(number), row_group_size=1 << 30)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def compare(source: Path, target: Path) -> int:
    """Read the Parquet file back and hold each value against the spool; returns its rows. Raises ArchiveError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = spooled(source)
    with _unreadable(target.name), pq.ParquetFile(target, page_checksum_verification=True) as file:
        same = file.schema_arrow.equals(rows.schema) and file.num_row_groups == rows.num_record_batches
        for number in range(rows.num_record_batches if same else 0):
            same = same and file.read_row_group(number).equals(pa.Table.from_batches([rows.get_batch(number)]))
        if not same:
            raise ArchiveError("the archive read back differs from the rows: look at the disk, then run it again")
        return file.metadata.num_rows


def manifest_bytes(archive: Archive, key: str | None = None) -> bytes:
    """The manifest as its file: what the archive is, its signature if there is a `key`, and the digest of both."""
    body = _body(archive)
    return _SEAL.close(body, _SEAL.sign(body, key))


def keep(store: Store, local: Path, *, table: str, cutoff: datetime, rows: int, key: str | None = None) -> Archive:
    """Put a written Parquet file and its manifest into the store, read both back, and say where they are.

    `key` signs the manifest. A name that is taken by the very same content is what an earlier try left, and is taken
    over; taken by anything else, the next name is tried. Raises ArchiveError, StoreError.
    """
    digest, size = sha256_of(local), local.stat().st_size
    folder = f"{table}/{cutoff.astimezone(UTC):%Y%m%d}"
    for number in range(1, _NAMES_TRIED + 1):
        name = f"rows-{digest[:16]}{f'-{number}' if number > 1 else ''}{DATA}"
        archive = Archive(f"{folder}/{name}", table, cutoff, rows, size, digest)
        manifest = local.with_suffix(f".{number}{MANIFEST}")
        manifest.write_bytes(manifest_bytes(archive, key))
        if _holds(store, archive.path, local) and _holds(store, archive.manifest, manifest):
            return archive
    raise ArchiveError(f"{folder} has other files under every name of {digest[:16]}: run `hotdash retention verify`")


def _holds(store: Store, path: str, local: Path) -> bool:
    """Whether the store has exactly this content at the path now; adds it when nothing is there."""
    try:
        store.add(path, local)
        is_new = True
    except FileExistsError:
        is_new = False
    with _fetched(store, path, local.parent) as copy:
        same = sha256_of(copy) == sha256_of(local)
    if is_new and not same:
        raise ArchiveError(f"{store.uri(path)} came back different from what was stored: look at the store, run again")
    return same


@contextmanager
def _fetched(store: Store, path: str, scratch: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder, "copy")
        store.fetch(path, copy)
        yield copy


def list_archives(store: Store, table: str = "") -> list[str]:
    """Paths of the Parquet files that have the name of an archive, with or without manifest, sorted."""
    return [path for path in store.list(table) if _PATH.match(path)]


def strangers(store: Store, table: str = "") -> list[str]:
    """Paths of files beside the archives that belong to none: manifests without their file, and what nobody knows."""
    paths = [path for path in store.list(table) if _FOLDER.match(path)]
    known = {path for path in paths if _PATH.match(path)}
    known |= {path.removesuffix(DATA) + MANIFEST for path in known}
    return [path for path in paths if path not in known]


def open_archive(store: Store, path: str, key: str | None = None) -> Archive:
    """What the manifest of the archive says, its seal and its place checked; the rows are not looked at.

    Raises ArchiveError when the manifest is missing, changed, of another archive, or not signed with `key`.
    """
    name = path.removesuffix(DATA) + MANIFEST
    try:
        data = store.read(name)
    except FileNotFoundError:
        raise ArchiveError(f"{path} has no manifest: a run was stopped before it was finished") from None
    try:
        archive, _, doubt = _SEAL.open(data, _parsed, key)
    except DamagedManifest:
        raise ArchiveError(f"{name} is damaged: restore it from a copy") from None
    if doubt:
        raise ArchiveError(f"{name} is {doubt}: it was changed, or made before HOTDASH_MANIFEST_KEY was set")
    if archive.path != path:
        raise ArchiveError(f"{name} belongs to {archive.path}: files were moved")
    return archive


def verify(store: Store, path: str, scratch: Path, key: str | None = None, expected: str | None = None) -> Archive:
    """Prove an archive: manifest, size, digest, and every row decoded. `expected` is the digest of its run record.

    Works in the folder `scratch`. Raises ArchiveError; returns what the archive is.
    """
    archive = open_archive(store, path, key)
    with _proven(store, archive, scratch, expected):
        return archive


@contextmanager
def opened(store: Store, path: str, scratch: Path, key: str | None = None) -> "Iterator[pa.Table]":
    """The rows of a proven archive. Raises ArchiveError."""
    import pyarrow.parquet as pq

    with _proven(store, open_archive(store, path, key), scratch, None) as copy:
        yield pq.read_table(copy, page_checksum_verification=True)


@contextmanager
def opened_unproven(store: Store, path: str, scratch: Path) -> "Iterator[pa.Table]":
    """The rows of a Parquet file without a manifest, as far as it can be read. Raises ArchiveError."""
    import pyarrow.parquet as pq

    with _fetched(store, path, scratch) as copy:
        with _unreadable(path):
            rows = pq.read_table(copy, page_checksum_verification=True)
        yield rows


def check_size(store: Store, archive: Archive, expected: str | None) -> None:
    """Raise ArchiveError unless the archive has its size, and is the one of its run record's digest."""
    _check(archive, store.size(archive.path), expected)


def _check(archive: Archive, size: int, expected: str | None) -> None:
    if expected not in (None, archive.sha256):
        raise ArchiveError(f"{archive.path} is another archive than ops.retention_runs tells of: files were swapped")
    if size != archive.bytes:
        raise ArchiveError(f"{archive.path} has {size:,} bytes, not {archive.bytes:,}: restore a copy of it")


@contextmanager
def _proven(store: Store, archive: Archive, scratch: Path, expected: str | None) -> Iterator[Path]:
    import pyarrow.parquet as pq

    path = archive.path
    with _fetched(store, path, scratch) as copy:
        _check(archive, copy.stat().st_size, expected)
        if sha256_of(copy) != archive.sha256:
            raise ArchiveError(f"{path} was changed since it was written: restore a copy of it")
        with _unreadable(path), pq.ParquetFile(copy, page_checksum_verification=True) as file:
            rows = sum(batch.num_rows for batch in file.iter_batches())
        if rows != archive.rows:
            raise ArchiveError(f"{path} holds {rows:,} rows, not {archive.rows:,}: restore a copy of it")
        yield copy


@contextmanager
def _unreadable(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ArchiveError(f"{name} cannot be read back ({reason}): look at the disk") from error


def _body(archive: Archive) -> dict[str, Any]:
    return {"format": _FORMAT, **dataclasses.asdict(archive), "cutoff": archive.cutoff.astimezone(UTC).isoformat()}


def _parsed(body: dict[str, Any]) -> Archive:
    archive = Archive(**{name: value for name, value in body.items() if name != "format"})
    archive = dataclasses.replace(archive, cutoff=datetime.fromisoformat(body["cutoff"]))
    if _signed(_body(archive)) != _signed(body):
        raise ValueError("not the manifest of an archive")
    return archive
