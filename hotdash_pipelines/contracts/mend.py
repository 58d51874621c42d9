"""A page that the fast parser refused, record by record: what can be respelled is, what cannot is set aside.

Belongs here: the rules by which a value counts as its column's type although it is spelled otherwise, and the reasons
why a record is rejected. Does not belong here: columns and tables (casts.py, parse.py), keeping what was set aside.

It reads in plain Python, some thirty times slower than Arrow, so only pages that need it come here.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite
from typing import Any, NoReturn

from hotdash_pipelines.contracts.arrow import steps
from hotdash_pipelines.contracts.casts import EARLIEST_SECOND, LATEST_SECOND, ContractBreach
from hotdash_pipelines.contracts.model import Contract, Field, Table

# Deeper than anything that a contract names, shallow enough for Python's own stack.
_DEEPEST = 100
_TOKEN = re.compile(rb'"(?:\\.|[^"\\])*"|[\[\]{}]', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_GID = re.compile(r"^gid://shopify/\w+/")
_WIDE = Context(prec=200, rounding=ROUND_HALF_UP)
_LIMITS = {"int64": 2**63, "int32": 2**31}
_KINDS: dict[type, str] = {dict: "an object", list: "a list", bool: "a boolean", str: "a text"}


UNREAD = -1


class Literal(str):
    """A JSON number as it was spelled."""

    __slots__ = ()


@dataclass(frozen=True)
class RejectedRecord:
    """A main record that cannot be loaded, with all that is nested in it.

    `page` is its page's position among the pages of the window, UNREAD where it never arrived in one; `record` the JSON
    as it was sent, `key` its key as a JSON list (None where that cannot be read), `reason` names table, column and kind
    of the value, never the value.
    """

    page: int
    record: bytes
    key: str | None
    reason: str


@dataclass(frozen=True)
class QuarantinedRecord:
    """One rejected record as it lies in the quarantine. `key_digest` is None where its key could not be read.

    The digests are sha256 in hex and tell rows apart without their data; `reason` holds no value of the record.
    """

    window: str
    record_digest: str
    key_digest: str | None
    reason: str
    contract_version: int
    kept_at: datetime


def rejected_unread(record_id: str, reason: str, body: bytes | None) -> RejectedRecord:
    """A record that its source lists and could not show whole."""
    return RejectedRecord(UNREAD, body or b"{}", json.dumps([_GID.sub("", record_id)]), reason)


@dataclass
class MendedPage:
    """A page as the fast parser takes it, without the rejected records. `mended` counts respelled values by column."""

    body: bytes
    rejected: list[RejectedRecord] = field(default_factory=list)
    mended: Counter[str] = field(default_factory=Counter)


class _Bad(Exception):
    """Why a record is rejected."""


def mend_page(contract: Contract, index: int, page: bytes) -> MendedPage:
    """Read a page record by record. Raises ContractBreach when it is no JSON object or has no list of records."""
    try:
        return _mend(contract, index, page)
    except RecursionError:
        return _mend(contract, index, _shallow(page))


def _mend(contract: Contract, index: int, page: bytes) -> MendedPage:
    whole, table, mended = _document(page), contract.table, MendedPage(b"")
    body: dict[str, Any] = {}
    try:
        records = _list(table, whole, "a response")
        for inner in contract.tables:
            for column in inner.fields:
                if column.scope == "page" and column.path:
                    _put(body, column.path, _value(inner, column, whole, mended.mended))
    except _Bad as bad:
        raise ContractBreach(str(bad)) from bad
    good = []
    for record in records:
        counts: Counter[str] = Counter()
        try:
            good.append(_record(table, record, counts))
            mended.mended += counts
        except _Bad as bad:
            mended.rejected.append(RejectedRecord(index, _json(record).encode(), _key(table, record), str(bad)))
    _put(body, table.records, good)
    mended.body = json.dumps(body).encode()
    return mended


def _document(page: bytes) -> dict[str, Any]:
    """The page's object, its numbers as they are spelled. Of a name that is given twice the last one counts."""
    text = page.decode("utf-8", errors="replace")
    decoder = json.JSONDecoder(parse_float=Literal, parse_int=Literal, parse_constant=Literal, strict=False)
    try:
        whole = decoder.decode(text)
    except ValueError as error:
        raise ContractBreach(f"a response is not JSON ({getattr(error, 'msg', 'unreadable')})") from error
    if not isinstance(whole, dict):
        raise ContractBreach("a response is not a JSON object")
    return whole


def _shallow(page: bytes) -> bytes:
    """The page without what is nested deeper than anything a contract names; `null` stands in its place."""
    kept, depth, start, cut_at = [], 0, 0, None
    for token in _TOKEN.finditer(page):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            if depth == _DEEPEST:
                cut_at = token.start()
        elif mark in b"]}":
            if depth == _DEEPEST and cut_at is not None:
                kept += [page[start:cut_at], b"null"]
                start, cut_at = token.end(), None
            depth -= 1
    return b"".join([*kept, page[start:]])


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    return "a number" if isinstance(value, Literal) else _KINDS[type(value)]


def _at(holder: Any, path: str) -> Any:
    """The value at a path, None where something on the way is missing or null."""
    value = holder
    for step in steps(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _Bad(f"{path}: {_kind(value)} stands where an object should")
        value = value.get(step.name)
        if step.index is not None:
            if not isinstance(value, list):
                raise _Bad(f"{path}: {step.name} is {_kind(value)}, not a list")
            if len(value) <= step.index:
                raise _Bad(f"{path}: a list is shorter than {step.index + 1}")
            value = value[step.index]
    return value


def _put(holder: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path, making objects and lists on the way."""
    *way, last = steps(path)
    for step in way:
        if step.index is None:
            holder = holder.setdefault(step.name, {})
        else:
            items = holder.setdefault(step.name, [])
            items += [{} for _ in range(step.index + 1 - len(items))]
            holder = items[step.index]
    holder[last.name] = value


def _record(table: Table, record: object, counts: Counter[str]) -> dict[str, Any]:
    """The record with only what the contract names, as the fast parser takes it; a bad child makes its parent bad."""
    if not isinstance(record, dict):
        raise _Bad(f"{table.name}: a record is {'null' if record is None else _kind(record)}")
    normal: dict[str, Any] = {}
    for column in table.fields:
        if column.scope == "record" and column.path:
            _put(normal, column.path, _value(table, column, record, counts))
    for child in table.children:
        _put(normal, child.records, [_record(child, item, counts) for item in _list(child, record, "a record")])
    return normal


def _list(table: Table, holder: dict[str, Any], whose: str) -> list[Any]:
    """The table's records in their holder."""
    try:
        items = _at(holder, table.records)
    except _Bad as bad:
        raise _Bad(f"{table.name}: {bad}") from bad
    if items is None and not table.records_optional:
        raise _Bad(f"{table.name}: {table.records} is missing from {whose}")
    if not isinstance(items, list | None):
        raise _Bad(f"{table.name}: {table.records} is {_kind(items)}, not a list")
    return items or []


def _value(table: Table, column: Field, holder: Any, counts: Counter[str]) -> Any:
    name = f"{table.name}.{column.name}"
    try:
        sent = _at(holder, column.path or "")
        if sent is None and not column.nullable and not column.fallback:
            raise _Bad("is null in a record")
        value = None if sent is None else _spelled(column, sent)
    except _Bad as bad:
        raise _Bad(f"{name} {bad}") from bad
    if not _is_same(column, sent, value):
        counts[name] += 1
    return value


def _is_same(column: Field, sent: Any, value: Any) -> bool:
    """Whether the value was spelled as the contract says; rounding alone changes no spelling."""
    if isinstance(value, list):
        return all(type(was) is type(item) and was == item for was, item in zip(sent, value, strict=True))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return isinstance(sent, Literal)
    return type(sent) is type(value) and (sent == value or column.type != "string")


def _spelled(column: Field, sent: Any) -> Any:
    """The value as JSON of the type that the fast parser expects in this column."""
    if column.encoding in ("epoch_s", "epoch_s_zero_is_null", "epoch_float_s"):
        seconds = _number(column, sent)
        if not EARLIEST_SECOND <= seconds <= LATEST_SECOND:
            raise _Bad("is not a timestamp of the years 1 to 9999")
        return float(seconds) if column.encoding == "epoch_float_s" else int(_rounded(seconds, 0))
    if column.encoding == "yyyymmdd":
        return _yyyymmdd(column, sent)
    if column.decimal:
        precision, scale = column.decimal
        value = _rounded(_number(column, sent), scale)
        if abs(value) >= Decimal(10) ** (precision - scale):
            raise _Bad(f"does not fit a {column.type}")
        return f"{value:f}"
    return _BY_TYPE[column.type](column, sent)


def _number(column: Field, sent: Any) -> Decimal:
    text = sent.strip() if isinstance(sent, str) else ""
    if not _NUMBER.fullmatch(text):
        _not_a(column, sent)
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent.lstrip("+-0")) > 4:
        # Python would count its digits out.
        if "-" in exponent or not Decimal(mantissa):
            return Decimal(0)
        raise _Bad(f"does not fit a {column.type}")
    return Decimal(text)


def _rounded(value: Decimal, digits: int) -> Decimal:
    """Half away from zero, once."""
    if value and value.adjusted() > 40:
        raise _Bad("is too large a number")
    return _WIDE.plus(value.quantize(Decimal(1).scaleb(-digits), context=_WIDE))


def _integer(column: Field, sent: Any) -> int | str:
    if column.encoding == "gid" and isinstance(sent, str):
        sent = _GID.sub("", sent)
        if "?" in sent:
            raise _Bad("is an id with a query part, which only a text column can keep")
    value, limit = int(_rounded(_number(column, sent), 0)), _LIMITS[column.type]
    if not -limit <= value < limit:
        raise _Bad(f"does not fit a {column.type}")
    return value if column.encoding == "plain" else str(value)


def _text(column: Field, sent: Any) -> str:
    if isinstance(sent, bool):
        return "true" if sent else "false"
    if not isinstance(sent, str):
        _not_a(column, sent)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", str(sent))


def _texts(column: Field, sent: Any) -> list[str | None]:
    if not isinstance(sent, list):
        _not_a(column, sent)
    return [None if item is None else _text(column, item) for item in sent]


def _boolean(column: Field, sent: Any) -> bool:
    if isinstance(sent, bool):
        return sent
    known = {"true": True, "false": False, "1": True, "0": False}
    text = sent.strip().lower() if isinstance(sent, str) else None
    if text not in known:
        _not_a(column, sent)
    return known[text]


def _instant(column: Field, sent: Any) -> str:
    if not isinstance(sent, str) or isinstance(sent, Literal):
        _not_a(column, sent)
    try:
        instant = datetime.fromisoformat(sent.strip())
        if instant.tzinfo is None:
            raise _Bad("is a time without its zone")
        normal = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        _not_a(column, sent)
    return sent if _INSTANT.fullmatch(sent) else normal


def _day(column: Field, sent: Any) -> str:
    try:
        return date.fromisoformat(sent).isoformat()
    except (ValueError, TypeError):
        _not_a(column, sent)


def _yyyymmdd(column: Field, sent: Any) -> str:
    text = sent.strip() if isinstance(sent, str) else ""
    if not re.fullmatch(r"\d{8}", text, re.ASCII):
        _not_a(column, sent)
    _day(column, f"{text[:4]}-{text[4:6]}-{text[6:]}")
    return text


def _double(column: Field, sent: Any) -> float:
    value = float(_number(column, sent))
    if not isfinite(value):
        raise _Bad(f"does not fit a {column.type}")
    return value


_BY_TYPE: dict[str, Callable[[Field, Any], Any]] = {
    "string": _text,
    "int64": _integer,
    "int32": _integer,
    "bool": _boolean,
    "float64": _double,
    "timestamp": _instant,
    "date": _day,
    "list<string>": _texts,
}


def _not_a(column: Field, sent: Any) -> NoReturn:
    raise _Bad(f"is not a {column.type} ({_kind(sent)} sent)")


def _key(table: Table, record: object) -> str | None:
    """The record's key as far as it can be read."""
    by_name = {column.name: column for column in table.fields}
    try:
        names = [part for name in table.key for part in by_name[name].digest_of or (name,)]
        return json.dumps([str(_value(table, by_name[name], record, Counter())) for name in names])
    except _Bad:
        return None


def _json(value: Any) -> str:
    """The value as JSON, its numbers as they were spelled."""
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, Literal):
        yield value
    elif isinstance(value, dict):
        yield "{"
        for position, (name, item) in enumerate(value.items()):
            yield f"{', ' if position else ''}{json.dumps(name)}: "
            yield from _pieces(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for position, item in enumerate(value):
            yield ", " if position else ""
            yield from _pieces(item)
        yield "]"
    else:
        yield json.dumps(value)
