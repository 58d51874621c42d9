"""The Slack face of the stand-in: what it accepts, what it keeps, and a page nobody can put a script on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from hotdash_pipelines.demo import slack
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.slack.mrkdwn import to_html
from hotdash_pipelines.demo.slack.store import MessageStore
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop import Shop

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
HOOK = "/slack/webhook/hook-secret"
BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Nightly job failed :rotating_light:"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Asset* `marts_core/fct_order`\n> 3 of 9 checks failed"}},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Run*\n42"}, {"type": "plain_text", "text": "P1 *"}]},
    {"type": "divider"},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "team _data_"}]},
    {
        "type": "actions",
        "elements": [
            {"type": "button", "style": "primary", "text": {"type": "plain_text", "text": "Open run"},
             "url": "http://127.0.0.1:3000/runs/42?a=1&b=2"},
        ],
    },
]  # fmt: skip


@pytest.fixture
def world() -> World:
    clock = VirtualClock(NOW)
    credentials = {"slack_webhook_url": f"http://127.0.0.1:1{HOOK}", "slack_bot_token": "xoxb-demo"}
    return World(Shop(7, 0.001, clock), clock, Scenarios(), RequestLog(), credentials)


@pytest.fixture
def api(world: World) -> TestClient:
    return TestClient(Starlette(routes=slack.routes(world)))


def call(api: TestClient, method: str, token: str = "xoxb-demo", **payload: Any) -> dict[str, Any]:
    answer = api.post(f"/slack/api/{method}", json=payload, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return answer.json()


def kept(api: TestClient) -> list[dict[str, Any]]:
    return api.get("/slack/messages").json()["messages"]


def test_a_webhook_keeps_the_message_and_says_ok(api: TestClient) -> None:
    answer = api.post(HOOK, json={"text": "Nightly job failed", "blocks": BLOCKS})
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["content-type"].startswith("text/plain")
    (post,) = kept(api)
    assert (post["channel"], post["text"], post["blocks"]) == ("#alerts", "Nightly job failed", BLOCKS)
    assert post["ts"] == f"{int(NOW.timestamp())}.000000"


def test_a_webhook_also_takes_a_form_with_a_payload(api: TestClient) -> None:
    assert api.post(HOOK, data={"payload": json.dumps({"text": "hi"})}).text == "ok"
    assert kept(api)[0]["text"] == "hi"


def test_the_address_of_a_real_webhook_works_too(world: World, api: TestClient) -> None:
    assert api.post("/slack/services/T000/B000/hook-secret", json={"text": "hi"}).text == "ok"
    assert api.post("/slack/services/T000/B000/other", json={"text": "hi"}).text == "invalid_token"


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        (HOOK, b"{", 400, "invalid_payload"),
        (HOOK, b"[]", 400, "invalid_payload"),
        (HOOK, b"{}", 400, "no_text"),
        (HOOK, json.dumps({"blocks": [{"type": "carousel"}]}).encode(), 400, "invalid_blocks"),
        (HOOK, json.dumps({"blocks": [BLOCKS[0]] * 51}).encode(), 400, "invalid_blocks"),
        (HOOK, json.dumps({"text": "x" * 40_001}).encode(), 400, "msg_too_long"),
        ("/slack/webhook/wrong", b'{"text": "hi"}', 403, "invalid_token"),
        ("/slack/webhook/a/b", b'{"text": "hi"}', 404, "no_service"),
    ],
)
def test_a_webhook_refuses_in_slacks_words_and_keeps_nothing(
    api: TestClient, path: str, body: bytes, status: int, word: str
) -> None:
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.text) == (status, word)
    assert kept(api) == []


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "section"},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11},
        {"type": "context", "elements": []},
    ],
)
def test_blocks_over_slacks_limits_are_refused(api: TestClient, block: dict[str, Any]) -> None:
    assert api.post(HOOK, json={"text": "t", "blocks": [block]}).text == "invalid_blocks"


def test_a_throttled_webhook_says_how_long_to_wait(world: World, api: TestClient) -> None:
    world.scenarios.add("throttle", "slack", "webhook", retry_after=30)
    answer = api.post(HOOK, json={"text": "hi"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert kept(api) == []
    assert api.post(HOOK, json={"text": "hi"}).text == "ok"


def test_the_common_faults_reach_slack_as_well(world: World, api: TestClient) -> None:
    world.scenarios.add("status", "slack", status=503)
    world.scenarios.add("expired_token", "slack")
    assert [api.post(HOOK, json={"text": "hi"}).status_code for _ in range(3)] == [503, 404, 200]


def test_the_bot_posts_answers_in_a_thread_and_updates(api: TestClient) -> None:
    root = call(api, "chat.postMessage", channel="#ops", text="Freshness SLA missed")
    assert root["ok"] is True
    assert root["message"]["text"] == "Freshness SLA missed"
    reply = call(api, "chat.postMessage", channel=root["channel"], text="Recovered", thread_ts=root["ts"])
    assert reply["message"]["thread_ts"] == root["ts"]
    assert float(reply["ts"]) > float(root["ts"])
    changed = call(api, "chat.update", channel=root["channel"], ts=root["ts"], text="Freshness SLA met")
    assert (changed["ok"], changed["ts"], changed["text"]) == (True, root["ts"], "Freshness SLA met")
    first, second = kept(api)
    assert (first["text"], first["edited_ts"] is not None) == ("Freshness SLA met", True)
    assert (second["channel"], second["thread_ts"]) == ("#ops", root["ts"])


@pytest.mark.parametrize(
    ("method", "payload", "error"),
    [
        ("chat.postMessage", {"text": "hi"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "#ops"}, "no_text"),
        ("chat.postMessage", {"channel": "#ops", "blocks": "x"}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "#ops", "text": "hi", "thread_ts": "1.000000"}, "thread_not_found"),
        ("chat.update", {"channel": "#ops", "ts": "1.000000", "text": "hi"}, "message_not_found"),
    ],
)
def test_a_method_refuses_with_ok_false_and_status_200(
    api: TestClient, method: str, payload: dict[str, Any], error: str
) -> None:
    assert call(api, method, **payload) == {"ok": False, "error": error}


def test_a_method_needs_the_bots_token(api: TestClient) -> None:
    assert call(api, "chat.postMessage", "xoxb-wrong", channel="#ops", text="hi")["error"] == "invalid_auth"
    bare = api.post("/slack/api/chat.postMessage", json={"channel": "#ops", "text": "hi"})
    assert bare.json() == {"ok": False, "error": "not_authed"}


def test_a_throttled_method_is_429_and_ratelimited(world: World, api: TestClient) -> None:
    world.scenarios.add("throttle", "slack", "chat.postMessage")
    answer = api.post("/slack/api/chat.postMessage", json={"channel": "#ops", "text": "hi"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json() == {"ok": False, "error": "ratelimited"}


def test_the_page_shows_blocks_as_a_channel(api: TestClient) -> None:
    api.post(HOOK, json={"text": "fallback", "blocks": BLOCKS})
    page = api.get("/slack").text
    for piece in (
        '<h3>Nightly job failed <span class="dot rotating_light">🚨</span></h3>',
        "<strong>Asset</strong> <code>marts_core/fct_order</code>",
        "<blockquote>3 of 9 checks failed</blockquote>",
        "<strong>Run</strong><br>42",
        "<div>P1 *</div>",
        "<hr>",
        "team <em>data</em>",
        '<a class="button primary" href="http://127.0.0.1:3000/runs/42?a=1&amp;b=2"',
        "2026-11-20 15:00:00 UTC",
    ):
        assert piece in page, piece
    assert "fallback" not in page


def test_the_page_shows_a_thread_below_its_root_and_one_channel_at_a_time(api: TestClient) -> None:
    root = call(api, "chat.postMessage", channel="ops", text="root message")
    call(api, "chat.postMessage", channel="ops", text="other root")
    call(api, "chat.postMessage", channel="ops", text="the reply", thread_ts=root["ts"])
    api.post(HOOK, json={"text": "an alert"})
    page = api.get("/slack", params={"channel": "ops"}).text
    assert page.index("root message") < page.index("the reply") < page.index("other root")
    assert '<div class="thread">' in page
    assert "an alert" not in page
    assert "an alert" in api.get("/slack", params={"channel": "alerts"}).text


def test_an_answer_may_be_seen_in_the_channel_too(api: TestClient) -> None:
    root = call(api, "chat.postMessage", channel="#alerts", text="first")
    call(api, "chat.postMessage", channel="#alerts", text="quiet", thread_ts=root["ts"])
    page = api.get("/slack").text
    assert "1 reply<" in page
    assert "also sent to the channel" not in page
    call(api, "chat.postMessage", channel="#alerts", text="loud", thread_ts=root["ts"], reply_broadcast=True)
    page = api.get("/slack").text
    assert "2 replies<" in page
    assert page.count("also sent to the channel") == 1


def test_a_token_can_be_tried_without_a_message(api: TestClient) -> None:
    assert call(api, "auth.test")["ok"] is True
    assert call(api, "auth.test", token="xoxb-other")["error"] == "invalid_auth"
    assert kept(api) == []


def test_an_empty_channel_says_so(api: TestClient) -> None:
    assert "No messages yet." in api.get("/slack").text


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_nothing_a_sender_writes_becomes_markup(api: TestClient) -> None:
    text = {"type": "mrkdwn", "text": HOSTILE}
    plain = {"type": "plain_text", "text": HOSTILE}
    api.post(
        HOOK,
        json={
            "text": HOSTILE,
            "username": HOSTILE,
            "blocks": [
                {"type": "header", "text": plain},
                {"type": "section", "text": text, "fields": [text, plain]},
                {"type": "context", "elements": [text, {"type": HOSTILE}, {"type": "image", "alt_text": HOSTILE}]},
                {"type": "actions", "elements": [{"type": "button", "text": plain, "url": "javascript:alert(1)"}]},
                {"type": "image", "alt_text": HOSTILE},
            ],
            "attachments": [{"color": '"><script>', "title": HOSTILE, "text": HOSTILE}],
        },
    )
    call(api, "chat.postMessage", channel=f"#{HOSTILE}", text=HOSTILE)
    for channel in ("alerts", HOSTILE):
        answer = api.get("/slack", params={"channel": channel})
        page = answer.text.replace("<style>", "").replace("</style>", "")
        assert "<script" not in page
        assert "<img" not in page
        assert "javascript:" not in page
        assert "&lt;script&gt;" in page
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _it_ ~no~", "<strong>bold</strong> <em>it</em> <del>no</del>"),
        ("2 * 3 * 4, snake_case_name", "2 * 3 * 4, snake_case_name"),
        ("`*raw* <b>`", "<code>*raw* &lt;b&gt;</code>"),
        ("```a < b\n*c*```", "<pre>a &lt; b\n*c*</pre>"),
        ("<https://x.example/a?b=1&amp;c=2|see *it*>",
         '<a href="https://x.example/a?b=1&amp;c=2" rel="noopener noreferrer">see *it*</a>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ('<https://x.example/"onmouseover="a|x>', "&lt;https://x.example/&quot;onmouseover=&quot;a|x&gt;"),
        ("<!here> <@U1|ann>", '<span class="mention">@here</span> <span class="mention">@ann</span>'),
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        ("one\ntwo", "one<br>two"),
        ("&gt; q1\n&gt; q2\nend", "<blockquote>q1<br>q2</blockquote>end"),
        (":warning: :unknown:", "⚠️ :unknown:"),
        ("\ue0000\ue000 *x*", "0 <strong>x</strong>"),
    ],
)  # fmt: skip
def test_mark_up_becomes_html(text: str, html: str) -> None:
    assert to_html(text) == html


def test_only_the_last_messages_are_kept() -> None:
    store = MessageStore(VirtualClock(NOW), limit=3)
    for number in range(5):
        store.add("#ops", "bot", str(number), [], [])
    assert [post["text"] for post in store.posts()] == ["2", "3", "4"]


def test_messages_are_written_to_a_file_if_asked_for(world: World, tmp_path: Path) -> None:
    file = tmp_path / "slack" / "messages.jsonl"
    world.extra["slack_messages_file"] = file
    api = TestClient(Starlette(routes=slack.routes(world)))
    ts = call(api, "chat.postMessage", channel="#ops", text="late é")["ts"]
    call(api, "chat.update", channel="#ops", ts=ts, text="done")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["text"], line["ts"]) for line in lines] == [
        ("post", "late é", ts),
        ("update", "done", ts),
    ]


def test_every_message_has_a_name_of_its_own_even_if_the_clock_stands_or_turns_back(
    world: World, api: TestClient
) -> None:
    names = [call(api, "chat.postMessage", channel="#ops", text="x")["ts"] for _ in range(3)]
    world.clock.advance(timedelta(hours=-1))
    names.append(call(api, "chat.postMessage", channel="#ops", text="x")["ts"])
    assert names == sorted(set(names), key=float)


def test_requests_are_logged_without_tokens(world: World, api: TestClient) -> None:
    api.post(HOOK, json={"text": "hi"})
    api.post("/slack/webhook/hook-secret-typo", json={"text": "hi"})
    api.post("/slack/api/chat.postMessage", json={"token": "xoxb-demo", "channel": "#ops", "text": "hi"})
    entries = world.log.entries("slack")
    assert [(entry["operation"], entry["status"]) for entry in entries] == [
        ("webhook", 200),
        ("webhook", 403),
        ("chat.postMessage", 200),
    ]
    assert "hook-secret" not in str(entries)
    assert "xoxb-demo" not in str(entries)
