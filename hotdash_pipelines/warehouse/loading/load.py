"""One window of the lake -> the raw tables, in one transaction that can be repeated at will.

Belongs here: the connection, the transaction, what is tried again. Does not belong here: what is done in it (steps.py),
what errors say (errors.py), reading the lake's files (lake).

Running a window twice changes nothing: `_loaded_at` moves only on rows whose data changed, an older version of a row
never replaces a newer one, and `ops.lake_loads` is written in the same transaction as the rows.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.loading.errors import LoadError, one_line
from hotdash_pipelines.warehouse.loading.steps import KeysRepeat, LoadResult, LoadSteps
from hotdash_pipelines.warehouse.postgres import adbc_connection, connect

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_postgresql.dbapi import Connection as AdbcConnection

    OpenRows = Callable[[str], AbstractContextManager[pa.RecordBatchReader]]

_LOCK_TIMEOUT = "10min"


def load_partition(
    url: str,
    contract: Contract,
    project: str,
    manifest: PartitionManifest,
    open_rows: "OpenRows",
    now: datetime,
) -> LoadResult:
    """Load one partition; `open_rows` opens each table of the contract, `now` is stamped on rows that change.

    A few batches of rows are in memory at a time, however many there are. Raises LoadError (TransientLoadError where a
    retry helps); errors of opening and reading pass through. Either all tables of the stream change or none. Loads of
    the same stream wait for each other.
    """
    with Loader(url, contract) as loader:
        return loader.load(project, manifest, open_rows, now)


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

    def load(self, project: str, manifest: PartitionManifest, open_rows: "OpenRows", now: datetime) -> LoadResult:
        """Load one window; see `load_partition`. After an error the next window may be tried."""
        try:
            return self._load(project, manifest, open_rows, now, is_settled=True)
        except KeysRepeat:
            return self._load(project, manifest, open_rows, now, is_settled=False)

    def _load(
        self, project: str, manifest: PartitionManifest, open_rows: "OpenRows", now: datetime, *, is_settled: bool
    ) -> LoadResult:
        contract = self._contract
        if contract.semantics == "event_date" and contract.table.children:
            raise LoadError(f"{manifest.name}: a stream restated by date cannot have nested tables; mend the contract")
        with contextlib.ExitStack() as opened:
            # A damaged file of any table is found before the database is touched.
            rows = {table.name: opened.enter_context(open_rows(table.name)) for table in contract.tables}
            with one_line(contract, manifest.key, _LOCK_TIMEOUT):
                conn = self._connect()
                try:
                    with conn.cursor() as cursor:
                        steps = LoadSteps(cursor, contract, project, manifest, now)
                        result = steps.run(rows, _LOCK_TIMEOUT, is_settled=is_settled)
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
