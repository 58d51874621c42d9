"""The messages of one conversation, in few requests however long it is.

Belongs here: cutting a window out of a list that is cut by id and ordered by time. Does not belong here: which
conversations to read (streams.py), lists of conversations (paging.py).

Two requests read a conversation of up to a thousand messages whole. In a longer one the first message of the window is
looked for by id, from the largest number stored before, or else between two messages whose instants are known.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.chatwoot.paging import REREADS
from hotdash_pipelines.sources.chatwoot.shapes import (
    Omitted,
    Record,
    created,
    last_message,
    listed,
    updated,
    whole_number,
)
from hotdash_pipelines.sources.errors import TransientSourceError

_NEWEST = 20
_BETWEEN = 1000
# Greater than any number of a message.
_NO_END = 2**62
# Of a full page, what lies this far from its end is sure to be complete: numbers and instants may be a little apart.
_SURE = 900
# Edits and deletions change neither number nor instant, so a conversation that changed is read anew this far back.
_LOOK_BACK = timedelta(days=7)
# What looking back may cost in a conversation that is too long to be read whole.
_LOOK_BACK_PAGES = 8


class _LeftOut(Exception):
    """The conversation cannot be read; the text says why."""


class _Gone(_LeftOut):
    """It was deleted since it was listed."""


@dataclass(frozen=True)
class Asked:
    """What is wanted of a conversation: the window, and whether the conversation itself changed in it.

    `stored` is the largest number of a message that was stored before the window began, 0 where none is known.
    """

    window: Window
    has_changed: bool
    stored: int = 0

    @property
    def start(self) -> float:
        """Epoch seconds."""
        return self.window.start.timestamp()

    @property
    def end(self) -> float:
        """Epoch seconds."""
        return self.window.end.timestamp()


def read_messages(client: ChatwootClient, conversation: Record, asked: Asked, skipped: Omitted) -> list[Record]:
    """The conversation's messages of the window; if it changed in the window, the older ones that were read too.

    Each carries under `_read` what a message itself does not say: when its conversation last changed, and whether
    somebody deleted it. A conversation that is gone or sick by itself is added to `skipped`. Raises SourceError.
    """
    number = whole_number(conversation["id"]) or 0
    try:
        messages = _Thread(client, number, last_message(conversation)).read(asked)
    except _LeftOut as reason:
        skipped.add(f"conversation {number}", str(reason), is_gone=isinstance(reason, _Gone))
        return []
    return [
        _stamped(one, conversation)
        for one in messages.values()
        if asked.has_changed or asked.start <= created(one) < asked.end
    ]


def _stamped(message: Record, conversation: Record) -> Record:
    attributes = message.get("content_attributes")
    is_deleted = isinstance(attributes, dict) and attributes.get("deleted") is True
    return {**message, "_read": {"changed_at": updated(conversation), "is_deleted": is_deleted}}


class _Thread:
    """One conversation's list of messages."""

    def __init__(self, client: ChatwootClient, number: int, last: int) -> None:
        self._client = client
        self._path = f"conversations/{number}/messages"
        self._last = last

    def read(self, asked: Asked) -> dict[int, Record]:
        """Messages by number, those of the window and whatever else came with them."""
        newest = self._newest()
        oldest = min(newest, default=0)
        reaches_back = len(newest) < _NEWEST or created(newest[oldest]) < asked.start
        if len(newest) < _NEWEST or (reaches_back and not asked.has_changed):
            return newest
        if asked.stored and not asked.has_changed and asked.stored < oldest:
            return newest | self._upwards(asked.stored + 1, oldest, asked.end)
        first = self._between(0, _NO_END, oldest)
        if first.keys() <= newest.keys():
            return self._downwards(newest, asked.start)
        if len(first) < _BETWEEN:
            return newest | first
        return newest | self._of_a_long_one(asked, first, oldest, reaches_back)

    def _downwards(self, newest: dict[int, Record], start: float) -> dict[int, Record]:
        """Twenty at a time, as servers without ranges of numbers are read: until a page is older, or brings nothing."""
        messages = dict(newest)
        while page := self._ask({"before": min(messages)}):
            is_old, is_known = min(map(created, page.values())) < start, page.keys() <= messages.keys()
            messages |= page
            if is_old or is_known:
                break
        return messages

    def _of_a_long_one(
        self, asked: Asked, first: dict[int, Record], oldest: int, reaches_back: bool
    ) -> dict[int, Record]:
        """What lies between the oldest page and the newest one and is wanted."""
        messages: dict[int, Record] = {}
        if not reaches_back:
            start = asked.stored + 1 if asked.stored else self._first_since(asked.start, first, oldest)
            messages = self._upwards(min(start, oldest), oldest, asked.end)
        if asked.has_changed:
            back = self._first_since(asked.start - _LOOK_BACK.total_seconds(), first, oldest)
            messages |= self._upwards(back, oldest, asked.start, pages=_LOOK_BACK_PAGES)
        return messages

    def _newest(self) -> dict[int, Record]:
        """The newest messages; they must reach the conversation's own last one, else they were cut on their way."""
        for _ in range(REREADS + 1):
            page = self._ask({})
            if self._last in page or max(page, default=0) >= self._last:
                return page
        raise _LeftOut("its messages end before its last one")

    def _between(self, low: int, high: int, known: int) -> dict[int, Record]:
        """The oldest thousand messages from `low` to `high`; fewer must show `known`, else they were cut."""
        for _ in range(REREADS + 1):
            page = self._ask({"after": low, "before": high + 1})
            if any(not low <= number <= high for number in page):
                raise _LeftOut("it answers other messages than were asked for")
            if len(page) >= _BETWEEN or known in page:
                return page
        raise _LeftOut("its messages end before the one that was asked for")

    def _upwards(self, low: int, known: int, end: float, pages: int | None = None) -> dict[int, Record]:
        """Every message from number `low` on that was written before `end`, or what `pages` pages hold of them."""
        messages: dict[int, Record] = {}
        for page in self._pages(low, known):
            messages |= page
            pages = None if pages is None else pages - 1
            if pages == 0 or max(map(created, page.values()), default=0.0) >= end:
                break
        return messages

    def _pages(self, low: int, known: int) -> Iterator[dict[int, Record]]:
        """Complete pages from `low` on, in the order of numbers; `known` is one of the newest messages."""
        while low <= known:
            page = self._between(low, _NO_END, known)
            if len(page) < _BETWEEN:
                yield page
                return
            numbers = sorted(page)
            cut = numbers[_SURE]
            if list(page) != numbers:
                # Some were stored out of order, so others may stand behind the page's end: ask for less until it ends.
                while len(page) >= _BETWEEN:
                    cut = sorted(page)[len(page) // 2]
                    page = self._between(low, cut, cut)
            yield {number: one for number, one in page.items() if number <= cut}
            low = cut + 1

    def _first_since(self, moment: float, first: dict[int, Record], high: int) -> int:
        """The number from which on messages were written since `moment`, some older ones included.

        `first` is the list's beginning, `high` a message that was written since. By turns a guess from the instants at
        both ends, and the middle: a few steps where messages come evenly, never more than there are bits in a number.
        """
        numbers = sorted(first)
        low, low_at = numbers[_SURE], created(first[numbers[_SURE]])
        if low_at >= moment:
            return numbers[0]
        high_at = max(moment, low_at) + 1.0
        is_guess = True
        while high - low > 1:
            share = (moment - low_at) / (high_at - low_at) if is_guess and high_at > low_at else 0.5
            at = min(max(low + int((high - low) * share), low + 1), high)
            page = self._ask({"before": at})
            since = [number for number, one in page.items() if created(one) >= moment]
            if not since:
                low, low_at = at, max(low_at, max(map(created, page.values()), default=low_at))
                if not page:
                    low_at = moment
            elif len(since) < len(page):
                return min(page)
            else:
                high, high_at = min(since), created(page[min(since)])
            is_guess = not is_guess
        return low

    def _ask(self, params: dict[str, str | int]) -> dict[int, Record]:
        """One page by number, in the order it came."""
        for _ in range(REREADS + 1):
            answer = self._client.get_record(self._path, params)
            if answer.status == HTTPStatus.NOT_FOUND:
                raise _Gone("answered 404: it is gone")
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _LeftOut(f"answered {answer.status}")
            with contextlib.suppress(TransientSourceError):
                page = listed(answer.document, "messages", Omitted())
                return {whole_number(one["id"]) or 0: one for one in page.records}
        raise _LeftOut("answered without a list of messages")
