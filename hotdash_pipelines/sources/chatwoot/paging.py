"""Reading Chatwoot's shifting lists completely.

Belongs here: pages that move while they are read, day-wide filters, message lists. Does not belong here: requests and
roles (client.py), which stream reads what (streams.py).

A listing shows the newest activity first and has no cursor: whoever writes meanwhile moves records between pages. A
reading counts as whole only when the pages add up to the list's own count; otherwise it is repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.http import HttpAnswer

Record = dict[str, Any]
REREADS = 3
_NEWEST = 20
_AFTER = 100
# Messages are cut by id but ordered by time: going back this many rows keeps one that was stored late.
_OVERLAP = 10


@dataclass
class PageReading:
    """Records kept of a list, page by page, and how often it had to be read again."""

    pages: list[list[Record]]
    rereads: int

    @property
    def rows(self) -> int:
        """Records kept."""
        return sum(len(page) for page in self.pages)

    def bodies(self) -> list[bytes]:
        """The pages as `{"payload": [...]}`, pages without records left out."""
        return [orjson.dumps({"payload": page}) for page in self.pages if page]


@dataclass(frozen=True)
class _Pass:
    """One pass over a list: its pages, whether they add up, and whether the list moved meanwhile."""

    pages: list[list[Record]]
    is_whole: bool
    has_moved: bool


def read_list(
    read: Callable[[int], HttpAnswer], count_of: Callable[[Any], int], window: Window, is_past: Callable[[Record], bool]
) -> PageReading:
    """The records of a list, sorted by newest activity, whose last activity lies in the window.

    `read(page)` gets a page from 1, `count_of(document)` its total, `is_past(record)` tells that no later record can
    matter. A reading that does not add up is repeated up to three times; where the list moved and twice gave the same
    records all the same, the unrest was outside the window. Raises TransientSourceError when it never settles.
    """
    earlier: set[int] | None = None
    for attempt in range(REREADS + 1):
        reading = _read_once(read, count_of, is_past)
        kept = _newest_only([[one for one in page if is_active(one, window)] for page in reading.pages])
        seen = {one["id"] for page in kept for one in page}
        if reading.is_whole or (reading.has_moved and seen == earlier):
            return PageReading(kept, attempt)
        earlier = seen
    raise TransientSourceError(
        f"the list did not add up in {REREADS + 1} readings; materialise the partition again when it is quieter"
    )


def _read_once(
    read: Callable[[int], HttpAnswer], count_of: Callable[[Any], int], is_past: Callable[[Record], bool]
) -> _Pass:
    """All pages up to the first record that is past."""
    pages: list[list[Record]] = []
    ids: set[int] = set()
    counts: set[int] = set()
    repeated = False
    while True:
        document = read(len(pages) + 1).document
        records, count = document["payload"], count_of(document)
        counts.add(count)
        repeated |= any(one["id"] in ids for one in records)
        ids.update(one["id"] for one in records)
        pages.append(records)
        is_end = not records or len(ids) >= count
        if is_end or is_past(records[-1]):
            # Every page but the last is equally long: a short one was cut on its way.
            even = len({len(page) for page in pages[:-1]}) <= 1 and len(pages[-1]) <= len(pages[0])
            has_moved = repeated or len(counts) > 1
            return _Pass(pages, even and not has_moved and (not is_end or len(ids) == count), has_moved)


def _newest_only(pages: list[list[Record]]) -> list[list[Record]]:
    """Each record once: its most recent activity, where it moved between pages."""
    best: dict[int, int] = {}
    for page in pages:
        for record in page:
            best[record["id"]] = max(best.get(record["id"], 0), record["last_activity_at"])
    taken: set[int] = set()
    kept = []
    for page in pages:
        chosen = [one for one in page if one["last_activity_at"] == best[one["id"]] and one["id"] not in taken]
        taken.update(one["id"] for one in chosen)
        kept.append(chosen)
    return kept


def is_active(record: Record, window: Window) -> bool:
    """Whether the record's last activity lies in `[start, end)`; a contact that was never active has none."""
    at = record.get("last_activity_at") or 0
    return window.start.timestamp() <= at < window.end.timestamp()


def day_before(moment: datetime) -> str:
    """The value for `is_greater_than` that surely lets `moment` in: the server compares calendar days in UTC."""
    return (moment.astimezone(UTC).date() - timedelta(days=1)).isoformat()


def day_after(moment: datetime) -> str:
    """The value for `is_less_than` that surely lets everything before `moment` in."""
    return (moment.astimezone(UTC).date() + timedelta(days=1)).isoformat()


def conditions(*wanted: tuple[str, str, str]) -> list[dict[str, Any]]:
    """(attribute, operator, value) -> the filter's payload; all must hold."""
    last = len(wanted) - 1
    return [
        {
            "attribute_key": attribute,
            "filter_operator": operator,
            "values": [value],
            "query_operator": None if position == last else "AND",
        }
        for position, (attribute, operator, value) in enumerate(wanted)
    ]


def read_messages(client: ChatwootClient, conversation: Record, window: Window) -> PageReading:
    """The messages of one conversation that were written in the window.

    The list must reach the conversation's own last message, else it was cut on its way and is read again. Raises
    TransientSourceError when it never does.
    """
    last = max((one["id"] for one in conversation.get("messages") or []), default=0)
    for attempt in range(REREADS + 1):
        pages = _message_pages(client, conversation, window)
        newest = max((one["id"] for page in pages for one in page), default=0)
        is_cut_short = pages and pages[-1] and pages[-1][-1]["created_at"] >= window.end.timestamp()
        if newest >= last or is_cut_short:
            return PageReading(_in_window(pages, window), attempt)
    raise TransientSourceError(
        f"the messages of conversation {conversation['id']} end before its last one; materialise the partition again"
    )


def _message_pages(client: ChatwootClient, conversation: Record, window: Window) -> list[list[Record]]:
    """Raw pages that hold every message of the window, ascending.

    The newest twenty are enough when they reach back to before the window, or are all there is. Otherwise the list is
    read upwards from its start until the window is behind.
    """
    path = f"conversations/{conversation['id']}/messages"
    start = window.start.timestamp()
    after = 0
    if conversation["created_at"] < start:
        newest = client.get(path).document["payload"]
        if len(newest) < _NEWEST or _oldest(newest) < start:
            return [newest]
    pages = []
    while True:
        page = client.get(path, {"after": after}).document["payload"]
        pages.append(page)
        if len(page) < _AFTER or page[-1]["created_at"] >= window.end.timestamp():
            return pages
        after = max(after + 1, min(one["id"] for one in page[-_OVERLAP:]))


def _oldest(messages: list[Record]) -> int:
    return min(one["created_at"] for one in messages)


def _in_window(pages: list[list[Record]], window: Window) -> list[list[Record]]:
    start, end = window.start.timestamp(), window.end.timestamp()
    taken: set[int] = set()
    kept = []
    for page in pages:
        chosen = [one for one in page if start <= one["created_at"] < end and one["id"] not in taken]
        taken.update(one["id"] for one in chosen)
        kept.append(chosen)
    return kept
