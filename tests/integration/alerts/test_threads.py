"""Violations reach the stand-in's Slack in order, as threads that end in an edit, whatever goes wrong on the way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from hotdash_pipelines.alerts import Delivery, SlackDestination, requeue_dead
from hotdash_pipelines.demo.testing import RunningStandIn
from tests.integration.alerts.harness.threads import Answers, Conn, Drain, posts, rows, said
from tests.integration.alerts.harness.violations import NOW, news, tell, violation


def refuse(slack: RunningStandIn, error: str, times: int = 1, method: str = "chat.") -> None:
    slack.scenarios.add("status", "slack", method, times, status=200, body={"ok": False, "error": error})


def test_a_violation_is_one_thread_whose_first_message_ends_struck(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    assert drain() == Delivery(sent=1)
    tell(warehouse, news("escalated", level=1, mention="@here", **about))
    tell(warehouse, news("resolved", **about))
    assert drain() == Delivery(sent=3)
    first, escalated, resolved = posts(slack)
    assert first["thread_ts"] is None
    assert [escalated["thread_ts"], resolved["thread_ts"]] == [first["ts"]] * 2
    assert [escalated["is_broadcast"], resolved["is_broadcast"]] == [True, False]
    assert "<!here>" in str(escalated["blocks"])
    assert first["edited_ts"]
    assert first["blocks"][0]["text"]["text"].startswith(
        "*~[prod] marts_core/fct_order 2026-03-10: not ready in time~*"
    )
    assert "after 1 h 21 min" in first["blocks"][0]["text"]["text"]
    assert f"violation {about['violation_id']}" in str(first["blocks"][-1])
    assert tell(warehouse, news("resolved", **about)) == 0


def test_a_second_violation_of_an_incident_joins_its_thread_and_ends_by_itself(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    first, second = violation(warehouse, "late"), violation(warehouse, "stale")
    for event in (news("opened", **first), news("opened", **second), news("resolved", **second)):
        tell(warehouse, event)
    assert drain() == Delivery(sent=4)
    root, joined, _ = posts(slack)
    assert joined["thread_ts"] == root["ts"]
    assert (bool(root["edited_ts"]), bool(joined["edited_ts"])) == (False, True)


def test_a_violation_stays_in_its_thread_when_it_moves_to_another_incident(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    root, child = violation(warehouse, "root", "upstream"), violation(warehouse, "child", "downstream")
    tell(warehouse, news("opened", **child))
    tell(warehouse, news("opened", **root))
    tell(warehouse, news("suppressed", suppressed_by="root", **{**child, "incident": "upstream"}))
    assert drain() == Delivery(sent=3)
    opened, _, quiet = posts(slack)
    assert quiet["thread_ts"] == opened["ts"]
    assert "`root` is behind it" in str(quiet["blocks"])


def test_an_owner_has_a_channel_and_what_was_escalated_elsewhere_ends_there_too(
    warehouse: Conn, slack: RunningStandIn, drain: Drain, bot: SlackDestination
) -> None:
    to = replace(bot, channels={"team:data": "#data"})
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    tell(warehouse, news("escalated", level=1, **{**about, "target": "#oncall"}))
    tell(warehouse, news("resolved", **about))
    assert drain(to=to) == Delivery(sent=6)
    for channel in ("#data", "#oncall"):
        first, last = posts(slack, channel)
        assert first["edited_ts"]
        assert (said(last), last["thread_ts"]) == ("resolved after 1 h 21 min", first["ts"])


def test_ten_minutes_of_503_lose_nothing_and_keep_the_order(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about, other = violation(warehouse, "late"), violation(warehouse, "other", "another incident")
    tell(warehouse, news("opened", **about))
    tell(warehouse, news("opened", **other))
    slack.scenarios.add("status", "slack", None, 1000, status=503)
    for after in range(0, 600, 15):
        if after == 300:
            tell(warehouse, news("escalated", level=1, **about))
        if after == 420:
            tell(warehouse, news("resolved", **about))
        drain(after)
    assert posts(slack) == []
    slack.scenarios.clear()
    after = 600
    while ("pending",) in rows(warehouse, "state"):
        drain(after)
        after += 15
        assert after < 1200
    first, second, escalated, resolved = posts(slack)
    assert [said(one) for one in (first, second, escalated, resolved)] == [
        "struck",
        "opened",
        "escalated (level 1)",
        "resolved after 1 h 21 min",
    ]
    assert first["edited_ts"]
    assert escalated["thread_ts"] == resolved["thread_ts"] == first["ts"]
    assert len(posts(slack)) == 4


def test_a_429_holds_everything_as_long_as_slack_says(warehouse: Conn, slack: RunningStandIn, drain: Drain) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    tell(warehouse, news("escalated", level=1, **about))
    slack.scenarios.add("throttle", "slack", retry_after=17)
    assert drain() == Delivery(failed=1, waiting=2)
    tell(warehouse, news("resolved", **about))
    assert drain(16) == Delivery(waiting=4)
    assert drain(17) == Delivery(sent=4)
    assert [said(one) for one in posts(slack)] == ["struck", "escalated (level 1)", "resolved after 1 h 21 min"]
    assert rows(warehouse, "attempts") == [(1,)] * 4


def test_a_time_out_after_slack_took_it_repeats_the_message_once_with_its_number(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    tell(warehouse, news("resolved", **about))
    lost: list[str] = []

    def lose_the_first(method: str, real: Callable[[], httpx.Response]) -> httpx.Response:
        answer = real()
        if method == "chat.postMessage" and not lost:
            lost.append(method)
            raise httpx.ReadTimeout("no answer")
        return answer

    way = Answers(lose_the_first)
    assert drain(transport=way) == Delivery(failed=1, waiting=3)
    assert drain(30, transport=way) == Delivery(sent=3)
    assert way.calls == ["chat.postMessage", "auth.test", "chat.postMessage", "chat.postMessage", "chat.update"]
    first, again, resolved = posts(slack)
    assert [said(first), said(again)] == ["opened", "struck"]
    mark = f"violation {about['violation_id']}"
    assert mark in str(first["blocks"][-1])
    assert mark in str(again["blocks"][-1])
    assert resolved["thread_ts"] == again["ts"]


def test_a_message_that_never_gets_an_answer_is_sent_twice_at_most_and_then_says_so(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))

    def lose(method: str, real: Callable[[], httpx.Response]) -> httpx.Response:
        answer = real()
        if method == "chat.postMessage":
            raise httpx.ReadTimeout("no answer")
        return answer

    way = Answers(lose)
    for after in range(0, 3600, 30):
        drain(after, transport=way)
    assert len(posts(slack)) == 2
    [(state, number, error)] = rows(warehouse, "state, id, last_error")
    assert state == "dead"
    assert f'look for "alert {number}" in the channel' in error
    assert requeue_dead(warehouse, NOW) == 1
    assert drain(3600) == Delivery(sent=1)


def test_an_outage_without_answers_does_not_use_up_the_second_sending(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    tell(warehouse, news("opened", **violation(warehouse, "late")))

    def swallow(method: str, real: Callable[[], httpx.Response]) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    way = Answers(swallow)
    for after in (0, 30, 90, 210):
        assert drain(after, transport=way) == Delivery(failed=1, waiting=1)
    assert way.calls == ["chat.postMessage", "auth.test", "auth.test", "auth.test"]
    assert drain(450) == Delivery(sent=1)
    assert len(posts(slack)) == 1


@pytest.mark.parametrize("spoil", ["token", "revoked", "no channel", "not_in_channel", "is_archived"])
def test_what_the_settings_bar_says_so_and_goes_out_once_they_change(
    warehouse: Conn, slack: RunningStandIn, drain: Drain, bot: SlackDestination, spoil: str
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    tell(warehouse, news("resolved", **about))
    wrong, mended = replace(bot, channel="#closed"), replace(bot, channel="#open")
    if spoil == "token":
        wrong = replace(bot, bot_token="xoxb-wrong")
    elif spoil == "no channel":
        wrong = replace(bot, channel=None)
    else:
        refuse(slack, "token_revoked" if spoil == "revoked" else spoil)
    assert drain(to=wrong) == Delivery(failed=1, waiting=3, undeliverable=3)
    assert posts(slack) == []
    for error, attempts, state in rows(warehouse, "last_error, attempts, state"):
        assert error.startswith("undeliverable: ")
        assert "HOTDASH_SLACK_" in error
        assert "xoxb" not in error
        assert (attempts, state) == (0, "pending")
    assert drain(1, to=wrong) == Delivery(waiting=3, undeliverable=3)
    assert drain(2, to=mended) == Delivery(sent=3)
    assert [said(one) for one in posts(slack)] == ["struck", "resolved after 1 h 21 min"]


def test_a_bot_that_was_let_in_meanwhile_is_noticed_without_a_change(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    tell(warehouse, news("opened", **violation(warehouse, "late")))
    refuse(slack, "not_in_channel")
    drain()
    assert drain(599) == Delivery(waiting=1, undeliverable=1)
    assert drain(600) == Delivery(sent=1)


def test_a_channel_that_is_closed_stops_no_other_one(
    warehouse: Conn, slack: RunningStandIn, drain: Drain, bot: SlackDestination
) -> None:
    tell(warehouse, news("opened", **violation(warehouse, "late")))
    tell(warehouse, news("opened", **{**violation(warehouse, "other", "another incident"), "target": "#other"}))
    refuse(slack, "is_archived")
    assert drain() == Delivery(sent=1, failed=1, waiting=1, undeliverable=1)
    assert [one["channel"] for one in posts(slack)] == ["#other"]


def test_an_answer_whose_first_message_is_dead_begins_the_thread(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    refuse(slack, "invalid_blocks")
    assert drain() == Delivery(failed=1, dead=1)
    tell(warehouse, news("escalated", level=1, **about))
    tell(warehouse, news("resolved", **about))
    assert drain() == Delivery(sent=3)
    escalated, resolved = posts(slack)
    assert escalated["thread_ts"] is None
    assert escalated["edited_ts"]
    assert resolved["thread_ts"] == escalated["ts"]
    assert rows(warehouse, "state, action") == [
        ("dead", "reply"),
        ("delivered", "post"),
        ("delivered", "reply"),
        ("delivered", "update"),
    ]


def test_an_edit_whose_message_was_deleted_repeats_nothing_that_was_told(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    drain()
    slack.world.extra["slack"]._posts.clear()
    tell(warehouse, news("resolved", **about))
    assert drain() == Delivery(sent=2)
    [message] = posts(slack)
    assert (said(message), message["thread_ts"]) == ("resolved after 1 h 21 min", None)


def test_an_edit_whose_message_and_whose_news_are_both_lost_is_told_instead(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    about = violation(warehouse, "late")
    tell(warehouse, news("opened", **about))
    drain()
    tell(warehouse, news("resolved", **about))
    refuse(slack, "invalid_blocks", method="chat.postMessage")
    refuse(slack, "message_not_found", method="chat.update")
    assert drain() == Delivery(sent=1, failed=1, dead=1)
    first, resolved = posts(slack)
    assert resolved["thread_ts"] == first["ts"]
    assert said(resolved) == "resolved after 1 h 21 min"


def test_quiet_hours_hold_a_message_until_they_end_or_a_later_one_is_not_held(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    later = NOW + timedelta(hours=3)
    held, woken = violation(warehouse, "held", "quiet"), violation(warehouse, "woken", "loud")
    tell(warehouse, news("opened", hold_until=later, **held))
    tell(warehouse, news("opened", hold_until=later, **woken))
    assert drain() == Delivery(waiting=2, held=2)
    assert posts(slack) == []
    tell(warehouse, news("escalated", level=1, severity="critical", **woken))
    assert drain(60) == Delivery(sent=2, waiting=1, held=1)
    first, escalated = posts(slack)
    assert [said(first), said(escalated)] == ["opened", "escalated (level 1)"]
    assert escalated["thread_ts"] == first["ts"]
    assert drain(3 * 3600 - 1) == Delivery(waiting=1, held=1)
    assert drain(3 * 3600) == Delivery(sent=1)


def test_a_webhook_alone_gets_plain_messages_that_name_the_incident(
    warehouse: Conn, slack: RunningStandIn, drain: Drain
) -> None:
    webhook = SlackDestination(webhook_url=slack.credentials["slack_webhook_url"])
    about = violation(warehouse, "late")
    for event in (news("opened", **about), news("escalated", level=1, **about), news("resolved", **about)):
        tell(warehouse, event)
    assert drain(to=webhook) == Delivery(sent=4)
    sent = posts(slack)
    assert [said(one) for one in sent] == ["opened", "escalated (level 1)", "resolved after 1 h 21 min"]
    assert all(one["thread_ts"] is None and not one["edited_ts"] for one in sent)
    assert all(f"incident {about['incident_id']}" in str(one["blocks"][-1]) for one in sent)


def test_the_bot_goes_before_the_webhook(
    warehouse: Conn, slack: RunningStandIn, drain: Drain, bot: SlackDestination
) -> None:
    tell(warehouse, news("opened", **violation(warehouse, "late")))
    drain(to=replace(bot, webhook_url=slack.credentials["slack_webhook_url"]))
    [(channel, ts)] = rows(warehouse, "slack_channel, slack_ts")
    assert (channel, ts) == (posts(slack)[0]["channel_id"], posts(slack)[0]["ts"])
