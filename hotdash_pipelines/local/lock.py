"""One `hotdash up` a home.

Belongs here: the lock. Does not belong here: the embedded server's own lock (warehouse.embedded).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotdash_pipelines.local.children import ChildError


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the home for this process; the kernel lets go of it even after SIGKILL. ChildError when it is held."""
    path = home / "up.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode().strip() or "unknown"
            raise ChildError(
                f"another `hotdash up` (process {owner}) runs in {home}: stop it, or set HOTDASH_HOME to another folder"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
