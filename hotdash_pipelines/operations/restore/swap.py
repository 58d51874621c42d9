"""A restored database takes the place of the present one, in one transaction.

Belongs here: names, locks on what is carried over, ending sessions, the two renames. Does not belong here: filling the
new database (load.py), proving it (proof.py).

Postgres renames databases inside a transaction, so at every instant the name leads to the old database or to the new
one, whatever is killed. The first rename takes the database's lock: from then on nobody new gets in.
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.restore.load import RestoreError
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, database_errors, with_database

if TYPE_CHECKING:
    import psycopg

_LOCK = 0x686F7465
_LONGEST_NAME = 63
_LOCK_TIMEOUT = "30s"
_OTHERS = """
select pid, usename, coalesce(nullif(application_name, ''), 'unnamed')
from pg_stat_activity
where datname = %s and backend_type = 'client backend' and pid <> all(%s)
"""


def server_url(url: str) -> str:
    """A database of the same server that is not renamed: `postgres`, else `template1`. Raises WarehouseError."""
    maintenance = with_database(url, "postgres")
    try:
        connect(maintenance).close()
    except WarehouseError:
        maintenance = with_database(url, "template1")
        connect(maintenance).close()
    return maintenance


def named(database: str, word: str, part: str) -> str:
    """`<database>_<word>_<part>`; a name too long for Postgres is cut and told apart by a digest."""
    tail = f"_{word}_{part}"
    if len(database) + len(tail) > _LONGEST_NAME:
        digest = hashlib.sha256(database.encode()).hexdigest()[:8]
        database = f"{database[: _LONGEST_NAME - len(tail) - 9]}_{digest}"
    return f"{database}{tail}"


def scratch_names(database: str, word: str, backup_id: str) -> tuple[str, str]:
    """The name of the new database for a backup, and what the names for every backup begin with."""
    part = backup_id.partition("-")[2]
    name = named(database, word, part)
    return name, name.removesuffix(part)


def free_name(admin: "psycopg.Connection[Any]", name: str) -> str:
    """The name, or with a number behind it when it is taken."""
    free, number = name, 1
    while admin.execute("select 1 from pg_database where datname = %s", (free,)).fetchone():
        number += 1
        free = f"{name[: _LONGEST_NAME - 4]}_{number}"
    return free


@contextmanager
def alone(admin: "psycopg.Connection[Any]", database: str, wait: str = "1ms") -> Iterator[None]:
    """One restore of a database at a time. Raises RestoreError while another one runs that does not end in `wait`."""
    import psycopg

    said = f"another restore of {database} is running: wait for it, then run again"
    with database_errors(RestoreError, locked=said), admin.transaction():
        admin.execute("select set_config('lock_timeout', %s, true)", (wait,))
        admin.execute("select pg_advisory_lock(%s, hashtext(%s))", (_LOCK, database))
    try:
        yield
    finally:
        # A session that the server ended has lost the lock already; what was done without it is done.
        with suppress(psycopg.Error):
            admin.execute("select pg_advisory_unlock(%s, hashtext(%s))", (_LOCK, database))


def sessions(admin: "psycopg.Connection[Any]", database: str, *but: int) -> list[tuple[int, str, str]]:
    """(process id, user, application) of everybody in a database."""
    return admin.execute(_OTHERS, (database, list(but))).fetchall()


def hold(url: str, tables: Sequence[tuple[str, str]]) -> "psycopg.Connection[Any]":
    """A connection whose open transaction keeps writers off the tables until it is closed; readers go on.

    Raises RestoreError when a writer holds one of them for half a minute.
    """
    from psycopg import sql

    conn = connect(url)
    locked = (
        f"a running job has been writing to the database for over {_LOCK_TIMEOUT}: "
        "let it finish or stop it, then run again"
    )
    otherwise = "the present tables cannot be locked ({reason}): mend that, then run again"
    try:
        with database_errors(RestoreError, otherwise, locked=locked):
            conn.execute("select set_config('idle_in_transaction_session_timeout', '0', true)")
            conn.execute("select set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
            if tables:
                names = sql.SQL(", ").join(sql.Identifier(*names) for names in tables)
                conn.execute(sql.SQL("lock table {} in share mode").format(names))
    except BaseException:
        conn.close()
        raise
    return conn


def swap(
    server: str,
    database: str,
    new: str,
    kept: str | None,
    holder: "psycopg.Connection[Any] | None",
    comment: str | None,
) -> int:
    """Rename `database` to `kept` (None: there is none) and `new` to `database`; returns how many sessions it ended.

    `holder` is closed when it is the last session left and nobody new gets in: what it locks is never written between.
    `comment` becomes the new database's. Raises RestoreError; the old database is then in its place.
    """
    failed: list[BaseException] = []
    refused: RestoreError | None = None
    ended: set[int] = set()
    own = (holder.info.backend_pid,) if holder is not None else ()
    with connect(server, autocommit=True) as admin, connect(server, autocommit=True) as renamer:
        thread = threading.Thread(target=_rename, args=(renamer, database, new, kept, comment, failed))
        thread.start()
        try:
            while thread.is_alive():
                others = sessions(admin, database, *own)
                for pid, user, _ in others:
                    _end(admin, pid, user)
                    ended.add(pid)
                if not others and holder is not None and _is_shut(admin, database, renamer.info.backend_pid):
                    holder.close()
                    holder = None
                time.sleep(0.01)
        except RestoreError as error:
            refused = error
        finally:
            # What is in the way may go by itself: only the renames say how it ended.
            thread.join()
    if failed and refused:
        raise refused
    if failed:
        raise RestoreError(
            f"{database} could not be replaced ({str(failed[0]).splitlines()[0]}): it is as it was; "
            "mend that, then run again"
        ) from failed[0]
    return len(ended)


def _rename(
    conn: "psycopg.Connection[Any]", database: str, new: str, kept: str | None, comment: str | None, failed: list[Any]
) -> None:
    from psycopg import sql

    rename = sql.SQL("alter database {} rename to {}")
    try:
        with conn.transaction():
            if kept is not None:
                # Waits up to five seconds, with the lock held, for the last session to go.
                conn.execute(rename.format(sql.Identifier(database), sql.Identifier(kept)))
                reach("restore.first_renamed")
            conn.execute(rename.format(sql.Identifier(new), sql.Identifier(database)))
            describe = sql.SQL("comment on database {} is {}")
            conn.execute(describe.format(sql.Identifier(database), sql.Literal(comment)))
        reach("restore.renamed")
    except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
        failed.append(error)


def _is_shut(admin: "psycopg.Connection[Any]", database: str, renamer: int) -> bool:
    """Whether the rename has the database's lock, so that no session can begin."""
    row = admin.execute(
        "select exists (select from pg_locks join pg_database d on d.oid = objid where pid = %s and granted "
        "and classid = 'pg_database'::regclass and mode = 'AccessExclusiveLock' and datname = %s)",
        (renamer, database),
    ).fetchone()
    return row == (True,)


def _end(admin: "psycopg.Connection[Any]", pid: int, user: str) -> None:
    said = (
        f"a session of {user} is in the way and {admin.info.user} may not end it: "
        f"close it, or let an administrator run `grant pg_signal_backend to {admin.info.user}`"
    )
    with database_errors(RestoreError, forbidden=said):
        admin.execute("select pg_terminate_backend(%s)", (pid,))
