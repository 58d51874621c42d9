"""The stand-in's application: four API faces, the agent's days, the control plane and an index page over one world.

Belongs here: putting routes together. Does not belong here: listening (`serve`) or any answer of an API.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import Shop

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


def create_app(
    seed: int,
    scale: float,
    clock: VirtualClock,
    credentials: Mapping[str, Any],
    roughness: Roughness | None = None,
) -> Starlette:
    """The application over a new world; the world is `app.state.world`. Credentials as `make_credentials` gives.

    Without `roughness` the world is as rough as usual.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    from hotdash_pipelines.demo import agent, chatwoot, ga4, shopify, slack
    from hotdash_pipelines.demo.control import Control

    world = World(Shop(seed, scale, clock, roughness=roughness), clock, Scenarios(), RequestLog(), credentials)
    faces = [face.routes(world) for face in (shopify, chatwoot, ga4, slack, agent)]
    app = Starlette(routes=[Route("/", _index), *Control(world).routes(), *(route for face in faces for route in face)])
    app.state.world = world
    return app


_PARTS = (
    ("POST /admin/oauth/access_token", "Shopify: client-credentials token"),
    ("POST /admin/api/2026-10/graphql.json", "Shopify: Admin GraphQL"),
    ("GET /api/v1/accounts/1/conversations", "Chatwoot: application API"),
    ("POST /oauth2/token", "Google: service-account token"),
    ("POST /v1beta/properties/424242:runReport", "Google Analytics 4: Data API"),
    ("GET /slack", "Slack: messages received"),
    ("GET /_agent/activity?day=", "What the support agent did on a day"),
    ("GET /_control", "Control plane: clock, faults, request log"),
)


async def _index(request: Request) -> Response:
    from starlette.responses import HTMLResponse

    world: World = request.app.state.world
    rows = "".join(f"<tr><td><code>{escape(path)}</code></td><td>{escape(what)}</td></tr>" for path, what in _PARTS)
    return HTMLResponse(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>HotDash stand-in store</title>"
        "<style>body{font:16px/1.5 system-ui;margin:3rem auto;max-width:50rem}td{padding:.2rem 1rem .2rem 0}</style>"
        "<h1>HotDash stand-in store</h1>"
        f"<p>Seed {world.shop.seed}, scale {world.shop.scale:g}, "
        f"now {escape(world.clock.now().isoformat(timespec='seconds'))}. "
        "Every person, order and message here is made up.</p>"
        f"<table>{rows}</table></html>"
    )
