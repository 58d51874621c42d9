"""The Shopify Admin GraphQL client: signing in, the cost bucket, GraphQL's own errors.

Belongs here: tokens, THROTTLED, MAX_COST_EXCEEDED, the API version. Does not belong here: paging (paging.py),
what is asked for (streams.py).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from hotdash_pipelines.sources.errors import (
    PermanentSourceError,
    QueryTooCostly,
    QuotaExhausted,
    SourceError,
    TransientSourceError,
    in_one_line,
)
from hotdash_pipelines.sources.http import HttpReader, Patience, seconds_of, utc_now
from hotdash_pipelines.sources.shopify.answers import (
    NO_CODE,
    Cost,
    codes_of,
    cost_of,
    denial,
    is_graphqls,
    is_refused,
)
from hotdash_pipelines.sources.shopify.page_size import PageSize

# Shopify answers for a version for a year; warn while there is time to move.
_SUPPORTED_MONTHS = 12
_WARN_DAYS = 90
_REFRESH_BEFORE = timedelta(minutes=10)
_THROTTLE_PATIENCE_S = 600.0
_INTERNAL_ATTEMPTS = 4

_HINTS = {
    401: "the token is refused; check HOTDASH_SHOPIFY_ACCESS_TOKEN, or client id and secret",
    402: "the shop is frozen until its bill is paid",
    403: "the app lacks an access scope, or the shop bars it; check the app's scopes and install it again",
    404: "no such shop or API version; check HOTDASH_SHOPIFY_SHOP and HOTDASH_SHOPIFY_API_VERSION",
    423: "the shop is locked; its owner must ask Shopify's support",
}


@dataclass(frozen=True)
class GraphqlPage:
    """One successful answer: the raw `body`, its parsed `data`, the points asked for, the bucket's size."""

    body: bytes
    document: dict[str, Any]
    requested_cost: float | None
    bucket: float | None

    @property
    def data(self) -> dict[str, Any]:
        """What stands under `data`."""
        return self.document["data"]


class ShopifyClient:
    """The Admin API of one shop, by client credentials (token minted and refreshed here) or by a static token.

    `cost` adds up the actual points of every query, `requests` the HTTP requests, `served_version` is the version that
    Shopify said it answered with. Without `personal_fields` nothing is asked for that Shopify gives only to apps
    approved for customers' names and addresses. Every held record is looked for by its id within `id_sweep_days`
    nights, never where that is 0. Not for use from several threads.
    """

    def __init__(
        self,
        base_url: str,
        api_version: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        access_token: str | None = None,
        *,
        personal_fields: bool = True,
        id_sweep_days: int = 7,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
        timeout: float = 30.0,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        seed: int = 0,
    ) -> None:
        if not access_token and not (client_id and client_secret):
            raise PermanentSourceError(
                "shopify: no credentials; set HOTDASH_SHOPIFY_CLIENT_ID and HOTDASH_SHOPIFY_CLIENT_SECRET"
            )
        self._http = HttpReader(
            "shopify",
            base_url,
            hints=_HINTS,
            patience=patience,
            sleep=sleep,
            clock=clock,
            timeout=timeout,
            transport=transport,
            seed=seed,
        )
        self.api_version = api_version
        self.personal_fields = personal_fields
        self.id_sweep_days = id_sweep_days
        self.served_version = api_version
        self.cost = 0.0
        self.page_sizes: dict[str, PageSize] = {}
        self._client_id, self._client_secret = client_id, client_secret
        self._static_token = access_token
        self._token = access_token
        self._token_ends: datetime | None = None
        self._path = f"/admin/api/{api_version}/graphql.json"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, sign-in included."""
        return self._http.requests

    def now(self) -> datetime:
        """The present instant by the client's clock."""
        return self._http.clock()

    @in_one_line()
    def ping(self) -> str:
        """The cheapest call that proves address, version and token: the shop's domain and the version served."""
        shop = self.graphql("query Ping { shop { myshopifyDomain } }", {}, "Ping").data.get("shop")
        domain = shop.get("myshopifyDomain") if isinstance(shop, dict) else None
        return f"{domain or self._http.host}, API {self.served_version}"

    def version_notes(self) -> dict[str, str | int | float | bool]:
        """What a person should know about the API version: served by another one, or near its end."""
        notes: dict[str, str | int | float | bool] = {}
        if self.served_version != self.api_version:
            notes["api_version_asked"] = self.api_version
        ends = version_end(self.api_version)
        if ends is not None and (left := (ends - self._http.clock().date()).days) < _WARN_DAYS:
            notes["api_version_days_left"] = left
        return notes

    def graphql(self, query: str, variables: Mapping[str, Any], operation: str) -> GraphqlPage:
        """Run a query; waits while throttled. Raises QueryTooCostly, PermanentSourceError or TransientSourceError."""
        body = {"query": query, "variables": dict(variables), "operationName": operation}
        ends = self._http.clock().timestamp() + _THROTTLE_PATIENCE_S
        was_refreshed = False
        internal = 0
        while True:
            headers = {"X-Shopify-Access-Token": self._fresh_token()}
            answer = self._http.read("POST", self._path, headers=headers, json=body, leave=is_graphqls)
            if answer.status == 401:
                if self._static_token or was_refreshed:
                    raise PermanentSourceError(f"{self._http.host}: {operation} was answered 401: {_HINTS[401]}")
                self._token, was_refreshed = None, True
                continue
            # Accepted, whatever the answer: the next refusal is another token's end.
            was_refreshed = False
            self.served_version = answer.headers.get("x-shopify-api-version", self.api_version)
            cost = cost_of(answer.document)
            codes = codes_of(answer.document)
            if not codes and isinstance(answer.document.get("data"), dict):
                self.cost += cost.actual
                return GraphqlPage(answer.body, answer.document, cost.requested, cost.bucket)
            if "THROTTLED" in codes:
                self._wait_for_points(operation, cost, ends)
            elif "MAX_COST_EXCEEDED" in codes:
                raise QueryTooCostly(f"{self._http.host}: {operation} costs more than one query may")
            elif "ACCESS_DENIED" in codes:
                raise denial(f"{self._http.host}: {operation}", answer.document)
            elif "INTERNAL_SERVER_ERROR" in codes or not codes or codes == {NO_CODE}:
                internal += 1
                if internal >= _INTERNAL_ATTEMPTS:
                    raise self._failed(operation, answer.document, internal)
                self._http.sleep(self._http.backoff(internal))
            else:
                raise PermanentSourceError(
                    f"{self._http.host}: {operation} was refused ({', '.join(sorted(codes))}); "
                    f"the query does not fit API version {self.served_version}: update hotdash-pipelines or the version"
                )

    def _failed(self, operation: str, document: Any, times: int) -> SourceError:
        """What a failure without a code comes to: a query that was never run is refused, the rest is the server's."""
        if is_refused(document):
            return PermanentSourceError(
                f"{self._http.host}: {operation} was refused without a code; the query does not fit API version "
                f"{self.served_version}: update hotdash-pipelines or the version"
            )
        return TransientSourceError(
            f"{self._http.host}: {operation} failed inside Shopify {times} times; materialise the partition again later"
        )

    def _wait_for_points(self, operation: str, cost: Cost, ends: float) -> None:
        """Sleep until the bucket holds what the query asks for, as its status says."""
        if cost.requested is not None and cost.bucket is not None and cost.requested > cost.bucket:
            raise QueryTooCostly(f"{self._http.host}: {operation} costs more than the whole bucket")
        wait = cost.wait + self._http.backoff(1)
        now = self._http.clock()
        if now.timestamp() + wait > ends:
            raise QuotaExhausted(
                f"{self._http.host}: {operation} was throttled for {_THROTTLE_PATIENCE_S:g} s; "
                "another app uses the shop's points up: materialise the partition again later",
                now + timedelta(seconds=wait),
                wait,
            )
        self._http.sleep(wait)

    def _fresh_token(self) -> str:
        if self._static_token:
            return self._static_token
        now = self._http.clock()
        if self._token is None or (self._token_ends is not None and now >= self._token_ends):
            self._token = self._mint(now)
        return self._token

    def _mint(self, now: datetime) -> str:
        """A token by the client-credentials grant; it is replaced ten minutes, or a tenth of its life, early."""
        grant = {"client_id": self._client_id, "client_secret": self._client_secret, "grant_type": "client_credentials"}
        try:
            answer = self._http.read("POST", "/admin/oauth/access_token", json=grant)
        except PermanentSourceError as error:
            raise PermanentSourceError(
                f"{error.message}; signing in failed: check HOTDASH_SHOPIFY_CLIENT_ID, HOTDASH_SHOPIFY_CLIENT_SECRET "
                "and that the app is installed"
            ) from None
        grant = answer.document if isinstance(answer.document, dict) else {}
        token = grant.get("access_token")
        if not isinstance(token, str) or not token:
            raise PermanentSourceError(f"{self._http.host}: signing in gave no token; is the base URL the shop's?")
        life = timedelta(seconds=seconds_of(grant.get("expires_in"), 86_399))
        self._token_ends = now + life - min(_REFRESH_BEFORE, life / 10)
        return token


def version_end(api_version: str) -> date | None:
    """The day a quarterly version leaves support, None for `unstable` and the like."""
    try:
        begins = datetime.strptime(api_version, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    months = begins.month - 1 + _SUPPORTED_MONTHS
    return begins.replace(year=begins.year + months // 12, month=months % 12 + 1)
