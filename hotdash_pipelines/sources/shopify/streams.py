"""The streams of Shopify: what is asked for, field by field as contracts/shopify/ names it.

Belongs here: GraphQL queries and which nested lists they hold. Does not belong here: paging (paging.py).
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.held import Held
from hotdash_pipelines.sources.registry import Fetched, Pages, fetches
from hotdash_pipelines.sources.shopify.agreements import AGREEMENT, complete_agreements
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.deletions import with_deletions
from hotdash_pipelines.sources.shopify.nested import PAGE_INFO, Nested
from hotdash_pipelines.sources.shopify.paging import Connection, read_connection
from hotdash_pipelines.sources.shopify.scopes import instant_of
from hotdash_pipelines.sources.shopify.sweeps import IdSweep, with_missing

_LINE = """
fragment Line on LineItem {
  id sku title variantTitle vendor isGiftCard requiresShipping taxable quantity currentQuantity
  product { legacyResourceId }
  variant { legacyResourceId }
  originalUnitPriceSet { shopMoney { amount } }
  originalTotalSet { shopMoney { amount currencyCode } }
  discountAllocations { allocatedAmountSet { shopMoney { amount } } }
  taxLines { priceSet { shopMoney { amount } } }
}
"""

_REFUND_LINE = """
fragment RefundLine on RefundLineItem {
  id quantity restockType
  lineItem { id }
  subtotalSet { shopMoney { amount } }
  totalTaxSet { shopMoney { amount } }
}
"""

_SHIPPING_BACK = """
fragment ShippingBack on RefundShippingLine {
  subtotalAmountSet { shopMoney { amount } }
  taxAmountSet { shopMoney { amount } }
}
"""

_CASH_BACK = """
fragment CashBack on OrderTransaction {
  kind status
  amountRoundingSet { shopMoney { amount } }
}
"""

_ADJUSTMENT = """
fragment Adjustment on OrderAdjustment {
  id reason
  amountSet { shopMoney { amount } }
  taxAmountSet { shopMoney { amount } }
}
"""


# Small nested pages: almost every order fits, and their size multiplies the cost of every record of the page.
ORDERS = f"""
query Orders($first: Int!, $after: String, $query: String) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      legacyResourceId name createdAt processedAt updatedAt cancelledAt cancelReason closedAt test
      displayFinancialStatus displayFulfillmentStatus currencyCode presentmentCurrencyCode taxesIncluded
      subtotalLineItemsQuantity email sourceName tags discountCodes
      subtotalPriceSet {{ shopMoney {{ amount }} }}
      totalDiscountsSet {{ shopMoney {{ amount }} }}
      totalTaxSet {{ shopMoney {{ amount }} }}
      totalShippingPriceSet {{ shopMoney {{ amount }} }}
      totalPriceSet {{ shopMoney {{ amount }} presentmentMoney {{ amount }} }}
      totalTipReceivedSet {{ shopMoney {{ amount }} }}
      originalTotalDutiesSet {{ shopMoney {{ amount }} }}
      originalTotalAdditionalFeesSet {{ shopMoney {{ amount }} }}
      totalCashRoundingAdjustment {{
        paymentSet {{ shopMoney {{ amount }} }} refundSet {{ shopMoney {{ amount }} }}
      }}
      totalRefundedSet {{ shopMoney {{ amount }} }}
      currentTotalPriceSet {{ shopMoney {{ amount }} }}
      currentShippingPriceSet {{ shopMoney {{ amount }} }}
      customer {{ legacyResourceId }}
      shippingAddress {{ city provinceCode countryCodeV2 }}
      customerJourneySummary {{
        customerOrderIndex lastVisit {{ landingPage utmParameters {{ source medium campaign }} }}
      }}
      lineItems(first: 10) {{ nodes {{ ...Line }} {PAGE_INFO} }}
      refunds {{
        legacyResourceId createdAt updatedAt
        totalRefundedSet {{ shopMoney {{ amount currencyCode }} }}
        refundLineItems(first: 10) {{ nodes {{ ...RefundLine }} {PAGE_INFO} }}
        refundShippingLines(first: 5) {{ nodes {{ ...ShippingBack }} {PAGE_INFO} }}
        duties {{ amountSet {{ shopMoney {{ amount }} }} }}
        orderAdjustments(first: 5) {{ nodes {{ ...Adjustment }} {PAGE_INFO} }}
        transactions(first: 5) {{ nodes {{ ...CashBack }} {PAGE_INFO} }}
      }}
      agreements(first: 2) {{ nodes {{ ...Agreement }} {PAGE_INFO} }}
    }}
    {PAGE_INFO}
  }}
}}
{_LINE}{_REFUND_LINE}{_SHIPPING_BACK}{_ADJUSTMENT}{_CASH_BACK}{AGREEMENT}
"""

ORDER_LINES = f"""
query OrderLines($id: ID!, $first: Int!, $after: String) {{
  order(id: $id) {{ lineItems(first: $first, after: $after) {{ nodes {{ ...Line }} {PAGE_INFO} }} }}
}}
{_LINE}
"""

REFUND_LINES = f"""
query RefundLines($id: ID!, $first: Int!, $after: String) {{
  refund(id: $id) {{ refundLineItems(first: $first, after: $after) {{ nodes {{ ...RefundLine }} {PAGE_INFO} }} }}
}}
{_REFUND_LINE}
"""

REFUND_SHIPPING = f"""
query RefundShipping($id: ID!, $first: Int!, $after: String) {{
  refund(id: $id) {{ refundShippingLines(first: $first, after: $after) {{ nodes {{ ...ShippingBack }} {PAGE_INFO} }} }}
}}
{_SHIPPING_BACK}
"""

REFUND_ADJUSTMENTS = f"""
query RefundAdjustments($id: ID!, $first: Int!, $after: String) {{
  refund(id: $id) {{ orderAdjustments(first: $first, after: $after) {{ nodes {{ ...Adjustment }} {PAGE_INFO} }} }}
}}
{_ADJUSTMENT}
"""

REFUND_TRANSACTIONS = f"""
query RefundTransactions($id: ID!, $first: Int!, $after: String) {{
  refund(id: $id) {{ transactions(first: $first, after: $after) {{ nodes {{ ...CashBack }} {PAGE_INFO} }} }}
}}
{_CASH_BACK}
"""

CUSTOMERS = f"""
query Customers($first: Int!, $after: String, $query: String) {{
  customers(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      legacyResourceId createdAt updatedAt firstName lastName state tags numberOfOrders
      defaultEmailAddress {{ emailAddress marketingState }}
      defaultPhoneNumber {{ phoneNumber }}
      amountSpent {{ amount currencyCode }}
      defaultAddress {{ city provinceCode countryCodeV2 }}
    }}
    {PAGE_INFO}
  }}
}}
"""

_VARIANT = """
fragment Variant on ProductVariant {
  legacyResourceId title sku barcode price compareAtPrice inventoryQuantity createdAt updatedAt
  inventoryItem { unitCost { amount } }
}
"""

PRODUCTS = f"""
query Products($first: Int!, $after: String, $query: String) {{
  products(first: $first, after: $after, query: $query, sortKey: ID) {{
    nodes {{
      legacyResourceId title handle productType vendor status tags createdAt updatedAt
      variants(first: 25) {{ nodes {{ ...Variant }} {PAGE_INFO} }}
    }}
    {PAGE_INFO}
  }}
}}
{_VARIANT}
"""

PRODUCT_VARIANTS = f"""
query ProductVariants($id: ID!, $first: Int!, $after: String) {{
  product(id: $id) {{ variants(first: $first, after: $after) {{ nodes {{ ...Variant }} {PAGE_INFO} }} }}
}}
{_VARIANT}
"""


def _count_query(operation: str, root: str) -> str:
    """`limit: null` counts on: a limited count answers AT_LEAST and is worth nothing here."""
    return f"query {operation}($query: String) {{ {root}(query: $query, limit: null) {{ count precision }} }}"


def ids_query(operation: str, root: str, sort_key: str) -> str:
    """The ids of a listing alone, 250 a page: the cheapest way to see what there is."""
    return f"""
query {operation}($first: Int!, $after: String, $query: String) {{
  {root}(first: $first, after: $after, query: $query, sortKey: {sort_key}) {{
    nodes {{ legacyResourceId }}
    {PAGE_INFO}
  }}
}}
"""


def sum_line_parts(order: dict[str, Any]) -> bool:
    """Add `lineTotals {discountAmount, taxAmount}` to every line: the API gives both only as lists of parts.

    `LineItem.totalDiscountSet` leaves order-wide discounts out and there is no total of `taxLines`. Every refund gets
    `charges {shippingAmount, shippingTaxAmount, dutyAmount, roundingAmount}` likewise. True: it changed.
    """
    for line in order["lineItems"]["nodes"]:
        line["lineTotals"] = {
            "discountAmount": _sum(line["discountAllocations"], "allocatedAmountSet"),
            "taxAmount": _sum(line["taxLines"], "priceSet"),
        }
    for refund in order["refunds"]:
        shipping = refund["refundShippingLines"]["nodes"]
        refund["charges"] = {
            "shippingAmount": _sum(shipping, "subtotalAmountSet"),
            "shippingTaxAmount": _sum(shipping, "taxAmountSet"),
            "dutyAmount": _sum(refund["duties"] or [], "amountSet"),
            "roundingAmount": _sum(
                [
                    transaction
                    for transaction in refund["transactions"]["nodes"]
                    if transaction["amountRoundingSet"]
                    and (transaction["kind"], transaction["status"]) == ("REFUND", "SUCCESS")
                ],
                "amountRoundingSet",
            ),
        }
    return True


def _sum(parts: list[dict[str, Any]], money: str) -> str:
    if not parts:
        return "0"
    return str(sum((Decimal(part[money]["shopMoney"]["amount"]) for part in parts), Decimal(0)))


ORDERS_CONNECTION = Connection(
    root="orders",
    query=ORDERS,
    operation="Orders",
    ids_query=ids_query("OrderIds", "orders", "UPDATED_AT"),
    ids_operation="OrderIds",
    count_root="ordersCount",
    count_query=_count_query("OrdersCount", "ordersCount"),
    count_operation="OrdersCount",
    nested=(
        Nested((), "lineItems", "Order", "order", ORDER_LINES, "OrderLines"),
        Nested(("refunds",), "refundLineItems", "Refund", "refund", REFUND_LINES, "RefundLines"),
        Nested(("refunds",), "refundShippingLines", "Refund", "refund", REFUND_SHIPPING, "RefundShipping"),
        Nested(("refunds",), "orderAdjustments", "Refund", "refund", REFUND_ADJUSTMENTS, "RefundAdjustments"),
        Nested(("refunds",), "transactions", "Refund", "refund", REFUND_TRANSACTIONS, "RefundTransactions"),
    ),
    read_more=complete_agreements,
    finish=sum_line_parts,
)
CUSTOMERS_CONNECTION = Connection(
    root="customers",
    query=CUSTOMERS,
    operation="Customers",
    ids_query=ids_query("CustomerIds", "customers", "UPDATED_AT"),
    ids_operation="CustomerIds",
    count_root="customersCount",
    count_query=_count_query("CustomersCount", "customersCount"),
    count_operation="CustomersCount",
)
PRODUCTS_CONNECTION = Connection(
    root="products",
    query=PRODUCTS,
    operation="Products",
    ids_query=ids_query("ProductIds", "products", "ID"),
    ids_operation="ProductIds",
    count_root="productsCount",
    count_query=_count_query("ProductsCount", "productsCount"),
    count_operation="ProductsCount",
    nested=(Nested((), "variants", "Product", "product", PRODUCT_VARIANTS, "ProductVariants"),),
)


def _ids_alone(connection: Connection, operation: str) -> Connection:
    """The same records, their ids alone, in the order of the ids."""
    query = ids_query(operation, connection.root, "ID")
    return replace(
        connection,
        query=query,
        operation=operation,
        ids_query=query,
        ids_operation=operation,
        nested=(),
        read_more=None,
        finish=None,
    )


ORDER_SWEEP = IdSweep(_ids_alone(ORDERS_CONNECTION, "OrderIdSweep"), "created_at", "Order", status="status:any ")
CUSTOMER_SWEEP = IdSweep(_ids_alone(CUSTOMERS_CONNECTION, "CustomerIdSweep"), "customer_date", "Customer")


# What Shopify gives only to apps approved for names, e-mail addresses, phone numbers and addresses of customers.
PERSONAL_FIELDS = {
    "orders": ("email ", "shippingAddress { city provinceCode countryCodeV2 }"),
    "customers": (
        "firstName lastName ",
        "defaultEmailAddress { emailAddress marketingState }",
        "defaultPhoneNumber { phoneNumber }",
        "defaultAddress { city provinceCode countryCodeV2 }",
    ),
}


def as_allowed(client: ShopifyClient, connection: Connection) -> Connection:
    """The connection as it is; where the client leaves personal fields out, without them."""
    if client.personal_fields:
        return connection
    query = connection.query
    for field in PERSONAL_FIELDS.get(connection.root, ()):
        query = query.replace(field, "")
    return replace(connection, query=query)


# Without a status Shopify documents `active` as what is listed.
EVERY_PRODUCT = "status:active,archived,draft,unlisted"


def updated_within(window: Window) -> str:
    """The search for records last changed in `[start, end)`."""
    return f"updated_at:>='{instant_of(window.start)}' updated_at:<'{instant_of(window.end)}'"


@fetches("shopify", "orders")
def fetch_orders(client: ShopifyClient, contract: Contract, window: Window, held: Held, pages: Pages) -> Fetched:
    """Orders last changed in the window, with all their lines and refunds, and the orders deleted in it.

    With an open window go held orders that the shop lost without a word.
    """
    connection = as_allowed(client, ORDERS_CONNECTION)
    orders = read_connection(
        client, connection, f"status:any {updated_within(window)}", pages=pages, may_grow=window.is_open
    )
    told = with_deletions(client, orders, "ORDER", window)
    return with_missing(client, told, ORDER_SWEEP, window, contract.stream, held)


@fetches("shopify", "customers")
def fetch_customers(client: ShopifyClient, contract: Contract, window: Window, held: Held, pages: Pages) -> Fetched:
    """Customers last changed in the window, and those deleted in it.

    With an open window go held customers that were merged into others, or lost without a word.
    """
    connection = as_allowed(client, CUSTOMERS_CONNECTION)
    customers = read_connection(client, connection, updated_within(window), pages=pages, may_grow=window.is_open)
    told = with_deletions(client, customers, "CUSTOMER", window)
    return with_missing(client, told, CUSTOMER_SWEEP, window, contract.stream, held)


@fetches("shopify", "products")
def fetch_products(client: ShopifyClient, _contract: Contract, _window: Window, pages: Pages) -> Fetched:
    """All products with all their variants, as they stand now; the window only names the day."""
    return read_connection(client, PRODUCTS_CONNECTION, EVERY_PRODUCT, pages)
