"""What the shop lets the app see: access scopes, the approval for customers' data, how far back orders go.

Belongs here: asking for it, and what each missing piece costs. Does not belong here: how it is shown (cli/doctor.py).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from hotdash_pipelines.sources.errors import AccessDenied, in_one_line
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.streams import CUSTOMERS_CONNECTION, ORDERS_CONNECTION, as_allowed, instant_of
from hotdash_pipelines.sources.source import Limit

# How far back Shopify shows orders to an app without `read_all_orders`.
HORIZON = timedelta(days=60)
_RECENT = timedelta(days=30)
ALL_ORDERS = "read_all_orders"
SCOPES_QUERY = "query AccessScopes { currentAppInstallation { accessScopes { handle } } }"
_INSTALL = "add it to the app's scopes and install the app again"
_COSTS = {
    "read_orders": "orders, their lines and refunds are not read",
    "read_customers": "customers are not read, and orders are not read because they name theirs",
    "read_products": "products are not read, and orders are not read because their lines name them",
    "read_inventory": "products are not read because their variants carry the unit cost",
    ALL_ORDERS: "orders older than 60 days are not seen, nor counted: older days are unknown, not empty",
}


def granted_scopes(client: ShopifyClient) -> frozenset[str]:
    """The handles of the scopes the app was given; what may be written may be read. Raises SourceError."""
    with in_one_line():
        installation = client.graphql(SCOPES_QUERY, {}, "AccessScopes").data["currentAppInstallation"]
        handles = {scope["handle"] for scope in installation["accessScopes"]}
    return frozenset(handles | {handle.replace("write_", "read_", 1) for handle in handles})


def order_horizon(client: ShopifyClient, now: datetime) -> datetime | None:
    """The instant before which the shop shows no orders, None where it shows all of them. Raises SourceError.

    Days before it, and the day it lies in, cannot be known to be whole whatever the counts say.
    """
    return None if ALL_ORDERS in granted_scopes(client) else now - HORIZON


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
