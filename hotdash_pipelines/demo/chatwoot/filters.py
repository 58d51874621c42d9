"""The conditions of `POST conversations/filter`, compared as the real server compares them.

Belongs here: checking conditions and turning them into a predicate. Does not belong here: paging and shapes.

The server writes the conditions one after the other into one SQL expression, hence: AND binds tighter than OR, a
missing or dangling operator is a syntax error (500), a null never matches `not_equal_to`. Date attributes are cast to
a **calendar day in UTC** and compared strictly, so `is_greater_than 2026-11-01` begins with the 2nd, and a time of
day in the value is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from hotdash_pipelines.demo.world.support_model import Agent, Conversation

Predicate = Callable[[Conversation], bool]

_EQUALITY = ("equal_to", "not_equal_to")
_PRESENCE = ("is_present", "is_not_present")
_DATES = ("is_greater_than", "is_less_than", "days_before")
OPERATORS: dict[str, tuple[str, ...]] = {
    "status": _EQUALITY,
    "assignee_id": _EQUALITY + _PRESENCE,
    "inbox_id": _EQUALITY + _PRESENCE,
    "team_id": _EQUALITY + _PRESENCE,
    "priority": _EQUALITY,
    "display_id": _EQUALITY,
    "labels": _EQUALITY + _PRESENCE,
    "created_at": _DATES,
    "last_activity_at": _DATES,
}
STATUSES = ("open", "resolved", "pending", "snoozed")
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class InvalidFilter(ValueError):
    """A condition the server refuses with 422 and this message."""


class BrokenFilter(ValueError):
    """Conditions that make the server's SQL invalid: it answers 500."""


def compile_filter(conditions: Any, now: float) -> Predicate:
    """The predicate of these conditions at the instant `now` (epoch seconds).

    Raises InvalidFilter or BrokenFilter.
    """
    if not isinstance(conditions, Sequence) or isinstance(conditions, str) or not conditions:
        raise BrokenFilter("payload must be a list of conditions")
    operators = [_query_operator(condition) for condition in conditions]
    tests = [_test(condition, now) for condition in conditions]
    if operators[-1] is not None or None in operators[:-1]:
        raise BrokenFilter("conditions and operators do not alternate")
    alternatives: list[list[Predicate]] = [[tests[0]]]
    for operator, test in zip(operators, tests[1:], strict=False):
        if operator == "AND":
            alternatives[-1].append(test)
        else:
            alternatives.append([test])
    if len(alternatives) == 1:
        return lambda c: all(test(c) for test in tests)
    return lambda c: any(all(test(c) for test in group) for group in alternatives)


def utc_day(at: float) -> int:
    """The calendar day, in UTC, of an instant in epoch seconds, as a number of days since 1970."""
    return int(at // 86_400)


def _query_operator(condition: Any) -> str | None:
    if not isinstance(condition, Mapping):
        raise BrokenFilter("a condition must be an object")
    operator = condition.get("query_operator")
    if operator in (None, ""):
        return None
    if str(operator).upper() not in ("AND", "OR"):
        raise InvalidFilter('Query operator must be either "AND" or "OR".')
    return str(operator).upper()


def _test(condition: Mapping[str, Any], now: float) -> Predicate:
    key, operator = condition.get("attribute_key"), condition.get("filter_operator")
    if key not in OPERATORS:
        raise InvalidFilter(
            f"Invalid attribute key - [{key}]. The key should be one of [{','.join(OPERATORS)}] "
            "or a custom attribute defined in the account."
        )
    if operator not in OPERATORS[key]:
        allowed = ",".join(OPERATORS[key])
        raise InvalidFilter(f"Invalid operator. The allowed operators for {key} are [{allowed}].")
    values = condition.get("values")
    if operator in _PRESENCE:
        wanted = operator == "is_present"
        return lambda c: (_value(c, key) not in (None, [])) is wanted
    if not values:
        raise _invalid_value(key)
    if key in ("created_at", "last_activity_at"):
        return _date_test(key, operator, values, now)
    if not isinstance(values, list):
        values = [values]
    chosen = set(STATUSES) if key == "status" and "all" in values else {str(value) for value in values}
    if key == "labels":
        negated = operator == "not_equal_to"
        return lambda c: bool(chosen.intersection(c.labels)) is not negated
    if operator == "equal_to":
        return lambda c: str(_value(c, key)) in chosen if _value(c, key) is not None else False
    return lambda c: str(_value(c, key)) not in chosen if _value(c, key) is not None else False


def _date_test(key: str, operator: str, values: Any, now: float) -> Predicate:
    first = values[0] if isinstance(values, list) else values
    if operator == "days_before":
        try:
            day = utc_day(now) - int(str(first))
        except ValueError:
            # Ruby's to_i makes 0 of text.
            day = utc_day(now)
        operator = "is_less_than"
    else:
        day = _iso_day(key, str(first))
    if key == "created_at":
        if operator == "is_less_than":
            return lambda c: utc_day(c.created_at) < day
        return lambda c: utc_day(c.created_at) > day
    if operator == "is_less_than":
        return lambda c: utc_day(c.last_activity_at) < day
    return lambda c: utc_day(c.last_activity_at) > day


def _iso_day(key: str, text: str) -> int:
    """The day an ISO 8601 date or time begins with; the time of day and its zone are dropped, as the server does."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).date().toordinal() - _EPOCH_ORDINAL
    except ValueError:
        raise _invalid_value(key) from None


def _invalid_value(key: str) -> InvalidFilter:
    return InvalidFilter(f"Invalid value. The values provided for {key} are invalid")


def _value(conversation: Conversation, key: str) -> Any:
    if key == "assignee_id":
        return conversation.assignee.id if isinstance(conversation.assignee, Agent) else None
    if key == "inbox_id":
        return conversation.inbox.id
    if key == "team_id":
        return None
    return getattr(conversation, key)
