"""What outside of the database still holds a conversation: archives, backups, rollback dumps, exports, and databases
that restores have kept.

Belongs here: looking for it. Does not belong here: deleting rows and the record of it (run.py). Archives are read row
by row. Nobody looks inside the others: those are named because they may hold it.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.operations.backup.files import is_id
from hotdash_pipelines.operations.erasure.run import BY_JSON, JSON_KEYS, Holder
from hotdash_pipelines.operations.restore.swap import named
from hotdash_pipelines.storage import Store

if TYPE_CHECKING:
    import psycopg

_EXPORT = "training_data_"
_ROLLBACK = "rollback-"
# As long as each backup's.
_AN_ID = "20260101T000000Z-00000000"


def find(
    subject: str,
    *,
    archive: Store,
    backups: Store,
    exports: Store,
    rollback_dumps: Path,
    databases: Collection[str] = (),
    read_before: Collection[str] = (),
    reading: Callable[[str], None] = lambda _: None,
) -> list[Holder]:
    """Every file that holds the conversation, with its rows, or that may hold it, without; databases too.

    `databases` are the kept ones. Archives in `read_before` are passed over. `reading` is told the path of each archive
    before it is read. Raises StoreError.
    """
    return [
        *_archives(subject, archive, read_before, reading),
        *(Holder("backup", name) for name in sorted(backups.folders()) if is_id(name)),
        *(Holder("rollback", path.name) for path in _dumps(rollback_dumps)),
        *(Holder("export", name) for name in sorted(exports.folders()) if name.startswith(_EXPORT)),
        *(Holder("database", name) for name in sorted(databases)),
    ]


def kept_databases(conn: "psycopg.Connection[Any]") -> list[str]:
    """Names of the databases that restores of this one have kept, with everything that was in it then."""
    prefix = named(conn.info.dbname, "before", _AN_ID).removesuffix(_AN_ID)
    names = conn.execute(
        "select datname from pg_database where left(datname, length(%(prefix)s)) = %(prefix)s "
        "and substr(datname, length(%(prefix)s) + 1) ~ '^[0-9]{8}T[0-9]{6}Z-[0-9a-f]*(_[0-9]+)?$'",
        {"prefix": prefix},
    )
    return [name for (name,) in names]


def _dumps(folder: Path) -> list[Path]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.name.startswith(_ROLLBACK) and path.is_dir())


def _archives(
    subject: str, store: Store, read_before: Collection[str], reading: Callable[[str], None]
) -> Iterator[Holder]:
    for path in store.list(""):
        if not path.endswith(".parquet") or path in read_before:
            continue
        reading(path)
        with tempfile.TemporaryDirectory(prefix="hotdash-erase-") as folder:
            copy = Path(folder, "archive.parquet")
            try:
                store.fetch(path, copy)
            except FileNotFoundError:
                continue
            rows = rows_about(subject, copy)
        if rows != 0:
            yield Holder("archive", path, rows)


def rows_about(subject: str, file: Path) -> int | None:
    """How many rows of a Parquet file are about the conversation; None when it cannot be read to its end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pc = compute()
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            names = opened.schema_arrow.names
            if "conversation_id" in names:
                batches = opened.iter_batches(columns=["conversation_id"])
                return sum(pc.sum(pc.equal(batch[0], subject)).as_py() or 0 for batch in batches)
            named = [name for name in BY_JSON.values() if name in names]
            return sum(
                any(_names(subject, text) for text in row.values() if text is not None)
                for batch in opened.iter_batches(columns=named)
                for row in batch.to_pylist()
            )
    except (pa.ArrowException, OSError, ValueError, RecursionError):
        return None


def _names(subject: str, text: str) -> bool:
    """Whether the JSON names the conversation, as Postgres' ->> would say."""
    if subject not in text:
        return False
    value = json.loads(text, parse_int=str, parse_float=str)
    return isinstance(value, dict) and any(value.get(key) == subject for key in JSON_KEYS)
