"""A small Chatwoot server made by hand, and clients of it: what the tests of the Chatwoot client share.

Belongs here: answers cut as the real server cuts them, from conversations and messages that a test names.
Does not belong here: the stand-in store, assertions.
"""

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson

from hotdash_pipelines.base.windows import Window, window_of
from hotdash_pipelines.sources import Fetched, Held, Pages, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient

TOKEN = "Zq8ZkTnV3xWcY7RfPdLm2aBs"
ZONE = ZoneInfo("America/New_York")
# The tests' clock stands at 2026-11-20 12:30 UTC: one window is near, the other is read by day.
WINDOW = window_of("2026-11-18", ZONE)
OLD = window_of("2026-11-02", ZONE)
START, END = int(WINDOW.start.timestamp()), int(WINDOW.end.timestamp())
OLD_START, OLD_END = int(OLD.start.timestamp()), int(OLD.end.timestamp())
Message = tuple[int, int]


class Before(Held):
    """What the manifest of the window before notes, and nothing else."""

    def __init__(self, notes: dict[str, int]) -> None:
        self._notes = notes

    def notes_before(self) -> dict[str, int]:
        return self._notes


def profile(role: str = "administrator", account: int = 1) -> httpx.Response:
    return httpx.Response(200, json={"role": role, "accounts": [{"id": account, "role": role}]})


def client(transport: httpx.BaseTransport, fake_time: Any) -> ChatwootClient:
    return ChatwootClient(
        "https://chat.example", 1, TOKEN, sleep=fake_time.sleep, clock=fake_time.now, transport=transport
    )


def fetch(
    stream: str,
    transport: httpx.BaseTransport,
    fake_time: Any,
    window: Window = WINDOW,
    pages: Pages | None = None,
    **before: int,
) -> Fetched:
    return fetcher("chatwoot", stream)(client(transport, fake_time), None, window, Before(before), pages)


def listed(records: Any, count: int | None, key: str = "all_count") -> httpx.Response:
    meta = {} if count is None else {"meta": {key: count}}
    return httpx.Response(200, json={**meta, "payload": records})


def talk(number: int, at: int, created: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "last_activity_at": at,
        "created_at": created or at,
        "messages": [],
        "updated_at": at + 0.5,
    } | more


def payloads(fetched: Fetched) -> list[dict[str, Any]]:
    return [one for body in fetched.pages for one in orjson.loads(body)["payload"]]


def ids(fetched: Fetched) -> list[int]:
    return [one["id"] for one in payloads(fetched)]


def minutes(first: int, count: int, begin: int, step: int = 60) -> list[Message]:
    """So many messages as (number, epoch seconds), one a minute."""
    return [(first + number, begin + number * step) for number in range(count)]


@dataclass
class Desk:
    """A server of conversations whose messages are cut by id and ordered by time, as the real one does it.

    `talks` maps a conversation's number to its messages; `broken` answers for a conversation instead.
    """

    talks: dict[int, list[Message]]
    began: int
    broken: dict[int, httpx.Response] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    cut_once: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    def conversations(self) -> list[dict[str, Any]]:
        return [
            talk(
                number,
                max(at for _, at in messages),
                self.began,
                **{"messages": [{"id": max(messages, key=lambda one: one[1])[0]}], **self.changes},
            )
            for number, messages in self.talks.items()
        ]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.params
        if path.endswith("/profile"):
            return profile()
        if path.endswith(("/filter", "/conversations")):
            return listed(self.conversations(), len(self.talks))
        self.asked.append(dict(query))
        number = int(path.split("/")[-2])
        if number in self.broken:
            return self.broken[number]
        messages = self._cut(sorted(self.talks[number], key=lambda one: one[1]), query)
        if self.cut_once:
            messages, self.cut_once = messages[: len(messages) // 2], False
        return httpx.Response(200, json={"meta": {}, "payload": [self.message(*one) for one in messages]})

    def message(self, number: int, at: int) -> dict[str, Any]:
        return {"id": number, "created_at": at, "content_attributes": {}}

    @staticmethod
    def _cut(ordered: list[Message], query: httpx.QueryParams) -> list[Message]:
        if "after" in query and "before" in query:
            low, high = int(query["after"]), int(query["before"])
            return [one for one in ordered if low <= one[0] < high][:1000]
        if "before" in query:
            return [one for one in ordered if one[0] < int(query["before"])][-20:]
        return ordered[-20:]

    def fetch(self, fake_time: Any, window: Window = WINDOW, **before: int) -> Fetched:
        return fetch("messages", httpx.MockTransport(self), fake_time, window, **before)
