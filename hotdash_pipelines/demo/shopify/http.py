"""Shopify over HTTP: the token endpoint, versions, GraphQL requests and the faults put into them.

Belongs here: statuses, headers, bodies. Does not belong here: executing queries (`execute`) or costs (`cost`).
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.shopify import faults
from hotdash_pipelines.demo.shopify.cost import GENEROUS, Bucket, cost_report
from hotdash_pipelines.demo.shopify.execute import Compiler, QueryFault, Request, coerce_variables
from hotdash_pipelines.demo.shopify.fields.root import ALL_APPROVALS, WIRING
from hotdash_pipelines.demo.shopify.schema import Operation, prepare
from hotdash_pipelines.demo.world import World

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
TOKEN_SECONDS = 86_399
_VERSION = re.compile(r"\d{4}-(01|04|07|10)")
_BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105 - a message


def serve_version(asked: str) -> str | None:
    """The version an asked one is answered with: itself, the oldest for an expired one, None if there is none."""
    if asked == "unstable" or asked in VERSIONS:
        return asked
    return VERSIONS[0] if _VERSION.fullmatch(asked) and asked < VERSIONS[0] else None


class ShopifyApi:
    """One shop's Admin API. Its bucket, tokens and granted scopes live as long as the world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bucket = Bucket(GENEROUS, world.clock)
        self.approvals = ALL_APPROVALS
        self._tokens: dict[str, datetime] = {}
        self._served: set[str] = set()

    @property
    def scopes(self) -> frozenset[str]:
        """The access scopes the app was granted."""
        return self.world.shop.app_scopes

    @scopes.setter
    def scopes(self, granted: frozenset[str]) -> None:
        self.world.shop.app_scopes = granted

    @classmethod
    def of(cls, world: World) -> ShopifyApi:
        """The world's Shopify API, made once."""
        return world.extra.setdefault("shopify", cls(world))

    def routes(self) -> list[Route]:
        """The HTTP routes."""
        return [
            Route("/admin/oauth/access_token", self.token, methods=["POST"]),
            Route("/admin/api/{version}/graphql.json", self.graphql, methods=["POST"]),
        ]

    async def token(self, request: HttpRequest) -> Response:
        """Client-credentials grant: JSON or form body; 401 for wrong credentials, 400 for another grant."""
        body = await _body(request)
        scenario = self.world.scenarios.take("shopify", "access_token")
        if _spares_new(scenario):
            scenario = None
        response = await faults.before(scenario) or self._grant(body)
        self._record(request, "access_token", {}, response.status_code)
        return response

    def _grant(self, body: Mapping[str, Any]) -> Response:
        known = self.world.credentials
        if body.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type", "error_description": "unknown grant type"}, 400)
        right_id = hmac.compare_digest(str(body.get("client_id", "")), str(known["client_id"]))
        right_secret = hmac.compare_digest(str(body.get("client_secret", "")), str(known["client_secret"]))
        if not (right_id and right_secret):
            return _json({"error": "invalid_client", "error_description": "The client credentials are invalid"}, 401)
        token = "shpca_" + secrets.token_hex(16)
        self._tokens[token] = self.world.clock.now() + timedelta(seconds=TOKEN_SECONDS)
        return _json({"access_token": token, "scope": ",".join(sorted(self.scopes)), "expires_in": TOKEN_SECONDS})

    def _is_authorised(self, token: str) -> bool:
        static = self.world.credentials.get("static_token")
        if static and hmac.compare_digest(token, str(static)):
            return True
        expires = self._tokens.get(token)
        return expires is not None and self.world.clock.now() < expires

    def expire_tokens(self) -> None:
        """Make every granted token invalid from now on; the static one stays."""
        self._tokens.clear()

    async def graphql(self, request: HttpRequest) -> Response:
        """One GraphQL request."""
        version = serve_version(request.path_params["version"])
        if version is None:
            self._record(request, "", {}, 404)
            return _json({"errors": "Not Found"}, 404)
        token = request.headers.get("x-shopify-access-token", "")
        if not self._is_authorised(token):
            self._record(request, "", {}, 401)
            return _json({"errors": _BAD_TOKEN}, 401)
        body = await _body(request)
        query, variables = body.get("query"), body.get("variables") or {}
        if not isinstance(query, str) or not isinstance(variables, dict):
            self._record(request, "", {}, 400)
            return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        # A page of 250 orders takes a tenth of a second: off the loop, so that other APIs answer meanwhile.
        prepared = await asyncio.to_thread(prepare, query, body.get("operationName"))
        name = prepared.name if isinstance(prepared, Operation) else str(body.get("operationName") or "")
        scenario = self.world.scenarios.take("shopify", name)
        if _spares_new(scenario) and token not in self._served:
            scenario = None
        response = await faults.before(scenario)
        if response is not None:
            if response.status_code == 401 and _spares_new(scenario):
                self._tokens.pop(token, None)
            elif response.status_code == 401:
                self.expire_tokens()
        elif isinstance(prepared, Operation):
            # What comes in place of an answer tells nobody that the token is a good one.
            self._served.update({token} & self._tokens.keys())
            response = await asyncio.to_thread(self._answer, prepared, variables, scenario)
        else:
            response = _json({"errors": prepared})
        response.headers["X-Shopify-API-Version"] = version
        response.headers["X-Request-Id"] = secrets.token_hex(8)
        self._record(request, name, variables, response.status_code)
        return response

    def _answer(self, operation: Operation, variables: Mapping[str, Any], scenario: Scenario | None) -> Response:
        coerced = coerce_variables(operation, variables)
        if isinstance(coerced, list):
            return _json({"errors": coerced})
        plan = self.bucket.plan
        request = Request(coerced, self.scopes, plan, self.approvals)
        compiler = Compiler(operation, request, WIRING)
        run = compiler.compile()
        requested = compiler.requested
        if requested > plan.max_query_cost:
            return _json({"errors": [_too_costly(requested, plan.max_query_cost)]})
        if scenario is not None and scenario.name in ("throttle", "quota"):
            self.bucket.drain()
            # Refused whatever the bucket holds, and the status shows why.
            _, status = self.bucket.reserve(max(requested, 1.0))
            return faults.throttled(requested, status, scenario.args.get("status", 200))
        granted, status = self.bucket.reserve(requested)
        if not granted:
            return faults.throttled(requested, status, 200)
        data = None
        try:
            data = run(self.world.shop) if run is not None else None
        except QueryFault as fault:
            request.errors.append(fault.error)
        status = self.bucket.refund(requested - request.cost)
        if scenario is not None and isinstance(data, dict):
            faults.distort(scenario, data, self.world)
        answer: dict[str, Any] = {"data": data}
        if request.errors:
            answer["errors"] = request.errors
        extensions: dict[str, Any] = {"cost": cost_report(requested, request.cost, status)}
        if request.warnings:
            extensions["search"] = request.warnings
        answer["extensions"] = extensions
        return _json(answer)

    def _record(self, request: HttpRequest, operation: str, variables: Mapping[str, Any], status: int) -> None:
        self.world.log.record(
            at=self.world.clock.now(),
            source="shopify",
            method=request.method,
            path=request.url.path,
            operation=operation,
            variables=variables,
            status=status,
        )


def _too_costly(requested: float, limit: float) -> dict[str, Any]:
    return {
        "message": f"Query cost is {requested:.0f}, which exceeds the single query max cost limit ({limit:.0f}).",
        "extensions": {
            "code": "MAX_COST_EXCEEDED",
            "cost": round(requested),
            "maxCost": round(limit),
            "documentation": "https://shopify.dev/api/usage/rate-limits",
        },
    }


async def _body(request: HttpRequest) -> dict[str, Any]:
    raw = await request.body()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        from urllib.parse import parse_qsl

        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    try:
        decoded = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _spares_new(scenario: Scenario | None) -> bool:
    return scenario is not None and bool(scenario.args.get("spares_new"))


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
