"""One window of the lake -> the raw tables, in one transaction that can be repeated at will.

Belongs here: staging by ADBC, the order of the merge, bookkeeping, the errors of a load.
Does not belong here: the statements (merge.py), the tables' shape (ddl.py), reading the lake's files (lake).

Running a window twice changes nothing: `_loaded_at` moves only on rows whose data changed, an older version of a row
never replaces a newer one, and `ops.lake_loads` is written in the same transaction as the rows.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.contracts import Contract, Table, load_contracts
from hotdash_pipelines.contracts.arrow import compute
from hotdash_pipelines.contracts.casts import ContractBreach
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.warehouse.loading import merge
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables, raw_schema
from hotdash_pipelines.warehouse.loading.prepare import one_a_key, storable_rows
from hotdash_pipelines.warehouse.postgres import WarehouseError, adbc_connection, connect, driver_errors, reason_of

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_postgresql.dbapi import Connection as AdbcConnection
    from adbc_driver_postgresql.dbapi import Cursor

_LOCK_TIMEOUT = "10min"
# The planner guesses small temporary tables well enough.
_ANALYZE_FROM = 10_000


class LoadError(WarehouseError):
    """A window could not be loaded and the tables are as they were. One line: stream, window, what to do."""


class TransientLoadError(LoadError):
    """The same load may succeed in a moment: the server went away, or a lock was not had in time."""

    is_transient = True


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


def load_partition(
    url: str,
    contract: Contract,
    project: str,
    manifest: PartitionManifest,
    read: "Callable[[str], pa.Table]",
    now: datetime,
) -> LoadResult:
    """Load one partition; `read` gives each table of the contract, `now` is stamped on rows that change.

    Raises LoadError (TransientLoadError where a retry helps); errors of `read` pass through. Either all tables of the
    stream change or none. Loads of the same stream wait for each other.
    """
    with Loader(url, contract) as loader:
        return loader.load(project, manifest, read, now)


class Loader:
    """Loads many windows of one stream over one connection, each in its own transaction. A context manager."""

    def __init__(self, url: str, contract: Contract) -> None:
        self._url, self._contract = url, contract
        self._closing = contextlib.ExitStack()
        self._connection: AdbcConnection | None = None

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def load(
        self, project: str, manifest: PartitionManifest, read: "Callable[[str], pa.Table]", now: datetime
    ) -> LoadResult:
        """Load one window; see `load_partition`. After an error the next window may be tried."""
        contract = self._contract
        tables = {table.name: storable_rows(read(table.name)) for table in contract.tables}
        _check_dates(contract, manifest, tables)
        try:
            tables = one_a_key(contract, tables)
        except ContractBreach as error:
            raise LoadError(f"{manifest.name}: {error}; mend the key, then materialise the partition again") from error
        with _one_line(contract, manifest.key):
            conn = self._connect()
            try:
                with conn.cursor() as cursor:
                    result = _load(_Load(cursor, contract, project, manifest, now), tables)
                reach("load.before_commit")
                conn.commit()
            except BaseException:
                self._connection = None
                self._closing.close()
                raise
            reach("load.after_commit")
            return result

    def _connect(self) -> "AdbcConnection":
        if self._connection is None:
            with connect(self._url) as conn:
                ensure_raw_tables(conn, (self._contract,))
            self._connection = self._closing.enter_context(adbc_connection(self._url))
        return self._connection


def _load(load: "_Load", tables: "dict[str, pa.Table]") -> LoadResult:
    load.lock()
    if load.is_first():
        result = load.fill(tables)
    else:
        load.stage(tables)
        load.leave_deleted()
        result = load.merge(tables)
    load.mark_deleted()
    result = load.mark_told(result)
    reach("load.merged")
    load.note(load.ledger(result))
    return result


class _Load:
    """One open load: the statements in their order, on one cursor in one transaction."""

    def __init__(
        self, cursor: "Cursor", contract: Contract, project: str, manifest: PartitionManifest, now: datetime
    ) -> None:
        self._cursor, self._contract, self._manifest = cursor, contract, manifest
        self._project, self._now = project, now
        self._stream = (project, contract.source, contract.stream)
        self._is_staged = False

    def lock(self) -> None:
        """Wait for other loads of the stream."""
        self._run(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        name = f"hotdash load {self._project} {self._contract.source} {self._contract.stream}"
        self._query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))::text", name)

    def is_first(self) -> bool:
        """Whether the project has no row of the stream yet, so that nothing can conflict."""
        return self._query(merge.is_empty(self._contract), self._project)[0]

    def fill(self, tables: "dict[str, pa.Table]") -> LoadResult:
        """Put the rows straight into the tables: half the work of staging and merging them."""
        result = {}
        for table in self._contract.tables:
            rows = tables[table.name]
            if rows.num_rows:
                self._cursor.adbc_ingest(
                    table.name,
                    self._stamped(rows),
                    mode="append",
                    db_schema_name=raw_schema(self._contract.source),
                )
            reach("load.staged")
            result[table.name] = TableLoad(rows.num_rows, rows.num_rows, 0, 0, rows.num_rows)
        return LoadResult(self._manifest.key, result)

    def _stamped(self, rows: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        stamps = {
            "project_key": pa.scalar(self._project, pa.string()),
            "_window": pa.scalar(self._manifest.key, pa.string()),
            "_loaded_at": pa.scalar(self._now, pa.timestamp("us", tz="UTC")),
        }
        for name, value in stamps.items():
            rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
        return rows

    def stage(self, tables: "dict[str, pa.Table]") -> None:
        """Put the rows into temporary tables."""
        self._is_staged = True
        for table in self._contract.tables:
            self._run(merge.create_stage(self._contract, table))
            if tables[table.name].num_rows:
                self._cursor.adbc_ingest(merge.stage(table), tables[table.name], mode="append", temporary=True)
            reach("load.staged")

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

    def merge(self, tables: "dict[str, pa.Table]") -> LoadResult:
        """Bring the staged rows into the tables by the stream's semantics."""
        contract = self._contract
        newer = self._newer_listing() if contract.semantics == "snapshot" else None
        done: dict[str, tuple[int, int, int]] = {}
        if newer is None:
            by = {"updated": self._updated, "event_date": self._event_date, "snapshot": self._snapshot}
            done = by[contract.semantics](tables)
        totals = self._query(merge.count_rows(contract), self._project)
        result = {
            table.name: TableLoad(tables[table.name].num_rows, *done.get(table.name, (0, 0, 0)), total)
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

    def _updated(self, tables: "dict[str, pa.Table]") -> dict[str, tuple[int, int, int]]:
        contract, main = self._contract, self._contract.table
        inserted, updated = self._upsert(main, tables)
        done = {main.name: (inserted, updated, 0)}
        some_were_there = inserted < tables[main.name].num_rows
        if main.children and some_were_there:
            self._run(merge.create_losers(contract))
            self._run(merge.find_losers(contract), self._project)
            for table in contract.tables:
                if tables[table.name].num_rows > _ANALYZE_FROM:
                    self._run(f'analyze "{merge.stage(table)}"')
        for table in contract.tables[1:]:
            deleted = 0
            if some_were_there:
                deleted = self._count(merge.delete_left_children(contract, table), self._project)
            done[table.name] = (*self._upsert(table, tables, without_losers=some_were_there), deleted)
        return done

    def _event_date(self, tables: "dict[str, pa.Table]") -> dict[str, tuple[int, int, int]]:
        main = self._contract.table
        deleted = self._count(merge.delete_left_of_date(self._contract, main), self._project, self._manifest.key)
        return {main.name: (*self._upsert(main, tables), deleted)}

    def _snapshot(self, tables: "dict[str, pa.Table]") -> dict[str, tuple[int, int, int]]:
        done = {}
        for table in self._contract.tables:
            inserted, updated = self._upsert(table, tables)
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

    def _upsert(self, table: Table, tables: "dict[str, pa.Table]", *, without_losers: bool = False) -> tuple[int, int]:
        if not tables[table.name].num_rows:
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


def _check_dates(contract: Contract, manifest: PartitionManifest, tables: "dict[str, pa.Table]") -> None:
    """Rows of another date would be deleted by the next load of their own."""
    pc = compute()

    if contract.semantics != "event_date":
        return
    name = f"{contract.source}/{contract.stream} {manifest.key}"
    if contract.table.children:
        raise LoadError(f"{name}: a stream restated by date cannot have nested tables; mend the contract")
    dates = pc.unique(tables[contract.table.name][str(contract.cursor)]).to_pylist()
    others = sorted({value.isoformat() for value in dates} - {manifest.key})
    if others:
        raise LoadError(f"{name}: the partition holds rows of {others[0]}; materialise it in the lake again")


@contextlib.contextmanager
def _one_line(contract: Contract, key: str) -> Iterator[None]:
    """Turn the drivers' errors into LoadError. Values of rows, which they may quote, stay out."""
    name = f"{contract.source}/{contract.stream} {key}"
    try:
        yield
    except driver_errors() as error:
        raise _translated(name, error) from error
    except LoadError:
        raise
    except WarehouseError as error:
        kind = LoadError if type(error) is not WarehouseError else TransientLoadError
        raise kind(f"{name}: {error}") from error


def _translated(name: str, error: Exception) -> LoadError:
    state, reason = getattr(error, "sqlstate", None) or "", reason_of(error)
    unchanged = "the tables are as they were"
    if state == "53100":
        return LoadError(f"{name}: the database server's disk is full; free space there and load again; {unchanged}")
    if state[:2] in ("08", "57") or not state.strip("0"):
        return TransientLoadError(f"{name}: the database server went away during the load; load again; {unchanged}")
    if state == "55P03":
        return TransientLoadError(f"{name}: another session held a lock for {_LOCK_TIMEOUT}; load again; {unchanged}")
    if state[:2] in ("40", "53"):
        return TransientLoadError(f"{name}: the database server was too busy ({state}); load again; {unchanged}")
    if state in ("42P01", "3F000", "42703"):
        return LoadError(f"{name}: a table or column is missing ({reason}); run `hotdash up`, then load again")
    if state == "42501":
        return LoadError(f"{name}: the database user lacks a right ({reason}); grant it, then load again")
    return LoadError(f"{name}: Postgres refused the rows (SQLSTATE {state}); compare the contract with the table")
