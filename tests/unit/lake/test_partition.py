"""Partitions: the manifest as commit point, damage that is found, files that are collected."""

import dataclasses
import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.lake.partition import (
    LakeCorruption,
    LakeError,
    folder_of,
    partitions,
    prune_pages,
    read_manifest,
    read_pages,
)
from hotdash_pipelines.lake.quarantine import keep_pages
from hotdash_pipelines.storage import FolderStore, StoreError
from tests.synthetic import FETCHED_AT, KEY, PROJECT, contract_of, read_table, synthetic, window, write

ORDERS = contract_of("shopify", "orders")
CHILDREN = {"order_lines": 2, "refunds": 1}
FOLDER = folder_of(ORDERS, PROJECT, KEY)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def _changed(contract: Contract, name: str, /, **changes: object) -> Contract:
    fields = tuple(f.model_copy(update=changes) if f.name == name else f for f in contract.table.fields)
    return contract.model_copy(update={"table": contract.table.model_copy(update={"fields": fields})})


def test_every_table_is_read_back_as_it_was_written(store: FolderStore) -> None:
    tables = synthetic(ORDERS, 20, children=CHILDREN)
    manifest = write(store, ORDERS, tables)
    assert read_manifest(store, ORDERS, PROJECT, KEY) == manifest
    for name, table in tables.items():
        assert read_table(store, ORDERS, manifest, name).equals(table)
    assert manifest.rows == {name: table.num_rows for name, table in tables.items()}
    assert (manifest.cursor_min, manifest.cursor_max) == ("2025-03-01T00:00:01+00:00", "2025-03-01T00:00:20+00:00")
    assert partitions(store, ORDERS, PROJECT) == [KEY]


def test_an_empty_window_is_a_partition_too(store: FolderStore) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 0))
    assert manifest.rows["orders"] == 0
    assert (manifest.cursor_min, manifest.cursor_max) == (None, None)
    assert read_table(store, ORDERS, manifest, "orders").num_rows == 0


def test_the_same_input_gives_the_same_bytes_and_only_the_fetch_time_moves(store: FolderStore) -> None:
    tables = synthetic(ORDERS, 20, children=CHILDREN)
    first = write(store, ORDERS, tables)
    files = {path: store.read(path) for path in store.list("") if not path.endswith("manifest.json")}
    later = FETCHED_AT + timedelta(hours=1)
    second = write(store, ORDERS, {name: _rechunked(table) for name, table in tables.items()}, fetched_at=later)
    assert second == dataclasses.replace(first, fetched_at=later)
    assert second.content_digest() == first.content_digest()
    assert {path: store.read(path) for path in store.list("") if not path.endswith("manifest.json")} == files


def test_a_day_that_was_not_over_when_it_was_read_is_open_until_it_is_read_again(store: FolderStore) -> None:
    tables = synthetic(ORDERS, 20, children=CHILDREN)
    before_the_end, end = window().end - timedelta(seconds=1), window().end
    first = write(store, ORDERS, tables, fetched_at=before_the_end)
    assert (first.is_open, first.complete_to) == (True, before_the_end)
    second = write(store, ORDERS, tables, fetched_at=FETCHED_AT)
    assert (second.is_open, second.complete_to) == (False, end)
    assert read_manifest(store, ORDERS, PROJECT, KEY) == second
    assert first.content_digest() != second.content_digest(), "loaded again, so that the warehouse knows it is over"


def test_of_two_runs_at_a_time_the_one_that_read_later_is_kept(store: FolderStore) -> None:
    """One began before midnight and wrote last: the day stays closed, with all its rows."""
    later = write(store, ORDERS, synthetic(ORDERS, 20, children=CHILDREN))
    earlier = write(store, ORDERS, synthetic(ORDERS, 12), fetched_at=window().end - timedelta(minutes=1))
    assert earlier == later == read_manifest(store, ORDERS, PROJECT, KEY)
    assert read_table(store, ORDERS, later, "orders").num_rows == 20


def _rechunked(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 7), table.slice(7)])


def test_files_that_the_new_manifest_does_not_name_are_collected(store: FolderStore) -> None:
    write(store, ORDERS, synthetic(ORDERS, 20))
    store.write(f"{FOLDER}/orders-000000000000.parquet", b"left by a killed writer")
    manifest = write(store, ORDERS, synthetic(ORDERS, 20, salt=1))
    named = {entry.name for entry in manifest.files} | {manifest.pages_file, "manifest.json"}
    assert {path.rsplit("/", 1)[1] for path in store.list(FOLDER)} == named


def test_other_partitions_and_stores_are_left_alone(store: FolderStore) -> None:
    write(store, ORDERS, synthetic(ORDERS, 3))
    before = store.list("")
    write(store, ORDERS, synthetic(ORDERS, 3, key="2025-03-02"), key="2025-03-02")
    assert set(before) < set(store.list(""))
    assert partitions(store, ORDERS, PROJECT) == [KEY, "2025-03-02"]
    assert partitions(store, ORDERS, "another-store") == []


def test_parts_without_a_manifest_are_no_partition(store: FolderStore) -> None:
    write(store, ORDERS, synthetic(ORDERS, 3))
    store.delete(f"{FOLDER}/manifest.json")
    assert read_manifest(store, ORDERS, PROJECT, KEY) is None
    assert partitions(store, ORDERS, PROJECT) == []


@pytest.mark.parametrize("fails_at", range(7))
def test_a_disk_that_fills_up_at_any_file_leaves_the_partition_as_it_was(store: FolderStore, fails_at: int) -> None:
    old = write(store, ORDERS, synthetic(ORDERS, 20))
    writes = iter(range(100))
    real = store.put

    def full(path: str, content: BinaryIO) -> None:
        if next(writes) == fails_at:
            raise StoreError(f"the disk refused {path}: No space left on device")
        real(path, content)

    store.put = full  # type: ignore[method-assign]
    with pytest.raises(
        LakeError, match=rf"shopify/orders {KEY}: the disk refused .*; the partition is as it was"
    ) as caught:
        write(store, ORDERS, synthetic(ORDERS, 20, salt=1))
    assert "\n" not in str(caught.value)
    assert read_manifest(store, ORDERS, PROJECT, KEY) == old
    assert read_table(store, ORDERS, old, "orders").num_rows == 20
    store.put = real  # type: ignore[method-assign]
    write(store, ORDERS, synthetic(ORDERS, 20, salt=1))


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_flip, r"was changed after it was written \(sha256 differs\)"),
        (lambda content: content[:-1], r"was changed after it was written \(sha256 differs\)"),
        (lambda content: b"", r"was changed after it was written \(sha256 differs\)"),
        (None, "is missing"),
    ],
    ids=["flipped bit", "cut", "empty", "gone"],
)
def test_damage_to_a_file_is_found_and_writing_the_partition_again_mends_it(
    store: FolderStore, damage: Callable[[bytes], bytes] | None, text: str
) -> None:
    tables = synthetic(ORDERS, 20)
    manifest = write(store, ORDERS, tables)
    path = f"{FOLDER}/{manifest.files[0].name}"
    if damage:
        store.write(path, damage(store.read(path)))
    else:
        store.delete(path)
    expected = rf"shopify/orders {KEY}: .*{text}; materialise lake_shopify/orders {KEY} again"
    with pytest.raises(LakeCorruption, match=expected) as caught:
        read_table(store, ORDERS, manifest, "orders")
    assert "\n" not in str(caught.value)
    write(store, ORDERS, tables)
    assert read_table(store, ORDERS, manifest, "orders").equals(tables["orders"])


def test_a_row_count_that_disagrees_with_the_manifest_is_found(store: FolderStore) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 20))
    entry = dataclasses.replace(manifest.files[0], rows=21)
    with pytest.raises(LakeCorruption, match="has 20 rows, not 21"):
        read_table(store, ORDERS, dataclasses.replace(manifest, files=(entry,)), "orders")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": []}', b"\xff"])
def test_a_manifest_that_is_none_is_corruption(store: FolderStore, content: bytes) -> None:
    write(store, ORDERS, synthetic(ORDERS, 3))
    store.write(f"{FOLDER}/manifest.json", content)
    with pytest.raises(LakeCorruption, match=rf"shopify/orders {KEY}: .*manifest.json is not a manifest"):
        read_manifest(store, ORDERS, PROJECT, KEY)


def test_a_column_that_the_contract_gained_is_null_in_older_partitions(store: FolderStore) -> None:
    fields = tuple(field for field in ORDERS.table.fields if field.name != "utm_source")
    older = ORDERS.model_copy(update={"table": ORDERS.table.model_copy(update={"fields": fields})})
    manifest = write(store, older, synthetic(older, 3))
    rows = read_table(store, ORDERS, manifest, "orders")
    assert rows["utm_source"].null_count == 3
    assert rows.schema.names == list(ORDERS.table.column_names)


def test_a_changed_type_or_a_new_required_column_asks_for_a_new_fetch(store: FolderStore) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 3))
    changed = _changed(ORDERS, "line_quantity", type="string")
    with pytest.raises(
        LakeError, match=rf"shopify/orders {KEY}: orders.line_quantity is int64 in the lake and string in the contract"
    ):
        read_table(store, changed, manifest, "orders")
    renamed = _changed(ORDERS, "line_quantity", name="unit_count")
    with pytest.raises(
        LakeError, match=r"orders.unit_count is missing in the lake .*; materialise the partition again"
    ):
        read_table(store, renamed, manifest, "orders")


def test_a_table_that_the_contract_gained_asks_for_a_new_fetch(store: FolderStore) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 3))
    older = dataclasses.replace(manifest, files=manifest.files[:1])
    with pytest.raises(LakeError, match="before the contract had table refunds; materialise it again"):
        read_table(store, ORDERS, older, "refunds")


def test_an_optional_table_that_the_contract_gained_is_empty(store: FolderStore) -> None:
    manifest = write(store, ORDERS, synthetic(ORDERS, 3))
    older = dataclasses.replace(manifest, files=manifest.files[:1])
    rows = read_table(store, ORDERS, older, "order_sales")
    assert rows.num_rows == 0
    assert "discount_amount" in rows.schema.names


def test_raw_pages_are_kept_and_read_back_one_document_each(store: FolderStore) -> None:
    pages = [b'{\r\n "a": "x\\ny"\r\n}', '{"b": "ü"}'.encode()]
    manifest = _write_pages(store, pages)
    assert [page.replace(b"\r", b"").replace(b" ", b"") for page in read_pages(store, ORDERS, manifest)] == [
        b'{"a":"x\\ny"}',
        '{"b":"ü"}'.encode(),
    ]
    path = f"{FOLDER}/{manifest.pages_file}"
    store.write(path, _flip(store.read(path)))
    with pytest.raises(LakeCorruption, match="sha256 differs"):
        read_pages(store, ORDERS, manifest)


def _write_pages(
    store: FolderStore, pages: list[bytes], key: str = KEY, fetched_at: datetime = FETCHED_AT
) -> PartitionManifest:
    said = {"unknown_fields": {"note": "string"}, "unknown_enum_values": {"orders.cancel_reason": 1}, "quarantined": 1}
    return write(store, ORDERS, synthetic(ORDERS, 1, key=key), key=key, fetched_at=fetched_at, pages=pages, **said)


def test_old_raw_pages_are_pruned_and_the_rows_stay(store: FolderStore) -> None:
    old = _write_pages(store, [b"{}"])
    _write_pages(store, [b"{}"], key="2025-03-02", fetched_at=FETCHED_AT + timedelta(days=40))
    limit = FETCHED_AT + timedelta(days=1)
    assert prune_pages(store, ORDERS, PROJECT, limit).keys == (KEY,)
    assert prune_pages(store, ORDERS, PROJECT, limit).keys == ()
    left = read_manifest(store, ORDERS, PROJECT, KEY)
    assert left == dataclasses.replace(old, pages_file=None)
    assert not [path for path in store.list(FOLDER) if "pages-" in path]
    assert read_table(store, ORDERS, left, "orders").num_rows == 1
    with pytest.raises(LakeError, match="no longer kept; materialise it from the source"):
        read_pages(store, ORDERS, left)


def test_bad_pages_are_kept_with_their_reason_once(store: FolderStore) -> None:
    now = datetime(2025, 3, 2, 5, tzinfo=UTC)
    for _ in range(2):
        kept = keep_pages(store, ORDERS, PROJECT, window(), [(b'{"bad": 1}', "orders: data is missing")], now)
    assert len(kept) == 1
    assert kept[0].endswith(".json")
    assert Path(kept[0]).read_bytes() == b'{"bad": 1}'
    reason = Path(kept[0].replace(".json", ".reason.json")).read_text()
    assert "orders: data is missing" in reason
    assert partitions(store, ORDERS, PROJECT) == []


@pytest.mark.parametrize("project", ["", "../up", "Upper", "a/b", "-x"])
def test_a_project_key_cannot_leave_its_folder(store: FolderStore, project: str) -> None:
    with pytest.raises(LakeError, match="is no project key"):
        folder_of(ORDERS, project, KEY)


def test_a_partition_key_is_a_date() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        folder_of(ORDERS, PROJECT, "../../etc")


def test_a_real_full_disk_is_told_by_its_name(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LakeError, match=rf"shopify/orders {KEY}: .*No space left on device"):
        write(store, ORDERS, synthetic(ORDERS, 1))
