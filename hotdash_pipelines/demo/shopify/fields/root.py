"""How the whole schema is wired: root fields, the shop, generic page types and access scopes.

Belongs here: joining the field tables. Does not belong here: the tables of orders and of the catalogue.
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify import events, listing
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
from hotdash_pipelines.demo.shopify.fields import (
    sale as fields_sale,
)
from hotdash_pipelines.demo.shopify.schema import schema
from hotdash_pipelines.demo.shopify.values import gid_number, instant_text
from hotdash_pipelines.demo.shopify.views import REFUND_ID_FACTOR, OrderView, RefundView
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.shop_index import Removal

SHOP_DOMAIN = "hotdash-demo.myshopify.com"
# What Shopify approves apart from scopes: customers at all, and each kind of personal field.
CUSTOMERS, NAME, EMAIL, PHONE, ADDRESS = "customer_data", "name", "email", "phone", "address"
ALL_APPROVALS = frozenset({CUSTOMERS, NAME, EMAIL, PHONE, ADDRESS})

_SCOPES = {
    ("QueryRoot", "order"): "read_orders",
    ("QueryRoot", "orders"): "read_orders",
    ("QueryRoot", "ordersCount"): "read_orders",
    ("QueryRoot", "refund"): "read_orders",
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

_SCOPE: dict[str, Any] = {
    "description": lambda handle: f"May {handle.replace('_', ' ')}",
    "handle": lambda handle: handle,
}

_APPROVALS = {
    ("QueryRoot", "customer"): (CUSTOMERS, "access the Customer object"),
    ("QueryRoot", "customers"): (CUSTOMERS, "access the Customer object"),
    ("Order", "customer"): (CUSTOMERS, "access the Customer object"),
    ("Order", "email"): (EMAIL, "use the email field"),
    ("Order", "phone"): (PHONE, "use the phone field"),
    ("Order", "shippingAddress"): (ADDRESS, "access the MailingAddress object"),
    ("Order", "billingAddress"): (ADDRESS, "access the MailingAddress object"),
    ("Customer", "firstName"): (NAME, "use the firstName field"),
    ("Customer", "lastName"): (NAME, "use the lastName field"),
    ("Customer", "displayName"): (NAME, "use the displayName field"),
    ("Customer", "email"): (EMAIL, "use the email field"),
    ("Customer", "defaultEmailAddress"): (EMAIL, "access the CustomerEmailAddress object"),
    ("Customer", "phone"): (PHONE, "use the phone field"),
    ("Customer", "defaultPhoneNumber"): (PHONE, "access the CustomerPhoneNumber object"),
    ("Customer", "defaultAddress"): (ADDRESS, "access the MailingAddress object"),
}

_CONNECTION = {"nodes": lambda page: page.nodes, "edges": lambda page: page.edges(), "pageInfo": lambda page: page}
_EDGE = {"node": lambda edge: edge[0], "cursor": lambda edge: edge[1]}

_ROOT: dict[str, Any] = {
    "order": lambda shop, a, r: listing.find(listing.ORDERS, "Order", shop, a, r),
    "orders": lambda shop, a, r: listing.list_page(listing.ORDERS, shop, a, r),
    "ordersCount": lambda shop, a, r: listing.count(listing.ORDERS, shop, a, r),
    "customer": lambda shop, a, r: listing.find(listing.CUSTOMERS, "Customer", shop, a, r),
    "customers": lambda shop, a, r: listing.list_page(listing.CUSTOMERS, shop, a, r),
    "customersCount": lambda shop, a, r: listing.count(listing.CUSTOMERS, shop, a, r),
    "product": lambda shop, a, r: listing.find(listing.PRODUCTS, "Product", shop, a, r),
    "products": lambda shop, a, r: listing.list_page(listing.PRODUCTS, shop, a, r),
    "productsCount": lambda shop, a, r: listing.count(listing.PRODUCTS, shop, a, r),
    "productVariant": lambda shop, a, r: listing.find(listing.VARIANTS, "ProductVariant", shop, a, r),
    "productVariants": lambda shop, a, r: listing.list_page(listing.VARIANTS, shop, a, r),
    "productVariantsCount": lambda shop, a, r: listing.count(listing.VARIANTS, shop, a, r),
    "events": events.list_events,
    "eventsCount": events.count_events,
    "refund": lambda shop, a, _r: _find_refund(shop, a["id"]),
    "currentAppInstallation": lambda shop: shop,
    "shop": lambda shop: shop,
}


def _find_refund(shop: Shop, gid: str) -> RefundView | None:
    number = gid_number(gid, "Refund")
    order = None if number is None else listing.ORDERS.find(shop, number // REFUND_ID_FACTOR)
    if order is None:
        return None
    refunds = OrderView(shop, order, shop.now_ts()).refunds()
    return next((refund for refund in refunds if refund.number() == number), None)


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


def _type_of(source: Any) -> str:
    if isinstance(source, Removal):
        return "BasicEvent"
    return fields_sale.type_of(source) or fields_line.type_of(source)


def _wire() -> Wiring:
    resolvers: dict[str, dict[str, Any]] = {
        **fields_order.RESOLVERS,
        **fields_line.RESOLVERS,
        **fields_refund.RESOLVERS,
        **fields_sale.RESOLVERS,
        **fields_catalog.RESOLVERS,
        "QueryRoot": _ROOT,
        "AppInstallation": {
            "accessScopes": lambda shop: sorted(shop.app_scopes),
            "id": lambda _shop: "gid://shopify/AppInstallation/1",
        },
        "AccessScope": _SCOPE,
        "BasicEvent": events.RESOLVERS,
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
        _type_of,
        _SCOPES,
        _APPROVALS,
        {"Order": lambda view: view.overlay(), "Customer": lambda view: view.overlay()},
    )


WIRING = _wire()
