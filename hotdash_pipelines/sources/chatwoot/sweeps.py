"""What Chatwoot deleted or merged: looked for in few requests, and believed after a 404 of its own.

Belongs here: counts by day against what is held, slices of the contacts, the second witness. Does not belong here:
marking rows (warehouse), reading records that are there (streams.py, paging.py).

There is no feed of deletions. Conversations are counted from day to day: one request tells that nothing is missing, and
where something is, halves of the range lead to the day. Of the last two days not all are held: those are listed.
Contacts held are a part of those listed, so no count helps: a slice of the list is read every night, in the order of
creation, and who should stand in it and does not is asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.chatwoot.paging import conditions, filtered
from hotdash_pipelines.sources.chatwoot.shapes import Omitted, Record, created, ids, listed, whole_number
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.held import Held

# Requests that one night's look for what is gone may cost, of each kind: counts and lists, records of their own.
MOST_REQUESTS = 200
SLICE_PAGES = 100
_FEWEST_NIGHTS = 7
_NOT_YET_HELD = timedelta(days=2)
_CONTACTS_A_PAGE, _CONVERSATIONS_A_PAGE = 15, 25


@dataclass(frozen=True)
class Slice:
    """Contacts that follow each other in the order of creation: the pages of one night."""

    contacts: list[Record]
    is_last: bool


def gone_conversations(client: ChatwootClient, held: Held, notes: dict[str, str | int | float | bool]) -> list[int]:
    """The numbers of conversations that are held and that the server no longer has."""
    alive, since = held.alive("conversations"), held.loaded_since("conversations")
    if not alive or since is None:
        return []
    # Of days since the last run not all are held, and of those before the first load only what was active since.
    today = client.now().date()
    first, last = since.astimezone(UTC).date() + timedelta(days=1), today - _NOT_YET_HELD
    days: dict[date, set[int]] = {}
    for number, began in alive.items():
        days.setdefault(began.astimezone(UTC).date(), set()).add(number)
    before = client.requests
    missing: set[int] = set()
    ranges = [(first, last)] if first <= last else []
    while ranges:
        if client.requests - before >= MOST_REQUESTS:
            notes["sweep_cut"] = True
            break
        start, end = ranges.pop()
        held_here = {number for day, numbers in days.items() if start <= day <= end for number in numbers}
        page = listed(client.filter("conversations", _days(start, end), 1).document, "conversations", Omitted())
        if page.count == len(held_here):
            continue
        if page.count is not None and page.count == len(page.records):
            missing |= held_here - ids(page.records)
        elif start == end:
            there = filtered(client, "conversations", _days(start, end), lambda _: True)
            missing |= held_here - ids(there.records)
        else:
            middle = start + (end - start) // 2
            ranges += [(start, middle), (middle + timedelta(days=1), end)]
    start = max(first, last + timedelta(days=1))
    young = {number for day, numbers in days.items() if day >= start for number in numbers}
    if len(young) > _CONVERSATIONS_A_PAGE * (MOST_REQUESTS - (client.requests - before)):
        notes["sweep_cut"] = True
    elif young:
        try:
            there = filtered(client, "conversations", _days(start, today), lambda _: True)
            missing |= young - ids(there.records)
        except TransientSourceError:
            # A list that does not settle tonight: what is gone of it is noticed by a count in two nights.
            notes["young_not_listed"] = True
    old = sorted(number for day, numbers in days.items() if day < first for number in numbers)
    return list(_verified(client, "conversations", [*sorted(missing), *_of_tonight(old, client.now())], notes))


def _days(start: date, end: date) -> list[dict[str, object]]:
    """Conditions for what was created from one day of UTC to another, both included."""
    return conditions(
        ("created_at", "is_greater_than", (start - timedelta(days=1)).isoformat()),
        ("created_at", "is_less_than", (end + timedelta(days=1)).isoformat()),
    )


def _of_tonight(numbers: list[int], now: datetime) -> list[int]:
    """A few of the numbers, other ones each night: all of them in time."""
    nights = max(1, -(-len(numbers) // MOST_REQUESTS))
    return numbers[now.toordinal() % nights :: nights]


def contacts_of_tonight(client: ChatwootClient) -> Slice:
    """A slice of the contacts by creation: at least a seventh of the list each night, and no more than 100 pages."""
    first = listed(_contacts(client, 1), "contacts", Omitted())
    pages = -(-(first.count or first.entries) // max(first.entries, 1)) if first.entries else 1
    size = min(SLICE_PAGES, -(-pages // _FEWEST_NIGHTS))
    start = client.now().toordinal() % -(-pages // size) * size + 1
    contacts: dict[int, Record] = {}
    is_last = False
    # One page more than the slice: what is deleted meanwhile pulls contacts over its edge.
    for page in range(start, start + size + 1):
        records = (first if page == 1 else listed(_contacts(client, page), "contacts", Omitted(), page=page)).records
        contacts |= {whole_number(one["id"]) or 0: one for one in records}
        if len(records) < _CONTACTS_A_PAGE:
            is_last = True
            break
    return Slice(list(contacts.values()), is_last)


def _contacts(client: ChatwootClient, page: int) -> object:
    return client.get("contacts", {"sort": "created_at", "page": page, "include_contact_inboxes": "false"}).document


def gone_contacts(client: ChatwootClient, held: Held, notes: dict[str, str | int | float | bool]) -> list[int]:
    """The numbers of contacts that are held, should stand in tonight's slice, and that the server no longer has."""
    alive = held.alive("contacts")
    if not alive:
        return []
    tonight = contacts_of_tonight(client)
    return list(_verified(client, "contacts", _missing_in(tonight, alive), notes))


def _missing_in(tonight: Slice, alive: Mapping[int, datetime]) -> list[int]:
    """Those between the first and the last of the slice; at its very edges others of the same second may stand."""
    if not tonight.contacts:
        return []
    first, last = (edge(map(created, tonight.contacts), default=0.0) for edge in (min, max))
    there = ids(tonight.contacts)
    return sorted(
        number
        for number, began in alive.items()
        if number not in there and first < began.timestamp() and (began.timestamp() < last or tonight.is_last)
    )


def _verified(
    client: ChatwootClient, kind: str, numbers: list[int], notes: dict[str, str | int | float | bool]
) -> Iterator[int]:
    """Those of the numbers that the server answers 404 for; the rest of too many is left to the next night."""
    for number in numbers[:MOST_REQUESTS]:
        if client.get_record(f"{kind}/{number}").status == HTTPStatus.NOT_FOUND:
            yield number
    if len(numbers) > MOST_REQUESTS:
        notes["sweep_cut"] = True
