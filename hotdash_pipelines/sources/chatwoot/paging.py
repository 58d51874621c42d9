"""Reading Chatwoot's shifting lists completely: sweep and repair.

Belongs here: pages that move while they are read, the unpaged list of what changed lately, the filters' conditions.
Does not belong here: messages of one conversation (messages.py), requests and roles (client.py), streams (streams.py).

A listing shows the newest activity first and has no cursor: whoever writes meanwhile moves records between pages. One
quiet sweep whose pages add up to the list's own count is the answer. Otherwise the list is swept again and what the
sweeps saw is put together, each record as it was seen last, until a sweep shows nothing new.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.chatwoot.shapes import Omitted, Record, active, listed, updated, whole_number
from hotdash_pipelines.sources.errors import TransientSourceError
from hotdash_pipelines.sources.http import HttpAnswer
from hotdash_pipelines.sources.registry import Pages

REREADS = 3
# A list without a count of its own ends somewhere before this.
_MOST_PAGES = 20_000
# How long ago a window may have begun to be read by what changed since; older ones are read by day.
LATELY = timedelta(days=8)
# The server compares with its clock when it answers, which is later than ours when we asked.
_SLACK_S = 60
# A run goes over no more days.
_KEPT = timedelta(days=31)
_HOUR_S = 3_600
_DEFAULT_PAGE = 25
_RECORDS_A_BODY = 100


@dataclass
class ListReading:
    """Records kept of a list, how often it had to be swept again, and what was left out."""

    records: list[Record]
    rereads: int = 0
    skipped: Omitted = field(default_factory=Omitted)
    is_settled: bool = True

    def notes(self) -> dict[str, str | int | float | bool]:
        """What a manifest should tell of the reading."""
        notes: dict[str, str | int | float | bool] = {"rereads": self.rereads} if self.rereads else {}
        if not self.is_settled:
            notes["never_settled"] = True
        return notes | self.skipped.notes()


def bodies(records: list[Record]) -> Iterator[bytes]:
    """The records as response bodies `{"payload": [...]}`."""
    for start in range(0, len(records), _RECORDS_A_BODY):
        yield orjson.dumps({"payload": records[start : start + _RECORDS_A_BODY]})


def append_full(pages: Pages, records: list[Record]) -> list[Record]:
    """Append the records to `pages` as far as they fill bodies; the rest is returned, to wait for more."""
    full = len(records) - len(records) % _RECORDS_A_BODY
    for body in bodies(records[:full]):
        pages.append(body)
    return records[full:]


@dataclass
class _Union:
    """What all sweeps together saw: each record's newest activity, and the record itself where it is to be kept."""

    keep: Callable[[Record], bool]
    at: dict[int, float] = field(default_factory=dict)
    kept: dict[int, Record] = field(default_factory=dict)

    def see(self, record: Record) -> bool:
        """Take the record if it is newer than what was seen of it. True if it was kept for the first time."""
        number, at = whole_number(record["id"]) or 0, max(active(record), updated(record))
        if at < self.at.get(number, -1.0):
            return False
        self.at[number] = at
        is_new = number not in self.kept
        if self.keep(record):
            self.kept[number] = record
            return is_new
        self.kept.pop(number, None)
        return False


@dataclass(frozen=True)
class _Sweep:
    """One sweep over a list: whose records it saw, whether they add up, and whether the list moved meanwhile."""

    numbers: Collection[int]
    is_whole: bool
    is_even: bool
    has_moved: bool
    brought_new: bool
    least: int | None


def read_list(
    read: Callable[[int], HttpAnswer], what: str, keep: Callable[[Record], bool], is_past: Callable[[Record], bool]
) -> ListReading:
    """The records of a list, sorted by newest activity, that `keep` wants.

    `read(page)` gets a page from 1, `what` names the records, `is_past(record)` tells that no later record can matter.
    A list that moves in every sweep is taken as all sweeps together saw it. Raises TransientSourceError when records
    stay missing: pages cut short, or one page over and over.
    """
    skipped, union = Omitted(), _Union(keep)
    attempt = 0
    while True:
        sweep = _sweep(read, what, union, is_past, skipped)
        if sweep.is_whole:
            return ListReading([union.kept[one] for one in sweep.numbers if one in union.kept], attempt, skipped)
        is_enough = sweep.has_moved and sweep.is_even and (sweep.least is None or len(union.at) >= sweep.least)
        if is_enough and attempt and not sweep.brought_new:
            return ListReading(list(union.kept.values()), attempt, skipped)
        if attempt == REREADS:
            break
        attempt += 1
    if is_enough:
        return ListReading(list(union.kept.values()), REREADS, skipped, is_settled=False)
    raise TransientSourceError(
        f"the {what} did not add up in {REREADS + 1} readings; materialise the partition again when it is quieter"
    )


@dataclass(frozen=True)
class _KeptList:
    """The records of a list that were last active in `[since, until)`, by a reading after which nothing joins them."""

    since: datetime
    until: datetime
    reading: ListReading


def read_window(client: ChatwootClient, read: Callable[[int], HttpAnswer], what: str, window: Window) -> ListReading:
    """The records of a list, sorted by newest activity, that were last active in the window.

    The list has no filter and is paged until the window is behind, so what is passed on the way is kept for the windows
    of the month that begins with this one: a client that reads them from the oldest on pages once. A window that is not
    over is always read: until it is, records join it. Raises TransientSourceError as `read_list` does.
    """
    kept = client.kept_lists.get(what)
    if kept is None or not kept.since <= window.start < window.end <= kept.until:
        now = client.now()
        until = min(window.start + _KEPT, now) if window.end <= now else window.end
        reach = Window(window.key, window.start, until)
        past = window.start.timestamp()
        reading = read_list(read, what, lambda one: is_active(one, reach), lambda one: active(one) < past)
        kept = _KeptList(window.start, until, reading)
        if window.end <= now:
            client.kept_lists[what] = kept
    reading = kept.reading
    records = [one for one in reading.records if is_active(one, window)]
    return ListReading(records, reading.rereads, reading.skipped, reading.is_settled)


def _sweep(
    read: Callable[[int], HttpAnswer], what: str, union: _Union, is_past: Callable[[Record], bool], skipped: Omitted
) -> _Sweep:
    """All pages up to the first record that is past, or to a page that brings nothing."""
    numbers: dict[int, None] = {}
    sizes: list[int] = []
    counts: set[int | None] = set()
    repeated = brought_new = is_past_now = False
    unnumbered = 0
    while True:
        page = listed(read(len(sizes) + 1).document, what, skipped, page=len(sizes) + 1)
        counts.add(page.count)
        sizes.append(page.entries)
        unnumbered += page.entries - len(page.records)
        before = len(numbers)
        for record in page.records:
            brought_new |= union.see(record)
            numbers[whole_number(record["id"]) or 0] = None
        repeated |= len(numbers) - before < len(page.records)
        total = len(numbers) + unnumbered
        is_end = not page.records or len(numbers) == before or len(sizes) >= _MOST_PAGES
        is_end |= total >= page.count if page.count is not None else page.entries < sizes[0]
        is_past_now = bool(page.records) and is_past(page.records[-1])
        if is_end or is_past_now:
            break
    # Every page but the last is equally long: a short one was cut on its way.
    even = len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    has_moved = repeated or len(counts) > 1
    adds_up = is_past_now or page.count is None or total == page.count
    least = None if is_past_now else min((one for one in counts if one is not None), default=None)
    return _Sweep(numbers, even and not has_moved and adds_up, even, has_moved, brought_new, least)


def changed_since(client: ChatwootClient, since: datetime) -> ListReading | None:
    """Every conversation, whatever its status, that changed after `since`, in one answer; None where the server pages.

    `updated_within` is unknown to servers before 3.0, which answer it with the first page of the usual list. Raises
    SourceError.
    """
    skipped = Omitted()
    seconds = math.ceil((client.now() - since).total_seconds()) + _SLACK_S
    wanted: dict[str, str | int] = {"status": "all", "updated_within": max(1, seconds)}
    page = listed(client.get("conversations", wanted).document, "conversations", skipped)
    oldest = since.timestamp() - _HOUR_S
    is_older = any("updated_at" in one and updated(one) < oldest for one in page.records)
    may_be_a_page = page.entries == _DEFAULT_PAGE and page.count != _DEFAULT_PAGE
    return None if is_older or may_be_a_page else ListReading(page.records, skipped=skipped)


def filtered(
    client: ChatwootClient,
    kind: str,
    wanted: list[dict[str, Any]],
    keep: Callable[[Record], bool],
    since: datetime | None = None,
) -> ListReading:
    """The conversations or contacts that meet the conditions and that `keep` wants, last active since `since`."""
    start = since.timestamp() if since else 0.0
    return read_list(lambda page: client.filter(kind, wanted, page), kind, keep, lambda record: active(record) < start)


def is_active(record: Record, window: Window) -> bool:
    """Whether the record's last activity lies in `[start, end)`; a contact that was never active has none."""
    return window.start.timestamp() <= active(record) < window.end.timestamp()


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
