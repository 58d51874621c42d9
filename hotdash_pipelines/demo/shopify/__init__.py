"""The Shopify face of the stand-in: token endpoint and Admin GraphQL.

Belongs here: everything that speaks Shopify. Does not belong here: the world it speaks about, or faults' bookkeeping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import Route

    from hotdash_pipelines.demo.world import World


def routes(world: World) -> list[Route]:
    """The HTTP routes under `/admin`."""
    from hotdash_pipelines.demo.shopify.http import ShopifyApi

    return ShopifyApi.of(world).routes()
