"""Backups: one snapshot of the database, dumped, counted, compressed, decoded again, and only then published.

Belongs here: the order of these steps, and the record of how they ended. Does not belong here: the files
(files.py), reading them back (verify.py), making room (prune.py), going back (operations/restore/run.py).

Nothing is a backup before its manifest stands in the store, which is the last step but the record.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.backup.catalog import (
    applied,
    database_facts,
    figures,
    pin,
    reading_role,
    roles_of,
    schemas,
    tables_of,
)
from hotdash_pipelines.operations.backup.dump import Dump, dump_command
from hotdash_pipelines.operations.backup.errors import BackupError
from hotdash_pipelines.operations.backup.files import (
    DATA,
    MANIFEST,
    BackupManifest,
    manifest_bytes,
    new_id,
    path_of,
    run_record,
)
from hotdash_pipelines.operations.backup.kinds import KINDS, OPERATIONAL, Scope
from hotdash_pipelines.operations.backup.prune import sweep_unfinished
from hotdash_pipelines.operations.backup.tables import CatalogTable
from hotdash_pipelines.operations.backup.verify import check_dump, check_files, local_chunks, row_counts
from hotdash_pipelines.operations.records import insert_record
from hotdash_pipelines.storage import Store, StoreError, told_of_disk
from hotdash_pipelines.storage.scratch import scratch_folder
from hotdash_pipelines.warehouse.postgres import connect, database_errors
from hotdash_pipelines.warehouse.schema.dump import client_version

if TYPE_CHECKING:
    import psycopg

Progress = Callable[[str], None]
# One backup of a database at a time, and none while old ones make room; any fixed number will do.
_LOCK = 0x686F74_6261636B
_LOCK_WAIT = "10s"


@dataclass(frozen=True)
class Backup:
    """A published backup. `seconds`: how long each step took."""

    id: str
    location: str
    manifest: BackupManifest
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BackupPlan:
    """What a backup would hold: tables by name, and their size on disk without indexes, in bytes."""

    scope: Scope
    tables: tuple[str, ...]
    bytes: int


def create_backup(
    database_url: str,
    store: Store,
    *,
    now: datetime,
    scratch: Path,
    scope: Scope = "operational",
    tables: Sequence[str] = (),
    key: str | None = None,
    on_progress: Progress | None = None,
) -> Backup:
    """Back the database up into `store`, prove the dump, publish it, and record that in ops.backup_runs.

    Scope "operational" holds the schemas of OPERATIONAL whole, "full" the database, "tables" those that the patterns
    `tables` meet. `scratch` is a local folder with room for one compressed dump; `now` is the instant that the backup
    is named after. Removes what killed backups left. Raises BackupError, StoreError, WarehouseError or
    EmbeddedPostgresError; then the store lists no new backup, and the failure is recorded if that can be.
    """
    backup_id, clock = new_id(now), _Clock(now, on_progress)
    with connect(database_url, autocommit=True) as conn, _one_line(), one_at_a_time(conn):
        applied(conn)
        # A pattern that meets nothing is a slip of the caller's, no failed backup.
        tables_of(conn, scope, tables)
        reach("backup.locked")
        try:
            with store.exclusive(""):
                sweep_unfinished(store, now)
            # Inside, so that a failure is recorded with the line that is told of it.
            with _one_line(), scratch_folder(scratch, backup_id) as folder:
                manifest = _made(database_url, folder / DATA, backup_id, scope, tables, clock)
                _proven(folder / DATA, manifest, clock)
                _publish(store, folder, manifest, key, clock)
        except BaseException as error:
            _record_failure(database_url, store, backup_id, scope, clock, error)
            raise
        _record(conn, store, manifest)
        reach("backup.recorded")
    return Backup(backup_id, store.uri(backup_id), manifest, clock.seconds)


def plan_backup(database_url: str, scope: Scope = "operational", tables: Sequence[str] = ()) -> BackupPlan:
    """What `create_backup` would hold, without making it. Raises BackupError, WarehouseError."""
    with connect(database_url) as conn, _one_line():
        applied(conn)
        held_tables = [table for table in tables_of(conn, scope, tables) if not table.is_parent]
        size = "select coalesce(sum(pg_table_size(oid)), 0)::bigint from unnest(%s::oid[]) oid"
        (held,) = conn.execute(size, ([table.oid for table in held_tables],)).fetchone() or (0,)
    return BackupPlan(scope, tuple(table.label for table in held_tables), held)


@contextmanager
def one_at_a_time(conn: "psycopg.Connection[Any]") -> Iterator[None]:
    """Keep other backups and prunes of this database out; `conn` is in autocommit. Raises BackupError when one runs."""
    import psycopg

    said = "another backup of this database is being made or pruned: try again when it is done"
    with database_errors(BackupError, locked=said), conn.transaction():
        conn.execute("select set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
        conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


class _Clock:
    """How long the steps take, and where they are told."""

    def __init__(self, now: datetime, on_progress: Progress | None) -> None:
        self._now, self._began, self._tell = now, time.monotonic(), on_progress
        self.seconds: dict[str, float] = {}

    def now(self) -> datetime:
        """The instant that the backup was given, moved on by the time since."""
        return self._now + timedelta(seconds=time.monotonic() - self._began)

    @property
    def started_at(self) -> datetime:
        return self._now

    def tell(self, line: str) -> None:
        if self._tell:
            self._tell(line)

    @contextmanager
    def step(self, name: str, line: str) -> Iterator[None]:
        self.tell(line)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)


@contextmanager
def _one_line() -> Iterator[None]:
    """Tell of the server's and the disk's failures in one line each."""
    with (
        database_errors(BackupError, "the warehouse broke the backup off ({reason}): mend that, then run it again"),
        told_of_disk(BackupError, "the disk refused the backup ({reason}): mend that, then run it again"),
    ):
        yield


def _made(
    url: str, target: Path, backup_id: str, scope: Scope, patterns: Sequence[str], clock: _Clock
) -> BackupManifest:
    """Dump and count one snapshot of the database at the same time; returns the manifest."""
    from psycopg import IsolationLevel, sql

    with connect(url) as conn:
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        pin(conn)
        migrations = applied(conn)
        tables = tables_of(conn, scope, patterns)
        role = reading_role(conn, tables)
        every = schemas(conn)
        kept = every if KINDS[scope].is_whole else sorted({*OPERATIONAL, *(table.schema for table in tables)})
        facts, roles = database_facts(conn), roles_of(conn, kept)
        if role:
            conn.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        # The dump is one stream, which takes longer than the count does alone: helpers would only take its processor.
        conn.execute("set local max_parallel_workers_per_gather = 0")
        (snapshot,) = conn.execute("select pg_export_snapshot()").fetchone() or ("",)
        major = conn.info.server_version // 10000
        command = dump_command(major, snapshot, scope, tables, [name for name in every if name not in kept], role)
        with clock.step("dump", f"dumping and counting {len(tables)} tables"), Dump(command, url, target) as dump:
            counted = _counted(conn, tables, dump, clock)
            file = dump.finish()
        version = conn.info.server_version
    reach("backup.dumped")
    return BackupManifest(
        id=backup_id,
        scope=scope,
        started_at=clock.started_at,
        finished_at=clock.now(),
        server_version=version,
        client_version=client_version(major),
        schema_version=max((name.partition("_")[0] for name in migrations), default=""),
        migrations=migrations,
        tables=counted,
        files={DATA: file},
        roles=roles,
        database=facts,
    )


def _counted(conn: "psycopg.Connection[Any]", tables: Sequence[CatalogTable], dump: Dump, clock: _Clock) -> Any:
    import psycopg

    def counted(name: str, rows: int) -> None:
        clock.tell(f"  {name}: {rows:,} rows")
        dump.raise_failure()

    try:
        return figures(conn, tables, counted)
    except psycopg.Error:
        # What broke the count off may have broken the dump off first, which says more of it.
        dump.raise_failure()
        raise


def _proven(data: Path, manifest: BackupManifest, clock: _Clock) -> None:
    """Read the dump back from the disk and decode all of it."""
    with clock.step("decode", f"decoding {manifest.bytes / 1e6:,.1f} MB again"):
        check_dump(manifest.id, local_chunks(data), manifest.client_major, manifest.files[DATA], row_counts(manifest))
    reach("backup.decoded")


def _publish(store: Store, folder: Path, manifest: BackupManifest, key: str | None, clock: _Clock) -> None:
    """Copy the data into the store, read it back, then add the manifest: from here on it is a backup."""
    signed = folder / MANIFEST
    signed.write_bytes(manifest_bytes(manifest, key))
    with clock.step("publish", f"copying to {store.uri(manifest.id)}"), store.exclusive(""):
        try:
            store.add(path_of(store, manifest.id, DATA), folder / DATA)
            reach("backup.data_added")
            check_files(store, manifest)
            reach("backup.read_back")
            store.add(path_of(store, manifest.id, MANIFEST), signed)
        except BaseException:
            with suppress(StoreError):
                store.clear(manifest.id)
            raise
    reach("backup.published")


def _record(conn: "psycopg.Connection[Any]", store: Store, manifest: BackupManifest) -> None:
    said = (
        f"backup {manifest.id} is whole and stays, but its record could not be written ({{reason}}): mend that and "
        "make another one, since retention believes the records"
    )
    with database_errors(BackupError, said):
        insert_record(conn, "ops.backup_runs", run_record(manifest, store))


def _record_failure(url: str, store: Store, backup_id: str, scope: Scope, clock: _Clock, error: BaseException) -> None:
    """Note why a backup failed. What goes wrong here must not hide that reason."""
    reason = " ".join(str(error).split()) if isinstance(error, Exception) else ""
    with suppress(Exception), connect(url, autocommit=True) as conn:
        row = {
            "backup_id": backup_id,
            "scope": scope,
            "state": "failed",
            "location": store.uri(backup_id),
            "started_at": clock.started_at,
            "finished_at": clock.now(),
            "error": reason or f"interrupted ({type(error).__name__})",
        }
        insert_record(conn, "ops.backup_runs", row)
