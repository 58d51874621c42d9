"""Erasing what the support agent's tables hold about one conversation, when two people ask for it.

Belongs here: the two people, deleting in one transaction, the record, deleting again after a restore. Does not belong
here: which files still hold the conversation (holders.py), asking the user (cli).

Facts, decisions and log lines go where their JSON names the conversation. Only hotdash_retention may delete there.
"""

import json
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.operations.records import insert_record
from hotdash_pipelines.warehouse.access.roles import become
from hotdash_pipelines.warehouse.postgres import database_errors

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composable

    from hotdash_pipelines.storage import Store

HISTORY = "agent_queries_history"
# Queries before their history: nobody else's change then adds a version to a query that goes.
BY_COLUMN = ("agent_approvals", "agent_feedback", "agent_queries", HISTORY, "support_curated_replies")
BY_JSON: Mapping[str, str] = {
    "facts": "value", "decision_sync_event_logs": "payload", "observability_logs": "metadata",
}  # fmt: skip
TABLES = (*BY_COLUMN, *BY_JSON)
# The keys under which the agent and its tools name a conversation.
JSON_KEYS = ("conversation_id", "conversation")
RECORDS = "erasures"
_LOCK_TIMEOUT = "30s"


class EraseError(HotdashError):
    """Nothing was erased. One line, says what to do."""


class EraseRefused(EraseError, SafetyRefusal):
    """It does not take two people who are not the same."""


class UnknownSubject(EraseError):
    """No table and no archive holds the conversation, and it was never erased."""


@dataclass(frozen=True)
class Holder:
    """A file, a folder of files or a database that still holds the subject.

    `kind` is archive, backup, rollback, export or database; `rows` is how many it holds, None where nobody looked
    inside.
    """

    kind: str
    name: str
    rows: int | None = None


@dataclass(frozen=True)
class Erasure:
    """One line of ops.erasures."""

    erasure_id: str
    subject: str
    approved_by: tuple[str, str]
    reason: str | None
    requested_at: datetime
    finished_at: datetime
    deleted_rows: dict[str, int]
    holders: tuple[Holder, ...] = ()
    subject_kind: str = "conversation"

    @property
    def total(self) -> int:
        """Rows that went."""
        return sum(self.deleted_rows.values())

    def as_json(self) -> dict[str, Any]:
        """The line as plain JSON values, instants in ISO 8601."""
        plain = asdict(self)
        plain["requested_at"], plain["finished_at"] = self.requested_at.isoformat(), self.finished_at.isoformat()
        plain["approved_by"], plain["holders"] = list(self.approved_by), list(plain["holders"])
        return plain | {"total": self.total}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Erasure":
        """Read `as_json` back. Raises KeyError, TypeError or ValueError when it is none."""
        first, second = plain["approved_by"]
        return cls(
            erasure_id=str(uuid.UUID(plain["erasure_id"])),
            subject=plain["subject"],
            approved_by=(first, second),
            reason=plain["reason"],
            requested_at=datetime.fromisoformat(plain["requested_at"]),
            finished_at=datetime.fromisoformat(plain["finished_at"]),
            deleted_rows=dict(plain["deleted_rows"]),
            holders=tuple(Holder(**holder) for holder in plain["holders"]),
            subject_kind=plain["subject_kind"],
        )


def two_people(first: str | None, second: str | None) -> tuple[str, str]:
    """Both names without the blanks around them. Raises EraseRefused unless they are two."""
    given = [" ".join((name or "").split()) for name in (first, second)]
    if not all(given):
        raise EraseRefused("erasing takes two people: give --approved-by twice, once for each of them")
    if len({unicodedata.normalize("NFKC", name).casefold() for name in given}) < 2:
        raise EraseRefused("erasing takes two people: both approvals are by the same one")
    return given[0], given[1]


def count(conn: "psycopg.Connection[Any]", subject: str) -> dict[str, int]:
    """How many rows of each table are about the conversation. Raises EraseError."""
    from psycopg import sql

    counts = {}
    with _whole(conn), _acting_as(conn, "hotdash_retention"):
        for table in TABLES:
            statement = sql.SQL("select count(*) from agent.{} where {}").format(sql.Identifier(table), _about(table))
            (counts[table],) = conn.execute(statement, {"subject": subject}).fetchone() or (0,)
    return counts


def erase(
    conn: "psycopg.Connection[Any]",
    subject: str,
    people: tuple[str, str],
    now: datetime,
    *,
    reason: str | None = None,
    holders: Sequence[Holder] = (),
) -> Erasure:
    """Delete every row about the conversation and record it, in one transaction.

    Rows that others are just writing are waited for, and go too. `holders` are the files that still hold the
    conversation, or may: one that only they are known to hold is recorded as well. One that was erased before, and of
    which nothing came back, gives the record of that time. Raises EraseRefused, UnknownSubject, EraseError.
    """
    from psycopg.types.json import Jsonb

    done = Erasure(str(uuid.uuid4()), subject, two_people(*people), reason, now, now, {}, tuple(holders))
    with _whole(conn):
        done = replace(done, deleted_rows=_delete(conn, subject))
        reach("erase.deleted")
        if not done.total:
            before = [entry for entry in listed(conn) if entry.subject == subject]
            if before:
                return before[0]
            if not any(holder.rows for holder in holders):
                raise UnknownSubject("no table and no archive holds this conversation: look at its number")
        _insert(conn, done)
        with _acting_as(conn, "service_role"):
            # Every signed-in user may read this line, so it names neither the conversation nor the people.
            conn.execute(
                """
                insert into agent.observability_logs (level, message, request_id, metadata, created_at)
                values ('INFO', 'A conversation was erased at the request of two people', %s, %s, %s)
                """,
                (f"erasure-{done.erasure_id}", Jsonb({"deleted_rows": done.deleted_rows}), now),
            )
        reach("erase.recorded")
    return done


def note_holders(conn: "psycopg.Connection[Any]", entry: Erasure, holders: Sequence[Holder]) -> Erasure:
    """Record which files hold the subject now: retention may have moved rows while it was erased. Raises EraseError."""
    from psycopg.types.json import Jsonb

    if tuple(holders) == entry.holders:
        return entry
    with _whole(conn):
        conn.execute(
            "update ops.erasures set archives = %s where erasure_id = %s",
            (Jsonb([asdict(holder) for holder in holders]), entry.erasure_id),
        )
    return replace(entry, holders=tuple(holders))


def listed(conn: "psycopg.Connection[Any]") -> list[Erasure]:
    """Every erasure, newest first. Raises EraseError."""
    with _whole(conn):
        rows = conn.execute("select to_jsonb(e) from ops.erasures e order by requested_at desc, erasure_id").fetchall()
    return [Erasure.from_json({**row, "holders": row["archives"]}) for (row,) in rows]


def reapply(conn: "psycopg.Connection[Any]", erasures: Sequence[Erasure]) -> dict[str, int]:
    """Delete again what was erased, and record it again: for a database restored from a backup that is older.

    In one transaction (a savepoint inside the caller's). Returns the rows deleted by table; a second call deletes
    none. Rows that were written after an erasure, because the conversation went on, go as well. Raises EraseError.
    """
    deleted: dict[str, int] = dict.fromkeys(TABLES, 0)
    with _whole(conn):
        for entry in erasures:
            for table, rows in _delete(conn, entry.subject).items():
                deleted[table] += rows
            _insert(conn, entry)
    return deleted


def keep_beside(store: "Store", erasures: Sequence[Erasure], *, dry_run: bool = False) -> int:
    """Write each erasure that is not there yet beside the backups; returns how many.

    So it outlives the database, and whoever restores an old backup knows what to erase again.
    Raises StoreError.
    """
    import tempfile
    from pathlib import Path

    kept = set(store.list(RECORDS))
    written = 0
    with tempfile.TemporaryDirectory(prefix="hotdash-erasures-") as folder:
        for entry in erasures:
            path = f"{RECORDS}/{entry.erasure_id}.json"
            if path in kept:
                continue
            written += 1
            if not dry_run:
                source = Path(folder, f"{entry.erasure_id}.json")
                source.write_text(json.dumps(entry.as_json(), indent=2, sort_keys=True) + "\n")
                # Two may write the same record at the same time.
                with suppress(FileExistsError):
                    store.add(path, source)
    return written


def kept_beside(store: "Store") -> list[Erasure]:
    """The erasures that `keep_beside` wrote. Raises StoreError, EraseError for a file that is none."""
    erasures = []
    for path in store.list(RECORDS):
        try:
            erasures.append(Erasure.from_json(json.loads(store.read(path))))
        except (ValueError, KeyError, TypeError) as error:
            raise EraseError(f"{store.uri(path)} is no record of an erasure: mend or remove it") from error
    return erasures


def _delete(conn: "psycopg.Connection[Any]", subject: str) -> dict[str, int]:
    from psycopg import sql

    deleted = {}
    with _acting_as(conn, "hotdash_retention"):
        names = sql.SQL(", ").join(sql.Identifier("agent", table) for table in TABLES)
        # Without the lock a row that is being written now would be there when we are done.
        conn.execute(sql.SQL("lock table {} in share row exclusive mode").format(names))
        for table in TABLES:
            statement = sql.SQL("delete from agent.{} where {}").format(sql.Identifier(table), _about(table))
            deleted[table] = conn.execute(statement, {"subject": subject}).rowcount
    return deleted


def _insert(conn: "psycopg.Connection[Any]", entry: Erasure) -> None:
    plain = entry.as_json()
    row = {**plain, "archives": plain["holders"]}
    insert_record(conn, "ops.erasures", row, "on conflict (erasure_id) do nothing")


def _about(table: str) -> "Composable":
    from psycopg import sql

    if table in BY_COLUMN:
        return sql.SQL("conversation_id = %(subject)s")
    column = sql.Identifier(BY_JSON[table])
    named = (sql.SQL("{} ->> {} = %(subject)s").format(column, sql.Literal(key)) for key in JSON_KEYS)
    return sql.SQL("({})").format(sql.SQL(" or ").join(named))


@contextmanager
def _whole(conn: "psycopg.Connection[Any]") -> Iterator[None]:
    """All or nothing, with errors that say what to do."""
    with (
        database_errors(
            EraseError,
            locked=f"another process has held a lock on the agent's tables for over {_LOCK_TIMEOUT}: try later",
            missing="the tables are missing: run `hotdash db migrate`",
            forbidden="the server refuses ({reason}): let an administrator run "
            f"`grant service_role, hotdash_retention to {conn.info.user}`",
        ),
        conn.transaction(),
    ):
        conn.execute("select set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        yield


@contextmanager
def _acting_as(conn: "psycopg.Connection[Any]", role: str) -> Iterator[None]:
    """Act as another role for the block; whatever role the caller had is back afterwards."""
    (before,) = conn.execute("select current_setting('role')").fetchone() or ("none",)
    become(conn, role)
    yield
    conn.execute("select set_config('role', %s, true)", (before,))
