"""One writer of SLA states at a time, and the server's refusals in one line.

Belongs here: the lock, the time limits, the wording of errors. Does not belong here: what is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.sla.definitions.fields import SlaError

if TYPE_CHECKING:
    import psycopg

# Any fixed number will do.
_LOCK = 0x686F74_736C61
# A writer that stands still for a minute (a stopped process) loses its transaction, and with it the lock.
_LIMITS = {"lock_timeout": "10s", "statement_timeout": "60s", "idle_in_transaction_session_timeout": "60s"}


class SlaBusy(SlaError):
    """Another process is writing SLA states; nothing was changed."""


@contextmanager
def one_writer(conn: "psycopg.Connection[Any]") -> Iterator[None]:
    """One transaction, alone among those who change SLA states.

    Raises SlaBusy when another one has held the lock for ten seconds, SlaError for what the server refuses, and
    ValueError for a connection that is inside a transaction.
    """
    from psycopg.pq import TransactionStatus

    if conn.info.transaction_status == TransactionStatus.INTRANS:
        raise ValueError(
            "SLA states are committed with what is told about them: give a connection outside a transaction"
        )
    with told(conn), conn.transaction():
        _lock(conn)
        reach("sla.locked")
        yield
        reach("sla.before_commit")
    reach("sla.committed")


@contextmanager
def told(conn: "psycopg.Connection[Any]") -> Iterator[None]:
    """Turns the driver's errors into SlaError; rows of the message's detail stay out of it."""
    import psycopg

    errors = psycopg.errors
    try:
        yield
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
        raise SlaError("the tables of SLAs and alerts are missing: run `hotdash db migrate`") from error
    except errors.InsufficientPrivilege as error:
        raise SlaError(
            f"the server refuses ({error.diag.message_primary}): let an administrator give {conn.info.user} the rights"
        ) from error
    except psycopg.Error as error:
        reason = (error.diag.message_primary or type(error).__name__).splitlines()[0]
        if isinstance(error, psycopg.OperationalError) or conn.closed:
            raise SlaError(
                f"the warehouse went away ({reason}): the tick is kept whole or not at all, the next one goes on"
            ) from error
        raise SlaError(f"the warehouse did not take it ({reason}): nothing was changed") from error


def _lock(conn: "psycopg.Connection[Any]") -> None:
    import psycopg

    for name, limit in _LIMITS.items():
        conn.execute("select set_config(%s, %s, true)", (name, limit))
    try:
        conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    except psycopg.errors.LockNotAvailable as error:
        raise SlaBusy("another process has been evaluating SLAs for over 10 s: nothing was changed") from error
