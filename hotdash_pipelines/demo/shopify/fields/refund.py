"""The fields of refunds and of payments.

Belongs here: reading one value off a refund or a transaction. Does not belong here: how a refund came about.
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify.paging import page_of_list
from hotdash_pipelines.demo.shopify.values import gid, instant_text
from hotdash_pipelines.demo.shopify.views import (
    REFUND_ID_FACTOR,
    LineView,
    OrderView,
    RefundItemView,
    RefundView,
    TransactionView,
)
from hotdash_pipelines.demo.world.shop_orders import ZERO, Money


def transactions_of(view: OrderView) -> list[TransactionView]:
    """Every payment and refund so far, oldest first."""
    order, transactions = view.order, []
    base = order.id * REFUND_ID_FACTOR
    first = order.events[0].payload
    if first == "PAID":
        transactions.append(_payment(view, "SALE", order.created_ts, order.basket.total, base))
    elif first == "AUTHORIZED":
        transactions.append(TransactionView(view, "AUTHORIZATION", order.created_ts, order.basket.total, base))
    for event in order.events:
        if event.ts <= view.now and event.kind == "pay" and isinstance(event.payload, Money):
            kind = "CAPTURE" if first == "AUTHORIZED" else "SALE"
            transactions.append(_payment(view, kind, event.ts, event.payload, base + 9))
    return transactions + [_refund_transaction(RefundView(view, refund)) for refund in view.state.refunds]


def _payment(view: OrderView, kind: str, ts: int, money: Money, number: int) -> TransactionView:
    # What is rounded is paid at the till, where an order is paid at once or all later: it has one payment.
    return TransactionView(view, kind, ts, money, number, view.basket.rounding)


def _refund_transaction(refund: RefundView) -> TransactionView:
    given = refund.refund
    return TransactionView(refund.view, "REFUND", given.ts, given.transaction, refund.number(), given.rounding)


def _adjustments(refund: RefundView) -> list[RefundView]:
    return [refund] if refund.refund.discrepancy.shop else []


RESOLVERS: dict[str, dict[str, Any]] = {
    "Refund": {
        "createdAt": lambda x: instant_text(x.refund.ts),
        "duties": lambda x: [x] if x.refund.duties.shop else None,
        "id": lambda x: gid("Refund", x.number()),
        "legacyResourceId": lambda x: str(x.number()),
        "note": lambda x: x.refund.note,
        "orderAdjustments": lambda x, a, _r: page_of_list(_adjustments(x), a, ("adjustments", x.number())),
        "processedAt": lambda x: instant_text(x.refund.ts),
        "refundLineItems": lambda x, a, _r: page_of_list(
            [RefundItemView(x.view, x.refund, item, n) for n, item in enumerate(x.refund.items)],
            a,
            ("items", x.number()),
        ),
        "refundShippingLines": lambda x, a, _r: page_of_list(
            [x] if x.refund.shipping.shop else [], a, ("shipping", x.number())
        ),
        "totalRefundedSet": lambda x: x.view.bag(x.refund.transaction),
        "transactions": lambda x, a, _r: page_of_list([_refund_transaction(x)], a, ("transactions", x.number())),
        "updatedAt": lambda x: instant_text(x.refund.ts),
    },
    "RefundLineItem": {
        "id": lambda x: gid("RefundLineItem", RefundView(x.view, x.refund).number() * 1_000 + x.position),
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
        "taxAmountSet": lambda x: x.view.bag(x.refund.shipping_tax),
    },
    "RefundDuty": {"amountSet": lambda x: x.view.bag(x.refund.duties)},
    "OrderAdjustment": {
        "amountSet": lambda x: x.view.bag(x.refund.discrepancy),
        "id": lambda x: gid("OrderAdjustment", x.number()),
        "reason": lambda _x: "REFUND_DISCREPANCY",
        "taxAmountSet": lambda x: x.view.bag(ZERO),
    },
    "OrderTransaction": {
        "amountRoundingSet": lambda t: None if t.rounding == ZERO else t.view.bag(t.rounding),
        "amountSet": lambda t: t.view.bag(t.money),
        "createdAt": lambda t: instant_text(t.ts),
        "gateway": lambda t: "bogus" if t.view.order.is_test else "shopify_payments",
        "id": lambda t: gid("OrderTransaction", t.number),
        "kind": lambda t: t.kind,
        "processedAt": lambda t: instant_text(t.ts),
        "status": lambda t: t.status,
        "test": lambda t: t.view.order.is_test,
    },
}
