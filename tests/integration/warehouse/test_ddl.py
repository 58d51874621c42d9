"""Raw tables made from contracts."""

import hashlib
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.contracts import Contract, load_contracts
from hotdash_pipelines.warehouse.loading.ddl import SchemaMismatch, ensure_raw_tables, table_columns
from hotdash_pipelines.warehouse.postgres import connect
from tests.synthetic import contract_of

Connection = psycopg.Connection[Any]


def _with_field(contract: Contract, name: str, **changes: object) -> Contract:
    """The contract with one field of its main table changed."""
    fields = tuple(f.model_copy(update=changes) if f.name == name else f for f in contract.table.fields)
    return contract.model_copy(update={"table": contract.table.model_copy(update={"fields": fields})})


def _without_field(contract: Contract, name: str) -> Contract:
    fields = tuple(field for field in contract.table.fields if field.name != name)
    return contract.model_copy(update={"table": contract.table.model_copy(update={"fields": fields})})


def test_every_contract_gets_its_tables_with_keys_types_and_comments(any_warehouse_url: str) -> None:
    contracts = load_contracts()
    with connect(any_warehouse_url) as conn:
        changed = ensure_raw_tables(conn, contracts)
        assert set(changed) == {f"raw_{c.source}.{t.name}" for c in contracts for t in c.tables}
        for contract in contracts:
            for table in contract.tables:
                found = conn.execute(
                    "select attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) "
                    "from pg_attribute where attrelid = %s::regclass and attnum > 0 order by attnum",
                    (f"raw_{contract.source}.{table.name}",),
                ).fetchall()
                wanted = [(c.name, c.sql_type, c.is_required, c.comment) for c in table_columns(contract, table)]
                assert found == wanted
                (key,) = conn.execute(
                    "select pg_get_constraintdef(oid) from pg_constraint "
                    "where conrelid = %s::regclass and contype = 'p'",
                    (f"raw_{contract.source}.{table.name}",),
                ).fetchone()
                assert key == f"PRIMARY KEY ({', '.join(('project_key', *table.key))})"


def test_a_second_time_nothing_is_altered(warehouse: Connection) -> None:
    assert ensure_raw_tables(warehouse, load_contracts())
    assert ensure_raw_tables(warehouse, load_contracts()) == []


def test_a_new_field_of_a_contract_becomes_a_column_and_old_rows_have_none(warehouse: Connection) -> None:
    orders = contract_of("shopify", "orders")
    ensure_raw_tables(warehouse, [_without_field(orders, "line_quantity")])
    assert ensure_raw_tables(warehouse, [orders]) == ["raw_shopify.orders"]
    column = warehouse.execute(
        "select data_type, is_nullable from information_schema.columns "
        "where table_schema = 'raw_shopify' and table_name = 'orders' and column_name = 'line_quantity'"
    ).fetchone()
    assert column == ("bigint", "YES")


def test_a_field_that_left_the_contract_stays_and_is_no_longer_required(warehouse: Connection) -> None:
    orders = contract_of("shopify", "orders")
    ensure_raw_tables(warehouse, [orders])
    assert ensure_raw_tables(warehouse, [_without_field(orders, "line_quantity")]) == ["raw_shopify.orders"]
    column = warehouse.execute(
        "select is_nullable from information_schema.columns "
        "where table_schema = 'raw_shopify' and table_name = 'orders' and column_name = 'line_quantity'"
    ).fetchone()
    assert column == ("YES",)


def test_a_changed_type_is_refused_in_one_line_that_says_what_to_do(warehouse: Connection) -> None:
    orders = contract_of("shopify", "orders")
    ensure_raw_tables(warehouse, [orders])
    expected = r"raw_shopify.orders.line_quantity is bigint in the warehouse and text in the contract shopify/orders"
    with pytest.raises(SchemaMismatch, match=expected) as caught:
        ensure_raw_tables(warehouse, [_with_field(orders, "line_quantity", type="string")])
    assert "\n" not in str(caught.value)
    assert "drop the table and load its partitions again" in str(caught.value)


def test_a_changed_key_is_refused(warehouse: Connection) -> None:
    orders = contract_of("shopify", "orders")
    ensure_raw_tables(warehouse, [orders])
    table = orders.table.model_copy(update={"key": ("order_name",)})
    with pytest.raises(SchemaMismatch, match="order_id is part of the key in the warehouse but not in the contract"):
        ensure_raw_tables(warehouse, [orders.model_copy(update={"table": table})])


def test_a_changed_description_becomes_the_comment(warehouse: Connection) -> None:
    orders = contract_of("shopify", "orders")
    ensure_raw_tables(warehouse, [orders])
    ensure_raw_tables(warehouse, [_with_field(orders, "is_test", description="It's a test")])
    comment = warehouse.execute(
        "select col_description(attrelid, attnum) from pg_attribute "
        "where attrelid = 'raw_shopify.orders'::regclass and attname = 'is_test'"
    ).fetchone()
    assert comment == ("It's a test",)


def test_a_refund_line_loaded_before_entries_had_ids_is_numbered_and_replaced_with_its_order(
    warehouse: Connection,
) -> None:
    ensure_raw_tables(warehouse, [contract_of("shopify", "orders")])
    warehouse.execute("alter table raw_shopify.refund_lines drop column refund_line_id cascade")
    warehouse.execute("alter table raw_shopify.refund_lines add primary key (project_key, refund_id, order_line_id)")
    for line in (7, 3):
        warehouse.execute(
            "insert into raw_shopify.refund_lines (project_key, order_id, refund_id, order_line_id, quantity,"
            " restock_type, subtotal_amount, tax_amount, _window, _loaded_at)"
            " values ('a', 1, 2, %s, 1, 'RETURN', 1, 0, '2025-03-01', now())",
            (line,),
        )
    assert ensure_raw_tables(warehouse, [contract_of("shopify", "orders")]) == ["raw_shopify.refund_lines"]
    rows = warehouse.execute("select order_line_id, refund_line_id from raw_shopify.refund_lines order by 1").fetchall()
    assert rows == [(3, -1), (7, -2)]
    assert _key_of(warehouse, "raw_shopify.refund_lines") == "PRIMARY KEY (project_key, refund_id, refund_line_id)"
    assert ensure_raw_tables(warehouse, [contract_of("shopify", "orders")]) == []


def test_rows_loaded_before_the_key_was_a_digest_get_the_digest_that_a_load_would_give_them(
    warehouse: Connection,
) -> None:
    landing = contract_of("ga4", "landing_daily")
    ensure_raw_tables(warehouse, [landing])
    warehouse.execute("alter table raw_ga4.landing_daily drop column dimensions_digest cascade")
    warehouse.execute(
        "alter table raw_ga4.landing_daily add primary key"
        " (project_key, property_date, landing_page, channel_group, device)"
    )
    warehouse.execute(
        "insert into raw_ga4.landing_daily (project_key, property_date, landing_page, channel_group, device, sessions,"
        " engaged_sessions, total_users, page_views, key_events, purchases, revenue_amount, _window, _loaded_at)"
        " values ('a', '2025-03-01', '/é', '', 'mobile', 1, 1, 1, 1, 1, 1, 1, '2025-03-01', now())"
    )
    assert ensure_raw_tables(warehouse, [landing]) == ["raw_ga4.landing_daily"]
    (digest,) = warehouse.execute("select dimensions_digest from raw_ga4.landing_daily").fetchone()
    assert digest == hashlib.sha256("/é\x1f\x1fmobile".encode()).hexdigest()
    assert _key_of(warehouse, "raw_ga4.landing_daily") == "PRIMARY KEY (project_key, property_date, dimensions_digest)"


def _key_of(warehouse: Connection, table: str) -> str:
    (key,) = warehouse.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass and contype = 'p'", (table,)
    ).fetchone()
    return key
