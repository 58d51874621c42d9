"""Shopify's search syntax, as far as incremental readers use it.

Belongs here: terms `field:value`, comparators, quotes, AND by space or word, `-` for not. Does not belong here: which
fields a listing knows. Parentheses and OR are refused rather than misread.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hotdash_pipelines.demo.shopify.execute import QueryFault

_TERM = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[A-Za-z_]+):(?P<op>>=|<=|>|<)?\s*"""
    r"""(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"()]+))"""
)


class Term(NamedTuple):
    """One condition. `op` is one of `=`, `>=`, `>`, `<=`, `<`."""

    field: str
    op: str
    value: str
    negated: bool


def parse_search(text: str | None) -> list[Term]:
    """The terms of a search, all of which must hold. Raises QueryFault for what is not understood."""
    terms: list[Term] = []
    rest = (text or "").strip()
    while rest:
        if rest[:4] == "AND ":
            rest = rest[4:].lstrip()
            continue
        match = _TERM.match(rest)
        if match is None or rest[:3] == "OR " or rest[0] in "()":
            raise QueryFault(f"the stand-in does not understand this search: {rest[:60]}", code="BAD_REQUEST")
        value = next(part for part in (match["single"], match["double"], match["bare"]) if part is not None)
        terms.append(Term(match["field"].lower(), match["op"] or "=", value, bool(match["not"])))
        rest = rest[match.end() :].lstrip()
    return terms


def instant_range(term: Term, zone: ZoneInfo) -> tuple[float, float]:
    """The half-open range of epoch seconds a time term allows; a bare date means that day in the store's zone.

    Raises QueryFault for a value that is no time.
    """
    low, high = _instants(term.value, zone)
    everything = (float("-inf"), float("inf"))
    match term.op:
        case ">=":
            return low, everything[1]
        case ">":
            return high, everything[1]
        case "<":
            return everything[0], low
        case "<=":
            return everything[0], high
        case _:
            return low, high


def _instants(text: str, zone: ZoneInfo) -> tuple[float, float]:
    """Start and end of what the text names: one second, or one day for a bare date."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            start = datetime.combine(day, time(), zone)
            return start.timestamp(), datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryFault(f"not a time: {text[:40]}", code="BAD_REQUEST") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp(), moment.timestamp() + 1
