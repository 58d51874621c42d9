"""The fields of order lines, their discounts and taxes.

Belongs here: reading one value off a line. Does not belong here: orders and refunds (`fields_order`, `fields_refund`).
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify.fields.catalog import ProductView, VariantView
from hotdash_pipelines.demo.shopify.values import Bag, gid
from hotdash_pipelines.demo.shopify.views import (
    AUTOMATIC,
    CODE,
    MANUAL,
    AllocationView,
    DiscountView,
    LineView,
    OrderView,
    first_of,
    taxes_of,
)
from hotdash_pipelines.demo.world.shop_orders import AUTOMATIC_DISCOUNT, CODES, Money


def applications_of(view: OrderView) -> list[DiscountView]:
    """The discounts applied to an order: its code first, then the automatic one, then what staff took off."""
    lines = view.basket.lines
    kinds = [CODE] if view.basket.discount_code else []
    kinds += [AUTOMATIC] if any(line.automatic_discount.shop for line in lines) else []
    kinds += [MANUAL] if any(line.staff_discount.shop for line in lines) else []
    return [DiscountView(view, kind, position) for position, kind in enumerate(kinds)]


def _allocations(line: LineView) -> list[AllocationView]:
    amounts = {
        CODE: line.line.code_discount,
        AUTOMATIC: line.line.automatic_discount,
        MANUAL: line.line.staff_discount,
    }
    allocations = [AllocationView(one, amounts[one.kind]) for one in applications_of(line.view)]
    return [allocation for allocation in allocations if allocation.money.shop]


def _own_discount(line: LineView) -> Money:
    return line.line.automatic_discount.plus(line.line.staff_discount)


def _discounted(line: LineView, arguments: dict[str, Any], _request: Any) -> Bag:
    # An order-wide code counts neither as line-level nor, by default, at all: only the allocations show it.
    money = line.line.original.minus(_own_discount(line))
    return line.view.bag(money.minus(line.line.code_discount) if arguments.get("withCodeDiscounts") else money)


def _after_all_discounts(line: LineView) -> Bag:
    left = line.line.quantity - line.left()
    net = line.line.net.minus(line.line.tax) if line.view.basket.taxes_included else line.line.net
    return line.view.bag(net.minus(net.share(left, line.line.quantity)))


def _unit(line: LineView, money: Money) -> Bag:
    return line.view.bag(money.share(1, line.line.quantity))


def _product(line: LineView) -> ProductView | None:
    product, now = line.line.product, line.view.now
    return ProductView(line.view.shop, product, now) if product is not None and product.exists(now) else None


def _variant(line: LineView) -> VariantView | None:
    product = _product(line)
    return None if product is None or line.line.variant is None else VariantView(product, line.line.variant)


def _attributes(line: LineView) -> list[tuple[str, str | None]]:
    shop, number = line.view.shop, line.line.id
    attributes: list[tuple[str, str | None]] = []
    if shop.is_rough("odd_attributes", "line", number):
        attributes += [("_bundle", None), ("", ""), ("_builder", '{"steps":[{"id":1,"skip":[]},null],"zoom":1.0E2}')]
    if shop.is_rough("doubled_keys", number):
        attributes += [("Engraving", "A. & B."), ("Engraving", "")]
    return attributes


def _value(discount: DiscountView) -> float | tuple[int, str]:
    basket = discount.view.basket
    if discount.kind == MANUAL:
        return sum(line.staff_discount.presentment for line in basket.lines), basket.currency
    return float(dict(CODES)[basket.discount_code or ""] if discount.is_code() else AUTOMATIC_DISCOUNT[1])


_SHARED_DISCOUNT = {
    "allocationMethod": lambda d: "ACROSS" if d.is_code() else "EACH",
    "index": lambda d: d.position,
    "targetSelection": lambda d: "ALL" if d.is_code() else "EXPLICIT",
    "targetType": lambda _d: "LINE_ITEM",
    "value": lambda d: _value(d),
}

RESOLVERS: dict[str, dict[str, Any]] = {
    "LineItem": {
        "currentQuantity": lambda x: x.left(),
        "customAttributes": _attributes,
        "discountAllocations": _allocations,
        "discountedTotalSet": _discounted,
        "discountedUnitPriceAfterAllDiscountsSet": lambda x: _unit(x, x.line.net),
        "discountedUnitPriceSet": lambda x: _unit(x, x.line.original.minus(_own_discount(x))),
        "id": lambda x: gid("LineItem", x.line.id),
        "isGiftCard": lambda x: x.line.is_gift_card,
        "name": lambda x: x.line.title if x.line.variant is None else f"{x.line.title} - {x.line.variant.title}",
        "originalTotalSet": lambda x: x.view.bag(x.line.original),
        "originalUnitPriceSet": lambda x: x.view.bag(x.line.unit),
        "priceAfterAllDiscountsBeforeTaxesSet": _after_all_discounts,
        "product": _product,
        "quantity": lambda x: x.line.quantity,
        "refundableQuantity": lambda x: x.left(),
        "requiresShipping": lambda x: x.line.requires_shipping,
        "sku": lambda x: x.line.sku,
        "taxLines": lambda x, a, _r: first_of(taxes_of(x.view, x.line.tax), a),
        "taxable": lambda x: x.line.taxable,
        "title": lambda x: x.line.title,
        "totalDiscountSet": lambda x: x.view.bag(_own_discount(x)),
        "unfulfilledQuantity": lambda x: 0 if x.view.state.fulfillment_status == "FULFILLED" else x.left(),
        "variant": _variant,
        "variantTitle": lambda x: x.line.variant.title if x.line.variant else None,
        "vendor": lambda x: x.line.product.vendor if x.line.product else None,
    },
    "Attribute": {"key": lambda x: x[0], "value": lambda x: x[1]},
    "TaxLine": {
        "channelLiable": lambda _t: False,
        "priceSet": lambda t: t.view.bag(t.money),
        "rate": lambda t: t.view.basket.tax_bps / 10_000,
        "ratePercentage": lambda t: t.view.basket.tax_bps / 100,
        "source": lambda _t: "Shopify",
        "title": lambda _t: "Sales tax",
    },
    "DiscountAllocation": {
        "allocatedAmountSet": lambda x: x.application.view.bag(x.money),
        "discountApplication": lambda x: x.application,
    },
    "DiscountCodeApplication": {**_SHARED_DISCOUNT, "code": lambda d: d.view.basket.discount_code},
    "AutomaticDiscountApplication": {**_SHARED_DISCOUNT, "title": lambda _d: AUTOMATIC_DISCOUNT[0]},
    "ManualDiscountApplication": {
        **_SHARED_DISCOUNT,
        "description": lambda _d: None,
        "title": lambda _d: "Lower price",
    },
    "PricingPercentageValue": {"percentage": lambda value: value},
}


def type_of(source: Any) -> str:
    """The concrete type behind an interface or union of this schema."""
    if isinstance(source, DiscountView):
        return source.kind
    return "MoneyV2" if isinstance(source, tuple) else "PricingPercentageValue"
