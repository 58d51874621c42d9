"""The fields of sales agreements and of their sales.

Belongs here: reading one value off an agreement or a sale. Does not belong here: making either (`agreements`).
"""

from __future__ import annotations

from typing import Any

from hotdash_pipelines.demo.shopify.agreements import AgreementView, SaleView, agreements_of
from hotdash_pipelines.demo.shopify.execute import QueryFault
from hotdash_pipelines.demo.shopify.paging import Page, page_of_list
from hotdash_pipelines.demo.shopify.values import gid, instant_text
from hotdash_pipelines.demo.shopify.views import LineView, OrderView


def agreements_page(view: OrderView, arguments: dict[str, Any], _request: Any) -> Page:
    """One page of an order's agreements, oldest first."""
    if arguments.get("query"):
        raise QueryFault("the stand-in does not search agreements: leave out query", code="BAD_REQUEST")
    return page_of_list(agreements_of(view), arguments, ("agreements", view.order.id))


def _line_item(sale: SaleView) -> LineView | None:
    index = sale.line_index
    return None if index is None else LineView(sale.view, index, sale.view.basket.lines[index])


_AGREEMENT = {
    "happenedAt": lambda x: instant_text(x.ts),
    "id": lambda x: gid(x.type_name(), x.number),
    "reason": lambda x: x.reason,
    "sales": lambda x, a, _r: page_of_list(x.sales, a, ("sales", x.number)),
}
_SALE = {
    "actionType": lambda x: x.action,
    "id": lambda x: gid(x.type_name(), x.number),
    "lineType": lambda x: x.line_type,
    "quantity": lambda x: x.quantity,
    "totalAmount": lambda x: x.view.bag(x.amount),
    "totalDiscountAmountAfterTaxes": lambda x: x.view.bag(x.discount.after_taxes),
    "totalDiscountAmountBeforeTaxes": lambda x: x.view.bag(x.discount.before_taxes),
    "totalTaxAmount": lambda x: x.view.bag(x.tax),
}
_SALE_OF_LINE = {**_SALE, "lineItem": _line_item}

RESOLVERS: dict[str, dict[str, Any]] = {
    "OrderAgreement": _AGREEMENT,
    "OrderEditAgreement": _AGREEMENT,
    "ReturnAgreement": _AGREEMENT,
    "RefundAgreement": {**_AGREEMENT, "refund": lambda x: x.refund},
    "AdditionalFeeSale": _SALE,
    "AdjustmentSale": _SALE,
    "DutySale": _SALE,
    "FeeSale": _SALE,
    "GiftCardSale": _SALE_OF_LINE,
    "ProductSale": _SALE_OF_LINE,
    # As at Shopify, what is returned does not name the line of shipping.
    "ShippingLineSale": {**_SALE, "shippingLine": lambda x: None if x.action == "RETURN" else x.view},
    "TipSale": _SALE_OF_LINE,
    "UnknownSale": _SALE,
}


def type_of(source: Any) -> str | None:
    """The concrete type behind an interface of sales, None for a source of another."""
    return source.type_name() if isinstance(source, AgreementView | SaleView) else None
