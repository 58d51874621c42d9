"""Dimensions: members met before their own record, guests, the unknown member, and stores that share natural ids."""

from typing import Any

import pytest

from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.marts import MARTS, asked, content
from tests.integration.dbt.nights import Nights, first_night
from tests.integration.dbt.raw import LOADED, NOON, Line, RawShop

NOBODY = "00000000-0000-0000-0000-000000000000"
# One worker has all that look at the two nights: each would build them for itself.
of_the_nights = pytest.mark.xdist_group("dbt-nights")


@of_the_nights
def test_a_customer_met_only_in_orders_is_inferred_until_the_account_arrives(nights: Nights) -> None:
    members = "select customer_key, is_inferred, is_guest, city from marts_core.dim_customer where customer_id = 171"
    [inferred] = asked(nights.first, members)
    assert (inferred["is_inferred"], inferred["is_guest"], inferred["city"]) == (True, False, None)
    [known] = asked(nights.second, members)
    assert (known["is_inferred"], known["city"]) == (False, "Boston")
    assert known["customer_key"] == inferred["customer_key"]


@of_the_nights
def test_guests_are_told_apart_by_email_and_joined_to_the_account_by_person(nights: Nights) -> None:
    orders = {
        row["order_id"]: row
        for row in asked(
            nights.first,
            "select order_id, customer_key::text, is_guest, person_key from marts_core.fct_order"
            " where order_id between 62 and 65",
        )
    }
    assert len({row["customer_key"] for row in orders.values()}) == 4
    assert orders[65]["customer_key"] == NOBODY
    assert orders[62]["person_key"] == orders[63]["person_key"] != orders[64]["person_key"]
    assert [orders[number]["is_guest"] for number in (62, 63, 64, 65)] == [False, True, True, True]
    [account] = asked(nights.first, "select person_key from marts_core.dim_customer where customer_id = 172")
    assert account["person_key"] == orders[62]["person_key"]


@of_the_nights
def test_no_address_or_name_reaches_staging_or_the_marts(nights: Nights) -> None:
    relations = asked(
        nights.second,
        "select table_schema || '.' || table_name as name from information_schema.tables"
        " where table_schema in ('staging', 'intermediate', 'marts_core', 'marts_support', 'metrics')",
    )
    assert len(relations) > 20
    for relation in relations:
        text = str(asked(nights.second, f"select t::text from {relation['name']} as t")).lower()
        assert not any(word in text for word in ("planted@", "plantedname", "+15550100")), relation["name"]


@of_the_nights
def test_a_variant_never_listed_is_inferred_from_its_newest_line(nights: Nights) -> None:
    members = {row["variant_id"]: row for row in asked(nights.first, "select * from marts_core.dim_product_variant")}
    assert set(members) == {None, 501, 502, 503, 599, 699}
    assert (members[699]["is_inferred"], members[699]["sku"]) == (True, "NEW")
    assert str(members[None]["product_variant_key"]) == NOBODY
    [custom] = asked(
        nights.first, "select product_variant_key::text from marts_core.fct_order_line where order_line_id = 662"
    )
    assert custom["product_variant_key"] == NOBODY


@of_the_nights
def test_a_product_that_is_no_longer_listed_stays_and_is_marked_until_it_is_back(nights: Nights) -> None:
    members = """
        select variant_id, is_deleted from marts_core.dim_product_variant where variant_id in (502, 503) order by 1
    """
    marks = [[row["is_deleted"] for row in asked(night, members)] for night in (nights.first, nights.second)]
    assert marks == [[False, True], [True, False]]


@pytest.mark.from_nothing
def test_two_stores_with_the_same_ids_do_not_touch_each_other(dbt: Dbt, raw: RawShop, query: Any) -> None:
    for key in ("north", "south"):
        raw.prepare(key)
        raw.project, raw.loaded_at = key, LOADED
        first_night(raw)
    raw.order(1, Line(11, "99.00", 1), customer_id=71, email="other@example.com")
    assert dbt.build() == {}
    dbt.has_views = True
    [order] = query("select * from marts_core.fct_order where project_key = 'north' and order_id = 1")
    assert str(order["net_amount"]) == "36.0000"
    both = {key: content(raw.conn, f"project_key = '{key}'") for key in ("north", "south")}
    for key, other in (("north", "south"), ("south", "north")):
        for mart in MARTS:
            assert both[key][mart] or mart == "marts_core.dim_date", mart
        _forget(raw, other)
        dbt.run(full_refresh=True)
        alone = content(raw.conn)
        # The calendar belongs to no store.
        assert {mart: rows for mart, rows in alone.items() if mart != "marts_core.dim_date"} == {
            mart: rows for mart, rows in both[key].items() if mart != "marts_core.dim_date"
        }
        _restore(raw)


def test_orders_of_a_store_without_a_row_in_projects_stop_the_build_before_the_marts(dbt: Dbt, raw: RawShop) -> None:
    raw.project = "nowhere"
    raw.order(1, Line(11, "20.00"), at=NOON)
    ended = dbt.build("stg_shopify__orders+")
    assert ended["stg_shopify__orders_has_a_business_date"] == "fail"
    assert {ended["fct_order"], ended["fct_order_line"], ended["agg_sales_daily"]} == {"skipped"}


def _forget(raw: RawShop, project: str) -> None:
    """Put a store's rows aside, its row of ops.projects included."""
    for schema, table in _raw_tables(raw):
        raw.conn.execute(
            f"create table public.{schema}__{table} as select * from {schema}.{table} where project_key = '{project}'"
        )  # type: ignore[arg-type]
        raw.conn.execute(f"delete from {schema}.{table} where project_key = '{project}'")  # type: ignore[arg-type]


def _restore(raw: RawShop) -> None:
    for schema, table in _raw_tables(raw):
        raw.conn.execute(f"insert into {schema}.{table} select * from public.{schema}__{table}")  # type: ignore[arg-type]
        raw.conn.execute(f"drop table public.{schema}__{table}")  # type: ignore[arg-type]


def _raw_tables(raw: RawShop) -> list[tuple[str, str]]:
    return raw.conn.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema like 'raw%' or (table_schema, table_name) = ('ops', 'projects')"
    ).fetchall()
