"""Drafts of a conversation whose customer the warehouse knows, for tests of exports.

Belongs here: rows of the raw tables and of agent.agent_feedback. Does not belong here: what is expected of an export.
"""

from typing import TYPE_CHECKING, Any

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.warehouse.loading.ddl import ensure_raw_tables

if TYPE_CHECKING:
    import psycopg

CONVERSATION = "4711"
NAME, FIRST, LAST = "Jane Quillfeather", "Janet", "Quillfeather-Oates"
EMAIL, ACCOUNT_EMAIL, ORDER_EMAIL = "jane.q@example.org", "jq-private@example.net", "Orders.JQ@example.com"
PHONE = "+14155550132"
CITY, SHIPPING_CITY = "Kilkenny", "Ballyhale"
IDENTIFIER = "shopify:900100"
# What the warehouse knows of the customer, from five places.
KNOWN = (NAME, FIRST, LAST, EMAIL, ACCOUNT_EMAIL, ORDER_EMAIL, PHONE, CITY, SHIPPING_CITY, IDENTIFIER)

_STREAMS = ("conversations", "contacts", "customers", "orders")
_DEFAULTS = {"text": "x", "bigint": 1, "integer": 1, "boolean": False, "ARRAY": [], "numeric": 0}


def raw_tables(conn: "psycopg.Connection[Any]") -> None:
    """The raw tables with the customer of CONVERSATION in them."""
    ensure_raw_tables(conn, [one for one in load_contracts() if one.stream in _STREAMS])
    insert(conn, "raw_chatwoot.conversations", conversation_id=int(CONVERSATION), contact_id=77)
    insert(
        conn, "raw_chatwoot.contacts",
        contact_id=77, name=NAME, email=EMAIL, phone=PHONE, identifier=IDENTIFIER,
    )  # fmt: skip
    insert(
        conn, "raw_shopify.customers",
        customer_id=900100, first_name=FIRST, last_name=LAST, email=ACCOUNT_EMAIL, city=CITY,
    )  # fmt: skip
    insert(
        conn, "raw_shopify.orders",
        order_id=5, customer_id=900100, email=ORDER_EMAIL, shipping_city=SHIPPING_CITY,
    )  # fmt: skip


def insert(conn: "psycopg.Connection[Any]", table: str, **values: Any) -> None:
    """One row; columns that need a value and are not named get one that means nothing."""
    schema, _, name = table.partition(".")
    needed = conn.execute(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = %s and table_name = %s and is_nullable = 'NO' and column_default is null",
        (schema, name),
    ).fetchall()
    row = {column: _DEFAULTS.get(kind, "2026-11-01T00:00Z") for column, kind in needed} | values
    names = ", ".join(row)
    conn.execute(f"insert into {table} ({names}) values ({', '.join(['%s'] * len(row))})".encode(), list(row.values()))


def draft(conn: "psycopg.Connection[Any]", **values: Any) -> int:
    """One draft, safe to send unless said otherwise; returns its id."""
    from psycopg.types.json import Jsonb

    row: dict[str, Any] = {
        "conversation_id": CONVERSATION,
        "input_text": "Where is my parcel?",
        "model_draft": "It is on its way.",
        "safe_to_send": True,
        "annotator": "Ruth Adeyemi",
        "created_at": "2026-11-19T10:00Z",
        "updated_at": "2026-11-19T11:00Z",
        **values,
    }
    for name in ("rubric", "meta"):
        if name in row:
            row[name] = Jsonb(row[name])
    statement = (
        f"insert into agent.agent_feedback ({', '.join(row)}) values ({', '.join(['%s'] * len(row))}) returning id"
    )
    inserted = conn.execute(statement.encode(), list(row.values())).fetchone()
    assert inserted is not None
    return inserted[0]
