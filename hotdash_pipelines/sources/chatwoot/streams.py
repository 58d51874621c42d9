"""The streams of Chatwoot: which list holds them and how a window is cut out of it.

Belongs here: one fetch function a stream. Does not belong here: paging and drift (paging.py), the messages of one
conversation (messages.py).

What changed lately is asked for by `updated_within`, in one request a window. An older window is read by day from the
filter, which knows the last activity only. No list counts a window, so nothing here claims a count of the source's own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import orjson

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.chatwoot.client import API_VERSION, ChatwootClient
from hotdash_pipelines.sources.chatwoot.messages import Asked, read_messages
from hotdash_pipelines.sources.chatwoot.paging import (
    LATELY,
    ListReading,
    append_full,
    bodies,
    changed_since,
    conditions,
    day_after,
    day_before,
    filtered,
    is_active,
    read_window,
)
from hotdash_pipelines.sources.chatwoot.shapes import (
    Omitted,
    Record,
    active,
    created,
    ids,
    listed,
    updated,
    whole_number,
)
from hotdash_pipelines.sources.chatwoot.sweeps import contacts_of_tonight, gone_contacts, gone_conversations
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.held import Deletion, Held
from hotdash_pipelines.sources.registry import Fetched, Pages, fetches

# Ids and instants of messages may be this far apart, however many people write at once.
_APART = timedelta(minutes=5)
_SHORTEST_DAY = timedelta(hours=23)
# So many sick conversations beside healthy ones are theirs; more are the server's.
_SICK_AT_MOST = 3
_SICK_SHARE = 0.02


@fetches("chatwoot", "conversations")
def fetch_conversations(client: ChatwootClient, _contract: Contract, window: Window) -> Fetched:
    """Conversations whose last change (in an older window: last activity) lies in the window, whatever their status."""
    before = client.requests
    reading = _changed_lately(client, window.start, lambda one: _changed_in(one, window))
    if reading is None:
        wanted = conditions(
            ("last_activity_at", "is_greater_than", day_before(window.start)),
            ("last_activity_at", "is_less_than", day_after(window.end)),
        )
        reading = filtered(client, "conversations", wanted, lambda one: is_active(one, window), window.start)
    records = [_with_instants(one) for one in reading.records]
    return _fetched(client, before, reading, records)


@fetches("chatwoot", "messages")
def fetch_messages(client: ChatwootClient, _contract: Contract, window: Window, held: Held, pages: Pages) -> Fetched:
    """Messages written in the window, and older ones of the conversations that changed in it.

    One conversation's messages are in memory at a time. The manifest keeps the largest number of the window, from which
    the next window's messages are read.
    """
    before = client.requests
    start, end = window.start.timestamp(), window.end.timestamp()
    conversations = _changed_lately(client, window.start, lambda one: updated(one) >= start)
    is_lately = conversations is not None
    if conversations is None:
        wanted = conditions(
            ("created_at", "is_less_than", day_after(window.end)),
            ("last_activity_at", "is_greater_than", day_before(window.start)),
        )
        # Whatever was active since the window began may hold a message of it.
        conversations = filtered(client, "conversations", wanted, lambda one: active(one) >= start, window.start)
    begun = [one for one in conversations.records if created(one) < end]
    largest_before = whole_number(held.notes_before().get("largest_id")) or 0
    # The next window begins when the day ends, which is not what an open one is asked for.
    settled = (window.start + _SHORTEST_DAY if window.is_open else window.end) - _APART
    skipped, largest = Omitted(), largest_before
    waiting: list[Record] = []
    for conversation in begun:
        has_changed = is_lately and _changed_in(conversation, window)
        messages = read_messages(client, conversation, Asked(window, has_changed, largest_before), skipped)
        numbers = (whole_number(one["id"]) or 0 for one in messages if created(one) < settled.timestamp())
        largest = max(largest, *numbers, 0)
        waiting = append_full(pages, waiting + messages)
        if len(skipped.sick) > max(_SICK_AT_MOST, _SICK_SHARE * len(begun)):
            reason = list(skipped.sick.values())[-1]
            raise TransientSourceError(
                f"{len(skipped.sick)} of {len(begun)} conversations cannot be read (the last one {reason}); "
                "materialise the partition again later"
            )
    for body in bodies(waiting):
        pages.append(body)
    conversations.skipped.take(skipped)
    notes = {**conversations.notes(), "conversations": len(begun), "largest_id": largest}
    kept = conversations.skipped.skipped()
    return Fetched(pages, client.requests - before, None, API_VERSION, None, notes, kept)


@fetches("chatwoot", "contacts")
def fetch_contacts(client: ChatwootClient, _contract: Contract, window: Window) -> Fetched:
    """Contacts last active in the window, and in the newest one a slice of all others: an edit is no activity."""
    before = client.requests
    reading = read_window(
        client,
        lambda page: client.get(
            "contacts", {"sort": "-last_activity_at", "page": page, "include_contact_inboxes": "false"}
        ),
        "contacts",
        window,
    )
    records = reading.records
    if window.start <= client.now() < window.end:
        known = ids(records)
        records += [one for one in contacts_of_tonight(client).contacts if active(one) and not ids([one]) & known]
    return _fetched(client, before, reading, records)


@fetches("chatwoot", "deletions")
def fetch_deletions(client: ChatwootClient, _contract: Contract, window: Window, held: Held) -> Fetched:
    """What was noticed in the window, and in the newest one what is noticed to be gone now."""
    client.require_administrator()
    before, now = client.requests, client.now()
    notes: dict[str, str | int | float | bool] = {}
    deletions = held.noticed()
    if window.start <= now < window.end:
        known = {(one.entity, one.number) for one in deletions}
        gone = [("conversation", number) for number in gone_conversations(client, held, notes)]
        gone += [("contact", number) for number in gone_contacts(client, held, notes)]
        deletions += [Deletion(*one, now) for one in gone if one not in known]
    records = [
        {"entity": one.entity, "entity_id": one.number, "noticed_at": one.noticed_at.timestamp()} for one in deletions
    ]
    return Fetched(list(bodies(records)), client.requests - before, None, API_VERSION, None, notes)


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
    answer, skipped = client.get(path), Omitted()
    page = listed(answer.document, path, skipped)
    is_as_it_came = isinstance(answer.document, dict) and not skipped.reasons
    body = answer.body if is_as_it_came else orjson.dumps({"payload": page.records})
    return Fetched([body], client.requests - before, None, API_VERSION, None, skipped.notes(), skipped.skipped())


def _fetched(client: ChatwootClient, before: int, reading: ListReading, records: list[Record]) -> Fetched:
    notes, skipped = reading.notes(), reading.skipped.skipped()
    return Fetched(list(bodies(records)), client.requests - before, None, API_VERSION, None, notes, skipped)


def _changed_lately(client: ChatwootClient, since: datetime, keep: Callable[[Record], bool]) -> ListReading | None:
    """The conversations that changed since and that `keep` wants; None where that is too long ago, or unknown."""
    client.require_administrator()
    if client.now() - since > LATELY:
        return None
    reading = changed_since(client, since)
    if reading is not None:
        reading.records = [one for one in reading.records if keep(one)]
    return reading


def _changed_in(conversation: Record, window: Window) -> bool:
    return window.start.timestamp() <= updated(conversation) < window.end.timestamp()


def _with_instants(conversation: Record) -> Record:
    """The conversation with the two instants that tell its versions apart, where an older server leaves them out."""
    return {
        **conversation,
        "updated_at": updated(conversation),
        "last_activity_at": int(active(conversation) or created(conversation)),
    }
