"""Building the missing indexes, one after the other, while the warehouse goes on working.

Belongs here: CREATE INDEX CONCURRENTLY with what it leaves behind when it fails.
Does not belong here: which indexes are missing (indexes.py), dropping an index that works.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.warehouse.advice.model import AdviceTable, MissingIndex
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, describe

if TYPE_CHECKING:
    import psycopg

# Any fixed number will do; it is the name of the lock that keeps two commands from building the same.
_LOCK = 0x686F74_69647800
_POLL_SECONDS = 0.5

_INVALID = """
select 1 from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indrelid = %s and c.relname = %s and not i.indisvalid
"""
# What CREATE INDEX CONCURRENTLY holds on its table from its first to its last transaction.
_BUSY = """
select 1 from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.relation = %s and l.mode = 'ShareUpdateExclusiveLock'
    and l.database = (select oid from pg_database where datname = current_database())
    and a.backend_type is distinct from 'autovacuum worker' and l.pid <> pg_backend_pid()
"""
_PROGRESS = """
select phase, coalesce(100.0 * blocks_done / nullif(blocks_total, 0), 100.0 * tuples_done / nullif(tuples_total, 0))
from pg_stat_progress_create_index where pid = %s
"""


class AdviceError(HotdashError):
    """Indexes cannot be built now. One line, says what to do."""


@dataclass(frozen=True)
class Built:
    """What became of one index; `note` says what was cleared away, or why it failed."""

    index: MissingIndex
    state: Literal["created", "failed", "by hand"]
    note: str = ""


Report = Callable[[str], None]


def build(url: str, indexes: Sequence[MissingIndex], report: Report, lock_timeout_seconds: int = 30) -> Iterator[Built]:
    """Build each index concurrently and tell its progress in lines; one that fails does not stop the others.

    An invalid index of the same name, left by a build that was cut off, is dropped first; one that fails now is dropped
    at once. Raises AdviceError when another command builds already.
    """
    with _builder(url, lock_timeout_seconds) as conn:
        for index in indexes:
            if index.ddl is None:
                yield Built(index, "by hand", "a partitioned table: build it on each partition, then on the table")
                continue
            yield _build(url, conn, index, report, lock_timeout_seconds)


@contextmanager
def _builder(url: str, lock_timeout_seconds: int) -> "Iterator[psycopg.Connection[Any]]":
    with connect(url, autocommit=True) as conn:
        _prepare(conn, lock_timeout_seconds)
        # When this process is killed the server would finish the build for nobody; so it looks after its client.
        conn.execute("select set_config('client_connection_check_interval', '1s', false)")
        row = conn.execute("select pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        if not row or not row[0]:
            raise AdviceError(f"another command builds indexes in {describe(url)}: wait for it, then run again")
        yield conn


def _prepare(conn: "psycopg.Connection[Any]", lock_timeout_seconds: int) -> None:
    conn.execute("select set_config('lock_timeout', %s, false)", (f"{lock_timeout_seconds}s",))
    conn.execute("select set_config('statement_timeout', '0', false)")


def _build(
    url: str, conn: "psycopg.Connection[Any]", index: MissingIndex, report: Report, lock_timeout_seconds: int
) -> Built:
    import psycopg

    table, note = index.table, ""
    if conn.execute(_BUSY, (table.oid,)).fetchone():
        return Built(
            index, "failed", f"another session builds or vacuums on {table.qualified}: wait for it, then run again"
        )
    try:
        if _drop_invalid(conn, table, index.name):
            note = f"dropped the invalid {index.name} that a build cut off earlier had left"
            report(note)
        with _told(url, conn.info.backend_pid, index.name, report):
            conn.execute((index.ddl or "").encode())
    except psycopg.Error as error:
        return Built(index, "failed", f"{_reason(error)}; {_clear(url, index, lock_timeout_seconds)}")
    except KeyboardInterrupt:
        report(_clear(url, index, lock_timeout_seconds))
        raise
    return Built(index, "created", note)


def _drop_invalid(conn: "psycopg.Connection[Any]", table: AdviceTable, name: str) -> bool:
    from psycopg import sql

    if not conn.execute(_INVALID, (table.oid, name)).fetchone():
        return False
    conn.execute(sql.SQL("drop index concurrently {}").format(sql.Identifier(table.schema, name)))
    return True


def _clear(url: str, index: MissingIndex, lock_timeout_seconds: int) -> str:
    """Drop what the failed build left, on a connection of its own: the builder's may be dead. Returns what was done."""
    import psycopg

    try:
        with connect(url, autocommit=True) as conn:
            _prepare(conn, lock_timeout_seconds)
            if _drop_invalid(conn, index.table, index.name):
                return f"dropped the invalid {index.name} that it left"
            return "it left nothing behind"
    except (psycopg.Error, WarehouseError):
        return f"it may have left {index.name} invalid on {index.table.sql}: run again, which drops it first"


def _reason(error: "psycopg.Error") -> str:
    import psycopg

    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "gave up waiting for other sessions' transactions"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "this user does not own the table: run as its owner"
    if isinstance(error, psycopg.errors.DiskFull):
        return "the server's disk is full"
    return f"the server refused (SQLSTATE {error.sqlstate or 'none: the connection was lost'})"


@contextmanager
def _told(url: str, pid: int, name: str, report: Report) -> Iterator[None]:
    """While the block runs, the phase and share of the build that the server tells about it, each time it changes."""
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(url, pid, name, report, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join(5)


def _tell(url: str, pid: int, name: str, report: Report, done: threading.Event) -> None:
    import psycopg

    last = ""
    try:
        with connect(url, autocommit=True) as conn:
            while not done.wait(_POLL_SECONDS):
                row = conn.execute(_PROGRESS, (pid,)).fetchone()
                if row:
                    share = "" if row[1] is None else f" {row[1]:.0f} %"
                    line = f"{name}: {row[0]}{share}"
                    if line != last:
                        report(line)
                    last = line
    except (psycopg.Error, WarehouseError):
        report(f"{name}: building; its progress cannot be read")
