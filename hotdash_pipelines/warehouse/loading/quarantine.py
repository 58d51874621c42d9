"""The table of records that could not be loaded: what waits, and what was settled.

Belongs here: bringing `ops.quarantined_records` to what lies in the quarantine. Does not belong here: the records
themselves (lake.quarantine).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.mend import QuarantinedRecord
from hotdash_pipelines.warehouse.loading.ddl import raw_schema

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

_NOTE = """
insert into ops.quarantined_records as q (
    project_key, source, stream, window_key, record_digest, key_digest, reason, contract_version, noticed_at
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (project_key, source, stream, window_key, record_digest) do update set
    resolved_at = null, reason = excluded.reason, contract_version = excluded.contract_version
where q.resolved_at < excluded.noticed_at or q.reason <> excluded.reason
"""
_RESOLVE_GONE = """
update ops.quarantined_records set resolved_at = %s
where project_key = %s and source = %s and stream = %s and resolved_at is null
    and (window_key, record_digest) not in (select * from unnest(%s::text[], %s::text[]))
"""
_WAITING = """
select source || '/' || stream, count(*) from ops.quarantined_records
where project_key = %s and resolved_at is null group by 1
"""


def note_quarantine(
    conn: "psycopg.Connection[Any]",
    contract: Contract,
    project: str,
    records: Sequence[QuarantinedRecord],
    now: "datetime",
) -> dict[str, int]:
    """Make the table hold what lies in the quarantine of a stream; returns what waits, by `source/stream`.

    A record is settled when its window no longer holds it, or when another version of it has landed since.
    """
    stream = (project, contract.source, contract.stream)
    with conn.transaction(), conn.cursor() as cursor:
        if records:
            cursor.executemany(
                _NOTE,
                [
                    (*stream, r.window, r.record_digest, r.key_digest, r.reason, r.contract_version, r.kept_at)
                    for r in records
                ],
            )
        windows, digests = [r.window for r in records], [r.record_digest for r in records]
        cursor.execute(_RESOLVE_GONE, (now, *stream, windows, digests))
        _resolve_landed(cursor, contract, stream, now)
        cursor.execute(_WAITING, (project,))
        return dict(cursor.fetchall())


def _resolve_landed(
    cursor: "psycopg.Cursor[Any]", contract: Contract, stream: tuple[str, str, str], now: "datetime"
) -> None:
    from psycopg import sql

    main = contract.table
    if len(main.key) != 1:
        return
    cursor.execute("select to_regclass(%s) is not null", (f"{raw_schema(contract.source)}.{main.name}",))
    row = cursor.fetchone()
    if not row or not row[0]:
        return
    cursor.execute(
        sql.SQL(
            "update ops.quarantined_records q set resolved_at = %s "
            "where q.project_key = %s and q.source = %s and q.stream = %s and q.resolved_at is null "
            "and exists (select from {} r where r.project_key = q.project_key and r._loaded_at > q.noticed_at "
            "and encode(sha256(convert_to('[\"' || r.{} || '\"]', 'UTF8')), 'hex') = q.key_digest)"
        ).format(sql.Identifier(raw_schema(contract.source), main.name), sql.Identifier(main.key[0])),
        (now, *stream),
    )
