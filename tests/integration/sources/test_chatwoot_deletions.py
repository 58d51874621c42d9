"""What Chatwoot deleted and merged is found, in few requests; the truth is the desk's own list of what is gone."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.sources import Deletion, Held, TransientSourceError
from hotdash_pipelines.sources.chatwoot import sweeps

from .conftest import NOW, Bench

ROUGH = "calm,+deleted_conversations=0.04,+deleted_contacts=0.3,+merged_contacts=0.4,+edited_contacts=0.5"


class Warehouse(Held):
    """What a warehouse would hold that read the desk all along: everybody who was ever there, less what was noticed."""

    def __init__(self, since):
        self.since = since
        self.records = {"conversations": {}, "contacts": {}}
        self.deletions = []

    def read(self, support):
        for one in support.conversations():
            self.records["conversations"][one.display_id] = datetime.fromtimestamp(one.created_at, UTC)
        for one in support.contacts():
            self.records["contacts"][one.id] = datetime.fromtimestamp(one.created_at, UTC)

    def mark(self, deletions):
        self.deletions = deletions
        for entity, number in deletions:
            self.records[f"{entity}s"].pop(number, None)

    def alive(self, stream):
        return self.records[stream]

    def loaded_since(self, _stream):
        return self.since


def held_all_along(support):
    """The warehouse of somebody who read the desk since it opened."""
    opened = support.opened_on
    held = Warehouse(datetime(opened.year, opened.month, opened.day, tzinfo=UTC))
    held.read(support)
    return held


@pytest.fixture(scope="module")
def nights():
    """Twelve nights of a desk that loses much: the bench, what was noticed each night, and what it cost."""
    with start_stand_in(scale=0.03, now=NOW - timedelta(days=12), rough=ROUGH) as running:
        bench, support = Bench(running), running.world.support
        opened = support.opened_on
        held = Warehouse(datetime(opened.year, opened.month, opened.day, tzinfo=UTC))
        noticed, costs = [], []
        for _ in range(13):
            held.read(support)
            running.log.clear()
            key = running.world.shop.day_of(int(support.now())).isoformat()
            fetched = bench.fetch("chatwoot", "deletions", key, bench.client("chatwoot"), held=held)
            found = [(one["entity"], one["entity_id"]) for one in bench.records(fetched)]
            noticed.append((support.now(), found))
            costs.append(Counter(entry["path"].split("/")[-1] for entry in running.log.entries("chatwoot")))
            held.mark(found)
            running.clock.advance(timedelta(days=1))
        running.clock.advance(timedelta(days=-1))
        yield bench, noticed, costs


def test_every_deleted_conversation_is_noticed_in_the_next_night(nights):
    bench, noticed, _ = nights
    seen = {number: at for at, found in noticed for entity, number in found if entity == "conversation"}
    first = noticed[0][0]
    gone = [one for one in bench.store.world.support.gone() if one.entity == "conversation" and one.at > first]
    assert len(gone) > 5
    assert {one.number for one in gone} == seen.keys()
    for one in gone:
        assert 0 <= seen[one.number] - one.at <= 86_400


def test_deleted_and_merged_contacts_are_noticed_within_a_round_of_the_list(nights):
    bench, noticed, _ = nights
    seen = {number: at for at, found in noticed for entity, number in found if entity == "contact"}
    first, last = noticed[0][0], noticed[-1][0]
    listed = {one.number for one in bench.store.world.support.gone() if one.entity == "contact" and one.at > first}
    assert seen.keys() <= listed
    assert len(seen) > 5
    for one in bench.store.world.support.gone():
        if one.entity == "contact" and first < one.at < last - 8 * 86_400 and one.number in held_contacts(bench, one):
            assert seen[one.number] - one.at <= 8 * 86_400


def held_contacts(bench, gone):
    """The contact was listed while it was there: an anonymous visitor never is."""
    return {gone.number} if gone.number % 2 else set()


def test_nothing_is_noticed_twice_and_nothing_that_is_there(nights):
    bench, noticed, _ = nights
    support = bench.store.world.support
    found = [one for _, night in noticed for one in night]
    assert len(found) == len(set(found))
    there = {("conversation", c.display_id) for c in support.conversations()} | {
        ("contact", c.id) for c in support.contacts()
    }
    assert not there & set(found)


def test_a_look_for_what_is_gone_costs_few_requests(nights):
    """A night without a deletion is one count and the list of the last days, 25 a page, with a look at its end.

    Each one that is gone costs its way to the day, and its own 404.
    """
    bench, noticed, costs = nights
    began = [one.created_at for one in bench.store.world.support.conversations()]
    for (now, found), cost in zip(noticed, costs, strict=True):
        gone = sum(entity == "conversation" for entity, _ in found)
        young = sum(now - 2 * 86_400 < at <= now for at in began) + gone
        assert cost["filter"] <= 1 + (2 + young // 25) + 12 * gone


@pytest.mark.parametrize("hours", [1, 10, 30, 47, 100])
def test_a_conversation_that_is_gone_is_noticed_however_young_it_is(nights, hours):
    bench, _, _ = nights
    support = bench.store.world.support
    held = held_all_along(support)
    gone = max(held.records["conversations"]) + 1
    held.records["conversations"][gone] = datetime.fromtimestamp(support.now(), UTC) - timedelta(hours=hours)
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    assert [(one["entity"], one["entity_id"]) for one in bench.records(fetched)] == [("conversation", gone)]


def test_what_began_before_the_first_load_takes_no_turn_of_what_is_surely_missing(nights):
    bench, _, _ = nights
    support = bench.store.world.support
    now = datetime.fromtimestamp(support.now(), UTC)
    held = Warehouse(now - timedelta(days=30))
    # More of them than can be asked for in a night, and all of lower numbers.
    long_ago = {number: now - timedelta(days=300) for number in range(1, 1_000)}
    held.records["conversations"] = {**long_ago, 10**9: now - timedelta(hours=10)}
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    assert 10**9 in {one["entity_id"] for one in bench.records(fetched)}


def test_a_list_of_young_conversations_that_does_not_settle_is_noted_and_fails_nothing(nights):
    bench, _, _ = nights
    support = bench.store.world.support
    held = held_all_along(support)
    with pytest.MonkeyPatch.context() as patch:

        def unsettled(*_):
            raise TransientSourceError("127.0.0.1: the list never settles")

        patch.setattr(sweeps, "filtered", unsettled)
        fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    assert fetched.notes["young_not_listed"] is True


def test_more_young_conversations_than_a_night_may_list_are_left_to_the_count(nights):
    bench, _, _ = nights
    held = held_all_along(bench.store.world.support)
    began = datetime.fromtimestamp(bench.store.world.support.now(), UTC) - timedelta(hours=10)
    held.records["conversations"] |= {10**9 + number: began for number in range(25 * sweeps.MOST_REQUESTS)}
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    assert fetched.notes["sweep_cut"] is True
    assert bench.records(fetched) == []


def test_a_past_day_asks_nothing_and_keeps_what_was_noticed_on_it(nights):
    bench, _, _ = nights
    at = bench.window("2026-11-15").start + timedelta(hours=4)

    class Noticed(Held):
        def noticed(self):
            return [Deletion("contact", 7, at)]

    bench.store.log.clear()
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-15", held=Noticed())
    assert bench.records(fetched) == [{"entity": "contact", "entity_id": 7, "noticed_at": at.timestamp()}]
    assert fetched.requests <= 1


def test_without_a_warehouse_nothing_is_taken_for_gone(nights):
    bench, _, _ = nights
    assert bench.records(bench.fetch("chatwoot", "deletions", "2026-11-20")) == []


def test_a_listing_that_comes_back_empty_is_no_deletion(nights):
    """The filter answers nothing for once: each record that would be gone is asked for, and is there."""
    bench, _, _ = nights
    support = bench.store.world.support
    held = held_all_along(support)
    empty = {"meta": {"all_count": 0, "count": 0}, "payload": []}
    bench.store.scenarios.add("status", "chatwoot", "filter", 50, status=200, body=empty)
    bench.store.scenarios.add("status", "chatwoot", "1/contacts", 3, status=200, body=empty)
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    bench.store.scenarios.clear()
    assert bench.records(fetched) == []


def test_what_was_noticed_earlier_in_the_day_keeps_the_instant_of_the_first_notice(nights):
    """Its row is not marked yet: the day was read and not loaded."""
    bench, _, _ = nights
    support = bench.store.world.support
    opened = support.opened_on
    gone = next(one.number for one in support.gone() if one.entity == "conversation")
    first = bench.window("2026-11-20").start + timedelta(hours=4)

    class NotMarked(Warehouse):
        def noticed(self):
            return [Deletion("conversation", gone, first)]

    held = NotMarked(datetime(opened.year, opened.month, opened.day, tzinfo=UTC))
    held.read(support)
    held.records["conversations"][gone] = NOW - timedelta(days=5)
    fetched = bench.fetch("chatwoot", "deletions", "2026-11-20", bench.client("chatwoot"), held=held)
    assert bench.records(fetched) == [{"entity": "conversation", "entity_id": gone, "noticed_at": first.timestamp()}]


def test_contacts_edited_or_merged_long_after_their_last_activity_are_read_within_a_round(nights):
    bench, _, _ = nights
    support = bench.store.world.support
    phones = {}
    for _ in range(8):
        key = bench.store.world.shop.day_of(int(support.now())).isoformat()
        for one in bench.records(bench.fetch("chatwoot", "contacts", key, bench.client("chatwoot"))):
            phones[one["id"]] = one["phone_number"]
        bench.store.clock.advance(timedelta(days=1))
    now = support.now()
    quiet = [c for c in support.contacts() if c.last_activity_at < now - 10 * 86_400]
    edited = [c for c in quiet if (c.phone or "").startswith("+1555")]
    assert len(edited) > 3
    changed_since = {c.id for c in quiet if phones.get(c.id) != c.phone}
    assert len(changed_since) <= 0.1 * len(quiet)
