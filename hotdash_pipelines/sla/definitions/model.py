"""The typed form of an SLA: what was promised, to whom it matters, and when to wake somebody.

Belongs here: the fields of an entry of slas/*.yaml and what must hold between them.
Does not belong here: reading files (load.py), judging (sla/engine/evaluate.py), what has happened so far
(sla/engine/state.py).
"""

import hashlib
import json
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hotdash_pipelines.base.durations import LONGEST
from hotdash_pipelines.sla.definitions.calendar import Calendar, CalendarWindow, Maintenance
from hotdash_pipelines.sla.definitions.fields import ClockTime, Dataset, Duration, Slug, Strict, ZoneName
from hotdash_pipelines.sla.definitions.kinds import SlaType, Unit, sla_type
from hotdash_pipelines.sla.definitions.rule import SECONDS, Comparison, Kind, Rule

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

# What decides a verdict: a change of one of these is a new version, a change of the others is not.
_PROMISE = (
    "dataset",
    "type",
    "target",
    "unit",
    "comparison",
    "alert_threshold",
    "by",
    "opens",
    "zone",
    "calendar",
    "offset_days",
    "min_samples",
    "params",
)
_DEADLINE_ONLY = ("by", "opens", "calendar", "offset_days")
_SOME_DAY = date(2026, 1, 1)


class Escalation(Strict):
    """What happens when a violation has been open (and nobody has acknowledged it) for `after`."""

    after: Duration
    severity: Severity | None = None
    channel: str | None = None
    mention: str | None = None

    @model_validator(mode="after")
    def _does_something(self) -> "Escalation":
        if self.after <= timedelta(0):
            raise ValueError("after must be longer than nothing")
        if not (self.severity or self.channel or self.mention):
            raise ValueError("give a severity, a channel or a mention")
        return self


def _of_a_known_type(name: str) -> str:
    return sla_type(name).name


class Definition(Strict):
    """One SLA.

    `target` is in `unit`; a value equal to it keeps the promise. For a deadline it is what may pass after `by`.
    `alert_threshold` lies on the good side of the target: reaching past it warns once. `open_after` breaches in a row
    open a violation, `resolve_after` good verdicts in a row resolve it; a violation of kind unknown opens when nothing
    could be seen for `grace`. Opening again within `flap_window` goes on with the same incident; `catch_up` is how long
    this one may stay late after what it was waiting for has recovered. `params` are for the observer.
    """

    name: Slug
    dataset: Dataset
    type: Annotated[str, AfterValidator(_of_a_known_type)]
    target: Decimal | None = None
    unit: Unit | None = None
    comparison: Comparison | None = None
    alert_threshold: Decimal | None = None
    description: str = ""
    owner: Annotated[str, StringConstraints(pattern=r"^\S.*$")]
    channel: str | None = None
    runbook: Annotated[str, StringConstraints(pattern=r"^docs/runbooks/[a-z0-9-]+\.md$")]
    severity: Severity = "medium"
    by: ClockTime | None = None
    opens: ClockTime = time()
    calendar: Calendar = Calendar()
    offset_days: Annotated[int, Field(ge=0, le=31)] | None = None
    zone: ZoneName = "UTC"
    open_after: Annotated[int, Field(ge=1)] = 1
    resolve_after: Annotated[int, Field(ge=1)] = 1
    grace: Duration = timedelta(minutes=30)
    flap_window: Duration = timedelta(hours=1)
    catch_up: Duration = timedelta(hours=1)
    escalate: tuple[Escalation, ...] = ()
    quiet_hours: CalendarWindow | None = None
    maintenance: tuple[Maintenance, ...] = ()
    min_samples: Annotated[int, Field(ge=0)] = 0
    depends_on: tuple[Slug, ...] = ()
    params: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _what_the_type_implies(cls, given: Any) -> Any:
        own = given.get("type") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(own, str):
            return given
        try:
            implies = sla_type(own)
        except ValueError:
            # The field itself says so.
            return given
        implied: dict[str, Any] = {"unit": implies.units[0]}
        if implies.kind == "deadline":
            implied |= {"target": 0, "offset_days": implies.offset_days}
        if implies.comparison:
            if given.get("comparison", implies.comparison) != implies.comparison:
                raise ValueError(f"comparison of {own} is always {implies.comparison}; leave it out")
            implied["comparison"] = implies.comparison
        return implied | {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _fits_its_type(self) -> "Definition":
        kind, units = self.kind, self.sla_type.units
        if self.unit not in units:
            raise ValueError(f"unit of {self.type} is {' or '.join(units)}, not {self.unit}")
        if self.target is None:
            raise ValueError("target is missing")
        if self.comparison is None:
            raise ValueError("comparison is missing: at_most or at_least")
        if not self.target.is_finite() or (self.target < 0 and not self.sla_type.may_be_negative):
            raise ValueError("target must be a number of at least 0")
        if kind != "level" and float(self.target) * SECONDS[self.unit] > LONGEST.total_seconds():
            raise ValueError(f"target is longer than {LONGEST.days} days")
        if self.unit == "percent" and not 0 <= self.target <= 100:
            raise ValueError("target must lie between 0 and 100 percent")
        if kind == "deadline" and self.by is None:
            raise ValueError('by is missing: the time of day of the deadline, such as "06:00"')
        if kind == "deadline" and self.by is not None and self.by <= self.opens:
            raise ValueError("by must be later in the day than opens")
        if kind != "deadline":
            for name in _DEADLINE_ONLY:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is for deadlines, not for {self.type}")
        return self

    @model_validator(mode="after")
    def _warns_before_it_breaks(self) -> "Definition":
        warn, target = self.alert_threshold, self.target
        if warn is None or target is None:
            return self
        if not warn.is_finite() or (warn >= target if self.comparison == "at_most" else warn <= target):
            raise ValueError("alert_threshold must lie on the good side of target")
        return self

    @model_validator(mode="after")
    def _goes_on_in_order(self) -> "Definition":
        waits = [step.after for step in self.escalate]
        if any(later <= earlier for earlier, later in pairwise(waits)):
            raise ValueError("escalate: each step must come after the one before it")
        if self.name in self.depends_on:
            raise ValueError("depends_on names the SLA itself")
        if self.by is not None:
            self.calendar.after(_SOME_DAY)
        return self

    @property
    def sla_type(self) -> SlaType:
        """All there is to know of its type."""
        return sla_type(self.type)

    @property
    def kind(self) -> Kind:
        """`deadline` (there by a time of day), `age` (of an instant) or `level` (a number as it is)."""
        return self.sla_type.kind

    @property
    def cause(self) -> str:
        """Violations of one cause spread downstream together: `lateness`, `correctness`, else the type."""
        return self.sla_type.cause or self.type

    @property
    def check_name(self) -> str:
        """The asset check that shows the verdict beside the dataset."""
        return f"sla_{self.name}"

    @cached_property
    def version(self) -> str:
        """Hash of what decides a verdict; owner, channel, runbook, escalation and the like are no part of it."""
        promise = self.model_dump(mode="json", include=set(_PROMISE))
        for name in ("target", "alert_threshold"):
            if (value := getattr(self, name)) is not None:
                promise[name] = format(value.normalize(), "f")
        return hashlib.sha256(json.dumps(promise, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def rule(self) -> Rule:
        """The promise in the form that evaluation reads at every tick."""
        return Rule(
            name=self.name,
            kind=self.kind,
            at_least=self.comparison == "at_least",
            target=float(self.target or 0),
            warn=None if self.alert_threshold is None else float(self.alert_threshold),
            unit=self.unit or "count",
            min_samples=self.min_samples,
            zone=self.zone,
            by=self.by,
            opens=self.opens,
            offset_days=self.offset_days or 0,
            calendar=self.calendar,
        )


def worst(*severities: Severity | None) -> Severity:
    """The highest of the given severities; None counts for nothing."""
    return SEVERITIES[max((SEVERITIES.index(severity) for severity in severities if severity), default=0)]
