"""The annotated drafts as an export reads them: one snapshot, every row, in the order of their ids.

Belongs here: the transaction, the proof that no policy hides a row, the filters, reading in batches. Does not belong
here: whose drafts they are (people.py), what becomes of them (run.py).
"""

import functools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.warehouse.access.roles import become
from hotdash_pipelines.warehouse.postgres import connect, database_errors

if TYPE_CHECKING:
    import psycopg

BATCH_ROWS = 5_000
_ROLE = "service_role"
# Longer numbers of JSON than Python reads by default are kept as text.
_LONGEST_INTEGER = 400
# Row security that is on shows every row only under a policy without condition and with none that narrows it.
_SEES_ALL = """
with binding as (
    select polpermissive, pg_get_expr(polqual, polrelid) as condition
    from pg_policy
    where polrelid = 'agent.agent_feedback'::regclass and polcmd in ('r', '*')
        and exists (select from unnest(polroles) as r (oid) where r.oid = 0 or pg_has_role(r.oid, 'usage'))
)
select not row_security_active('agent.agent_feedback'::regclass)
    or (coalesce(bool_or(polpermissive and condition = 'true'), false) and coalesce(bool_and(polpermissive), false))
from binding
"""
_WANTED = """
(%(include_unsafe)s or safe_to_send)
and (%(since)s::timestamptz is null or created_at >= %(since)s)
and (%(until)s::timestamptz is null or created_at < %(until)s)
"""
_ROWS = f"""
select id, conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, notes, meta, created_at,
    updated_at
from agent.agent_feedback
where {_WANTED}
order by id
"""  # noqa: S608 - our own text

_COUNTS = f"""
select statement_timestamp(), count(*), count(*) filter (where {_WANTED}) from agent.agent_feedback
"""  # noqa: S608 - our own text


class Draft(NamedTuple):
    """One row of agent.agent_feedback. `rubric` and `meta` are any JSON value."""

    id: int
    conversation_id: str
    input_text: str
    model_draft: str
    safe_to_send: bool | None
    labels: list[Any] | None
    rubric: Any
    annotator: str | None
    notes: str | None
    meta: Any
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Filters:
    """Which drafts: those safe to send unless `include_unsafe`, written at or after `since` and before `until`."""

    include_unsafe: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """As the manifest has them; instants in ISO 8601."""
        return {
            "include_unsafe": self.include_unsafe,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
        }


@dataclass(frozen=True)
class Snapshot:
    """An open transaction with the tables as they were at `taken_at`: `total` drafts, `wanted` under the filters."""

    conn: "psycopg.Connection[Any]"
    filters: Filters
    taken_at: datetime
    total: int
    wanted: int

    def batches(self) -> Iterator[list[Draft]]:
        """The wanted drafts by their ids, at most BATCH_ROWS at a time. Between batches the connection is its user's.

        Raises ExportError when fewer or more rows come than were counted.
        """
        from psycopg.types.json import set_json_loads

        read = 0
        become(self.conn, _ROLE)
        with self.conn.cursor(name="export") as cursor:
            set_json_loads(_loads, cursor)
            cursor.execute(_ROWS, self._parameters())
            # Rights and policies of a cursor are those of the moment when it was opened.
            self.conn.execute("set local role none")
            while rows := self._fetch(cursor, read):
                read += len(rows)
                yield [Draft(*row) for row in rows]
        if read != self.wanted:
            raise ExportError(
                f"{self.wanted} drafts were counted but {read} were read: nothing was exported, run again"
            )

    def _fetch(self, cursor: Any, read: int) -> list[Any]:
        try:
            return cursor.fetchmany(BATCH_ROWS)
        except RecursionError as error:
            raise ExportError(
                f"one of the drafts {read + 1} to {read + BATCH_ROWS} (by id) holds JSON that is nested too deeply: "
                "flatten its rubric or meta, then run again"
            ) from error

    def _parameters(self) -> dict[str, Any]:
        return vars(self.filters)


@contextmanager
def snapshot(url: str, filters: Filters) -> Iterator[Snapshot]:
    """Open a REPEATABLE READ, READ ONLY transaction and count the drafts as service_role.

    Raises ExportError when the connection's user may not act as service_role, when the tables are missing, when a
    policy could hide rows, or when an instant is none that Python knows.
    """
    import psycopg

    with (
        connect(url) as conn,
        database_errors(
            ExportError,
            "the warehouse broke the export off ({reason}): nothing was exported, run again",
            missing="the support agent's tables are missing: run `hotdash db migrate`",
            forbidden=f"the server refuses ({{reason}}): let an administrator run `grant {_ROLE} to {conn.info.user}`",
            away="the connection to the warehouse broke: nothing was exported, run again",
        ),
    ):
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        try:
            yield _opened(conn, filters)
        except psycopg.DataError as error:
            raise ExportError(
                "a draft's created_at or updated_at is outside of the years 1 to 9999, or infinite: mend that row, "
                "then run again"
            ) from error
        finally:
            if not conn.closed:
                conn.rollback()


def _opened(conn: "psycopg.Connection[Any]", filters: Filters) -> Snapshot:
    become(conn, _ROLE)
    conn.execute("set local row_security = on")
    (sees_all,) = conn.execute(_SEES_ALL).fetchone() or (False,)
    if not sees_all:
        raise ExportError(
            f"row-level security hides drafts from {_ROLE}, so nothing was exported: "
            "`hotdash schema lint` says which policy is not the agreed one"
        )
    row = conn.execute(_COUNTS, vars(filters)).fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    conn.execute("set local role none")
    return Snapshot(conn, filters, *row)


def _float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _integer(text: str) -> int | str:
    return int(text) if len(text) < _LONGEST_INTEGER else text


_loads = functools.partial(json.loads, parse_float=_float, parse_int=_integer)
