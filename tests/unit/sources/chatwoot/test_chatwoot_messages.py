"""The messages of one conversation: few requests however long it is, nothing missed, a sick one left out."""

import httpx
import pytest

from hotdash_pipelines.sources import TransientSourceError
from tests.unit.sources.chatwoot.desk import (
    END,
    OLD,
    OLD_END,
    OLD_START,
    START,
    WINDOW,
    Desk,
    fetch,
    ids,
    minutes,
    payloads,
)

DAY = 86_400


def one(messages, began, **more):
    return Desk({77: messages}, began, **more)


def test_messages_are_cut_to_the_window_of_an_old_day(fake_time):
    desk = one([(1, OLD_START - 5), (2, OLD_START), (3, OLD_END - 1), (4, OLD_END)], OLD_START - 5)
    assert ids(desk.fetch(fake_time, OLD)) == [2, 3]
    assert desk.asked == [{}]


def test_a_conversation_that_changed_is_read_whole_since_edits_change_no_number(fake_time):
    desk = one(minutes(1, 300, START - 300 * 60) + minutes(500, 5, START), START - 300 * 60)
    assert sorted(ids(desk.fetch(fake_time))) == [*range(1, 301), *range(500, 505)]
    assert len(desk.asked) == 2


def test_a_conversation_that_changed_later_gives_this_window_its_own_messages_only(fake_time):
    desk = one([(1, START - 5), (2, START), (3, END - 1), (4, END)], START - 5, changes={"updated_at": END + 9.0})
    assert ids(desk.fetch(fake_time)) == [2, 3]


def test_each_message_tells_when_its_conversation_changed_and_whether_it_was_deleted(fake_time):
    class WithDeleted(Desk):
        def message(self, number, at):
            attributes = [{}, {"deleted": True}, None, "odd", {"deleted": "yes"}][number - 1]
            return {**super().message(number, at), "content_attributes": attributes}

    desk = WithDeleted({77: minutes(1, 5, START)}, START, changes={"updated_at": START + 300.5})
    read = [one["_read"] for one in payloads(desk.fetch(fake_time))]
    assert {one["changed_at"] for one in read} == {START + 300.5}
    assert [one["is_deleted"] for one in read] == [False, True, False, False, False]


def hundred_thousand(last):
    """400 days of 250 messages a day, the last one written at `last`."""
    step = DAY // 250
    return minutes(3_000_001, 100_000, last - 99_999 * step, step)


@pytest.mark.parametrize("stored", [0, 1], ids=["nothing stored", "a number stored"])
@pytest.mark.parametrize("when", ["near", "old"])
def test_a_conversation_of_100000_messages_costs_at_most_30_requests(fake_time, stored, when):
    if when == "near":
        start, end, messages = START, END, hundred_thousand(END - 60)
    else:
        start, end, messages = OLD_START, OLD_END, hundred_thousand(END)
    desk = one(messages, messages[0][1])
    before = max(number for number, at in messages if at < start)
    window = OLD if when == "old" else None
    fetched = desk.fetch(fake_time, *([window] if window else []), **({"largest_id": before} if stored else {}))
    expected = {number for number, at in messages if start <= at < end}
    assert expected <= set(ids(fetched))
    assert fetched.requests <= 30
    if stored and when == "old":
        assert len(desk.asked) == 2
    if when == "near":
        back = {number for number, at in messages if start - 7 * DAY <= at < end}
        assert back <= set(ids(fetched))


def test_where_numbers_and_days_run_apart_the_middle_still_finds_the_window(fake_time):
    """A quiet year, then a busy month, and a jump of numbers where another account wrote: guesses alone would crawl."""
    quiet = minutes(1, 3_000, OLD_START - 400 * DAY, 3_600)
    busy = minutes(4_000_000_000, 40_000, OLD_START - 5 * DAY, 20)
    desk = one(quiet + busy, quiet[0][1])
    fetched = desk.fetch(fake_time, OLD)
    assert sorted(ids(fetched)) == [number for number, at in busy if OLD_START <= at < OLD_END]
    assert fetched.requests <= 45


def test_the_largest_number_of_a_window_is_kept_for_the_next_one(fake_time):
    desk = one([(1, OLD_START), (8, OLD_END - 600), (9, OLD_END - 60), (10, OLD_END)], OLD_START)
    assert desk.fetch(fake_time, OLD).notes["largest_id"] == 8
    assert one([(1, OLD_START - 9)], OLD_START - 9).fetch(fake_time, OLD, largest_id=55).notes["largest_id"] == 55


def test_the_largest_number_of_an_open_day_is_none_that_the_next_day_may_begin_with(fake_time):
    """An open day is asked for without an end, so that it holds what is written while midnight passes."""
    desk = one([(1, START), (8, START + 22 * 3_600), (9, END - 60), (10, END + 60)], START)
    fetched = desk.fetch(fake_time, WINDOW.asked_at(WINDOW.start))
    assert ids(fetched) == [1, 8, 9, 10]
    assert fetched.notes["largest_id"] == 8


def test_what_is_read_goes_to_the_pages_before_the_next_conversations_are_asked_for(fake_time):
    desk = Desk({77 + n: minutes(100 * n + 1, 10, START) for n in range(25)}, START)

    class Pages(list):
        asked = ()

        def append(self, page):
            super().append(page)
            self.asked += (len(desk.asked),)

    pages = Pages()
    fetched = fetch("messages", httpx.MockTransport(desk), fake_time, pages=pages)
    assert fetched.pages is pages
    assert sorted(ids(fetched)) == [100 * n + m for n in range(25) for m in range(1, 11)]
    assert pages.asked == (10, 20, 25)


def test_more_than_a_thousand_messages_of_a_day_are_all_read(fake_time):
    desk = one(minutes(1, 40, OLD_START - 40 * 60) + minutes(100, 4_321, OLD_START, 15), OLD_START - 40 * 60)
    assert sorted(ids(desk.fetch(fake_time, OLD, largest_id=40))) == list(range(100, 4_421))
    assert len(desk.asked) <= 8


def test_messages_stored_out_of_order_are_not_skipped_at_a_pages_edge(fake_time):
    """An import: large numbers, early instants. By time they come first and push others off the page."""
    imported = minutes(9_000_000, 400, OLD_START, 1)
    desk = one(
        minutes(1, 40, OLD_START - 40 * 60) + minutes(100, 2_000, OLD_START + 500, 20) + imported, OLD_START - 2_400
    )
    assert sorted(ids(desk.fetch(fake_time, OLD, largest_id=40))) == [*range(100, 2_100), *range(9_000_000, 9_000_400)]


def test_messages_cut_on_the_way_are_noticed_by_the_conversations_last_one(fake_time):
    desk = one(minutes(1, 12, START), START, cut_once=True)
    assert ids(desk.fetch(fake_time)) == list(range(1, 13))
    assert len(desk.asked) == 2


def test_a_conversation_begun_after_the_window_is_not_read(fake_time):
    desk = one(minutes(1, 3, END + 60), END + 60)
    assert list(desk.fetch(fake_time).pages) == []
    assert all("updated_within" in asked for asked in desk.asked)


BROKEN = {
    "gone": (httpx.Response(404, json={"error": "Resource could not be found"}), "gone"),
    "sick": (httpx.Response(500, text="Internal Server Error"), "answered 500"),
    "no list": (httpx.Response(200, json={"payload": None}), "without a list"),
    "no object": (httpx.Response(200, json=[None]), "end before its last one"),
    "cut": (httpx.Response(200, json={"payload": [{"id": 1, "created_at": START}]}), "end before its last one"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_conversation_that_fails_between_list_and_detail_is_named_and_its_neighbours_go_on(fake_time, kind):
    answer, reason = BROKEN[kind]
    desk = Desk({70: minutes(1, 3, START), 71: minutes(11, 3, START), 72: minutes(21, 3, START)}, START, {71: answer})
    fetched = desk.fetch(fake_time)
    assert sorted(ids(fetched)) == [1, 2, 3, 21, 22, 23]
    assert fetched.notes["skipped"] == 1
    assert fetched.notes["skipped_records"].startswith("conversation 71 (")
    assert reason in fetched.notes["skipped_records"]
    assert fetched.notes.get("sick", 0) == (0 if kind == "gone" else 1)
    assert [one.record for one in fetched.skipped] == ([] if kind == "gone" else ["conversation 71"])


def test_when_most_conversations_are_sick_it_is_the_server(fake_time):
    answer = httpx.Response(502)
    desk = Desk({n: minutes(n * 10, 3, START) for n in range(1, 9)}, START, dict.fromkeys(range(1, 9), answer))
    with pytest.raises(TransientSourceError, match="4 of 8 conversations cannot be read"):
        desk.fetch(fake_time)


def test_when_many_conversations_are_gone_the_window_stands(fake_time):
    answer = httpx.Response(404)
    desk = Desk({n: minutes(n * 10, 3, START) for n in range(1, 9)}, START, dict.fromkeys(range(2, 9), answer))
    assert ids(desk.fetch(fake_time)) == [10, 11, 12]


def test_an_older_server_without_ranges_of_numbers_is_read_twenty_at_a_time(fake_time):
    class Older(Desk):
        @staticmethod
        def _cut(ordered, query):
            return [one for one in ordered if one[0] < int(query.get("before", 10**9))][-20:]

    desk = Older({77: minutes(1, 100, OLD_START - 60) + minutes(200, 50, OLD_START + 9_000)}, OLD_START - 60)
    assert sorted(ids(desk.fetch(fake_time, OLD))) == [*range(2, 101), *range(200, 250)]


def test_a_server_that_sends_the_same_messages_for_ever_is_no_endless_loop(fake_time):
    class Stuck(Desk):
        @staticmethod
        def _cut(ordered, query):
            return ordered[-20:]

    desk = Stuck({77: minutes(1, 500, OLD_START)}, OLD_START)
    assert len(ids(desk.fetch(fake_time, OLD))) == 20
    assert len(desk.asked) == 3


def test_a_server_that_answers_other_messages_than_were_asked_for_is_named(fake_time):
    class Wrong(Desk):
        @staticmethod
        def _cut(ordered, query):
            return ordered[-20:] if "before" not in query else ordered[:30]

    desk = Wrong({77: minutes(1, 500, OLD_START)}, OLD_START)
    fetched = desk.fetch(fake_time, OLD, largest_id=100)
    assert "other messages than were asked for" in fetched.notes["skipped_records"]
    assert len(desk.asked) < 10


def test_the_filter_of_messages_reaches_conversations_active_since(fake_time):
    seen = []

    class Watched(Desk):
        def __call__(self, request):
            if request.url.path.endswith("/filter"):
                seen.append(httpx.Response(200, content=request.content).json()["payload"])
            return super().__call__(request)

    Watched({77: [(1, OLD_START)]}, OLD_START).fetch(fake_time, OLD)
    assert [(one["attribute_key"], one["filter_operator"], one["values"][0]) for one in seen[0]] == [
        ("created_at", "is_less_than", "2026-11-04"),
        ("last_activity_at", "is_greater_than", "2026-11-01"),
    ]


def test_a_conversations_last_message_may_be_missing_from_the_list(fake_time):
    desk = one(minutes(1, 3, START), START)
    desk.changes = {"messages": None}
    assert ids(desk.fetch(fake_time)) == [1, 2, 3]
