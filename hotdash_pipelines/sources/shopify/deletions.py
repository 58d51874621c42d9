"""What Shopify deleted: its events tell, for a year.

Belongs here: asking the events for deletions of one kind. Does not belong here: the records themselves (streams.py),
what a deletion does to the tables (warehouse).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.errors import PermanentSourceError, QueryTooCostly
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.nested import Cursors
from hotdash_pipelines.sources.shopify.page_size import LARGEST_PAGE

OPERATION = "Deletions"
EVENTS_QUERY = """
query Deletions($first: Int!, $after: String, $query: String) {
  events(first: $first, after: $after, query: $query, sortKey: ID) {
    nodes { action createdAt ... on BasicEvent { subjectId subjectType } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


def with_deletions(client: ShopifyClient, fetched: Fetched, subject: str, window: Window) -> Fetched:
    """The window with the records of `subject` (ORDER, CUSTOMER ...) that were deleted in it.

    A shop that does not show its events to the app costs the deletions alone, and the notes say so.
    """
    requests, cost = client.requests, client.cost
    try:
        deleted, note = _deleted(client, subject, window), {}
    except QueryTooCostly:
        raise
    except PermanentSourceError:
        deleted, note = {}, {"deletions_unknown": True}
    return replace(
        fetched,
        requests=fetched.requests + client.requests - requests,
        cost=(fetched.cost or 0.0) + client.cost - cost,
        notes={**fetched.notes, **note},
        deleted=deleted,
    )


def _deleted(client: ShopifyClient, subject: str, window: Window) -> Mapping[str, datetime]:
    start, end = (f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for moment in (window.start, window.end))
    search = f"action:destroy AND subject_type:{subject} AND created_at:>='{start}' AND created_at:<'{end}'"
    deleted: dict[str, datetime] = {}
    cursors = Cursors(OPERATION)
    after: str | None = None
    while True:
        variables = {"first": LARGEST_PAGE, "after": after, "query": search}
        page = client.graphql(EVENTS_QUERY, variables, OPERATION).data["events"]
        for event in page["nodes"]:
            # A search that does not know a field ignores it: what is not a deletion of this kind is left here.
            if event["action"] == "destroy" and event.get("subjectType") == subject:
                number = event["subjectId"].rpartition("/")[2].partition("?")[0]
                deleted[number] = datetime.fromisoformat(event["createdAt"])
        after = cursors.next(page["pageInfo"])
        if after is None:
            return deleted
