"""The route that tells what the support agent did: `/_agent/activity?day=YYYY-MM-DD`.

Belongs here: asking the world for a day and sending it. Does not belong here: the activity (`world.agent`). Like the
control plane it answers on loopback only; unlike the APIs it stands for no product, so faults do not touch it.
"""

from __future__ import annotations

from datetime import date

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotdash_pipelines.demo.control import guarded
from hotdash_pipelines.demo.wire import json_response
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.agent import DayNotOver


def routes(world: World) -> list[Route]:
    """The HTTP route."""

    async def activity(request: Request) -> Response:
        """`{"day", "time_zone", "rows": {table: [row]}}`; 422 for no day, 409 for one that is not over."""
        try:
            day = date.fromisoformat(request.query_params.get("day", ""))
        except ValueError:
            return json_response({"error": "day: a date, such as 2026-11-19"}, 422)
        try:
            rows = await run_in_threadpool(world.agent.activity, day)
        except DayNotOver as error:
            return json_response({"error": str(error)}, 409)
        return json_response({"day": day.isoformat(), "time_zone": world.shop.time_zone, "rows": rows})

    return [Route("/_agent/activity", guarded(activity), methods=["GET"])]
