"""What the source deleted is marked, with when it was noticed, and no load brings it back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.lake.partition import open_table
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.loading.load import load_partition
from hotdash_pipelines.warehouse.loading.steps import LoadResult
from hotdash_pipelines.warehouse.postgres import connect
from tests.synthetic import PROJECT, contract_of, synthetic, write

ORDERS = contract_of("shopify", "orders")
CHILDREN = {
    "order_lines": 2,
    "refunds": 1,
    "refund_lines": 2,
    "refund_adjustments": 1,
    "order_agreements": 1,
    "order_sales": 2,
}
NOTICED = datetime(2025, 3, 3, 4, 30, tzinfo=UTC)
DELETED_AT = datetime(2025, 3, 2, 11, tzinfo=UTC)


class Orders:
    """The orders' tables, loaded window by window."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store, self.url = FolderStore(folder), url

    def manifest(self, tables: Mapping[str, pa.Table], key: str, deleted: tuple[int, ...] = ()) -> PartitionManifest:
        written = write(self.store, ORDERS, tables, key=key)
        return replace(written, deleted={str(number): DELETED_AT.isoformat() for number in deleted})

    def load(self, manifest: PartitionManifest, now: datetime) -> LoadResult:
        return load_partition(
            self.url, ORDERS, PROJECT, manifest, lambda table: open_table(self.store, ORDERS, manifest, table), now
        )

    def marked(self) -> dict[str, set[tuple[int, datetime]]]:
        with connect(self.url) as conn:
            return {
                table.name: set(
                    conn.execute(
                        f"select order_id, _deleted_at from raw_shopify.{table.name} where _deleted_at is not null"
                    ).fetchall()
                )
                for table in ORDERS.tables
            }

    def everything(self) -> list[list[tuple[object, ...]]]:
        with connect(self.url) as conn:
            return [
                conn.execute(f"select * from raw_shopify.{table.name} t order by t").fetchall()
                for table in ORDERS.tables
            ]


@pytest.fixture
def shop(any_warehouse_url: str, tmp_path: Path) -> Orders:
    return Orders(tmp_path / "lake", any_warehouse_url)


def everywhere(number: int) -> dict[str, set[tuple[int, datetime]]]:
    return {table.name: {(number, NOTICED)} for table in ORDERS.tables}


def test_a_deleted_order_is_marked_with_all_that_is_nested_in_it(shop: Orders) -> None:
    shop.load(shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01"), NOTICED - timedelta(days=1))
    nothing = synthetic(ORDERS, 0, children=CHILDREN)
    result = shop.load(shop.manifest(nothing, "2025-03-02", deleted=(3, 999)), NOTICED)
    assert shop.marked() == everywhere(3)
    assert (result.tables["orders"].deleted, result.tables["order_lines"].deleted) == (1, 2)
    with connect(shop.url) as conn:
        noted = conn.execute(
            "select record_id, deleted_at, noticed_at, noticed_by from ops.source_deletions"
        ).fetchall()
    assert sorted(noted) == [(3, DELETED_AT, NOTICED, "event"), (999, DELETED_AT, NOTICED, "event")]


@pytest.mark.parametrize("salt", [0, 2], ids=["the same version", "a newer version"])
def test_a_page_that_is_loaded_again_does_not_bring_a_deleted_order_back(shop: Orders, salt: int) -> None:
    first = shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01")
    shop.load(first, NOTICED - timedelta(days=1))
    shop.load(shop.manifest(synthetic(ORDERS, 0, children=CHILDREN), "2025-03-02", deleted=(3,)), NOTICED)
    before = shop.everything()
    again = first if not salt else shop.manifest(synthetic(ORDERS, 5, salt=salt, children=CHILDREN), "2025-03-01")
    shop.load(again, NOTICED + timedelta(days=1))
    assert shop.marked() == everywhere(3)
    if not salt:
        assert shop.everything() == before


def test_the_window_that_told_of_it_may_be_loaded_again_and_changes_nothing(shop: Orders) -> None:
    shop.load(shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01"), NOTICED - timedelta(days=1))
    telling = shop.manifest(synthetic(ORDERS, 0, children=CHILDREN), "2025-03-02", deleted=(3,))
    shop.load(telling, NOTICED)
    before = shop.everything()
    shop.load(telling, NOTICED + timedelta(days=1))
    assert shop.everything() == before


def test_an_order_that_is_first_loaded_after_its_deletion_is_marked_as_well(shop: Orders) -> None:
    """The first load of a history goes from the oldest day on, but a day may be loaded by hand later."""
    shop.load(shop.manifest(synthetic(ORDERS, 0, children=CHILDREN), "2025-03-02", deleted=(3,)), NOTICED)
    shop.load(shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01"), NOTICED + timedelta(days=1))
    assert shop.marked() == everywhere(3)


def missing(shop: Orders, key: str, *numbers: int, fetched_at: datetime = NOTICED) -> PartitionManifest:
    """A window without a row that found these orders missing."""
    written = shop.manifest(synthetic(ORDERS, 0, children=CHILDREN), key)
    return replace(written, deleted=dict.fromkeys(map(str, numbers)), fetched_at=fetched_at)


def test_an_order_that_is_only_missing_is_marked_without_an_instant_until_an_event_tells(shop: Orders) -> None:
    shop.load(shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01"), NOTICED - timedelta(days=1))
    shop.load(missing(shop, "2025-03-02", 3), NOTICED)
    assert shop.marked() == everywhere(3)
    noted = "select record_id, deleted_at, noticed_at, noticed_by from ops.source_deletions"
    with connect(shop.url) as conn:
        assert conn.execute(noted).fetchall() == [(3, None, NOTICED, "sweep")]
    telling = shop.manifest(synthetic(ORDERS, 0, children=CHILDREN), "2025-03-03", deleted=(3,))
    shop.load(telling, NOTICED + timedelta(days=1))
    with connect(shop.url) as conn:
        assert conn.execute(noted).fetchall() == [(3, DELETED_AT, NOTICED, "event")]
    assert shop.marked() == everywhere(3)


def test_an_order_that_was_missing_is_alive_again_in_a_newer_version_alone(shop: Orders) -> None:
    first = shop.manifest(synthetic(ORDERS, 5, children=CHILDREN), "2025-03-01")
    shop.load(first, NOTICED - timedelta(days=1))
    finding = missing(shop, "2025-03-02", 3)
    shop.load(finding, NOTICED)
    shop.load(first, NOTICED + timedelta(hours=1))
    assert shop.marked() == everywhere(3)
    newer = shop.manifest(synthetic(ORDERS, 5, salt=1, key="2025-03-05", children=CHILDREN), "2025-03-05")
    shop.load(newer, NOTICED + timedelta(days=3))
    nothing = {table.name: set() for table in ORDERS.tables}
    assert shop.marked() == nothing
    shop.load(finding, NOTICED + timedelta(days=4))
    assert shop.marked() == nothing
