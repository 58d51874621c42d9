"""The Web API client: Slack's words sorted, the token kept to itself."""

import json
import logging
import traceback
from typing import Any

import httpx
import pytest

from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    PermanentChannelError,
    RefusedChannelError,
    TransientChannelError,
)
from hotdash_pipelines.alerts.channels.slack.bot import Sent, SlackBot
from hotdash_pipelines.alerts.channels.slack.webhook import MissingMessageError

TOKEN = "xoxb-s3cr3t"


def answering(status: int = 200, body: Any = None, text: str | None = None, **headers: str) -> httpx.MockTransport:
    content = text if text is not None else json.dumps(body if body is not None else {"ok": True})
    return httpx.MockTransport(lambda _: httpx.Response(status, text=content, headers=headers))


def post(transport: httpx.BaseTransport) -> Sent:
    with SlackBot(TOKEN, transport=transport) as bot:
        return bot.post("#alerts", {"text": "hello"})


def test_messages_answers_and_edits_are_calls_with_the_token_in_the_header() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ok": True, "channel": "C1", "ts": "1.5"})

    with SlackBot(TOKEN, "http://127.0.0.1:1/slack/api", transport=httpx.MockTransport(answer)) as bot:
        assert bot.post("#alerts", {"text": "hello"}) == Sent("C1", "1.5")
        bot.post("#alerts", {"text": "answer"}, "1.5")
        bot.update("C1", "1.5", {"text": "edited"})
        bot.probe()
    assert [request.url.path for request in seen] == [
        "/slack/api/chat.postMessage",
        "/slack/api/chat.postMessage",
        "/slack/api/chat.update",
        "/slack/api/auth.test",
    ]
    bodies = [json.loads(request.read()) for request in seen]
    assert bodies[0] == {"text": "hello", "channel": "#alerts", "unfurl_links": False}
    assert bodies[1]["thread_ts"] == "1.5"
    assert bodies[2] == {"text": "edited", "channel": "C1", "ts": "1.5"}
    assert {request.headers["authorization"] for request in seen} == {f"Bearer {TOKEN}"}
    assert all(TOKEN not in str(request.url) + request.read().decode() for request in seen)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("invalid_auth", RefusedChannelError),
        ("token_revoked", RefusedChannelError),
        ("missing_scope", RefusedChannelError),
        ("channel_not_found", RefusedChannelError),
        ("not_in_channel", RefusedChannelError),
        ("is_archived", RefusedChannelError),
        ("message_not_found", MissingMessageError),
        ("thread_not_found", MissingMessageError),
        ("edit_window_closed", MissingMessageError),
        ("ratelimited", TransientChannelError),
        ("internal_error", TransientChannelError),
        ("invalid_blocks", PermanentChannelError),
        ("msg_too_long", PermanentChannelError),
    ],
)
def test_slacks_words_are_sorted(word: str, kind: type[ChannelError]) -> None:
    with pytest.raises(kind, match=word) as error:
        post(answering(body={"ok": False, "error": word}))
    if isinstance(error.value, RefusedChannelError):
        assert error.value.is_about_target == (word in ("channel_not_found", "not_in_channel", "is_archived"))
    if isinstance(error.value, TransientChannelError):
        assert error.value.may_have_arrived == (word == "internal_error")


def test_a_429_says_how_long_to_wait_whatever_its_body() -> None:
    with pytest.raises(TransientChannelError) as error:
        post(answering(429, {"ok": False, "error": "ratelimited"}, **{"Retry-After": "17"}))
    assert error.value.retry_after == 17
    assert not error.value.may_have_arrived


@pytest.mark.parametrize("text", ['{"ok": tr', "", "[]", '{"ok": "yes"}', "\udcff".encode(errors="replace").decode()])
def test_an_answer_that_cannot_be_read_may_mean_that_the_message_is_there(text: str) -> None:
    with pytest.raises(TransientChannelError, match=r"chat\.postMessage cannot be read") as error:
        post(answering(text=text))
    assert error.value.may_have_arrived


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_a_connection_that_never_stood_sent_nothing(error: type[httpx.TransportError]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("no way")

    with pytest.raises(TransientChannelError) as raised:
        post(httpx.MockTransport(fail))
    assert not raised.value.may_have_arrived


@pytest.mark.parametrize("status", [302, 404])
def test_an_address_that_is_no_slack_is_the_settings_fault(status: int) -> None:
    with pytest.raises(RefusedChannelError, match="HOTDASH_SLACK_API_URL"):
        post(answering(status, Location="https://elsewhere.example.org/"))


@pytest.mark.parametrize("token", ["", "xoxb s3cr3t", "xoxb-s3cr3t\n", "xoxb-s3cr3té"])
def test_a_token_that_is_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(RefusedChannelError, match="HOTDASH_SLACK_BOT_TOKEN is no token") as error:
        SlackBot(token)
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    "transport",
    [answering(), answering(429), answering(500), answering(body={"ok": False, "error": "xoxb-s3cr3t is invalid"})],
)
def test_the_token_stands_in_no_log_line_and_in_no_error(
    transport: httpx.BaseTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = ""
    with SlackBot(TOKEN, transport=transport) as bot:
        said += repr(bot)
        try:
            bot.post("#alerts", {"text": "hello"})
        except ChannelError as error:
            said += "".join(traceback.format_exception(error)) + repr(error)
    assert "s3cr3t" not in said + caplog.text
