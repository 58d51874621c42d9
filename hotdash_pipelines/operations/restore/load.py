"""A new database is filled: from a dump, and with what the dump does not hold from the present database.

Belongs here: creating the database, piping dumps into pg_restore. Does not belong here: roles and settings
(roles.py), whether what came out is right (proof.py), taking the present one's place (swap.py).
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hotdash_pipelines.operations.backup.files import BackupError
from hotdash_pipelines.operations.backup.verify import error_line
from hotdash_pipelines.storage import told_of_disk
from hotdash_pipelines.warehouse.postgres import database_errors, libpq_env
from hotdash_pipelines.warehouse.server.binaries import tool_for_server

if TYPE_CHECKING:
    import psycopg

_READ_AT_ONCE = 1 << 20
_MARK = "hotdash: a restore in progress, dropped by the next one"
# Linux only; elsewhere the pipe stays as small as it is.
_SET_PIPE_SIZE = 1031
# Indexes and stored views are sorted in memory.
_OPTIONS = "-c maintenance_work_mem=256MB -c work_mem=64MB"


class RestoreError(BackupError):
    """A restore failed; the target is as it was. One line, says what to do."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Tell of a failing server or disk in one line: RestoreError."""
    with (
        database_errors(RestoreError, "the server broke the restore off ({reason}): mend that, then run it again"),
        told_of_disk(RestoreError, "the disk refused the restore ({reason}): mend that, then run it again"),
    ):
        yield


def create_database(admin: "psycopg.Connection[Any]", name: str, facts: Mapping[str, Any], owner: str) -> None:
    """Create an empty database with encoding and locale of `facts` (backup_catalog), marked as ours to drop.

    Raises RestoreError when the user may not, or when the server lacks the locale.
    """
    from psycopg import sql

    words = [
        sql.SQL("create database {} template template0 encoding {} locale_provider {}").format(
            sql.Identifier(name), sql.Literal(facts["encoding"]), sql.Identifier(facts["locale_provider"])
        ),
        sql.SQL("lc_collate {} lc_ctype {}").format(sql.Literal(facts["collate"]), sql.Literal(facts["ctype"])),
        sql.SQL("owner {}").format(sql.Identifier(owner)),
    ]
    if facts["locale_provider"] != "libc":
        kind = sql.SQL("icu_locale" if facts["locale_provider"] == "icu" else "builtin_locale")
        words.append(sql.SQL("{} {}").format(kind, sql.Literal(facts["locale"])))
    if facts["icu_rules"]:
        words.append(sql.SQL("icu_rules {}").format(sql.Literal(facts["icu_rules"])))
    forbidden = (
        f"{admin.info.user} may not make a database to restore into ({{reason}}): "
        f"let an administrator run `alter role {admin.info.user} createdb`"
    )
    otherwise = "no database to restore into could be made ({reason}): mend that, then run again"
    with database_errors(RestoreError, otherwise, forbidden=forbidden):
        admin.execute(sql.SQL(" ").join(words))
        admin.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(name), sql.Literal(_MARK)))


def drop_database(admin: "psycopg.Connection[Any]", name: str) -> None:
    """Drop a database and whoever is still in it."""
    from psycopg import sql

    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def sweep(admin: "psycopg.Connection[Any]", prefix: str) -> list[str]:
    """Drop what killed restores left: databases named `prefix` and eight hex digits that carry our mark.

    Only while no other restore of the same database runs. Returns their names.
    """
    names = admin.execute(
        "select datname from pg_database where left(datname, length(%(prefix)s)) = %(prefix)s "
        "and substr(datname, length(%(prefix)s) + 1) ~ '^[0-9a-f]{8}$' "
        "and shobj_description(oid, 'pg_database') = %(mark)s",
        {"prefix": prefix, "mark": _MARK},
    )
    left = [name for (name,) in names]
    for name in left:
        drop_database(admin, name)
    return left


def load(dump: Path, url: str, tool_major: int, *, role: str | None, under_policies: bool) -> None:
    """Decode a zstd dump and pipe it into pg_restore, which makes all of it in one transaction or nothing.

    Objects belong to `role`, else to the user. Raises RestoreError.
    """
    import pyarrow as pa

    # Once as large on disk would be a second copy that nobody needs: it goes from memory into the pipe.
    with (
        pa.input_stream(str(dump), compression="zstd") as source,
        _restoring(url, tool_major, role, under_policies, keep_owners=False) as stdin,
    ):
        while chunk := source.read(_READ_AT_ONCE):
            stdin.write(chunk)


def carry_over(old_url: str, new_url: str, server_major: int, without: Sequence[str], *, under_policies: bool) -> None:
    """Copy every schema but `without` from one database into another of the same server, in one transaction.

    Raises RestoreError.
    """
    program = tool_for_server("pg_dump", server_major)
    patterns = [f'--exclude-schema="{schema.replace(chr(34), chr(34) * 2)}"' for schema in without]
    command = [program, "--format=custom", "--compress=0", "--no-password", "--lock-wait-timeout=30s"]
    command += ["--no-subscriptions", *patterns]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603 - a fixed program
            command, env={**os.environ, **libpq_env(old_url)}, stdout=subprocess.PIPE, stderr=complaints
        ) as dumping,
    ):
        assert dumping.stdout is not None  # noqa: S101 - for the type checker
        _widen(dumping.stdout)
        try:
            with _restoring(new_url, server_major, None, under_policies, keep_owners=True) as stdin:
                while chunk := dumping.stdout.read(_READ_AT_ONCE):
                    stdin.write(chunk)
                if dumping.wait() != 0:
                    raise RestoreError(
                        f"the other schemas of the present database cannot be read ({_said(complaints)}): mend that, "
                        "or pass --without-the-rest to have them built again from the lake"
                    )
        except BaseException:
            dumping.kill()
            raise


@contextlib.contextmanager
def _restoring(
    url: str, tool_major: int, role: str | None, under_policies: bool, *, keep_owners: bool
) -> Iterator[IO[bytes]]:
    """The input of a pg_restore in one transaction. An error in the block ends it before it can commit."""
    program = tool_for_server("pg_restore", tool_major)
    environment = libpq_env(url)
    environment["PGOPTIONS"] = f"{environment.get('PGOPTIONS', '')} {_OPTIONS}".strip()
    command = [program, "--single-transaction", "--exit-on-error", "--no-password"]
    command += [f"--dbname={environment['PGDATABASE']}"]
    command += [] if keep_owners else ["--no-owner"]
    command += [f"--role={role}"] if role else []
    # A user whom policies bind fills stored views under the policies, else the server refuses.
    command += ["--enable-row-security"] if under_policies else []
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603 - a fixed program
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=complaints, stderr=complaints
        ) as running,
    ):
        assert running.stdin is not None  # noqa: S101 - for the type checker
        _widen(running.stdin)
        try:
            # It may go away first; its own words say why.
            with contextlib.suppress(BrokenPipeError):
                yield running.stdin
            with contextlib.suppress(BrokenPipeError):
                running.stdin.close()
        except BaseException:
            # Killed before its input ends: an input that is too short may look like a whole one.
            running.kill()
            raise
        if running.wait() != 0:
            said = _said(complaints)
            if keep_owners:
                raise RestoreError(
                    f"the other schemas of the present database do not fit the backup ({said}): it is as it was; drop "
                    "what does not fit, or pass --without-the-rest to have them all built again from the lake"
                )
            raise RestoreError(f"pg_restore failed ({said}): the database is as it was; mend that, then run again")


def _widen(pipe: IO[bytes]) -> None:
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _READ_AT_ONCE)


def _said(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    return error_line(complaints.read().decode(errors="replace")) or "no reason given"
