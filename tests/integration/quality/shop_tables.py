"""A small shop in tables without constraints, so that a test can break every rule.

Belongs here: tables built from the contracts of the streams and of the marts, with rows that satisfy every
suite. Does not belong here: the breaking (test_suites_catch_broken_values.py).
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import yaml
from psycopg import sql

from hotdash_pipelines.contracts import load_contracts

PROJECT = "small-shop"
NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
ZONE = "America/New_York"

_TYPES = {
    "string": "text",
    "int64": "bigint",
    "int32": "integer",
    "bool": "boolean",
    "float64": "double precision",
    "timestamp": "timestamptz",
    "date": "date",
    "list<string>": "text[]",
}


def at(day: int, hour: int = 12) -> datetime:
    """An instant of March 2026."""
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def order(number: int, total: str, **changes: Any) -> dict[str, Any]:
    """An order of 3 units: 1.80 tax, 5 shipping."""
    money = Decimal(total)
    return {
        "order_id": number,
        "order_name": f"#{number}",
        "created_at": at(8),
        "processed_at": at(8),
        "updated_at": at(9),
        "is_test": False,
        "financial_status": "PAID",
        "fulfillment_status": "FULFILLED",
        "currency_code": "USD",
        "presentment_currency_code": "USD",
        "taxes_included": False,
        "line_quantity": 3,
        "subtotal_amount": money,
        "discount_amount": Decimal("2"),
        "tax_amount": Decimal("1.80"),
        "shipping_amount": Decimal("5"),
        "total_amount": money + Decimal("6.80"),
        "refunded_amount": Decimal(0),
        "current_total_amount": money + Decimal("6.80"),
        "presentment_total_amount": money + Decimal("6.80"),
        "customer_id": 7,
        "email": "anna@example.com",
    } | changes


def order_line(number: int, order_id: int, quantity: int, price: str, **changes: Any) -> dict[str, Any]:
    """A line of an order."""
    return {
        "order_id": order_id,
        "order_line_id": number,
        "title": "Tea",
        "is_gift_card": False,
        "requires_shipping": True,
        "is_taxable": True,
        "quantity": quantity,
        "current_quantity": quantity,
        "unit_price_amount": Decimal(price),
        "gross_amount": Decimal(price) * quantity,
        "discount_amount": Decimal(1),
        "tax_amount": Decimal("0.90"),
        "currency_code": "USD",
    } | changes


def conversation(number: int, **changes: Any) -> dict[str, Any]:
    """A conversation that was answered after an hour."""
    return {
        "conversation_id": number,
        "inbox_id": 1,
        "status": "resolved",
        "priority": None,
        "contact_id": 7,
        "channel": "Channel::Email",
        "created_at": at(8, 10),
        "updated_at": at(9),
        "last_activity_at": at(9),
        "first_reply_created_at": at(8, 11),
    } | changes


def web(day: int, **key: Any) -> dict[str, Any]:
    """A day of web figures."""
    return key | {
        "property_date": date(2026, 3, day),
        "sessions": 10,
        "engaged_sessions": 6,
        "total_users": 9,
        "page_views": 30,
        "new_users": 4,
        "key_events": Decimal(1),
        "purchases": 1,
        "revenue_amount": Decimal(20),
        "currency_code": "USD",
        "time_zone": ZONE,
    }


ROWS: dict[str, list[dict[str, Any]]] = {
    "raw_shopify.orders": [order(1, "28.00"), order(2, "18.00", taxes_included=True, total_amount=Decimal(23))],
    "raw_shopify.order_lines": [
        order_line(11, 1, 2, "10.00"),
        order_line(12, 1, 1, "10.00"),
        order_line(21, 2, 3, "6.67", gross_amount=Decimal("20.01")),
    ],
    "raw_chatwoot.conversations": [conversation(1), conversation(2, first_reply_created_at=None, status="open")],
    "raw_ga4.landing_daily": [web(day, landing_page="/", channel_group="Direct", device="mobile") for day in (7, 8, 9)],
    "raw_ga4.traffic_daily": [
        web(day, channel_group="Direct", source="(direct)", medium="(none)", campaign="(not set)") for day in (7, 8, 9)
    ],
}


MODELS = Path(__file__).resolve().parents[3] / "dbt_project" / "models"
MARTS = {
    "dim_customer": "marts_core",
    "dim_channel": "marts_core",
    "dim_product_variant": "marts_core",
    "fct_order": "marts_core",
    "fct_order_line": "marts_core",
    "agg_sales_daily": "metrics",
    "dim_agent": "marts_agent",
    "dim_user": "marts_agent",
    "dim_conversation": "marts_support",
    "fct_agent_query": "marts_agent",
    "fct_approval": "marts_agent",
    "agg_agent_daily_performance": "metrics",
}
# Of a store without a support agent these hold no row.
AGENT_FACTS = ("marts_agent.fct_agent_query", "marts_agent.fct_approval", "metrics.agg_agent_daily_performance")
_KEY = UUID(int=1)


def sales(**changes: Any) -> dict[str, Any]:
    """Measures that are the same in an order, a line and a day: 20 gross, 2 discount, 3 returned."""
    return {
        "gross_amount": Decimal(20),
        "discount_amount": Decimal(2),
        "returned_amount": Decimal(3),
        "net_amount": Decimal(15),
    } | changes


def mart_order(number: int) -> dict[str, Any]:
    """An order of the fact: 20 gross, 2 discount, 1.80 tax, 5 shipping."""
    return sales(
        order_id=number,
        date_key=20260309,
        customer_key=_KEY,
        channel_key=_KEY,
        created_at=at(8),
        updated_at=at(9),
        currency_code="USD",
        gift_card_amount=Decimal(0),
        tax_amount=Decimal("1.80"),
        shipping_amount=Decimal(5),
        total_amount=Decimal("24.80"),
        unreconciled_reason=None,
    )


def mart_line(number: int, order_id: int, **changes: Any) -> dict[str, Any]:
    """A line of the fact."""
    keys = {"order_line_id": number, "order_id": order_id, "date_key": 20260309, "product_variant_key": _KEY}
    return sales(**keys, quantity=2, returned_quantity=1) | changes


def sales_day(day: int) -> dict[str, Any]:
    """A day of one order in the rollup; its tax and shipping are less what went back, 22.01 in all."""
    return sales(
        business_date=date(2026, 3, day),
        channel_key=_KEY,
        order_count=1,
        tax_amount=Decimal("1.50"),
        shipping_amount=Decimal(5),
        tip_amount=Decimal(0),
        duty_amount=Decimal(0),
        fee_amount=Decimal("0.50"),
        cash_rounding_amount=Decimal("0.02"),
        refund_rounding_amount=Decimal("0.01"),
        total_amount=Decimal("22.01"),
    )


def agent_query(number: int) -> dict[str, Any]:
    """An approved query of the agent fact."""
    return {
        "query_id": number,
        "date_key": 20260309,
        "agent_key": _KEY,
        "conversation_key": _KEY,
        "created_at": at(8),
        "_loaded_at": at(9),
        "is_approved": True,
        "approved_count": 1,
        "rejected_count": 0,
        "undecided_count": 0,
        "latency_ms": 40,
    }


def agent_approval(number: int, **changes: Any) -> dict[str, Any]:
    """An approval that was given after a minute."""
    return {
        "approval_id": number,
        "date_key": 20260309,
        "user_key": _KEY,
        "status": "approved",
        "decision_seconds": Decimal(60),
        "is_breached": False,
        "approved_count": 1,
        "rejected_count": 0,
        "expired_count": 0,
        "pending_count": 0,
    } | changes


def agent_day(day: int) -> dict[str, Any]:
    """A day of one approved query."""
    return {
        "business_date": date(2026, 3, day),
        "agent_key": _KEY,
        "query_count": 1,
        "decided_count": 1,
        "approved_count": 1,
        "rejected_count": 0,
        "undecided_count": 0,
        "latency_count": 1,
        "p50_latency_ms": Decimal(40),
        "p95_latency_ms": Decimal(40),
    }


_PENDING = {"status": "pending", "decision_seconds": None, "is_breached": None, "approved_count": 0, "pending_count": 1}

ROWS |= {
    "marts_agent.dim_agent": [{"agent_key": _KEY}],
    "marts_agent.dim_user": [{"user_key": _KEY}],
    "marts_support.dim_conversation": [{"conversation_key": _KEY}],
    "marts_agent.fct_agent_query": [agent_query(1), agent_query(2)],
    "marts_agent.fct_approval": [agent_approval(1), agent_approval(2, **_PENDING)],
    "metrics.agg_agent_daily_performance": [agent_day(8), agent_day(9)],
    "marts_core.dim_customer": [{"customer_key": _KEY}],
    "marts_core.dim_channel": [{"channel_key": _KEY}],
    "marts_core.dim_product_variant": [{"product_variant_key": _KEY}],
    "marts_core.fct_order": [mart_order(1), mart_order(2)],
    "marts_core.fct_order_line": [
        mart_line(11, 1),
        mart_line(12, 1, gross_amount=0, discount_amount=0, returned_amount=0, net_amount=0),
        mart_line(21, 2),
    ],
    "metrics.agg_sales_daily": [sales_day(8), sales_day(9)],
}


def build_shop(conn: psycopg.Connection[Any]) -> None:
    """Create and fill the raw tables and the marts. `conn` is on a migrated database and commits by itself."""
    conn.execute(
        "insert into ops.projects (project_key, currency_code, iana_timezone, updated_at) values (%s, 'USD', %s, %s)",
        (PROJECT, ZONE, NOW),
    )
    for contract in load_contracts():
        for table in contract.tables:
            columns = {"project_key": "text"} | {
                name: _TYPES.get(contract.field_of(table, name).type, "numeric(18,4)") for name in table.column_names
            }
            name = f"raw_{contract.source}.{table.name}"
            create(conn, name, columns)
            insert(conn, name, [{key: row[key] for key in row.keys() & columns} for row in ROWS.get(name, [])])
    for name, columns in declared_marts().items():
        create(conn, name, columns)
        insert(conn, name, ROWS[name])


@cache
def declared_marts() -> dict[str, dict[str, str]]:
    """Columns and SQL types of the marts as their dbt contracts declare them, by `schema.table`."""
    marts = {}
    for path in MODELS.glob("**/_*__models.yml"):
        for model in yaml.safe_load(path.read_text())["models"]:
            if model["name"] in MARTS:
                columns = {column["name"]: column["data_type"] for column in model["columns"]}
                marts[f"{MARTS[model['name']]}.{model['name']}"] = columns
    assert len(marts) == len(MARTS), "a mart has no declared columns"
    return marts


def create(conn: psycopg.Connection[Any], name: str, columns: dict[str, str]) -> None:
    """Create `schema.table` with columns of the given SQL types and no constraint."""
    schema, _, table = name.partition(".")
    conn.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
    conn.execute(
        sql.SQL("create table {} ({})").format(
            sql.Identifier(schema, table),
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))  # type: ignore[arg-type]
                for column, kind in columns.items()
            ),
        )
    )


def insert(conn: psycopg.Connection[Any], name: str, rows: list[dict[str, Any]], project: str = PROJECT) -> None:
    """Insert rows into `schema.table`; columns that a row does not name stay null."""
    for row in rows:
        full = {"project_key": project} | row
        conn.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(*name.split(".")),
                sql.SQL(", ").join(map(sql.Identifier, full)),
                sql.SQL(", ").join(sql.Placeholder() * len(full)),
            ),
            list(full.values()),
        )
