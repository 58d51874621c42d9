"""How many orders and customers Shopify has of each business day.

Belongs here: count queries by day, many days a request. Does not belong here: the counts of a window (paging.py).
"""

from collections.abc import Mapping, Sequence

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.registry import counts
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.scopes import HORIZON, instant_of, order_horizon

DAYS_A_REQUEST = 25


@counts("shopify", "orders")
def count_orders(client: ShopifyClient, _contract: Contract, windows: Sequence[Window]) -> Mapping[str, int | None]:
    """Orders processed on each day, whatever became of them since; test orders too.

    None for a day that begins before what the app is shown: there Shopify counts as few orders as it sends.
    """
    now, shown_from = client.now(), None
    if any(window.start < now - HORIZON for window in windows):
        shown_from = order_horizon(client, now)
    shown = [window for window in windows if shown_from is None or window.start >= shown_from]
    hidden: dict[str, int | None] = {window.key: None for window in windows}
    return hidden | _count_days(client, "ordersCount", "processed_at", shown, status="status:any ")


@counts("shopify", "customers")
def count_customers(client: ShopifyClient, _contract: Contract, windows: Sequence[Window]) -> Mapping[str, int | None]:
    """Customers created on each day; the search calls the instant `customer_date`."""
    return _count_days(client, "customersCount", "customer_date", windows)


def count_query(operation: str, root: str, days: int) -> str:
    """One query that counts `days` searches. `limit: null` counts on: a limited count is a lower bound."""
    variables = ", ".join(f"$day{number}: String" for number in range(days))
    fields = " ".join(
        f"day{number}: {root}(query: $day{number}, limit: null) {{ count precision }}" for number in range(days)
    )
    return f"query {operation}({variables}) {{ {fields} }}"


def _count_days(
    client: ShopifyClient, root: str, field: str, windows: Sequence[Window], *, status: str = ""
) -> dict[str, int | None]:
    operation = f"{root[0].upper()}{root[1:]}ByDay"
    counted: dict[str, int | None] = {}
    for start in range(0, len(windows), DAYS_A_REQUEST):
        batch = windows[start : start + DAYS_A_REQUEST]
        searches = {
            f"day{number}": f"{status}{field}:>='{instant_of(window.start)}' {field}:<'{instant_of(window.end)}'"
            for number, window in enumerate(batch)
        }
        data = client.graphql(count_query(operation, root, len(batch)), searches, operation).data
        for number, window in enumerate(batch):
            answer = data.get(f"day{number}") or {}
            counted[window.key] = answer.get("count") if answer.get("precision") == "EXACT" else None
    return counted
