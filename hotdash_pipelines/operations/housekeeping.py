"""What piles up and is of no use after a while: raw pages, quarantined pages, runs, rollback dumps, old results.

Belongs here: one sweep over all of it, each part by its own age, and what each part freed. Does not belong here: the
support agent's rows (operations/retention/rules.py), backups (operations/backup/run.py), how Dagster keeps its runs
(orchestration/run_history.py hands that in).

Each part removes what is older than a cut-off and nothing else, so a sweep that was killed is ended by the next one.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.lake.partition import prune_pages
from hotdash_pipelines.lake.quarantine import prune_quarantine
from hotdash_pipelines.operations.erasure.run import keep_beside, listed
from hotdash_pipelines.storage import Store, StoreError, told_of_disk
from hotdash_pipelines.warehouse.postgres import WarehouseError, database_errors

if TYPE_CHECKING:
    import psycopg

_ROWS_AT_ONCE = 10_000
# An incident that is still open goes on in the thread of its first message, however old that is.
_OLD_ALERTS = """
state = 'delivered' and delivered_at < %s and (violation_id is null or violation_id not in (
    select open.violation_id from ops.sla_violations open join ops.incidents i using (incident_id)
    where i.resolved_at is null
))
"""
# The name that `hotdash schema rollback` gives; a backup's own number begins with its year.
_ROLLBACK_DUMP = re.compile(r"^rollback-(?P<made_at>\d{8}T\d{6}Z)-(?:base|\d{4})(?:-\d+)?$")


class LimitSettings(Protocol):
    """The settings that say how long things are kept, in days."""

    @property
    def raw_pages_days(self) -> int: ...
    @property
    def quarantine_days(self) -> int: ...
    @property
    def retain_runs_days(self) -> int: ...
    @property
    def rollback_dumps_days(self) -> int: ...
    @property
    def delivered_alerts_days(self) -> int: ...
    @property
    def check_results_days(self) -> int: ...
    @property
    def observations_days(self) -> int: ...


class PrunedHistory(Protocol):
    """What the history of runs gave up: `runs` whole, `trimmed` in part, `events` of both and their `bytes`."""

    @property
    def runs(self) -> int: ...
    @property
    def trimmed(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def bytes(self) -> int: ...


class History(Protocol):
    """Removes old runs of the orchestrator; None when it has no storage that can be swept."""

    def __call__(self, before: datetime, *, dry_run: bool) -> PrunedHistory | None:
        """Remove what finished runs that ended before `before` left; count only when `dry_run`."""
        ...


@dataclass(frozen=True)
class HousekeepingPart:
    """One part of a sweep: things older than `before` went (or would): `items` of them, `bytes` in all.

    `error` is one line: then the part was not ended, and what it counts is unknown.
    """

    name: str
    before: datetime | None
    items: int = 0
    bytes: int = 0
    details: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The part as plain JSON values."""
        before = self.before.isoformat() if self.before else None
        return {**vars(self), "before": before, "details": dict(self.details)}


@dataclass(frozen=True)
class Swept:
    """A sweep, or a dry run of one."""

    parts: tuple[HousekeepingPart, ...]
    dry_run: bool

    @property
    def failed(self) -> tuple[HousekeepingPart, ...]:
        """The parts that could not be ended."""
        return tuple(part for part in self.parts if part.error)

    @property
    def items(self) -> int:
        """Things that went, or would."""
        return sum(part.items for part in self.parts)

    @property
    def bytes(self) -> int:
        """What they took up."""
        return sum(part.bytes for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The sweep as plain JSON values."""
        parts = [part.as_json() for part in self.parts]
        return {"dry_run": self.dry_run, "items": self.items, "bytes": self.bytes, "parts": parts}


def sweep(
    conn: "psycopg.Connection[Any]",
    now: datetime,
    limits: LimitSettings,
    *,
    lake: Store,
    contracts: Sequence[Contract],
    project: str,
    backups: Store,
    rollback_dumps: Path,
    history: History | None = None,
    dry_run: bool = False,
) -> Swept:
    """Remove everything that is older than its limit, part by part; a part that fails does not stop the others.

    `conn` is in autocommit. `rollback_dumps` is the folder that `hotdash schema rollback` writes to: only its own
    dumps there are looked at. Without `history` the orchestrator's runs stay. Records of erasures that lie not yet
    beside the backups are written there.
    """

    def before(days: int) -> datetime:
        return now - timedelta(days=days)

    steps: list[tuple[str, datetime | None, Callable[[datetime], HousekeepingPart]]] = [
        ("raw pages", before(limits.raw_pages_days), lambda at: _pages(lake, contracts, project, at, dry_run)),
        ("quarantine", before(limits.quarantine_days), lambda at: _quarantine(lake, contracts, project, at, dry_run)),
        ("rollback dumps", before(limits.rollback_dumps_days), lambda at: _dumps(rollback_dumps, at, dry_run)),
        (
            "delivered alerts",
            before(limits.delivered_alerts_days),
            lambda at: _rows(conn, "delivered alerts", ("alert_outbox", "id"), _OLD_ALERTS, at, dry_run),
        ),
        (
            "check results",
            before(limits.check_results_days),
            lambda at: _rows(conn, "check results", ("check_results", "id"), "checked_at < %s", at, dry_run),
        ),
        (
            "observations",
            before(limits.observations_days),
            lambda at: _rows(
                conn, "observations", ("data_observations", "observation_id"), "observed_at < %s", at, dry_run
            ),
        ),
        ("erasure records", None, lambda _: _erasures(conn, backups, dry_run)),
    ]
    if history is not None:
        steps.append(("runs", before(limits.retain_runs_days), lambda at: _runs(history, at, dry_run)))
    return Swept(tuple(_guarded(name, at, step) for name, at, step in steps), dry_run)


def _guarded(name: str, before: datetime | None, step: Callable[[Any], HousekeepingPart]) -> HousekeepingPart:
    try:
        with (
            database_errors(WarehouseError, "the server refuses ({reason}): mend that, then run again"),
            told_of_disk(StoreError, "the disk refused ({reason}): mend that, then run again"),
        ):
            return step(before)
    except HotdashError as error:
        return HousekeepingPart(name, before, error=str(error))


def _pages(
    lake: Store, contracts: Sequence[Contract], project: str, before: datetime, dry_run: bool
) -> HousekeepingPart:
    gone = [prune_pages(lake, contract, project, before, dry_run=dry_run) for contract in contracts]
    return HousekeepingPart("raw pages", before, sum(len(one.keys) for one in gone), sum(one.bytes for one in gone))


def _quarantine(
    lake: Store, contracts: Sequence[Contract], project: str, before: datetime, dry_run: bool
) -> HousekeepingPart:
    gone = [prune_quarantine(lake, contract, project, before, dry_run=dry_run) for contract in contracts]
    return HousekeepingPart("quarantine", before, sum(len(one.keys) for one in gone), sum(one.bytes for one in gone))


def _dumps(folder: Path, before: datetime, dry_run: bool) -> HousekeepingPart:
    items = size = 0
    for dump in _old_dumps(folder, before):
        items += 1
        size += sum(path.stat().st_size for path in dump.rglob("*") if path.is_file())
        if not dry_run:
            # Without its manifest it is no backup any more: nobody takes half of one for a whole.
            (dump / "manifest.json").unlink(missing_ok=True)
            reach("housekeeping.dump_opened")
            shutil.rmtree(dump)
    return HousekeepingPart("rollback dumps", before, items, size)


def _old_dumps(folder: Path, before: datetime) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for dump in sorted(folder.iterdir()):
        name = _ROLLBACK_DUMP.match(dump.name)
        if not name or dump.is_symlink() or not dump.is_dir():
            continue
        try:
            made_at = datetime.strptime(name["made_at"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            continue
        if made_at < before:
            yield dump


def _rows(
    conn: "psycopg.Connection[Any]", name: str, keyed: tuple[str, str], condition: str, before: datetime, dry_run: bool
) -> HousekeepingPart:
    """Remove the old rows of a table of ops, given with its key, some at a time."""
    from psycopg import sql

    of, key = sql.Identifier("ops", keyed[0]), sql.Identifier(keyed[1])
    old = sql.SQL(condition)  # pyright: ignore[reportArgumentType] - one of those above
    if dry_run:
        statement = sql.SQL("select count(*), coalesce(sum(octet_length(row::text)), 0) from {} row where {}")
        items, size = conn.execute(statement.format(of, old), (before,)).fetchone() or (0, 0)
        return HousekeepingPart(name, before, items, int(size))
    items = size = 0
    statement = sql.SQL(
        "with gone as (delete from {0} row where {3} in (select {3} from {0} where {1} order by {3} limit {2}) "
        "returning octet_length(row::text) as size) select count(*), coalesce(sum(size), 0) from gone"
    ).format(of, old, sql.Literal(_ROWS_AT_ONCE), key)
    while True:
        rows, bytes_ = conn.execute(statement, (before,)).fetchone() or (0, 0)
        items, size = items + rows, size + int(bytes_)
        reach("housekeeping.rows_deleted")
        if rows < _ROWS_AT_ONCE:
            return HousekeepingPart(name, before, items, size)


def _erasures(conn: "psycopg.Connection[Any]", backups: Store, dry_run: bool) -> HousekeepingPart:
    return HousekeepingPart("erasure records", None, keep_beside(backups, listed(conn), dry_run=dry_run))


def _runs(history: History, before: datetime, dry_run: bool) -> HousekeepingPart:
    gone = history(before, dry_run=dry_run)
    if gone is None:
        return HousekeepingPart("runs", before)
    details = {"runs_removed": gone.runs, "runs_trimmed": gone.trimmed, "events": gone.events}
    return HousekeepingPart("runs", before, gone.events, gone.bytes, details)
