"""How an SLA stands, and that in one line of plain English.

Belongs here: the verdict and its text. Does not belong here: reaching it (evaluate.py), what was before (machine.py).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.engine.wording import measured

Standing = Literal["ok", "breach", "unknown", "pending"]

# Clocks differ by seconds. What is dated later than that says nothing about age: one row dated 2099 would keep a dead
# stream young for ever.
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(slots=True)
class Verdict:
    """How an SLA stands. `actual` and `expected` are in its unit.

    `pending` neither keeps nor breaks it: before a deadline, or with too few samples. `breach_since` is when the
    promise was broken where that can be told exactly; on a good verdict it says that it was kept late, at `ok_since`.
    `warning`: good, but past the alert threshold. `reason` and `cause` explain an unknown one. `failure`: what kept its
    message from being worded, known once the message was asked for.
    """

    definition: Definition
    state: Standing
    expected: float
    actual: float | None = None
    breach_since: datetime | None = None
    ok_since: datetime | None = None
    partition_key: str = ""
    warning: bool = False
    reason: str = ""
    cause: str = ""
    due: Due | None = None
    failure: str = field(default="", compare=False)

    @property
    def message(self) -> str:
        """The verdict in one line, a plain one where it cannot be worded: that must not cost others their verdicts."""
        try:
            return told(self)
        except Exception as error:  # noqa: BLE001 - see above
            self.failure = f"its verdict could not be worded ({type(error).__name__})"
            what = f"{self.definition.dataset} {self.partition_key}".strip()
            return f"{what}: {self.state}; {self.failure}"


def told(verdict: Verdict) -> str:
    """What was promised, what is, and why that is not known."""
    definition = verdict.definition
    unit = definition.unit or "count"
    if verdict.due is not None or definition.kind == "deadline":
        return _deadline(verdict)
    expected = f"{'at least' if definition.comparison == 'at_least' else 'at most'} {measured(verdict.expected, unit)}"
    if verdict.state == "unknown" or verdict.actual is None:
        return f"{definition.dataset}: not known: {verdict.reason} (promised: {expected})"
    return f"{definition.dataset}: {measured(verdict.actual, unit)} (promised: {expected})"


def _deadline(verdict: Verdict) -> str:
    definition, due = verdict.definition, verdict.due
    what = f"{definition.dataset} {verdict.partition_key}".strip()
    promised = f"promised by {definition.by:%H:%M} {definition.zone}" if definition.by else "promised"
    if due is not None:
        promised += f" on {due.day}"
    if verdict.state == "unknown" or verdict.actual is None:
        return f"{what}: not known: {verdict.reason} ({promised})"
    because = f"; {verdict.reason}" if verdict.reason else ""
    amount = measured(abs(verdict.actual), definition.unit or "minutes")
    if verdict.state == "ok":
        when = f"there {amount} late" if verdict.breach_since else "there"
        return f"{what}: {when} ({promised})"
    if verdict.state == "pending":
        return f"{what}: not there yet ({promised}{because})"
    return f"{what}: not there, {amount} late ({promised}{because})"
