"""Shopify: client, paging, streams and settings.

Belongs here: all that is particular to the Admin API. Does not belong here: the stand-in (demo/shopify).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hotdash_pipelines.sources.shopify.settings import ShopifySettings
from hotdash_pipelines.sources.source import Limit, Source

if TYPE_CHECKING:
    from hotdash_pipelines.sources.shopify.client import ShopifyClient


def _open(settings: ShopifySettings) -> "ShopifyClient":
    from hotdash_pipelines.sources.shopify.client import ShopifyClient

    secret, token = settings.shopify_client_secret, settings.shopify_access_token
    return ShopifyClient(
        settings.shopify_base_url or f"https://{settings.shopify_shop}",
        settings.shopify_api_version,
        client_id=settings.shopify_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        access_token=token.get_secret_value() if token else None,
        personal_fields=settings.shopify_personal_fields,
        id_sweep_days=settings.shopify_id_sweep_days,
    )


def _limits(client: "ShopifyClient", _store_timezone: str) -> Iterator[Limit]:
    from hotdash_pipelines.sources.shopify.access import limits

    return limits(client)


SOURCE = Source(
    name="shopify",
    label="Shopify",
    settings=ShopifySettings,
    open=_open,
    advice="set HOTDASH_SHOPIFY_SHOP with HOTDASH_SHOPIFY_CLIENT_ID and HOTDASH_SHOPIFY_CLIENT_SECRET, "
    "or with HOTDASH_SHOPIFY_ACCESS_TOKEN",
    kind="shopify",
    limits=_limits,
)
