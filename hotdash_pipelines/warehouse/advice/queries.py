"""Slow statements, by the extension pg_stat_statements where it is installed and readable.

Belongs here: reading that view, sorting interactive statements from batches, and texts without values.
Does not belong here: changing the extension's settings or its counters.
"""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.advice.model import AdviceFinding, Limits

if TYPE_CHECKING:
    import psycopg

_SHOWN = 20
_LONGEST_TEXT = 200
_BATCH_ROWS = 100
_READS = ("select", "with", "values", "table")
_WRITES = ("insert", "update", "delete", "merge")
_HOW_TO = "docs/runbooks/slow-queries.md says how to get it"

# A string or comment that never ends takes the rest of the text with it: no value may stand behind it.
_TOKENS = re.compile(
    r"""(?P<name>"(?:[^"]|"")*")
    | (?P<comment>/\*.*?(?:\*/|\Z) | --[^\n]*)
    | (?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
    | '(?:[^']|'')*(?:'|\Z)
    | (?<!\w)(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?:(?P=tag)|\Z)
    | (?<![\w$.])\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\b
    """,
    re.DOTALL | re.VERBOSE,
)

_STATEMENTS = """
select queryid, min(query), sum(calls), sum(total_exec_time) / sum(calls), max(max_exec_time), sum(rows) / sum(calls)
from {view}
where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null
group by queryid
having sum(total_exec_time) / sum(calls) > %(slow_ms)s
order by 4 desc, 1
"""
_HIDDEN = "select count(*) from {view} where queryid is null"


def slow_queries(
    conn: "psycopg.Connection[Any]", now: datetime, limits: Limits
) -> tuple[list[AdviceFinding], list[str]]:
    """Statements of this database whose mean is over the limits, slowest first, and notes in one line each.

    A statement counts when it runs often enough a day and is no batch: utility commands, dbt's statements and writes of
    many rows a call are left out and counted in a note. Texts hold no values.
    """
    import psycopg
    from psycopg import sql

    view, reason = _view(conn)
    if view is None:
        return [], [f"slow queries: {reason}"]
    try:
        with conn.transaction():
            since = conn.execute(sql.SQL("select stats_reset from {}").format(view[1])).fetchone()
            query = sql.SQL(_STATEMENTS).format(view=view[0])
            rows = conn.execute(query, {"slow_ms": limits.slow_ms}).fetchall()
            hidden = conn.execute(sql.SQL(_HIDDEN).format(view=view[0])).fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return [], [f"slow queries: pg_stat_statements is installed but not loaded at the server's start: {_HOW_TO}"]
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
        return [], ["slow queries: run `alter extension pg_stat_statements update`: its version is too old to read"]
    except psycopg.errors.InsufficientPrivilege:
        return [], ["slow queries: this user may not read pg_stat_statements: grant pg_read_all_stats to it"]
    days = max(1.0, (now - since[0]).total_seconds() / 86400) if since and since[0] else 1.0
    findings, batches = [], 0
    for queryid, text, calls, mean, slowest, rows_a_call in rows:
        if not _is_interactive(text, float(rows_a_call)) or float(calls) / days < limits.calls_a_day:
            batches += 1
            continue
        findings.append(_finding(queryid, text, int(calls), mean, slowest, limits))
    notes = []
    if hidden and hidden[0]:
        notes.append(
            f"slow queries: {hidden[0]} statements of other users are hidden: grant pg_read_all_stats to see them"
        )
    if batches:
        notes.append(
            f"slow queries: {batches} slow batch statements (loads, dbt, maintenance, "
            f"under {limits.calls_a_day:g} calls a day) are left out"
        )
    if len(findings) > _SHOWN:
        notes.append(f"slow queries: the slowest {_SHOWN} of {len(findings)} are shown")
    return findings[:_SHOWN], notes


def without_values(text: str) -> str:
    """A statement on one line without comments and constants, cut to 200 characters.

    The extension replaces constants itself, but keeps them in an entry that was evicted while its statement ran.
    """
    text = _TOKENS.sub(_mask, text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _mask(token: re.Match[str]) -> str:
    return token[0] if token["name"] else " " if token["comment"] else "?"


def _view(conn: "psycopg.Connection[Any]") -> tuple[Any, str]:
    """The identifiers of the view and of its information, or None and the reason."""
    from psycopg import sql

    row = conn.execute(
        "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace "
        "where e.extname = 'pg_stat_statements'"
    ).fetchone()
    if row:
        schema = row[0]
        names = sql.Identifier(schema, "pg_stat_statements"), sql.Identifier(schema, "pg_stat_statements_info")
        return names, ""
    offered = conn.execute("select 1 from pg_available_extensions where name = 'pg_stat_statements'").fetchone()
    where = "not installed in this database" if offered else "not part of this server"
    return None, f"pg_stat_statements is {where}, so none was measured: {_HOW_TO}"


def _is_interactive(text: str, rows_a_call: float) -> bool:
    if re.match(r'\s*/\* \{"app": "dbt"', text):
        return False
    bare = re.sub(r"/\*.*?\*/|--[^\n]*", " ", text, flags=re.DOTALL).strip().lower().lstrip("(")
    verb = re.split(r"\W", bare, maxsplit=1)[0]
    if verb in _READS:
        # Waiting for a lock is not slowness of a query.
        return not re.match(r"select (pg_catalog\.)?pg_advisory", bare)
    return verb in _WRITES and rows_a_call <= _BATCH_ROWS


def _finding(queryid: int, text: str, calls: int, mean: float, slowest: float, limits: Limits) -> AdviceFinding:
    return AdviceFinding(
        kind="slow_query",
        id=f"slow_query:{queryid}",
        severity="critical" if mean > limits.critical_ms else "warning",
        object=without_values(text),
        measured=f"{mean:,.1f} ms on average over {calls:,} calls, {slowest:,.1f} ms at worst",
        remedy="look at its plan with `explain (analyze, buffers)` for a filter without an index",
    )
