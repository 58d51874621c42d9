"""Increments: whatever arrives in whatever order, the marts end where a build from nothing would end."""

from datetime import date
from decimal import Decimal

import pytest

from tests.integration.dbt.marts import MARTS, asked, content, written
from tests.integration.dbt.nights import Nights

# One worker has all that look at the two nights: each would build them for itself.
pytestmark = pytest.mark.xdist_group("dbt-nights")


def test_an_increment_ends_where_a_full_build_ends(nights: Nights) -> None:
    increment = content(nights.second)
    before = content(nights.first)
    assert [mart for mart in MARTS if increment[mart] == before[mart]] == [
        "marts_core.dim_project",
        "marts_core.dim_date",
    ]
    assert content(nights.rebuilt) == increment


def test_late_changes_build_cleanly_with_all_tests(nights: Nights) -> None:
    assert {name: status for name, status in nights.statuses.items() if status not in ("success", "pass")} == {
        # The edited fixtures keep their old current total on purpose: the comparison is a warning.
        "the_sales_of_every_order_add_up": "warn"
    }


def test_a_rerun_writes_no_row_again(nights: Nights) -> None:
    before = content(nights.first)
    assert all(before.values())
    assert content(nights.rerun) == before
    assert written(nights.rerun) == written(nights.first)


def test_a_full_refresh_keeps_the_tables_and_what_hangs_on_them(nights: Nights) -> None:
    oids = (
        "select relname, oid from pg_class"
        " where relnamespace = 'marts_core'::regnamespace and relkind = 'r' order by relname"
    )
    assert asked(nights.rebuilt, oids) == asked(nights.second, oids) != []
    lines = asked(nights.rebuilt, "select count(*) as n from marts_core.fct_order_line")
    assert asked(nights.rebuilt, "select count(*) as n from public.hanging") == lines
    assert lines[0]["n"] > 5


def test_a_full_refresh_writes_every_row_again(nights: Nights) -> None:
    before, after = written(nights.second), written(nights.rebuilt)
    for mart, rows in after.items():
        assert not {row[1] for row in rows} & {row[1] for row in before[mart]}, mart


def test_tables_of_an_earlier_version_are_made_anew_by_the_next_build(nights: Nights) -> None:
    for mart in MARTS:
        nights.upgraded.execute(f"alter table {mart} drop column if exists former")  # type: ignore[arg-type]
    assert content(nights.upgraded) == content(nights.second)


def test_an_order_that_loses_all_its_lines_leaves_no_line_behind(nights: Nights) -> None:
    lines = "select 1 from marts_core.fct_order_line where order_id = 51"
    assert len(asked(nights.first, lines)) == 1
    assert asked(nights.second, lines) == []
    assert asked(nights.second, "select line_count, net_amount from marts_core.fct_order where order_id = 51") == [
        {"line_count": 0, "net_amount": Decimal(0)}
    ]


def test_an_order_that_turns_out_to_be_a_test_is_no_sale_any_more(nights: Nights) -> None:
    orders = "select 1 from marts_core.fct_order where order_id = 52"
    day = "select 1 from metrics.agg_sales_daily where business_date = '2026-02-05'"
    assert len(asked(nights.first, orders)) == len(asked(nights.first, day)) == 1
    assert asked(nights.second, orders) == asked(nights.second, day) == []


def test_an_order_that_the_shop_deleted_stays_a_fact_and_counts_nowhere(nights: Nights) -> None:
    facts = "select is_deleted from marts_core.{} where order_id = 56"
    for mart in ("fct_order", "fct_order_line"):
        assert asked(nights.first, facts.format(mart)) == [{"is_deleted": False}]
        assert asked(nights.second, facts.format(mart)) == [{"is_deleted": True}]
    days = """
        select business_date as day, order_count as orders, net_amount as net, new_customer_count as won
        from metrics.agg_sales_daily where business_date between '2026-02-13' and '2026-02-15' order by 1
    """
    was, stays = ({"day": date(2026, 2, day), "orders": 1, "net": 10} for day in (13, 15))
    assert asked(nights.first, days) == [was | {"won": 1}, stays | {"won": 0}]
    assert asked(nights.second, days) == [stays | {"won": 1}]


def test_an_order_that_moves_to_another_day_leaves_its_old_day(nights: Nights) -> None:
    days = """
        select business_date as day, net_amount as net from metrics.agg_sales_daily
        where business_date between '2026-02-06' and '2026-02-07'
    """
    assert asked(nights.first, days) == [{"day": date(2026, 2, 7), "net": 10}]
    assert asked(nights.second, days) == [{"day": date(2026, 2, 6), "net": 10}]


def test_rows_that_commit_late_within_the_overlap_are_found(nights: Nights) -> None:
    orders = "select 1 from marts_core.fct_order where order_id = 55"
    assert asked(nights.first, orders) == []
    assert len(asked(nights.second, orders)) == 1


def test_a_refund_much_later_counts_on_its_own_day_and_reaches_the_old_order(nights: Nights) -> None:
    assert asked(
        nights.second,
        "select returned_amount, net_amount from metrics.agg_sales_daily where business_date = '2026-03-11'",
    ) == [{"returned_amount": 5, "net_amount": -5}]
    assert asked(
        nights.second,
        "select returned_amount, refunded_amount, net_amount from marts_core.fct_order where order_id = 54",
    ) == [{"returned_amount": 5, "refunded_amount": 5, "net_amount": 10}]


def test_an_order_that_tells_no_more_agreements_is_worked_out_and_its_refund_leaves(nights: Nights) -> None:
    sales = (
        "select business_date as day, net_amount as net, is_inferred from marts_core.fct_sale where order_id = 58"
        " order by business_date, net_amount desc"
    )
    refunds = "select quantity, returned_amount from marts_core.fct_refund_line where order_id = 58"
    assert [tuple(row.values()) for row in asked(nights.first, sales)] == [
        (date(2026, 2, 17), 30, False),
        (date(2026, 2, 18), -10, False),
        (date(2026, 2, 19), -10, False),
    ]
    assert asked(nights.first, refunds) == [{"quantity": 1, "returned_amount": 10}]
    assert [tuple(row.values()) for row in asked(nights.second, sales)] == [
        (date(2026, 2, 17), 30, True),
        (date(2026, 2, 17), -10, True),
    ]
    assert asked(nights.second, refunds) == []
    days = "select 1 from metrics.agg_sales_daily where business_date in ('2026-02-18', '2026-02-19')"
    assert len(asked(nights.first, days)) == 2
    assert asked(nights.second, days) == []
