"""Which scopes the app was given, and how far back that lets it see.

Belongs here: asking for them. Does not belong here: what a missing one costs (access.py).
"""

from datetime import UTC, datetime, timedelta

from hotdash_pipelines.sources.errors import in_one_line
from hotdash_pipelines.sources.shopify.client import ShopifyClient

# How far back Shopify shows orders to an app without `read_all_orders`.
HORIZON = timedelta(days=60)
ALL_ORDERS = "read_all_orders"
SCOPES_QUERY = "query AccessScopes { currentAppInstallation { accessScopes { handle } } }"


def instant_of(moment: datetime) -> str:
    """An instant as Shopify's searches spell it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
