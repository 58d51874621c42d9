"""Quota and faults of the stand-in's GA4 face."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from hotdash_pipelines.demo.world import World
from tests.unit.demo.ga4.ga4_face import PATH, ask_token, assertion, make_world, report, request_for, signed_in, table

COUNTERS = {
    "tokensPerDay", "tokensPerHour", "concurrentRequests", "serverErrorsPerProjectPerHour",
    "potentiallyThresholdedRequestsPerHour", "tokensPerProjectPerHour",
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def api(world: World) -> TestClient:
    return signed_in(world)


def test_the_quota_shows_six_counters_and_leaves_out_what_is_zero(api: TestClient) -> None:
    first = report(api, ["date"], ["sessions"], returnPropertyQuota=True)["propertyQuota"]
    second = report(api, ["date"], ["sessions"], returnPropertyQuota=True)["propertyQuota"]
    assert first.keys() == COUNTERS
    assert "consumed" not in first["concurrentRequests"]
    assert first["serverErrorsPerProjectPerHour"] == {"remaining": 10}
    assert second["tokensPerDay"]["consumed"] > first["tokensPerDay"]["consumed"] > 0
    assert second["tokensPerDay"]["consumed"] + second["tokensPerDay"]["remaining"] == 200_000


def test_an_exhausted_quota_is_429_until_the_window_passes(world: World, api: TestClient) -> None:
    world.extra["ga4"].quota.limits["tokensPerProjectPerHour"] = 3
    answers = [api.post(PATH, json=request_for(["date"], ["sessions"])) for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    error = answers[-1].json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert error["message"].startswith("Exhausted property tokens for a project per hour.")
    world.clock.advance(timedelta(minutes=59))
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 429
    world.clock.advance(timedelta(minutes=1))
    api.headers["Authorization"] = f"Bearer {ask_token(api, assertion()).json()['access_token']}"
    assert api.post(PATH, json=request_for(["date"], ["sessions"])).status_code == 200


def test_server_errors_use_up_a_quota_of_their_own(world: World, api: TestClient) -> None:
    world.scenarios.add("status", "ga4", "runReport", times=10, status=503, body={"error": {"code": 503}})
    answers = [api.post(PATH, json=request_for(["date"], ["sessions"])).status_code for _ in range(11)]
    assert answers == [503] * 10 + [429]


def test_the_quota_fault_names_its_counter(world: World, api: TestClient) -> None:
    world.scenarios.add("quota", "ga4", "runReport", counter="tokensPerDay", retry_after=9)
    answer = api.post(PATH, json=request_for(["date"], ["sessions"]))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert "tokens per day" in answer.json()["error"]["message"]
    world.scenarios.add("throttle", "ga4", "runReport")
    answer = api.post(PATH, json=request_for(["date"], ["sessions"]))
    assert "retry-after" not in answer.headers
    assert "concurrent requests" in answer.json()["error"]["message"]


def test_rows_over_the_cap_go_to_other_and_the_answer_says_so(world: World, api: TestClient) -> None:
    args = (["date", "landingPage", "sessionSource"], ["sessions", "totalRevenue"])
    whole = table(report(api, *args))
    world.scenarios.add("truncated_page", "ga4", "landingPage", kind="other", row_cap=15)
    body = report(api, *args)
    rows = table(body)
    assert body["metadata"]["dataLossFromOtherRow"] is True
    assert len(rows) == 16
    assert ("20261110", "(other)", "(other)") in rows
    for n in range(2):
        assert sum(float(r[n]) for r in rows.values()) == pytest.approx(sum(float(r[n]) for r in whole.values()))


def test_thresholding_withholds_small_rows_and_the_answer_says_so(world: World, api: TestClient) -> None:
    args = (["landingPage", "sessionSource"], ["sessions", "totalUsers"])
    whole = table(report(api, *args))
    world.scenarios.add("truncated_page", "ga4", "landingPage", kind="thresholding", min_users=12)
    body = report(api, *args, returnPropertyQuota=True)
    assert body["metadata"]["subjectToThresholding"] is True
    assert table(body) == {key: row for key, row in whole.items() if int(row[1]) >= 12}
    assert 0 < len(table(body)) < len(whole)
    assert body["propertyQuota"]["potentiallyThresholdedRequestsPerHour"]["consumed"] == 1


def test_the_other_faults_spoil_one_answer_each(world: World, api: TestClient) -> None:
    args = (["landingPage"], ["sessions"])
    good = report(api, *args)

    def faulty(name: str, **fault: Any) -> Any:
        world.scenarios.add(name, "ga4", "landingPage", **fault)
        return api.post(PATH, json=request_for(*args))

    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated"):
        faulty("bad_json").json()
    cut = faulty("truncated_page").json()
    assert cut["rows"] == good["rows"][: len(good["rows"]) // 2]
    assert cut["rowCount"] == good["rowCount"]
    assert faulty("unknown_field").json() == good | {"brandNewField": {"nested": [1, 2]}}
    assert faulty("wrong_type").json()["rows"][0]["metricValues"][0]["value"] == "not-a-number"
    assert "rows" not in faulty("empty").json()
    assert faulty("timeout", seconds=0.01).json() == good
    assert report(api, *args) == good
