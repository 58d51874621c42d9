"""The routes of the Chatwoot face: who may see what, in which order, and how much at once.

Belongs here: authentication, visibility, sorting and paging as the real server does them. Does not belong here:
shapes (`render`), filter conditions (`filters`).

Page sizes are the server's: 25 conversations, 15 contacts, 20 messages by default, 100 after an id, 1,000 between two
ids. Pages of conversations are cut from a list sorted by activity at the moment of the request, so they shift while
someone reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotdash_pipelines.demo.chatwoot import render
from hotdash_pipelines.demo.chatwoot.filters import BrokenFilter, InvalidFilter, compile_filter
from hotdash_pipelines.demo.chatwoot.reports import METRICS, report
from hotdash_pipelines.demo.scenarios import Scenario
from hotdash_pipelines.demo.wire import common_fault, json_response, record, retry_after
from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.support_model import (
    ACCOUNT_ID,
    ACTIVITY,
    AGAIN,
    Agent,
    Contact,
    Conversation,
    Message,
)

CONVERSATIONS_A_PAGE = 25
CONTACTS_A_PAGE = 15
_PRIORITIES = {None: 0, "low": 1, "medium": 2, "high": 3, "urgent": 4}
# The demo's second token belongs to this agent.
AGENT_ID = 4
AGAIN_JSON = f'"{AGAIN}":'.encode()


class ChatwootRefusal(Exception):
    """The request ends with this status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass(slots=True)
class Answer:
    """A body and the list inside it, which faults may shorten or spoil."""

    body: Any
    items: list[Any]


@dataclass(slots=True)
class Call:
    """One authenticated request."""

    face: ChatwootFace
    request: Request
    user: Agent
    token: str
    body: Any
    scenario: Scenario | None

    def query(self, name: str) -> str | None:
        """A parameter of the query string."""
        return self.request.query_params.get(name)

    def sees(self, inbox_id: int) -> bool:
        """True if the user is an administrator or assigned to the inbox."""
        return self.user.role == "administrator" or inbox_id in self.user.inbox_ids


class ChatwootFace:
    """The handlers and what they keep between requests: rendered conversations."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rendered: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def endpoint(self, handler: Callable[[Call], Answer]) -> Callable[[Request], Any]:
        """The handler behind faults, authentication and the request log."""

        async def answer(request: Request) -> Response:
            raw = await request.body()
            body = _parsed(raw)
            operation = request.url.path
            scenario = self.world.scenarios.take("chatwoot", operation)
            response = await common_fault(scenario) or self._answer(handler, request, body, scenario)
            response.headers["date"] = format_datetime(self.world.clock.now(), usegmt=True)
            variables = {**request.query_params, **({"body": body} if body is not None else {})}
            record(self.world, "chatwoot", request, operation, response.status_code, variables)
            return response

        return answer

    def _answer(
        self, handler: Callable[[Call], Answer], request: Request, body: Any, scenario: Scenario | None
    ) -> Response:
        if scenario is not None and scenario.name in ("throttle", "quota"):
            # The server's rate limiter answers in plain text and, unless configured to, without Retry-After.
            return Response("Retry later\n", 429, retry_after(scenario), "text/plain")
        try:
            user, token = self._user(request, scenario)
            answer = handler(Call(self, request, user, token, body, scenario))
        except ChatwootRefusal as refused:
            return json_response(refused.body, refused.status)
        _spoil(answer.items, scenario)
        _miscount(answer, scenario)
        response = json_response(answer.body)
        if AGAIN_JSON in bytes(response.body):
            # No library writes one key twice; apps that build their JSON by hand do.
            return Response(bytes(response.body).replace(AGAIN_JSON, b'"tier":'), media_type=response.media_type)
        return response

    def _user(self, request: Request, scenario: Scenario | None) -> tuple[Agent, str]:
        token = request.headers.get("api_access_token")
        if not token:
            raise ChatwootRefusal(401, {"errors": ["You need to sign in or sign up before continuing."]})
        agents = self.world.support.agents
        known = {self.world.credentials["chatwoot_token"]: agents[0]}
        if agent_token := self.world.credentials.get("chatwoot_agent_token"):
            known[agent_token] = next(agent for agent in agents if agent.id == AGENT_ID)
        if token not in known or (scenario is not None and scenario.name == "expired_token"):
            raise ChatwootRefusal(401, {"error": "Invalid Access Token"})
        if request.path_params.get("account_id", ACCOUNT_ID) != ACCOUNT_ID:
            raise ChatwootRefusal(404, {"error": "Resource could not be found"})
        return known[token], token

    def shown(self, conversation: Conversation) -> dict[str, Any]:
        """The conversation as JSON-ready values, rendered again only after it changed."""
        contact = conversation.contact
        state = (conversation.version, conversation.updated_at, (contact.last_activity_at, contact.phone))
        kept = self._rendered.get(conversation.display_id)
        if kept is None or kept[0] != state:
            kept = (state, render.conversation(conversation))
            self._rendered[conversation.display_id] = kept
        return kept[1]

    def profile(self, call: Call) -> Answer:
        """`GET /api/v1/profile`."""
        body = render.profile(call.user, call.token)
        return Answer(body, [])

    def conversations(self, call: Call) -> Answer:
        """`GET conversations`: open ones unless asked otherwise; `updated_within` switches paging off."""
        status = call.query("status") or "open"
        listed = [
            c for c in self.world.support.conversations() if (status in ("all", c.status)) and call.sees(c.inbox.id)
        ]
        if (inbox_id := call.query("inbox_id")) is not None:
            listed = [c for c in listed if c.inbox.id == _integer(inbox_id)]
        if labels := call.request.query_params.getlist("labels[]") or call.request.query_params.getlist("labels"):
            listed = [c for c in listed if set(labels).intersection(c.labels)]
        meta = _counts(listed, call.user)
        listed = _by_assignee(listed, call.query("assignee_type"), call.user)
        listed = _sorted(listed, call.query("sort_by"), self.world.support.now())
        if within := call.query("updated_within"):
            since = self.world.support.now() - _integer(within)
            page = [c for c in listed if c.updated_at > since]
        else:
            page = _page(listed, call.query("page"), CONVERSATIONS_A_PAGE)
        items = [self.shown(c) for c in page]
        self._drift(call, listed)
        return Answer({"data": {"meta": meta, "payload": items}}, items)

    def filtered(self, call: Call) -> Answer:
        """`POST conversations/filter`: like the list, without a status of its own, and not wrapped in `data`."""
        conditions = call.body.get("payload") if isinstance(call.body, dict) else None
        try:
            test = compile_filter(conditions, self.world.support.now())
        except InvalidFilter as error:
            raise ChatwootRefusal(422, {"error": str(error)}) from None
        except BrokenFilter:
            raise ChatwootRefusal(500, {"status": 500, "error": "Internal Server Error"}) from None
        matching = [c for c in self.world.support.conversations() if call.sees(c.inbox.id) and test(c)]
        items = [self.shown(c) for c in _page(matching, call.query("page"), CONVERSATIONS_A_PAGE)]
        body = {"meta": _counts(matching, call.user), "payload": items}
        self._drift(call, matching)
        return Answer(body, items)

    def conversation(self, call: Call) -> Answer:
        """`GET conversations/{display_id}`."""
        return Answer(dict(self.shown(self._find(call))), [])

    def messages(self, call: Call) -> Answer:
        """`GET conversations/{display_id}/messages`: cut by id, ordered by creation."""
        conversation = self._find(call)
        after, before = call.query("after"), call.query("before")
        messages = conversation.messages
        if call.query("filter_internal_messages"):
            messages = [m for m in messages if not m.private and m.kind != ACTIVITY]
        items = [render.message(m, conversation) for m in _cut(messages, after, before)]
        return Answer({"meta": render.messages_meta(conversation), "payload": items}, items)

    def contacts(self, call: Call) -> Answer:
        """`GET contacts`: everybody with an e-mail, phone or identifier."""
        contacts = _sorted_contacts(self.world.support.contacts(), call.query("sort"))
        page = call.query("page")
        inboxes = {one.id: one for one in self.world.support.inboxes}
        with_inboxes = inboxes if call.query("include_contact_inboxes") in (None, "true") else None
        items = [render.contact(c, with_inboxes=with_inboxes) for c in _page(contacts, page, CONTACTS_A_PAGE)]
        # The server repeats the parameter as it came: text if it was given, the number 1 if not.
        return Answer({"meta": {"count": len(contacts), "current_page": page or 1}, "payload": items}, items)

    def contact(self, call: Call) -> Answer:
        """`GET contacts/{id}`."""
        contact = self.world.support.contact(call.request.path_params["contact_id"])
        if contact is None:
            raise ChatwootRefusal(404, {"error": "Resource could not be found"})
        return Answer({"payload": render.contact(contact)}, [])

    def inboxes(self, call: Call) -> Answer:
        """`GET inboxes`: those the user sees."""
        items = [render.inbox(one) for one in self.world.support.inboxes if call.sees(one.id)]
        return Answer({"payload": items}, items)

    def agents(self, _call: Call) -> Answer:
        """`GET agents`: a bare array."""
        items = [render.agent(one) for one in self.world.support.agents]
        return Answer(items, items)

    def labels(self, _call: Call) -> Answer:
        """`GET labels`."""
        items = [render.label(one) for one in self.world.support.labels]
        return Answer({"payload": items}, items)

    def reports(self, call: Call) -> Answer:
        """`GET /api/v2/accounts/{id}/reports`: administrators only; nothing without a range."""
        if call.user.role != "administrator":
            raise ChatwootRefusal(401, {"error": "You are not authorized to do this action"})
        metric, since, until = call.query("metric") or "", call.query("since"), call.query("until")
        if metric not in METRICS or not since or not until:
            return Answer([], [])
        offset = float(call.query("timezone_offset") or 0)
        conversations = self.world.support.conversations()
        group_by = call.query("group_by") or "day"
        items = report(conversations, metric, _integer(since), _integer(until), group_by, offset)
        return Answer(items, items)

    def _find(self, call: Call) -> Conversation:
        conversation = self.world.support.conversation(call.request.path_params["display_id"])
        if conversation is None:
            raise ChatwootRefusal(404, {"error": "Resource could not be found"})
        if not call.sees(conversation.inbox.id):
            raise ChatwootRefusal(401, {"error": "You are not authorized to do this action"})
        return conversation

    def _drift(self, call: Call, conversations: list[Conversation]) -> None:
        """If asked to, let the last conversation of the list get a message once this page is cut."""
        if call.scenario is not None and call.scenario.name == "page_drift" and conversations:
            self.world.support.receive(conversations[-1].display_id, "Hello, is there any news?")


def routes(world: World) -> list[Route]:
    """The routes of the Chatwoot face, to be mounted at the root."""
    face = ChatwootFace(world)
    account = "/api/v1/accounts/{account_id:int}"
    return [
        Route("/api/v1/profile", face.endpoint(face.profile), methods=["GET"]),
        Route(f"{account}/conversations", face.endpoint(face.conversations), methods=["GET"]),
        Route(f"{account}/conversations/filter", face.endpoint(face.filtered), methods=["POST"]),
        Route(f"{account}/conversations/{{display_id:int}}", face.endpoint(face.conversation), methods=["GET"]),
        Route(f"{account}/conversations/{{display_id:int}}/messages", face.endpoint(face.messages), methods=["GET"]),
        Route(f"{account}/contacts", face.endpoint(face.contacts), methods=["GET"]),
        Route(f"{account}/contacts/{{contact_id:int}}", face.endpoint(face.contact), methods=["GET"]),
        Route(f"{account}/inboxes", face.endpoint(face.inboxes), methods=["GET"]),
        Route(f"{account}/agents", face.endpoint(face.agents), methods=["GET"]),
        Route(f"{account}/labels", face.endpoint(face.labels), methods=["GET"]),
        Route("/api/v2/accounts/{account_id:int}/reports", face.endpoint(face.reports), methods=["GET"]),
    ]


def _parsed(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _integer(text: str) -> int:
    """Leading digits as a number, 0 if there are none: the server's `to_i`."""
    digits = ""
    for character in text.strip():
        if not character.isdecimal():
            break
        digits += character
    return int(digits or 0)


def _page(items: list[Any], page: str | None, size: int) -> list[Any]:
    start = (max(1, _integer(page or "1")) - 1) * size
    return items[start : start + size]


def _counts(conversations: list[Conversation], user: Agent) -> dict[str, int]:
    unassigned = sum(c.assignee is None for c in conversations)
    return {
        "mine_count": sum(c.assignee is user for c in conversations),
        "assigned_count": len(conversations) - unassigned,
        "unassigned_count": unassigned,
        "all_count": len(conversations),
    }


def _by_assignee(conversations: list[Conversation], kind: str | None, user: Agent) -> list[Conversation]:
    if kind == "me":
        return [c for c in conversations if c.assignee is user]
    if kind == "unassigned":
        return [c for c in conversations if c.assignee is None]
    if kind == "assigned":
        return [c for c in conversations if c.assignee is not None]
    return conversations


def _sorted(conversations: list[Conversation], sort_by: str | None, now: float) -> list[Conversation]:
    """`found` comes newest activity first, which is also the order for a name the server does not know."""
    keys: dict[str, Callable[[Conversation], Any]] = {
        "last_activity_at": lambda c: c.last_activity_at,
        "created_at": lambda c: c.created_at,
        "priority": lambda c: (_PRIORITIES[c.priority], c.last_activity_at),
        "waiting_since": lambda c: (c.waiting_since or now, c.created_at),
    }
    name, _, order = (sort_by or "").rpartition("_")
    if name not in keys or order not in ("asc", "desc"):
        return conversations
    return sorted(conversations, key=keys[name], reverse=order == "desc")


def _sorted_contacts(contacts: list[Contact], sort: str | None) -> list[Contact]:
    field = (sort or "").lstrip("-")
    if field not in ("last_activity_at", "created_at", "name", "email"):
        return contacts
    return sorted(contacts, key=lambda c: (getattr(c, field) or "", c.id), reverse=(sort or "").startswith("-"))


def _cut(messages: list[Message], after: str | None, before: str | None) -> list[Message]:
    """Messages ascend by id and creation alike, so that slices of the list are what the server's queries give."""
    if after and before:
        low, high = _integer(after), _integer(before)
        return [m for m in messages if low <= m.id < high][:1000]
    if before:
        return [m for m in messages if m.id < _integer(before)][-20:]
    if after:
        return [m for m in messages if m.id > _integer(after)][:100]
    return messages[-20:]


def _miscount(answer: Answer, scenario: Scenario | None) -> None:
    """Counts beside a list, and in a report those of the hours that have any."""
    if scenario is None or scenario.name != "wrong_count":
        return
    body = answer.body
    if isinstance(body, list):
        body[:] = [{**one, "value": scenario.miscounted(one["value"])} if one.get("value") else one for one in body]
        return
    meta = body.get("meta") or (body.get("data") or {}).get("meta") or {}
    for name in ("count", "all_count"):
        if name in meta:
            meta[name] = scenario.miscounted(meta[name])


def _spoil(items: list[Any], scenario: Scenario | None) -> None:
    """Act out the faults that leave the envelope whole."""
    if scenario is None or not items:
        return
    if scenario.name == "empty":
        items.clear()
    elif scenario.name == "truncated_page":
        del items[len(items) // 2 :]
    elif scenario.name == "unknown_field":
        field = scenario.args.get("field", "brand_new_field")
        items[:] = [{**item, field: scenario.args.get("value", {"nested": [1, 2]})} for item in items]
    elif scenario.name == "wrong_type":
        field = scenario.args.get("field", "created_at" if "created_at" in items[0] else "id")
        items[:] = [{**item, field: scenario.args.get("value", "not-a-number")} for item in items]
