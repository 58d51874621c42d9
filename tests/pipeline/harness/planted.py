"""An order that no load ever brings: it breaks checks and carries a person's e-mail address.

Belongs here: planting it behind the loader's back and taking it out. Does not belong here: what then happens.
"""

from hotdash_pipelines.warehouse.postgres import connect

PLANTED = "planted.person@leak.example"
_ORDER_ID = -1


def plant(url: str) -> None:
    """Copy an order to an id that no source has, the address in a column for it and where a status belongs."""
    with connect(url) as conn:
        columns = [
            name
            for (name,) in conn.execute(
                "select column_name from information_schema.columns "
                "where table_schema = 'raw_shopify' and table_name = 'orders' order by ordinal_position"
            )
        ]
        planted = {"order_id": str(_ORDER_ID), "email": f"'{PLANTED}'", "display_financial_status": f"'{PLANTED}'"}
        listed = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(planted.get(name, f'"{name}"') for name in columns)
        insert = f"insert into raw_shopify.orders ({listed}) select {values} from raw_shopify.orders limit 1"
        assert conn.execute(insert).rowcount == 1


def mend(url: str) -> None:
    """Take the order out again."""
    with connect(url) as conn:
        assert conn.execute("delete from raw_shopify.orders where order_id = %s", (_ORDER_ID,)).rowcount == 1
