"""The sales agreements of an order: every movement of what it is worth, each on its own day.

Belongs here: what is asked of agreements and their sales, and reading both to their ends. Does not belong here: the
other lists of an order (nested.py), what the movements add up to (dbt).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotdash_pipelines.sources.shopify.nested import PAGE_INFO, Cursors, Nested, Node, read_list, read_page

if TYPE_CHECKING:
    from hotdash_pipelines.sources.shopify.client import ShopifyClient

_SALE = """
fragment Movement on Sale {
  id actionType lineType quantity
  totalAmount { shopMoney { amount } }
  totalTaxAmount { shopMoney { amount } }
  totalDiscountAmountBeforeTaxes { shopMoney { amount } }
  ... on ProductSale { lineItem { id } }
  ... on GiftCardSale { lineItem { id } }
  ... on TipSale { lineItem { id } }
}
"""

_OF_AGREEMENT = "id happenedAt reason ... on RefundAgreement { refund { legacyResourceId } }"

# Most orders are placed and that is it. Sizes multiply the cost of every order of a page: with these an order costs
# half as much again as without agreements, by the rule that Shopify publishes; with three of ten it cost twice as much.
AGREEMENT = f"""
fragment Agreement on SalesAgreement {{
  {_OF_AGREEMENT}
  sales(first: 8) {{ nodes {{ ...Movement }} {PAGE_INFO} }}
}}
{_SALE}"""

# No agreement can be asked for by its id, so they are read one a page, each found behind the one before it.
ONE_AGREEMENT = Nested(
    owners=(),
    name="agreements",
    gid_type="Order",
    root="order",
    query=f"""
query OrderAgreement($id: ID!, $behind: String, $first: Int!, $after: String) {{
  order(id: $id) {{
    agreements(first: 1, after: $behind) {{
      nodes {{ {_OF_AGREEMENT} sales(first: $first, after: $after) {{ nodes {{ ...Movement }} {PAGE_INFO} }} }}
      {PAGE_INFO}
    }}
  }}
}}
{_SALE}""",
    operation="OrderAgreement",
)


def complete_agreements(client: ShopifyClient, order: Node) -> bool:
    """Read the order's agreements anew where the page of them, or of the sales of one, was cut; True if so.

    Raises as `nested.complete` does.
    """
    listed = order["agreements"]
    if not listed["pageInfo"]["hasNextPage"] and not any(
        agreement["sales"]["pageInfo"]["hasNextPage"] for agreement in listed["nodes"]
    ):
        return False
    gid = f"gid://shopify/Order/{order['legacyResourceId']}"
    cursors = Cursors(ONE_AGREEMENT.operation)
    agreements: list[Node] = []
    behind: str | None = None
    while True:
        page = read_page(client, ONE_AGREEMENT, gid, {"behind": behind, "after": None})["agreements"]
        for agreement in page["nodes"]:
            read_list(
                client,
                ONE_AGREEMENT,
                gid,
                agreement["sales"],
                lambda record: record["agreements"]["nodes"][0]["sales"],
                {"behind": behind},
            )
            agreements.append(agreement)
        behind = cursors.next(page["pageInfo"])
        if behind is None:
            break
    order["agreements"] = {"nodes": agreements, "pageInfo": page["pageInfo"]}
    return True
