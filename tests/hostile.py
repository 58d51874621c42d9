"""Pages whose fields hold what no source should send, made from a contract.

Belongs here: hostile values and records around them. Does not belong here: what must become of them (the tests).
"""

import json
from collections.abc import Iterator
from typing import Any

from hotdash_pipelines.contracts import Contract, Field, Table
from hotdash_pipelines.contracts.arrow import steps

ABSENT = b"absent"
# Raw JSON, so that it can be what no JSON library writes.
VALUES: tuple[bytes, ...] = (
    ABSENT,
    *(b"null", b"true", b"false", b"[]", b"{}", b"[null]", b'[1, "x", {"k": 1, "k": "2"}, []]', b'{"amount": []}'),
    *(b"0", b"-1", b"3.0", b"2.5", b"1E2", b"-0.0", b"1e-400", b"1e400", b"NaN", b"-Infinity", b"9" * 30, b"9" * 5000),
    *(b'""', b'"x"', b'"12"', b'" 7 "', b'"1.0E2"', b'"6346.2638449999995"', b'"1e999999999"', b'"-1e-999999999"'),
    *(b'"NaN"', b'"0x10"', b'"1_000"', b'"1,5"', b'"--1"', b'"' + b"9" * 80 + b'"', '"١٢"'.encode()),
    *(b'"2025-13-45T99:99:99Z"', b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"', b'"2025-03-01"'),
    *(b'"20250230"', b'"2025031"', b"20250301", b"253402300800", b"-62135596801", b"1740830400.5"),
    *(b'"gid://shopify/X/1?x=2"', b'"gid://shopify/X/"', b'"\'; drop table orders; --"', b'"a\\nb\\tc"'),
    *(b'"\\u0000"', b'"a\\u0000b"', b'["a\\u0000b", null]', b'"\\ud800"', b'"\\udc00x"', b'["\\ud83d"]'),
    *(b'"\xff\xfe"', b'"\x01"', b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000),
)


def fields_of(contract: Contract) -> Iterator[tuple[Table, Field]]:
    """Every field that is read from a page, with its table."""
    for table in contract.tables:
        yield from ((table, field) for field in table.fields if field.path is not None)


def page_of(contract: Contract, table: Table, field: Field, values: tuple[bytes, ...] = VALUES) -> bytes:
    """A page with one record for each value in that field of that table, between a healthy first and last record."""
    records = [_record(contract.table, contract, number) for number in range(1, len(values) + 3)]
    body: dict[str, Any] = {}
    _put(body, contract.table.records, records)
    if field.scope == "page":
        raise ValueError(f"{field.name} stands once a page")
    swaps = []
    for number, value in enumerate(values, 1):
        for holder in _holders(records[number], contract.table, table):
            if value == ABSENT:
                _drop(holder, str(field.path))
            else:
                _put(holder, str(field.path), f"@{number}@")
                swaps.append((f'"@{number}@"'.encode(), value))
    page = json.dumps(body).encode()
    for mark, value in swaps:
        page = page.replace(mark, value)
    return page


def _record(table: Table, contract: Contract, number: int) -> dict[str, Any]:
    """A healthy record, its ids and texts made from its number."""
    record: dict[str, Any] = {}
    for field in table.fields:
        if field.path is not None and field.scope == "record":
            _put(record, field.path, _healthy(field, number))
    for child in table.children:
        _put(record, child.records, [_record(child, contract, number * 10)])
    return record


def _healthy(field: Field, number: int) -> Any:
    if field.enum:
        return field.enum[0]
    if field.encoding in ("epoch_s", "epoch_s_zero_is_null", "epoch_float_s"):
        return 1740830400
    if field.encoding == "yyyymmdd":
        return "20250301"
    if field.encoding == "gid":
        return f"gid://shopify/Thing/{number}"
    by_type: dict[str, Any] = {
        "timestamp": "2025-03-01T12:00:00Z",
        "bool": False,
        "list<string>": ["a"],
        "string": f"text {number}",
    }
    return by_type.get(field.type, str(number) if field.decimal or field.encoding == "text" else number)


def _holders(record: dict[str, Any], at: Table, wanted: Table) -> Iterator[dict[str, Any]]:
    if at is wanted:
        yield record
    for child in at.children:
        holder: Any = record
        for step in steps(child.records):
            holder = holder[step.name]
        for item in holder:
            yield from _holders(item, child, wanted)


def _put(holder: Any, path: str, value: Any) -> None:
    *way, last = steps(path)
    for step in way:
        inner = holder.setdefault(step.name, {} if step.index is None else [])
        if step.index is not None:
            inner += [{} for _ in range(step.index + 1 - len(inner))]
            inner = inner[step.index]
        holder = inner
    holder[last.name] = value


def _drop(holder: Any, path: str) -> None:
    *way, last = steps(path)
    for step in way:
        holder = holder[step.name] if step.index is None else holder[step.name][step.index]
    del holder[last.name]
