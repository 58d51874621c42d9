"""Pages and cursors, as every connection of the Admin API has them.

Belongs here: cutting a page out of an ordered list, opaque cursors. Does not belong here: what is listed and in what
order. A cursor is bound to what it pages over (query, sort, parent): used elsewhere it is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hotdash_pipelines.demo.shopify.execute import QueryFault

MAX_PAGE = 250


class Entry(NamedTuple):
    """Something listed: its place in the order (sort value, id), and the source its fields are read from."""

    sort: Any
    id: int
    source: Any


class Page:
    """One page of a connection."""

    __slots__ = ("_cursor", "entries", "has_next", "has_previous", "nodes")

    def __init__(
        self, entries: Sequence[Any], has_next: bool, has_previous: bool, nodes: list[Any], cursor: Callable[[int], str]
    ) -> None:
        self.entries = entries
        self.has_next = has_next
        self.has_previous = has_previous
        self.nodes = nodes
        self._cursor = cursor

    def cursor(self, index: int) -> str | None:
        """The cursor of the node at `index` (may count from the end), None on an empty page."""
        return self._cursor(index) if self.nodes else None

    def edges(self) -> list[tuple[Any, str | None]]:
        """(node, cursor) for every node."""
        return [(node, self.cursor(index)) for index, node in enumerate(self.nodes)]


def page_size(arguments: Mapping[str, Any]) -> tuple[int, bool]:
    """(size, whether it counts from the end). Raises QueryFault for none, both, or a size outside 0..250."""
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise QueryFault("you must provide one of first or last", code="BAD_REQUEST")
    if first is not None and last is not None:
        raise QueryFault("providing both first and last is not supported", code="BAD_REQUEST")
    name = "first" if last is None else "last"
    size: int = arguments[name]
    if not 0 <= size <= MAX_PAGE:
        message = f"{name} cannot exceed {MAX_PAGE}" if size > 0 else f"{name} must be at least 0"
        raise QueryFault(message, code="BAD_REQUEST")
    return size, last is not None


def fingerprint(*parts: object) -> str:
    """A short mark of what a cursor pages over."""
    return hashlib.blake2s(repr(parts).encode(), digest_size=6).hexdigest()


def encode_cursor(mark: str, sort: Any, id_: int) -> str:
    """An opaque cursor for the entry at (sort, id)."""
    return base64.b64encode(json.dumps([mark, sort, id_]).encode()).decode()


def decode_cursor(cursor: str, mark: str) -> tuple[Any, int]:
    """(sort, id) of a cursor made under the same mark. Raises QueryFault for any other."""
    try:
        marked, sort, id_ = json.loads(base64.b64decode(cursor, validate=True))
    except (Base64Error, ValueError, TypeError):
        raise QueryFault("Invalid cursor for current pagination sort.", code="BAD_REQUEST") from None
    if marked != mark:
        raise QueryFault("Invalid cursor for current pagination sort.", code="BAD_REQUEST")
    return sort, id_


def page_of_entries(entries: Sequence[Entry], has_more: bool, has_before: bool, mark: str) -> Page:
    """A page from entries already cut to size."""
    return Page(
        entries,
        has_more,
        has_before,
        [entry.source for entry in entries],
        lambda index: encode_cursor(mark, entries[index].sort, entries[index].id),
    )


def page_of_list(items: Sequence[Any], arguments: Mapping[str, Any], owner: object) -> Page:
    """A page of a short list held in memory (an order's lines, a product's variants); cursors count positions."""
    size, from_end = page_size(arguments)
    if arguments.get("reverse"):
        items = items[::-1]
    after, before = arguments.get("after"), arguments.get("before")
    if not after and not before and not from_end and size >= len(items):
        mark, start, stop = None, 0, len(items)
    else:
        mark = fingerprint(owner, bool(arguments.get("reverse")))
        start = decode_cursor(after, mark)[1] + 1 if after else 0
        stop = decode_cursor(before, mark)[1] if before else len(items)
        if from_end:
            start = max(start, stop - size)
        else:
            stop = min(stop, start + size)
    chosen = list(items[start:stop])

    def cursor(index: int) -> str:
        at = start + (index if index >= 0 else len(chosen) + index)
        return encode_cursor(mark or fingerprint(owner, bool(arguments.get("reverse"))), None, at)

    return Page(chosen, stop < len(items), start > 0, chosen, cursor)
