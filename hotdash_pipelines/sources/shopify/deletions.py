"""What Shopify deleted: its events tell, for a year.

Belongs here: asking the events for deletions of one kind. Does not belong here: the records themselves (streams.py),
what a deletion does to the tables (warehouse).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.errors import PermanentSourceError, QueryTooCostly
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.nested import Cursors
from hotdash_pipelines.sources.shopify.page_size import LARGEST_PAGE
from hotdash_pipelines.sources.shopify.paging import READINGS, exact

OPERATION = "Deletions"
EVENTS_QUERY = """
query Deletions($first: Int!, $after: String, $query: String) {
  events(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes { id action createdAt ... on BasicEvent { subjectId subjectType } }
    pageInfo { hasNextPage endCursor }
  }
  eventsCount(query: $query) { count precision }
}
"""


def with_deletions(client: ShopifyClient, fetched: Fetched, subject: str, window: Window) -> Fetched:
    """The window with the records of `subject` (ORDER, CUSTOMER ...) that were deleted in it.

    A shop that does not show its events to the app, or never as many as it counts, costs the deletions alone, and the
    notes say so.
    """
    requests, cost = client.requests, client.cost
    deleted: dict[str, datetime] = {}
    is_whole = False
    try:
        is_whole = _read(client, subject, window, deleted)
    except QueryTooCostly:
        raise
    except PermanentSourceError:
        pass
    note = {} if is_whole else {"deletions_unknown": True}
    return replace(
        fetched,
        requests=fetched.requests + client.requests - requests,
        cost=(fetched.cost or 0.0) + client.cost - cost,
        notes={**fetched.notes, **note},
        deleted=deleted,
    )


def _read(client: ShopifyClient, subject: str, window: Window, deleted: dict[str, datetime]) -> bool:
    """Read the window's events into `deleted`, again while fewer come than are counted; whether all have come.

    No deletion is the usual answer, so nothing but the count tells a short one from a whole one.
    """
    start, end = (f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for moment in (window.start, window.end))
    search = f"action:destroy AND subject_type:{subject} AND created_at:>='{start}' AND created_at:<'{end}'"
    for _ in range(READINGS):
        seen: set[str] = set()
        counted: int | None = None
        for page in _pages(client, search):
            counted = exact(page.get("eventsCount"))
            for event in page["events"]["nodes"]:
                seen.add(event["id"])
                # A search that does not know a field ignores it: what is not a deletion of this kind is left here.
                if event["action"] == "destroy" and event.get("subjectType") == subject:
                    number = event["subjectId"].rpartition("/")[2].partition("?")[0]
                    deleted[number] = datetime.fromisoformat(event["createdAt"])
        if counted is None or len(seen) >= counted:
            return True
    return False


def _pages(client: ShopifyClient, search: str) -> Iterator[dict[str, Any]]:
    cursors = Cursors(OPERATION)
    after: str | None = None
    while True:
        page = client.graphql(EVENTS_QUERY, {"first": LARGEST_PAGE, "after": after, "query": search}, OPERATION).data
        yield page
        after = cursors.next(page["events"]["pageInfo"])
        if after is None:
            return
