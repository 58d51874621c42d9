"""What a window of Chatwoot costs in requests, counted in the stand-in's own log."""

from collections import Counter

import pytest

from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.demo.world.support_model import INCOMING, Message
from hotdash_pipelines.demo.world.support_timeline import unscripted_number
from hotdash_pipelines.sources import Held

from .conftest import NOW, Bench

KEY = "2026-11-18"
OLD_KEY = "2026-11-05"
MANY = 100_000


class Stored(Held):
    """A lake whose window before holds messages up to this number."""

    def __init__(self, largest_id):
        self.largest_id = largest_id

    def notes_before(self):
        return {"largest_id": self.largest_id}


@pytest.fixture(scope="module")
def long_store():
    """A desk with one conversation of 100,000 messages, from 400 days ago to the evening of the 18th."""
    with start_stand_in(scale=0.01, now=NOW) as running:
        support = running.world.support
        conversation = next(one for one in support.conversations() if one.messages)
        last = Bench(running).window(KEY).end.timestamp() - 3_600
        step = 400 * 86_400 / MANY
        times = [last - step * number for number in range(MANY - 1, -1, -1)]
        conversation.messages = [
            Message(unscripted_number(at), at, INCOMING, "Any news?", conversation.contact) for at in times
        ]
        conversation.created_at, conversation.last_activity_at = times[0], times[-1]
        conversation.updated_at = times[-1]
        running.world.extra["long"] = conversation
        yield running


@pytest.fixture
def long(long_store):
    long_store.log.clear()
    return Bench(long_store)


def asked(bench):
    """Requests by kind, the messages' by conversation."""
    return Counter(entry["path"].split("/accounts/1/")[-1] for entry in bench.store.log.entries("chatwoot"))


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_a_conversation_of_100000_messages_is_read_in_at_most_30_requests(long, key):
    conversation = long.store.world.extra["long"]
    fetched = long.fetch("chatwoot", "messages", key)
    window = long.window(key)
    expected = {m.id for m in conversation.messages if window.start.timestamp() <= int(m.at) < window.end.timestamp()}
    read = {one["id"] for one in long.records(fetched) if one["conversation_id"] == conversation.display_id}
    assert len(expected) >= 200
    assert expected <= read
    assert asked(long)[f"conversations/{conversation.display_id}/messages"] <= 30


def test_from_the_largest_stored_number_on_an_old_day_of_it_is_two_requests(long):
    conversation = long.store.world.extra["long"]
    day = long.window(OLD_KEY)
    stored = max(m.id for m in conversation.messages if m.at < day.start.timestamp())
    fetched = long.fetch("chatwoot", "messages", OLD_KEY, held=Stored(stored))
    assert any(one["conversation_id"] == conversation.display_id for one in long.records(fetched))
    assert asked(long)[f"conversations/{conversation.display_id}/messages"] == 2


def test_the_conversations_of_a_near_day_are_one_request_and_those_of_an_old_day_a_request_each_25(bench):
    bench.fetch("chatwoot", "conversations", KEY)
    assert asked(bench) == {"/api/v1/profile": 1, "conversations": 1}
    bench.store.log.clear()
    old = bench.fetch("chatwoot", "conversations", OLD_KEY)
    world = bench.store.world.support.conversations()
    window = bench.window(OLD_KEY)
    # The filter knows days of UTC only: those of the store's day reach into three.
    near = [c for c in world if abs(c.last_activity_at - window.start.timestamp()) < 3 * 86_400]
    assert asked(bench) == {"conversations/filter": old.requests}
    assert old.requests <= 1 + len(near) // 25


def test_the_messages_of_a_day_are_at_most_two_requests_a_conversation(bench):
    bench.fetch("chatwoot", "messages", KEY)
    requests = asked(bench)
    window = bench.window(KEY)
    changed = [
        c.display_id
        for c in bench.store.world.support.conversations()
        if c.updated_at >= window.start.timestamp() and c.created_at < window.end.timestamp()
    ]
    assert requests.pop("/api/v1/profile") == requests.pop("conversations") == 1
    assert requests.keys() == {f"conversations/{number}/messages" for number in changed}
    assert max(requests.values()) <= 2
