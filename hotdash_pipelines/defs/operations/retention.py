"""Rows past their window: out of the table, into the archive. One asset for each table that has a window.

Belongs here: the assets, their dry run, their check. Does not belong here: windows and protocol (operations.retention
and its neighbours), which tables when (operations/retention/calendar.py), when it runs (defs/schedules.py).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from hotdash_pipelines.agent.tables import load_agent_tables
from hotdash_pipelines.defs.operations.verdicts import Judge, OperationVerdict, stored_check
from hotdash_pipelines.operations.retention.calendar import monthly, retained
from hotdash_pipelines.operations.retention.rules import RetentionRule, cut_offs
from hotdash_pipelines.orchestration import keys
from hotdash_pipelines.orchestration.failures import one_line_errors
from hotdash_pipelines.orchestration.metadata import column_schema, runbook
from hotdash_pipelines.orchestration.resources import ClockResource, StoresResource, WarehouseResource
from hotdash_pipelines.settings import get_settings

_PAGE = "runbooks/retention-failed.md"
_CHECK = "archived_rows_are_readable_and_equal_deleted_rows"
_PARTS = """
select run_id::text, part, archived_rows, deleted_rows, archive_uri, archive_sha256, cutoff
from ops.retention_runs
where table_name = %(table)s and state = 'deleted' and cutoff = coalesce(%(cutoff)s, (
    select max(cutoff) from ops.retention_runs where table_name = %(table)s and state = 'deleted'
))
order by part
"""
_DELETED = """
select count(*), coalesce(sum(deleted_rows), 0) from ops.retention_runs
where table_name = %(table)s and state = 'deleted' and deleted_rows > 0
"""


class RetentionConfig(dg.Config):
    """How one table is visited. Unless a schedule says otherwise nothing is deleted."""

    dry_run: bool = Field(
        default=True,
        description="Count what would go and change nothing. The schedules say false; by hand, so must you.",
    )
    as_of: str | None = Field(
        default=None,
        description="Instant that the windows end at, in ISO 8601 with an offset; now when it is not set. A schedule "
        "gives its own, so that a run which is repeated later deletes what it would have deleted then.",
    )

    def instant(self, now: datetime) -> datetime:
        """`as_of`, else now. Raises Failure for a text that is no instant, and for one of the future."""
        if self.as_of is None:
            return now
        try:
            instant = datetime.fromisoformat(self.as_of)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None or instant > now:
            raise dg.Failure(
                f"as_of {self.as_of!r} is no instant of the past with an offset, such as 2026-03-01T03:00:00+00:00",
                allow_retries=False,
            )
        return instant


def archive_asset(rule: RetentionRule) -> dg.AssetsDefinition:
    """The archive of one table."""
    key = keys.archive_key(rule.table)
    table = next(one for one in load_agent_tables() if one.name == rule.table)

    @dg.asset(
        key=key,
        deps=[keys.agent_key(rule.table), keys.BACKUP_KEY, *([keys.archive_key(rule.follows)] if rule.follows else [])],
        description=_description(rule),
        group_name=keys.OPERATIONS_GROUP,
        owners=[keys.TEAM_DATA],
        kinds={"postgres", "parquet"},
        code_version="1",
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=32 if rule.table in monthly(get_settings()) else 8)
        ),
        pool=keys.WAREHOUSE_POOL,
        # A dry run brings nothing, so it does not make the asset look fresh.
        output_required=False,
        metadata={
            "dagster/column_schema": column_schema(
                (one.name, one.type, one.description, one.is_nullable, {"pii": one.pii} if one.pii else {})
                for one in table.columns
            ),
            "runbook": runbook(_PAGE),
        },
    )
    def archive(
        context: dg.AssetExecutionContext,
        config: RetentionConfig,
        clock: ClockResource,
        stores: StoresResource,
        warehouse: WarehouseResource,
    ) -> Iterator[dg.MaterializeResult]:
        now = clock.now()
        as_of = config.instant(now)
        with one_line_errors(context.op_execution_context, f"archive/{rule.table}"):
            if config.dry_run:
                context.log_event(_dry_run(rule, warehouse, as_of))
                return
            facts = _delete(context, rule, stores, warehouse.url(), as_of, now)
        yield dg.MaterializeResult(metadata=facts)

    return archive


def _description(rule: RetentionRule) -> str:
    age = " and ".join(f"`{column}`" for column in rule.age)
    kept = [f"{rule.long_days} days where `{rule.long_when}`"] if rule.long_days else []
    kept += [f"without limit where `{rule.kept_when}`"] if rule.kept_when else []
    when = "On the first of every month" if rule.table in monthly(get_settings()) else "Every Sunday"
    follows = f" A version goes with its row of `{rule.follows}`." if rule.follows else ""
    return (
        f"One row is one row of `agent.{rule.table}` that was deleted because its window had passed.\n\n"
        f"The window is {rule.days} days of {age}{''.join(f', {one}' for one in kept)}.{follows} "
        f"{when} at 03:00 UTC, only behind that day's verified and restored backup, what is older is written as "
        "Parquet, read back, and deleted in the same transaction. What is younger never leaves the table.\n\n"
        "**Materialised by hand it is a dry run**: it counts what would go, as an observation, and changes nothing. To "
        "delete, open *Materialize* with the run config and set `dry_run: false`."
    )


def _dry_run(rule: RetentionRule, warehouse: WarehouseResource, as_of: datetime) -> dg.AssetObservation:
    from hotdash_pipelines.operations.retention.rules import plan
    from hotdash_pipelines.warehouse.postgres import connect

    base = [other for other in retained(get_settings()) if other.table == rule.follows]
    with connect(warehouse.url()) as conn:
        planned = plan(conn, [*base, rule], as_of).tables[-1]
    description = f"dry run: {planned.rows:,} rows would go"
    facts: dict[str, Any] = {"rows_that_would_go": planned.rows, "dry_run": True, **_windows(planned.cut_offs)}
    if planned.oldest:
        facts["oldest"] = dg.MetadataValue.timestamp(planned.oldest)
    return dg.AssetObservation(keys.archive_key(rule.table), description=description, metadata=facts)


def _windows(at: Any) -> dict[str, Any]:
    windows = {"cutoff": dg.MetadataValue.timestamp(at.normal)}
    return windows | ({"long_cutoff": dg.MetadataValue.timestamp(at.long)} if at.long else {})


def _delete(
    context: dg.AssetExecutionContext,
    rule: RetentionRule,
    stores: StoresResource,
    url: str,
    as_of: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Archive and delete behind a verified backup of today, and what is worth seeing of it."""
    from hotdash_pipelines.operations.retention.gate import standing_backup
    from hotdash_pipelines.operations.retention.run import run_table

    key, scratch = stores.manifest_key(), stores.scratch()
    backup_id = standing_backup(
        url, stores.backups(), [rule], now=now, scratch=scratch, key=key, on_progress=context.log.info
    )
    done = run_table(
        url,
        stores.archive(),
        rule,
        now=as_of,
        scratch=scratch,
        backup_id=backup_id,
        key=key,
        on_progress=lambda part: context.log.info(f"{part.table} part {part.part}: {part.rows:,} rows to {part.uri}"),
    )
    facts = {"candidate_rows": done.candidates, "backup_id": backup_id, "dry_run": False}
    return {**facts, **_windows(cut_offs(rule, as_of)), **_figures(_parts(url, rule.table, done.cutoff))}


def _parts(url: str, table: str, cutoff: datetime | None = None) -> list[dict[str, Any]]:
    """The parts that ops.retention_runs has of a cut-off, of the newest one by default; empty when there are none.

    Versions of a row are recorded with the run that took the row.
    """
    from psycopg.rows import dict_row

    from hotdash_pipelines.warehouse.postgres import connect

    with connect(url) as conn, conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_PARTS, {"table": table, "cutoff": cutoff}).fetchall()


def _figures(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "dagster/row_count": sum(part["archived_rows"] for part in parts),
        "archived_rows": sum(part["archived_rows"] for part in parts),
        "deleted_rows": sum(part["deleted_rows"] for part in parts),
        "parts": len(parts),
    }
    if parts:
        # All parts of a cut-off lie in one folder.
        facts["files"] = dg.MetadataValue.path(str(parts[0]["archive_uri"]).rpartition("/")[0])
        facts["archives"] = dg.MetadataValue.table([_record(part) for part in parts])
    return facts


def _record(part: dict[str, Any]) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "part": part["part"],
            "rows": part["deleted_rows"],
            "run_id": part["run_id"],
            "file": str(part["archive_uri"]).rpartition("/")[2],
            "sha256": part["archive_sha256"],
        }
    )


def equal(table: str) -> Judge:
    """The judge of all archives of one table."""

    def judge(stores: StoresResource, url: str, now: datetime) -> OperationVerdict:  # noqa: ARG001 - every judge's
        from hotdash_pipelines.operations.retention.archive_audit import look
        from hotdash_pipelines.warehouse.postgres import connect

        with connect(url, autocommit=True) as conn:
            (parts, deleted) = conn.execute(_DELETED, {"table": table}).fetchone() or (0, 0)
            archives = look(
                conn, stores.archive(), scratch=stores.scratch(), key=stores.manifest_key(), decode=True, table=table
            )
        if not parts:
            return OperationVerdict(
                False, "no row was archived yet, so there is nothing to read back", nothing_yet=True
            )
        kept = [one for one in archives if one.state == "kept"]
        lost = [one for one in archives if one.state in ("damaged", "missing")]
        archived = sum(one.rows or 0 for one in kept)
        summary = f"{archived:,} rows were read back from {len(kept)} archives, {int(deleted):,} were deleted"
        if lost:
            summary = f"{summary}; {len(lost)} archives are {lost[0].state}, the first: {lost[0].problem}"
        states = {
            f"archives_{state.replace(' ', '_')}": count for state, count in Counter(o.state for o in archives).items()
        }
        return OperationVerdict(not lost and archived == deleted, summary, archived, states)

    return judge


archives = [archive_asset(rule) for rule in retained(get_settings())]
archive_checks = [
    stored_check(
        keys.archive_key(rule.table),
        _CHECK,
        equal(rule.table),
        "Every archive of the table is as it was written, and together they have the rows that were deleted.",
        dimension="consistency",
        page=_PAGE,
    )
    for rule in retained(get_settings())
]
