"""`POST conversations/filter` of the stand-in compares as the real server does, calendar days in UTC included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from hotdash_pipelines.demo import chatwoot
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.support_model import Agent, Conversation

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
PATH = "/api/v1/accounts/1/conversations/filter"


@pytest.fixture(scope="module")
def world() -> World:
    clock = VirtualClock(NOW)
    return World(Shop(7, 0.02, clock), clock, Scenarios(), RequestLog(), {"chatwoot_token": "t"})


@pytest.fixture(scope="module")
def api(world: World) -> TestClient:
    return TestClient(Starlette(routes=chatwoot.routes(world)), headers={"api_access_token": "t"})


def condition(key: str, operator: str, values: Any, query_operator: str | None = None) -> dict[str, Any]:
    return {"attribute_key": key, "filter_operator": operator, "values": values, "query_operator": query_operator}


def matching(api: TestClient, *conditions: dict[str, Any]) -> set[int]:
    ids: set[int] = set()
    for page in range(1, 100):
        answer = api.post(PATH, params={"page": page}, json={"payload": list(conditions)})
        assert answer.status_code == 200, answer.text
        ids |= {c["id"] for c in answer.json()["payload"]}
        if len(answer.json()["payload"]) < 25:
            assert len(ids) == answer.json()["meta"]["all_count"]
            return ids
    raise AssertionError("the list does not end")


def expected(world: World, test: Any) -> set[int]:
    ids = {c.display_id for c in world.support.conversations() if test(c)}
    assert ids, "a test that matches nothing proves nothing"
    return ids


def utc_day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def test_the_answer_is_not_wrapped_in_data_and_holds_25_of_any_status(api: TestClient) -> None:
    body = api.post(PATH, json={"payload": [condition("status", "equal_to", ["all"])]}).json()
    assert body.keys() == {"meta", "payload"}
    assert len(body["payload"]) == 25
    assert body["meta"].keys() == {"mine_count", "assigned_count", "unassigned_count", "all_count"}
    assert {c["status"] for c in body["payload"]} > {"open"}


@pytest.mark.parametrize("key", ["created_at", "last_activity_at"])
def test_dates_are_compared_strictly_as_utc_calendar_days(world: World, api: TestClient, key: str) -> None:
    """A window of one day therefore needs the day before and the day after."""

    def day(c: Conversation) -> str:
        return utc_day(getattr(c, key))

    assert matching(api, condition(key, "is_greater_than", ["2026-11-12"])) == expected(
        world, lambda c: day(c) > "2026-11-12"
    )
    assert matching(api, condition(key, "is_less_than", ["2026-11-12"])) == expected(
        world, lambda c: day(c) < "2026-11-12"
    )
    one_day = (condition(key, "is_greater_than", ["2026-11-11"], "AND"), condition(key, "is_less_than", ["2026-11-13"]))
    assert matching(api, *one_day) == expected(world, lambda c: day(c) == "2026-11-12")


def test_the_time_of_day_in_a_value_is_cut_off(world: World, api: TestClient) -> None:
    by_day = matching(api, condition("created_at", "is_greater_than", ["2026-11-12"]))
    assert matching(api, condition("created_at", "is_greater_than", ["2026-11-12T18:30:00Z"])) == by_day
    assert matching(api, condition("created_at", "is_greater_than", ["2026-11-12T23:30:00-05:00"])) == by_day


def test_days_before_counts_from_today_in_utc(world: World, api: TestClient) -> None:
    limit = (NOW.date() - timedelta(days=5)).isoformat()
    assert matching(api, condition("created_at", "days_before", [5])) == expected(
        world, lambda c: utc_day(c.created_at) < limit
    )


@pytest.mark.parametrize(
    ("conditions", "test"),
    [
        ([condition("status", "equal_to", ["open", "snoozed"])], lambda c: c.status in ("open", "snoozed")),
        ([condition("status", "not_equal_to", ["resolved"])], lambda c: c.status != "resolved"),
        ([condition("inbox_id", "equal_to", [2])], lambda c: c.inbox.id == 2),
        ([condition("inbox_id", "equal_to", ["2", "3"])], lambda c: c.inbox.id in (2, 3)),
        ([condition("assignee_id", "equal_to", [1])], lambda c: isinstance(c.assignee, Agent) and c.assignee.id == 1),
        ([condition("assignee_id", "is_present", [])], lambda c: isinstance(c.assignee, Agent)),
        ([condition("assignee_id", "is_not_present", [])], lambda c: not isinstance(c.assignee, Agent)),
        ([condition("labels", "equal_to", ["delivery"])], lambda c: "delivery" in c.labels),
        ([condition("labels", "not_equal_to", ["delivery"])], lambda c: "delivery" not in c.labels),
        ([condition("priority", "equal_to", ["high"])], lambda c: c.priority == "high"),
    ],
)
def test_attributes_are_compared(world: World, api: TestClient, conditions: list[Any], test: Any) -> None:
    assert matching(api, *conditions) == expected(world, test)


def test_a_null_never_matches_not_equal_to(world: World, api: TestClient) -> None:
    assert matching(api, condition("assignee_id", "not_equal_to", [1])) == expected(
        world, lambda c: isinstance(c.assignee, Agent) and c.assignee.id != 1
    )


def test_and_binds_tighter_than_or(world: World, api: TestClient) -> None:
    conditions = (
        condition("inbox_id", "equal_to", [3], "or"),
        condition("inbox_id", "equal_to", [1], "and"),
        condition("status", "equal_to", ["open"]),
    )
    assert matching(api, *conditions) == expected(
        world, lambda c: c.inbox.id == 3 or (c.inbox.id == 1 and c.status == "open")
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (condition("updated_at", "is_greater_than", ["2026-11-01"]), "Invalid attribute key - [updated_at]"),
        (condition("created_at", "equal_to", ["2026-11-01"]), "Invalid operator"),
        (condition("created_at", "is_greater_than", []), "values provided for created_at"),
        (condition("created_at", "is_greater_than", ["1793000000"]), "values provided for created_at"),
        (condition("status", "equal_to", ["open"], "XOR"), 'must be either "AND" or "OR"'),
    ],
)
def test_a_condition_the_server_does_not_know_is_422(api: TestClient, bad: dict[str, Any], message: str) -> None:
    answer = api.post(PATH, json={"payload": [bad]})
    assert answer.status_code == 422
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "payload",
    [
        [],
        None,
        [condition("status", "equal_to", ["open"], "AND")],
        [condition("status", "equal_to", ["open"]), condition("inbox_id", "equal_to", [1])],
    ],
)
def test_conditions_that_break_the_sql_are_500(api: TestClient, payload: Any) -> None:
    assert api.post(PATH, json={"payload": payload}).status_code == 500
