"""ChatwootClient, its shifting lists and its windows, against scripted answers and a small server."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.sources import PermanentSourceError, TransientSourceError, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient

TOKEN = "Zq8ZkTnV3xWcY7RfPdLm2aBs"
WINDOW = window_of("2026-11-18", ZoneInfo("America/New_York"))
START, END = int(WINDOW.start.timestamp()), int(WINDOW.end.timestamp())


def profile(role="administrator", account=1):
    return httpx.Response(200, json={"role": role, "accounts": [{"id": account, "role": role}]})


def client(transport, fake_time):
    return ChatwootClient(
        "https://chat.example", 1, TOKEN, sleep=fake_time.sleep, clock=fake_time.now, transport=transport
    )


def fetch(stream, transport, fake_time):
    return fetcher("chatwoot", stream)(client(transport, fake_time), None, WINDOW)


def listed(records, count, key="all_count"):
    return httpx.Response(200, json={"meta": {key: count}, "payload": records})


def talk(number, at, created=None):
    return {"id": number, "last_activity_at": at, "created_at": created or at, "messages": []}


def payloads(fetched):
    return [one for body in fetched.pages for one in orjson.loads(body)["payload"]]


def ids(fetched):
    return [one["id"] for one in payloads(fetched)]


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
    assert (bare.expected_rows, wrapped.expected_rows) == (1, 2)


def test_an_answer_without_a_list_is_transient(script, fake_time):
    steps = script(profile(), httpx.Response(200, json={"error": "x"}))
    with pytest.raises(TransientSourceError, match="without a list"):
        fetch("inboxes", steps.transport, fake_time)


def test_conversations_are_asked_a_day_wider_and_cut_to_the_half_open_window(script, fake_time):
    records = [talk(5, END + 9), talk(4, END), talk(3, END - 1), talk(2, START), talk(1, START - 1)]
    steps = script(profile(), listed(records, 5))
    fetched = fetch("conversations", steps.transport, fake_time)
    assert ids(fetched) == [3, 2]
    assert fetched.expected_rows == 2
    body = orjson.loads(steps.seen[1].content)["payload"]
    assert [(one["filter_operator"], one["values"], one["query_operator"]) for one in body] == [
        ("is_greater_than", ["2026-11-17"], "AND"),
        ("is_less_than", ["2026-11-20"], None),
    ]


def test_paging_goes_on_until_the_window_is_behind(script, fake_time):
    first = [talk(9, END - 1), talk(8, END - 2)]
    second = [talk(7, START), talk(6, START - 1)]
    steps = script(profile(), listed(first, 900), listed(second, 900))
    assert ids(fetch("conversations", steps.transport, fake_time)) == [9, 8, 7]
    assert [one.url.params["page"] for one in steps.seen[1:]] == ["1", "2"]


def test_a_list_that_shrinks_while_it_is_read_is_read_again(script, fake_time):
    """A conversation that leaves the filter pulls the next one over the page's edge: it would be missed."""
    steps = script(
        profile(),
        listed([talk(4, END - 1), talk(3, END - 2)], 4),
        listed([talk(1, END - 4)], 3),
        listed([talk(3, END - 2), talk(2, END - 3)], 3),
        listed([talk(1, END - 4)], 3),
    )
    fetched = fetch("conversations", steps.transport, fake_time)
    assert ids(fetched) == [3, 2, 1]
    assert fetched.notes == {"rereads": 1}


def test_a_record_seen_twice_counts_as_drift_and_is_kept_once(script, fake_time):
    drifted = [
        listed([talk(4, END - 1), talk(3, END - 2)], 4),
        listed([talk(3, END - 2), talk(2, END - 3)], 4),
        listed([talk(1, END - 4)], 4),
    ]
    steps = script(profile(), *drifted, *drifted)
    fetched = fetch("conversations", steps.transport, fake_time)
    assert ids(fetched) == [4, 3, 2, 1]
    assert fetched.notes == {"rereads": 1}


def test_a_page_that_lost_records_on_the_way_is_read_again(script, fake_time):
    whole = [talk(3, END - 1), talk(2, END - 2), talk(1, END - 3)]
    steps = script(profile(), listed(whole[:1], 3), listed([], 3), listed(whole, 3))
    assert ids(fetch("conversations", steps.transport, fake_time)) == [3, 2, 1]


def test_a_page_that_keeps_losing_records_is_transient_not_accepted(script, fake_time):
    cut = [listed([talk(3, END - 1)], 3), listed([], 3)]
    with pytest.raises(TransientSourceError, match=r"did not add up in 4 readings"):
        fetch("conversations", script(profile(), *cut * 4).transport, fake_time)


def test_a_short_page_in_the_middle_is_noticed_even_when_the_window_ends_early(script, fake_time):
    cut = [listed([talk(9, END - 1)], 90), listed([talk(7, END - 3), talk(1, START - 1)], 90)]
    whole = [listed([talk(9, END - 1), talk(8, END - 2)], 90), listed([talk(7, END - 3), talk(1, START - 1)], 90)]
    steps = script(profile(), *cut, *whole)
    assert ids(fetch("conversations", steps.transport, fake_time)) == [9, 8, 7]


def test_contacts_are_paged_by_activity_until_the_window_is_behind(script, fake_time):
    records = [talk(4, END + 5), talk(3, END - 1), talk(2, START - 1), {"id": 1, "created_at": 5}]
    steps = script(profile(), listed(records, 90, "count"))
    fetched = fetch("contacts", steps.transport, fake_time)
    assert ids(fetched) == [3]
    assert steps.seen[1].url.params["sort"] == "-last_activity_at"


def test_a_day_without_records_has_no_pages(script, fake_time):
    fetched = fetch("conversations", script(profile(), listed([], 0)).transport, fake_time)
    assert (fetched.pages, fetched.expected_rows, fetched.requests) == ([], 0, 2)


class Desk:
    """A server of one conversation whose messages are cut by id and ordered by time, as the real one does it."""

    def __init__(self, messages, created):
        self.messages = messages
        self.conversation = {
            "id": 77,
            "created_at": created,
            "last_activity_at": max(at for _, at in messages),
            "messages": [{"id": max(number for number, _ in messages)}],
        }
        self.asked = []
        self.cut_once = False

    def __call__(self, request):
        path, query = request.url.path, request.url.params
        if path.endswith("/profile"):
            return profile()
        if path.endswith("/filter"):
            return listed([self.conversation], 1)
        self.asked.append(dict(query))
        ordered = sorted(self.messages, key=lambda one: one[1])
        messages = ordered[-20:]
        if "after" in query:
            messages = [one for one in ordered if one[0] > int(query["after"])][:100]
        if self.cut_once:
            messages, self.cut_once = messages[: len(messages) // 2], False
        return httpx.Response(
            200, json={"meta": {}, "payload": [{"id": number, "created_at": at} for number, at in messages]}
        )

    def fetch(self, fake_time):
        return fetch("messages", httpx.MockTransport(self), fake_time)


def minutes(first, count, begin, step=60):
    return [(first + number, begin + number * step) for number in range(count)]


def test_messages_are_cut_to_the_window(fake_time):
    desk = Desk([(1, START - 5), (2, START), (3, END - 1), (4, END)], START - 5)
    assert ids(desk.fetch(fake_time)) == [2, 3]
    assert desk.asked == [{}]


def test_a_conversation_begun_in_the_window_is_read_upwards(fake_time):
    desk = Desk(minutes(1, 250, START), START)
    fetched = desk.fetch(fake_time)
    assert sorted(ids(fetched)) == list(range(1, 251))
    assert desk.asked[0] == {"after": "0"}
    assert fetched.expected_rows == 250


def test_a_long_conversation_with_little_in_the_window_costs_one_request(fake_time):
    desk = Desk(minutes(1, 5000, START - 5000 * 60) + minutes(9000, 10, START + 60), START - 5000 * 60)
    assert ids(desk.fetch(fake_time)) == list(range(9000, 9010))
    assert len(desk.asked) == 1


def test_an_old_window_of_a_long_conversation_is_read_upwards_and_no_further(fake_time):
    old = minutes(1, 150, START - 150 * 60)
    desk = Desk(old + minutes(500, 30, START) + minutes(1000, 900, END), START - 150 * 60)
    assert sorted(ids(desk.fetch(fake_time))) == list(range(500, 530))
    assert len(desk.asked) < 6


def test_a_message_stored_out_of_order_at_a_page_edge_is_not_skipped(fake_time):
    messages = [*minutes(1, 99, START), (500, START + 99 * 60), *minutes(100, 60, START + 100 * 60)]
    desk = Desk(messages, START)
    assert sorted(ids(desk.fetch(fake_time))) == sorted(number for number, _ in messages)


def test_messages_cut_on_the_way_are_noticed_by_the_conversations_last_one(fake_time):
    desk = Desk(minutes(1, 12, START), START)
    desk.cut_once = True
    fetched = desk.fetch(fake_time)
    assert ids(fetched) == list(range(1, 13))
    assert fetched.notes == {"rereads": 1, "conversations": 1}


def test_messages_that_stay_cut_are_transient(fake_time):
    desk = Desk(minutes(1, 12, START), START)
    desk.conversation["messages"] = [{"id": 99}]
    with pytest.raises(TransientSourceError, match="conversation 77 end before its last one"):
        desk.fetch(fake_time)


def test_a_conversation_begun_after_the_window_is_not_read(fake_time):
    desk = Desk(minutes(1, 3, END + 60), END + 60)
    assert desk.fetch(fake_time).pages == []
    assert desk.asked == []


def test_the_filter_of_messages_reaches_conversations_active_since(script, fake_time):
    steps = script(profile(), listed([], 0))
    fetch("messages", steps.transport, fake_time)
    body = orjson.loads(steps.seen[1].content)["payload"]
    later = (WINDOW.end + timedelta(days=1)).date().isoformat()
    assert [(one["attribute_key"], one["filter_operator"], one["values"][0]) for one in body] == [
        ("created_at", "is_less_than", later),
        ("last_activity_at", "is_greater_than", "2026-11-17"),
    ]
