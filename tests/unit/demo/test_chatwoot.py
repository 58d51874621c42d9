"""The Chatwoot face of the stand-in: shapes, paging, visibility and faults as on the real server."""

from __future__ import annotations

from collections.abc import Iterator
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

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ACCOUNT = "/api/v1/accounts/1"

# Field -> JSON types of it, from the published OpenAPI and the server's views.
CONVERSATION_FIELDS: dict[str, tuple[type, ...]] = {
    "meta": (dict,), "id": (int,), "messages": (list,), "account_id": (int,), "uuid": (str,),
    "additional_attributes": (dict,), "agent_last_seen_at": (int,), "assignee_last_seen_at": (int,),
    "can_reply": (bool,), "contact_last_seen_at": (int,), "custom_attributes": (dict,), "inbox_id": (int,),
    "labels": (list,), "muted": (bool,), "snoozed_until": (str, type(None)), "status": (str,), "created_at": (int,),
    "updated_at": (float,), "timestamp": (int,), "first_reply_created_at": (int,), "unread_count": (int,),
    "last_non_activity_message": (dict, type(None)), "last_activity_at": (int,), "priority": (str, type(None)),
    "waiting_since": (int,), "sla_policy_id": (type(None),),
}  # fmt: skip
MESSAGE_FIELDS: dict[str, tuple[type, ...]] = {
    "id": (int,), "content": (str,), "inbox_id": (int,), "conversation_id": (int,), "message_type": (int,),
    "content_type": (str,), "status": (str,), "content_attributes": (dict,), "created_at": (int,), "private": (bool,),
    "source_id": (str, type(None)),
}  # fmt: skip
CONTACT_FIELDS: dict[str, tuple[type, ...]] = {
    "additional_attributes": (dict,), "availability_status": (str,), "email": (str, type(None)), "id": (int,),
    "name": (str,), "phone_number": (str, type(None)), "blocked": (bool,), "identifier": (str, type(None)),
    "thumbnail": (str,), "custom_attributes": (dict,), "last_activity_at": (int,), "created_at": (int,),
}  # fmt: skip


def make_world(scale: float = 0.02) -> World:
    clock = VirtualClock(NOW)
    credentials = {"chatwoot_token": "admin-token", "chatwoot_agent_token": "agent-token"}
    return World(Shop(7, scale, clock), clock, Scenarios(), RequestLog(), credentials)


def client_of(world: World, token: str | None = "admin-token") -> TestClient:
    headers = {"api_access_token": token} if token else {}
    return TestClient(Starlette(routes=chatwoot.routes(world)), headers=headers)


@pytest.fixture(scope="module")
def shared() -> World:
    """A world that tests only read."""
    return make_world()


@pytest.fixture
def api(shared: World) -> Iterator[TestClient]:
    yield client_of(shared)
    shared.scenarios.clear()


@pytest.fixture
def world() -> World:
    """A world of the test's own, to be moved or changed."""
    return make_world()


def listed(api: TestClient, **params: Any) -> list[dict[str, Any]]:
    """Every conversation, all pages."""
    conversations: list[dict[str, Any]] = []
    for page in range(1, 100):
        payload = api.get(f"{ACCOUNT}/conversations", params={"status": "all", "page": page, **params}).json()
        conversations += payload["data"]["payload"]
        if len(payload["data"]["payload"]) < 25:
            return conversations
    raise AssertionError("the list does not end")


def assert_fields(shown: dict[str, Any], fields: dict[str, tuple[type, ...]]) -> None:
    missing = fields.keys() - shown.keys()
    assert not missing, missing
    for name, types in fields.items():
        assert type(shown[name]) in types, (name, shown[name])


def test_a_request_without_a_token_is_refused_with_json(shared: World) -> None:
    answer = client_of(shared, None).get(f"{ACCOUNT}/conversations")
    assert answer.status_code == 401
    assert answer.json() == {"errors": ["You need to sign in or sign up before continuing."]}


def test_a_wrong_token_is_refused_with_json(shared: World) -> None:
    answer = client_of(shared, "nonsense").get(f"{ACCOUNT}/conversations")
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid Access Token"})


def test_another_account_is_not_found(api: TestClient) -> None:
    answer = api.get("/api/v1/accounts/2/conversations")
    assert (answer.status_code, answer.json()) == (404, {"error": "Resource could not be found"})


def test_the_profile_tells_the_role(shared: World) -> None:
    for token, role in (("admin-token", "administrator"), ("agent-token", "agent")):
        profile = client_of(shared, token).get("/api/v1/profile").json()
        assert profile["role"] == role
        assert [(account["id"], account["role"]) for account in profile["accounts"]] == [(1, role)]


def test_only_open_conversations_are_listed_unless_asked_otherwise(api: TestClient) -> None:
    data = api.get(f"{ACCOUNT}/conversations").json()["data"]
    assert {c["status"] for c in data["payload"]} == {"open"}
    everything = api.get(f"{ACCOUNT}/conversations", params={"status": "all"}).json()["data"]
    assert everything["meta"]["all_count"] > data["meta"]["all_count"] > 0
    resolved = api.get(f"{ACCOUNT}/conversations", params={"status": "resolved"}).json()["data"]
    assert {c["status"] for c in resolved["payload"]} == {"resolved"}


def test_pages_hold_25_and_together_hold_each_conversation_once(api: TestClient) -> None:
    first = api.get(f"{ACCOUNT}/conversations", params={"status": "all"}).json()["data"]
    assert len(first["payload"]) == 25
    assert first["payload"] == api.get(f"{ACCOUNT}/conversations?status=all&page=1").json()["data"]["payload"]
    ids = [c["id"] for c in listed(api)]
    assert len(ids) == len(set(ids)) == first["meta"]["all_count"]
    assert api.get(f"{ACCOUNT}/conversations?status=all&page=999").json()["data"]["payload"] == []


def test_the_newest_activity_comes_first_unless_sorted_otherwise(api: TestClient) -> None:
    activity = [c["last_activity_at"] for c in listed(api)]
    assert activity == sorted(activity, reverse=True)
    created = [c["created_at"] for c in listed(api, sort_by="created_at_asc")]
    assert created == sorted(created)


def test_the_counts_add_up(api: TestClient) -> None:
    meta = api.get(f"{ACCOUNT}/conversations", params={"status": "all"}).json()["data"]["meta"]
    everything = listed(api)
    assert meta["all_count"] == len(everything)
    assert meta["unassigned_count"] == sum("assignee" not in c["meta"] for c in everything)
    assert meta["assigned_count"] == meta["all_count"] - meta["unassigned_count"]
    assert meta["mine_count"] == sum(c["meta"].get("assignee", {}).get("id") == 1 for c in everything)


def test_updated_within_is_not_paged_and_takes_what_changed_lately(api: TestClient) -> None:
    seconds = 5 * 86_400
    recent = api.get(f"{ACCOUNT}/conversations", params={"status": "all", "updated_within": seconds, "page": 2}).json()
    expected = {c["id"] for c in listed(api) if c["updated_at"] > NOW.timestamp() - seconds}
    assert {c["id"] for c in recent["data"]["payload"]} == expected
    assert len(expected) > 25


def test_a_conversation_has_every_field_with_its_type(api: TestClient) -> None:
    for shown in listed(api):
        assert_fields(shown, CONVERSATION_FIELDS)
        assert_fields(shown["meta"]["sender"], CONTACT_FIELDS)
        assert shown["meta"]["channel"].startswith("Channel::")
        if shown["meta"].get("assignee_type") == "User":
            assert {"id", "name", "email", "role", "available_name", "account_id"} <= shown["meta"]["assignee"].keys()
        elif "assignee" in shown["meta"]:
            assert shown["meta"]["assignee_type"] == "AgentBot"
            assert shown["meta"]["assignee"].keys() == {"id", "name", "avatar_url", "thumbnail"}
        (last,) = shown["messages"]
        assert_fields(last, {**MESSAGE_FIELDS, "account_id": (int,), "conversation": (dict,), "updated_at": (str,)})
        assert last["conversation_id"] == shown["id"]


def test_an_epoch_that_is_null_is_shown_as_zero(api: TestClient) -> None:
    shown = listed(api)
    for field in ("first_reply_created_at", "waiting_since", "agent_last_seen_at"):
        values = {c[field] for c in shown}
        assert 0 in values, field
        assert None not in values, field
        assert max(values) > 1_700_000_000


def test_updated_at_is_a_float_with_a_fraction(api: TestClient) -> None:
    assert any(c["updated_at"] % 1 for c in listed(api))


def test_conversations_are_named_by_display_id_never_by_the_internal_one(shared: World, api: TestClient) -> None:
    shown = {c["id"] for c in listed(api)}
    assert shown == {c.display_id for c in shared.support.conversations()}
    assert shown.isdisjoint(c.id for c in shared.support.conversations())
    internal = shared.support.conversations()[0].id
    assert api.get(f"{ACCOUNT}/conversations/{internal}/messages").status_code == 404


def longest(world: World, count: int) -> int:
    """A conversation with more than `count` messages: made longer if need be."""
    conversation = max(world.support.conversations(), key=lambda c: len(c.messages))
    while len(conversation.messages) <= count:
        world.support.receive(conversation.display_id, "And another thing.")
    return conversation.display_id


def test_messages_come_as_the_newest_20_ascending(world: World) -> None:
    number = longest(world, 130)
    every = [m.id for m in world.support.conversation(number).messages]
    payload = client_of(world).get(f"{ACCOUNT}/conversations/{number}/messages").json()["payload"]
    assert [m["id"] for m in payload] == every[-20:]


def test_messages_are_cut_by_before_and_after(world: World) -> None:
    number = longest(world, 130)
    every = [m.id for m in world.support.conversation(number).messages]
    api = client_of(world)

    def ids(**params: int) -> list[int]:
        answer = api.get(f"{ACCOUNT}/conversations/{number}/messages", params=params).json()
        return [m["id"] for m in answer["payload"]]

    assert ids(before=every[50]) == every[30:50]
    assert ids(after=every[3]) == every[4:104]
    assert ids(after=every[-1]) == []
    assert ids(after=every[10], before=every[20]) == every[10:20]
    walked, after = [], 0
    while page := ids(after=after):
        walked += page
        after = page[-1]
    assert walked == every


def test_between_two_ids_up_to_1000_messages_come_at_once(world: World) -> None:
    number = longest(world, 1_100)
    params = {"after": 1, "before": 10**15}
    payload = client_of(world).get(f"{ACCOUNT}/conversations/{number}/messages", params=params).json()["payload"]
    assert len(payload) == 1_000
    assert payload[0]["id"] == world.support.conversation(number).messages[0].id


def test_a_message_has_every_field_with_its_type_and_an_integer_kind(api: TestClient) -> None:
    kinds = set()
    for conversation in listed(api)[:80]:
        body = api.get(f"{ACCOUNT}/conversations/{conversation['id']}/messages?after=0").json()
        assert body["meta"].keys() >= {"labels", "additional_attributes", "contact", "agent_last_seen_at"}
        assert body["meta"]["contact"]["type"] == "contact"
        for message in body["payload"]:
            assert_fields(message, MESSAGE_FIELDS)
            kinds.add(message["message_type"])
            if message["message_type"] in (2, 3):
                assert "sender" not in message
            else:
                kind = message["sender"]["type"]
                assert kind in (("contact",) if message["message_type"] == 0 else ("user", "agent_bot"))
    assert kinds == {0, 1, 2, 3}


def test_internal_messages_can_be_left_out(api: TestClient) -> None:
    for conversation in listed(api)[:40]:
        path = f"{ACCOUNT}/conversations/{conversation['id']}/messages?after=0&filter_internal_messages=true"
        assert all(m["message_type"] != 2 and not m["private"] for m in api.get(path).json()["payload"])


def test_contacts_come_15_a_page_with_count_and_the_page_as_it_was_asked_for(api: TestClient) -> None:
    first = api.get(f"{ACCOUNT}/contacts").json()
    second = api.get(f"{ACCOUNT}/contacts", params={"page": 2}).json()
    assert len(first["payload"]) == len(second["payload"]) == 15
    assert first["meta"]["current_page"] == 1
    assert second["meta"]["current_page"] == "2"
    ids = [
        contact["id"]
        for page in range(1, first["meta"]["count"] // 15 + 2)
        for contact in api.get(f"{ACCOUNT}/contacts", params={"page": page}).json()["payload"]
    ]
    assert len(set(ids)) == len(ids) == first["meta"]["count"]
    for contact in first["payload"]:
        assert_fields(contact, CONTACT_FIELDS)
        assert contact["email"] or contact["phone_number"] or contact["identifier"]
        assert contact["contact_inboxes"][0]["inbox"]["id"] in (1, 2, 3)


def test_contacts_are_sorted_by_latest_activity_on_request(api: TestClient) -> None:
    payload = api.get(f"{ACCOUNT}/contacts", params={"sort": "-last_activity_at"}).json()["payload"]
    activity = [contact["last_activity_at"] for contact in payload]
    assert activity == sorted(activity, reverse=True)
    without = api.get(f"{ACCOUNT}/contacts", params={"include_contact_inboxes": "false"}).json()["payload"]
    assert "contact_inboxes" not in without[0]


def test_small_lists_have_the_wrapping_of_the_real_server(api: TestClient) -> None:
    inboxes = api.get(f"{ACCOUNT}/inboxes").json()["payload"]
    assert {one["channel_type"] for one in inboxes} == {"Channel::WebWidget", "Channel::Email", "Channel::Api"}
    agents = api.get(f"{ACCOUNT}/agents").json()
    assert isinstance(agents, list)
    assert {one["role"] for one in agents} == {"administrator", "agent"}
    labels = {one["title"] for one in api.get(f"{ACCOUNT}/labels").json()["payload"]}
    assert {label for c in listed(api) for label in c["labels"]} <= labels


def test_an_agents_token_sees_a_part_and_nothing_says_so(shared: World, api: TestClient) -> None:
    agent = client_of(shared, "agent-token")
    seen, everything = listed(agent), listed(api)
    assert {c["inbox_id"] for c in seen} == {2}
    assert 0 < len(seen) < len(everything)
    assert [one["id"] for one in agent.get(f"{ACCOUNT}/inboxes").json()["payload"]] == [2]
    hidden = next(c["id"] for c in everything if c["inbox_id"] != 2)
    answer = agent.get(f"{ACCOUNT}/conversations/{hidden}/messages")
    assert (answer.status_code, answer.json()) == (401, {"error": "You are not authorized to do this action"})


def test_activity_while_paging_repeats_one_conversation_and_hides_another(world: World) -> None:
    quiet = {c["id"] for c in listed(client_of(world))}
    world.scenarios.add("page_drift", "chatwoot", "conversations", times=1)
    shown = [c["id"] for c in listed(client_of(world))]
    assert len(shown) == len(quiet)
    assert len(set(shown)) == len(shown) - 1
    assert len(quiet - set(shown)) == 1


def test_the_desk_moves_with_the_clock(world: World) -> None:
    api = client_of(world)
    before = {c["id"]: c["updated_at"] for c in listed(api)}
    world.clock.advance(timedelta(hours=20))
    after = {c["id"]: c["updated_at"] for c in listed(api)}
    assert after.keys() > before.keys()
    assert any(after[number] > before[number] for number in before)


def test_a_throttled_request_is_429_with_and_without_retry_after(world: World) -> None:
    world.scenarios.add("throttle", "chatwoot")
    world.scenarios.add("throttle", "chatwoot", retry_after=7)
    api = client_of(world)
    bare, timed, good = (api.get(f"{ACCOUNT}/inboxes") for _ in range(3))
    assert (bare.status_code, bare.text) == (429, "Retry later\n")
    assert "retry-after" not in bare.headers
    assert (timed.status_code, timed.headers["retry-after"]) == (429, "7")
    assert good.status_code == 200


@pytest.mark.parametrize(("status", "body"), [(500, "Internal Server Error"), (502, {"error": "upstream"})])
def test_a_status_fault_answers_as_told(world: World, status: int, body: Any) -> None:
    world.scenarios.add("status", "chatwoot", "messages", status=status, body=body)
    api = client_of(world)
    assert api.get(f"{ACCOUNT}/inboxes").status_code == 200
    answer = api.get(f"{ACCOUNT}/conversations/1/messages")
    assert answer.status_code == status
    assert (answer.text if isinstance(body, str) else answer.json()) == body


def test_the_other_faults_spoil_one_answer_each(world: World) -> None:
    api = client_of(world)
    good = api.get(f"{ACCOUNT}/conversations?status=all").json()["data"]

    def faulty(name: str, **args: Any) -> Any:
        world.scenarios.add(name, "chatwoot", "conversations", **args)
        return api.get(f"{ACCOUNT}/conversations?status=all")

    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated"):
        faulty("bad_json").json()
    truncated = faulty("truncated_page").json()["data"]
    assert truncated["payload"] == good["payload"][:12]
    assert truncated["meta"] == good["meta"]
    assert all(c["brand_new_field"] == {"nested": [1, 2]} for c in faulty("unknown_field").json()["data"]["payload"])
    assert faulty("wrong_type").json()["data"]["payload"][0]["created_at"] == "not-a-number"
    assert faulty("empty").json()["data"]["payload"] == []
    assert faulty("expired_token").status_code == 401
    assert faulty("timeout", seconds=0.01).json()["data"] == good
    assert api.get(f"{ACCOUNT}/conversations?status=all").json()["data"] == good


def test_every_request_is_logged_without_the_token(world: World) -> None:
    client_of(world).get(f"{ACCOUNT}/conversations", params={"status": "all", "page": 2})
    client_of(world, "wrong").get(f"{ACCOUNT}/inboxes")
    first, second = world.log.entries("chatwoot")
    assert (first["path"], first["status"], first["variables"]) == (
        f"{ACCOUNT}/conversations", 200, {"status": "all", "page": "2"},
    )  # fmt: skip
    assert second["status"] == 401
    assert "admin-token" not in str(world.log.entries())
