"""pg_dump piped through zstd into a file, beside whatever else its caller does meanwhile.

Belongs here: the command, the pipe, its failures. Does not belong here: what is dumped and why (run.py).
"""

import fcntl
import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.files import FileFacts
from hotdash_pipelines.operations.backup.kinds import KINDS, Scope
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.operations.backup.verify import error_line
from hotdash_pipelines.warehouse.postgres import libpq_env
from hotdash_pipelines.warehouse.server.binaries import tool_for_server

_LOCK_WAIT = "30s"
# A million queries pack to 65 MB in 0.6 s of a core at level 1, and to 75 MB in 1.4 s at the usual 3.
_LEVEL = 1
# The widest pipe that Linux gives to everybody: fewer turns between pg_dump and the compressor.
_PIPE_BYTES = 1 << 20


def dump_command(
    major: int, snapshot: str, scope: Scope, tables: Sequence[CatalogTable], left_out: Sequence[str], role: str | None
) -> list[str]:
    """pg_dump's arguments. They hold no secret: everybody on the machine may read them."""
    program = tool_for_server("pg_dump", major)
    options = [
        "--format=custom", "--compress=0", "--no-password", "--no-subscriptions", f"--lock-wait-timeout={_LOCK_WAIT}",
        f"--snapshot={snapshot}",
    ]  # fmt: skip
    if role:
        options.append(f"--role={role}")
    return [str(program), *options, *KINDS[scope].options(tables, left_out)]


class Dump:
    """A running dump. Leaving the context ends pg_dump, finished or not."""

    def __init__(self, command: Sequence[str], url: str, target: Path) -> None:
        self._command, self._url, self._target = command, url, target
        self._error: BaseException | None = None
        self._facts: FileFacts | None = None

    def __enter__(self) -> Self:
        self._complaints = tempfile.TemporaryFile()
        environment = {**os.environ, **libpq_env(self._url), "PGAPPNAME": "hotdash backup"}
        self._running = subprocess.Popen(  # noqa: S603 - a fixed program
            self._command, env=environment, stdout=subprocess.PIPE, stderr=self._complaints
        )
        self._writer = threading.Thread(target=self._write)
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.kill()
        self._writer.join()
        self._running.wait()
        if self._running.stdout:
            self._running.stdout.close()
        self._complaints.close()

    def raise_failure(self) -> None:
        """Raise what the dump failed with, if it did already."""
        if self._error:
            raise self._error

    def finish(self) -> FileFacts:
        """Wait for the end; size and sha256 of the file, which is on the disk then. Raises BackupError, OSError."""
        self._writer.join()
        self.raise_failure()
        assert self._facts is not None  # noqa: S101 - for the type checker
        return self._facts

    def _write(self) -> None:
        try:
            assert self._running.stdout is not None  # noqa: S101 - for the type checker
            self._facts = _compress(self._running.stdout, self._target)
            if self._running.wait() != 0:
                self._complaints.seek(0)
                said = error_line(self._complaints.read().decode(errors="replace")) or "it gave no reason"
                raise BackupError(f"pg_dump failed ({said}): mend that, then run the backup again")
        except BaseException as error:  # noqa: BLE001 - raised again by finish()
            self._error = error
            self._running.kill()


def _compress(source: IO[bytes], target: Path) -> FileFacts:
    import zstandard

    # Not everywhere, and not for everybody: the dump is only slower without.
    with suppress(OSError, AttributeError):
        fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    digest, size = hashlib.sha256(), 0
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        while plain := source.read(_PIPE_BYTES):
            packed = compressor.compress(plain)
            reach("backup.dumping")
            size += _write_whole(file, packed, digest)
        size += _write_whole(file, compressor.flush(), digest)
        os.fsync(file.fileno())
    return FileFacts(size, digest.hexdigest())


def _write_whole(file: IO[bytes], data: bytes, digest: "hashlib._Hash") -> int:
    digest.update(data)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    return len(data)
