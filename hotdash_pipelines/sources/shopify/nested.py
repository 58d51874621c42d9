"""The lists inside a record, read to their ends.

Belongs here: which lists may go on, reading on from where the record's own page stopped. Does not belong here: the
pages of records (paging.py), the queries (streams.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sources.errors import QueryTooCostly, TransientSourceError
from hotdash_pipelines.sources.shopify.page_size import PageSize

if TYPE_CHECKING:
    from hotdash_pipelines.sources.shopify.client import ShopifyClient

PAGE_INFO = "pageInfo { hasNextPage endCursor }"
_FIRST_PAGE = 100
# Two rounds of the client's own patience: a record is set aside only when the source keeps failing over it.
_ROUNDS = 2

Node = dict[str, Any]


@dataclass(frozen=True)
class Nested:
    """A connection inside a record that may go on: whose it is, and the query that reads the rest.

    `owners` leads from the record to the objects that hold the connection `name`, each with a `legacyResourceId`; a
    step may be a plain list. `query` takes `$id` (the owner's GID), `$first` and `$after`, and answers with the owner
    under `root`.
    """

    owners: tuple[str, ...]
    name: str
    gid_type: str
    root: str
    query: str
    operation: str


class RecordGone(Exception):
    """The record was deleted between the listing and the reading of its lists."""


class Circle(TransientSourceError):
    """A list whose cursors come back: reading on would never end."""


class Cursors:
    """The cursors of one list, none of which may come twice."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._seen: set[str] = set()

    def next(self, page_info: Any) -> str | None:
        """Where the next page begins, None at the end. Raises TransientSourceError for anything else."""
        if not isinstance(page_info, dict) or not isinstance(page_info.get("hasNextPage"), bool):
            raise TransientSourceError(
                f"{self._operation} was answered without page information; materialise the partition again later"
            )
        if not page_info["hasNextPage"]:
            return None
        cursor = page_info.get("endCursor")
        if not isinstance(cursor, str) or not cursor or cursor in self._seen:
            raise Circle(
                f"{self._operation} does not move on: its cursors go round in circles; "
                "materialise the partition again later"
            )
        self._seen.add(cursor)
        return cursor


def complete(client: ShopifyClient, nested: tuple[Nested, ...], node: Node) -> bool:
    """Read on in every list that was cut; True if the record was changed.

    Raises RecordGone, TransientSourceError where a list cannot be read on, and KeyError, TypeError or AttributeError
    where the record has another shape than was asked for.
    """
    is_changed = False
    for one in nested:
        for owner in _owners(node, one.owners):
            if owner[one.name]["pageInfo"]["hasNextPage"]:
                is_changed = True
                _read_on(client, one, owner)
    return is_changed


def _owners(node: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Node]:
    owners: list[Any] = [node]
    for step in path:
        inner = [owner[step] for owner in owners]
        owners = [item for value in inner for item in (value if isinstance(value, list) else [value])]
    yield from owners


def _read_on(client: ShopifyClient, nested: Nested, owner: Node) -> None:
    gid = f"gid://shopify/{nested.gid_type}/{owner['legacyResourceId']}"
    read_list(client, nested, gid, owner[nested.name], lambda record: record[nested.name])


def read_list(
    client: ShopifyClient,
    nested: Nested,
    gid: str,
    holder: Node,
    find: Callable[[Node], Node],
    variables: Mapping[str, Any] | None = None,
) -> None:
    """Read the list in `holder` on to its end; `find` leads from the record of an answer to its page of the list.

    Raises as `complete` does.
    """
    cursors = Cursors(nested.operation)
    after = cursors.next(holder["pageInfo"])
    while after is not None:
        rest = find(read_page(client, nested, gid, {**(variables or {}), "after": after}))
        following = cursors.next(rest["pageInfo"])
        if following is not None and not rest["nodes"]:
            raise Circle(f"{nested.operation} sends pages without entries; materialise the partition again later")
        holder["nodes"] += rest["nodes"]
        holder["pageInfo"] = rest["pageInfo"]
        after = following


def read_page(client: ShopifyClient, nested: Nested, gid: str, variables: Mapping[str, Any]) -> Node:
    """The record of `gid` with one page of the list, as large as the query's cost allows."""
    size = client.page_sizes.setdefault(nested.operation, PageSize(_FIRST_PAGE))
    troubles = 0
    while True:
        asked = size.size
        try:
            answer = client.graphql(nested.query, {"id": gid, "first": asked, **variables}, nested.operation)
        except QueryTooCostly:
            if not size.halve():
                raise
            continue
        except TransientSourceError as error:
            troubles += 1
            if error.retry_after is not None or troubles >= _ROUNDS:
                raise
            continue
        size.learn(asked, answer.requested_cost, answer.bucket)
        record = answer.data.get(nested.root)
        if record is None:
            raise RecordGone
        return record
