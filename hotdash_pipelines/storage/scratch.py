"""Folders for unfinished work on the local disk, which the next run removes when their owner was killed.

Belongs here: making, holding and sweeping them. Does not belong here: what is in them.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hotdash_pipelines.storage.folder import make_private

_PREFIX = "work-"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(root: Path, name: str) -> Iterator[Path]:
    """A private folder below `root`, removed at the end; folders whose owner is gone are removed first.

    The owner holds a lock that ends with its process, so one that still works loses nothing. Raises OSError.
    """
    make_private(root)
    folder = root / f"{_PREFIX}{name}"
    with _locked(root):
        _sweep(root)
        folder.mkdir(mode=0o700)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sweep(root: Path) -> None:
    for left in root.glob(f"{_PREFIX}*"):
        handle = None
        with contextlib.suppress(OSError):
            # Without its lock it was left behind before there was anything in it.
            if (left / _LOCK).exists():
                handle = os.open(left / _LOCK, os.O_RDWR)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
        if handle is not None:
            os.close(handle)
