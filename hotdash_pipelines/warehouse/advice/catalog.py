"""Reading the catalog and the statistics views for advice: tables, indexes, and since when the server counts.

Belongs here: SELECTs and their rows as values. Does not belong here: judging them.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.advice.model import AdviceTable, Index

if TYPE_CHECKING:
    import psycopg

# ruff: noqa: S608 - put together from constants of this file
# Tables of the system, of temporary schemas and of extensions are nobody's to mend.
_OURS = r"""
    n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
"""

# Vacuum sets reltuples too, so a table it has seen counts as analysed only when something else says so. pg_stats is
# silent about tables whose rows the reader may not see; then vacuum's word has to do.
_TABLES = f"""
select
    c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relkind,
    greatest(c.reltuples, s.n_live_tup, 0)::bigint,
    coalesce(pg_relation_size(c.oid), 0), coalesce(s.n_dead_tup, 0),
    c.reltuples >= 0 and (
        coalesce(s.last_analyze, s.last_autoanalyze) is not null or row_security_active(c.oid)
        or exists (select from pg_stats p where p.schemaname = n.nspname and p.tablename = c.relname)
    ),
    current_setting('autovacuum')::bool and current_setting('track_counts')::bool
        and coalesce((select o.option_value::bool from pg_options_to_table(c.reloptions) o
            where o.option_name = 'autovacuum_enabled'), true),
    coalesce(s.seq_scan, 0), coalesce(s.seq_tup_read, 0), coalesce(s.idx_scan, 0), c.relrowsecurity
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and {_OURS}
order by n.nspname, c.relname
"""

_INDEXES = f"""
select
    i.indexrelid, i.indrelid, n.nspname, ic.relname, format('%I.%I', n.nspname, ic.relname), am.amname,
    array(select pg_get_indexdef(i.indexrelid, k, false) from generate_series(1, i.indnatts) k order by k),
    string_to_array(i.indkey::text, ' ')::int[], i.indnkeyatts,
    string_to_array(i.indclass::text, ' ')::bigint[], string_to_array(i.indcollation::text, ' ')::bigint[],
    string_to_array(i.indoption::text, ' ')::int[], pg_get_expr(i.indpred, i.indrelid), ic.reloptions, i.indisunique,
    i.indisprimary or i.indisexclusion or i.indisreplident or i.indisclustered or ic.relispartition
        or exists (select from pg_constraint k where k.conindid = i.indexrelid),
    i.indisvalid, coalesce(obj_description(i.indexrelid, 'pg_class') ~* '^keep:', false),
    coalesce(s.idx_scan, 0), coalesce(pg_relation_size(i.indexrelid), 0)
from pg_index i
join pg_class ic on ic.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_am am on am.oid = ic.relam
left join pg_stat_all_indexes s on s.indexrelid = i.indexrelid
where c.relkind in ('r', 'm', 'p') and {_OURS}
order by i.indrelid, i.indexrelid
"""

# A crash loses all statistics and leaves its moment with the counters of the whole server; resetting one of those by
# hand moves only that one, hence the older of two.
_SINCE = """
select greatest(
    (select stats_reset from pg_stat_database where datname = current_database()),
    least((select stats_reset from pg_stat_bgwriter), (select stats_reset from pg_stat_archiver))
)
"""
_CREATED = """
select (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification
from pg_database where datname = current_database()
"""


def read_tables(conn: "psycopg.Connection[Any]") -> list[AdviceTable]:
    """Every table and materialised view of the database with its indexes, by schema and name."""
    tables = [AdviceTable(*row) for row in conn.execute(_TABLES)]
    by_oid = {table.oid: table for table in tables}
    for row in conn.execute(_INDEXES):
        oid, table_oid, schema, name, sql, method, keys, columns, key_count, classes, collations, directions, *rest = (
            row
        )
        predicate, options, is_unique, is_bound, is_valid, is_kept, scans, size = rest
        by_oid[table_oid].indexes.append(
            Index(
                oid,
                table_oid,
                schema,
                name,
                sql,
                method,
                tuple(keys),
                tuple(columns),
                key_count,
                tuple(classes),
                tuple(collations),
                tuple(directions),
                predicate,
                tuple(options or ()),
                is_unique,
                is_bound,
                is_valid,
                is_kept,
                scans,
                size,
            )
        )
    return tables


def statistics_since(conn: "psycopg.Connection[Any]") -> datetime | None:
    """The instant from which on scans of this database were counted, None when the server does not tell.

    The latest of the last reset, the loss by a crash, and the making of the database, where the user may see it.
    """
    since = _value(conn, _SINCE)
    may_look = _value(conn, "select has_function_privilege('pg_stat_file(text, boolean)', 'execute')")
    created = _value(conn, _CREATED) if may_look else None
    return max((moment for moment in (since, created) if moment), default=None)


def _value(conn: "psycopg.Connection[Any]", query: str) -> Any:
    row = conn.execute(query).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue] - constants of this file
    return row[0] if row else None
