"""The responses of one window on their way: packed on the disk as they come, so that memory holds a megabyte of them.

Belongs here: how much memory a reading may take and where the rest lies; keeping pages, replacing one, handing them on.
Does not belong here: what is in a page (sources, contracts), the lake's files (lake).

The file has no name: it is its owner's alone, and it is gone when the process is, however that ends.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hotdash_pipelines.storage.folder import disk_errors, make_private

_BLOCK_BYTES = 1 << 20
_LINE_FEED = b"\n"


@dataclass(frozen=True)
class Workspace:
    """What reading one window may use: `memory` in bytes beyond the base process, `folder` for unfinished files.

    Without a folder the system's temporary one is used, which may itself be memory.
    """

    folder: Path | None = None
    memory: int = 256 << 20

    @property
    def group_bytes(self) -> int:
        """How many bytes of responses are parsed together; parsing takes several times as much, for some groups."""
        return self.memory // 40

    @property
    def batch_bytes(self) -> int:
        """How many bytes of rows are loaded together."""
        return self.memory // 64

    def unnamed_file(self) -> BinaryIO:
        """An open file without a name. Raises StoreError."""
        with disk_errors("an unfinished file"):
            if self.folder:
                make_private(self.folder)
            return tempfile.TemporaryFile(dir=self.folder)


@dataclass(frozen=True)
class _Block:
    """Pages that were packed together: where, and the pages' lengths with their line feeds."""

    start: int
    packed: int
    lengths: tuple[int, ...]


class Spool:
    """Pages in the order they came, like a list of bytes. A context manager; one thread uses it.

    Line feeds inside a page become spaces: JSON allows none inside its strings, so only white space is touched.
    Raises StoreError when the disk refuses.
    """

    def __init__(self, workspace: Workspace | None = None, pages: Iterable[bytes] = ()) -> None:
        self._workspace = workspace or Workspace()
        self._file = self._workspace.unnamed_file()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._going: Future[None] | None = None
        self._reset()
        for page in pages:
            self.append(page)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()
        self._file.close()

    def __len__(self) -> int:
        return self._count + len(self._open)

    def __iter__(self) -> Iterator[bytes]:
        self._finish()
        index = 0
        for block in self._blocks:
            for page in self._pages(block):
                replaced = self._replaced.get(index)
                yield self._pages(replaced)[0] if replaced else page
                index += 1

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._finish()
        if index in self._replaced:
            return self._pages(self._replaced[index])[0]
        for block in self._blocks:
            if index < len(block.lengths):
                return self._pages(block)[index]
            index -= len(block.lengths)
        raise IndexError(index)

    def __setitem__(self, index: int, page: bytes) -> None:
        """Put another page in the place of one."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._finish()
        self._replaced[index] = self._store([_one_line(page) + _LINE_FEED])

    def append(self, page: bytes) -> None:
        """Add a page at the end."""
        self._open.append(_one_line(page) + _LINE_FEED)
        self._open_bytes += len(self._open[-1])
        if self._open_bytes >= _BLOCK_BYTES:
            self._pack()

    def clear(self) -> None:
        """Forget all pages: the reading begins anew."""
        self._finish()
        self._file.truncate(0)
        self._reset()

    def packed(self) -> BinaryIO:
        """All pages, one a line, as zstd frames; the same pages give the same bytes. Stays the spool's own."""
        self._finish()
        if self._replaced:
            with Spool(self._workspace, self) as anew:
                anew._finish()
                self._file, anew._file = anew._file, self._file
                self._blocks, self._end, self._replaced = anew._blocks, anew._end, {}
        self._file.seek(0)
        return self._file

    def _reset(self) -> None:
        self._blocks: list[_Block] = []
        self._count = self._end = self._open_bytes = 0
        self._open: list[bytes] = []
        self._replaced: dict[int, _Block] = {}

    def _pack(self) -> None:
        """Hand the open block to the worker, once it is done with the last one."""
        self._wait()
        if self._open:
            self._going = self._worker.submit(self._write, self._open)
            self._count += len(self._open)
            self._open, self._open_bytes = [], 0

    def _write(self, pages: list[bytes]) -> None:
        self._blocks.append(self._store(pages))

    def _store(self, pages: list[bytes]) -> _Block:
        import pyarrow as pa

        frame = pa.Codec("zstd").compress(b"".join(pages), asbytes=True)
        start = self._end
        with disk_errors("the responses on their way"):
            self._file.seek(start)
            self._file.write(frame)
        self._end += len(frame)
        return _Block(start, len(frame), tuple(map(len, pages)))

    def _wait(self) -> None:
        going, self._going = self._going, None
        if going is not None:
            going.result()

    def _finish(self) -> None:
        self._pack()
        self._wait()

    def _pages(self, block: _Block) -> list[bytes]:
        import pyarrow as pa

        with disk_errors("the responses on their way"):
            self._file.flush()
            frame = os.pread(self._file.fileno(), block.packed, block.start)
        content = pa.Codec("zstd").decompress(frame, sum(block.lengths), asbytes=True)
        return content.split(_LINE_FEED)[:-1]


def _one_line(page: bytes) -> bytes:
    return page.replace(_LINE_FEED, b" ")
