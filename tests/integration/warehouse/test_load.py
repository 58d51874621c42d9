"""Loading partitions: what changes, what does not, and that a second time changes nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.contracts.arrow import table_schema
from hotdash_pipelines.contracts.manifest import PartitionManifest
from hotdash_pipelines.ingest.held import HeldBefore
from hotdash_pipelines.lake.partition import open_table
from hotdash_pipelines.sources import Deletion
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.loading.errors import LoadError
from hotdash_pipelines.warehouse.loading.load import Loader, load_partition
from hotdash_pipelines.warehouse.loading.steps import LoadResult
from hotdash_pipelines.warehouse.postgres import connect
from tests.synthetic import FETCHED_AT, KEY, PROJECT, contract_of, synthetic, window, write

ORDERS = contract_of("shopify", "orders")
PRODUCTS = contract_of("shopify", "products")
TRAFFIC = contract_of("ga4", "traffic_daily")
CONVERSATIONS = contract_of("chatwoot", "conversations")
MESSAGES = contract_of("chatwoot", "messages")
CONTACTS = contract_of("chatwoot", "contacts")
DELETIONS = contract_of("chatwoot", "deletions")
CHILDREN = {
    "order_lines": 2,
    "refunds": 1,
    "refund_lines": 2,
    "refund_adjustments": 1,
    "order_agreements": 1,
    "order_sales": 2,
}
NOW = datetime(2025, 3, 2, 4, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


class Warehouse:
    """A lake in a folder and the database that it is loaded into."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store, self.url = FolderStore(folder), url

    def load(
        self,
        contract: Contract,
        tables: Mapping[str, pa.Table],
        *,
        key: str = KEY,
        now: datetime = NOW,
        fetched_at: datetime = FETCHED_AT,
    ) -> LoadResult:
        manifest = write(self.store, contract, tables, key=key, fetched_at=fetched_at)
        return self.again(contract, manifest, now=now)

    def again(self, contract: Contract, manifest: PartitionManifest, *, now: datetime = LATER) -> LoadResult:
        return load_partition(
            self.url, contract, PROJECT, manifest, partial(open_table, self.store, contract, manifest), now
        )

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.url) as conn:
            return conn.execute(statement).fetchall()

    def everything(self, contract: Contract) -> list[list[tuple[Any, ...]]]:
        tables = [f"raw_{contract.source}.{table.name}" for table in contract.tables]
        return [self.query(f"select * from {table} t order by t") for table in (*tables, "ops.lake_loads")]


@pytest.fixture
def house(any_warehouse_url: str, tmp_path: Path) -> Warehouse:
    """On both servers."""
    return Warehouse(tmp_path / "lake", any_warehouse_url)


@pytest.fixture
def one_house(warehouse_url: str, tmp_path: Path) -> Warehouse:
    """On the embedded server alone."""
    return Warehouse(tmp_path / "lake", warehouse_url)


def test_a_first_load_lands_every_value_of_every_type(house: Warehouse) -> None:
    result = house.load(ORDERS, synthetic(ORDERS, 50, children=CHILDREN))
    counts = {
        name: (t.staged, t.inserted, t.updated, t.deleted, t.unchanged, t.total) for name, t in result.tables.items()
    }
    assert counts == {
        "orders": (50, 50, 0, 0, 0, 50),
        "order_lines": (100, 100, 0, 0, 0, 100),
        "refunds": (50, 50, 0, 0, 0, 50),
        "refund_lines": (100, 100, 0, 0, 0, 100),
        "refund_adjustments": (50, 50, 0, 0, 0, 50),
        "order_agreements": (50, 50, 0, 0, 0, 50),
        "order_sales": (100, 100, 0, 0, 0, 100),
    }
    row = house.query(
        "select project_key, order_id, order_name, total_amount, is_test, tags, updated_at, "
        "_window, _loaded_at, _deleted_at from raw_shopify.orders where order_id = 7"
    )
    at = datetime(2025, 3, 1, 0, 0, 7, tzinfo=UTC)
    assert row == [(PROJECT, 7, "order_name 7", Decimal("7.0000"), False, ["tags2", "b"], at, KEY, NOW, None)]


@pytest.mark.parametrize("contract", [ORDERS, PRODUCTS, TRAFFIC, CONVERSATIONS], ids=lambda c: c.stream)
def test_a_rerun_of_a_partition_changes_nothing(house: Warehouse, contract: Contract) -> None:
    tables = synthetic(contract, 40, children={**CHILDREN, "product_variants": 2})
    manifest = write(house.store, contract, tables)
    house.again(contract, manifest, now=NOW)
    before = house.everything(contract)
    result = house.again(contract, manifest, now=LATER)
    assert {(t.inserted, t.updated, t.deleted) for t in result.tables.values()} == {(0, 0, 0)}
    assert result.tables[contract.stream].unchanged == 40
    assert house.everything(contract) == before


def test_only_rows_whose_data_changed_are_stamped_again(house: Warehouse) -> None:
    tables = synthetic(ORDERS, 10)
    house.load(ORDERS, tables)
    changed = pc.if_else(pc.equal(tables["orders"]["order_id"], 3), "renamed", tables["orders"]["order_name"])
    position = tables["orders"].schema.get_field_index("order_name")
    tables["orders"] = tables["orders"].set_column(position, tables["orders"].schema.field(position), changed)
    result = house.load(ORDERS, tables, now=LATER)
    assert (result.tables["orders"].inserted, result.tables["orders"].updated) == (0, 1)
    assert house.query(
        "select order_id, order_name from raw_shopify.orders where _loaded_at <> '2025-03-02 04:30+00'"
    ) == [(3, "renamed")]


@pytest.mark.parametrize("order", [("2025-03-01", "2025-03-02"), ("2025-03-02", "2025-03-01")])
def test_a_version_that_two_windows_hold_is_of_the_earlier_one_in_whatever_order(
    one_house: Warehouse, order: tuple[str, str]
) -> None:
    for key, now in zip(order, (NOW, LATER), strict=True):
        one_house.load(ORDERS, synthetic(ORDERS, 3), key=key, now=now)
    stamps = one_house.query("select distinct _window, _loaded_at from raw_shopify.orders")
    assert stamps == [("2025-03-01", NOW)]


def test_an_older_version_of_a_row_never_replaces_a_newer_one_nor_its_children(house: Warehouse) -> None:
    house.load(ORDERS, synthetic(ORDERS, 5, salt=2, children={"order_lines": 3}), key="2025-03-02")
    before = house.everything(ORDERS)[:2]
    older = synthetic(ORDERS, 5, salt=1, children={"order_lines": 1})
    result = house.load(ORDERS, older, now=LATER)
    assert result.tables["orders"].unchanged == 5
    assert result.tables["order_lines"].deleted == 0
    assert house.everything(ORDERS)[:2] == before


def test_an_older_reading_of_a_message_never_brings_back_what_was_deleted_since(house: Warehouse) -> None:
    """Number and instant of a deleted message stay; when its conversation last changed tells the readings apart."""
    alive = synthetic(MESSAGES, 5)
    rows = alive["messages"]
    later = {
        "is_deleted": pa.array([True] * 5),
        "content": pa.array(["This message was deleted"] * 5),
        "changed_at": pc.add(rows["changed_at"], pa.scalar(timedelta(hours=3))),
    }
    for name, values in later.items():
        position = rows.schema.get_field_index(name)
        rows = rows.set_column(position, rows.schema.field(position), values)
    first = write(house.store, MESSAGES, alive, key="2025-03-01")
    house.again(MESSAGES, first, now=NOW)
    house.load(MESSAGES, {"messages": rows}, key="2025-03-04", now=LATER)
    before = house.everything(MESSAGES)[0]
    assert house.query("select distinct content, is_deleted from raw_chatwoot.messages") == [
        ("This message was deleted", True)
    ]
    house.again(MESSAGES, first, now=LATER + timedelta(hours=1))
    assert house.everything(MESSAGES)[0] == before


def deletions(**numbers: int) -> dict[str, pa.Table]:
    """Deletions noticed two days after the synthetic rows' own instants."""
    schema = table_schema(DELETIONS, DELETIONS.table)
    noticed = [datetime(2025, 3, 3, 4, tzinfo=UTC)] * len(numbers)
    columns = [list(numbers), list(numbers.values()), noticed]
    return {
        "deletions": pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
        )
    }


@pytest.mark.parametrize("order", ["rows first", "deletions first"])
def test_what_a_source_lost_is_marked_with_when_it_was_noticed(one_house: Warehouse, order: str) -> None:
    """A conversation goes with its messages, a contact by itself; whichever was loaded first."""
    loads = [
        (MESSAGES, synthetic(MESSAGES, 5), "2025-03-01"),
        (CONVERSATIONS, synthetic(CONVERSATIONS, 5), "2025-03-01"),
        (CONTACTS, synthetic(CONTACTS, 5), "2025-03-01"),
        (DELETIONS, deletions(conversation=2, contact=4), "2025-03-03"),
    ]
    for contract, tables, key in loads if order == "rows first" else reversed(loads):
        one_house.load(contract, tables, key=key)
    at = datetime(2025, 3, 3, 4, tzinfo=UTC)
    for table, column, number in (
        ("conversations", "conversation_id", 2),
        ("messages", "conversation_id", 2),
        ("contacts", "contact_id", 4),
    ):
        gone = f"select {column}, _deleted_at from raw_chatwoot.{table} where _deleted_at is not null"
        assert one_house.query(gone) == [(number, at)]


def test_what_is_gone_is_never_read_again_as_alive_unless_in_a_newer_version(one_house: Warehouse) -> None:
    first = write(one_house.store, CONVERSATIONS, synthetic(CONVERSATIONS, 5))
    one_house.again(CONVERSATIONS, first, now=NOW)
    one_house.load(DELETIONS, deletions(conversation=2), key="2025-03-03")
    before = one_house.everything(CONVERSATIONS)[0]
    one_house.again(CONVERSATIONS, first)
    assert one_house.everything(CONVERSATIONS)[0] == before
    gone = "select conversation_id from raw_chatwoot.conversations where _deleted_at is not null"
    assert one_house.query(gone) == [(2,)]
    one_house.load(CONVERSATIONS, synthetic(CONVERSATIONS, 5, key="2025-03-04"), key="2025-03-04")
    assert one_house.query(gone) == []


def test_what_is_held_is_told_to_who_looks_for_what_is_gone(one_house: Warehouse) -> None:
    held = HeldBefore(one_house.store, DELETIONS, PROJECT, window("2025-03-03"), one_house.url)
    assert (held.alive("contacts"), held.loaded_since("contacts"), held.noticed()) == ({}, None, [])
    one_house.load(CONTACTS, synthetic(CONTACTS, 3))
    one_house.load(DELETIONS, deletions(contact=2, conversation=9), key="2025-03-03")
    alive = held.alive("contacts")
    assert alive is not None
    assert set(alive) == {1, 3}
    assert held.loaded_since("contacts") == datetime(2025, 3, 1, tzinfo=UTC)
    at = datetime(2025, 3, 3, 4, tzinfo=UTC)
    assert held.noticed() == [Deletion("contact", 2, at), Deletion("conversation", 9, at)]
    assert HeldBefore(one_house.store, DELETIONS, PROJECT, window()).alive("contacts") is None


def test_children_are_replaced_with_their_parent_and_those_of_other_parents_stay(house: Warehouse) -> None:
    house.load(ORDERS, synthetic(ORDERS, 4, children={"order_lines": 3, "refunds": 1, "refund_lines": 2}))
    newer = synthetic(ORDERS, 2, salt=1, children={"order_lines": 2, "refunds": 1, "refund_lines": 1})
    result = house.load(ORDERS, newer, key="2025-03-02", now=LATER)
    lines, refund_lines = result.tables["order_lines"], result.tables["refund_lines"]
    assert (lines.inserted, lines.updated, lines.deleted, lines.total) == (0, 4, 2, 10)
    assert (refund_lines.deleted, refund_lines.total) == (2, 6)
    assert house.query("select order_id, count(*) from raw_shopify.order_lines group by 1 order by 1") == [
        (1, 2),
        (2, 2),
        (3, 3),
        (4, 3),
    ]


def test_a_parent_that_lost_all_children_has_none_left(house: Warehouse) -> None:
    house.load(ORDERS, synthetic(ORDERS, 3, children=CHILDREN))
    result = house.load(ORDERS, synthetic(ORDERS, 3, salt=1), key="2025-03-02", now=LATER)
    assert {name: t.total for name, t in result.tables.items() if name != "orders"} == dict.fromkeys(CHILDREN, 0)


def test_the_same_row_twice_in_a_window_counts_once_with_its_newest_version(house: Warehouse) -> None:
    new, old = synthetic(ORDERS, 5, salt=3)["orders"], synthetic(ORDERS, 5)["orders"]
    for first, second in ((new, old), (old, new)):
        tables = synthetic(ORDERS, 0) | {"orders": pa.concat_tables([first, second])}
        result = house.load(ORDERS, tables, now=LATER)
        assert (result.tables["orders"].staged, result.tables["orders"].total) == (5, 5)
        assert house.query("select order_name from raw_shopify.orders where order_id = 1") == [("order_name 4",)]


@pytest.mark.parametrize("is_first", [True, False], ids=["into empty tables", "onto rows"])
def test_of_rows_of_a_listing_with_one_key_the_last_that_came_counts(one_house: Warehouse, is_first: bool) -> None:
    if not is_first:
        one_house.load(PRODUCTS, synthetic(PRODUCTS, 1, children={"product_variants": 1}))
    # Rows of very different widths: none may slip into the gap that a wide one left.
    many = synthetic(PRODUCTS, 600, salt=1)["products"]
    titles = pa.array([("wide " * (n % 7 * 100)) + f"title {n}" for n in range(1200)])
    both = pa.concat_tables([many, many])
    both = both.set_column(both.schema.get_field_index("title"), both.schema.field("title"), titles)
    listing = synthetic(PRODUCTS, 0) | {"products": both}
    result = one_house.load(PRODUCTS, listing, now=LATER, key="2025-03-02", fetched_at=FETCHED_AT + timedelta(1))
    assert (result.tables["products"].staged, result.tables["products"].total) == (600, 600)
    titles_there = one_house.query("select product_id, title from raw_shopify.products order by 1")
    assert titles_there == [(n, f"{'wide ' * ((n + 599) % 7 * 100)}title {n + 599}") for n in range(1, 601)]
    ledger = one_house.query("select ledger from ops.lake_loads where window_key = '2025-03-02'")[0][0]
    assert (ledger["superseded"], ledger["staged"], ledger["in_raw"]) == (600, 600, 600)


@pytest.mark.parametrize("is_first", [True, False], ids=["into empty tables", "onto rows"])
def test_rows_of_a_date_that_have_one_key_and_differ_are_refused_and_nothing_is_loaded(
    one_house: Warehouse, is_first: bool
) -> None:
    if not is_first:
        one_house.load(TRAFFIC, synthetic(TRAFFIC, 3, salt=1))
    before = one_house.everything(TRAFFIC) if not is_first else None
    equal = {"traffic_daily": pa.concat_tables([synthetic(TRAFFIC, 3)["traffic_daily"]] * 2)}
    differing = {"traffic_daily": pa.concat_tables([synthetic(TRAFFIC, 3, salt=s)["traffic_daily"] for s in (0, 1)])}
    keys = ", ".join(TRAFFIC.table.key)
    with pytest.raises(LoadError, match=rf"2025-03-01: rows of traffic_daily have one key \({keys}\) and differ; mend"):
        one_house.load(TRAFFIC, differing, now=LATER)
    if before:
        assert one_house.everything(TRAFFIC) == before
    else:
        assert one_house.query("select count(*) from raw_ga4.traffic_daily") == [(0,)]
    assert one_house.load(TRAFFIC, equal, now=LATER).tables["traffic_daily"].staged == 3


def test_a_restated_date_is_replaced_as_a_whole_and_other_dates_stay(house: Warehouse) -> None:
    house.load(TRAFFIC, synthetic(TRAFFIC, 6), key=KEY)
    house.load(TRAFFIC, synthetic(TRAFFIC, 6, key="2025-03-02"), key="2025-03-02")
    restated = synthetic(TRAFFIC, 6, first=3)
    result = house.load(TRAFFIC, restated, now=LATER)
    traffic = result.tables["traffic_daily"]
    assert (traffic.inserted, traffic.updated, traffic.unchanged, traffic.deleted, traffic.total) == (2, 0, 4, 2, 12)


def test_a_date_that_became_empty_loses_its_rows(house: Warehouse) -> None:
    house.load(TRAFFIC, synthetic(TRAFFIC, 6))
    result = house.load(TRAFFIC, synthetic(TRAFFIC, 0), now=LATER)
    assert (result.tables["traffic_daily"].deleted, result.tables["traffic_daily"].total) == (6, 0)


def test_rows_of_another_date_in_a_partition_are_refused(one_house: Warehouse) -> None:
    with pytest.raises(LoadError, match="ga4/traffic_daily 2025-03-01: the partition holds rows of 2025-03-02"):
        one_house.load(TRAFFIC, synthetic(TRAFFIC, 3, key="2025-03-02"))


def test_what_a_listing_no_longer_has_is_marked_deleted_and_comes_back_when_listed_again(house: Warehouse) -> None:
    variants = {"product_variants": 1}
    house.load(PRODUCTS, synthetic(PRODUCTS, 4, children=variants))
    day2 = house.load(
        PRODUCTS,
        synthetic(PRODUCTS, 3, children=variants),
        key="2025-03-02",
        now=LATER,
        fetched_at=FETCHED_AT + timedelta(1),
    )
    assert (day2.tables["products"].deleted, day2.tables["product_variants"].deleted) == (1, 1)
    assert house.query(
        "select product_id, _deleted_at, _loaded_at from raw_shopify.products where _deleted_at is not null"
    ) == [(4, LATER, LATER)]
    back = house.load(
        PRODUCTS,
        synthetic(PRODUCTS, 4, children=variants),
        key="2025-03-03",
        now=LATER,
        fetched_at=FETCHED_AT + timedelta(2),
    )
    assert (back.tables["products"].updated, back.tables["products"].total) == (1, 4)
    assert house.query("select count(*) from raw_shopify.products where _deleted_at is not null") == [(0,)]


def test_an_older_listing_loaded_again_does_not_bring_back_the_past(house: Warehouse) -> None:
    old = write(house.store, PRODUCTS, synthetic(PRODUCTS, 5))
    house.again(PRODUCTS, old, now=NOW)
    house.load(PRODUCTS, synthetic(PRODUCTS, 2, salt=1), key="2025-03-02", fetched_at=FETCHED_AT + timedelta(1))
    before = house.query("select * from raw_shopify.products order by product_id")
    result = house.again(PRODUCTS, old)
    assert result.superseded_by == "2025-03-02"
    assert house.query("select * from raw_shopify.products order by product_id") == before


def test_stores_side_by_side_do_not_touch_each_other(house: Warehouse) -> None:
    for contract in (ORDERS, PRODUCTS, TRAFFIC):
        manifest = write(house.store, contract, synthetic(contract, 3, children=CHILDREN))
        opened = partial(open_table, house.store, contract, manifest)
        load_partition(house.url, contract, "another-store", manifest, opened, NOW)
        house.load(contract, synthetic(contract, 3, children=CHILDREN))
        house.load(contract, synthetic(contract, 1), now=LATER, fetched_at=FETCHED_AT + timedelta(1))
        table = f"raw_{contract.source}.{contract.stream}"
        rows = house.query(
            f"select count(*), count(_deleted_at), max(_loaded_at) from {table} where project_key = 'another-store'"
        )
        assert rows == [(3, 0, NOW)]
    assert house.query("select count(*) from raw_shopify.order_lines where project_key = 'another-store'") == [(6,)]


def test_the_bookkeeping_names_every_loaded_window(house: Warehouse) -> None:
    manifest = write(house.store, ORDERS, synthetic(ORDERS, 3, children=CHILDREN))
    house.again(ORDERS, manifest, now=NOW)
    assert house.query(
        "select project_key, source, stream, window_key, manifest_sha, fetched_at, loaded_at, rows from ops.lake_loads"
    ) == [(PROJECT, "shopify", "orders", KEY, manifest.content_digest(), FETCHED_AT, NOW, manifest.rows)]


def test_text_that_postgres_cannot_hold_is_loaded_without_that_character(house: Warehouse) -> None:
    tables = synthetic(ORDERS, 2)
    position = tables["orders"].schema.get_field_index("order_name")
    names = pa.array(["nul\x00char", "plain 'quoted' \\ ünïcode \U0001f600"])
    tables["orders"] = tables["orders"].set_column(position, tables["orders"].schema.field(position), names)
    for _ in range(2):
        house.load(ORDERS, tables)
        assert house.query("select order_name from raw_shopify.orders order by order_id") == [
            ("nulchar",),
            ("plain 'quoted' \\ ünïcode \U0001f600",),
        ]


def test_many_windows_over_one_connection_equal_one_connection_each(one_house: Warehouse) -> None:
    manifests = [
        write(one_house.store, ORDERS, synthetic(ORDERS, 5, first=first, key=key, children=CHILDREN), key=key)
        for first, key in ((1, "2025-03-01"), (4, "2025-03-02"), (8, "2025-03-03"))
    ]
    with Loader(one_house.url, ORDERS) as loader:
        for manifest in manifests:
            loader.load(PROJECT, manifest, partial(open_table, one_house.store, ORDERS, manifest), NOW)
    together = one_house.everything(ORDERS)
    with connect(one_house.url) as conn:
        conn.execute("drop schema raw_shopify cascade")
        conn.execute("truncate ops.lake_loads")
    for manifest in manifests:
        one_house.again(ORDERS, manifest, now=NOW)
    assert one_house.everything(ORDERS) == together


def test_a_large_window_goes_the_same_way(one_house: Warehouse) -> None:
    tables = synthetic(ORDERS, 12_000, children={"order_lines": 2})
    one_house.load(ORDERS, tables)
    result = one_house.load(ORDERS, synthetic(ORDERS, 12_000, salt=1, children={"order_lines": 1}), now=LATER)
    assert (result.tables["orders"].updated, result.tables["order_lines"].deleted) == (12_000, 12_000)
