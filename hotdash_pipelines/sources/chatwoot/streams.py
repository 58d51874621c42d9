"""The streams of Chatwoot: which list holds them and how a window is cut out of it.

Belongs here: one fetch function a stream. Does not belong here: paging and drift (paging.py).
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.chatwoot.client import API_VERSION, ChatwootClient
from hotdash_pipelines.sources.chatwoot.paging import (
    PageReading,
    Record,
    conditions,
    day_after,
    day_before,
    read_list,
    read_messages,
)
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.registry import Fetched, fetches

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@fetches("chatwoot", "conversations")
def fetch_conversations(client: ChatwootClient, _contract: Contract, window: Window) -> Fetched:
    """Conversations whose last activity lies in the window, whatever their status."""
    before = client.requests
    wanted = conditions(
        ("last_activity_at", "is_greater_than", day_before(window.start)),
        ("last_activity_at", "is_less_than", day_after(window.end)),
    )
    reading = read_list(
        lambda page: client.filter_conversations(wanted, page),
        _all_count,
        window,
        lambda record: _is_behind(record, window),
    )
    return _fetched(client, before, reading)


@fetches("chatwoot", "messages")
def fetch_messages(client: ChatwootClient, _contract: Contract, window: Window) -> Fetched:
    """Messages written in the window, in every conversation that can hold one."""
    before = client.requests
    wanted = conditions(
        ("created_at", "is_less_than", day_after(window.end)),
        ("last_activity_at", "is_greater_than", day_before(window.start)),
    )
    conversations = read_list(
        lambda page: client.filter_conversations(wanted, page),
        _all_count,
        # Whatever was active since the window began may hold a message of it.
        Window(window.key, window.start, _FOREVER),
        lambda record: _is_behind(record, window),
    )
    pages: list[list[Record]] = []
    rereads = conversations.rereads
    for conversation in (one for page in conversations.pages for one in page):
        if conversation["created_at"] < window.end.timestamp():
            reading = read_messages(client, conversation, window)
            pages += reading.pages
            rereads += reading.rereads
    fetched = _fetched(client, before, PageReading(pages, rereads))
    fetched.notes["conversations"] = conversations.rows
    return fetched


@fetches("chatwoot", "contacts")
def fetch_contacts(client: ChatwootClient, _contract: Contract, window: Window) -> Fetched:
    """Contacts last active in the window; the list has no filter, so it is paged until the window is behind."""
    before = client.requests
    reading = read_list(
        lambda page: client.get(
            "contacts", {"sort": "-last_activity_at", "page": page, "include_contact_inboxes": "false"}
        ),
        lambda document: int(document["meta"]["count"]),
        window,
        lambda record: _is_behind(record, window),
    )
    return _fetched(client, before, reading)


@fetches("chatwoot", "inboxes")
def fetch_inboxes(client: ChatwootClient, _contract: Contract, _window: Window) -> Fetched:
    """All inboxes as they stand now."""
    return _listing(client, "inboxes")


@fetches("chatwoot", "agents")
def fetch_agents(client: ChatwootClient, _contract: Contract, _window: Window) -> Fetched:
    """All agents as they stand now; the API sends a bare list, kept under `payload`."""
    return _listing(client, "agents")


def _listing(client: ChatwootClient, path: str) -> Fetched:
    before = client.requests
    answer = client.get(path)
    is_bare = isinstance(answer.document, list)
    records = answer.document if is_bare else answer.document.get("payload")
    if not isinstance(records, list):
        raise TransientSourceError(f"{path} was answered without a list; materialise the partition again later")
    body = orjson.dumps({"payload": records}) if is_bare else answer.body
    return Fetched([body], client.requests - before, None, API_VERSION, len(records))


def _all_count(document: Any) -> int:
    return int(document["meta"]["all_count"])


def _is_behind(record: Record, window: Window) -> bool:
    return (record.get("last_activity_at") or 0) < window.start.timestamp()


def _fetched(client: ChatwootClient, before: int, reading: PageReading) -> Fetched:
    notes: dict[str, str | int | float | bool] = {"rereads": reading.rereads} if reading.rereads else {}
    return Fetched(reading.bodies(), client.requests - before, None, API_VERSION, reading.rows, notes)
