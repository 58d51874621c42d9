"""How the whole schema is wired: root fields, the shop, generic page types and access scopes.

Belongs here: joining the field tables. Does not belong here: the tables of orders and of the catalogue.
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify import listing
from hotdash_pipelines.demo.shopify.execute import Wiring
from hotdash_pipelines.demo.shopify.fields import (
    catalog as fields_catalog,
)
from hotdash_pipelines.demo.shopify.fields import (
    line as fields_line,
)
from hotdash_pipelines.demo.shopify.fields import (
    order as fields_order,
)
from hotdash_pipelines.demo.shopify.fields import (
    refund as fields_refund,
)
from hotdash_pipelines.demo.shopify.schema import schema
from hotdash_pipelines.demo.shopify.values import instant_text
from hotdash_pipelines.demo.world.shop import Shop

SHOP_DOMAIN = "hotdash-demo.myshopify.com"
ALL_SCOPES = frozenset({"read_orders", "read_all_orders", "read_customers", "read_products", "read_inventory"})

_SCOPES = {
    ("QueryRoot", "order"): "read_orders",
    ("QueryRoot", "orders"): "read_orders",
    ("QueryRoot", "ordersCount"): "read_orders",
    ("QueryRoot", "customer"): "read_customers",
    ("QueryRoot", "customers"): "read_customers",
    ("QueryRoot", "customersCount"): "read_customers",
    ("QueryRoot", "product"): "read_products",
    ("QueryRoot", "products"): "read_products",
    ("QueryRoot", "productsCount"): "read_products",
    ("QueryRoot", "productVariant"): "read_products",
    ("QueryRoot", "productVariants"): "read_products",
    ("QueryRoot", "productVariantsCount"): "read_products",
    ("Order", "customer"): "read_customers",
    ("LineItem", "product"): "read_products",
    ("LineItem", "variant"): "read_products",
    ("ProductVariant", "inventoryItem"): "read_inventory",
}

_CONNECTION = {"nodes": lambda page: page.nodes, "edges": lambda page: page.edges(), "pageInfo": lambda page: page}
_EDGE = {"node": lambda edge: edge[0], "cursor": lambda edge: edge[1]}

_ROOT: dict[str, Any] = {
    "order": lambda shop, a, _r: listing.find(listing.ORDERS, "Order", shop, a),
    "orders": lambda shop, a, r: listing.list_page(listing.ORDERS, shop, a, r),
    "ordersCount": lambda shop, a, r: listing.count(listing.ORDERS, shop, a, r),
    "customer": lambda shop, a, _r: listing.find(listing.CUSTOMERS, "Customer", shop, a),
    "customers": lambda shop, a, r: listing.list_page(listing.CUSTOMERS, shop, a, r),
    "customersCount": lambda shop, a, r: listing.count(listing.CUSTOMERS, shop, a, r),
    "product": lambda shop, a, _r: listing.find(listing.PRODUCTS, "Product", shop, a),
    "products": lambda shop, a, r: listing.list_page(listing.PRODUCTS, shop, a, r),
    "productsCount": lambda shop, a, r: listing.count(listing.PRODUCTS, shop, a, r),
    "productVariant": lambda shop, a, _r: listing.find(listing.VARIANTS, "ProductVariant", shop, a),
    "productVariants": lambda shop, a, r: listing.list_page(listing.VARIANTS, shop, a, r),
    "productVariantsCount": lambda shop, a, r: listing.count(listing.VARIANTS, shop, a, r),
    "shop": lambda shop: shop,
}


def _offset_minutes(shop: Shop) -> int:
    offset = shop.clock.now().astimezone(shop.zone).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


def _offset_text(shop: Shop) -> str:
    minutes = _offset_minutes(shop)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


_SHOP: dict[str, Any] = {
    "contactEmail": lambda _shop: "owner@example.com",
    "createdAt": lambda shop: instant_text(shop.opened_ts),
    "currencyCode": lambda shop: shop.currency,
    "email": lambda _shop: "owner@example.com",
    "enabledPresentmentCurrencies": lambda _shop: ["USD", "CAD", "EUR", "GBP"],
    "ianaTimezone": lambda shop: shop.time_zone,
    "id": lambda _shop: "gid://shopify/Shop/1",
    "myshopifyDomain": lambda _shop: SHOP_DOMAIN,
    "name": lambda _shop: "HotDash Demo",
    "plan": lambda shop: shop,
    "taxesIncluded": lambda _shop: False,
    "timezoneAbbreviation": lambda shop: shop.clock.now().astimezone(shop.zone).tzname(),
    "timezoneOffset": _offset_text,
    "timezoneOffsetMinutes": _offset_minutes,
    "updatedAt": lambda shop: instant_text(shop.opened_ts),
    "url": lambda _shop: f"https://{SHOP_DOMAIN}",
}


def _wire() -> Wiring:
    resolvers: dict[str, dict[str, Any]] = {
        **fields_order.RESOLVERS,
        **fields_line.RESOLVERS,
        **fields_refund.RESOLVERS,
        **fields_catalog.RESOLVERS,
        "QueryRoot": _ROOT,
        "Shop": _SHOP,
        "ShopPlan": {
            "partnerDevelopment": lambda _shop: False,
            "publicDisplayName": lambda _shop: "Shopify Plus",
            "shopifyPlus": lambda _shop: True,
        },
        "PageInfo": {
            "endCursor": lambda page: page.cursor(-1),
            "hasNextPage": lambda page: page.has_next,
            "hasPreviousPage": lambda page: page.has_previous,
            "startCursor": lambda page: page.cursor(0),
        },
    }
    for name in schema().type_map:
        if name.endswith("Connection"):
            resolvers[name] = _CONNECTION
        elif name.endswith("Edge"):
            resolvers[name] = _EDGE
    return Wiring(
        resolvers,
        fields_line.type_of,
        _SCOPES,
        {"Order": lambda view: view.overlay(), "Customer": lambda view: view.overlay()},
    )


WIRING = _wire()
