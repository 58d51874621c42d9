"""Which function reads which stream, and what it hands back.

Belongs here: the `@fetches` mark, the look-up, the result of a fetch. Does not belong here: any source; the records of
the sources (records.py).
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.settings.sources import HalfSource
from hotdash_pipelines.sources.errors import SourceError

Note = str | int | float | bool


@dataclass(frozen=True)
class Fetched:
    """One window of one stream as the source answered it.

    `pages` are JSON response bodies, one object each, their nested lists complete. `expected_rows` is the number of
    main records by the source's own count, None where it gives none. `cost` is in the source's own unit.
    """

    pages: list[bytes]
    requests: int
    cost: float | None
    api_version: str
    expected_rows: int | None
    notes: dict[str, Note] = field(default_factory=dict)


FetchFunction = Callable[[Any, Contract, Window], Fetched]

_FETCHERS: dict[tuple[str, str], FetchFunction] = {}


def fetches(source: str, stream: str) -> Callable[[FetchFunction], FetchFunction]:
    """Mark a function as the reader of a stream. Errors it raises then name stream and window."""

    def mark(function: FetchFunction) -> FetchFunction:
        @wraps(function)
        def fetch(client: Any, contract: Contract, window: Window) -> Fetched:
            try:
                return function(client, contract, window)
            except SourceError as error:
                error.where = f"{source}/{stream} {window.key}"
                raise

        if (source, stream) in _FETCHERS:
            raise HalfSource(f"{source}/{stream} has two fetch functions: take one @fetches out")
        _FETCHERS[source, stream] = fetch
        return fetch

    return mark


def fetcher(source: str, stream: str) -> FetchFunction:
    """The reader of a stream. Imports `sources/<source>/streams.py` on first use; HalfSource when there is none."""
    if (source, stream) not in _FETCHERS:
        module = f"hotdash_pipelines.sources.{source}.streams"
        if importlib.util.find_spec(module.removesuffix(".streams")) and importlib.util.find_spec(module):
            importlib.import_module(module)
    try:
        return _FETCHERS[source, stream]
    except KeyError:
        raise HalfSource(no_fetch_function(source, stream)) from None


def no_fetch_function(source: str, stream: str) -> str:
    """What a stream without a reader lacks, and where to put it."""
    return (
        f"no fetch function for {source}/{stream}: "
        f'mark one with @fetches("{source}", "{stream}") in sources/{source}/streams.py'
    )
