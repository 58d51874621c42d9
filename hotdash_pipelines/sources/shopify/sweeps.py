"""What Shopify lost without a word: merged customers, and what its events never told or tell no more.

Belongs here: looking for held records by their ids, a part of them each night, and the second witness. Does not belong
here: deletions that events tell (deletions.py), marking rows (warehouse).

Held records are cut into as many parts by their creation as the round has nights. A part is listed by ids alone, and a
held record that is not in the list is believed to be gone once the shop answers null for that very id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.sources.errors import QuotaExhausted, SourceError
from hotdash_pipelines.sources.held import Held
from hotdash_pipelines.sources.registry import Fetched
from hotdash_pipelines.sources.shopify.client import ShopifyClient
from hotdash_pipelines.sources.shopify.paging import Connection, read_connection
from hotdash_pipelines.sources.shopify.scopes import instant_of, order_horizon

# Records that one night asks for by themselves; more missing at once wait for the next round.
MOST_ASKED = 200
IDS_A_REQUEST = 25
SWEPT, CUT, FAILED = "ids_swept", "sweep_cut", "sweep_failed"


@dataclass(frozen=True)
class IdSweep:
    """How a stream is looked through: its listing of ids, the search's name of the creation, the kind of its gids."""

    listing: Connection
    created: str
    kind: str
    status: str = ""

    @property
    def field(self) -> str:
        """The root field of one record."""
        return self.kind[0].lower() + self.kind[1:]


def with_missing(
    client: ShopifyClient, fetched: Fetched, sweep: IdSweep, window: Window, stream: str, held: Held
) -> Fetched:
    """The open window with the held records of tonight's part that the shop no longer has, each without an instant.

    Once a day, and not where nothing is held or `id_sweep_days` is 0. A sweep that fails costs itself alone, and the
    notes say so.
    """
    if not (window.is_open and client.id_sweep_days):
        return fetched
    if SWEPT in (before := held.notes_of_window()):
        return replace(fetched, notes={**fetched.notes, SWEPT: before[SWEPT]})
    alive = held.alive(stream)
    if not alive:
        return fetched
    requests, cost = client.requests, client.cost
    notes: dict[str, str | int | float | bool] = {}
    missing: list[int] = []
    try:
        part = _part(_shown(client, sweep, alive), client.id_sweep_days, window)
        missing = _missing(client, sweep, part, fetched, notes)
        notes[SWEPT] = len(part)
    except QuotaExhausted:
        raise
    except SourceError:
        notes[FAILED] = True
    return replace(
        fetched,
        requests=fetched.requests + client.requests - requests,
        cost=(fetched.cost or 0.0) + client.cost - cost,
        notes={**fetched.notes, **notes},
        deleted={**{str(number): None for number in missing}, **fetched.deleted},
    )


def _shown(client: ShopifyClient, sweep: IdSweep, alive: Mapping[int, datetime]) -> Mapping[int, datetime]:
    """Those that the app is shown: orders older than its horizon are hidden, not gone."""
    horizon = order_horizon(client, client.now()) if sweep.kind == "Order" else None
    return alive if horizon is None else {number: at for number, at in alive.items() if at > horizon}


def _part(alive: Mapping[int, datetime], nights: int, window: Window) -> Mapping[int, datetime]:
    """The records whose turn it is, from one instant of creation to another."""
    ordered = sorted(alive.items(), key=lambda entry: (entry[1], entry[0]))
    turn = window.day.toordinal() % nights
    return dict(ordered[len(ordered) * turn // nights : len(ordered) * (turn + 1) // nights])


def _missing(
    client: ShopifyClient,
    sweep: IdSweep,
    part: Mapping[int, datetime],
    fetched: Fetched,
    notes: dict[str, str | int | float | bool],
) -> list[int]:
    if not part:
        return []
    first, last = min(part.values()), max(part.values())
    search = f"{sweep.status}{sweep.created}:>='{instant_of(first)}' {sweep.created}:<='{instant_of(last)}'"
    there = read_connection(client, sweep.listing, search)
    ids = {int(one.record) for one in there.skipped}
    for page in there.pages:
        ids |= {int(node["legacyResourceId"]) for node in orjson.loads(page)["data"][sweep.listing.root]["nodes"]}
    missing = [number for number in sorted(part) if number not in ids and str(number) not in fetched.deleted]
    if len(missing) > MOST_ASKED:
        notes[CUT] = True
    return list(_gone(client, sweep, missing[:MOST_ASKED]))


def _gone(client: ShopifyClient, sweep: IdSweep, numbers: Sequence[int]) -> Iterator[int]:
    """Those for which the shop answers null when it is asked for just them."""
    operation = f"{sweep.kind}sThere"
    for start in range(0, len(numbers), IDS_A_REQUEST):
        batch = numbers[start : start + IDS_A_REQUEST]
        ids = {f"id{position}": f"gid://shopify/{sweep.kind}/{number}" for position, number in enumerate(batch)}
        data = client.graphql(there_query(operation, sweep.field, len(batch)), ids, operation).data
        yield from (number for position, number in enumerate(batch) if data[f"at{position}"] is None)


def there_query(operation: str, field: str, records: int) -> str:
    """One query that asks for `records` records by id: null is gone."""
    variables = ", ".join(f"$id{position}: ID!" for position in range(records))
    asked = " ".join(f"at{position}: {field}(id: $id{position}) {{ id }}" for position in range(records))
    return f"query {operation}({variables}) {{ {asked} }}"
