"""The fields of customers, addresses, products and variants, and of money.

Belongs here: reading one value off the world's customer or product. Does not belong here: which are listed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hotdash_pipelines.demo.shopify.paging import page_of_list
from hotdash_pipelines.demo.shopify.values import decimal_text, gid, instant_text, money_text
from hotdash_pipelines.demo.world.shop import Customer, CustomerFacts, Product, Shop, Variant

_COUNTRIES = {
    "US": "United States",
    "CA": "Canada",
    "GB": "United Kingdom",
    "DE": "Germany",
    "FR": "France",
    "PL": "Poland",
    "IE": "Ireland",
}


class CustomerView:
    """A customer as they stand now; what depends on their orders is added up when first read."""

    __slots__ = ("_facts", "customer", "now", "shop")

    def __init__(self, shop: Shop, customer: Customer, now: int) -> None:
        self.shop = shop
        self.customer = customer
        self.now = now
        self._facts: CustomerFacts | None = None

    @property
    def facts(self) -> CustomerFacts:
        """Number of orders, spend and last change."""
        if self._facts is None:
            self._facts = self.shop.customer_facts(self.customer, self.now)
        return self._facts

    def overlay(self) -> dict[str, Any] | None:
        """What the control plane put over the customer's fields."""
        mutations = self.shop.mutated_customers.get(self.customer.id)
        if not mutations:
            return None
        changes: dict[str, Any] = {}
        for ts, fields in mutations:
            if ts <= self.now:
                changes.update(fields)
        return changes


class AddressView(NamedTuple):
    """A postal address of a customer."""

    customer: Customer
    number: int


class EmailView(NamedTuple):
    """A customer's e-mail address."""

    customer: Customer


class ProductView(NamedTuple):
    """A product as it stands now."""

    shop: Shop
    product: Product
    now: int


class VariantView(NamedTuple):
    """A variant as it stands now."""

    owner: ProductView
    variant: Variant

    def revision(self) -> int:
        """How many times the product has been edited."""
        return self.owner.product.revision(self.owner.now)

    def price(self) -> int:
        """Today's price in cents."""
        return self.variant.price_cents(self.revision())


def address_of(customer: Customer, number: int) -> AddressView:
    """The customer's address under the address id `number`."""
    return AddressView(customer, number)


def variants_of(view: ProductView) -> list[VariantView]:
    """The product's variants by position."""
    return [VariantView(view, variant) for variant in view.product.variants]


def _full_name(customer: Customer) -> str:
    return " ".join(part for part in (customer.first_name, customer.last_name) if part)


def _marketing_state(email: EmailView) -> str:
    return "SUBSCRIBED" if email.customer.accepts_marketing else "NOT_SUBSCRIBED"


def _updated(view: ProductView) -> str:
    return instant_text(view.product.updated_ts(view.now))


RESOLVERS: dict[str, dict[str, Any]] = {
    "MoneyBag": {
        "presentmentMoney": lambda bag: (bag.money[1], bag.buyer_currency),
        "shopMoney": lambda bag: (bag.money[0], bag.shop_currency),
    },
    "MoneyV2": {"amount": lambda money: decimal_text(money[0]), "currencyCode": lambda money: money[1]},
    "Customer": {
        "amountSpent": lambda v: (v.facts.spent_cents, v.shop.currency),
        "createdAt": lambda v: instant_text(int(v.customer.created_at.timestamp())),
        "defaultAddress": lambda v: AddressView(v.customer, v.customer.id),
        "defaultEmailAddress": lambda v: EmailView(v.customer),
        "defaultPhoneNumber": lambda v: v.customer if v.customer.phone else None,
        "displayName": lambda v: _full_name(v.customer),
        "email": lambda v: v.customer.email,
        "firstName": lambda v: v.customer.first_name,
        "id": lambda v: gid("Customer", v.customer.id),
        "lastName": lambda v: v.customer.last_name,
        "legacyResourceId": lambda v: str(v.customer.id),
        "locale": lambda v: v.customer.locale,
        "note": lambda _v: None,
        "numberOfOrders": lambda v: str(v.facts.orders),
        "phone": lambda v: v.customer.phone,
        "state": lambda v: v.customer.state,
        "tags": lambda v: sorted(v.customer.tags),
        "taxExempt": lambda v: "wholesale" in v.customer.tags,
        "updatedAt": lambda v: instant_text(v.facts.updated_ts),
        "verifiedEmail": lambda _v: True,
    },
    "CustomerEmailAddress": {
        "emailAddress": lambda e: e.customer.email,
        "marketingOptInLevel": lambda e: "SINGLE_OPT_IN" if e.customer.accepts_marketing else None,
        "marketingState": _marketing_state,
        "marketingUpdatedAt": lambda e: instant_text(int(e.customer.created_at.timestamp())),
        "validFormat": lambda _e: True,
    },
    "CustomerPhoneNumber": {"marketingState": lambda _c: "NOT_SUBSCRIBED", "phoneNumber": lambda c: c.phone},
    "MailingAddress": {
        "address1": lambda a: a.customer.address1,
        "address2": lambda _a: None,
        "city": lambda a: a.customer.city,
        "company": lambda _a: None,
        "country": lambda a: _COUNTRIES[a.customer.country_code],
        "countryCodeV2": lambda a: a.customer.country_code,
        "firstName": lambda a: a.customer.first_name,
        "id": lambda a: gid("MailingAddress", a.number) + "?model_name=CustomerAddress",
        "lastName": lambda a: a.customer.last_name,
        "name": lambda a: _full_name(a.customer),
        "phone": lambda a: a.customer.phone,
        "province": lambda a: a.customer.province_code,
        "provinceCode": lambda a: a.customer.province_code,
        "zip": lambda a: a.customer.zip,
    },
    "Product": {
        "createdAt": lambda v: instant_text(v.product.created_ts),
        "description": lambda v, a, _r: f"{v.product.title} by {v.product.vendor}."[: a.get("truncateAt")],
        "handle": lambda v: v.product.handle,
        "hasOnlyDefaultVariant": lambda v: [x.title for x in v.product.variants] == ["Default Title"],
        "id": lambda v: gid("Product", v.product.id),
        "isGiftCard": lambda _v: False,
        "legacyResourceId": lambda v: str(v.product.id),
        "productType": lambda v: v.product.product_type,
        "publishedAt": lambda v: None if v.product.archived else instant_text(v.product.created_ts),
        "status": lambda v: "ARCHIVED" if v.product.archived else "ACTIVE",
        "tags": lambda v: sorted(v.product.tags),
        "title": lambda v: v.product.title,
        "totalInventory": lambda v: sum(x.variant.inventory(x.revision()) for x in variants_of(v)),
        "tracksInventory": lambda _v: True,
        "updatedAt": _updated,
        "variants": lambda v, a, _r: page_of_list(variants_of(v), a, ("variants", v.product.id)),
        "variantsCount": lambda v: (len(v.product.variants), "EXACT"),
        "vendor": lambda v: v.product.vendor,
    },
    "ProductVariant": {
        "availableForSale": lambda x: x.variant.inventory(x.revision()) > 0,
        "barcode": lambda x: x.variant.barcode,
        "compareAtPrice": lambda x: money_text(x.variant.compare_at_cents) if x.variant.compare_at_cents else None,
        "createdAt": lambda x: instant_text(x.owner.product.created_ts),
        "displayName": lambda x: f"{x.owner.product.title} - {x.variant.title}",
        "id": lambda x: gid("ProductVariant", x.variant.id),
        "inventoryItem": lambda x: x,
        "inventoryPolicy": lambda _x: "DENY",
        "inventoryQuantity": lambda x: x.variant.inventory(x.revision()),
        "legacyResourceId": lambda x: str(x.variant.id),
        "position": lambda x: x.variant.position,
        "price": lambda x: money_text(x.price()),
        "product": lambda x: x.owner,
        "selectedOptions": lambda x: [("Title" if x.variant.title == "Default Title" else "Size", x.variant.title)],
        "sku": lambda x: x.variant.sku,
        "taxable": lambda x: x.variant.taxable,
        "title": lambda x: x.variant.title,
        "updatedAt": lambda x: _updated(x.owner),
    },
    "SelectedOption": {"name": lambda option: option[0], "value": lambda option: option[1]},
    "InventoryItem": {
        "createdAt": lambda x: instant_text(x.owner.product.created_ts),
        "id": lambda x: gid("InventoryItem", x.variant.inventory_item_id),
        "legacyResourceId": lambda x: str(x.variant.inventory_item_id),
        "requiresShipping": lambda x: x.variant.requires_shipping,
        "sku": lambda x: x.variant.sku,
        "tracked": lambda _x: True,
        "unitCost": lambda x: (x.variant.unit_cost_cents, x.owner.shop.currency),
        "updatedAt": lambda x: _updated(x.owner),
    },
    "Count": {"count": lambda count: count[0], "precision": lambda count: count[1]},
}
