"""Room 2: the three APIs, read window by window.

Belongs here: one thin client an API (signing in, limits, retries), and one fetch function a stream that turns a window
into whole response pages.
Does not belong here: parsing pages into tables (contracts), files (lake), SQL (warehouse), settings, Dagster.

A stream is `contracts/<source>/<stream>.yaml` plus one function marked `@fetches(source, stream)` in
`sources/<source>/streams.py`.
"""

from hotdash_pipelines.sources.errors import PermanentSourceError, QuotaExhausted, SourceError, TransientSourceError
from hotdash_pipelines.sources.registry import Fetched, FetchFunction, fetcher, fetches

__all__ = [
    "FetchFunction",
    "Fetched",
    "PermanentSourceError",
    "QuotaExhausted",
    "SourceError",
    "TransientSourceError",
    "fetcher",
    "fetches",
]
