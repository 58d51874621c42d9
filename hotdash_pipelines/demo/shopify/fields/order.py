"""The fields of orders, their shipping and the visits before them.

Belongs here: reading one value off the world's order. Does not belong here: which orders are listed, or how the money
came about (`world.shop_orders`, `world.shop_timeline` state the identities).
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify.fields.catalog import CustomerView, address_of
from hotdash_pipelines.demo.shopify.fields.line import applications_of
from hotdash_pipelines.demo.shopify.fields.refund import transactions_of
from hotdash_pipelines.demo.shopify.fields.sale import agreements_page
from hotdash_pipelines.demo.shopify.paging import page_of_list
from hotdash_pipelines.demo.shopify.values import gid, instant_text
from hotdash_pipelines.demo.shopify.views import OrderView, VisitView, first_of, taxes_of
from hotdash_pipelines.demo.world.shop_orders import ZERO, Line, Money

_SOURCE_NAMES = {"google": "Google", "bing": "Bing", "(direct)": "direct", "newsletter": "email", "klaviyo": "email"}


def _counts(line: Line) -> bool:
    return not (line.is_gift_card or line.is_tip)


def _kept_quantity(view: OrderView) -> int:
    return sum(
        line.quantity - view.state.taken.get(index, 0) for index, line in enumerate(view.basket.lines) if _counts(line)
    )


def _customer(view: OrderView) -> CustomerView | None:
    number = None if view.order.customer_id is None else view.shop.removals.heir_of(view.order.customer_id, view.now)
    customer = None if number is None else view.shop.customer(number)
    return None if customer is None else CustomerView(view.shop, customer, view.now)


def _address(view: OrderView) -> Any:
    customer = view.order.customer
    return None if customer is None or view.basket.source_name == "pos" else address_of(customer, view.order.id)


def _journey(view: OrderView) -> OrderView | None:
    return view if view.basket.source_name == "web" else None


def _outstanding(view: OrderView) -> Money:
    state = view.state
    return ZERO if state.cancelled_ts or state.refunds else state.total.minus(state.received)


def _fees(view: OrderView) -> list[OrderView]:
    return [view] if view.basket.fees.shop else []


def _landing_page(visit: VisitView) -> str:
    seen = visit.view.order.visit
    query = (
        ""
        if seen.medium in ("(none)", "organic", "referral")
        else f"?utm_source={seen.source}&utm_medium={seen.medium}"
    )
    query += f"&utm_campaign={seen.campaign}" if query and seen.campaign else ""
    if visit.view.shop.is_rough("long_landing_pages", visit.view.order.id):
        # What advertising networks hang on to the addresses they send people to.
        query += f"{'&' if query else '?'}fbclid={str(visit.view.order.id) * 80}"
    return f"https://hotdash-demo.example.com{seen.landing_page}{query}"


def _utm(visit: VisitView) -> Any:
    seen = visit.view.order.visit
    return None if seen.medium in ("(none)", "organic", "referral") else seen


def _total_discrepancy(view: OrderView) -> Money:
    total = ZERO
    for refund in view.state.refunds:
        total = total.plus(refund.discrepancy)
    return total


def _current_discounts(view: OrderView) -> Money:
    total = view.basket.discounts
    for index, taken in view.state.taken.items():
        line = view.basket.lines[index]
        total = total.minus(line.discount.share(taken, line.quantity))
    return total


RESOLVERS: dict[str, dict[str, Any]] = {
    "Order": {
        "additionalFees": _fees,
        "agreements": agreements_page,
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
        "currentTotalAdditionalFeesSet": lambda v: v.bag(v.state.fees) if v.basket.fees.shop else None,
        "currentTotalDiscountsSet": lambda v: v.bag(_current_discounts(v)),
        "currentTotalDutiesSet": lambda v: v.bag(v.state.duties) if v.basket.duties.shop else None,
        "currentTotalPriceSet": lambda v: v.bag(v.state.total),
        "currentTotalTaxSet": lambda v: v.bag(v.state.tax),
        "customer": _customer,
        "customerJourneySummary": _journey,
        "customerLocale": lambda v: v.order.customer.locale if v.order.customer else None,
        "discountApplications": lambda v, a, _r: page_of_list(applications_of(v), a, ("discounts", v.order.id)),
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
        "originalTotalAdditionalFeesSet": lambda v: v.bag(v.basket.fees) if v.basket.fees.shop else None,
        "originalTotalDutiesSet": lambda v: v.bag(v.basket.duties) if v.basket.duties.shop else None,
        "originalTotalPriceSet": lambda v: v.bag(v.order.basket.total),
        "paymentGatewayNames": lambda v: ["bogus" if v.order.is_test else "shopify_payments"],
        "phone": lambda v: v.order.customer.phone if v.order.customer else None,
        "presentmentCurrencyCode": lambda v: v.currency,
        "processedAt": lambda v: instant_text(v.order.processed_ts),
        "refundDiscrepancySet": lambda v: v.bag(_total_discrepancy(v)),
        "refunds": lambda v, a, _r: first_of(v.refunds(), a),
        "requiresShipping": lambda v: any(line.requires_shipping for line in v.basket.lines),
        "shippingAddress": _address,
        "shippingLine": lambda v: v if v.basket.shipping.shop else None,
        "shippingLines": lambda v, a, _r: page_of_list([v] if v.basket.shipping.shop else [], a, ("ship", v.order.id)),
        "sourceName": lambda v: v.basket.source_name,
        "subtotalLineItemsQuantity": lambda v: sum(line.quantity for line in v.basket.lines if _counts(line)),
        "subtotalPriceSet": lambda v: v.bag(v.basket.subtotal),
        "tags": lambda v: sorted(set(v.state.tags)),
        "taxLines": lambda v: taxes_of(v, v.basket.tax),
        "taxesIncluded": lambda v: v.basket.taxes_included,
        "test": lambda v: v.order.is_test,
        "totalCashRoundingAdjustment": lambda v: v,
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
        "totalTipReceivedSet": lambda v: v.bag(v.basket.tip),
        "transactions": lambda v, a, _r: first_of(transactions_of(v), a),
        "unpaid": lambda v: not v.state.received.shop,
        "updatedAt": lambda v: instant_text(v.order.updated_ts(v.now)),
    },
    "ShippingLine": {
        "carrierIdentifier": lambda _v: None,
        "code": lambda _v: "standard",
        "discountedPriceSet": lambda v: v.bag(v.basket.shipping),
        "id": lambda v: gid("ShippingLine", v.order.id),
        "isRemoved": lambda _v: False,
        "originalPriceSet": lambda v: v.bag(v.basket.shipping),
        "source": lambda _v: "shopify",
        "taxLines": lambda v: taxes_of(v, v.basket.shipping_tax),
        "title": lambda _v: "Standard",
    },
    "AdditionalFee": {
        "id": lambda v: gid("AdditionalFee", v.order.id),
        "name": lambda _v: "Handling",
        "price": lambda v: v.bag(v.basket.fees),
        "taxLines": lambda _v: [],
    },
    "CashRoundingAdjustment": {
        "paymentSet": lambda v: v.bag(v.basket.rounding),
        "refundSet": lambda v: v.bag(v.state.refund_rounding),
    },
    "OrderAttribution": {
        "displayName": lambda v: "Online Store" if v.basket.source_name == "web" else "Point of Sale",
        "handle": lambda v: v.basket.source_name,
    },
    "CustomerJourneySummary": {
        "customerOrderIndex": lambda v: v.shop.customer_order_number(v.order),
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
