"""One `hotdash up` a home, and nothing left over from an earlier one.

Belongs here: the lock, and ending what a killed `hotdash up` left running. Does not belong here: the embedded server,
which has a lock of its own and outlives its starter by design (warehouse.server.embedded).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotdash_pipelines.local.children import ChildError

# Every process that `hotdash up` starts inherits this variable; its value is the home.
_MARK = "HOTDASH_UP"
_GRACE_S = 5.0


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the home for this process; the kernel lets go of it even after SIGKILL. ChildError when it is held.

    Whatever a killed `hotdash up` of this home left running (dbt, the stand-in store, Dagster) is ended first: it
    would go on writing beside this one.
    """
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
        end_leftovers(home)
        os.environ[_MARK] = str(home.resolve())
        yield
    finally:
        os.environ.pop(_MARK, None)
        os.close(handle)


def end_leftovers(home: Path) -> list[int]:
    """End the processes that carry the home's mark, and return their ids. Only for the holder of the lock."""
    import psutil

    leftovers = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == str(home.resolve()):
                process.terminate()
                leftovers.append(process)
        except psutil.Error:
            continue
    for process in psutil.wait_procs(leftovers, timeout=_GRACE_S)[1]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return [process.pid for process in leftovers]
