"""The figures that a restore is held against: rows, an order-free hash of them, the ends of the key."""

from typing import TYPE_CHECKING, Any

import pytest

from hotdash_pipelines.operations.backup.catalog import figures, pin, tables_of

if TYPE_CHECKING:
    import psycopg

    from hotdash_pipelines.operations.backup.files import BackupFigures

# `r` is what the query calls the table; json and point have no hash of their own.
TABLES = {
    "record": "id bigint primary key, r text, at timestamptz, tags text[], data jsonb, amount numeric",
    "text": "id bigint primary key, r text, at timestamptz, data json, place point",
}
ROWS = {
    "record": "n, case when n % 3 > 0 then 'r' || n end, 'epoch'::timestamptz + n * interval '1 s', "
    "array['a', n::text], jsonb_build_object('n', n), n / 7.0",
    "text": "n, 'r' || n, 'epoch'::timestamptz + n * interval '1 s', json_build_object('n', n), point(n, n)",
}


def of(conn: "psycopg.Connection[Any]", table: str) -> "BackupFigures":
    with conn.transaction():
        pin(conn)
        return figures(conn, [found for found in tables_of(conn, "full") if found.name == table])[f"metrics.{table}"]


@pytest.mark.parametrize("kind", TABLES)
def test_the_order_of_rows_does_not_count_and_every_value_does(warehouse: "psycopg.Connection[Any]", kind: str) -> None:
    for name, order in {"one": "n", "other": "n desc"}.items():
        warehouse.execute(f"create table metrics.{name} ({TABLES[kind]})".encode())
        warehouse.execute(
            f"insert into metrics.{name} select {ROWS[kind]} from generate_series(1, 50) n order by {order}".encode()
        )
    first = of(warehouse, "one")
    assert first == of(warehouse, "other")
    assert first.hash.startswith(f"{kind}:")
    assert (first.rows, first.min_id, first.max_id) == (50, 1, 50)
    columns = [part.split()[0] for part in TABLES[kind].split(", ")]
    for column in columns[1:]:
        with warehouse.transaction(force_rollback=True):
            warehouse.execute(f"update metrics.other set {column} = null where id = 7".encode())
            assert of(warehouse, "other").hash != first.hash, column
    with warehouse.transaction(force_rollback=True):
        # Two rows that exchange a value are other rows, though the table has the same values.
        warehouse.execute("update metrics.other set r = case id when 1 then 'r2' else 'r1' end where id in (1, 2)")
        assert of(warehouse, "other").hash != first.hash
