"""What a load says when it fails: one line with stream, window and what to do, and the tables as they were."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.lake import draft
from hotdash_pipelines.lake.partition import LakeCorruption, open_table
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.loading import load as module
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables
from hotdash_pipelines.warehouse.loading.errors import LoadError, TransientLoadError
from hotdash_pipelines.warehouse.loading.load import Loader, load_partition
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import migrate
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.integration.warehouse.ingest_once import NOW
from tests.synthetic import KEY, PROJECT, contract_of, synthetic, write

ORDERS = contract_of("shopify", "orders")
CHILDREN = {"order_lines": 2}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


@pytest.fixture
def loaded(store: FolderStore, warehouse_url: str) -> tuple[str, PartitionManifest]:
    """A database with one loaded window, and the manifest of a changed one that is to be loaded over it."""
    _load(store, warehouse_url, write(store, ORDERS, synthetic(ORDERS, 10, children=CHILDREN)))
    return warehouse_url, write(store, ORDERS, synthetic(ORDERS, 10, salt=1, children=CHILDREN))


def _load(store: FolderStore, url: str, manifest: PartitionManifest) -> None:
    load_partition(url, ORDERS, PROJECT, manifest, lambda name: open_table(store, ORDERS, manifest, name), NOW)


def _state(url: str) -> list[tuple[Any, ...]]:
    with connect(url) as conn:
        return conn.execute(
            "select * from raw_shopify.orders o join raw_shopify.order_lines using (order_id) order by 1, 2"
        ).fetchall()


def _on_every_line(url: str, body: str) -> None:
    """Let every row that reaches order_lines run `body` on the server."""
    with connect(url) as conn:
        conn.execute(f"create function trip() returns trigger language plpgsql as $$ begin {body}; return new; end $$")
        conn.execute(
            "create trigger trip before insert on raw_shopify.order_lines for each row execute function trip()"
        )


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (
            "raise exception 'no space left' using errcode = '53100'",
            LoadError,
            "the database server's disk is full; free space there and load again",
        ),
        (
            "perform pg_terminate_backend(pg_backend_pid())",
            TransientLoadError,
            "the database server went away during the load; load again",
        ),
        ("raise exception 'lock' using errcode = '55P03'", TransientLoadError, "another session held a lock"),
        ("raise exception 'deadlock' using errcode = '40P01'", TransientLoadError, r"was too busy \(40P01\)"),
        (
            "raise exception 'permission denied for x' using errcode = '42501'",
            LoadError,
            r"lacks a right \(permission denied for x\)",
        ),
        (
            "raise exception 'bad value jane@example.com' using errcode = '22023', detail = 'jane@example.com'",
            LoadError,
            r"Postgres refused the rows \(SQLSTATE 22023\); compare the contract with the table",
        ),
    ],
    ids=["disk full", "server ends the session", "lock", "deadlock", "privilege", "bad value"],
)
def test_an_error_of_the_server_is_one_line_and_nothing_is_half_done(
    store: FolderStore, loaded: tuple[str, PartitionManifest], body: str, error: type[LoadError], text: str
) -> None:
    url, manifest = loaded
    before = _state(url)
    _on_every_line(url, body)
    with pytest.raises(error, match=rf"shopify/orders {KEY}: .*{text}") as caught:
        _load(store, url, manifest)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert "jane" not in str(caught.value)
    assert _state(url) == before
    with connect(url) as conn:
        conn.execute("drop function trip cascade")
    _load(store, url, manifest)
    assert _state(url) != before


@pytest.mark.parametrize("is_first", [True, False], ids=["into empty tables", "over what is there"])
def test_rows_that_were_handed_over_and_are_not_in_the_table_are_an_error(
    store: FolderStore, warehouse_url: str, *, is_first: bool
) -> None:
    first = write(store, ORDERS, synthetic(ORDERS, 5))
    with connect(warehouse_url) as conn:
        ensure_raw_tables(conn, (ORDERS,))
    if not is_first:
        _load(store, warehouse_url, first)
    with connect(warehouse_url) as conn:
        conn.execute("create function swallow() returns trigger language plpgsql as $$ begin return null; end $$")
        conn.execute(
            "create trigger swallow before insert on raw_shopify.orders for each row "
            "when (new.order_id = 7) execute function swallow()"
        )
    with pytest.raises(LoadError, match=rf"^shopify/orders {KEY}: 10 rows of orders .* 9 of them are in the table"):
        _load(store, warehouse_url, write(store, ORDERS, synthetic(ORDERS, 10)))
    with connect(warehouse_url) as conn:
        there = conn.execute("select (select count(*) from raw_shopify.orders), count(*) from ops.lake_loads")
        assert there.fetchone() == ((0, 0) if is_first else (5, 1))


def test_a_lock_that_another_load_holds_is_waited_for_only_so_long(
    store: FolderStore, loaded: tuple[str, PartitionManifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, manifest = loaded
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", "100ms")
    with connect(url) as other:
        other.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"hotdash load {PROJECT} shopify orders",)
        )
        with pytest.raises(TransientLoadError, match="another session held a lock for 100ms"):
            _load(store, url, manifest)


@pytest.fixture
def own_server(reachable_tmp: Path) -> Iterator[EmbeddedPostgres]:
    """Durable: a killed server of the fast profile forgets what it has just committed."""
    server = EmbeddedPostgres(reachable_tmp / "home")
    server.up()
    yield server
    server.destroy()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_that_dies_under_an_open_loader_is_a_transient_error_and_the_same_loader_goes_on_afterwards(
    store: FolderStore, own_server: EmbeddedPostgres, how: str
) -> None:
    import os
    import signal
    import time

    migrate(own_server.url())
    first, second = (
        write(store, ORDERS, synthetic(ORDERS, 10, salt=salt, key=key), key=key)
        for salt, key in ((0, KEY), (1, "2025-03-02"))
    )

    def read(manifest: PartitionManifest) -> Callable[[str], Any]:
        return lambda name: open_table(store, ORDERS, manifest, name)

    with Loader(own_server.url(), ORDERS) as loader:
        loader.load(PROJECT, first, read(first), NOW)
        if how == "stopped":
            own_server.down()
        else:
            pid = own_server.status().pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            while own_server.status().running:
                time.sleep(0.02)
        with pytest.raises(
            TransientLoadError, match=r"shopify/orders 2025-03-02: .*(went away|cannot be reached)"
        ) as caught:
            loader.load(PROJECT, second, read(second), NOW)
        assert own_server.password_file.read_text() not in str(caught.value)
        with pytest.raises(TransientLoadError, match="cannot be reached"):
            loader.load(PROJECT, second, read(second), NOW)
        own_server.up()
        assert loader.load(PROJECT, second, read(second), NOW).tables["orders"].updated == 10


def test_a_database_without_migrations_says_so(store: FolderStore, empty_database_url: str) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 3))
    with pytest.raises(
        LoadError, match=r"a table or column is missing \(relation \"ops.source_deletions\" does not exist\)"
    ):
        _load(store, empty_database_url, manifest)


def test_a_column_whose_type_differs_names_stream_window_and_column(
    store: FolderStore, loaded: tuple[str, PartitionManifest]
) -> None:
    url, manifest = loaded
    with connect(url) as conn:
        conn.execute("alter table raw_shopify.orders alter column line_quantity type text")
    with pytest.raises(
        LoadError, match=rf"shopify/orders {KEY}: raw_shopify.orders.line_quantity is text in the warehouse"
    ) as caught:
        _load(store, url, manifest)
    assert not isinstance(caught.value, TransientLoadError)


def test_a_damaged_file_is_found_before_the_database_is_touched(
    store: FolderStore, loaded: tuple[str, PartitionManifest]
) -> None:
    url, manifest = loaded
    before = _state(url)
    path = next(path for path in store.list("") if "/order_lines-" in path)
    content = bytearray(store.read(path))
    content[len(content) // 2] ^= 1
    store.write(path, bytes(content))
    with pytest.raises(
        LakeCorruption, match=rf"shopify/orders {KEY}: .*sha256 differs.*; materialise lake_shopify/orders {KEY} again"
    ):
        _load(store, url, manifest)
    assert _state(url) == before


def _written_damaged(store: FolderStore, manifest: PartitionManifest, table: str) -> PartitionManifest:
    """The manifest of a partition whose file of `table` is damaged in its last row group, and was so when written."""
    entry = next(entry for entry in manifest.files if entry.table == table)
    path = next(path for path in store.list("") if path.endswith(entry.name))
    content = bytearray(store.read(path))
    groups = parquet.ParquetFile(pa.BufferReader(bytes(content))).metadata
    assert groups.num_row_groups > 1
    column = groups.row_group(groups.num_row_groups - 1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    store.write(path, bytes(content))
    sha256 = hashlib.sha256(content).hexdigest()
    files = [replace(file, sha256=sha256) if file is entry else file for file in manifest.files]
    return replace(manifest, files=tuple(files))


@pytest.mark.parametrize("is_first", [True, False], ids=["into empty tables", "onto rows"])
def test_a_file_that_breaks_off_in_the_middle_leaves_the_tables_as_they_were(
    store: FolderStore, warehouse_url: str, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        _load(store, warehouse_url, write(store, ORDERS, synthetic(ORDERS, 10, children=CHILDREN)))
    monkeypatch.setattr(draft, "_ROW_GROUP_BYTES", 1)
    sound = synthetic(ORDERS, 10, salt=1, children=CHILDREN)
    halves = [
        {name: rows.slice(half * len(rows) // 2, len(rows) // 2) for name, rows in sound.items()} for half in (0, 1)
    ]
    manifest = write(store, ORDERS, halves)
    before = None if is_first else _state(warehouse_url)
    damaged = _written_damaged(store, manifest, "order_lines")
    with Loader(warehouse_url, ORDERS) as loader:
        with pytest.raises(
            LakeCorruption,
            match=rf"shopify/orders {KEY}: .*cannot be read; materialise lake_shopify/orders {KEY} again",
        ):
            loader.load(PROJECT, damaged, partial(open_table, store, ORDERS, damaged), NOW)
        assert _state(warehouse_url) == (before or [])
        with connect(warehouse_url) as conn:
            assert conn.execute("select count(*) from ops.lake_loads").fetchone() == (0 if is_first else 1,)
        again = write(store, ORDERS, halves)
        result = loader.load(PROJECT, again, partial(open_table, store, ORDERS, again), NOW)
    assert result.tables["order_lines"].total == 20
