"""Observers of ages: how old the newest row, the oldest waiting item or the last proof is.

Belongs here: one query a kind. Does not belong here: transactions and refusals (reading.py), limits (the SLAs).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import LiteralString

from hotdash_pipelines.sla.definitions.kinds import DAYS, HOURS, MINUTES, Parameter, SlaType, observes
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.engine.verdict import CLOCK_SKEW
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.sla.observers.reading import RIGHTS, Row, Unseen, all_rows, reading, see_all_rows

# A queue by name: its table, and the instant since when its oldest item waits.
_QUEUES: dict[str, tuple[str, LiteralString]] = {
    "approvals": (
        "agent.agent_approvals",
        "select min(created_at), count(*) from agent.agent_approvals where status = 'pending'",
    ),
    "alerts": (
        "ops.alert_outbox",
        # What quiet hours hold back does not wait for Slack.
        "select min(greatest(created_at, hold_until)), count(*) from ops.alert_outbox "
        "where state = 'pending' and coalesce(hold_until, created_at) <= %(now)s",
    ),
}
_COLUMNS = """
select asked.name, asked.table_name, asked.column_name, format_type(attribute.atttypid, null),
    exists (
        select from pg_attribute as project
        where project.attrelid = attribute.attrelid and project.attname = 'project_key' and not project.attisdropped
    ),
    row_security_active(attribute.attrelid)
from unnest(%(names)s::text[], %(tables)s::text[], %(columns)s::text[]) as asked (name, table_name, column_name)
join pg_attribute as attribute
    on attribute.attrelid = to_regclass(asked.table_name)
    and attribute.attname = asked.column_name and not attribute.attisdropped
"""
_WINDOWS = """
select loads.source || '/' || loads.stream, loads.window_key, loads.fetched_at
from unnest(%(datasets)s::text[], %(since)s::text[]) as asked (dataset, since)
join ops.lake_loads as loads
    on asked.dataset = loads.source || '/' || loads.stream
    and loads.project_key = %(project)s and loads.window_key >= asked.since
"""
# A drift stands from the first load that met it since the last one without it; dismissed by a change of the contract.
_DRIFTS = """
with told as (
    select asset, passed, checked_at, id from ops.check_results
    where project_key = %(project)s and check_name = 'all_fields_and_values_are_known' and checked_at <= %(now)s
),
stood as (
    select asset, min(checked_at) as since from told
    where not passed and not exists (
        select from told as good
        where good.asset = told.asset and good.passed and (good.checked_at, good.id) > (told.checked_at, told.id)
    )
    group by asset
)
select min(since), count(*), (select count(*) from told) from stood
"""
_BACKUPS = """
select max(started_at) filter (where scope in ('operational', 'full')),
    max(restore_tested_at) filter (where scope in ('operational', 'full'))
from ops.backup_runs where state = 'verified'
"""
_LOOKBACK_DAYS = 14


@observes(
    SlaType(
        name="event_time_lag",
        kind="age",
        units=MINUTES,
        title="its newest data is too old",
        cause="lateness",
        params=(Parameter("column", is_needed=True),),
    )
)
def event_time_lag(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """The newest event of each table by its column; of a date, the end of that day in the store's zone.

    Rows dated into the future tell nothing about age and are left out.
    """
    from psycopg import sql

    for definition in definitions:
        if "/" not in definition.dataset:
            reason = f"{definition.dataset} is no table, such as raw_shopify/orders"
            yield Observation(definition.name, unknown_reason=reason)
    definitions = [definition for definition in definitions if "/" in definition.dataset]
    asked = {definition.name: definition.dataset.replace("/", ".", 1) for definition in definitions}
    with reading(looking.conn) as conn:
        columns = {name: str(one.params["column"]) for name, one in zip(asked, definitions, strict=True)}
        attributes = conn.execute(
            _COLUMNS, {"names": list(asked), "tables": list(asked.values()), "columns": list(columns.values())}
        ).fetchall()
        parts = []
        for name, table, column, kind, has_project, is_hidden in attributes:
            if is_hidden or not _is_time(kind):
                continue
            limit = sql.SQL("{} <= %(latest)s")
            if kind == "date":
                limit = sql.SQL("{} <= (%(latest)s at time zone %(zone)s)::date")
            parts.append(
                sql.SQL("select {}, max({})::text, {} from {} where {}").format(
                    sql.Literal(name),
                    sql.Identifier(column),
                    sql.Literal(kind),
                    sql.Identifier(*table.split(".")),
                    sql.SQL(" and ").join(
                        [
                            limit.format(sql.Identifier(column)),
                            *([sql.SQL("project_key = %(project)s")] if has_project else []),
                        ]
                    ),
                )
            )
        values = {"latest": looking.now + CLOCK_SKEW, "zone": str(looking.zone), "project": looking.project}
        union = sql.Composed([sql.SQL(" union all ").join(parts)])
        newest = {name: (text, kind) for name, text, kind in (conn.execute(union, values) if parts else ())}
    hidden = {row[0] for row in attributes if row[5]}
    timeless = {row[0]: row[3] for row in attributes if not _is_time(row[3])}
    for name, table in asked.items():
        if name in hidden:
            reason = f"row-level security hides rows of {table} from this user: see docs/access.md"
            yield Observation(name, unknown_reason=reason, details={"cause": RIGHTS})
        elif name in timeless:
            reason = f"{table}.{columns[name]} is of type {timeless[name]}, which is no time"
            yield Observation(name, unknown_reason=reason)
        elif name not in newest:
            yield Observation(name, unknown_reason=f"{table} has no column {columns[name]}, or is not there yet")
        else:
            text, kind = newest[name]
            try:
                yield Observation(name, at=_instant(text, kind, looking))
            except ValueError:
                yield Observation(name, unknown_reason=f"the newest {columns[name]} of {table} is no instant")


@observes(
    SlaType(
        name="source_watermark_lag",
        kind="age",
        units=MINUTES,
        title="the source is behind",
        cause="lateness",
        params=(Parameter("settled_after_days", largest=3_650), Parameter("lookback_days", largest=3_650)),
    )
)
def source_watermark_lag(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """Up to which instant the windows of a stream are loaded without a gap, and will not change any more.

    With `settled_after_days` a window counts once it was read so many days after it ended, which is when the source no
    longer restates it.
    """
    streams, since = {}, {}
    for definition in definitions:
        schema, _, stream = definition.dataset.partition("/")
        streams[definition.name] = f"{schema.removeprefix('raw_').removeprefix('lake_')}/{stream}"
        days = int(str(definition.params.get("lookback_days", _LOOKBACK_DAYS)))
        since[definition.name] = (looking.now.astimezone(looking.zone).date() - timedelta(days=days)).isoformat()
    rows = all_rows(
        looking.conn,
        _WINDOWS,
        {"datasets": list(streams.values()), "since": list(since.values()), "project": looking.project},
    )
    for definition in definitions:
        windows = {
            date.fromisoformat(key): fetched
            for stream, key, fetched in rows
            if stream == streams[definition.name] and key >= since[definition.name]
        }
        settled = int(str(definition.params.get("settled_after_days", 0)))
        yield Observation(definition.name, at=watermark(windows, settled, looking))


def watermark(windows: Mapping[date, datetime], settled_after_days: int, looking: Looking) -> datetime | None:
    """The instant before which every window is there and settled; None without any window.

    `windows` maps a date to when it was last read. The first window that is missing or unsettled ends the stretch.
    """
    if not windows:
        return None
    day, last = min(windows), max(windows)
    while day <= last:
        fetched = windows.get(day)
        if fetched is None or fetched < looking.ends(day + timedelta(days=settled_after_days)):
            return looking.starts(day)
        day += timedelta(days=1)
    return looking.ends(last)


@observes(
    SlaType(
        name="queue_age",
        kind="age",
        units=MINUTES,
        title="somebody waits too long",
        params=(Parameter("queue", is_needed=True),),
    )
)
def queue_age(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """Since when the oldest item of a queue waits; 0 for an empty queue."""
    queues: dict[str, Row | Unseen] = {}
    for name in {str(definition.params["queue"]) for definition in definitions}:
        try:
            queues[name] = _queue(name, looking)
        except Unseen as unseen:
            queues[name] = unseen
    for definition in definitions:
        seen = queues[str(definition.params["queue"])]
        if isinstance(seen, Unseen):
            details = {"cause": seen.cause} if seen.cause else {}
            yield Observation(definition.name, unknown_reason=seen.reason, details=details)
        else:
            oldest, count = seen
            yield Observation(definition.name, value=None if oldest else 0.0, at=oldest, details={"waiting": count})


def _queue(name: str, looking: Looking) -> Row:
    if name not in _QUEUES:
        raise Unseen(f"there is no queue {name}: known are {', '.join(_QUEUES)}")
    table, query = _QUEUES[name]
    with reading(looking.conn) as conn:
        see_all_rows(conn, [table])
        return conn.execute(query, {"now": looking.now}).fetchone() or (None, 0)


@observes(SlaType(name="drift_raised_within", kind="age", units=HOURS, title="drift was not raised in time"))
def drift_raised_within(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """Since when a source has sent what its contract does not name; 0 when every stream's last load was as agreed."""
    ((since, streams, looked),) = all_rows(looking.conn, _DRIFTS, {"project": looking.project, "now": looking.now})
    for definition in definitions:
        value = None if since or not looked else 0.0
        yield Observation(definition.name, value=value, at=since, details={"streams": streams})


@observes(SlaType(name="backup_age", kind="age", units=HOURS, title="the newest backup is too old"))
def backup_age(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """When the newest verified backup of all operational tables began: rows after that are in none."""
    ((started, _),) = all_rows(looking.conn, _BACKUPS, {})
    for definition in definitions:
        yield Observation(definition.name, at=started)


@observes(SlaType(name="restore_tested_within", kind="age", units=DAYS, title="no restore was tested lately"))
def restore_tested_within(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """When a backup was last restored and found equal."""
    ((_, tested),) = all_rows(looking.conn, _BACKUPS, {})
    for definition in definitions:
        yield Observation(definition.name, at=tested)


@observes(SlaType(name="heartbeat", kind="age", units=MINUTES, title="gone quiet", params=(Parameter("of"),)))
def heartbeat(definitions: Sequence[Definition], looking: Looking) -> Iterator[Observation]:
    """The last sign of life of one of our own loops, the evaluation itself by default."""
    rows = dict(all_rows(looking.conn, "select name, beat_at from ops.heartbeats", {}))
    for definition in definitions:
        yield Observation(definition.name, at=rows.get(str(definition.params.get("of", "sla_evaluation"))))


def _is_time(kind: str) -> bool:
    return kind == "date" or kind.startswith("timestamp")


def _instant(text: str | None, kind: str, looking: Looking) -> datetime | None:
    if text is None:
        return None
    if kind == "date":
        return looking.ends(date.fromisoformat(text))
    instant = datetime.fromisoformat(text)
    # Without a zone it is compared in the session's, which is UTC.
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
