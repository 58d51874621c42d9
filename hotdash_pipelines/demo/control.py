"""The control plane: move the clock, inject faults, read the request log, change an entity.

Belongs here: the routes under `/_control`. Does not belong here: what faults do. It answers callers on the loopback
interface only, and only if they address it by a loopback name, so that no web page can reach it by a rebound name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hotdash_pipelines.demo.scenarios import ROUGH
from hotdash_pipelines.demo.shopify.cost import PLANS
from hotdash_pipelines.demo.shopify.fields.root import ALL_APPROVALS
from hotdash_pipelines.demo.shopify.http import ShopifyApi
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import ALL_SCOPES

Handler = Callable[[Request], Awaitable[Response]]


class ControlError(ValueError):
    """A request the control plane cannot carry out; the text goes to the caller with status 422."""


def is_loopback(host: str | None) -> bool:
    """True for a loopback address and for `localhost`."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Control:
    """The control plane of one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[Route]:
        """The HTTP routes."""
        table: list[tuple[str, str, Handler]] = [
            ("/_control", "GET", self.state),
            ("/_control/clock", "POST", self.clock),
            ("/_control/scenarios", "GET", self.scenarios),
            ("/_control/scenarios", "POST", self.add_scenario),
            ("/_control/scenarios", "DELETE", self.clear_scenarios),
            ("/_control/requests", "GET", self.requests),
            ("/_control/requests", "DELETE", self.clear_requests),
            ("/_control/entity", "POST", self.entity),
            ("/_control/shopify", "POST", self.shopify),
        ]
        return [Route(path, guarded(handler), methods=[method]) for path, method, handler in table]

    async def state(self, _request: Request) -> Response:
        """The clock, the world's parameters and what is due."""
        return JSONResponse(self._state())

    def _state(self) -> dict[str, Any]:
        world = self.world
        shopify = ShopifyApi.of(world)
        return {
            "now": world.clock.now().isoformat(),
            "frozen": world.clock.is_frozen,
            "seed": world.shop.seed,
            "scale": world.shop.scale,
            "time_zone": world.shop.time_zone,
            "roughness": dict(sorted(world.shop.roughness.rates.items())),
            "scenarios": world.scenarios.pending(),
            "requests": len(world.log.entries()),
            "shopify": {
                "plan": shopify.bucket.plan.rule,
                "scopes": sorted(shopify.scopes),
                "approvals": sorted(shopify.approvals),
            },
        }

    async def clock(self, request: Request) -> Response:
        """`{"set": iso instant}` or `{"advance_seconds": n}`."""
        body = await _object(request)
        if "set" in body:
            try:
                moment = datetime.fromisoformat(str(body["set"]))
            except ValueError:
                raise ControlError("set: not an ISO 8601 instant") from None
            if moment.tzinfo is None:
                raise ControlError("set: the instant needs a zone, such as Z")
            self.world.clock.set(moment)
        elif isinstance(body.get("advance_seconds"), int | float):
            self.world.clock.advance(timedelta(seconds=body["advance_seconds"]))
        else:
            raise ControlError("give set or advance_seconds")
        return JSONResponse(self._state())

    async def scenarios(self, _request: Request) -> Response:
        """The faults still due."""
        return JSONResponse(self.world.scenarios.pending())

    async def add_scenario(self, request: Request) -> Response:
        """`{"name", "source", "match"?, "times"?, "args"?}`: one fault, due `times` times.

        `{"name": "rough", "source"?, "share"?, "seed"?, "match"?, "faults"?, "args"?}` fails a share of all requests
        at random until it is cleared, of every source where none is named.
        """
        body = await _object(request)
        args = body.get("args") or {}
        if not isinstance(args, dict):
            raise ControlError("args: an object")
        scenarios = self.world.scenarios
        try:
            if body.get("name") == ROUGH:
                drawn = {key: body[key] for key in ("source", "share", "seed", "match", "faults") if key in body}
                return JSONResponse([added.as_dict() for added in scenarios.add_rough(**drawn, **args)], 201)
            added = scenarios.add(
                str(body.get("name")), str(body.get("source")), body.get("match"), int(body.get("times", 1)), **args
            )
        except (ValueError, TypeError) as error:
            raise ControlError(str(error)) from error
        return JSONResponse(added.as_dict(), 201)

    async def clear_scenarios(self, _request: Request) -> Response:
        """Drop every fault still due."""
        self.world.scenarios.clear()
        return JSONResponse([])

    async def requests(self, request: Request) -> Response:
        """The request log, of one `?source=` or of all."""
        return JSONResponse(self.world.log.entries(request.query_params.get("source")))

    async def clear_requests(self, _request: Request) -> Response:
        """Forget the request log."""
        self.world.log.clear()
        return JSONResponse([])

    async def entity(self, request: Request) -> Response:
        """`{"kind": order | customer, "id", "changes": {field: value}}`: overlay GraphQL fields, moving updatedAt.

        `{"kind": order | customer | product, "id", "delete": true, "silently"?: true}` deletes it, and
        `{"kind": "customer", "id", "merge_into": id}` merges it into another.
        """
        body = await _object(request)
        if body.get("delete") is True or "merge_into" in body:
            return self._remove(body)
        changes = body.get("changes")
        if not isinstance(changes, dict) or not isinstance(body.get("id"), int):
            raise ControlError("give kind, a numeric id and changes")
        shop = self.world.shop
        mutate = {"order": shop.mutate_order, "customer": shop.mutate_customer}.get(str(body.get("kind")))
        if mutate is None:
            raise ControlError("kind: order or customer")
        try:
            updated = mutate(body["id"], changes)
        except KeyError:
            raise ControlError(f"no such {body['kind']} by now") from None
        return JSONResponse({"updated_at": updated})

    def _remove(self, body: dict[str, Any]) -> Response:
        kind, number, heir = str(body.get("kind")).upper(), body.get("id"), body.get("merge_into")
        if kind not in ("ORDER", "CUSTOMER", "PRODUCT") or (heir is not None and kind != "CUSTOMER"):
            raise ControlError("kind: order, customer or product; only a customer is merged")
        if not isinstance(number, int) or not isinstance(heir, int | None):
            raise ControlError("give numeric ids")
        try:
            is_told = body.get("silently") is not True
            return JSONResponse({"removed_at": self.world.shop.remove(kind, number, heir, is_told=is_told)})
        except KeyError:
            raise ControlError(f"no such {kind.lower()} by now") from None

    async def shopify(self, request: Request) -> Response:
        """`{"plan"?: generous | standard | plus, "limits"?, "scopes"?: [...], "approvals"?: [...], "expire_tokens"?}`.

        `approvals` are those for protected customer data: customer_data, name, email, phone, address.
        """
        body = await _object(request)
        api = ShopifyApi.of(self.world)
        if "plan" in body or "limits" in body:
            plan = PLANS.get(str(body.get("plan", "generous")))
            if plan is None:
                raise ControlError(f"plan: one of {', '.join(PLANS)}")
            try:
                api.bucket.use(replace(plan, **body.get("limits", {})))
            except TypeError as error:
                raise ControlError(f"limits: {error}") from error
        if "scopes" in body:
            if unknown := set(body["scopes"]) - ALL_SCOPES:
                raise ControlError(f"unknown scopes: {', '.join(sorted(unknown))}")
            api.scopes = frozenset(body["scopes"])
        if "approvals" in body:
            if unknown := set(body["approvals"]) - ALL_APPROVALS:
                raise ControlError(f"unknown approvals: {', '.join(sorted(unknown))}")
            api.approvals = frozenset(body["approvals"])
        if body.get("expire_tokens"):
            api.expire_tokens()
        return JSONResponse(self._state())


def guarded(handler: Handler) -> Handler:
    """The handler for callers on loopback only; a ControlError becomes 422."""

    async def guarded(request: Request) -> Response:
        if not (is_loopback(request.client.host if request.client else None) and is_loopback(request.url.hostname)):
            return JSONResponse({"error": "the control plane answers on loopback only"}, 403)
        try:
            return await handler(request)
        except ControlError as error:
            return JSONResponse({"error": str(error)}, 422)

    return guarded


async def _object(request: Request) -> dict[str, Any]:
    # Asking for this type keeps plain web forms out: a browser must ask first, and is never told yes.
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise ControlError("send application/json")
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise ControlError("not JSON") from None
    if not isinstance(body, dict):
        raise ControlError("send an object")
    return body
