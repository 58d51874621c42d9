"""What stands in a GraphQL answer beside its data: costs, error codes, what was denied.

Belongs here: reading an envelope that may have any shape. Does not belong here: what is done about it (client.py).
"""

import re
from dataclasses import dataclass
from typing import Any

from hotdash_pipelines.sources.errors import AccessDenied
from hotdash_pipelines.sources.http import HttpAnswer

NO_CODE = "GRAPHQL_ERROR"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
_SCOPE = re.compile(r"\b(?:read|write)_[a-z_]{2,40}\b")
# Without these two there is nothing to read, whatever is left out.
_BASIC = {"Customer", "Order"}
_APPROVAL = re.compile(r"not approved to (?:access the|use the) ([A-Za-z]{2,40})")


@dataclass(frozen=True)
class Cost:
    """`extensions.cost`; `wait` is the seconds until the requested points are there."""

    requested: float | None
    actual: float
    bucket: float | None
    wait: float


def cost_of(document: Any) -> Cost:
    """The cost of an answer, as far as it tells one."""
    cost = _member(_member(document, "extensions"), "cost")
    status = _member(cost, "throttleStatus")
    requested, bucket = _number(cost, "requestedQueryCost"), _number(status, "maximumAvailable")
    missing = (requested if requested is not None else (bucket or 0) / 2) - (_number(status, "currentlyAvailable") or 0)
    wait = max(0.0, missing / (_number(status, "restoreRate") or 50.0))
    return Cost(requested, _number(cost, "actualQueryCost") or 0.0, bucket, wait)


def codes_of(document: Any) -> set[str]:
    """The codes of the top-level errors; an error without a code counts as GRAPHQL_ERROR."""
    return {_code(error) for error in _errors(document)}


def is_refused(document: Any) -> bool:
    """Whether the errors are about the query itself: they point into its text, and nothing was run."""
    errors = _errors(document)
    has_run = isinstance(document, dict) and document.get("data") is not None
    return (
        not has_run
        and bool(errors)
        and all(isinstance(error, dict) and error.get("locations") and not error.get("path") for error in errors)
    )


def denial(operation: str, document: Any) -> AccessDenied:
    """What was denied, and what would allow it: an access scope, or Shopify's approval for protected customer data."""
    denied = [error for error in _errors(document) if _code(error) == "ACCESS_DENIED"]
    fields = tuple(sorted({path for error in denied if (path := _path(error))}))
    texts = [f"{error.get('message')} {_member(error, 'extensions').get('requiredAccess')}" for error in denied]
    scopes = sorted({scope for text in texts for scope in _SCOPE.findall(text)})
    kinds = sorted({kind for text in texts for kind in _APPROVAL.findall(text)})
    named = f"the field {', '.join(fields)} " if fields else ""
    where = f"{operation} was denied {named}(ACCESS_DENIED)"
    if not kinds:
        needed = f" {', '.join(scopes)}" if scopes else ""
        advice = "check the app's scopes and install it again"
        return AccessDenied(f"{where}: the app lacks an access scope{needed}; {advice}", fields)
    advice = "ask for it in the Partner Dashboard"
    is_basic = bool(_BASIC & set(kinds))
    if not is_basic:
        advice += ", or set HOTDASH_SHOPIFY_PERSONAL_FIELDS=false to leave such fields out"
    lacking = f"the app lacks the approval for protected customer data ({', '.join(kinds)})"
    return AccessDenied(f"{where}: {lacking}; {advice}", fields, is_basic)


def is_graphqls(answer: HttpAnswer) -> bool:
    """Answers that GraphQL or the token decides: a JSON object under 200, THROTTLED under 429, and any 401."""
    if answer.status == 401:
        return True
    if answer.status == 429:
        return "THROTTLED" in codes_of(answer.document)
    return answer.status == 200 and isinstance(answer.document, dict)


def _errors(document: Any) -> list[Any]:
    errors = document.get("errors") if isinstance(document, dict) else None
    if not errors:
        return []
    return errors if isinstance(errors, list) else [errors]


def _code(error: Any) -> str:
    code = _member(error, "extensions").get("code")
    # Only a plain code may reach a message: the rest of the body is not ours to repeat.
    return code if isinstance(code, str) and _NAME.fullmatch(code) else NO_CODE


def _path(error: dict[str, Any]) -> str:
    """The names in an error's path; positions in lists, and anything that is no name, are left out."""
    path = error.get("path")
    return ".".join(
        step for step in (path if isinstance(path, list) else []) if isinstance(step, str) and _NAME.fullmatch(step)
    )


def _member(value: Any, name: str) -> dict[str, Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _number(value: dict[str, Any], name: str) -> float | None:
    number = value.get(name)
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
