"""Reading a Shopify connection to its end: page sizes, nested lists, counts.

Belongs here: what makes a window of any Shopify stream complete. Does not belong here: signing in and throttling
(client.py), the queries (streams.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from hotdash_pipelines.sources.errors import PermanentSourceError, QueryTooCostly, TransientSourceError
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.sources.shopify.page_size import LARGEST_PAGE, PageSize

if TYPE_CHECKING:
    from hotdash_pipelines.sources.shopify.client import GraphqlPage, ShopifyClient

_TROUBLED_PAGES = 3
_NESTED_PAGE = 100

Node = dict[str, Any]


@dataclass(frozen=True)
class Nested:
    """A connection inside a record that may go on: where it is, and the query that reads the rest.

    `query` takes `$id` (the owner's GID) and either `$after` (it pages on from the end of what is held), or, for a list
    that has no root of its own, reads all of it anew (`rereads`). It answers with the record under `root`.
    """

    path: tuple[str, ...]
    gid_type: str
    root: str
    query: str
    operation: str
    rereads: bool = False


@dataclass(frozen=True)
class Connection:
    """One stream: the root field, the page query (`$first`, `$after`, `$query`), the count query, its nested lists.

    `finish` is called with every record once it is complete, and may add what the API gives only in parts.
    """

    root: str
    query: str
    operation: str
    count_root: str
    count_query: str
    count_operation: str
    nested: tuple[Nested, ...] = ()
    finish: Callable[[Node], bool] | None = None


@dataclass
class _Page:
    document: dict[str, Any]
    body: bytes
    nodes: list[Node]
    is_changed: bool = False

    def bytes(self) -> bytes:
        return orjson.dumps(self.document) if self.is_changed else self.body


def read_connection(
    client: ShopifyClient, connection: Connection, search: str | None, *, may_grow: bool = False
) -> Fetched:
    """All records that match `search`, their nested lists complete, each record once.

    The records are counted by the source before; if the pages disagree they are read once more. What still disagrees
    is left to the check on `expected_rows`. `may_grow`: records come to the search while it is read (an open day), so
    only fewer than were counted are a disagreement. Raises SourceError.
    """

    def disagrees() -> bool:
        return expected is not None and (rows < expected if may_grow else rows != expected)

    requests, cost = client.requests, client.cost
    notes: dict[str, str | int | float | bool] = {}
    expected = _count(client, connection, search)
    pages = _read_pages(client, connection, search)
    rows = sum(len(page.nodes) for page in pages)
    if disagrees():
        notes["read_again"] = True
        expected = _count(client, connection, search)
        if expected is None or disagrees():
            pages = _read_pages(client, connection, search)
            rows = sum(len(page.nodes) for page in pages)
    if expected is None:
        notes["count_precision"] = "AT_LEAST"
    elif disagrees():
        notes["count_disagrees"] = True
    return Fetched(
        pages=[page.bytes() for page in pages],
        requests=client.requests - requests,
        cost=client.cost - cost,
        api_version=client.served_version,
        expected_rows=expected,
        notes={**notes, **client.version_notes()},
    )


def _count(client: ShopifyClient, connection: Connection, search: str | None) -> int | None:
    """The source's own count, None unless it is exact: a capped one must never be compared with rows."""
    page = client.graphql(connection.count_query, {"query": search}, connection.count_operation)
    count = page.data.get(connection.count_root) or {}
    return count["count"] if count.get("precision") == "EXACT" else None


def _read_pages(client: ShopifyClient, connection: Connection, search: str | None) -> list[_Page]:
    pages: list[_Page] = []
    page_of: dict[str, _Page] = {}
    for answer in _answers(client, connection, search):
        nodes = answer.data[connection.root]["nodes"]
        page = _Page(answer.document, answer.body, nodes)
        for node in nodes:
            page.is_changed |= _complete(client, connection, node)
            _keep_newest(page_of, page, node["legacyResourceId"])
        pages.append(page)
    return pages


def _keep_newest(page_of: dict[str, _Page], page: _Page, record: str) -> None:
    """A record that changed while it was read comes again further on: the earlier copy is dropped."""
    earlier = page_of.get(record)
    if earlier is not None and earlier is not page:
        earlier.nodes[:] = [node for node in earlier.nodes if node["legacyResourceId"] != record]
        earlier.is_changed = True
    page_of[record] = page


def _answers(client: ShopifyClient, connection: Connection, search: str | None) -> Iterator[GraphqlPage]:
    """The pages in order. The page is halved when it costs too much, and when the server fails over it."""
    size = client.page_sizes.setdefault(connection.operation, PageSize())
    after: str | None = None
    troubles = 0
    while True:
        asked = size.size
        try:
            answer = client.graphql(
                connection.query, {"first": asked, "after": after, "query": search}, connection.operation
            )
        except QueryTooCostly:
            if not size.halve():
                raise
            continue
        except TransientSourceError as error:
            # A source that says how long to wait is not overwhelmed by this page.
            troubles += 1
            if error.retry_after is not None or troubles > _TROUBLED_PAGES or not size.halve():
                raise
            continue
        size.learn(asked, answer.requested_cost, answer.bucket)
        yield answer
        info = answer.data[connection.root]["pageInfo"]
        if not info["hasNextPage"]:
            return
        if not info["endCursor"] or info["endCursor"] == after:
            raise TransientSourceError(
                f"{connection.operation} does not move on; materialise the partition again later"
            )
        after = info["endCursor"]


def _complete(client: ShopifyClient, connection: Connection, node: Node) -> bool:
    """Read on in every nested list that was cut; True if the record was changed."""
    is_changed = False
    for nested in connection.nested:
        owner = f"gid://shopify/{nested.gid_type}/{node['legacyResourceId']}"
        if not any(holder["pageInfo"]["hasNextPage"] for holder in _holders(node, nested.path)):
            continue
        is_changed = True
        if nested.rereads:
            _replace(client, nested, owner, node)
        else:
            _append(client, nested, owner, node)
    if connection.finish is not None:
        is_changed |= connection.finish(node)
    return is_changed


def _holders(node: Mapping[str, Any], path: tuple[str, ...]) -> list[dict[str, Any]]:
    """The connections at `path`; a step may be a plain list of objects."""
    holders: list[Any] = [node]
    for step in path:
        holders = [inner[step] for inner in holders]
        holders = [item for inner in holders for item in (inner if isinstance(inner, list) else [inner])]
    return holders


def _append(client: ShopifyClient, nested: Nested, owner: str, node: Node) -> None:
    holder = _holders(node, nested.path)[0]
    while holder["pageInfo"]["hasNextPage"]:
        after = holder["pageInfo"]["endCursor"]
        record = _record(client, nested, {"id": owner, "first": _NESTED_PAGE, "after": after})
        rest = _holders(record, nested.path)[0]
        if rest["pageInfo"]["hasNextPage"] and rest["pageInfo"]["endCursor"] == after:
            raise TransientSourceError(f"{nested.operation} does not move on; materialise the partition again later")
        holder["nodes"] += rest["nodes"]
        holder["pageInfo"] = rest["pageInfo"]


def _replace(client: ShopifyClient, nested: Nested, owner: str, node: Node) -> None:
    record = _record(client, nested, {"id": owner, "first": LARGEST_PAGE})
    if any(holder["pageInfo"]["hasNextPage"] for holder in _holders(record, nested.path)):
        raise PermanentSourceError(
            f"{nested.operation}: {owner} holds more than {LARGEST_PAGE} entries of {'.'.join(nested.path)}; "
            "report it: they cannot be read completely"
        )
    node[nested.path[0]] = record[nested.path[0]]


def _record(client: ShopifyClient, nested: Nested, variables: Mapping[str, Any]) -> Node:
    record = client.graphql(nested.query, variables, nested.operation).data.get(nested.root)
    if not record:
        # It was deleted between two requests: the window is read afresh by the next try.
        raise TransientSourceError(
            f"{nested.operation}: a record vanished while it was read; materialise the partition again"
        )
    return record
