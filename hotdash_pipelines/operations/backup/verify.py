"""Looking at a backup again: its files bit by bit, and its dump decoded to the last row.

Belongs here: levels 1 and 2. Does not belong here: level 3, the restore into a scratch database
(operations/restore/check.py).
"""

import hashlib
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from hotdash_pipelines.operations.backup.files import (
    DATA,
    BackupError,
    BackupManifest,
    FileFacts,
    check_sizes,
    path_of,
    read_manifest,
)
from hotdash_pipelines.operations.backup.tables import SQL_PART, split_name, table_name
from hotdash_pipelines.storage import Store
from hotdash_pipelines.warehouse.server.binaries import tool_for_server

Progress = Callable[[str], None]
_READ = 1 << 20
# A little compressed text may stand for a lot of plain text; this bounds how much of it is in memory.
_DECODED_AT_ONCE = 1 << 16
_COPY = re.compile(rb"(?:^|\n)COPY ([^\n]*) FROM stdin;\n")
_TARGET = re.compile(rf"{SQL_PART}\.{SQL_PART}")
_END = b"\\.\n"


def verify_quick(
    store: Store, backup_id: str, key: str | None = None, on_progress: Progress | None = None
) -> BackupManifest:
    """Level 1: the manifest's digest and signature, every file's size and sha256, read from the store in pieces.

    Returns the manifest. Raises BackupError for whatever differs, StoreError when the store cannot be read.
    """
    manifest = read_manifest(store, backup_id, key)
    check_files(store, manifest, on_progress)
    return manifest


def check_files(store: Store, manifest: BackupManifest, on_progress: Progress | None = None) -> None:
    """Raise BackupError unless every file has the size and the sha256 of a manifest that is believed already."""
    check_sizes(store, manifest)
    for name, facts in manifest.files.items():
        if on_progress:
            on_progress(f"reading {facts.bytes / 1e6:,.1f} MB of {name}")
        digest = hashlib.sha256()
        for chunk in store.chunks(path_of(store, manifest.id, name)):
            digest.update(chunk)
        if digest.hexdigest() != facts.sha256:
            raise _differs(manifest.id)


def verify_decode(
    store: Store, backup_id: str, key: str | None = None, on_progress: Progress | None = None
) -> BackupManifest:
    """Level 2: level 1, and in the same pass the whole dump decoded and its rows counted against the manifest.

    Returns the manifest. Raises BackupError, StoreError, EmbeddedPostgresError (no pg_restore that is new enough).
    """
    manifest = read_manifest(store, backup_id, key)
    check_sizes(store, manifest)
    if on_progress:
        on_progress(f"decoding {manifest.bytes / 1e6:,.1f} MB")
    chunks = store.chunks(path_of(store, backup_id, DATA))
    check_dump(backup_id, chunks, manifest.client_major, manifest.files[DATA], row_counts(manifest))
    return manifest


def row_counts(manifest: BackupManifest) -> dict[str, int]:
    """Rows by table, as the manifest has them."""
    return {name: table.rows for name, table in manifest.tables.items()}


def check_dump(
    backup_id: str, chunks: Iterable[bytes], client_major: int, facts: FileFacts, rows: Mapping[str, int]
) -> None:
    """Decode a compressed dump from its first byte to its last; raise BackupError where it differs from what it should
    be: digest, compression, archive, the rows of each table.

    `client_major` is the version of the pg_dump that wrote it.
    """
    decoding = _Decoding(chunks, client_major)
    held = decoding.run()
    if decoding.facts != facts:
        raise _differs(backup_id)
    if decoding.problem:
        raise BackupError(f"{DATA} of {backup_id} does not decode ({decoding.problem}): use another backup")
    wrong = {name: count for name, count in rows.items() if held.get(name) != count}
    if wrong:
        name, count = min(wrong.items())
        raise BackupError(
            f"{DATA} of {backup_id} has {held.get(name, 0):,} rows of {name} instead of {count:,}: use another backup"
        )


def local_chunks(path: Path) -> Iterator[bytes]:
    """A local file in pieces."""
    with path.open("rb") as file:
        yield from iter(lambda: file.read(_READ), b"")


def _differs(backup_id: str) -> BackupError:
    return BackupError(f"{DATA} of {backup_id} is damaged (its sha256 differs): use another backup")


class _Digested:
    """Chunks passed on, their size and sha256 kept."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._digest = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk

    @property
    def facts(self) -> FileFacts:
        return FileFacts(self._size, self._digest.hexdigest())


class _Decoding:
    """One run of pg_restore that writes to nowhere while a thread feeds it the decompressed dump."""

    def __init__(self, chunks: Iterable[bytes], client_major: int) -> None:
        self._chunks = _Digested(chunks)
        self._program = tool_for_server("pg_restore", client_major)
        self._error: BaseException | None = None
        self.problem: str | None = None

    @property
    def facts(self) -> FileFacts:
        """Size and digest of what was read."""
        return self._chunks.facts

    def run(self) -> dict[str, int]:
        """Rows of each table; `problem` is what kept the dump from being decoded whole. Reads the chunks to the end."""
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(  # noqa: S603 - a fixed program
                [self._program, "--data-only", "--file=-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            ) as running,
        ):
            assert running.stdin is not None  # noqa: S101 - for the type checker
            assert running.stdout is not None  # noqa: S101 - for the type checker
            feeder = threading.Thread(target=self._feed, args=(running.stdin,))
            feeder.start()
            try:
                rows, is_whole = _count(running.stdout)
            except BaseException:
                running.kill()
                raise
            finally:
                feeder.join()
            code = running.wait()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")
        if self._error:
            raise self._error
        if not self.problem and (code or not is_whole):
            self.problem = error_line(said) or "the archive ends early"
        return rows

    def _feed(self, target: IO[bytes]) -> None:
        try:
            self.problem = self._decode(target)
            # The digest is wanted also of what could not be decoded.
            for _ in self._chunks:
                pass
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._error = error
        finally:
            with suppress(OSError):
                target.close()

    def _decode(self, target: IO[bytes]) -> str | None:
        import zstandard

        decoder = zstandard.ZstdDecompressor().decompressobj()
        try:
            for chunk in self._chunks:
                for start in range(0, len(chunk), _DECODED_AT_ONCE):
                    if decoder.eof:
                        return "something follows the compressed data"
                    target.write(decoder.decompress(chunk[start : start + _DECODED_AT_ONCE]))
        except zstandard.ZstdError:
            return "the compressed data is damaged"
        except BrokenPipeError:
            # pg_restore gave up, and says why itself.
            return None
        return None if decoder.eof and not decoder.unused_data else "the compressed data ends early or too late"


def _count(stream: IO[bytes]) -> tuple[dict[str, int], bool]:
    """Rows of each table in the SQL that pg_restore writes, and whether the last table was complete.

    COPY's text form keeps a row on one line: a newline inside a value is written as \\n, a backslash as two.
    """
    rows: dict[str, int] = {}
    table: str | None = None
    left = b""
    while chunk := stream.read(_READ):
        text, at = left + chunk, 0
        while True:
            if table is None:
                header = _COPY.search(text, at)
                if header is None:
                    left = text[max(at, text.rfind(b"\n")) :]
                    break
                table, at = _copied(header[1]), header.end()
                rows[table] = 0
            ends = at if text.startswith(_END, at) else text.find(b"\n" + _END, at) + 1
            if ends or (not at and text.startswith(_END)):
                rows[table] += text.count(b"\n", at, ends)
                # The newline after the end stays: the next header begins behind one.
                table, at = None, ends + len(_END) - 1
            else:
                cut = max(at, text.rfind(b"\n", at) + 1)
                rows[table] += text.count(b"\n", at, cut)
                left = text[cut:]
                break
    return rows, table is None


def _copied(target: bytes) -> str:
    """The table of `schema.table (columns)` as pg_dump spells it."""
    match = _TARGET.match(target.decode())
    return table_name(*split_name(match[0])) if match else target.decode()


def error_line(said: str) -> str | None:
    """What a Postgres program complained of first, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((line for line in lines if "error:" in line), lines[0] if lines else None)
    return first.partition("error: ")[2] or first if first else None
