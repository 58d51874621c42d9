"""A GA4 face for tests: a small world, a signed-in client, and short names for requests and answers.

Belongs here: what several test modules need. Does not belong here: tests.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from hotdash_pipelines.demo import ga4
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.ga4.auth import GRANT_TYPE, SCOPES
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import Shop

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
DAY = "2026-11-10"
PATH = "/v1beta/properties/424242:runReport"
ACCOUNT = ga4.make_service_account("http://127.0.0.1:1")


def make_world(rough: str = "calm") -> World:
    clock = VirtualClock(NOW)
    credentials = {"ga4_property_id": "424242", "ga4_service_account": ACCOUNT}
    return World(Shop(7, 0.01, clock, roughness=Roughness.read(rough)), clock, Scenarios(), RequestLog(), credentials)


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def assertion(account: dict[str, str] = ACCOUNT, alg: str = "RS256", **changes: Any) -> str:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    now = int(time.time())
    claims = {
        "iss": account["client_email"], "aud": account["token_uri"], "scope": SCOPES[0], "iat": now, "exp": now + 3600,
        **changes,
    }  # fmt: skip
    head = f"{encoded(json.dumps({'alg': alg}).encode())}.{encoded(json.dumps(claims).encode())}"
    key = serialization.load_pem_private_key(account["private_key"].encode(), None)
    return f"{head}.{encoded(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def ask_token(api: TestClient, signed: str, grant_type: str = GRANT_TYPE) -> Any:
    return api.post("/oauth2/token", data={"grant_type": grant_type, "assertion": signed})


def signed_in(world: World) -> TestClient:
    api = TestClient(Starlette(routes=ga4.routes(world)))
    api.headers["Authorization"] = f"Bearer {ask_token(api, assertion()).json()['access_token']}"
    return api


def request_for(
    dimensions: list[str], metrics: list[str], start: str = DAY, end: str | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "dimensions": [{"name": name} for name in dimensions],
        "metrics": [{"name": name} for name in metrics],
        "dateRanges": [{"startDate": start, "endDate": end or start}],
        "limit": "100000",
        **more,
    }


def report(api: TestClient, *args: Any, **more: Any) -> Any:
    answer = api.post(PATH, json=request_for(*args, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


def table(body: dict[str, Any]) -> dict[tuple[str, ...], list[str]]:
    return {
        tuple(one["value"] for one in row.get("dimensionValues", [])): [one["value"] for one in row["metricValues"]]
        for row in body.get("rows", [])
    }
