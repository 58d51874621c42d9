"""The body of a `runReport`, checked and typed.

Belongs here: what may be asked, and the errors for what may not. Does not belong here: which dimensions and metrics the
property has (`report`). Enumerations are accepted by name and by number, 64-bit integers as text and as number, as
Google's JSON parser does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

MAX_DIMENSIONS = 9
MAX_METRICS = 10
MAX_DATE_RANGES = 4
DEFAULT_LIMIT = 10_000
MAX_LIMIT = 250_000

# Reads the value of a dimension, given its name.
Reader = Callable[[str], str]
Filter = Callable[[Reader], bool]

_FIELDS = frozenset(
    {
        "property", "dimensions", "metrics", "dateRanges", "dimensionFilter", "orderBys", "limit", "offset",
        "keepEmptyRows", "returnPropertyQuota", "currencyCode", "metricFilter", "metricAggregations", "cohortSpec",
        "comparisons", "conversionSpec",
    }
)  # fmt: skip
_UNSUPPORTED = ("metricFilter", "metricAggregations", "cohortSpec", "comparisons", "conversionSpec")
_MATCH_TYPES = ("MATCH_TYPE_UNSPECIFIED", "EXACT", "BEGINS_WITH", "ENDS_WITH", "CONTAINS", "FULL_REGEXP",
                "PARTIAL_REGEXP")  # fmt: skip
_ORDER_TYPES = ("ORDER_TYPE_UNSPECIFIED", "ALPHANUMERIC", "CASE_INSENSITIVE_ALPHANUMERIC", "NUMERIC")


class InvalidArgument(ValueError):
    """The request is refused with 400 INVALID_ARGUMENT and this message."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days of the property's time zone, both included."""

    start: date
    end: date
    name: str


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One key of the order: a metric or a dimension."""

    metric: str | None
    dimension: str | None
    order_type: str
    descending: bool

    def key(self, value: str) -> Any:
        """What a dimension's value is compared by."""
        if self.order_type == "NUMERIC":
            return (0, int(value), "") if value.isdecimal() else (1, 0, value)
        return value.lower() if self.order_type == "CASE_INSENSITIVE_ALPHANUMERIC" else value


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A checked request."""

    dimensions: list[str]
    metrics: list[str]
    date_ranges: list[DateRange]
    filter: Filter | None
    filter_fields: list[str]
    order_bys: list[OrderBy]
    limit: int
    offset: int
    keep_empty_rows: bool
    return_property_quota: bool


def parse(body: Any, today: date) -> ReportRequest:
    """The request, with relative dates resolved against `today` in the property's zone. Raises InvalidArgument."""
    if not isinstance(body, Mapping):
        raise InvalidArgument("Invalid JSON payload received.")
    body = _camel_case(body)
    for name in body:
        if name not in _FIELDS:
            raise InvalidArgument(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    for name in _UNSUPPORTED:
        if body.get(name):
            raise InvalidArgument(f"{name} is not supported by the stand-in.")
    dimensions = _names(body, "dimensions", MAX_DIMENSIONS)
    metrics = _names(body, "metrics", MAX_METRICS)
    if not metrics:
        raise InvalidArgument("A report must have at least one metric.")
    fields: list[str] = []
    expression = body.get("dimensionFilter")
    return ReportRequest(
        dimensions=dimensions,
        metrics=metrics,
        date_ranges=_date_ranges(body.get("dateRanges"), today),
        filter=_expression(expression, fields) if expression else None,
        filter_fields=fields,
        order_bys=[_order_by(order, dimensions, metrics) for order in body.get("orderBys") or []],
        limit=min(_integer(body, "limit") or DEFAULT_LIMIT, MAX_LIMIT),
        offset=_integer(body, "offset"),
        keep_empty_rows=bool(body.get("keepEmptyRows")),
        return_property_quota=bool(body.get("returnPropertyQuota")),
    )


def dimension_names(body: Any) -> list[str]:
    """The dimensions a request names, checked or not; for the request log."""
    if not isinstance(body, Mapping) or not isinstance(body.get("dimensions"), list):
        return []
    return [str(one.get("name")) for one in body["dimensions"] if isinstance(one, Mapping)]


def _camel_case(value: Any) -> Any:
    """Field names in snake case are as good as those in camel case."""
    if isinstance(value, Mapping):
        return {
            re.sub(r"_([a-z])", lambda match: match[1].upper(), str(name)): _camel_case(inner)
            for name, inner in value.items()
        }
    return [_camel_case(inner) for inner in value] if isinstance(value, list) else value


def _names(body: Mapping[str, Any], field: str, most: int) -> list[str]:
    entries = body.get(field) or []
    if len(entries) > most:
        raise InvalidArgument(f"Request has too many {field}: {len(entries)}. Only {most} {field} are allowed.")
    names = [str(entry.get("name", "")) for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(f"Duplicate {field[:-1]} {name} in the request.")
    return names


def _integer(body: Mapping[str, Any], field: str) -> int:
    try:
        value = int(body.get(field) or 0)
    except (TypeError, ValueError):
        raise InvalidArgument(f"Invalid value at '{field}' (TYPE_INT64), \"{body[field]}\"") from None
    if value < 0:
        raise InvalidArgument(f"{field.capitalize()} must not be negative.")
    return value


def _date_ranges(entries: Any, today: date) -> list[DateRange]:
    if not entries:
        raise InvalidArgument("A report must have a date range.")
    if len(entries) > MAX_DATE_RANGES:
        raise InvalidArgument(f"Request has too many date ranges: {len(entries)}. Only {MAX_DATE_RANGES} are allowed.")
    ranges = []
    for index, entry in enumerate(entries):
        start, end = _day(entry.get("startDate"), today), _day(entry.get("endDate"), today)
        if start > end:
            raise InvalidArgument(f"Invalid date range: {start} is after {end}.")
        ranges.append(DateRange(start, end, entry.get("name") or f"date_range_{index}"))
    return ranges


def _day(text: Any, today: date) -> date:
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    if isinstance(text, str) and (match := re.fullmatch(r"(\d{1,4})daysAgo", text)):
        return today - timedelta(days=int(match[1]))
    try:
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidArgument(f"Invalid date: {text}. Dates are YYYY-MM-DD, NdaysAgo, yesterday or today.")


def _expression(expression: Any, fields: list[str]) -> Filter:
    """The predicate of a filter expression; the fields it names are added to `fields`."""
    if not isinstance(expression, Mapping) or len(expression) != 1:
        raise InvalidArgument("A filter expression must have exactly one of andGroup, orGroup, notExpression, filter.")
    ((kind, content),) = expression.items()
    if kind in ("andGroup", "orGroup"):
        parts = [_expression(one, fields) for one in content.get("expressions") or []]
        combine = all if kind == "andGroup" else any
        return lambda read: combine(part(read) for part in parts)
    if kind == "notExpression":
        inner = _expression(content, fields)
        return lambda read: not inner(read)
    if kind != "filter":
        raise InvalidArgument(f'Invalid JSON payload received. Unknown name "{kind}": Cannot find field.')
    name = str(content.get("fieldName", ""))
    fields.append(name)
    if "inListFilter" in content:
        rule = content["inListFilter"]
        fold = _fold(rule)
        values = {fold(str(value)) for value in rule.get("values") or []}
        return lambda read: fold(read(name)) in values
    if "stringFilter" in content:
        rule = content["stringFilter"]
        matches = _matcher(rule)
        return lambda read: matches(read(name))
    raise InvalidArgument(f"Filter on {name}: only stringFilter and inListFilter are supported by the stand-in.")


def _matcher(rule: Mapping[str, Any]) -> Callable[[str], bool]:
    fold, kind = _fold(rule), _enum(rule.get("matchType"), _MATCH_TYPES)
    wanted = str(rule.get("value", ""))
    if kind in ("FULL_REGEXP", "PARTIAL_REGEXP"):
        try:
            pattern = re.compile(wanted, 0 if rule.get("caseSensitive") else re.IGNORECASE)
        except re.error:
            raise InvalidArgument(f"Invalid regular expression: {wanted}") from None
        search = pattern.fullmatch if kind == "FULL_REGEXP" else pattern.search
        return lambda value: search(value) is not None
    wanted = fold(wanted)
    if kind == "BEGINS_WITH":
        return lambda value: fold(value).startswith(wanted)
    if kind == "ENDS_WITH":
        return lambda value: fold(value).endswith(wanted)
    if kind == "CONTAINS":
        return lambda value: wanted in fold(value)
    return lambda value: fold(value) == wanted


def _fold(rule: Mapping[str, Any]) -> Callable[[str], str]:
    return str if rule.get("caseSensitive") else str.lower


def _order_by(order: Mapping[str, Any], dimensions: list[str], metrics: list[str]) -> OrderBy:
    metric = (order.get("metric") or {}).get("metricName")
    by = order.get("dimension") or {}
    dimension = by.get("dimensionName")
    if metric not in metrics and dimension not in dimensions:
        raise InvalidArgument(f"Field {metric or dimension} is used in order_bys but is not part of the report.")
    return OrderBy(metric, dimension, _enum(by.get("orderType"), _ORDER_TYPES), bool(order.get("desc")))


def _enum(value: Any, names: tuple[str, ...]) -> str:
    if value is None:
        return names[0]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    if value in names:
        return str(value)
    raise InvalidArgument(f"Invalid value: {value}. Known: {', '.join(names)}.")
