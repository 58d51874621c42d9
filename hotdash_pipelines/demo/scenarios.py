"""Faults that tests and users put into the stand-in's answers: one shot at a time, or at random until they are cleared.

Belongs here: what was asked for, how often it is still due, which faults a rough source draws from. Does not belong
here: what a fault looks like on the wire; each API face decides that for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hotdash_pipelines.demo.seeded import rng

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
        "cut_off",
        "wrong_count",
    }
)
SOURCES = frozenset({"shopify", "chatwoot", "ga4", "slack"})
ROUGH = "rough"

# What a rough source does to a request: (fault, arguments, the operations it can hit or None for all). Every one of
# them passes; faults that only time or a person ends (a spent quota, a locked shop) are put in by name.
_Draw = tuple[str, dict[str, Any], str | None]
_ANYWHERE: tuple[_Draw, ...] = (
    ("status", {"status": 500}, None),
    ("status", {"status": 503, "retry_after": 1}, None),
    ("bad_json", {}, None),
    ("cut_off", {}, None),
    ("timeout", {"seconds": 0.05}, None),
)
# A token ends after it has served: one that is refused at once is not what passes.
_EXPIRY: _Draw = ("expired_token", {"spares_new": True}, None)
ROUGH_FAULTS: dict[str, tuple[_Draw, ...]] = {
    "shopify": (
        *_ANYWHERE,
        ("status", {"status": 502, "body": "<html>Bad Gateway</html>"}, None),
        ("status", {"status": 429, "retry_after": 1}, None),
        ("throttle", {"status": 200}, None),
        ("throttle", {"status": 429}, None),
        _EXPIRY,
        ("truncated_page", {}, None),
        ("empty", {}, None),
    ),
    "chatwoot": (
        *_ANYWHERE,
        ("status", {"status": 429, "retry_after": 1}, None),
        ("throttle", {}, None),
    ),
    "ga4": (
        *_ANYWHERE,
        ("throttle", {}, "runReport"),
        (*_EXPIRY[:2], "runReport"),
        ("truncated_page", {}, "runReport"),
    ),
}


@dataclass(slots=True)
class Scenario:
    """One fault: its name, whom it hits and how often it is still due.

    `match` is a part of the operation (Shopify operation name, Chatwoot path, GA4 report dimensions), upper or lower
    case; None hits every operation. `args` by name: status(status, retry_after, body), timeout(seconds),
    throttle(status), wrong_type(field, value), wrong_count(off: what is added to each count that the answer holds),
    expired_token(spares_new: only the granted token that is shown ends, and only if it has served).
    """

    name: str
    source: str
    match: str | None = None
    times: int = 1
    args: dict[str, Any] = field(default_factory=dict)

    def hits(self, operation: str) -> bool:
        """True if this operation is one it is meant for."""
        return self.match is None or self.match.lower() in operation.lower()

    def miscounted(self, count: int) -> int:
        """What a source that miscounts says in place of a count, never below zero; others say the count."""
        return max(0, count + int(self.args.get("off", 1))) if self.name == "wrong_count" else count

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
        self._rough: list[Scenario] = []
        self._drawn: dict[tuple[str, str], int] = {}

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

    def add_rough(
        self,
        source: str | None = None,
        *,
        share: float = 0.2,
        seed: int = 7,
        match: str | None = None,
        faults: Sequence[str] | None = None,
        **args: Any,
    ) -> list[Scenario]:
        """Have a `share` of the requests of a source (None: of every one) fail at random, until `clear`.

        `faults` narrows the draw to these names; `args` go over the drawn fault's own, such as `retry_after=0`. The
        draw depends on the seed, the operation and how often it was asked, not on the order of unlike requests.
        Raises ValueError for a source or faults that have nothing to draw from, or a share outside 0..1.
        """
        sources = sorted(ROUGH_FAULTS) if source in (None, "all") else [source]
        if not 0 <= share <= 1:
            raise ValueError("share must lie between 0 and 1")
        added = []
        for name in sources:
            known = {draw[0] for draw in ROUGH_FAULTS.get(str(name), ())}
            if not known or (faults is not None and not known & set(faults)):
                raise ValueError(f"nothing to draw from for {name!r}; known: {', '.join(sorted(known)) or 'no faults'}")
            given = {"share": share, "seed": seed, "faults": faults and list(faults), "args": args}
            added.append(Scenario(ROUGH, str(name), match, 1, given))
        with self._lock:
            self._rough += added
        return added

    def _draw(self, source: str, operation: str) -> Scenario | None:
        """What a rough source does to this request, None for nothing."""
        for rough in self._rough:
            if rough.source != source or not rough.hits(operation):
                continue
            asked = self._drawn[source, operation] = self._drawn.get((source, operation), 0) + 1
            random_ = rng(rough.args["seed"], "rough", source, operation, asked)
            if random_.random() >= rough.args["share"]:
                continue
            names = rough.args["faults"]
            choice = [
                (name, args)
                for name, args, match in ROUGH_FAULTS[source]
                if (names is None or name in names) and (match is None or match in operation)
            ]
            if choice:
                name, args = random_.choice(choice)
                return Scenario(name, source, None, 0, {**args, **rough.args["args"]})
        return None

    def take(self, source: str, operation: str) -> Scenario | None:
        """Use up one turn of the first due scenario that hits this operation, and return it.

        Where none is due, a rough source draws one. None if the request goes through.
        """
        with self._lock:
            for scenario in self._due:
                if scenario.source == source and scenario.hits(operation):
                    scenario.times -= 1
                    if scenario.times == 0:
                        self._due.remove(scenario)
                    return Scenario(scenario.name, source, scenario.match, scenario.times, dict(scenario.args))
            return self._draw(source, operation)

    def pending(self) -> list[Mapping[str, Any]]:
        """What is still due, as JSON-ready mappings."""
        with self._lock:
            return [scenario.as_dict() for scenario in (*self._due, *self._rough)]

    def clear(self) -> None:
        """Drop everything still due."""
        with self._lock:
            self._due.clear()
            self._rough.clear()
            self._drawn.clear()
