"""The ledger of completeness, `ops.stream_days`: which business days of which streams are whole.

Belongs here: its statements. Does not belong here: asking a source to count (ingest/completeness.py), the loads
themselves (loading).

A day is whole as of an instant T when its own window and all later ones were read without a gap up to T, and T is not
before the last of these readings: a record may leave a window that is read later than the one it moves to. Where the
source counts as many records as are loaded, the day is whole whatever was read when. A day that was whole stays so: a
load never takes a record away, but marks it as deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.warehouse.loading.ddl import raw_schema
from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql


@dataclass(frozen=True)
class DayCount:
    """How many records of a day the source has by its own count, None when it cannot tell; asked at `counted_at`."""

    key: str
    records: int | None
    counted_at: datetime


@dataclass(frozen=True)
class StreamDay:
    """A day that is loaded and was counted by its source.

    `differs`: the two disagree, and the count is the newer. `waits`: it has fewer than the source counts, but windows
    that its records may have moved to are not loaded yet.
    """

    day: date
    counted: int
    loaded: int
    differs: bool
    waits: bool = False


def days_to_count(
    url: str, contract: Contract, project: str, fetched_at: Mapping[str, datetime], limit: int
) -> list[str]:
    """The partition keys of the days whose count is older than their window, and of at most `limit` that differ.

    `fetched_at` holds when each window at hand was read. Days that differ are counted again wherever they lie: their
    records may have come, or gone, after the count.
    """
    names = {
        "project": project,
        "source": contract.source,
        "stream": contract.stream,
        "tolerance": contract.count_tolerance,
    }
    with connect(url) as conn:
        known = conn.execute(
            "select business_date::text, counted_at, "
            "state = 'differs' or abs(loaded_count - source_count) > %(tolerance)s * source_count "
            "from ops.stream_days where project_key = %(project)s and source = %(source)s and stream = %(stream)s "
            "order by business_date desc",
            names,
        ).fetchall()
    counted = {key: at for key, at, _ in known}
    due = {key for key, at in fetched_at.items() if (counted.get(key) or datetime.min.replace(tzinfo=at.tzinfo)) < at}
    return sorted(due | set([key for key, _, differs in known if differs][:limit]))


def note_counts(url: str, contract: Contract, project: str, counted: Sequence[DayCount]) -> None:
    """Keep what the source counted. A count that it once gave is not replaced by none: the day left its horizon."""
    if not counted:
        return
    rows = [
        (project, contract.source, contract.stream, count.key, count.records, count.counted_at) for count in counted
    ]
    with connect(url) as conn, conn.cursor() as cursor:
        cursor.executemany(_NOTE_COUNT, rows)


_NOTE_COUNT = """
insert into ops.stream_days as d
    (project_key, source, stream, business_date, has_source_count, source_count, counted_at, state, reason)
values (%s, %s, %s, %s::date, true, %s, %s, 'partial', 'it is not loaded yet')
on conflict (project_key, source, stream, business_date) do update set
    source_count = excluded.source_count, counted_at = excluded.counted_at
where (excluded.source_count is not null or d.source_count is null)
    and (d.counted_at is null or d.counted_at <= excluded.counted_at)
    and (d.source_count, d.counted_at) is distinct from (excluded.source_count, excluded.counted_at)
"""


def refresh_days(
    url: str,
    contract: Contract,
    project: str,
    zone: str,
    keys: Sequence[str],
    now: datetime,
    *,
    is_counted: bool,
) -> list[StreamDay]:
    """Bring the ledger of a stream up to what is loaded, after its windows `keys` were; returns the days counted.

    Counts anew the days of which anything was loaded since those windows were, and judges every day of the stream.
    `is_counted` is whether the source counts the stream's days at all.
    Running it twice, or after a load that was killed before it, gives the same. Raises WarehouseError.
    """
    with connect(url) as conn:
        conn.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (f"hotdash stream days {project} {contract.source} {contract.stream}",),
        )
        names: dict[str, Any] = {
            "project": project,
            "source": contract.source,
            "stream": contract.stream,
            "zone": zone,
            "keys": list(keys),
            "now": now,
            "is_counted": is_counted,
            "tolerance": contract.count_tolerance,
            "settle_days": contract.refetch_days - 1 if contract.semantics == "event_date" else 0,
        }
        if (loaded := _loaded(contract)) is None:
            return []
        conn.execute(loaded, names)
        conn.execute(_WATERMARK, names)
        conn.execute(_JUDGE_LISTING if contract.semantics == "snapshot" else _JUDGE, names)
        rows = conn.execute(
            "select business_date, source_count, loaded_count, state = 'differs', "
            "state = 'partial' and loaded_count < source_count * (1 - %(tolerance)s) and %(settle_days)s = 0 "
            "and counted_at >= coalesce(changed_at, '-infinity') from ops.stream_days "
            "where project_key = %(project)s and source = %(source)s and stream = %(stream)s "
            "and source_count is not null and (state = 'differs' or business_date = any(%(keys)s::date[])) "
            "order by business_date",
            names,
        ).fetchall()
    return [StreamDay(*row) for row in rows]


def note_agent_days(conn: "psycopg.Connection[Any]", project: str, zone: str, now: datetime) -> None:
    """Bring the ledger up to the support agent's queries: their table is here, so a day is whole once it is over."""
    conn.execute(_AGENT_DAYS, {"project": project, "zone": zone, "now": now})


# A day that retention has emptied keeps its row.
_AGENT_DAYS = """
insert into ops.stream_days as d
    (project_key, source, stream, business_date, has_source_count, loaded_count, as_of, state, reason)
select
    %(project)s, 'agent', 'agent_queries', day, false, count(*), least(%(now)s, ends_at),
    case when ends_at <= %(now)s then 'complete' else 'open' end,
    case when ends_at > %(now)s then 'the day is not over' end
from (
    select
        (created_at at time zone %(zone)s)::date as day,
        ((created_at at time zone %(zone)s)::date + 1)::timestamp at time zone %(zone)s as ends_at
    from agent.agent_queries
) as queries
group by day, ends_at
on conflict (project_key, source, stream, business_date) do update set
    loaded_count = excluded.loaded_count, as_of = excluded.as_of, state = excluded.state, reason = excluded.reason
where (d.loaded_count, d.as_of, d.state, d.reason)
    is distinct from (excluded.loaded_count, excluded.as_of, excluded.state, excluded.reason)
"""


def _loaded(contract: Contract) -> "sql.Composed | None":
    """The statement that counts the days at hand in the raw table; None where the contract names no business day."""
    from psycopg import sql

    if contract.semantics == "snapshot":
        return sql.SQL(_LOADED_LISTING).format(table=_table(contract))
    if contract.semantics == "event_date":
        day = sql.SQL("t.{}").format(sql.Identifier(str(contract.cursor)))
    elif contract.business_day is not None:
        day = sql.SQL("(t.{} at time zone %(zone)s)::date").format(sql.Identifier(contract.business_day))
    else:
        return None
    amount = sql.SQL("sum(t.{})").format(sql.Identifier(contract.counts)) if contract.counts else sql.SQL("count(*)")
    return sql.SQL(_LOADED).format(table=_table(contract), day=day, amount=amount)


def _table(contract: Contract) -> "sql.Identifier":
    from psycopg import sql

    return sql.Identifier(raw_schema(contract.source), contract.table.name)


# From the watermark on, since a load may have been killed before its days were counted; and from the first load of the
# windows at hand, since loads that run side by side do not commit in the order of their time.
_LOADED = """
with touched as materialized (
    select distinct {day} as day
    from {table} as t
    where t.project_key = %(project)s
        and t._loaded_at >= least(
            coalesce(
                (
                    select w.loaded_until from ops.stream_watermarks as w
                    where w.project_key = %(project)s and w.source = %(source)s and w.stream = %(stream)s
                ),
                '-infinity'
            ),
            (
                select min(l.loaded_at) from ops.lake_loads as l
                where l.project_key = %(project)s and l.source = %(source)s and l.stream = %(stream)s
                    and l.window_key = any(%(keys)s)
            )
        )
    union
    select key::date from unnest(%(keys)s::text[]) as key
),
counted as (
    select
        {day} as day,
        {amount} filter (where t._deleted_at is null) as loaded_count,
        count(*) filter (where t._deleted_at is not null) as deleted_count,
        greatest(max(l.fetched_at), max(t._deleted_at)) as changed_at
    from {table} as t
    left join ops.lake_loads as l
        on l.project_key = t.project_key and l.source = %(source)s and l.stream = %(stream)s
        and l.window_key = t._window
    where t.project_key = %(project)s and {day} in (select day from touched)
    group by 1
)
insert into ops.stream_days as d
    (project_key, source, stream, business_date,
     has_source_count, loaded_count, deleted_count, changed_at, state, reason)
select
    %(project)s, %(source)s, %(stream)s, touched.day, %(is_counted)s, coalesce(counted.loaded_count, 0),
    coalesce(counted.deleted_count, 0), counted.changed_at, 'partial', 'it is not judged yet'
from touched
left join counted on counted.day = touched.day
where touched.day is not null
on conflict (project_key, source, stream, business_date) do update set
    has_source_count = excluded.has_source_count, loaded_count = excluded.loaded_count,
    deleted_count = excluded.deleted_count, changed_at = excluded.changed_at
where (d.has_source_count, d.loaded_count, d.deleted_count, d.changed_at)
    is distinct from (excluded.has_source_count, excluded.loaded_count, excluded.deleted_count, excluded.changed_at)
"""

_WATERMARK = """
insert into ops.stream_watermarks as w (project_key, source, stream, loaded_until)
select project_key, source, stream, max(loaded_at)
from ops.lake_loads
where project_key = %(project)s and source = %(source)s and stream = %(stream)s
group by project_key, source, stream
on conflict (project_key, source, stream) do update set loaded_until = excluded.loaded_until
where w.loaded_until is distinct from excluded.loaded_until
"""

# A listing shows the present: only the newest one says what is there.
_LOADED_LISTING = """
insert into ops.stream_days as d
    (project_key, source, stream, business_date,
     has_source_count, loaded_count, deleted_count, changed_at, as_of, state, reason)
select
    %(project)s, %(source)s, %(stream)s, newest.window_key::date, %(is_counted)s,
    (select count(*) from {table} where project_key = %(project)s and _deleted_at is null),
    (select count(*) from {table} where project_key = %(project)s and _deleted_at is not null),
    newest.fetched_at, newest.fetched_at, 'partial', 'it is not judged yet'
from (
    select window_key, fetched_at from ops.lake_loads
    where project_key = %(project)s and source = %(source)s and stream = %(stream)s
    order by fetched_at desc, window_key desc
    limit 1
) as newest
on conflict (project_key, source, stream, business_date) do update set
    loaded_count = excluded.loaded_count, deleted_count = excluded.deleted_count,
    changed_at = excluded.changed_at, as_of = excluded.as_of
where (d.loaded_count, d.deleted_count, d.changed_at, d.as_of)
    is distinct from (excluded.loaded_count, excluded.deleted_count, excluded.changed_at, excluded.as_of)
"""

_JUDGE_LISTING = """
update ops.stream_days set state = 'complete', reason = null
where project_key = %(project)s and source = %(source)s and stream = %(stream)s
    and as_of is not null and state <> 'complete'
"""

_JUDGE = """
with loads as (
    select
        window_key::date as day,
        fetched_at,
        least(fetched_at, (window_key::date + 1)::timestamp at time zone %(zone)s) as read_to,
        fetched_at < (window_key::date + 1)::timestamp at time zone %(zone)s
            or lead(window_key::date) over (order by window_key::date) is distinct from window_key::date + 1 as is_last
    from ops.lake_loads
    where project_key = %(project)s and source = %(source)s and stream = %(stream)s
),
-- Windows without a gap between them, each row with the last one that is reached from it.
runs as (
    select *, count(*) filter (where is_last) over (order by day desc) as run
    from loads
),
reached as (
    select
        day,
        fetched_at,
        max(read_to) filter (where is_last) over (partition by run) as reached_at,
        max(fetched_at) over (partition by run order by day desc) as last_read_at
    from runs
),
weighed as (
    select
        d.business_date,
        d.source_count,
        d.loaded_count,
        d.counted_at is not null and d.source_count is null and d.state <> 'complete' as is_hidden,
        reached.day is not null as is_read,
        first_load.day as first_day,
        reached.reached_at,
        (d.business_date + 1)::timestamp at time zone %(zone)s as ends_at,
        -- A source that restates a date does so as a whole: its own window is all there is of it.
        case when %(settle_days)s > 0 then reached.fetched_at else reached.reached_at end as read_to,
        case when %(settle_days)s > 0 then true else reached.reached_at >= reached.last_read_at end as is_gapless,
        reached.fetched_at,
        case
            when abs(d.loaded_count - d.source_count) <= %(tolerance)s * d.source_count then true
            when d.counted_at >= coalesce(d.changed_at, '-infinity') and d.source_count is not null then false
        end as is_equal,
        d.as_of as was_as_of,
        -- In the past of a long backfill, say: the count knows of a year that is still to be read.
        %(settle_days)s = 0 and d.loaded_count < d.source_count
            and coalesce(d.counted_at > reached.reached_at + interval '1 day', false) as is_ahead
    from ops.stream_days as d
    left join reached on reached.day = d.business_date
    cross join (select min(day) as day from loads) as first_load
    where d.project_key = %(project)s and d.source = %(source)s and d.stream = %(stream)s
),
dated as (
    select
        *,
        greatest(was_as_of, case when is_gapless or is_equal then read_to end) as as_of,
        ends_at + %(settle_days)s * interval '1 day' as settles_at
    from weighed
),
judged as (
    select
        *,
        case
            when is_hidden then 'unknown'
            when not is_read then 'partial'
            when %(now)s < ends_at and coalesce(as_of < ends_at, true) then 'open'
            when not is_equal then case when is_ahead then 'partial' else 'differs' end
            when coalesce(as_of < ends_at, true) then 'partial'
            when %(settle_days)s > 0 and fetched_at < settles_at then 'provisional'
            else 'complete'
        end as state
    from dated
),
told as (
    select
        business_date,
        as_of,
        state,
        case
            when state = 'unknown' then 'the source does not tell how many it has of this day'
            when state = 'open' then 'the day is not over'
            when state = 'differs' then format('the source counts %%s, %%s are loaded', source_count, loaded_count)
            when state = 'provisional'
                then 'the source may restate it until ' || to_char(settles_at, 'YYYY-MM-DD HH24:MI "UTC"')
            when state = 'partial' and business_date < first_day
                then format('only what changed since %%s is loaded', first_day)
            when state = 'partial' and not is_read then 'its window is not loaded'
            when state = 'partial'
                then 'what changed is loaded up to ' || to_char(read_to, 'YYYY-MM-DD HH24:MI "UTC"') || ' only'
        end as reason
    from judged
)
update ops.stream_days as d
set as_of = told.as_of, state = told.state, reason = told.reason
from told
where d.project_key = %(project)s and d.source = %(source)s and d.stream = %(stream)s
    and d.business_date = told.business_date
    and (d.as_of, d.state, d.reason) is distinct from (told.as_of, told.state, told.reason)
"""
