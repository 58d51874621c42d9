"""ChatwootClient: signing in, the administrator's role, refusals, listings, against scripted answers."""

import httpx
import pytest

from hotdash_pipelines.sources import PermanentSourceError, TransientSourceError, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from tests.unit.sources.chatwoot.desk import TOKEN, WINDOW, client, fetch, profile


def test_the_role_is_asked_once_and_the_token_is_only_in_the_header(script, fake_time):
    steps = script(profile(), httpx.Response(200, json=[]), httpx.Response(200, json=[]))
    chat = client(steps.transport, fake_time)
    for _ in range(2):
        fetcher("chatwoot", "agents")(chat, None, WINDOW)
    assert [one.url.path for one in steps.seen] == ["/api/v1/profile", *["/api/v1/accounts/1/agents"] * 2]
    assert all(one.headers["api_access_token"] == TOKEN and TOKEN not in str(one.url) for one in steps.seen)


def test_an_agents_token_is_refused_because_it_would_see_a_part(script, fake_time):
    steps = script(profile("agent"))
    with pytest.raises(PermanentSourceError, match="not an administrator's"):
        fetch("conversations", steps.transport, fake_time)
    assert len(steps.seen) == 1


def test_a_token_of_another_account_is_refused(script, fake_time):
    with pytest.raises(PermanentSourceError, match="HOTDASH_CHATWOOT_ACCOUNT_ID"):
        client(script(profile(account=2)).transport, fake_time).ping()


def test_an_administrator_pings(script, fake_time):
    pinged = client(script(profile()).transport, fake_time).ping()
    assert pinged == "chat.example, account 1, administrator"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_names_the_setting_and_hides_the_token(script, fake_time, status):
    steps = script(httpx.Response(status, text=TOKEN))
    with pytest.raises(PermanentSourceError, match=rf"answered {status}: .*HOTDASH_CHATWOOT_") as caught:
        fetch("agents", steps.transport, fake_time)
    assert TOKEN not in str(caught.value)
    assert str(caught.value).startswith("chatwoot/agents 2026-11-18: ")


def test_a_missing_token_is_told_when_the_client_is_made():
    with pytest.raises(PermanentSourceError, match="HOTDASH_CHATWOOT_API_TOKEN"):
        ChatwootClient("https://chat.example", 1, "")


def test_a_bare_list_is_wrapped_and_a_wrapped_one_left_as_it_came(script, fake_time):
    bare = fetch("agents", script(profile(), httpx.Response(200, json=[{"id": 1}])).transport, fake_time)
    raw = b'{"payload": [{"id": 1}, {"id": 2}]}'
    wrapped = fetch("inboxes", script(profile(), httpx.Response(200, content=raw)).transport, fake_time)
    assert bare.pages == [b'{"payload":[{"id":1}]}']
    assert wrapped.pages == [raw]
    assert (bare.expected_rows, wrapped.expected_rows) == (None, None)


def test_an_answer_without_a_list_is_transient(script, fake_time):
    steps = script(profile(), httpx.Response(200, json={"error": "x"}))
    with pytest.raises(TransientSourceError, match="without a list"):
        fetch("inboxes", steps.transport, fake_time)
