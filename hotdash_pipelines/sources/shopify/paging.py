"""Reading a Shopify connection to its end: page sizes, sick records, counts.

Belongs here: what makes a window of any Shopify stream complete. Does not belong here: signing in and throttling
(client.py), the lists inside a record (nested.py), the queries (streams.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from hotdash_pipelines.sources.errors import QueryTooCostly, TransientSourceError
from hotdash_pipelines.sources.registry import Fetched, Pages, Skipped
from hotdash_pipelines.sources.shopify.nested import Circle, Cursors, Nested, Node, RecordGone, complete
from hotdash_pipelines.sources.shopify.page_size import PageSize

if TYPE_CHECKING:
    from hotdash_pipelines.sources.shopify.client import GraphqlPage, ShopifyClient

READINGS = 4
# More than this many records that cannot be read are a fault of the source, not of the records.
SICK_RECORDS = 10
# Pages in a row without one record that was not seen before.
_BARREN_PAGES = 3
_GONE = "it was deleted while the rest of it was read"
_SICK = "the source fails whenever it is asked for it"
_STRANGE = "it has another shape than was asked for"


@dataclass(frozen=True)
class Connection:
    """One stream: the root field, the page query (`$first`, `$after`, `$query`), the count query, its nested lists.

    `ids_query` takes the page query's variables and asks for the records' ids alone: it steps over a record that cannot
    be read. `read_more` reads on in lists that `nested` cannot name; `finish` is called with every record once it is
    complete, and may add what the API gives only in parts. Both say whether they changed the record.
    """

    root: str
    query: str
    operation: str
    ids_query: str
    ids_operation: str
    count_root: str
    count_query: str
    count_operation: str
    nested: tuple[Nested, ...] = ()
    read_more: Callable[[ShopifyClient, Node], bool] | None = None
    finish: Callable[[Node], bool] | None = None


@dataclass
class _Reading:
    """One pass over the connection: what is in its pages, and the records that could not be read, by id.

    `ids` are those of the records in the pages, in order, `sizes` how many each page holds.
    """

    pages: Pages
    ids: array[int] = field(default_factory=lambda: array("q"))
    sizes: list[int] = field(default_factory=list)
    skipped: dict[str, Skipped] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.ids) + len(self.skipped)

    def skip(self, operation: str, record: str, reason: str, node: Node | None = None) -> None:
        """Set a record aside. Raises TransientSourceError once there are too many."""
        self.skipped[record] = Skipped(record, reason, None if node is None else orjson.dumps(node))
        if len(self.skipped) > SICK_RECORDS:
            raise TransientSourceError(
                f"{operation}: more than {SICK_RECORDS} records cannot be read, the last being {record} ({reason}); "
                "materialise the partition again later"
            )


def read_connection(
    client: ShopifyClient,
    connection: Connection,
    search: str | None,
    pages: Pages | None = None,
    *,
    may_grow: bool = False,
) -> Fetched:
    """All records that match `search` into `pages`, their nested lists complete, each record once.

    The records are counted by the source before; while the pages disagree they are read again, until two readings are
    alike. What still disagrees is left to the check on `expected_rows`. `may_grow`: records come to the search while
    it is read (an open day), so only fewer than were counted are a disagreement. A record that cannot be read is
    skipped and named. Raises SourceError.
    """

    def disagrees() -> bool:
        rows = reading.rows
        return expected is not None and (rows < expected if may_grow else rows != expected)

    requests, cost = client.requests, client.cost
    notes: dict[str, str | int | float | bool] = {}
    expected = _count(client, connection, search)
    pages = [] if pages is None else pages
    reading = _read(client, connection, search, pages)
    for _ in range(READINGS - 1):
        if not disagrees():
            break
        notes["read_again"] = True
        expected = _count(client, connection, search)
        if expected is not None and not disagrees():
            break
        earlier, reading = reading, _read(client, connection, search, pages)
        if sorted(reading.ids) == sorted(earlier.ids):
            break
    if expected is None:
        notes["count_precision"] = "AT_LEAST"
    elif disagrees():
        notes["count_disagrees"] = True
    if reading.skipped:
        notes["skipped"] = "; ".join(f"{skipped.record}: {skipped.reason}" for skipped in reading.skipped.values())
    return Fetched(
        pages=pages,
        requests=client.requests - requests,
        cost=client.cost - cost,
        api_version=client.served_version,
        expected_rows=expected,
        notes={**notes, **client.version_notes()},
        skipped=tuple(reading.skipped.values()),
    )


def _count(client: ShopifyClient, connection: Connection, search: str | None) -> int | None:
    """The source's own count, None unless it is exact."""
    page = client.graphql(connection.count_query, {"query": search}, connection.count_operation)
    return exact(page.data.get(connection.count_root))


def exact(count: Any) -> int | None:
    """The number in a `Count` of Shopify's, None unless it is exact: a capped one must never be compared with rows."""
    if not isinstance(count, dict) or count.get("precision") != "EXACT" or not isinstance(count.get("count"), int):
        return None
    return count["count"]


def _read(client: ShopifyClient, connection: Connection, search: str | None, pages: Pages) -> _Reading:
    """One pass: every record once, in the last state seen, its nested lists complete."""
    pages.clear()
    reading = _Reading(pages)
    seen: set[int] = set()
    barren = 0
    for answer in _answers(client, connection, search, reading):
        nodes = answer.data[connection.root]["nodes"]
        known = len(seen) + len(reading.skipped)
        is_changed = False
        for node in list(nodes):
            record = node["legacyResourceId"]
            seen.add(int(record))
            reason, has_grown = _completed(client, connection, node)
            is_changed |= has_grown or reason is not None
            if reason is not None:
                nodes.remove(node)
                reading.skip(connection.operation, record, reason, node)
            else:
                reading.skipped.pop(record, None)
        reading.ids.extend(int(node["legacyResourceId"]) for node in nodes)
        reading.sizes.append(len(nodes))
        pages.append(orjson.dumps(answer.document) if is_changed else answer.body)
        barren = 0 if len(seen) + len(reading.skipped) > known else barren + 1
        if barren >= _BARREN_PAGES:
            raise Circle(
                f"{connection.operation} sends pages that bring nothing new; materialise the partition again later"
            )
    if len(seen) < len(reading.ids) + len(reading.skipped):
        _drop_earlier_copies(connection, reading)
    return reading


def _drop_earlier_copies(connection: Connection, reading: _Reading) -> None:
    """A record that changed while it was read comes again further on: only its last copy stays, be it a sick one."""
    later = {int(record) for record in reading.skipped}
    kept: list[array[int]] = []
    end = len(reading.ids)
    for index in reversed(range(len(reading.sizes))):
        here = reading.ids[end - reading.sizes[index] : end]
        end -= reading.sizes[index]
        if later.intersection(here):
            document = orjson.loads(reading.pages[index])
            held = document["data"][connection.root]
            held["nodes"] = [node for node in held["nodes"] if int(node["legacyResourceId"]) not in later]
            reading.pages[index] = orjson.dumps(document)
            here = array("q", (number for number in here if number not in later))
        later.update(here)
        kept.append(here)
    reading.sizes = [len(here) for here in reversed(kept)]
    reading.ids = array("q", chain.from_iterable(reversed(kept)))


def _completed(client: ShopifyClient, connection: Connection, node: Node) -> tuple[str | None, bool]:
    """Make a record complete: why it cannot be, None if it could, and whether it was changed."""
    is_changed = False
    try:
        is_changed |= complete(client, connection.nested, node)
        if connection.read_more is not None:
            is_changed |= connection.read_more(client, node)
        if connection.finish is not None:
            is_changed |= connection.finish(node)
    except RecordGone:
        return _GONE, is_changed
    except Circle as error:
        return error.message, is_changed
    except TransientSourceError as error:
        if error.retry_after is not None:
            raise
        return _SICK, is_changed
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError):
        return _STRANGE, is_changed
    return None, is_changed


def _answers(
    client: ShopifyClient, connection: Connection, search: str | None, reading: _Reading
) -> Iterator[GraphqlPage]:
    """The pages in order. A page that costs too much is halved, and so is one over which the server fails.

    Where it fails over one record alone, that record is skipped.
    """
    size = client.page_sizes.setdefault(connection.operation, PageSize())
    cursors = Cursors(connection.operation)
    after: str | None = None
    narrowed: int | None = None
    while True:
        asked = min(size.size, narrowed or size.size)
        variables = {"first": asked, "after": after, "query": search}
        try:
            answer = client.graphql(connection.query, variables, connection.operation)
            _, info = _listing(answer, connection.root, connection.operation)
        except QueryTooCostly:
            if not size.halve():
                raise
            continue
        except TransientSourceError as error:
            # A source that says how long to wait is not overwhelmed by this page.
            if error.retry_after is not None:
                raise
            record, info = _next_id(client, connection, {**variables, "first": 1}, error)
            if asked > 1:
                narrowed = asked // 2
                continue
            if record is not None:
                reading.skip(connection.operation, record, _SICK)
        else:
            size.learn(asked, answer.requested_cost, answer.bucket)
            narrowed = None if narrowed is None or 2 * narrowed >= size.size else 2 * narrowed
            yield answer
        after = cursors.next(info)
        if after is None:
            return


def _listing(answer: GraphqlPage, root: str, operation: str) -> tuple[list[Node], Any]:
    """The records of a page and its page information. Raises TransientSourceError unless it is a page of records."""
    page = answer.data.get(root)
    nodes = page.get("nodes") if isinstance(page, dict) else None
    if not isinstance(nodes, list) or not all(
        isinstance(node, dict) and str(node.get("legacyResourceId")).isdecimal() for node in nodes
    ):
        raise TransientSourceError(
            f"{operation} was answered with something that is not a list of records; "
            "materialise the partition again later"
        )
    info = page.get("pageInfo") if isinstance(page, dict) else None
    Cursors(operation).next(info)
    return nodes, info


def _next_id(
    client: ShopifyClient, connection: Connection, variables: dict[str, Any], error: TransientSourceError
) -> tuple[str | None, Any]:
    """The id of the record at the cursor and what follows it. Raises `error` where the source tells neither."""
    try:
        answer = client.graphql(connection.ids_query, variables, connection.ids_operation)
        nodes, info = _listing(answer, connection.root, connection.ids_operation)
    except TransientSourceError:
        raise error from None
    return (nodes[0]["legacyResourceId"] if nodes else None), info
