"""Signing in to the stand-in's GA4 face as a service account."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from hotdash_pipelines.demo import ga4
from hotdash_pipelines.demo.world import World
from tests.unit.demo.ga4.ga4_face import PATH, ask_token, assertion, make_world, request_for, signed_in


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def api(world: World) -> TestClient:
    return signed_in(world)


def test_the_token_endpoint_takes_an_assertion_signed_with_the_service_accounts_key(world: World) -> None:
    api = TestClient(Starlette(routes=ga4.routes(world)))
    answer = ask_token(api, assertion())
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "expires_in", "token_type"}
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (3599, "Bearer")


@pytest.mark.parametrize(
    ("signed", "error"),
    [
        (lambda: assertion(ga4.make_service_account("http://127.0.0.1:1")), "Invalid JWT Signature."),
        (lambda: assertion()[:-8] + "AAAAAAAA", "Invalid JWT Signature."),
        (lambda: assertion(alg="none"), "Invalid JWT Signature."),
        (lambda: assertion(iss="someone@else.iam.gserviceaccount.com"), "Invalid JWT Signature."),
        (lambda: assertion(aud="https://example.com"), "audience"),
        (lambda: assertion(iat=int(time.time()) - 7200, exp=int(time.time()) - 3600), "short-lived"),
        (lambda: assertion(exp=int(time.time()) + 90_000), "short-lived"),
        (lambda: assertion(scope="https://www.googleapis.com/auth/drive"), "Invalid OAuth scope"),
        (lambda: "not.a.jwt", "Bad Request"),
        (lambda: "", "Bad Request"),
    ],
)
def test_a_bad_assertion_is_refused(world: World, signed: Any, error: str) -> None:
    answer = ask_token(TestClient(Starlette(routes=ga4.routes(world))), signed())
    assert answer.status_code == 400
    assert error in answer.json()["error_description"]


def test_another_grant_type_is_refused(world: World) -> None:
    answer = ask_token(TestClient(Starlette(routes=ga4.routes(world))), assertion(), "password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer ya29.made-up", "Basic dXNlcjpwYXNz"])
def test_a_report_without_a_valid_token_is_401_in_googles_words(world: World, header: str | None) -> None:
    api = TestClient(Starlette(routes=ga4.routes(world)), headers={"Authorization": header} if header else {})
    answer = api.post(PATH, json=request_for(["date"], ["sessions"]))
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_a_token_ages_with_the_virtual_clock(world: World, api: TestClient) -> None:
    world.clock.advance(timedelta(seconds=3_590))
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 200
    world.clock.advance(timedelta(seconds=20))
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 401


def test_an_expired_token_fault_is_lasting_until_a_new_token_is_fetched(world: World, api: TestClient) -> None:
    world.scenarios.add("expired_token", "ga4", "runReport")
    answers = [api.post(PATH, json=request_for(["date"], ["sessions"])).status_code for _ in range(2)]
    assert answers == [401, 401]
    api.headers["Authorization"] = f"Bearer {ask_token(api, assertion()).json()['access_token']}"
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 200


def test_a_drawn_expiry_spares_a_token_that_has_not_served(world: World, api: TestClient) -> None:
    world.scenarios.add_rough("ga4", share=1.0, faults=["expired_token"])
    answers = []
    for _ in range(3):
        api.headers["Authorization"] = f"Bearer {ask_token(api, assertion()).json()['access_token']}"
        answers += [api.post(PATH, json=request_for(["date"], ["sessions"])).status_code for _ in range(2)]
    assert answers == [200, 401] * 3


def test_a_token_that_met_nothing_but_failures_has_not_served(world: World, api: TestClient) -> None:
    world.scenarios.add_rough("ga4", share=1.0, faults=["expired_token"])
    world.scenarios.add("status", "ga4", "runReport", status=503)
    world.scenarios.add("timeout", "ga4", "runReport", seconds=0)
    asked = [api.post(PATH, json=request_for(["date"], ["sessions"])).status_code for _ in range(4)]
    assert asked == [503, 200, 200, 401]


def test_a_jwt_the_service_account_signed_for_the_api_is_accepted_as_a_token(world: World) -> None:
    own = assertion(aud="https://analyticsdata.googleapis.com/", scope="")
    api = TestClient(Starlette(routes=ga4.routes(world)), headers={"Authorization": f"Bearer {own}"})
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 200
    api.headers["Authorization"] = f"Bearer {assertion(aud='https://example.com/', scope='')}"
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 401
