"""Values as JSON that Postgres takes whatever an observer saw, and back.

Belongs here: what JSON or the server's jsonb cannot hold. Does not belong here: the form of a state or an event
(sla/engine/state.py).
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

# How a number that JSON has no word for is written.
_NO_NUMBER = "$float"


def to_json(value: Any) -> str:
    """One JSON text. Numbers that are none survive; what has no JSON form becomes its text."""
    return json.dumps(_plain(value), allow_nan=False)


def from_json(text: str) -> Any:
    """Read `to_json` again."""
    return json.loads(text, object_hook=_number)


def number(value: float | Decimal | None) -> str | None:
    """A number as Postgres' numeric reads it from JSON, infinities too."""
    return None if value is None else str(value)


def clean(text: str) -> str:
    """Text without what Postgres cannot hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else {_NO_NUMBER: str(number)}
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return _plain(str(value))


def _number(content: dict[str, Any]) -> Any:
    return float(content[_NO_NUMBER]) if content.keys() == {_NO_NUMBER} else content
