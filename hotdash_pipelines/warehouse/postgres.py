"""Connections to the warehouse, whoever runs the server.

Belongs here: which server is used, its address in the forms that psycopg, ADBC, SQLAlchemy and libpq programs take,
and what the drivers' errors become.
Does not belong here: running a server (warehouse/server/embedded.py), statements (warehouse/schema/migrate.py,
warehouse/loading/ddl.py, warehouse/loading/load.py).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from hotdash_pipelines.base.errors import HotdashError

if TYPE_CHECKING:
    import psycopg
    from adbc_driver_postgresql.dbapi import Connection as AdbcConnection

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg")
_LIBPQ_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "channel_binding": "PGCHANNELBINDING",
}
_SESSION = "-c timezone=UTC"
# SQLSTATEs; 22023 is what `set role` says of a role that is not there.
_HAPPENED = {
    "55P03": "locked",
    "42501": "forbidden",
    **dict.fromkeys(("42P01", "3F000", "42704", "22023"), "missing"),
}
_AWAY = ("08", "57")


class WarehouseError(HotdashError):
    """The warehouse cannot be used. The message is one line, without a password, and says what to do."""


@contextmanager
def database_errors(
    kind: type[HotdashError],
    otherwise: str | None = None,
    *,
    locked: str | None = None,
    missing: str | None = None,
    forbidden: str | None = None,
    away: str | None = None,
) -> Iterator[None]:
    """Turn errors of psycopg and ADBC into `kind`; a text for each thing that may have happened.

    `locked`: a lock was not had in time. `missing`: a table, schema or role is. `forbidden`: a right is. `away`: the
    server went away. `otherwise`: all of these without a text, and the rest. In a text `{reason}` stands for what the
    server said. What has no text passes as it is.
    """
    try:
        yield
    except driver_errors() as error:
        texts = {"locked": locked, "missing": missing, "forbidden": forbidden, "away": away}
        text = texts.get(_happened(error)) or otherwise
        if text is None:
            raise
        raise kind(text.replace("{reason}", reason_of(error))) from error


def driver_errors() -> tuple[type[Exception], ...]:
    """What psycopg and, where it is loaded, ADBC raise."""
    import psycopg

    adbc = sys.modules.get("adbc_driver_manager")
    return (psycopg.Error, adbc.Error) if adbc else (psycopg.Error,)


def reason_of(error: Exception) -> str:
    """What the server or its driver said, in one line; the message's detail, which may quote rows, stays out of it."""
    diagnosis = getattr(error, "diag", None)
    said = (diagnosis and diagnosis.message_primary) or str(error).split("ERROR:", 1)[-1]
    return said.strip().partition("\n")[0].strip() or type(error).__name__


def _happened(error: Exception) -> str:
    import psycopg

    state = getattr(error, "sqlstate", None) or ""
    if not state.strip("0\0"):
        # What psycopg itself refuses has no state either.
        return "refused" if isinstance(error, psycopg.ProgrammingError | psycopg.DataError) else "away"
    return "away" if state[:2] in _AWAY else _HAPPENED.get(state, "refused")


def database_url(settings_url: str | None, home: Path, start: bool = True) -> str:
    """The warehouse's URL, password included: `settings_url` when set, else the embedded server of `home`.

    Starts the embedded server when it does not run, unless `start` is False. Never starts anything when a URL is set.
    Raises WarehouseError for a URL that is none, EmbeddedPostgresError when the server cannot be had.
    """
    if settings_url:
        return _checked(settings_url)
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    server = EmbeddedPostgres(home)
    if start:
        server.up()
    return server.url()


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.path.strip("/"):
        raise WarehouseError(
            "HOTDASH_DATABASE_URL is not the URL of a Postgres database: it has the form postgresql://user:password@host:5432/database"
        )
    return urlunsplit(parts._replace(scheme="postgresql"))


def connect(url: str, *, autocommit: bool = False) -> "psycopg.Connection[Any]":
    """Open a connection whose session runs in UTC. Raises WarehouseError when the server cannot be reached."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    url = _checked(url)
    given = conninfo_to_dict(url)
    options = f"{given.get('options') or ''} {_SESSION}".strip()
    timeout = int(given.get("connect_timeout") or 10)
    try:
        return psycopg.connect(
            url, options=options, autocommit=autocommit, application_name="hotdash", connect_timeout=timeout
        )
    except psycopg.OperationalError as error:
        raise unreachable(url, str(error)) from error


def unreachable(url: str, reason: str) -> WarehouseError:
    """The error for a server that refuses or does not answer; `reason` is the driver's text."""
    last = next(
        (line.strip() for line in reversed(reason.strip().splitlines()) if "failed:" in line or "FATAL" in line),
        "no answer",
    )
    return WarehouseError(
        f"the warehouse at {describe(url)} cannot be reached ({last.split('failed: ')[-1]}): "
        "check HOTDASH_DATABASE_URL, or run `hotdash db up` when it is unset"
    )


def describe(url: str) -> str:
    """`host:port/database` of a URL: what may be shown of it."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def without_password(url: str) -> str:
    """The URL with its password left out."""
    parts = urlsplit(url)
    user = f"{quote(parts.username)}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.netloc.rpartition('@')[2]}"))


def libpq_env(url: str) -> dict[str, str]:
    """The URL as libpq's environment variables, for psql, pg_dump and dbt: a password never belongs into arguments."""
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(_checked(url))
    return {variable: str(given[name]) for name, variable in _LIBPQ_VARIABLES.items() if given.get(name) is not None}


def sqlalchemy_url(url: str) -> str:
    """The URL for SQLAlchemy on psycopg2, the only driver that dagster-postgres works with (dagster issue 33958)."""
    return urlunsplit(urlsplit(_checked(url))._replace(scheme="postgresql+psycopg2"))


def with_database(url: str, database: str) -> str:
    """The same server and options, another database."""
    return urlunsplit(urlsplit(_checked(url))._replace(path=f"/{quote(database)}"))


def ensure_database(url: str, database: str) -> bool:
    """Create a database on the server of `url` when it is missing; True when it was created.

    Raises WarehouseError when the user may not create databases.
    """
    import psycopg
    from psycopg import sql

    with connect(url, autocommit=True) as conn:
        if conn.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            return False
        try:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False
        except psycopg.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"the user of {describe(url)} may not create databases: "
                f"let an administrator run `create database {database}` for it"
            ) from error
        return True


@contextmanager
def adbc_connection(url: str) -> "Iterator[AdbcConnection]":
    """An ADBC connection (Arrow in and out) whose session runs in UTC, in one transaction that its user commits."""
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    url = _checked(url)
    try:
        conn = dbapi.connect(url)
    except Error as error:
        raise unreachable(url, str(error)) from error
    with conn:
        with conn.cursor() as cursor:
            cursor.execute("set session time zone 'UTC'")
        conn.commit()
        yield conn
