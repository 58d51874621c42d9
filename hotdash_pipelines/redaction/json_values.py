"""Walking a JSON value: keys, values, numbers, JSON within strings.

Belongs here: the walk and the words that a key says. Does not belong here: what is personal in a text (the detectors).
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from hotdash_pipelines.redaction.canonical import TOKEN, TokenKind

# (context, text) -> (redacted text, counts).
TextRedactor = Callable[[str, str], tuple[str, Counter[str]]]

_MAX_DEPTH = 64
# No figure of ours is longer; Python refuses to write numbers of thousands of digits.
_MOST_BITS = 256
_MOST_FLOAT = 1e20
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.]+")

_PEOPLE = frozenset(
    [
        "customer",
        "contact",
        "sender",
        "recipient",
        "buyer",
        "user",
        "person",
        "billingaddress",
        "shippingaddress",
        "defaultaddress",
        "address",
        "addresses",
    ]
)
_WHOLE = {
    TokenKind.NAME: (
        "firstname lastname fullname surname givenname familyname middlename customername contactname recipientname "
        "sendername displayname cardholder cardholdername accountholder"),
    TokenKind.EMAIL: "email emailaddress contactemail customeremail",
    TokenKind.PHONE: "phone phonenumber mobile mobilephone telephone tel fax whatsapp",
    TokenKind.ADDRESS: (
        "address address1 address2 addressline1 addressline2 street streetaddress shippingaddress billingaddress zip "
        "zipcode postalcode postcode plz"),
    TokenKind.IP: "ip ipaddress clientip browserip remoteaddr",
    TokenKind.ID: "ssn passport passportnumber nationalid taxid driverslicense dateofbirth dob birthdate birthday",
    TokenKind.CARD: "cardnumber creditcard cvv cvc",
    TokenKind.IBAN: "iban",
}  # fmt: skip
_WHOLE_KINDS = {key: kind for kind, keys in _WHOLE.items() for key in keys.split()}


def walk(value: Any, redact: TextRedactor, counts: Counter[str], path: tuple[str, ...] = (), depth: int = 0) -> Any:
    """The value redacted, counts added to; `path` are the keys above it. Raises TypeError for what is not JSON."""
    if depth > _MAX_DEPTH:
        # Deeper than any record of ours: dropping it is safe, and a recursion error would not be.
        counts[TokenKind.ID.value] += 1
        return TokenKind.ID.token
    if isinstance(value, str):
        return _string(value, redact, counts, path, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, redact, counts, path)
    if isinstance(value, dict):
        return _mapping(value, redact, counts, path, depth)
    if isinstance(value, list | tuple):
        return [walk(item, redact, counts, path, depth + 1) for item in value]
    raise TypeError(f"only JSON values can be redacted, not a {type(value).__name__}")


def _mapping(
    value: dict[Any, Any], redact: TextRedactor, counts: Counter[str], path: tuple[str, ...], depth: int
) -> dict[str, Any]:
    redacted: dict[str, Any] = {}
    for key, item in value.items():
        name, removed = redact("", str(key))
        counts.update(removed)
        # Two keys that read alike after redaction must not swallow each other.
        distinct, number = name, 2
        while distinct in redacted:
            distinct, number = f"{name} {number}", number + 1
        redacted[distinct] = walk(item, redact, counts, (*path, str(key)), depth + 1)
    return redacted


def _string(value: str, redact: TextRedactor, counts: Counter[str], path: tuple[str, ...], depth: int) -> str:
    if value[:1] in {"{", "["} and value[-1:] in {"}", "]"}:
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict | list):
            below: Counter[str] = Counter()
            redacted = walk(inner, redact, below, path, depth + 1)
            counts.update(below)
            return json.dumps(redacted, ensure_ascii=False) if below else value
    kind = _declared(path)
    if kind is not None and value.strip() and not TOKEN.fullmatch(value.strip()):
        counts[kind.value] += 1
        return kind.token
    redacted, removed = redact(_words(path), value)
    counts.update(removed)
    return redacted


def _number(value: float, redact: TextRedactor, counts: Counter[str], path: tuple[str, ...]) -> Any:
    kind = _declared(path)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        counts[TokenKind.ID.value] += 1
        return TokenKind.ID.token
    whole = isinstance(value, int) or (abs(value) < _MOST_FLOAT and value.is_integer())
    digits = str(int(value)) if whole else ""
    if kind is not None and len(digits) >= 3:
        counts[kind.value] += 1
        return kind.token
    if len(digits) < 7:
        return value
    redacted, removed = redact(_words(path), digits)
    if not removed:
        return value
    counts.update(removed)
    return redacted


def _declared(path: tuple[str, ...]) -> TokenKind | None:
    """The kind that a key says its value is, whatever the value looks like."""
    if not path:
        return None
    key = _plain(path[-1])
    if key == "name" and len(path) > 1 and _plain(path[-2]) in _PEOPLE:
        return TokenKind.NAME
    return _WHOLE_KINDS.get(key)


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.casefold())


def _words(path: tuple[str, ...]) -> str:
    return _HUMP.sub(" ", path[-1]).strip()[:60] if path else ""
