"""A window of messages through lake and load, as a program whose memory a test looks at.

`measured_window FOLDER URL MIB MEMORY_MIB HOW` reads a window of so many MiB into the lake and loads it twice: into
empty tables, and over its own rows. HOW is `stream`, or what is done with everything at once: `parse` or `load`.
Prints what it took beyond a process that has done the same with a window of one page, in MiB.
"""

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from benchmarks.paths import peak_mib
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.ingest.run import ingest_window, load_windows
from hotdash_pipelines.lake.partition import open_table, read_manifest
from hotdash_pipelines.sources import Fetched, Held, Pages
from hotdash_pipelines.storage import FolderStore, Workspace
from hotdash_pipelines.warehouse.loading.load import load_partition
from tests.synthetic import KEY, PROJECT, contract_of, window

NOW = datetime(2025, 3, 2, 4, 30, tzinfo=UTC)
MESSAGES = contract_of("chatwoot", "messages")
PAGE_BYTES, MESSAGE_BYTES = 256 << 10, 1 << 10
_MESSAGE = (
    '{"id":%d,"conversation_id":%d,"inbox_id":1,"message_type":0,"content":"%s","content_type":"text","private":false,'
    '"status":"sent","sender":{"id":7,"type":"contact"},"created_at":1740800000,'
    '"_read":{"is_deleted":false,"changed_at":1740800000.5}}'
)


class ParsesAtOnce(Workspace):
    """As if the whole window might be parsed at once."""

    @property
    def group_bytes(self) -> int:
        return 1 << 40


def pages(mib: int) -> Iterator[bytes]:
    """Responses of so many MiB, one small one for none, each with messages of a KiB."""
    messages = PAGE_BYTES // MESSAGE_BYTES
    for first in range(0, max(mib << 20, PAGE_BYTES) // MESSAGE_BYTES, messages):
        numbers = range(first, first + messages)
        texts = (_MESSAGE % (n, n // 9, (f"{n:x} " * MESSAGE_BYTES)[: MESSAGE_BYTES - 240]) for n in numbers)
        yield f'{{"payload":[{",".join(texts)}]}}'.encode()


def fetch(store: FolderStore, project: str, mib: int, workspace: Workspace) -> None:
    """The window into the lake."""

    def read(_client: object, _contract: Contract, _window: object, _held: Held, spool: Pages) -> Fetched:
        for page in pages(mib):
            spool.append(page)
        return Fetched(spool, len(spool), None, "v1", None)

    ingest_window(MESSAGES, None, read, store, project, window(), NOW, workspace=workspace)


def load(store: FolderStore, url: str, project: str, workspace: Workspace) -> None:
    """The window from the lake into the tables, twice."""
    for _ in range(2):
        for _loaded in load_windows(MESSAGES, store, url, project, [window()], NOW, workspace):
            pass


def load_at_once(store: FolderStore, url: str, project: str, workspace: Workspace) -> None:
    """The same as if the table were read before it is loaded."""
    manifest = read_manifest(store, MESSAGES, project, KEY)
    assert manifest is not None

    @contextlib.contextmanager
    def whole(table: str) -> Iterator[pa.RecordBatchReader]:
        with open_table(store, MESSAGES, manifest, table, workspace) as rows:
            yield rows.read_all().to_reader()

    load_partition(url, MESSAGES, project, manifest, whole, NOW)


def main(folder: str, url: str, mib: str, memory: str, how: str) -> None:
    """Measure one window and print the MiB that it took."""
    store = FolderStore(Path(folder) / "lake")
    workspace = (ParsesAtOnce if how == "parse" else Workspace)(Path(folder) / "unfinished", int(memory) << 20)
    loads = load_at_once if how == "load" else load
    fetch(store, "small-shop", 0, workspace)
    loads(store, url, "small-shop", workspace)
    base = peak_mib()
    fetch(store, PROJECT, int(mib), workspace)
    loads(store, url, PROJECT, workspace)
    print(peak_mib() - base)


if __name__ == "__main__":
    main(*sys.argv[1:])
