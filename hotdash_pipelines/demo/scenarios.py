"""Faults that tests and users put into the stand-in's answers, one shot at a time.

Belongs here: what was asked for, and how often it is still due. Does not belong here: what a fault looks like on
the wire; each API face decides that for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NAMES = frozenset(
    {
        "throttle",
        "status",
        "timeout",
        "bad_json",
        "truncated_page",
        "unknown_field",
        "wrong_type",
        "page_drift",
        "quota",
        "expired_token",
        "empty",
    }
)
SOURCES = frozenset({"shopify", "chatwoot", "ga4", "slack"})


@dataclass(slots=True)
class Scenario:
    """One fault: its name, whom it hits and how often it is still due.

    `match` is a part of the operation (Shopify operation name, Chatwoot path, GA4 report dimensions), upper or lower
    case; None hits every operation. `args` by name: status(status, retry_after, body), timeout(seconds),
    throttle(status), wrong_type(field, value).
    """

    name: str
    source: str
    match: str | None = None
    times: int = 1
    args: dict[str, Any] = field(default_factory=dict)

    def hits(self, operation: str) -> bool:
        """True if this operation is one it is meant for."""
        return self.match is None or self.match.lower() in operation.lower()

    def as_dict(self) -> dict[str, Any]:
        """The scenario as JSON-ready values, for the control plane."""
        return {
            "name": self.name,
            "source": self.source,
            "match": self.match,
            "times": self.times,
            "args": dict(self.args),
        }


class Scenarios:
    """The faults still due, in the order they were added. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[Scenario] = []

    def add(self, name: str, source: str, match: str | None = None, times: int = 1, **args: Any) -> Scenario:
        """Have the next `times` matching operations of `source` fail in the way `name` says.

        Raises ValueError for an unknown name or source, or `times` below 1.
        """
        if name not in NAMES:
            raise ValueError(f"unknown scenario {name!r}; known: {', '.join(sorted(NAMES))}")
        if source not in SOURCES:
            raise ValueError(f"unknown source {source!r}; known: {', '.join(sorted(SOURCES))}")
        if times < 1:
            raise ValueError("times must be at least 1")
        scenario = Scenario(name, source, match, times, args)
        with self._lock:
            self._due.append(scenario)
        return Scenario(name, source, match, times, dict(args))

    def take(self, source: str, operation: str) -> Scenario | None:
        """Use up one turn of the first due scenario that hits this operation, and return it; None if there is none."""
        with self._lock:
            for scenario in self._due:
                if scenario.source == source and scenario.hits(operation):
                    scenario.times -= 1
                    if scenario.times == 0:
                        self._due.remove(scenario)
                    return Scenario(scenario.name, source, scenario.match, scenario.times, dict(scenario.args))
        return None

    def pending(self) -> list[Mapping[str, Any]]:
        """What is still due, as JSON-ready mappings."""
        with self._lock:
            return [scenario.as_dict() for scenario in self._due]

    def clear(self) -> None:
        """Drop everything still due."""
        with self._lock:
            self._due.clear()
