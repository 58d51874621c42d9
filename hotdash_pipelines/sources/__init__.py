"""Room 2: the APIs, read window by window; a folder each.

Belongs here: one thin client an API (signing in, limits, retries), and one fetch function a stream that turns a window
into whole response pages; each source's own settings, and one record (`SOURCE`) from which pool, nightly run, doctor
and connection follow.
Does not belong here: parsing pages into tables (contracts), files (lake), SQL (warehouse), Dagster.

A stream is `contracts/<source>/<stream>.yaml` plus one function marked `@fetches(source, stream)` in
`sources/<source>/streams.py`. Where the source counts a stream's records by day, a function marked
`@counts(source, stream)` in `sources/<source>/counts.py` asks it to.
"""

from hotdash_pipelines.settings.sources import HalfSource
from hotdash_pipelines.sources.errors import (
    PermanentSourceError,
    QuotaExhausted,
    SourceError,
    TransientSourceError,
)
from hotdash_pipelines.sources.held import Deletion, Held, Note
from hotdash_pipelines.sources.records import all_sources, counted_streams, whole
from hotdash_pipelines.sources.registry import (
    CountFunction,
    Fetched,
    FetchFunction,
    Pages,
    Skipped,
    counter,
    counts,
    fetcher,
    fetches,
)
from hotdash_pipelines.sources.source import Source

__all__ = [
    "CountFunction",
    "Deletion",
    "FetchFunction",
    "Fetched",
    "HalfSource",
    "Held",
    "Note",
    "Pages",
    "PermanentSourceError",
    "QuotaExhausted",
    "Skipped",
    "Source",
    "SourceError",
    "TransientSourceError",
    "all_sources",
    "counted_streams",
    "counter",
    "counts",
    "fetcher",
    "fetches",
    "whole",
]
