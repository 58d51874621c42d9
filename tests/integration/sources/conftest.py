"""A stand-in store over loopback, and clients of it whose every request is kept as it went out.

Belongs here: starting the stand-in and making clients. Does not belong here: assertions.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hotdash_pipelines.base.windows import Window, window_of
from hotdash_pipelines.contracts import Contract, load_contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR
from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from hotdash_pipelines.sources import Fetched, Held, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.held import NOTHING
from hotdash_pipelines.sources.shopify.client import ShopifyClient

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


class Wire(httpx.BaseTransport):
    """A real transport that keeps what was sent; `after` is called with each (request, response) when set."""

    def __init__(self) -> None:
        self._real = httpx.HTTPTransport()
        self.sent: list[httpx.Request] = []
        self.after: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        response = self._real.handle_request(request)
        if self.after is not None:
            self.after(request)
        return response

    def close(self) -> None:
        self._real.close()


@dataclass
class Bench:
    """The stand-in, one client a source, and the seconds that clients meant to sleep."""

    store: RunningStandIn
    wire: Wire = field(default_factory=Wire)
    naps: list[float] = field(default_factory=list)
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, source: str, **options: Any) -> Any:
        """A fresh client; `options` replace credentials and settings."""
        known = self.store.credentials
        common: dict[str, Any] = {"sleep": self.naps.append, "transport": self.wire, "timeout": 5.0}
        if source == "shopify":
            given = {"client_id": known["client_id"], "client_secret": known["client_secret"], **common, **options}
            return ShopifyClient(self.store.url, "2026-10", **given)
        if source == "chatwoot":
            token = options.pop("api_token", known["chatwoot_token"])
            return ChatwootClient(self.store.url, 1, token, **{**common, **options})
        key = options.pop("key", json.dumps(known["ga4_service_account"]))
        return Ga4Client(self.store.url, known["ga4_property_id"], key, **{**common, **options})

    def fetch(self, source: str, stream: str, key: str, client: Any = None, *, held: Held = NOTHING) -> Fetched:
        """One window by the real fetch function; `held` is what it may ask of lake and warehouse."""
        if client is None:
            client = self.clients.setdefault(source, self.client(source))
        return fetcher(source, stream)(client, contract_of(source, stream), self.window(key), held)

    @staticmethod
    def records(fetched: Fetched) -> list[Any]:
        """The main records of all pages in order, without the envelope (costs and quotas differ each time)."""
        records: list[Any] = []
        for body in fetched.pages:
            document = json.loads(body)
            data = document.get("data")
            inner = next(iter(data.values()))["nodes"] if data else document.get("payload", document.get("rows", []))
            records += inner
        return records

    def window(self, key: str) -> Window:
        return window_of(key, self.store.world.shop.zone)


def contract_of(source: str, stream: str) -> Contract:
    return load_contract(CONTRACTS_DIR / source / f"{stream}.yaml")


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(scale=0.01, now=NOW) as running:
        yield running


@pytest.fixture
def bench(store: RunningStandIn) -> Iterator[Bench]:
    store.scenarios.clear()
    store.log.clear()
    # Server errors are counted by the hour: each test has a fresh hour of Google's quota.
    store.clock.advance(timedelta(hours=1))
    yield Bench(store)
    store.scenarios.clear()
