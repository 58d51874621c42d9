"""The steps of one open load: the statements in their order, on one cursor in one transaction.

Belongs here: handing rows to the server batch by batch, the order of the merge, bookkeeping. Does not belong here: the
transaction (load.py), the statements (staging.py, merge.py), the tables' shape (ddl.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.contracts import Contract, Table, load_contracts
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.warehouse.loading import merge, staging
from hotdash_pipelines.warehouse.loading.ddl import raw_schema
from hotdash_pipelines.warehouse.loading.errors import LoadError
from hotdash_pipelines.warehouse.loading.prepare import StorableRows
from hotdash_pipelines.warehouse.postgres import driver_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_postgresql.dbapi import Cursor

    Rows = Mapping[str, pa.RecordBatchReader]

# The planner guesses small temporary tables well enough.
_ANALYZE_FROM = 10_000
_UNIQUE_VIOLATION = "23505"


class KeysRepeat(Exception):
    """Rows of one key came where none was expected: they have to be settled in the stage."""


@dataclass(frozen=True)
class TableLoad:
    """What a load did to one table, in rows; `total` is what the project has in it afterwards."""

    staged: int
    inserted: int
    updated: int
    deleted: int
    total: int

    @property
    def unchanged(self) -> int:
        """Staged rows that were there already, equal or newer."""
        return self.staged - self.inserted - self.updated


@dataclass(frozen=True)
class LoadResult:
    """What a load did. `superseded_by` names the newer listing that made this one not count, else None."""

    key: str
    tables: dict[str, TableLoad]
    superseded_by: str | None = None


class LoadSteps:
    """One open load: the statements in their order, on one cursor in one transaction."""

    def __init__(
        self, cursor: "Cursor", contract: Contract, project: str, manifest: PartitionManifest, now: datetime
    ) -> None:
        self._cursor, self._contract, self._manifest = cursor, contract, manifest
        self._project, self._now = project, now
        self._stream = (project, contract.source, contract.stream)
        self._is_staged = False
        self._handed: dict[str, int] = {}
        self._staged: dict[str, int] = {}

    def run(self, rows: "Rows", lock_timeout: str, *, is_settled: bool) -> LoadResult:
        """Everything but the commit; `is_settled` where the rows are expected to be one a key."""
        self.lock(lock_timeout)
        if is_settled and self.is_first():
            result = self.fill(rows)
        else:
            self.stage(rows)
            self.settle()
            self.leave_deleted()
            result = self.merge()
        self.mark_deleted()
        result = self.mark_told(result)
        reach("load.merged")
        self.note(self.ledger(result))
        return result

    def lock(self, lock_timeout: str) -> None:
        """Wait for other loads of the stream."""
        self._run(f"set local lock_timeout = '{lock_timeout}'")
        name = f"hotdash load {self._project} {self._contract.source} {self._contract.stream}"
        self._query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))::text", name)

    def is_first(self) -> bool:
        """Whether the project has no row of the stream yet, so that nothing can conflict."""
        return self._query(merge.is_empty(self._contract), self._project)[0]

    def fill(self, rows: "Rows") -> LoadResult:
        """Put the rows straight into the tables: half the work of staging and merging them.

        Raises KeysRepeat where the tables' keys refuse them.
        """
        import pyarrow as pa

        stamps = {
            "project_key": pa.scalar(self._project, pa.string()),
            "_window": pa.scalar(self._manifest.key, pa.string()),
            "_loaded_at": pa.scalar(self._now, pa.timestamp("us", tz="UTC")),
        }
        result = {}
        for table in self._contract.tables:
            try:
                count = self._hand_over(
                    rows[table.name], stamps, table.name, db_schema_name=raw_schema(self._contract.source)
                )
            except driver_errors() as error:
                if getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION:
                    raise KeysRepeat from error
                raise
            reach("load.staged")
            result[table.name] = TableLoad(count, count, 0, 0, count)
        main = merge.target(self._contract, self._contract.table)
        self._refuse_other_dates(f"{main} where project_key = $2::text and", self._project)
        return LoadResult(self._manifest.key, result)

    def stage(self, rows: "Rows") -> None:
        """Put the rows into temporary tables."""
        self._is_staged = True
        for table in self._contract.tables:
            self._run(staging.create_stage(self._contract, table))
            self._handed[table.name] = self._hand_over(rows[table.name], {}, staging.stage(table), temporary=True)
            reach("load.staged")
        self._refuse_other_dates(f'"{staging.stage(self._contract.table)}" where')

    def _hand_over(
        self, rows: "pa.RecordBatchReader", stamps: "Mapping[str, pa.Scalar]", table: str, **where: Any
    ) -> int:
        """COPY rows into a table; returns how many."""
        storable = StorableRows(rows, stamps)
        try:
            self._cursor.adbc_ingest(table, storable.reader(), mode="append", **where)
        except driver_errors():
            if storable.error is not None:
                raise storable.error from None
            raise
        return storable.rows

    def _refuse_other_dates(self, rows: str, *values: object) -> None:
        """Rows of another date would be deleted by the next load of their own."""
        if self._contract.semantics != "event_date":
            return
        other = self._query(staging.first_other_date(self._contract, rows), self._manifest.key, *values)[0]
        if other:
            raise LoadError(
                f"{self._manifest.name}: the partition holds rows of {other}; materialise it in the lake again"
            )

    def settle(self) -> None:
        """Leave one staged row a key. Raises LoadError where rows of one key differ and nothing tells which counts."""
        contract, main = self._contract, self._contract.table
        for table in contract.tables:
            handed = self._handed[table.name]
            keys = self._count(staging.count_keys(table)) if handed else 0
            self._staged[table.name] = keys
            if keys == handed:
                continue
            has_versions = contract.semantics != "event_date" and (
                table is main or self._staged[main.name] < self._handed[main.name]
            )
            if not has_versions and self._count(staging.count_different(contract, table)) > keys:
                raise LoadError(
                    f"{self._manifest.name}: rows of {table.name} have one key ({', '.join(table.key)}) and differ; "
                    "mend the key, then materialise the partition again"
                )
            self._run(staging.leave_one_a_key(contract, table))

    def leave_deleted(self) -> None:
        """Take records that are known to be deleted out of what is staged."""
        if merge.can_lose_records(self._contract):
            self._run(merge.believe_newer(self._contract), *self._stream)
            for table in self._contract.tables:
                self._run(merge.leave_deleted(self._contract, table), *self._stream)

    def mark_told(self, result: LoadResult) -> LoadResult:
        """Note what the source deleted in the window, and mark every row of a record known to be deleted."""
        if not merge.can_lose_records(self._contract):
            return result
        if self._manifest.deleted:
            deleted = json.dumps(self._manifest.deleted, sort_keys=True)
            note = merge.note_deletions(self._contract)
            self._run(note, *self._stream, deleted, self._now, self._manifest.fetched_at)
        tables = dict(result.tables)
        for table in self._contract.tables:
            marked = self._count(merge.mark_told(self._contract, table), *self._stream, self._now)
            tables[table.name] = replace(tables[table.name], deleted=tables[table.name].deleted + marked)
        return replace(result, tables=tables)

    def merge(self) -> LoadResult:
        """Bring the staged rows into the tables by the stream's semantics."""
        contract = self._contract
        newer = self._newer_listing() if contract.semantics == "snapshot" else None
        done: dict[str, tuple[int, int, int]] = {}
        if newer is None:
            by = {"updated": self._updated, "event_date": self._event_date, "snapshot": self._snapshot}
            done = by[contract.semantics]()
        totals = self._query(merge.count_rows(contract), self._project)
        result = {
            table.name: TableLoad(self._staged[table.name], *done.get(table.name, (0, 0, 0)), total)
            for table, total in zip(contract.tables, totals, strict=True)
        }
        return LoadResult(self._manifest.key, result, newer)

    def ledger(self, result: LoadResult) -> dict[str, int | None]:
        """What became of the main records of the window, from the source's own count to the raw table.

        Raises LoadError when the numbers do not add up; then nothing was loaded.
        """
        manifest, main = self._manifest, self._contract.table
        staged, in_lake = result.tables[main.name].staged, manifest.rows[main.name]
        left = in_raw = staged
        if result.superseded_by is None and self._is_staged:
            left, in_raw = self._query(merge.count_there(self._contract), self._project)
        elif result.superseded_by is None:
            in_raw = self._query(merge.count_rows(self._contract), self._project)[0]
        if in_raw != left:
            raise LoadError(
                f"{manifest.name}: {left} rows of {main.name} were staged and {in_raw} of them are in the table; "
                "nothing was loaded"
            )
        return {
            "counted": manifest.expected_rows,
            "arrived": manifest.arrived,
            "quarantined": manifest.quarantined,
            "repeated": manifest.repeated,
            "superseded": manifest.superseded + in_lake - staged,
            "staged": staged,
            "deleted": staged - left,
            "in_raw": in_raw if result.superseded_by is None else None,
        }

    def note(self, ledger: dict[str, int | None]) -> None:
        """Write the bookkeeping."""
        manifest = self._manifest
        self._run(
            merge.NOTE_LOAD,
            self._project,
            manifest.source,
            manifest.stream,
            manifest.key,
            manifest.content_digest(),
            manifest.fetched_at,
            self._now,
            json.dumps(manifest.rows, sort_keys=True),
            manifest.is_open,
            manifest.complete_to,
            json.dumps(ledger),
        )

    def mark_deleted(self) -> None:
        """Mark what the source's deletions name: in this stream, or after a load of them in all its streams."""
        contract = self._contract
        streams = (contract,) if contract.deleted_by else ()
        if contract.stream == merge.DELETIONS:
            streams = tuple(one for one in load_contracts() if one.source == contract.source and one.deleted_by)
        elif not streams or not self._query(merge.has_deletions(contract))[0]:
            return
        for stream in streams:
            for table in stream.tables:
                if stream.deleted_by and stream.deleted_by.key in table.column_names and self._is_there(stream, table):
                    self._count(merge.mark_deleted(stream, table), self._project, self._now)

    def _is_there(self, contract: Contract, table: Table) -> bool:
        exists = f"select to_regclass('{merge.target(contract, table)}') is not null"
        return contract is self._contract or self._query(exists)[0]

    def _updated(self) -> dict[str, tuple[int, int, int]]:
        contract, main = self._contract, self._contract.table
        inserted, updated = self._upsert(main)
        done = {main.name: (inserted, updated, 0)}
        some_were_there = inserted < self._staged[main.name]
        if main.children and some_were_there:
            self._run(merge.create_losers(contract))
            self._run(merge.find_losers(contract), self._project)
            for table in contract.tables:
                if self._staged[table.name] > _ANALYZE_FROM:
                    self._run(f'analyze "{staging.stage(table)}"')
        for table in contract.tables[1:]:
            deleted = 0
            if some_were_there:
                deleted = self._count(merge.delete_left_children(contract, table), self._project)
            done[table.name] = (*self._upsert(table, without_losers=some_were_there), deleted)
        return done

    def _event_date(self) -> dict[str, tuple[int, int, int]]:
        main = self._contract.table
        deleted = self._count(merge.delete_left_of_date(self._contract, main), self._project, self._manifest.key)
        return {main.name: (*self._upsert(main), deleted)}

    def _snapshot(self) -> dict[str, tuple[int, int, int]]:
        done = {}
        for table in self._contract.tables:
            inserted, updated = self._upsert(table)
            missing = 0
            # A record that was set aside was listed all the same.
            if not self._manifest.quarantined:
                missing = self._count(
                    merge.mark_missing(self._contract, table), self._project, self._manifest.key, self._now
                )
            done[table.name] = (inserted, updated, missing)
        return done

    def _newer_listing(self) -> str | None:
        manifest = self._manifest
        row = self._query(
            merge.NEWER_LISTING, self._project, manifest.source, manifest.stream, manifest.fetched_at, manifest.key
        )
        return row[0] if row else None

    def _upsert(self, table: Table, *, without_losers: bool = False) -> tuple[int, int]:
        if not self._staged[table.name]:
            return 0, 0
        statement = merge.upsert(self._contract, table, without_losers=without_losers)
        inserted, updated = self._query(statement, self._project, self._manifest.key, self._now)
        return inserted, updated

    def _run(self, statement: str, *values: object) -> None:
        self._cursor.execute(statement, values or None)

    def _count(self, statement: str, *values: object) -> int:
        return self._query(statement, *values)[0]

    def _query(self, statement: str, *values: object) -> Any:
        self._cursor.execute(statement, values)
        return self._cursor.fetchone()
