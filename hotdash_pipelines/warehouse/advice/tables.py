"""Tables: read from end to end too often, never analysed, full of dead rows.

Belongs here: judging the counters of tables. Does not belong here: indexes, queries.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from hotdash_pipelines.warehouse.advice.model import AdviceFinding, AdviceTable, Limits

_WORTH_ANALYSING_BYTES = 128 * 1024


def table_findings(
    tables: Sequence[AdviceTable], since: datetime | None, now: datetime, limits: Limits
) -> tuple[list[AdviceFinding], list[str]]:
    """Findings about tables, and a note on those that autovacuum has yet to analyse: it follows a load by minutes."""
    new = [table.qualified for table in tables if _lacks_statistics(table) and table.is_autovacuumed]
    named = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
    waiting = f"not analysed yet: {named}; autovacuum does so within minutes of a load, else run `analyze`"
    return list(_findings(tables, since, now, limits)), [waiting] if new else []


def _findings(
    tables: Sequence[AdviceTable], since: datetime | None, now: datetime, limits: Limits
) -> Iterator[AdviceFinding]:
    # Over at least one day, so that a first load is no rate.
    days = max(1.0, (now - since).total_seconds() / 86400) if since else 1.0
    for table in tables:
        if _lacks_statistics(table) and not table.is_autovacuumed:
            yield _never_analysed(table)
        if table.rows > limits.big_table_rows:
            reads = table.seq_rows / table.rows / days
            if reads > limits.full_reads_a_day:
                yield _sequential(table, reads, limits)
            if table.dead_rows > max(limits.big_table_rows, limits.dead_rows_share * table.rows):
                yield _dead_rows(table)


def _lacks_statistics(table: AdviceTable) -> bool:
    return not table.is_analysed and table.kind != "p" and table.size >= _WORTH_ANALYSING_BYTES


def _never_analysed(table: AdviceTable) -> AdviceFinding:
    return AdviceFinding(
        kind="never_analysed",
        id=f"never_analysed:{table.qualified}",
        severity="warning",
        object=table.qualified,
        measured=f"{table.size // 1024:,} kB without statistics, and autovacuum is off: the planner guesses",
        remedy="analyse it after each load, or turn autovacuum on",
        ddl=f"analyze {table.sql}",
    )


def _sequential(table: AdviceTable, reads: float, limits: Limits) -> AdviceFinding:
    return AdviceFinding(
        kind="sequential_scans",
        id=f"sequential_scans:{table.qualified}",
        severity="critical" if reads > 10 * limits.full_reads_a_day else "warning",
        object=table.qualified,
        measured=f"read from end to end {reads:,.0f} times a day: {table.seq_scans:,} sequential scans of "
        f"{table.rows:,} rows against {table.index_scans:,} by index",
        remedy="find the query among the slow ones, or with auto_explain, and index the columns that it filters by",
    )


def _dead_rows(table: AdviceTable) -> AdviceFinding:
    return AdviceFinding(
        kind="dead_rows",
        id=f"dead_rows:{table.qualified}",
        severity="warning",
        object=table.qualified,
        measured=f"{table.dead_rows:,} dead rows beside {table.rows:,}: vacuum does not keep up",
        remedy="end sessions that stay in a transaction for hours, then vacuum",
        ddl=f"vacuum (analyze) {table.sql}",
    )
