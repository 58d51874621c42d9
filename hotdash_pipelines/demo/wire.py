"""What the REST faces of the stand-in share: JSON answers, request logging, and faults that look alike everywhere.

Belongs here: the envelope of a request. Does not belong here: any API's shapes or error bodies; a face passes its own.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.world import World


def json_response(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`payload` as compact UTF-8 JSON."""
    return Response(orjson.dumps(payload), status, dict(headers or {}), "application/json; charset=utf-8")


def retry_after(scenario: Scenario) -> dict[str, str]:
    """The Retry-After header a fault asks for, if it asks for one."""
    seconds = scenario.args.get("retry_after")
    return {} if seconds is None else {"Retry-After": str(seconds)}


def cut_off() -> Response:
    """An answer whose body breaks off: it says gzip and is none to the end."""
    body = gzip.compress(b'{"data": ')[:10] + b"\xff" * 20
    return Response(body, 200, {"Content-Encoding": "gzip"}, "application/json")


async def common_fault(scenario: Scenario | None) -> Response | None:
    """The answer of a fault every face shares: `status`, `bad_json`, `cut_off`; `timeout` waits, then lets it go on.

    None means that the face answers (and that any other fault is its own to act out).
    """
    if scenario is None:
        return None
    if scenario.name == "timeout":
        await asyncio.sleep(float(scenario.args.get("seconds", 30)))
        return None
    if scenario.name == "bad_json":
        return Response(b'{"data": [{"id": 1, "na', 200, media_type="application/json; charset=utf-8")
    if scenario.name == "cut_off":
        return cut_off()
    if scenario.name == "status":
        body = scenario.args.get("body", "Internal Server Error")
        status = int(scenario.args.get("status", 500))
        if isinstance(body, str):
            return Response(body, status, retry_after(scenario), "text/plain")
        return json_response(body, status, retry_after(scenario))
    return None


def record(world: World, source: str, request: Request, operation: str, status: int, variables: Any = None) -> None:
    """Put the request into the world's log."""
    world.log.record(
        at=world.clock.now(),
        source=source,
        method=request.method,
        path=request.url.path,
        operation=operation,
        status=status,
        variables=variables,
    )
