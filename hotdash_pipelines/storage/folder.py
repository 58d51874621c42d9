"""Files in a local folder, and how a disk's refusals are told.

Belongs here: atomic writing, adding what is never overwritten, folders and files for their owner alone. Does not belong
here: what the files mean (lake, operations).
"""

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.storage.store import COPIED_AT_ONCE, StoreError

_TEMPORARY = ".partial-"
_LOCK = ".lock"


class FolderStore:
    """Files below a local folder. A write is a temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """See Store."""
        with disk_errors(path):
            return (self._root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """See Store."""
        self.put(path, io.BytesIO(data))

    def put(self, path: str, content: BinaryIO) -> None:
        """See Store."""
        target = self._root / path
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        with disk_errors(path):
            make_private(target.parent)
            try:
                private_file(temporary)
                with temporary.open("wb") as file:
                    shutil.copyfileobj(content, file, COPIED_AT_ONCE)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)

    def exists(self, path: str) -> bool:
        """See Store."""
        return (self._root / path).is_file()

    def add(self, path: str, source: Path) -> None:
        """See Store. What it writes only the owner may read: these files are dumps, archives and exports."""
        target = self._root / path
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        with disk_errors(path):
            make_private(target.parent)
            try:
                with source.open("rb") as data, temporary.open("xb") as file:
                    temporary.chmod(0o600)
                    shutil.copyfileobj(data, file, COPIED_AT_ONCE)
                    file.flush()
                    os.fsync(file.fileno())
                # A link, unlike a rename, refuses a name that is taken.
                target.hardlink_to(temporary)
            finally:
                temporary.unlink(missing_ok=True)
            # Rows go once their archive stands here: no power cut may take a folder that is new, whoever made it.
            for folder in (target.parent, *target.parent.parents):
                _sync_folder(folder)
                if folder == self._root:
                    break

    def fetch(self, path: str, target: Path) -> None:
        """See Store."""
        with disk_errors(path), (self._root / path).open("rb") as data:
            private_file(target)
            with target.open("wb") as file:
                shutil.copyfileobj(data, file, COPIED_AT_ONCE)

    def chunks(self, path: str) -> Iterator[bytes]:
        """See Store."""
        with disk_errors(path), (self._root / path).open("rb") as data:
            yield from iter(lambda: data.read(COPIED_AT_ONCE), b"")

    def size(self, path: str) -> int:
        """See Store."""
        with disk_errors(path):
            return (self._root / path).stat().st_size

    def list(self, prefix: str) -> list[str]:
        """See Store."""
        paths = []
        with disk_errors(prefix):
            for folder, _, names in os.walk(self._root / prefix):
                kept = (name for name in names if name != _LOCK and not name.startswith(_TEMPORARY))
                paths += [Path(folder, name).relative_to(self._root).as_posix() for name in kept]
        return sorted(paths)

    def delete(self, path: str) -> None:
        """See Store."""
        with disk_errors(path):
            (self._root / path).unlink(missing_ok=True)

    def sweep(self, prefix: str) -> None:
        """See Store."""
        with disk_errors(prefix):
            for left in (self._root / prefix).glob(f"{_TEMPORARY}*"):
                left.unlink(missing_ok=True)

    @contextlib.contextmanager
    def exclusive(self, prefix: str) -> Iterator[None]:
        """See Store."""
        folder = self._root / prefix
        with disk_errors(prefix):
            make_private(folder)
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def folders(self) -> set[str]:
        """See Store. A link is no folder: it may lead anywhere."""
        with disk_errors(str(self._root)):
            try:
                with os.scandir(self._root) as entries:
                    return {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
            except FileNotFoundError:
                return set()

    def clear(self, folder: str) -> None:
        """See Store."""
        with disk_errors(folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)
            _sync_folder(self._root)

    def uri(self, path: str) -> str:
        """See Store."""
        return str(self._root / path)


def disk_errors(path: str) -> contextlib.AbstractContextManager[None]:
    """Tell of a disk's refusal in one line; a file that is missing, or there already, passes as it is."""
    passing = (FileNotFoundError, FileExistsError)
    return told_of_disk(StoreError, f"the disk refused {path}: {{reason}}", passing=passing)


@contextlib.contextmanager
def told_of_disk(kind: type[HotdashError], text: str, *, passing: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn OSErrors into `kind`, but those that are `passing`; `{reason}` in the text is what the system said."""
    try:
        yield
    except passing:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
        raise kind(text.replace("{reason}", reason)) from error


def make_private(folder: Path) -> None:
    """Create a folder and the missing ones above it, for its owner alone. Folders that exist stay as they are."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(new.parent)


def private_file(path: Path) -> None:
    """Create an empty file that only its owner may read. Raises FileExistsError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def digest_of(file: BinaryIO) -> str:
    """sha256 of an open local file, in hex; the file stands at its start before and after."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    file.seek(0)
    return digest


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
