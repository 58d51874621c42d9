"""The routes of the Slack face: an incoming webhook, three methods of the Web API, and the page.

Belongs here: HTTP, tokens, the checks Slack makes and the words of its errors. Does not belong here: keeping messages
(`store`), HTML (`page`).

A webhook answers plain text and says with the status what went wrong; a Web API method answers 200 and `ok: false`.
A webhook that was removed (fault `expired_token`) answers 404 `no_service`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.slack.page import CONTENT_SECURITY_POLICY, render
from hotdash_pipelines.demo.slack.store import WEBHOOK_CHANNEL, MessageStore, Post
from hotdash_pipelines.demo.wire import common_fault, json_response, record
from hotdash_pipelines.demo.world import World

MAX_TEXT = 40_000
MAX_BLOCKS = 50
# Slack refuses longer texts in a block of this type.
MAX_BLOCK_TEXT = {"header": 150, "section": 3_000}
MAX_FIELDS = 10
_BLOCK_TYPES = frozenset({"header", "section", "context", "divider", "actions", "image", "rich_text"})


class SlackFace:
    """The handlers and the messages they keep, in `world.extra["slack"]` for whoever wants to read them."""

    def __init__(self, world: World) -> None:
        self.world = world
        file = world.extra.get("slack_messages_file")
        self.store = MessageStore(world.clock, Path(file) if file is not None else None)
        world.extra["slack"] = self.store

    async def webhook(self, request: Request) -> Response:
        """`POST /slack/webhook/{token}` or `/slack/services/{team}/{app}/{token}`."""
        payload = _payload(await request.body(), request.headers.get("content-type", ""))
        scenario = self.world.scenarios.take("slack", "webhook")
        response = await common_fault(scenario) or self._accept(request.path_params["token"], payload, scenario)
        # The path holds the token: it stays out of the log.
        self.world.log.record(
            at=self.world.clock.now(), source="slack", method="POST", path="/slack/***", operation="webhook",
            status=response.status_code, variables={"payload": payload},
        )  # fmt: skip
        return response

    def _accept(self, token: str, payload: Any, scenario: Scenario | None) -> Response:
        if scenario is not None and scenario.name in ("throttle", "quota"):
            return PlainTextResponse("rate_limited", 429, _wait(scenario))
        hook = str(self.world.credentials.get("slack_webhook_url") or "")
        if not hook or (scenario is not None and scenario.name == "expired_token"):
            return PlainTextResponse("no_service", 404)
        if token != hook.rsplit("/", 1)[-1]:
            return PlainTextResponse("invalid_token", 403)
        if not isinstance(payload, dict):
            return PlainTextResponse("invalid_payload", 400)
        if (error := _objection(payload)) is not None:
            return PlainTextResponse(error, 400)
        self.store.add(
            WEBHOOK_CHANNEL,
            str(payload.get("username") or "HotDash"),
            str(payload.get("text") or ""),
            payload.get("blocks") or [],
            payload.get("attachments") or [],
            payload.get("thread_ts"),
        )
        return PlainTextResponse("ok")

    async def no_service(self, request: Request) -> Response:
        """Any other path below the webhooks; it may hold a mistyped secret, and stays out of the log."""
        await request.body()
        self.world.log.record(
            at=self.world.clock.now(), source="slack", method="POST", path="/slack/***", operation="webhook", status=404
        )
        return PlainTextResponse("no_service", 404)

    async def post_message(self, request: Request) -> Response:
        """`POST /slack/api/chat.postMessage`."""
        return await self._method(request, "chat.postMessage", self._post_message)

    async def update(self, request: Request) -> Response:
        """`POST /slack/api/chat.update`."""
        return await self._method(request, "chat.update", self._update)

    async def auth_test(self, request: Request) -> Response:
        """`POST /slack/api/auth.test`: whose token it is."""
        whose = {"ok": True, "team": "HotDash Demo", "user": "hotdash", "bot_id": "B0HOTDASH"}
        return await self._method(request, "auth.test", lambda _: whose)

    async def _method(self, request: Request, name: str, handler: Any) -> Response:
        raw, kind = await request.body(), request.headers.get("content-type", "")
        payload = _payload(raw, kind)
        scenario = self.world.scenarios.take("slack", name)
        response = await common_fault(scenario)
        if response is None:
            if scenario is not None and scenario.name in ("throttle", "quota"):
                response = json_response({"ok": False, "error": "ratelimited"}, 429, _wait(scenario))
            else:
                response = json_response(self._called(request, payload, scenario, handler))
        record(self.world, "slack", request, name, response.status_code, {"payload": payload})
        return response

    def _called(self, request: Request, payload: Any, scenario: Scenario | None, handler: Any) -> dict[str, Any]:
        if not isinstance(payload, dict):
            return _failed("invalid_json")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer if scheme.lower() == "bearer" else payload.get("token")
        if not token:
            return _failed("not_authed")
        if scenario is not None and scenario.name == "expired_token":
            return _failed("token_expired")
        if token != bot_token(self.world):
            return _failed("invalid_auth")
        return handler(payload)

    def _post_message(self, payload: dict[str, Any]) -> dict[str, Any]:
        channel = payload.get("channel")
        if not isinstance(channel, str) or not channel.strip("# "):
            return _failed("channel_not_found")
        if (error := _objection(payload)) is not None:
            return _failed(error)
        thread_ts = payload.get("thread_ts")
        if thread_ts is not None and not self.store.has(channel, str(thread_ts)):
            return _failed("thread_not_found")
        post = self.store.add(
            channel,
            str(payload.get("username") or "HotDash"),
            str(payload.get("text") or ""),
            payload.get("blocks") or [],
            payload.get("attachments") or [],
            thread_ts,
            is_broadcast=thread_ts is not None and payload.get("reply_broadcast") is True,
        )
        return {"ok": True, "channel": post.channel_id, "ts": post.ts, "message": _message(post)}

    def _update(self, payload: dict[str, Any]) -> dict[str, Any]:
        channel, ts = payload.get("channel"), payload.get("ts")
        if not isinstance(channel, str) or not channel:
            return _failed("channel_not_found")
        if (error := _objection(payload)) is not None:
            return _failed(error)
        changes = {name: payload[name] for name in ("text", "blocks", "attachments") if payload.get(name) is not None}
        post = self.store.update(channel, str(ts), changes)
        if post is None:
            return _failed("message_not_found")
        return {"ok": True, "channel": post.channel_id, "ts": post.ts, "text": post.text, "message": _message(post)}

    async def page(self, request: Request) -> Response:
        """`GET /slack`: the messages as a channel."""
        channel = request.query_params.get("channel")
        html = render(self.store.posts(), f"#{channel.removeprefix('#')}" if channel else None)
        return HTMLResponse(html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    async def messages(self, request: Request) -> Response:
        """`GET /slack/messages`: the messages as JSON, of one channel if `channel` is given."""
        return json_response({"messages": self.store.posts(request.query_params.get("channel"))})


def bot_token(world: World) -> str:
    """The token of the Web API: `slack_bot_token` of the credentials, else one made of the webhook's secret."""
    given = world.credentials.get("slack_bot_token")
    return str(given or f"xoxb-{str(world.credentials.get('slack_webhook_url') or '').rsplit('/', 1)[-1]}")


def routes(world: World) -> list[Route]:
    """The routes of the Slack face, to be mounted at the root."""
    face = SlackFace(world)
    return [
        Route("/slack", face.page, methods=["GET"]),
        Route("/slack/messages", face.messages, methods=["GET"]),
        Route("/slack/webhook/{token}", face.webhook, methods=["POST"]),
        Route("/slack/services/{team}/{app}/{token}", face.webhook, methods=["POST"]),
        Route("/slack/webhook/{rest:path}", face.no_service, methods=["POST"]),
        Route("/slack/services/{rest:path}", face.no_service, methods=["POST"]),
        Route("/slack/api/chat.postMessage", face.post_message, methods=["POST"]),
        Route("/slack/api/chat.update", face.update, methods=["POST"]),
        Route("/slack/api/auth.test", face.auth_test, methods=["POST"]),
    ]


def _payload(raw: bytes, content_type: str) -> Any:
    """The body as JSON, or the form's field `payload`; None if it is neither."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        form = {name: values[0] for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}
        if "payload" not in form:
            return form
        raw = form["payload"].encode()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _objection(payload: dict[str, Any]) -> str | None:
    """Slack's word for what is wrong with a message, or None."""
    text, blocks, attachments = (payload.get(name) for name in ("text", "blocks", "attachments"))
    if not (text or blocks or attachments):
        return "no_text"
    if text is not None and not isinstance(text, str):
        return "invalid_payload"
    if len(text or "") > MAX_TEXT:
        return "msg_too_long"
    if blocks is not None and not (
        isinstance(blocks, list) and len(blocks) <= MAX_BLOCKS and all(map(_is_valid_block, blocks))
    ):
        return "invalid_blocks"
    if attachments is not None and not (
        isinstance(attachments, list) and all(isinstance(one, dict) for one in attachments)
    ):
        return "invalid_attachments"
    return None


def _is_valid_block(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") not in _BLOCK_TYPES:
        return False
    kind = block["type"]
    if kind in ("header", "section"):
        text = block.get("text")
        if text is None:
            return kind == "section" and _are_texts(block.get("fields"), MAX_FIELDS)
        if not _are_texts([text], 1) or len(text["text"]) > MAX_BLOCK_TEXT[kind]:
            return False
        if kind == "header" and text["type"] != "plain_text":
            return False
        return block.get("fields") is None or _are_texts(block["fields"], MAX_FIELDS)
    if kind in ("context", "actions"):
        elements = block.get("elements")
        return isinstance(elements, list) and bool(elements) and all(isinstance(one, dict) for one in elements)
    return True


def _are_texts(texts: Any, most: int) -> bool:
    return (
        isinstance(texts, list)
        and 0 < len(texts) <= most
        and all(
            isinstance(one, dict)
            and one.get("type") in ("mrkdwn", "plain_text")
            and isinstance(one.get("text"), str)
            and bool(one["text"])
            for one in texts
        )
    )


def _message(post: Post) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": "message",
        "subtype": "bot_message",
        "text": post.text,
        "ts": post.ts,
        "username": post.user,
        "bot_id": "B0HOTDASH",
        "blocks": post.blocks,
    }
    if post.thread_ts is not None:
        shown["thread_ts"] = post.thread_ts
    return shown


def _failed(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


def _wait(scenario: Scenario) -> dict[str, str]:
    """Slack always says how long to wait."""
    return {"Retry-After": str(scenario.args.get("retry_after", 1))}
