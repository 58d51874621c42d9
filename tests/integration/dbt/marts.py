"""What the dbt tests look at: the content of the marts, compared as a whole.

Belongs here: reading and comparing marts. Does not belong here: raw rows (raw.py), running dbt (conftest.py).
"""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

MARTS = (
    "marts_core.dim_project",
    "marts_core.dim_date",
    "marts_core.dim_channel",
    "marts_core.dim_customer",
    "marts_core.dim_product_variant",
    "marts_core.fct_sale",
    "marts_core.fct_refund_line",
    "marts_core.fct_order_line",
    "marts_core.fct_order",
    "marts_core.fct_web_sessions_daily",
    "marts_support.fct_conversation",
    "metrics.agg_sales_daily",
)


def asked(conn: psycopg.Connection[Any], statement: str, *parameters: object) -> list[dict[str, Any]]:
    """The rows of a query as dicts."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()  # type: ignore[arg-type]


def content(conn: psycopg.Connection[Any], where: str = "true") -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every mart in a fixed order, without the id of the run that wrote it."""
    return {mart: rows_of(conn, mart, where) for mart in MARTS}


def written(conn: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Where each row of the marts lies and which transaction wrote it: it moves when a row is written again."""
    places = {}
    for mart in MARTS:
        # The calendar is refilled every time by design.
        if mart != "marts_core.dim_date":
            statement = sql.SQL("select ctid::text, xmin::text from {} order by 1").format(
                sql.Identifier(*mart.split("."))
            )
            places[mart] = conn.execute(statement).fetchall()
    return places


def rows_of(conn: psycopg.Connection[Any], mart: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Every row of `schema.table` in a fixed order, without the id of the run that wrote it."""
    schema, table = mart.split(".")
    names = [
        name
        for (name,) in conn.execute(
            "select column_name from information_schema.columns"
            " where table_schema = %s and table_name = %s and column_name <> '_dbt_run_id' order by 1",
            (schema, table),
        )
    ]
    if where != "true" and "project_key" not in names:
        return []
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("select {columns} from {table} where {where}").format(
        columns=columns, table=sql.Identifier(schema, table), where=sql.SQL(where)
    )  # type: ignore[arg-type]
    return sorted(conn.execute(statement).fetchall(), key=repr)
