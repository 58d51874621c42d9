"""What the source sends beyond its contract: a second look at a few pages, which can never fail a load.

Belongs here: naming fields that the contract does not know. Does not belong here: reading rows (parse.py), unknown
values of an enum (counted there over all rows).

A field that a source adds comes in most records, so a few show it: the first and last page of a window and every 64th
between, and in them the first record and every sixteenth. To read all of them would cost as much as the parsing itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from hotdash_pipelines.contracts.arrow import steps
from hotdash_pipelines.contracts.model import Contract, Table

_EVERY_PAGE, _EVERY_RECORD = 64, 16
_KINDS = {dict: "object", list: "list", str: "string", bool: "bool", int: "int64", float: "double"}
# Known fields below a field: its children, or None where the contract reads the value itself.
_Known = dict[str, "_Known | None"]


def shown_pages(group: Sequence[bytes], first: int, is_last: bool) -> list[bytes]:
    """Those of a group's pages that are looked at; `first` is its first page's place in the window."""
    end = len(group) - 1
    return [page for at, page in enumerate(group) if (first + at) % _EVERY_PAGE == 0 or (is_last and at == end)]


def unknown_fields(contract: Contract, pages: Sequence[bytes]) -> dict[str, str]:
    """JSON path of each field in the records of the pages that the contract does not name -> kind of value.

    The envelope around the records is the client's and is not looked at. A page that cannot be read shows nothing.
    """
    known, ignored, unknown = _known(contract.table), set(_ignored(contract.table)), {}
    for page in pages:
        try:
            value: Any = orjson.loads(page)
        except orjson.JSONDecodeError:
            continue
        for step in steps(contract.table.records):
            value = value.get(step.name) if isinstance(value, dict) else None
        if isinstance(value, list):
            _compare(value[::_EVERY_RECORD], known, "", ignored, unknown)
    return unknown


def _known(table: Table) -> "_Known":
    known: _Known = {}
    for column in table.fields:
        if column.scope == "record" and column.path:
            *way, last = (step.name for step in steps(column.path))
            _below(known, way).setdefault(last, None)
    for child in table.children:
        _below(known, [step.name for step in steps(child.records)]).update(_known(child))
    return known


def _below(known: "_Known", way: Sequence[str]) -> "_Known":
    for name in way:
        inner = known.get(name)
        if inner is None:
            inner = known[name] = {}
        known = inner
    return known


def _ignored(table: Table) -> Iterator[str]:
    yield from table.ignore
    for child in table.children:
        yield from (f"{child.records}.{path}" for path in _ignored(child))


def _compare(value: Any, known: "_Known", prefix: str, ignored: set[str], unknown: dict[str, str]) -> None:
    if isinstance(value, list):
        for item in value:
            _compare(item, known, prefix, ignored, unknown)
    elif isinstance(value, dict):
        for name, inner in value.items():
            path = f"{prefix}{name}"
            if path in ignored or f"{prefix}*" in ignored:
                continue
            if name not in known:
                unknown.setdefault(path, _KINDS.get(type(inner), "null"))
                continue
            below = known[name]
            if below is not None:
                _compare(inner, below, f"{path}.", ignored, unknown)
