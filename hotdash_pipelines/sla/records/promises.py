"""The rows of ops.data_slas: which version of each promise is in force.

Belongs here: versions, what was removed. Does not belong here: what an entry may say (sla/definitions/model.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.records.encode import to_json

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Promise:
    """A row of ops.data_slas, as far as messages and violations need it."""

    sla_id: int
    name: str
    dataset: str
    owner: str
    runbook: str | None


@dataclass(frozen=True, slots=True)
class _Current:
    promise: Promise
    digest: str
    definition: dict[str, Any]


_CURRENT = """
select sla_id, name, dataset_name, owner, definition ->> 'runbook', definition_hash, definition
from ops.data_slas where retired_at is null
"""
_RETIRE = "update ops.data_slas set retired_at = %s where retired_at is null and name = any(%s)"
_REWRITE = "update ops.data_slas set definition = %s::jsonb, owner = %s where sla_id = %s"
_ADD = """
insert into ops.data_slas (
    name, version, dataset_name, sla_type, sla_target, sla_unit, alert_threshold, definition, definition_hash, owner,
    created_at
)
select new.*, %(now)s
from jsonb_to_recordset(%(rows)s::jsonb) as row (
    name text, dataset_name text, sla_type text, sla_target numeric, sla_unit text, alert_threshold numeric,
    definition jsonb, definition_hash text, owner text
)
cross join lateral (
    select
        row.name,
        (select coalesce(max(old.version), 0) + 1 from ops.data_slas old where old.name = row.name),
        row.dataset_name, row.sla_type, row.sla_target, row.sla_unit, row.alert_threshold, row.definition,
        row.definition_hash, row.owner
) as new
returning sla_id, name
"""


def keep_definitions(
    conn: "psycopg.Connection[Any]", definitions: Sequence[Definition], now: datetime
) -> dict[str, Promise]:
    """Bring the table up to the definitions; the promise of each SLA by name, just removed ones included."""
    current = {row[1]: _Current(Promise(*row[:5]), row[5], row[6]) for row in conn.execute(_CURRENT).fetchall()}
    promises = {name: known.promise for name, known in current.items()}
    added: list[Definition] = []
    for definition in definitions:
        known = current.pop(definition.name, None)
        if known is None or known.digest != definition.version:
            added.append(definition)
        elif known.definition != (written := definition.model_dump(mode="json")):
            conn.execute(_REWRITE, (to_json(written), definition.owner, known.promise.sla_id))
            promises[definition.name] = _promise(known.promise.sla_id, definition)
    # What is left is in no file any more; what has a new version makes room for it.
    left = [*current, *(definition.name for definition in added)]
    if left:
        conn.execute(_RETIRE, (now, left))
    if added:
        numbers = conn.execute(_ADD, {"now": now, "rows": to_json([_row(definition) for definition in added])})
        ids = {name: sla_id for sla_id, name in numbers.fetchall()}
        promises |= {definition.name: _promise(ids[definition.name], definition) for definition in added}
    return promises


def last_promises(conn: "psycopg.Connection[Any]", names: Sequence[str]) -> dict[str, Promise]:
    """The newest version of SLAs, in force or not."""
    rows = conn.execute(
        """
        select distinct on (name) sla_id, name, dataset_name, owner, definition ->> 'runbook'
        from ops.data_slas where name = any(%s) order by name, version desc
        """,
        (list(names),),
    ).fetchall()
    return {row[1]: Promise(*row) for row in rows}


def _promise(sla_id: int, definition: Definition) -> Promise:
    return Promise(sla_id, definition.name, definition.dataset, definition.owner, definition.runbook)


def _row(definition: Definition) -> dict[str, Any]:
    warn = definition.alert_threshold
    return {
        "name": definition.name,
        "dataset_name": definition.dataset,
        "sla_type": definition.type,
        "sla_target": str(definition.target),
        "sla_unit": definition.unit,
        "alert_threshold": None if warn is None else str(warn),
        "definition": definition.model_dump(mode="json"),
        "definition_hash": definition.version,
        "owner": definition.owner,
    }
