"""The fields of orders, their lines, discounts, refunds and payments.

Belongs here: reading one value off the world's order. Does not belong here: which orders are listed, or how the money
came about (`world.shop_orders`, `world.shop_timeline` state the identities).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hotdash_pipelines.demo.shopify.fields_catalog import CustomerView, ProductView, VariantView, address_of
from hotdash_pipelines.demo.shopify.paging import page_of_list
from hotdash_pipelines.demo.shopify.values import Bag, gid, instant_text
from hotdash_pipelines.demo.world.shop import Order, Shop
from hotdash_pipelines.demo.world.shop_orders import AUTOMATIC_DISCOUNT, CODES, ZERO, Line, Money
from hotdash_pipelines.demo.world.shop_timeline import Refund, RefundItem

REFUND_ID_FACTOR = 10


class OrderView:
    """An order as it stands now, with what its fields share."""

    __slots__ = ("basket", "currency", "now", "order", "shop", "state")

    def __init__(self, shop: Shop, order: Order, now: int) -> None:
        self.shop = shop
        self.order = order
        self.now = now
        self.basket = order.basket
        self.state = order.state(now)
        self.currency = self.basket.currency

    def bag(self, money: Money) -> Bag:
        """A money bag in the order's two currencies."""
        return Bag(money, self.shop.currency, self.currency)

    def overlay(self) -> dict[str, Any] | None:
        """What the control plane put over the order's fields."""
        mutations = self.order.mutations
        if not mutations:
            return None
        changes: dict[str, Any] = {}
        for ts, fields in mutations:
            if ts <= self.now:
                changes.update(fields)
        return changes

    def lines(self) -> list[LineView]:
        """The order's lines, in the order they were added."""
        return [LineView(self, index, line) for index, line in enumerate(self.basket.lines)]

    def refunds(self) -> list[RefundView]:
        """The refunds made so far, oldest first."""
        return [RefundView(self, refund) for refund in self.state.refunds]


class LineView(NamedTuple):
    """A line of an order as it stands now."""

    view: OrderView
    index: int
    line: Line

    def left(self) -> int:
        """Units neither removed nor refunded."""
        return self.line.quantity - self.view.state.taken.get(self.index, 0)


class RefundView(NamedTuple):
    """A refund of an order."""

    view: OrderView
    refund: Refund

    def number(self) -> int:
        """The refund's numeric id."""
        return self.view.order.id * REFUND_ID_FACTOR + self.refund.number


class RefundItemView(NamedTuple):
    """Units of a line given back."""

    view: OrderView
    refund: Refund
    item: RefundItem


class DiscountView(NamedTuple):
    """A discount application of an order: a code over the whole order, or an automatic one on a line."""

    view: OrderView
    is_code: bool
    index: int


class AllocationView(NamedTuple):
    """The part of a discount that falls to one line."""

    application: DiscountView
    money: Money


class TaxView(NamedTuple):
    """A tax on a line or an order."""

    view: OrderView
    money: Money


class TransactionView(NamedTuple):
    """Money that changed hands."""

    view: OrderView
    kind: str
    ts: int
    money: Money
    number: int
    status: str = "SUCCESS"


class VisitView(NamedTuple):
    """A visit before the order; `lead` is how many seconds before."""

    view: OrderView
    lead: int


_SOURCE_NAMES = {"google": "Google", "bing": "Bing", "(direct)": "direct", "newsletter": "email", "klaviyo": "email"}


def _applications(view: OrderView) -> list[DiscountView]:
    found = []
    if view.basket.discount_code:
        found.append(DiscountView(view, True, 0))
    if any(line.automatic_discount.shop for line in view.basket.lines):
        found.append(DiscountView(view, False, len(found)))
    return found


def _allocations(line: LineView) -> list[AllocationView]:
    found = []
    index = 0
    if line.view.basket.discount_code:
        if line.line.code_discount.shop:
            found.append(AllocationView(DiscountView(line.view, True, 0), line.line.code_discount))
        index = 1
    if line.line.automatic_discount.shop:
        found.append(AllocationView(DiscountView(line.view, False, index), line.line.automatic_discount))
    return found


def _discounted(line: LineView, arguments: dict[str, Any], _request: Any) -> Bag:
    # An order-wide code counts neither as line-level nor, by default, at all: only the allocations show it.
    money = line.line.original.minus(line.line.automatic_discount)
    return line.view.bag(money.minus(line.line.code_discount) if arguments.get("withCodeDiscounts") else money)


def _after_all_discounts(line: LineView) -> Bag:
    left = line.line.quantity - line.left()
    return line.view.bag(line.line.net.minus(line.line.net.share(left, line.line.quantity)))


def _unit(line: LineView, money: Money) -> Bag:
    return line.view.bag(money.share(1, line.line.quantity))


def _taxes(view: OrderView, money: Money) -> list[TaxView]:
    return [TaxView(view, money)] if money.shop or money.presentment else []


def _transactions(view: OrderView) -> list[TransactionView]:
    order, found = view.order, []
    base = order.id * REFUND_ID_FACTOR
    first = order.events[0].payload
    if first == "PAID":
        found.append(TransactionView(view, "SALE", order.created_ts, view.basket.total, base))
    elif first == "AUTHORIZED":
        found.append(TransactionView(view, "AUTHORIZATION", order.created_ts, view.basket.total, base))
    for event in order.events:
        if event.ts <= view.now and event.kind == "pay":
            kind = "CAPTURE" if first == "AUTHORIZED" else "SALE"
            found.append(TransactionView(view, kind, event.ts, view.state.received, base + 9))
    return found + [_refund_transaction(RefundView(view, refund)) for refund in view.state.refunds]


def _refund_transaction(refund: RefundView) -> TransactionView:
    return TransactionView(refund.view, "REFUND", refund.refund.ts, refund.refund.transaction, refund.number())


def _first(items: list[Any], arguments: dict[str, Any]) -> list[Any]:
    first = arguments.get("first")
    return items if first is None else items[:first]


def _kept_quantity(view: OrderView) -> int:
    return sum(
        line.quantity - view.state.taken.get(index, 0)
        for index, line in enumerate(view.basket.lines)
        if not line.is_gift_card
    )


def _customer(view: OrderView) -> CustomerView | None:
    customer = view.order.customer
    return None if customer is None else CustomerView(view.shop, customer, view.now)


def _address(view: OrderView) -> Any:
    customer = view.order.customer
    return None if customer is None or view.basket.source_name == "pos" else address_of(customer, view.order.id)


def _journey(view: OrderView) -> OrderView | None:
    return view if view.basket.source_name == "web" else None


def _outstanding(view: OrderView) -> Money:
    state = view.state
    return ZERO if state.cancelled_ts or state.received.shop or state.refunds else state.total.minus(state.received)


def _landing_page(visit: VisitView) -> str:
    seen = visit.view.order.visit
    query = (
        ""
        if seen.medium in ("(none)", "organic", "referral")
        else f"?utm_source={seen.source}&utm_medium={seen.medium}"
    )
    query += f"&utm_campaign={seen.campaign}" if query and seen.campaign else ""
    return f"https://hotdash-demo.example.com{seen.landing_page}{query}"


def _utm(visit: VisitView) -> Any:
    seen = visit.view.order.visit
    return None if seen.medium in ("(none)", "organic", "referral") else seen


def _product(line: LineView) -> ProductView | None:
    product, now = line.line.product, line.view.now
    return ProductView(line.view.shop, product, now) if product is not None and product.exists(now) else None


def _variant(line: LineView) -> VariantView | None:
    product = _product(line)
    return None if product is None or line.line.variant is None else VariantView(product, line.line.variant)


def _percent(discount: DiscountView) -> float:
    return float(dict(CODES)[discount.view.basket.discount_code or ""] if discount.is_code else AUTOMATIC_DISCOUNT[1])


_SHARED_DISCOUNT = {
    "allocationMethod": lambda d: "ACROSS" if d.is_code else "EACH",
    "index": lambda d: d.index,
    "targetSelection": lambda d: "ALL" if d.is_code else "EXPLICIT",
    "targetType": lambda _d: "LINE_ITEM",
    "value": lambda d: _percent(d),
}

RESOLVERS: dict[str, dict[str, Any]] = {
    "Order": {
        "attribution": lambda v: v,
        "billingAddress": lambda v: address_of(v.order.customer, v.order.id + 1) if v.order.customer else None,
        "cancelReason": lambda v: v.state.cancel_reason,
        "cancelledAt": lambda v: None if v.state.cancelled_ts is None else instant_text(v.state.cancelled_ts),
        "closed": lambda v: v.state.closed_ts is not None,
        "closedAt": lambda v: None if v.state.closed_ts is None else instant_text(v.state.closed_ts),
        "confirmationNumber": lambda v: f"HD{v.order.id % 10**9:09d}",
        "confirmed": lambda _v: True,
        "createdAt": lambda v: instant_text(v.order.created_ts),
        "currencyCode": lambda v: v.shop.currency,
        "currentShippingPriceSet": lambda v: v.bag(v.state.shipping),
        "currentSubtotalLineItemsQuantity": _kept_quantity,
        "currentSubtotalPriceSet": lambda v: v.bag(v.state.subtotal),
        "currentTotalDiscountsSet": lambda v: v.bag(_current_discounts(v)),
        "currentTotalPriceSet": lambda v: v.bag(v.state.total),
        "currentTotalTaxSet": lambda v: v.bag(v.state.tax),
        "customer": _customer,
        "customerJourneySummary": _journey,
        "customerLocale": lambda v: v.order.customer.locale if v.order.customer else None,
        "discountApplications": lambda v, a, _r: page_of_list(_applications(v), a, ("discounts", v.order.id)),
        "discountCode": lambda v: v.basket.discount_code,
        "discountCodes": lambda v: [v.basket.discount_code] if v.basket.discount_code else [],
        "displayFinancialStatus": lambda v: v.state.financial_status,
        "displayFulfillmentStatus": lambda v: v.state.fulfillment_status,
        "edited": lambda v: v.state.edited,
        "email": lambda v: v.order.customer.email if v.order.customer else None,
        "fullyPaid": lambda v: v.state.received.shop >= v.state.total.shop,
        "id": lambda v: gid("Order", v.order.id),
        "legacyResourceId": lambda v: str(v.order.id),
        "lineItems": lambda v, a, _r: page_of_list(v.lines(), a, ("lines", v.order.id)),
        "name": lambda v: v.order.name,
        "netPaymentSet": lambda v: v.bag(v.state.received.minus(v.state.refunded)),
        "note": lambda _v: None,
        "number": lambda v: int(v.order.name[1:]),
        "originalTotalPriceSet": lambda v: v.bag(v.basket.total),
        "paymentGatewayNames": lambda v: ["bogus" if v.order.is_test else "shopify_payments"],
        "phone": lambda v: v.order.customer.phone if v.order.customer else None,
        "presentmentCurrencyCode": lambda v: v.currency,
        "processedAt": lambda v: instant_text(v.order.processed_ts),
        "refundDiscrepancySet": lambda v: v.bag(_total_discrepancy(v)),
        "refunds": lambda v, a, _r: _first(v.refunds(), a),
        "requiresShipping": lambda v: any(line.requires_shipping for line in v.basket.lines),
        "shippingAddress": _address,
        "shippingLine": lambda v: v if v.basket.shipping.shop else None,
        "shippingLines": lambda v, a, _r: page_of_list([v] if v.basket.shipping.shop else [], a, ("ship", v.order.id)),
        "sourceName": lambda v: v.basket.source_name,
        "subtotalLineItemsQuantity": lambda v: sum(line.quantity for line in v.basket.lines if not line.is_gift_card),
        "subtotalPriceSet": lambda v: v.bag(v.basket.subtotal),
        "tags": lambda v: sorted(set(v.state.tags)),
        "taxLines": lambda v: _taxes(v, v.basket.tax),
        "taxesIncluded": lambda _v: False,
        "test": lambda v: v.order.is_test,
        "totalDiscountsSet": lambda v: v.bag(v.basket.discounts),
        "totalOutstandingSet": lambda v: v.bag(_outstanding(v)),
        "totalPriceSet": lambda v: v.bag(v.basket.total),
        "totalReceivedSet": lambda v: v.bag(v.state.received),
        "totalRefundedSet": lambda v: v.bag(v.state.refunded),
        "totalRefundedShippingSet": lambda v: v.bag(
            v.basket.shipping.minus(v.state.shipping) if v.state.refunds else ZERO
        ),
        "totalShippingPriceSet": lambda v: v.bag(v.basket.shipping),
        "totalTaxSet": lambda v: v.bag(v.basket.tax),
        "transactions": lambda v, a, _r: _first(_transactions(v), a),
        "unpaid": lambda v: not v.state.received.shop,
        "updatedAt": lambda v: instant_text(v.order.updated_ts(v.now)),
    },
    "LineItem": {
        "currentQuantity": lambda x: x.left(),
        "customAttributes": lambda _x: [],
        "discountAllocations": _allocations,
        "discountedTotalSet": _discounted,
        "discountedUnitPriceAfterAllDiscountsSet": lambda x: _unit(x, x.line.net),
        "discountedUnitPriceSet": lambda x: _unit(x, x.line.original.minus(x.line.automatic_discount)),
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
        "taxLines": lambda x, a, _r: _first(_taxes(x.view, x.line.tax), a),
        "taxable": lambda x: x.line.taxable,
        "title": lambda x: x.line.title,
        "totalDiscountSet": lambda x: x.view.bag(x.line.automatic_discount),
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
    "PricingPercentageValue": {"percentage": lambda value: value},
    "Refund": {
        "createdAt": lambda x: instant_text(x.refund.ts),
        "id": lambda x: gid("Refund", x.number()),
        "legacyResourceId": lambda x: str(x.number()),
        "note": lambda x: x.refund.note,
        "orderAdjustments": lambda x, a, _r: page_of_list(_adjustments(x), a, ("adjustments", x.number())),
        "processedAt": lambda x: instant_text(x.refund.ts),
        "refundLineItems": lambda x, a, _r: page_of_list(
            [RefundItemView(x.view, x.refund, item) for item in x.refund.items], a, ("items", x.number())
        ),
        "refundShippingLines": lambda x, a, _r: page_of_list(
            [x] if x.refund.shipping.shop else [], a, ("shipping", x.number())
        ),
        "totalRefundedSet": lambda x: x.view.bag(x.refund.transaction),
        "transactions": lambda x, a, _r: page_of_list([_refund_transaction(x)], a, ("transactions", x.number())),
        "updatedAt": lambda x: instant_text(x.refund.ts),
    },
    "RefundLineItem": {
        "id": lambda x: gid("RefundLineItem", x.view.basket.lines[x.item.line_index].id * 10 + x.refund.number),
        "lineItem": lambda x: LineView(x.view, x.item.line_index, x.view.basket.lines[x.item.line_index]),
        "priceSet": lambda x: x.view.bag(x.item.subtotal.share(1, x.item.quantity)),
        "quantity": lambda x: x.item.quantity,
        "restockType": lambda x: x.item.restock_type,
        "restocked": lambda x: x.item.restock_type != "NO_RESTOCK",
        "subtotalSet": lambda x: x.view.bag(x.item.subtotal),
        "totalTaxSet": lambda x: x.view.bag(x.item.tax),
    },
    "RefundShippingLine": {
        "id": lambda x: gid("RefundShippingLine", x.number()),
        "shippingLine": lambda x: x.view,
        "subtotalAmountSet": lambda x: x.view.bag(x.refund.shipping),
        "taxAmountSet": lambda x: x.view.bag(ZERO),
    },
    "OrderAdjustment": {
        "amountSet": lambda x: x.view.bag(x.refund.discrepancy),
        "id": lambda x: gid("OrderAdjustment", x.number()),
        "reason": lambda _x: "REFUND_DISCREPANCY",
        "taxAmountSet": lambda x: x.view.bag(ZERO),
    },
    "OrderTransaction": {
        "amountSet": lambda t: t.view.bag(t.money),
        "createdAt": lambda t: instant_text(t.ts),
        "gateway": lambda t: "bogus" if t.view.order.is_test else "shopify_payments",
        "id": lambda t: gid("OrderTransaction", t.number),
        "kind": lambda t: t.kind,
        "processedAt": lambda t: instant_text(t.ts),
        "status": lambda t: t.status,
        "test": lambda t: t.view.order.is_test,
    },
    "ShippingLine": {
        "carrierIdentifier": lambda _v: None,
        "code": lambda _v: "standard",
        "discountedPriceSet": lambda v: v.bag(v.basket.shipping),
        "id": lambda v: gid("ShippingLine", v.order.id),
        "isRemoved": lambda _v: False,
        "originalPriceSet": lambda v: v.bag(v.basket.shipping),
        "source": lambda _v: "shopify",
        "taxLines": lambda _v: [],
        "title": lambda _v: "Standard",
    },
    "OrderAttribution": {
        "displayName": lambda v: "Online Store" if v.basket.source_name == "web" else "Point of Sale",
        "handle": lambda v: v.basket.source_name,
    },
    "CustomerJourneySummary": {
        "customerOrderIndex": lambda _v: None,
        "daysToConversion": lambda v: v.order.id % 4,
        "firstVisit": lambda v: VisitView(v, 86_400 * (v.order.id % 4) + 1_800),
        "lastVisit": lambda v: VisitView(v, 900),
        "ready": lambda _v: True,
    },
    "CustomerVisit": {
        "id": lambda x: gid("CustomerVisit", x.view.order.id * 10 + (1 if x.lead > 900 else 2)),
        "landingPage": _landing_page,
        "occurredAt": lambda x: instant_text(x.view.order.created_ts - x.lead),
        "referrerUrl": lambda _x: None,
        "source": lambda x: _SOURCE_NAMES.get(x.view.order.visit.source, x.view.order.visit.source),
        "sourceType": lambda x: "SEO" if x.view.order.visit.medium == "organic" else None,
        "utmParameters": _utm,
    },
    "UTMParameters": {
        "campaign": lambda u: u.campaign,
        "content": lambda _u: None,
        "medium": lambda u: u.medium,
        "source": lambda u: u.source,
        "term": lambda _u: None,
    },
}


def _adjustments(refund: RefundView) -> list[RefundView]:
    return [refund] if refund.refund.discrepancy.shop else []


def _total_discrepancy(view: OrderView) -> Money:
    total = ZERO
    for refund in view.state.refunds:
        total = total.plus(refund.discrepancy)
    return total


def _current_discounts(view: OrderView) -> Money:
    total = view.basket.discounts
    for index, taken in view.state.taken.items():
        line = view.basket.lines[index]
        total = total.minus(line.automatic_discount.plus(line.code_discount).share(taken, line.quantity))
    return total


def type_of(source: Any) -> str:
    """The concrete type behind an interface or union of this schema."""
    if isinstance(source, DiscountView):
        return "DiscountCodeApplication" if source.is_code else "AutomaticDiscountApplication"
    return "PricingPercentageValue"
