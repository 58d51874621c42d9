"""Taking rows that are too old out of a table, so that each is in its table or in a verified archive at every instant.

Belongs here: the protocol. Does not belong here: which rows (rules), the file (archive), whole partitions
(partitions), what is written down about it (records).

One part is one transaction: DELETE .. RETURNING gives the rows, they are written, read back, put into the store and
recorded, and only then committed. What was archived is what was deleted, because it is the same statement; a row that
becomes pending or unsafe meanwhile is looked at again by the DELETE itself. docs/decisions.md has the reasons.
"""

import contextlib
import itertools
import queue
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.retention import archive, partitions, records
from hotdash_pipelines.operations.retention.rules import (
    CHUNK_ROWS,
    ROLE,
    SCHEMA,
    WHOLE_ROWS,
    CutOffs,
    RetentionError,
    RetentionRefused,
    RetentionRule,
    cut_offs,
    follower_of,
    lock_of,
    retention_errors,
    too_old,
)
from hotdash_pipelines.storage import Store, told_of_disk
from hotdash_pipelines.storage.scratch import scratch_folder
from hotdash_pipelines.warehouse.postgres import adbc_connection, connect

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection as AdbcConnection
    from adbc_driver_postgresql.dbapi import Cursor

_TRIES = 3
_AT_ONCE = 3
# So many blocks of ids make a part where every id is there and too old.
_BLOCKS = 8
# Serialization failure, deadlock, lock not had in time: the same part may succeed in a moment.
_TRANSIENT = ("40001", "40P01", "55P03")
_LOCK_TIMEOUT = "60s"
_DISK = "the disk refused ({reason}): make room below HOTDASH_HOME, then run it again"
_AWAY = "the database server went away: the part in hand is not deleted; run it again"
_FURTHEST_AHEAD = timedelta(days=1)
_SESSION = {
    "lock_timeout": _LOCK_TIMEOUT,
    "statement_timeout": "0",
    # The transaction stays open while its archive is written and stored.
    "idle_in_transaction_session_timeout": "0",
}


@dataclass(frozen=True)
class RetentionPart:
    """One committed transaction's share of one table: `rows` are gone from it and in the archive at `uri`."""

    table: str
    part: int
    rows: int
    uri: str
    sha256: str
    bytes: int
    partition: str | None = None


@dataclass(frozen=True)
class RetentionOutcome:
    """What a run did to one table, and to the table of its versions."""

    table: str
    cutoff: datetime
    long_cutoff: datetime | None
    candidates: int
    parts: tuple[RetentionPart, ...]

    @property
    def rows(self) -> dict[str, int]:
        """Rows archived and deleted, by table."""
        counts = {self.table: 0}
        for part in self.parts:
            counts[part.table] = counts.get(part.table, 0) + part.rows
        return counts


def run_table(
    database_url: str,
    store: Store,
    rule: RetentionRule,
    *,
    now: datetime,
    scratch: Path,
    backup_id: str | None,
    key: str | None = None,
    chunk_rows: int = CHUNK_ROWS,
    whole_rows: int = WHOLE_ROWS,
    on_progress: Callable[[RetentionPart], None] | None = None,
) -> RetentionOutcome:
    """Archive and delete the rows of one table that are too old at `now`, part by part.

    `scratch` is a local folder with room for a part, uncompressed; `backup_id` the backup that retention_gate found,
    None where nothing is to be deleted. Parts that were committed stay so when a later one fails. Raises
    RetentionRefused when it would not be safe, RetentionError and StoreError when it failed; both are logged.
    """
    run = _Run(database_url, store, rule, cut_offs(rule, now), now, scratch, backup_id, key, on_progress)
    try:
        with told_of_disk(RetentionError, _DISK):
            outcome = run.all(chunk_rows, whole_rows)
    except HotdashError as error:
        records.note_failure(database_url, rule, run.at, run.failed, backup_id, now, str(error))
        raise
    records.note_success(database_url, rule, run.at, outcome.rows)
    _vacuum(database_url, outcome)
    return outcome


class _Run:
    """One run over one table, on one connection."""

    def __init__(
        self,
        url: str,
        store: Store,
        rule: RetentionRule,
        at: CutOffs,
        now: datetime,
        scratch: Path,
        backup_id: str | None,
        key: str | None,
        on_progress: Callable[[RetentionPart], None] | None,
    ) -> None:
        self._url, self._store, self.rule, self.at, self._now = url, store, rule, at, now
        self._scratch = self._folder = scratch
        self._backup_id, self._key = backup_id, key
        self._on_progress = on_progress or (lambda _: None)
        self.failed = 1

    def all(self, chunk_rows: int, whole_rows: int) -> RetentionOutcome:
        """The whole protocol for the table; see run_table."""
        with (
            retention_errors(unquote(urlsplit(self._url).username or "the user"), _AWAY),
            adbc_connection(self._url) as conn,
            conn.cursor() as cursor,
            scratch_folder(self._scratch, f"retention-{uuid.uuid4().hex[:12]}") as self._folder,
        ):
            self._refuse_a_clock_ahead(cursor)
            self._lock(cursor, conn)
            with self._transaction(conn, cursor):
                blocks = self._blocks(cursor, max(1, chunk_rows // _BLOCKS))
            candidates = sum(rows for _, rows in blocks)
            if candidates and not self._backup_id:
                raise RetentionRefused(
                    f"{self.rule.table}: {candidates:,} rows are too old, but no verified backup stands behind this "
                    "run: run `hotdash backup create`, then run it again"
                )
            bounds = part_ends(blocks, chunk_rows) if candidates > whole_rows else []
            jobs = self._jobs(conn, cursor, bounds) if candidates else []
            # Whole partitions first: deleting beside them would take their rows one by one.
            done = self._work([one for one in jobs if one.partition]) + self._work(
                [one for one in jobs if not one.partition]
            )
        return RetentionOutcome(self.rule.table, self.at.normal, self.at.long, candidates, tuple(done))

    def _work(self, jobs: "Sequence[_Job]") -> list[RetentionPart]:
        """Every part on one of a few connections: one reads rows while others' are written, read back and stored."""
        done: list[RetentionPart] = []
        with contextlib.ExitStack() as closing:
            free: queue.SimpleQueue[AdbcConnection] = queue.SimpleQueue()
            for _ in jobs[:_AT_ONCE]:
                free.put(closing.enter_context(adbc_connection(self._url)))
            workers = ThreadPoolExecutor(_AT_ONCE)
            closing.callback(workers.shutdown, cancel_futures=True)
            for finished in [workers.submit(self._try, job, free) for job in jobs]:
                for part in finished.result():
                    done.append(part)
                    self._on_progress(part)
        return done

    def _refuse_a_clock_ahead(self, cursor: "Cursor") -> None:
        cursor.execute("select now()")
        ((server,),) = cursor.fetchall()
        if self._now > server + _FURTHEST_AHEAD:
            raise RetentionRefused(
                f"the clock here ({self._now:%Y-%m-%d %H:%M}) is more than a day ahead of the database server's "
                f"({server:%Y-%m-%d %H:%M}, UTC): set the wrong one right, then run it again"
            )

    def _lock(self, cursor: "Cursor", conn: "AdbcConnection") -> None:
        cursor.execute("select pg_try_advisory_lock($1::bigint)", (lock_of(self.rule, "run"),))
        ((is_had,),) = cursor.fetchall()
        conn.commit()
        if not is_had:
            raise RetentionRefused(f"another run over {self.rule.table} is under way: let it finish, then run it again")

    @contextmanager
    def _transaction(self, conn: "AdbcConnection", cursor: "Cursor") -> Iterator[None]:
        """One transaction under the role of retention; rolled back unless the block has committed it."""
        try:
            # A changed row is looked at again in this level; in the stricter ones it would end the transaction.
            cursor.execute("set transaction isolation level read committed")
            for name, value in _SESSION.items():
                cursor.execute(f"set local {name} = '{value}'")
            cursor.execute(f"set local role {ROLE}")
            yield
        finally:
            conn.rollback()

    def _blocks(self, cursor: "Cursor", width: int) -> list[tuple[int, int]]:
        """How many rows are too old in each block of `width` ids that has any: the block's last id, and the rows.

        Numbering the rows themselves would sort them; blocks are counted by all processors, in a fifth of the time.
        """
        cursor.execute(
            f"select ((id - 1) / {int(width)} + 1) * {int(width)}, count(*)"  # noqa: S608 - the rules'
            f" from {SCHEMA}.{self.rule.table} where {too_old(self.rule, self.at)} group by 1 order by 1"
        )
        return cursor.fetchall()

    def _jobs(self, conn: "AdbcConnection", cursor: "Cursor", bounds: Sequence[int]) -> "list[_Job]":
        """What each part does: drop a partition, or delete; few rows at once, more by ranges of ids."""
        follower = follower_of(self.rule)
        parts = records.next_parts(cursor, self.rule.table, self.at)
        versions = records.next_parts(cursor, follower.table, self.at) if follower else itertools.repeat(0)
        whole = partitions.below(cursor, self.rule, self.at)
        conn.rollback()
        condition = too_old(self.rule, self.at)
        # The first and the last range are open to their side.
        ranges = zip(["true", *(f"id > {n}" for n in bounds)], [*(f"id <= {n}" for n in bounds), "true"], strict=True)
        work = [("", name) for name in whole]
        work += [(f"({condition}) and {low} and {high}", None) for low, high in ranges]
        return [_Job(next(parts), next(versions), told, name) for told, name in work]

    def _try(self, job: "_Job", free: "queue.SimpleQueue[AdbcConnection]") -> list[RetentionPart]:
        from adbc_driver_manager import Error

        conn = free.get()
        try:
            with conn.cursor() as cursor:
                for left in reversed(range(_TRIES)):
                    try:
                        return self._take(conn, cursor, job)
                    except Error as error:
                        if error.sqlstate not in _TRANSIENT or not left:
                            raise
            raise AssertionError  # the last try returned or raised
        except BaseException:
            self.failed = job.part
            raise
        finally:
            free.put(conn)

    def _take(self, conn: "AdbcConnection", cursor: "Cursor", job: "_Job") -> list[RetentionPart]:
        """One part in one transaction, and the versions of its rows; nothing where no row is too old any more."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder, self._transaction(conn, cursor):
            # While it is held nobody clears archives away that seem to belong to no run.
            cursor.execute("select clock_timestamp(), pg_advisory_xact_lock_shared($1)", (lock_of(self.rule, "part"),))
            ((started_at, _),) = cursor.fetchall()
            local = Path(folder, "rows")
            if job.partition:
                statement = partitions.rows_of(cursor, self.rule, job.partition)
            else:
                statement = _deleting(self.rule, job.condition)
            kept = [(job.part, found) for found in self._archived(cursor, self.rule, statement, local)]
            follower = follower_of(self.rule)
            if kept and follower and (its_rows := _rows_of(cursor, follower, local)):
                taken = self._archived(cursor, follower, _deleting(follower, its_rows), Path(folder, "versions"))
                kept += [(job.versions, found) for found in taken]
            if job.partition:
                partitions.drop(cursor, job.partition)
            cursor.execute("reset role")
            for part, part_archive in kept:
                records.note_part(cursor, part_archive, part, self._store, self.at, started_at, self._backup_id)
            reach("retention.recorded")
            conn.commit()
        reach("retention.committed")
        return [self._told(found, part, job.partition) for part, found in kept]

    def _archived(self, cursor: "Cursor", rule: RetentionRule, statement: str, local: Path) -> list[archive.Archive]:
        """The rows that a statement returns, in the store and read back; nothing when there are none."""
        cursor.execute(statement)
        rows = archive.spool(cursor.fetch_record_batch(), local, rule.key)
        reach("retention.deleted")
        if not rows:
            return []
        file = local.with_suffix(archive.DATA)
        archive.write(local, file)
        reach("retention.written")
        read_back = archive.compare(local, file)
        if read_back != rows:
            raise archive.ArchiveError(f"{rule.table}: {rows:,} rows were taken, {read_back:,} are in the archive")
        reach("retention.verified")
        kept = archive.keep(self._store, file, table=rule.table, cutoff=self.at.normal, rows=read_back, key=self._key)
        reach("retention.archived")
        return [kept]

    def _told(self, kept: archive.Archive, part: int, partition: str | None) -> RetentionPart:
        uri = self._store.uri(kept.path)
        return RetentionPart(kept.table, part, kept.rows, uri, kept.sha256, kept.bytes, partition)


@dataclass(frozen=True)
class _Job:
    """One part: its number, that of the part of versions, and what goes: rows by a condition, or a whole partition."""

    part: int
    versions: int
    condition: str
    partition: str | None


def _deleting(rule: RetentionRule, condition: str) -> str:
    return f"delete from {SCHEMA}.{rule.table} where {condition} returning *"  # noqa: S608 - the rules'


def part_ends(blocks: Sequence[tuple[int, int]], chunk_rows: int) -> list[int]:
    """The last ids of all parts but the last: no part has more than `chunk_rows`, unless a single block has."""
    bounds, held = [], 0
    for (end, rows), (_, following) in itertools.pairwise(blocks):
        held += rows
        if held + following > chunk_rows:
            bounds.append(end)
            held = 0
    return bounds


def _rows_of(cursor: "Cursor", follower: RetentionRule, local: Path) -> str | None:
    """The condition for the follower's rows of the spooled ids; None when it has none in their range."""
    rows = archive.spooled(local)
    ids = [rows.get_batch(number)["id"] for number in range(rows.num_record_batches)]
    cursor.execute(
        f"select exists (select from {SCHEMA}.{follower.table} where id between {ids[0][0]} and {ids[-1][-1]})"  # noqa: S608 - the rules'
    )
    ((has_any,),) = cursor.fetchall()
    listed = (str(number) for batch in ids for number in batch.to_pylist()) if has_any else ()
    return f"id = any('{{{','.join(listed)}}}'::bigint[])" if has_any else None


def _vacuum(url: str, outcome: RetentionOutcome) -> None:
    """Give the space back and refresh the planner's figures, as soon as may be: autovacuum does the same later.

    Postgres only warns a user that may not.
    """
    import psycopg

    with connect(url, autocommit=True) as conn:
        for table in (name for name, rows in outcome.rows.items() if rows):
            with contextlib.suppress(psycopg.Error):
                conn.execute(f"vacuum (analyze) {SCHEMA}.{table}".encode())
