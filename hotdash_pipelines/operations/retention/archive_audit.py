"""All archives of a store held against the database's records of them, and clearing what no run ever committed.

Belongs here: which archives stand, which are missing, damaged or left over. Does not belong here: one archive
(archive), writing them (run.py).
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.operations.retention import archive
from hotdash_pipelines.operations.retention.archive import ArchiveError
from hotdash_pipelines.operations.retention.rules import (
    SCHEMA,
    RetentionRule,
    as_retention,
    lock_of,
    retention_errors,
    rules,
)
from hotdash_pipelines.storage import Store
from hotdash_pipelines.storage.scratch import scratch_folder

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

# What a store may hold: an archive that a run committed, one that no run did, one without a manifest, one that is not
# what it was, a record without its archive, and a file that belongs to nothing.
State = Literal["kept", "left over", "unfinished", "damaged", "missing", "unknown"]
_RECORDS = """
select archive_uri, table_name, archived_rows, archive_sha256
from ops.retention_runs where state = 'deleted' and archive_uri is not null order by started_at, table_name, part
"""


@dataclass(frozen=True)
class Found:
    """One archive, one record of a missing archive, or one file that is neither. `problem` says what to do about it."""

    uri: str
    path: str | None
    state: State
    table: str | None = None
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    problem: str | None = None


def look(
    conn: "psycopg.Connection[Any]",
    store: Store,
    *,
    scratch: Path,
    key: str | None = None,
    decode: bool = True,
    table: str | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> list[Found]:
    """Every archive of the store (or of one table) and every record of one, in the order of their paths.

    With `decode` each archive is read whole and proven by the digest of its record; else by manifest and size alone.
    Raises StoreError, RetentionError when the records cannot be read.
    """
    records = {uri: told for uri, told in _records(conn).items() if table in (None, told[0])}
    archives = []
    for path in archive.list_archives(store, table or ""):
        if on_progress:
            on_progress(path)
        with scratch_folder(scratch, f"archive-{uuid.uuid4().hex[:12]}") as folder:
            archives.append(_look(store, path, records.pop(store.uri(path), None), folder, key, decode))
    for uri, (name, rows, sha256) in records.items():
        problem = "it is not there: look for it, or set HOTDASH_ARCHIVE_URL to where it was written"
        archives.append(Found(uri, None, "missing", name, rows, sha256=sha256, problem=problem))
    for path in archive.strangers(store, table or ""):
        problem = "it belongs to no archive: look what it is, and move it away"
        archives.append(Found(store.uri(path), path, "unknown", problem=problem))
    return archives


def _records(conn: "psycopg.Connection[Any]") -> dict[str, tuple[str, int, str]]:
    with retention_errors(conn.info.user), conn.transaction():
        records = conn.execute(_RECORDS).fetchall()
    return {uri: (table, rows, sha256) for uri, table, rows, sha256 in records}


def _look(
    store: Store, path: str, record: tuple[str, int, str] | None, scratch: Path, key: str | None, decode: bool
) -> Found:
    uri = store.uri(path)
    if record is None and not store.exists(path.removesuffix(archive.DATA) + archive.MANIFEST):
        problem = "a run was stopped before it was finished: `hotdash retention clean` takes it away"
        return Found(uri, path, "unfinished", path.partition("/")[0], problem=problem)
    try:
        if decode:
            known = archive.verify(store, path, scratch, key, record[2] if record else None)
        else:
            known = archive.open_archive(store, path, key)
            archive.check_size(store, known, record[2] if record else None)
    except ArchiveError as error:
        return Found(uri, path, "damaged", path.partition("/")[0], problem=str(error))
    facts = (known.table, known.rows, known.bytes, known.sha256)
    if record:
        return Found(uri, path, "kept", *facts)
    problem = "no run committed it: `hotdash retention clean` takes it away if all of its rows are still in the table"
    return Found(uri, path, "left over", *facts, problem=problem)


def clean(
    conn: "psycopg.Connection[Any]",
    store: Store,
    *,
    scratch: Path,
    key: str | None = None,
    dry_run: bool = False,
) -> list[Found]:
    """Remove the archives that no run committed, where each of their rows is still in its table; returns those.

    Whatever holds a row that is not in its table stays, whoever wrote it. Waits for nobody: tables that a run is
    working on are left alone. `conn` is in autocommit. Raises StoreError, RetentionError.
    """
    gone = []
    for rule in _every_rule():
        with _alone(conn, rule) as is_alone:
            # Looked for under the lock: what an open transaction has just stored is no leftover.
            archives = look(conn, store, scratch=scratch, key=key, decode=False, table=rule.table) if is_alone else []
            for left in archives:
                if left.path and _is_in_table(conn, store, left, rule, scratch, key):
                    gone.append(left)
                    if not dry_run:
                        # The manifest first: an archive without one is known to be no archive.
                        store.delete(left.path.removesuffix(archive.DATA) + archive.MANIFEST)
                        store.delete(left.path)
    return gone


def _every_rule() -> tuple[RetentionRule, ...]:
    return rules(
        retain_observability_logs_days=1,
        retain_decision_logs_days=1,
        retain_facts_days=1,
        retain_curated_replies_days=1,
    )


@contextmanager
def _alone(conn: "psycopg.Connection[Any]", rule: RetentionRule) -> Iterator[bool]:
    numbers = (lock_of(rule, "run"), lock_of(rule, "part"))
    had = []
    try:
        for number in numbers:
            if conn.execute("select pg_try_advisory_lock(%s)", (number,)).fetchone() == (True,):
                had.append(number)
        yield len(had) == len(numbers)
    finally:
        for number in had:
            conn.execute("select pg_advisory_unlock(%s)", (number,))


def _is_in_table(
    conn: "psycopg.Connection[Any]", store: Store, left: Found, rule: RetentionRule, scratch: Path, key: str | None
) -> bool:
    if left.state not in ("left over", "unfinished") or left.path is None:
        return False
    with scratch_folder(scratch, f"archive-{uuid.uuid4().hex[:12]}") as folder:
        opening = (
            archive.opened(store, left.path, folder, key)
            if left.state == "left over"
            else archive.opened_unproven(store, left.path, folder)
        )
        try:
            with opening as rows:
                return _all_there(conn, rows, rule)
        except ArchiveError:
            return False


def _all_there(conn: "psycopg.Connection[Any]", rows: "pa.Table", rule: RetentionRule) -> bool:
    """Whether each row is in the table, known by its key and by when it was made: numbers may be given twice."""
    statement = (
        f"select count(*) from unnest(%s::bigint[], %s::timestamptz[]) as kept (key, created_at)"  # noqa: S608 - the rules'
        f" where exists (select from {SCHEMA}.{rule.table} as held"
        f" where held.{rule.key} = kept.key and held.created_at = kept.created_at)"
    )
    with as_retention(conn):
        counted = conn.execute(
            statement.encode(), (rows[rule.key].to_pylist(), rows["created_at"].to_pylist())
        ).fetchone()
    return counted == (rows.num_rows,)
