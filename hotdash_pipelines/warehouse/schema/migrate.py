"""Bringing a database to the schema of this version, and back.

Belongs here: order, locks, checksums and errors of migrations. Does not belong here: the SQL (migrations/versions), raw
tables (warehouse/loading/ddl.py).

A database that is up to date costs one connection and one query: Alembic is imported only when there is work.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.migrations.files import VERSIONS, Migration, migrations
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, database_errors, describe, driver_errors

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

# Any fixed number will do; it is the name of the lock that migrating processes take one after the other.
_LOCK = 0x686F74_64617368
_LOCK_TIMEOUT = "30s"
_OLDEST_SERVER = 150000

BOOKKEEPING = """
create schema if not exists ops;
create table if not exists ops.schema_migrations (
    revision text primary key,
    name text not null,
    up_sha256 text not null,
    down_sha256 text not null,
    applied_at timestamptz not null default now()
);
"""


class MigrationError(WarehouseError):
    """A migration was refused or failed; the failed file left no trace. One line, says what to do."""


def migrate(url: str, folder: Path = VERSIONS) -> list[str]:
    """Apply every migration that the database lacks, in order; returns their revisions.

    Each file is one transaction. Raises MigrationError when a file that was applied has been edited since, when the
    database is newer than this version, when another session holds a lock for too long, or when a file fails.
    """
    known = migrations(folder)
    with connect(url, autocommit=True) as conn:
        if not _pending(conn, known):
            return []
        _check_server(conn, url)
        with _locked(conn):
            conn.execute(BOOKKEEPING)
            pending = _pending(conn, known)
            if pending:
                _run_alembic(url, folder, "upgrade", known[-1].revision)
            return [migration.revision for migration in pending]


def rollback(
    url: str,
    revision: str | None,
    folder: Path = VERSIONS,
    before: "Callable[[psycopg.Connection[Any], list[Migration]], None] | None" = None,
) -> list[str]:
    """Undo every migration after `revision` (None: all of them), newest first; returns the revisions undone.

    A rollback drops what its migration made, rows included; rollback.py asks first. All of it is one transaction.
    `before` is called inside that transaction with the migrations to undo; when it raises, nothing was changed.
    """
    with connect(url, autocommit=True) as conn, _locked(conn):
        undone = _to_undo(conn, revision, folder)
        if undone:
            _run_alembic(url, folder, "downgrade", revision or "base", lambda raw: before and before(raw, undone))
        return [migration.revision for migration in undone]


def pending(url: str, folder: Path = VERSIONS) -> list[Migration]:
    """The migrations that `migrate` would apply, oldest first. Raises as `migrate` does; changes nothing."""
    with connect(url, autocommit=True) as conn:
        waiting = _pending(conn, migrations(folder))
        _check_server(conn, url)
        return waiting


def to_undo(url: str, revision: str | None, folder: Path = VERSIONS) -> list[Migration]:
    """The migrations that `rollback` would undo, newest first. Raises as `rollback` does; changes nothing."""
    with connect(url, autocommit=True) as conn:
        return _to_undo(conn, revision, folder)


def current(url: str) -> str | None:
    """The newest migration of a database, None when it has none."""
    with connect(url, autocommit=True) as conn:
        return max(_applied(conn), default=None)


def applied_at(url: str) -> dict[str, tuple[str, datetime]]:
    """Name and instant of every migration that was applied, by revision; empty for a database without any."""
    import psycopg

    with connect(url, autocommit=True) as conn:
        try:
            rows = conn.execute("select revision, name, applied_at from ops.schema_migrations order by 1").fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return {}
    return {revision: (name, at) for revision, name, at in rows}


def _to_undo(conn: "psycopg.Connection[Any]", revision: str | None, folder: Path) -> list[Migration]:
    known = migrations(folder)
    if revision is not None and revision not in {migration.revision for migration in known}:
        raise MigrationError(f"there is no migration {revision}: the newest is {known[-1].revision}")
    lacking = set(_pending(conn, known))
    return [
        migration
        for migration in reversed(known)
        if migration not in lacking and (revision is None or migration.revision > revision)
    ]


def _applied(conn: "psycopg.Connection[Any]") -> dict[str, tuple[str, str, str]]:
    import psycopg

    try:
        rows = conn.execute("select revision, name, up_sha256, down_sha256 from ops.schema_migrations").fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}
    return {revision: (name, up, down) for revision, name, up, down in rows}


def _pending(conn: "psycopg.Connection[Any]", known: Sequence[Migration]) -> list[Migration]:
    """The migrations that the database lacks, after a comparison of those it has with their files."""
    applied = _applied(conn)
    files = {migration.revision: migration for migration in known}
    unknown = sorted(set(applied) - set(files))
    if unknown:
        raise MigrationError(
            f"the database has migration {unknown[-1]}, which this version does not know: "
            "run the version that made it, or newer"
        )
    for revision, (_, up, down) in sorted(applied.items()):
        migration = files[revision]
        if (up, down) != (migration.up_sha256, migration.down_sha256):
            which = f"{migration.name}.sql" if up != migration.up_sha256 else f"{migration.name}.rollback.sql"
            raise MigrationError(
                f"{which} was edited after it was applied: put the file back as it was "
                "and write a new migration for the change"
            )
    return [migration for migration in known if migration.revision not in applied]


def _check_server(conn: "psycopg.Connection[Any]", url: str) -> None:
    if conn.info.server_version < _OLDEST_SERVER:
        raise MigrationError(
            f"the server at {describe(url)} is Postgres {conn.info.server_version // 10000}: 15 or newer is needed"
        )
    encoding = conn.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise MigrationError(f"the database {describe(url)} has encoding {encoding}: create one with encoding UTF8")


@contextmanager
def _locked(conn: "psycopg.Connection[Any]") -> "Iterator[None]":
    conn.execute("select set_config('lock_timeout', %s, false)", (_LOCK_TIMEOUT,))
    said = f"another process has been migrating this database for over {_LOCK_TIMEOUT}: wait for it, then run again"
    with database_errors(MigrationError, locked=said):
        conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


def _run_alembic(
    url: str,
    folder: Path,
    direction: str,
    target: str,
    before: "Callable[[psycopg.Connection[Any]], object] | None" = None,
) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations").replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    engine = create_engine("postgresql+psycopg://", creator=lambda: _session(url), poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            # Alembic joins a transaction that has begun; without one it opens one for each file.
            with nullcontext() if before is None else connection.begin():
                if before is not None:
                    before(_driver_connection(connection))
                getattr(command, direction)(config, target)
        except DBAPIError as error:
            raise _failed(url, connection, direction, error.orig) from error
        except driver_errors() as error:
            raise _failed(url, connection, direction, error) from error


def _driver_connection(connection: "Connection") -> Any:
    return connection.connection.driver_connection


def _session(url: str) -> Any:
    conn = connect(url)
    conn.execute("select set_config('lock_timeout', %s, false)", (_LOCK_TIMEOUT,))
    conn.commit()
    return conn


def _failed(url: str, connection: "Connection", direction: str, error: BaseException | None) -> MigrationError:
    import psycopg

    connection.invalidate()
    reason = str(error).splitlines()[0] if error else "no reason given"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return MigrationError(
            f"{direction} gave up after {_LOCK_TIMEOUT} because another session uses a table: "
            f"close it, then run again ({reason})"
        )
    if isinstance(error, psycopg.errors.DependentObjectsStillExist):
        first = (error.diag.message_detail or "something").splitlines()[0]
        reason = f"{reason} ({first}): drop that first; models are built again by `hotdash dbt build`"
    done = current(url) or "none"
    return MigrationError(f"{direction} failed after revision {done} and left nothing half done: {reason}")
