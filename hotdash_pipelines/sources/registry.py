"""Which function reads which stream and which counts it, and what they hand back.

Belongs here: the marks `@fetches` and `@counts`, the look-up, the result of a fetch. Does not belong here: any source;
the records of the sources (records.py).
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, Protocol

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.settings.sources import HalfSource
from hotdash_pipelines.sources.errors import in_one_line
from hotdash_pipelines.sources.held import NOTHING, Held, Note


class Pages(Protocol):
    """Where a fetch function puts the response bodies as they come: a spool on the disk, or a list."""

    def append(self, page: bytes, /) -> None:
        """Add a body at the end."""
        ...

    def clear(self) -> None:
        """Forget all: the reading begins anew."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def __getitem__(self, index: int, /) -> bytes: ...

    def __setitem__(self, index: int, page: bytes, /) -> None: ...


@dataclass(frozen=True)
class Skipped:
    """A record that the source lists and could not be read whole: its id, why, and what there is of it as JSON.

    The reason never quotes the source. The record belongs into the quarantine of its window.
    """

    record: str
    reason: str
    body: bytes | None = None


@dataclass(frozen=True)
class Fetched:
    """One window of one stream as the source answered it.

    `pages` are JSON response bodies, one object each, their nested lists complete. `expected_rows` is the number of
    main records by the source's own count, None where it gives none. `cost` is in the source's own unit. `skipped` are
    main records that are counted and not in the pages; `deleted` are those that the source deleted in the window, by
    their key, whichever window they were read in; None for one that was only found to be missing.
    """

    pages: Pages
    requests: int
    cost: float | None
    api_version: str
    expected_rows: int | None
    notes: dict[str, Note] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    deleted: Mapping[str, datetime | None] = field(default_factory=dict)


class FetchFunction(Protocol):
    """Reads one window of a stream; `held` is for streams that go on from what is held, or look for what is gone.

    The response bodies go to `pages`; without it they are kept in memory.
    """

    def __call__(
        self, client: Any, contract: Contract, window: Window, held: Held = ..., pages: Pages | None = None, /
    ) -> Fetched:
        """The window as the source answers it. Raises SourceError."""
        ...


# The records of each window's business day by the source's own count, asked for apart from the rows: partition key ->
# how many the source has, None where it cannot tell exactly. The source is asked in few requests for many windows.
CountFunction = Callable[[Any, Contract, Sequence[Window]], Mapping[str, int | None]]

_FETCHERS: dict[tuple[str, str], FetchFunction] = {}
_COUNTERS: dict[tuple[str, str], CountFunction] = {}


def fetches(source: str, stream: str) -> Callable[[Callable[..., Fetched]], FetchFunction]:
    """Mark a function of (client, contract, window) as the reader of a stream; `held` and `pages` it has if it asks.

    To `pages` it appends every response body as it comes, once it is whole, and keeps none itself. Errors it raises
    then name stream and window.
    """

    def mark(function: Callable[..., Fetched]) -> FetchFunction:
        asked = inspect.signature(function).parameters

        @wraps(function)
        def fetch(
            client: Any, contract: Contract, window: Window, held: Held = NOTHING, pages: Pages | None = None, /
        ) -> Fetched:
            given = {"held": held, "pages": [] if pages is None else pages}
            more = {name: value for name, value in given.items() if name in asked}
            with in_one_line(lambda: f"{source}/{stream} {window.key}"):
                return function(client, contract, window, **more)

        if (source, stream) in _FETCHERS:
            raise HalfSource(f"{source}/{stream} has two fetch functions: take one @fetches out")
        _FETCHERS[source, stream] = fetch
        return fetch

    return mark


def fetcher(source: str, stream: str) -> FetchFunction:
    """The reader of a stream. Imports `sources/<source>/streams.py` on first use; HalfSource when there is none."""
    if (source, stream) not in _FETCHERS:
        _import(source, "streams")
    try:
        return _FETCHERS[source, stream]
    except KeyError:
        raise HalfSource(no_fetch_function(source, stream)) from None


def counts(source: str, stream: str) -> Callable[[CountFunction], CountFunction]:
    """Mark a function in `sources/<source>/counts.py` as the count of a stream. Errors it raises then name the stream.

    It counts by the contract's `business_day`, whatever window a record lies in by its cursor.
    """

    def mark(function: CountFunction) -> CountFunction:
        @wraps(function)
        def count(client: Any, contract: Contract, windows: Sequence[Window]) -> Mapping[str, int | None]:
            with in_one_line(lambda: f"{source}/{stream} by day"):
                return function(client, contract, windows)

        if (source, stream) in _COUNTERS:
            raise HalfSource(f"{source}/{stream} has two count functions: take one @counts out")
        _COUNTERS[source, stream] = count
        return count

    return mark


def counter(source: str, stream: str) -> CountFunction | None:
    """The count of a stream, None where the source has none. Imports `sources/<source>/counts.py` on first use."""
    if (source, stream) not in _COUNTERS:
        _import(source, "counts")
    return _COUNTERS.get((source, stream))


def _import(source: str, module: str) -> None:
    package = f"hotdash_pipelines.sources.{source}"
    if importlib.util.find_spec(package) and importlib.util.find_spec(f"{package}.{module}"):
        importlib.import_module(f"{package}.{module}")


def no_fetch_function(source: str, stream: str) -> str:
    """What a stream without a reader lacks, and where to put it."""
    return (
        f"no fetch function for {source}/{stream}: "
        f'mark one with @fetches("{source}", "{stream}") in sources/{source}/streams.py'
    )
