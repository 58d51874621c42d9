"""What each scenario looks like in Shopify's answers.

Belongs here: whole answers that replace the real one, and distortions of a real one. Does not belong here: when a
scenario is due (`demo.scenarios`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.responses import Response

from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.shopify.cost import cost_report
from hotdash_pipelines.demo.shopify.values import gid_number
from hotdash_pipelines.demo.wire import cut_off
from hotdash_pipelines.demo.world import World

_BODIES = {402: "Unavailable Shop", 403: "Forbidden", 404: "Not Found", 423: "Locked", 429: "Too Many Requests"}


async def before(scenario: Scenario | None) -> Response | None:
    """The answer that comes in place of any work, or None. `timeout` really waits `args.seconds` (default 60)."""
    if scenario is None:
        return None
    args = scenario.args
    if scenario.name == "timeout":
        await asyncio.sleep(float(args.get("seconds", 60)))
        return Response(b"", 504)
    if scenario.name == "bad_json":
        return Response(b'{"data": {"orders": <!DOCTYPE html>', 200, media_type="application/json")
    if scenario.name == "cut_off":
        return cut_off()
    if scenario.name == "expired_token":
        return _json({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, 401)
    if scenario.name == "status":
        status = int(args.get("status", 500))
        headers = {"Retry-After": str(args["retry_after"])} if args.get("retry_after") is not None else {}
        body = args.get("body", {"errors": _BODIES.get(status, "Internal Server Error")})
        raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
        return Response(raw, status, headers, media_type="application/json")
    return None


def throttled(requested: float, status: dict[str, float], code: int) -> Response:
    """The THROTTLED answer; people report it with HTTP 200 and with 429."""
    error = {
        "message": "Throttled",
        "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
    }
    return _json({"errors": [error], "extensions": {"cost": cost_report(requested, None, status)}}, code)


def distort(scenario: Scenario, data: dict[str, Any], world: World) -> None:
    """Change a real answer in place.

    truncated_page: the later half of the nodes is missing and nothing says so. empty: no nodes, no next page.
    unknown_field: nodes carry a field nobody asked for. wrong_type: `args.field` of the first node (default
    updatedAt) is `args.value` (default a number). page_drift: the page's first order is edited right after.
    wrong_count: every count is `args.off` more.
    """
    for value in data.values():
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("count"), int):
            value["count"] = scenario.miscounted(value["count"])
        listed = next((value[key] for key in ("nodes", "edges") if isinstance(value.get(key), list)), None)
        if listed is None:
            continue
        nodes = [entry.get("node", entry) for entry in listed]
        if scenario.name == "truncated_page":
            del listed[(len(listed) + 1) // 2 :]
        elif scenario.name == "empty":
            listed.clear()
            value["pageInfo"] = {**value.get("pageInfo", {}), "hasNextPage": False}
        elif scenario.name == "unknown_field":
            for node in nodes:
                node["fieldNobodyAskedFor"] = "surprise"
        elif scenario.name == "wrong_type" and nodes:
            nodes[0][scenario.args.get("field", "updatedAt")] = scenario.args.get("value", 12345)
        elif scenario.name == "page_drift" and nodes:
            number = gid_number(str(nodes[0].get("id", "")), "Order")
            if number is not None:
                world.shop.mutate_order(number, {})


def _json(value: Any, status: int) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
