"""What the shop lets the app see: access scopes and the approval for customers' data.

Belongs here: what each missing piece costs. Does not belong here: asking for scopes
(scopes.py), how it is shown (cli/doctor.py).
"""

from collections.abc import Iterator
from datetime import timedelta

from hotdash_pipelines.sources.errors import AccessDenied
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.scopes import ALL_ORDERS, granted_scopes, instant_of
from hotdash_pipelines.sources.shopify.streams import CUSTOMERS_CONNECTION, ORDERS_CONNECTION, as_allowed
from hotdash_pipelines.sources.source import Limit

_RECENT = timedelta(days=30)
_INSTALL = "add it to the app's scopes and install the app again"
_COSTS = {
    "read_orders": "orders, their lines and refunds are not read",
    "read_customers": "customers are not read, and orders are not read because they name theirs",
    "read_products": "products are not read, and orders are not read because their lines name them",
    "read_inventory": "products are not read because their variants carry the unit cost",
    ALL_ORDERS: "orders older than 60 days are not seen, nor counted: older days are unknown, not empty",
}


def limits(client: ShopifyClient) -> Iterator[Limit]:
    """What the app lacks, with what each costs. Raises SourceError where that cannot be told."""
    granted = granted_scopes(client)
    missing = [scope for scope in _COSTS if scope not in granted]
    for scope in missing:
        yield Limit(f"scope {scope}", _COSTS[scope], _INSTALL, is_fatal=scope != ALL_ORDERS)
    for stream, connection, needed in (
        ("orders", ORDERS_CONNECTION, {"read_orders", "read_customers", "read_products"}),
        ("customers", CUSTOMERS_CONNECTION, {"read_customers"}),
    ):
        if needed & set(missing):
            continue
        # A record is needed: Shopify refuses a field only where there is one to show.
        recent = f"updated_at:>='{instant_of(client.now() - _RECENT)}'"
        first = {"first": 1, "after": None, "query": recent}
        try:
            client.graphql(as_allowed(client, connection).query, first, connection.operation)
        except AccessDenied as error:
            advice = "ask Shopify for the approval in the Partner Dashboard"
            if not error.is_basic:
                advice += ", or set HOTDASH_SHOPIFY_PERSONAL_FIELDS=false"
            yield Limit(f"approval for {', '.join(error.fields)}", f"{stream} are not read", advice, is_fatal=True)
