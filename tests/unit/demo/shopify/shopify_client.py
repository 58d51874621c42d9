"""What the Shopify tests share: a store in this process, and a client that speaks to it as the pipeline would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.testclient import TestClient

from hotdash_pipelines.demo.app import create_app
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import USUAL, Roughness

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
CREDENTIALS = {
    "client_id": "the-client",
    "client_secret": "the-secret",
    "static_token": "shpat_static",
    "chatwoot_token": "a-token",
    "chatwoot_account_id": 1,
    "ga4_property_id": "424242",
    "slack_webhook_url": "http://127.0.0.1/slack/services/T000/B000/x",
}
GRAPHQL = "/admin/api/2026-10/graphql.json"
ORDERS = """query orders($query: String, $after: String, $first: Int!, $sort: OrderSortKeys = UPDATED_AT) {
  orders(first: $first, after: $after, query: $query, sortKey: $sort) {
    pageInfo { hasNextPage endCursor }
    nodes { id name createdAt updatedAt processedAt displayFinancialStatus displayFulfillmentStatus tags }
  }
}"""


class Store:
    """A store and its client. `world` is the live world behind it."""

    def __init__(self, scale: float = 0.01, seed: int = 7, now: datetime = NOW, rough: str = USUAL) -> None:
        self.app = create_app(seed, scale, VirtualClock(now), dict(CREDENTIALS), Roughness.read(rough))
        self.world = self.app.state.world
        self.http = TestClient(self.app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
        self.headers = {"X-Shopify-Access-Token": "shpat_static"}

    def post(self, query: str, variables: dict[str, Any] | None = None, path: str = GRAPHQL) -> Any:
        """The HTTP response to one GraphQL request."""
        return self.http.post(path, json={"query": query, "variables": variables or {}}, headers=self.headers)

    def data(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        """The data of a request that must succeed."""
        answer = self.post(query, variables).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def all_orders(self, query: str, first: int = 50, sort: str = "UPDATED_AT") -> list[dict[str, Any]]:
        """Every order of a search, page by page."""
        orders: list[dict[str, Any]] = []
        after = None
        while True:
            variables = {"query": query, "first": first, "after": after, "sort": sort}
            page = self.data(ORDERS, variables)["orders"]
            orders += page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return orders
            after = page["pageInfo"]["endCursor"]

    def control(self, path: str, body: dict[str, Any]) -> Any:
        """The response of the control plane to a POST."""
        return self.http.post(f"/_control/{path}", json=body)


def day_window(day: str, next_day: str) -> str:
    """The search for what changed on a business day of the demo store, in winter time."""
    return f"updated_at:>='{day}T05:00:00Z' updated_at:<'{next_day}T05:00:00Z'"
