"""The types of SLAs: one record each that holds all there is to know of a type.

Belongs here: the form of a record, the registry, what is refused in it. Does not belong here: the records themselves,
which stand above their observers (sla/observers), what an entry of slas/*.yaml may say (model.py), judging (engine).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.rule import SECONDS, Comparison, Kind

Unit = Literal["percent", "minutes", "hours", "days", "ms", "count"]
# The usual unit comes first.
MINUTES: tuple[Unit, ...] = ("minutes", "hours", "days")
HOURS: tuple[Unit, ...] = ("hours", "minutes", "days")
DAYS: tuple[Unit, ...] = ("days", "hours", "minutes")

# Called with the SLAs of a type and where to look from (observers/looking.py); gives observations.
Observer = Callable[[Any, Any], Iterable[Any]]
_AnyObserver = TypeVar("_AnyObserver", bound=Observer)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,58}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an SLA's `params` may say to its observer. With `largest` it is a number above 0, whole (and 0 too) where
    `largest` is written as a whole number."""

    name: str
    is_needed: bool = False
    largest: float | None = None

    def objection(self, value: object) -> str:
        """What is wrong with a value; empty when nothing is."""
        if self.largest is None:
            return ""
        is_whole = isinstance(self.largest, int)
        if isinstance(value, int if is_whole else int | float) and not isinstance(value, bool):
            smallest = 0 if is_whole else 1e-9
            if smallest <= value <= self.largest:  # type: ignore[operator]
                return ""
        return f"{self.name} must be a number of at most {self.largest:,}"


WINDOW_HOURS = Parameter("window_hours", largest=87_600.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlaType:
    """One type of SLA.

    `kind`: `deadline`, `age` or `level`. `units` make sense, the usual one first. `title` is what is wrong when it is
    broken, in the few words of a message. `comparison` None: the entry says it. `cause`: violations of one cause spread
    downstream together; each type is a cause of its own unless it says so. `offset_days`: how many days before its own
    the day lies that a deadline is about. `asks` is what only the orchestrator knows. `counts` names what a level
    counts, `states` what its values 0, 1, 2 mean.
    """

    name: str
    # What is left out is refused with the type's name, which Python itself would not tell.
    kind: Kind = ""  # type: ignore[assignment]
    units: tuple[Unit, ...] = ()
    title: str = ""
    comparison: Comparison | None = "at_most"
    cause: str = ""
    params: tuple[Parameter, ...] = ()
    offset_days: int = 0
    may_be_negative: bool = False
    asks: Literal["freshness", "runs"] | None = None
    counts: str = ""
    states: tuple[str, ...] = ()
    observer: Observer | None = None

    @property
    def looks_at(self) -> str:
        """The first sentence of the observer: what is looked at."""
        return " ".join((self.observer.__doc__ or "").split("\n\n")[0].split()) if self.observer else ""

    def objection(self, params: Mapping[str, object]) -> str:
        """What is wrong with the parameters of an SLA of this type; empty when nothing is."""
        known = {parameter.name: parameter for parameter in self.params}
        for parameter in self.params:
            if parameter.is_needed and parameter.name not in params:
                return f"params lacks {parameter.name}, which {self.name} needs"
        for name in sorted(params):
            if name not in known:
                return f"params has {name}, which {self.name} does not know"
            if wrong := known[name].objection(params[name]):
                return f"params: {wrong}"
        return ""

    def lacking(self) -> str:
        """What a whole record has and this one has not; empty when it is whole."""
        if not _NAME.fullmatch(self.name):
            return "name in small letters"
        if self.kind not in get_args(Kind):
            return f"kind ({', '.join(get_args(Kind))})"
        allowed = get_args(Unit) if self.kind == "level" else tuple(SECONDS)
        if not self.units or not set(self.units) <= set(allowed):
            return f"units ({', '.join(allowed)})"
        if not isinstance(self.title, str) or not self.title.strip():
            return "title"
        if self.observer is None:
            return "observer"
        return "" if self.looks_at else "docstring at its observer that says what is looked at"


_types: dict[str, SlaType] = {}


def observes(sla_type: SlaType) -> Callable[[_AnyObserver], _AnyObserver]:
    """Registers a type together with the observer below. Raises SlaError for one that is there already, or half."""

    def register(observer: _AnyObserver) -> _AnyObserver:
        whole = replace(sla_type, observer=observer)
        where = f"{observer.__module__}.{observer.__qualname__}"
        if lacking := whole.lacking():
            raise SlaError(f"SLA type {whole.name} ({where}) has no {lacking}")
        if other := _types.get(whole.name):
            by = f"{other.observer.__module__}.{other.observer.__qualname__}" if other.observer else "nobody"
            raise SlaError(f"SLA type {whole.name} is registered twice: by {by} and by {where}; rename one")
        _types[whole.name] = whole
        return observer

    return register


def sla_types() -> tuple[SlaType, ...]:
    """Every type, by name."""
    return tuple(_types[name] for name in sorted(_types))


def sla_type(name: str) -> SlaType:
    """One type. Raises ValueError naming those that there are."""
    if name not in _types:
        *others, last = (repr(known) for known in sorted(_types))
        raise ValueError(f"Input should be {', '.join(others)} or {last}")
    return _types[name]
