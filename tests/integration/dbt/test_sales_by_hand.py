"""Orders of every hard kind, as sales agreements tell them: what each moves on each day, with figures made by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.integration.dbt.marts import asked
from tests.integration.dbt.raw import Agreement, Line, RawShop, Refund, Sale

ORDER, EDIT, REFUND, RETURN = "ORDER", "ORDER_EDIT", "REFUND", "RETURN"
MEASURES = (
    "gross", "discount", "returned", "net", "tax", "shipping", "tip", "duty", "fee", "rounding", "total", "gift_card",
    "refund_discrepancy",
)  # fmt: skip


def at(day: int, hour: int = 17, minute: int = 0) -> datetime:
    """An instant of March in UTC; New York is five hours behind until 8 March, four from then on."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def back(total: str, line_id: int | None = None, quantity: int | None = None, **values: Any) -> Sale:
    return Sale(total, line_id, quantity, action="RETURN", **values)


def put_orders(raw: RawShop) -> None:
    """Each order is placed on 2 March at noon, unless it says otherwise."""
    # 1: three units at 20.00, 6.00 off, 4.32 of tax. One unit is edited off on the 3rd, one refunded on the 5th.
    raw.order(
        1,
        Line(11, "20.00", 3, discount="6.00", tax="4.32"),
        refunds=(Refund(91, at(5), "19.44", lines=((11, 1, "18.00", "1.44"),)),),
        agreements=(
            Agreement(at(2), (Sale("58.32", 11, 3, "4.32", "6.00"),)),
            Agreement(at(3), (back("-19.44", 11, -1, tax="-1.44", discount="-2.00"),), EDIT),
            Agreement(at(5), (back("-19.44", 11, -1, tax="-1.44", discount="-2.00"),), REFUND, 91),
        ),
        current_total_amount=Decimal("19.44"),
    )
    # 2: a shirt of 20.00; on the 4th staff add one of 30.00 with 2.40 of tax, and take 5.00 off the first one.
    raw.order(
        2,
        Line(21, "20.00", discount="5.00", tax="1.20"),
        Line(22, "30.00", tax="2.40"),
        agreements=(
            Agreement(at(2), (Sale("21.60", 21, 1, "1.60"),)),
            Agreement(
                at(4), (Sale("32.40", 22, 1, "2.40"), Sale("-5.40", 21, 0, "-0.40", "5.00", action="UPDATE")), EDIT
            ),
        ),
        current_total_amount=Decimal("48.60"),
    )
    # 3: prices hold 20 % of tax. A shirt of 60.00 sold for 48.00 (8.00 of tax), shipping 6.00 (1.00 of tax). One line
    # comes back in two entries, on two days: half and half; the shipping on the second.
    raw.order(
        3,
        Line(31, "30.00", 2, discount="12.00", tax="8.00"),
        taxes_included=True,
        refunds=(
            Refund(93, at(6), "24.00", lines=((31, 1, "24.00", "4.00"),)),
            Refund(94, at(7), "30.00", lines=((31, 1, "24.00", "4.00"),)),
        ),
        agreements=(
            Agreement(at(2), (Sale("48.00", 31, 2, "8.00", "10.00"), Sale("6.00", tax="1.00", line_type="SHIPPING"))),
            Agreement(at(6), (back("-24.00", 31, -1, tax="-4.00", discount="-5.00"),), REFUND, 93),
            Agreement(
                at(7),
                (
                    back("-24.00", 31, -1, tax="-4.00", discount="-5.00"),
                    back("-6.00", tax="-1.00", line_type="SHIPPING"),
                ),
                REFUND,
                94,
            ),
        ),
        shipping_amount=Decimal("6.00"),
        current_total_amount=Decimal("0"),
        current_shipping_amount=Decimal("0"),
    )
    # 4: taxed shipping outside the price (5.95 + 0.48), a tip, duties, a fee and a gift card; paid in coins: 0.02 more.
    # Tip and shipping come back on the 5th with a gesture of 2.00, in coins: 0.01 less. A restocking fee stays.
    raw.order(
        4,
        Line(41, "20.00", tax="1.60"),
        Line(42, "3.00", variant_id=None, sku=""),
        Line(43, "50.00", gift_card=True),
        refunds=(Refund(95, at(5), "9.92"),),
        agreements=(
            Agreement(
                at(2),
                (
                    Sale("21.60", 41, 1, "1.60"),
                    Sale("3.00", 42, 1, line_type="TIP"),
                    Sale("50.00", 43, 1, line_type="GIFT_CARD"),
                    Sale("6.43", tax="0.48", line_type="SHIPPING"),
                    Sale("12.00", line_type="DUTY"),
                    Sale("2.50", line_type="ADDITIONAL_FEE"),
                ),
            ),
            Agreement(
                at(5),
                (
                    back("-3.00", 42, -1, line_type="TIP"),
                    back("-6.43", tax="-0.48", line_type="SHIPPING"),
                    back("-2.00", line_type="ADJUSTMENT"),
                    Sale("1.50", line_type="FEE"),
                ),
                REFUND,
                95,
            ),
        ),
        cash_rounding_amount=Decimal("0.02"),
        shipping_amount=Decimal("5.95"),
        current_total_amount=Decimal("87.60"),
        current_shipping_amount=Decimal("0"),
    )
    raw.put(
        "raw_shopify.refunds", order_id=4, refund_id=95, created_at=at(5), updated_at=at(5), refunded_amount="9.92",
        rounding_amount="-0.01", currency_code="USD",
    )  # fmt: skip
    # 5: nothing but a free sample. 6: no line at all.
    raw.order(5, Line(51, "0.00"))
    raw.order(6)
    # 7: sold a minute before the clocks go forward's midnight, refunded a minute before and at the next one.
    raw.order(
        7,
        Line(71, "10.00", 2),
        at=at(8, 4, 59),
        refunds=(
            Refund(96, at(9, 3, 59), "10.00", lines=((71, 1, "10.00", "0"),)),
            Refund(97, at(9, 4, 0), "10.00", lines=((71, 1, "10.00", "0"),)),
        ),
        agreements=(
            Agreement(at(8, 4, 59), (Sale("20.00", 71, 2),)),
            Agreement(at(9, 3, 59), (back("-10.00", 71, -1),), REFUND, 96),
            Agreement(at(9, 4, 0), (back("-10.00", 71, -1),), REFUND, 97),
        ),
        current_total_amount=Decimal("0"),
    )
    # 8: an agreement is missing: the order says that it is worth a line more. 9: a kind that nobody knows here.
    raw.order(
        8,
        Line(81, "10.00"),
        Line(82, "7.00"),
        agreements=(Agreement(at(2), (Sale("10.00", 81, 1),)),),
    )
    raw.order(
        9,
        Line(91, "10.00"),
        agreements=(Agreement(at(2), (Sale("10.00", 91, 1), Sale("4.00", line_type="UNKNOWN"))),),
    )
    # 11: one of its movements is of a line that the order does not list.
    raw.order(
        11,
        Line(111, "10.00"),
        agreements=(Agreement(at(2), (Sale("10.00", 111, 1), Sale("6.00", 999, 1))),),
    )
    # 10: told by nobody, so worked out: a unit of 18.00 + 1.60 was taken off, on a day that the source does not tell.
    raw.order(10, Line(101, "20.00", 2, discount="4.00", tax="3.20", left=1), current_total_amount=Decimal("19.60"))


# (order, day) -> the measures, in their order.
BY_HAND = {
    (1, 2): "60 6 0 54 4.32 0 0 0 0 0 58.32 0 0",
    (1, 3): "0 0 18 -18 -1.44 0 0 0 0 0 -19.44 0 0",
    (1, 5): "0 0 18 -18 -1.44 0 0 0 0 0 -19.44 0 0",
    (2, 2): "20 0 0 20 1.6 0 0 0 0 0 21.6 0 0",
    (2, 4): "30 5 0 25 2 0 0 0 0 0 27 0 0",
    (3, 2): "50 10 0 40 9 5 0 0 0 0 54 0 0",
    (3, 6): "0 0 20 -20 -4 0 0 0 0 0 -24 0 0",
    (3, 7): "0 0 20 -20 -5 -5 0 0 0 0 -30 0 0",
    (4, 2): "20 0 0 20 2.08 5.95 3 12 2.5 0.02 45.55 50 0",
    (4, 5): "0 0 0 0 -0.48 -5.95 -3 0 1.5 0.01 -7.92 0 2",
    (5, 2): "0 0 0 0 0 0 0 0 0 0 0 0 0",
    (7, 7): "20 0 0 20 0 0 0 0 0 0 20 0 0",
    (7, 8): "0 0 10 -10 0 0 0 0 0 0 -10 0 0",
    (7, 9): "0 0 10 -10 0 0 0 0 0 0 -10 0 0",
    (8, 2): "10 0 0 10 0 0 0 0 0 0 10 0 0",
    (9, 2): "10 0 0 10 0 0 0 0 0 0 10 0 0",
    (11, 2): "10 0 0 10 0 0 0 0 0 0 10 0 0",
    (10, 2): "40 4 18 18 1.6 0 0 0 0 0 19.6 0 0",
}
REASONS = {
    8: "the sales come to 10.00, the order says 17.00",
    9: "a movement is of a kind, or names a line, that is not known here",
    11: "a movement is of a kind, or names a line, that is not known here",
}


@pytest.fixture
def built(dbt: Any, raw: RawShop) -> psycopg.Connection[Any]:
    raw.variant(501)
    put_orders(raw)
    dbt("run", "--select", "+agg_sales_daily", "+fct_order_line")
    return raw.conn


def test_every_movement_counts_on_its_own_day_in_its_own_measure(built: psycopg.Connection[Any]) -> None:
    sums = ", ".join(f"trim_scale(sum({measure}_amount))::text" for measure in MEASURES)
    rows = built.execute(
        f"select order_id, extract(day from business_date)::int, array[{sums}] from marts_core.fct_sale group by 1, 2"
    ).fetchall()
    assert {(order, day): " ".join(figures) for order, day, figures in rows} == BY_HAND


def test_days_are_the_sums_of_these_figures(built: psycopg.Connection[Any]) -> None:
    expected: dict[int, list[Decimal]] = {}
    for (_, day), figures in BY_HAND.items():
        held = expected.setdefault(day, [Decimal(0)] * len(MEASURES))
        expected[day] = [so_far + Decimal(figure) for so_far, figure in zip(held, figures.split(), strict=True)]
    apart = {"rounding": "cash_rounding_amount - refund_rounding_amount"}
    columns = [apart.get(name, f"{name}_amount") for name in MEASURES]
    rows = built.execute(f"select business_date, array[{', '.join(columns)}] from metrics.agg_sales_daily").fetchall()
    assert {day.day: figures for day, figures in rows} == expected
    counts = asked(
        built, "select order_count, unreconciled_order_count from metrics.agg_sales_daily where order_count > 1"
    )
    assert counts == [{"order_count": 10, "unreconciled_order_count": 3}]


def test_lines_and_orders_are_the_sums_of_their_movements(built: psycopg.Connection[Any]) -> None:
    (line,) = asked(
        built,
        "select quantity, returned_quantity, removed_quantity, net_amount from marts_core.fct_order_line"
        " where order_line_id = 11",
    )
    assert line == {"quantity": 3, "returned_quantity": 2, "removed_quantity": 1, "net_amount": Decimal(18)}
    (order,) = asked(
        built,
        "select tax_amount, returned_tax_amount, tip_amount, returned_tip_amount, fee_amount, gift_card_amount,"
        " refund_discrepancy_amount, refunded_amount from marts_core.fct_order where order_id = 4",
    )
    assert list(order.values()) == [Decimal(text) for text in ("2.08", "0.48", "3", "3", "4", "50", "2", "9.92")]
    empty = asked(built, "select line_count, quantity, net_amount from marts_core.fct_order where order_id = 6")
    assert empty == [{"line_count": 0, "quantity": 0, "net_amount": Decimal(0)}]


def test_what_does_not_add_up_is_named_and_stops_nothing(dbt: Any, built: psycopg.Connection[Any]) -> None:
    orders = "select order_id, unreconciled_reason from marts_core.fct_order"
    told = asked(built, f"{orders} where unreconciled_reason is not null")
    assert {row["order_id"]: row["unreconciled_reason"] for row in told} == REASONS
    assert [row["order_id"] for row in asked(built, f"{orders} where is_inferred")] == [10]
    assert dbt.build() == {"the_sales_of_every_order_add_up": "warn"}
    days = asked(built, "select business_date from metrics.agg_sales_daily where business_date = %s", date(2026, 3, 9))
    assert len(days) == 1


def test_what_is_loaded_between_two_models_is_taken_up_by_the_next_build(dbt: Any, raw: RawShop) -> None:
    sums = (
        "select (select sum(net_amount) from marts_core.fct_sale) as sales,"
        " (select sum(net_amount) from marts_core.fct_order_line) as lines,"
        " (select sum(net_amount) from marts_core.fct_order) as orders,"
        " (select sum(returned_amount) from marts_core.fct_refund_line) as refunds"
    )
    rest = ("fct_order_line", "fct_order", "fct_refund_line")
    sold = Agreement(at(2), (Sale("20.00", 11, 1),))
    raw.order(1, Line(11, "20.00"), agreements=(sold,))
    dbt("run", "--select", "+fct_sale", "+fct_order_line", "+fct_order", "+fct_refund_line")
    raw.loaded_at = at(4)
    raw.order(
        1,
        Line(11, "20.00", left=0),
        refunds=(Refund(91, at(3), "20.00", lines=((11, 1, "20.00", "0"),)),),
        agreements=(sold, Agreement(at(3), (back("-20.00", 11, -1),), REFUND, 91)),
        current_total_amount=Decimal(0),
    )
    raw.order(2, Line(21, "5.00"))
    dbt("run", "--select", *rest)
    dbt("run", "--select", "fct_sale")
    dbt("run", "--select", *rest)
    (row,) = asked(raw.conn, sums)
    assert row == {"sales": Decimal(5), "lines": Decimal(5), "orders": Decimal(5), "refunds": Decimal(20)}


def test_an_order_that_tells_only_of_its_refund_is_worked_out(dbt: Any, raw: RawShop) -> None:
    raw.order(
        1,
        Line(11, "30.00", left=0),
        refunds=(Refund(91, at(3), "30.00", lines=((11, 1, "30.00", "0"),)),),
        agreements=(Agreement(at(3), (back("-30.00", 11, -1),), REFUND, 91),),
        current_total_amount=Decimal(0),
    )
    dbt("run", "--select", "+fct_order")
    orders = asked(
        raw.conn, "select gross_amount, returned_amount, is_inferred, unreconciled_reason from marts_core.fct_order"
    )
    assert [tuple(row.values()) for row in orders] == [(Decimal(30), Decimal(30), True, None)]
