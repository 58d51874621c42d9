"""Chatwoot's shifting lists and what becomes of them: sweep, repair, and answers of odd shape."""

import httpx
import orjson
import pytest

from hotdash_pipelines.sources import TransientSourceError
from tests.unit.sources.chatwoot.desk import (
    END,
    OLD,
    OLD_END,
    OLD_START,
    START,
    WINDOW,
    fetch,
    ids,
    listed,
    payloads,
    profile,
    talk,
)


def test_conversations_are_asked_a_day_wider_and_cut_to_the_half_open_window(script, fake_time):
    records = [talk(5, OLD_END + 9), talk(4, OLD_END), talk(3, OLD_END - 1), talk(2, OLD_START), talk(1, OLD_START - 1)]
    steps = script(profile(), listed(records, 5))
    fetched = fetch("conversations", steps.transport, fake_time, OLD)
    assert ids(fetched) == [3, 2]
    assert fetched.expected_rows is None
    body = orjson.loads(steps.seen[1].content)["payload"]
    assert [(one["filter_operator"], one["values"], one["query_operator"]) for one in body] == [
        ("is_greater_than", ["2026-11-01"], "AND"),
        ("is_less_than", ["2026-11-04"], None),
    ]


def test_paging_goes_on_until_the_window_is_behind(script, fake_time):
    first = [talk(9, OLD_END - 1), talk(8, OLD_END - 2)]
    second = [talk(7, OLD_START), talk(6, OLD_START - 1)]
    steps = script(profile(), listed(first, 900), listed(second, 900))
    assert ids(fetch("conversations", steps.transport, fake_time, OLD)) == [9, 8, 7]
    assert [one.url.params["page"] for one in steps.seen[1:]] == ["1", "2"]


def test_a_list_that_shrinks_while_it_is_read_is_read_again(script, fake_time):
    """A conversation that leaves the filter pulls the next one over the page's edge: it would be missed."""
    steps = script(
        profile(),
        listed([talk(4, OLD_END - 1), talk(3, OLD_END - 2)], 4),
        listed([talk(1, OLD_END - 4)], 3),
        listed([talk(3, OLD_END - 2), talk(2, OLD_END - 3)], 3),
        listed([talk(1, OLD_END - 4)], 3),
    )
    fetched = fetch("conversations", steps.transport, fake_time, OLD)
    assert ids(fetched) == [3, 2, 1]
    assert fetched.notes == {"rereads": 1}


def test_a_record_seen_twice_counts_as_drift_and_is_kept_once(script, fake_time):
    drifted = [
        listed([talk(4, OLD_END - 1), talk(3, OLD_END - 2)], 4),
        listed([talk(3, OLD_END - 2), talk(2, OLD_END - 3)], 4),
        listed([talk(1, OLD_END - 4)], 4),
    ]
    steps = script(profile(), *drifted, *drifted)
    fetched = fetch("conversations", steps.transport, fake_time, OLD)
    assert ids(fetched) == [4, 3, 2, 1]
    assert fetched.notes == {"rereads": 1}


def test_a_page_that_lost_records_on_the_way_is_read_again(script, fake_time):
    whole = [talk(3, OLD_END - 1), talk(2, OLD_END - 2), talk(1, OLD_END - 3)]
    steps = script(profile(), listed(whole[:1], 3), listed([], 3), listed(whole, 3))
    assert ids(fetch("conversations", steps.transport, fake_time, OLD)) == [3, 2, 1]


def test_a_page_that_keeps_losing_records_is_transient_not_accepted(script, fake_time):
    cut = [listed([talk(3, OLD_END - 1)], 3), listed([], 3)]
    with pytest.raises(TransientSourceError, match=r"did not add up in 4 readings"):
        fetch("conversations", script(profile(), *cut * 4).transport, fake_time, OLD)


def test_a_short_page_in_the_middle_is_noticed_even_when_the_window_ends_early(script, fake_time):
    cut = [listed([talk(9, OLD_END - 1)], 90), listed([talk(7, OLD_END - 3), talk(1, OLD_START - 1)], 90)]
    whole = [
        listed([talk(9, OLD_END - 1), talk(8, OLD_END - 2)], 90),
        listed([talk(7, OLD_END - 3), talk(1, OLD_START - 1)], 90),
    ]
    steps = script(profile(), *cut, *whole)
    assert ids(fetch("conversations", steps.transport, fake_time, OLD)) == [9, 8, 7]


def test_contacts_are_paged_by_activity_until_the_window_is_behind(script, fake_time):
    records = [talk(4, OLD_END + 5), talk(3, OLD_END - 1), talk(2, OLD_START - 1), {"id": 1, "created_at": 5}]
    steps = script(profile(), listed(records, 90, "count"))
    fetched = fetch("contacts", steps.transport, fake_time, OLD)
    assert ids(fetched) == [3]
    assert steps.seen[1].url.params["sort"] == "-last_activity_at"


def test_a_day_without_records_has_no_pages(script, fake_time):
    fetched = fetch("conversations", script(profile(), listed([], 0)).transport, fake_time, OLD)
    assert (list(fetched.pages), fetched.expected_rows, fetched.requests) == ([], None, 2)


def near(steps, fake_time, stream="conversations"):
    return fetch(stream, steps.transport, fake_time)


def test_a_near_window_is_one_request_of_what_changed_since_whatever_its_status(script, fake_time):
    records = [talk(4, END), talk(3, END - 1), talk(2, START), talk(1, START - 1)]
    steps = script(profile(), listed(records, 900))
    fetched = near(steps, fake_time)
    assert ids(fetched) == [3, 2]
    assert fetched.requests == len(steps.seen) == 2
    asked = steps.seen[1].url.params
    since = fake_time.now().timestamp() - START
    assert asked["status"] == "all"
    assert since <= int(asked["updated_within"]) <= since + 120


def test_a_change_without_activity_is_in_the_window_of_the_change(script, fake_time):
    """A merged contact, a label: the conversation's last activity may be long ago."""
    steps = script(profile(), listed([talk(1, START - 90 * 86_400, updated_at=START + 7.25)], 900))
    assert ids(near(steps, fake_time)) == [1]


def test_the_servers_clock_decides_how_far_back_is_asked(script, fake_time):
    """Ours is two days behind; without its answer's date half of the window would not be asked for."""
    first = profile()
    first.headers["date"] = "Sun, 22 Nov 2026 12:30:00 GMT"
    steps = script(first, listed([], 900))
    near(steps, fake_time)
    assert int(steps.seen[1].url.params["updated_within"]) >= fake_time.now().timestamp() + 2 * 86_400 - START


def test_a_server_that_knows_no_updated_within_is_read_by_its_filter(script, fake_time):
    """It answers the first page of the usual list: 25 records, and perhaps older ones than were asked for."""
    page = listed([talk(100 - n, END - n) for n in range(25)], 900)
    older = listed([talk(2, START - 5 * 86_400)], 900)
    for ignoring in (page, older):
        steps = script(profile(), ignoring, listed([talk(7, START)], 1))
        assert ids(near(steps, fake_time)) == [7]
        assert steps.seen[2].url.path.endswith("/filter")


def test_a_busy_list_that_never_settles_is_put_together_instead_of_failing(script, fake_time):
    """In every sweep somebody else writes: the count never agrees, and each sweep shows somebody new."""
    sweeps = []
    for sweep in range(4):
        first = [talk(50 + sweep, OLD_END - 1), talk(40, OLD_END - 2)]
        sweeps += [listed(first, 6), listed([talk(40, OLD_END - 2), talk(30 + sweep, OLD_END - 3)], 7), listed([], 7)]
    fetched = fetch("conversations", script(profile(), *sweeps).transport, fake_time, OLD)
    assert sorted(ids(fetched)) == [30, 31, 32, 33, 40, 50, 51, 52, 53]
    assert fetched.notes == {"rereads": 3, "never_settled": True}


def test_a_record_that_moves_on_while_the_list_is_swept_leaves_the_window(script, fake_time):
    drifted = [
        listed([talk(4, OLD_END - 1), talk(3, OLD_END - 2)], 3),
        listed([talk(3, OLD_END + 60), talk(1, OLD_END - 4)], 3),
    ]
    fetched = fetch("conversations", script(profile(), *drifted, *drifted).transport, fake_time, OLD)
    assert ids(fetched) == [4, 1]


def test_a_server_that_sends_the_first_page_for_ever_is_told_and_not_waited_for(script, fake_time):
    same = [listed([talk(9, OLD_END - 1), talk(8, OLD_END - 2)], 900)] * 8
    with pytest.raises(TransientSourceError, match="did not add up in 4 readings"):
        fetch("conversations", script(profile(), *same).transport, fake_time, OLD)


@pytest.mark.parametrize("answer", [{}, {"meta": None, "payload": None}, {"payload": {"id": 1}}, "text", 7, None, [[]]])
@pytest.mark.parametrize("stream", ["conversations", "messages", "contacts", "inboxes", "agents"])
@pytest.mark.parametrize("window", [OLD, WINDOW], ids=["old", "near"])
def test_an_answer_of_another_shape_is_told_in_one_line(script, fake_time, answer, stream, window):
    steps = script(profile(), *[httpx.Response(200, json=answer)] * 40)
    if answer == [[]]:
        fetched = fetch(stream, steps.transport, fake_time, window)
        assert fetched.notes["skipped"] == 1
        return
    with pytest.raises(TransientSourceError, match=r"list|not JSON") as caught:
        fetch(stream, steps.transport, fake_time, window)
    assert "\n" not in str(caught.value)


def test_a_list_without_meta_is_read_until_a_short_page(script, fake_time):
    steps = script(
        profile(), listed([talk(4, OLD_END - 1), talk(3, OLD_END - 2)], None), listed([talk(2, OLD_START)], None)
    )
    assert ids(fetch("conversations", steps.transport, fake_time, OLD)) == [4, 3, 2]


def test_an_entry_without_a_number_is_skipped_and_named_by_its_place(script, fake_time):
    steps = script(profile(), listed([talk(4, OLD_END - 1), None, {"status": "open"}], 3))
    fetched = fetch("conversations", steps.transport, fake_time, OLD)
    assert ids(fetched) == [4]
    assert fetched.notes["skipped"] == 2
    assert "entry 2 of page 1 of the conversations" in fetched.notes["skipped_records"]


@pytest.mark.parametrize("missing", ["updated_at", "messages", "meta", "status"])
def test_an_older_servers_conversation_lacks_what_decides_nothing(script, fake_time, missing):
    record = talk(4, OLD_END - 1)
    record.pop(missing, None)
    fetched = fetch("conversations", script(profile(), listed([record], 1)).transport, fake_time, OLD)
    assert ids(fetched) == [4]
    assert payloads(fetched)[0]["updated_at"] in (OLD_END - 1, OLD_END - 0.5)


def test_a_conversation_without_a_last_activity_takes_the_older_name_of_it(script, fake_time):
    record = talk(4, OLD_END - 1)
    record["timestamp"] = record.pop("last_activity_at")
    fetched = fetch("conversations", script(profile(), listed([record], 1)).transport, fake_time, OLD)
    assert payloads(fetched)[0]["last_activity_at"] == OLD_END - 1
