"""What every store of files can do.

Belongs here: the protocol and its error. Does not belong here: a folder (folder.py), a bucket (bucket.py), which of
them an address names (open.py).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from hotdash_pipelines.base.errors import HotdashError

COPIED_AT_ONCE = 1 << 20


class StoreError(HotdashError):
    """The store cannot be read or written. The message is one line without credentials."""


class Store(Protocol):
    """Files by path (`/` between parts, relative to the root). Every method raises StoreError when the store fails."""

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError when it is not there."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or replace the file: readers see the old content or the new, never a part."""
        ...

    def put(self, path: str, content: BinaryIO) -> None:
        """`write` for content of any size, read from where the open file stands. It may be closed afterwards."""
        ...

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        ...

    def add(self, path: str, source: Path) -> None:
        """Copy a finished local file to a path that nothing has yet, of any size; the source stays.

        Raises FileExistsError when the path is taken, whatever it holds: what was added is never overwritten.
        """
        ...

    def fetch(self, path: str, target: Path) -> None:
        """Copy the file to the new local file `target`, of any size. Raises FileNotFoundError when it is not there."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """The file in pieces of at most a megabyte, of any size. Raises FileNotFoundError when it is not there."""
        ...

    def size(self, path: str) -> int:
        """Bytes of the file. Raises FileNotFoundError when it is not there."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Paths of the finished files below the folder `prefix`, sorted."""
        ...

    def delete(self, path: str) -> None:
        """Remove the file; nothing happens when it is not there."""
        ...

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left in the folder `prefix`. Only inside `exclusive`."""
        ...

    def exclusive(self, prefix: str) -> AbstractContextManager[None]:
        """One writer of the folder `prefix` at a time, on one machine. A bucket has no such lock."""
        ...

    def folders(self) -> set[str]:
        """Names of the folders right below the root; those that hold unfinished files only are among them."""
        ...

    def clear(self, folder: str) -> None:
        """Remove a folder with everything in it, unfinished files included; nothing happens when it is not there."""
        ...

    def uri(self, path: str) -> str:
        """Address to show for a file or folder."""
        ...
