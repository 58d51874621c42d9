"""The shared database fixtures."""

from typing import Any

import psycopg

from hotdash_pipelines.warehouse.migrations.files import migrations
from hotdash_pipelines.warehouse.schema.migrate import current


def test_every_test_gets_a_migrated_database_of_its_own(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    assert current(warehouse_url) == migrations()[-1].revision
    warehouse.execute("create table ops.mine (id int)")


def test_what_another_test_made_is_gone(warehouse: "psycopg.Connection[Any]") -> None:
    assert warehouse.execute("select to_regclass('ops.mine')").fetchone() == (None,)


def test_sessions_run_in_utc_whatever_the_server_says(any_warehouse_url: str) -> None:
    from hotdash_pipelines.warehouse.postgres import adbc_connection, connect

    with connect(any_warehouse_url) as conn:
        conn.rollback()
        assert conn.execute("show timezone").fetchone() == ("UTC",)
    with adbc_connection(any_warehouse_url) as conn, conn.cursor() as cursor:
        cursor.execute("select current_setting('timezone') as zone")
        assert cursor.fetchone() == ("UTC",)
