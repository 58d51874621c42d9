"""The property's quota: what is spent, what is left, and when it comes back.

Belongs here: the six counters of `propertyQuota`. Does not belong here: the cost of a report (`report`). Hours and days
are those of the virtual clock; a day begins at midnight Pacific time, as with a real property.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from hotdash_pipelines.demo.clock import VirtualClock

_PACIFIC = ZoneInfo("America/Los_Angeles")
_MORE = "To learn more, see https://developers.google.com/analytics/devguides/reporting/data/v1/quotas"
# Counter: (limit of a standard property, window, message once it is used up).
COUNTERS: dict[str, tuple[int, str, str]] = {
    "tokensPerDay": (
        200_000, "day", f"Exhausted property tokens per day. These quota tokens will return in under a day. {_MORE}",
    ),
    "tokensPerHour": (
        40_000, "hour", f"Exhausted property tokens per hour. These quota tokens will return in under an hour. {_MORE}",
    ),
    "concurrentRequests": (10, "now", f"Exhausted concurrent requests quota. {_MORE}"),
    "serverErrorsPerProjectPerHour": (
        10, "hour", f"Exhausted server errors per project per hour quota. {_MORE}",
    ),
    "potentiallyThresholdedRequestsPerHour": (
        120, "hour", f"Exhausted potentially thresholded requests quota. {_MORE}",
    ),
    "tokensPerProjectPerHour": (
        14_000, "hour",
        f"Exhausted property tokens for a project per hour. These quota tokens will return in under an hour. {_MORE}",
    ),
}  # fmt: skip
TOKEN_COUNTERS = ("tokensPerDay", "tokensPerHour", "tokensPerProjectPerHour")


@dataclass(slots=True)
class Quota:
    """What the property has spent in the windows that run now."""

    clock: VirtualClock
    limits: dict[str, int] = field(default_factory=lambda: {name: spec[0] for name, spec in COUNTERS.items()})
    _spent: dict[str, tuple[str, int]] = field(default_factory=dict)

    def spend(self, counter: str, amount: int) -> None:
        """Take `amount` off a counter."""
        self._spent[counter] = (self._window(counter), self.spent(counter) + amount)

    def spend_tokens(self, amount: int) -> None:
        """Take `amount` tokens off each of the three token counters."""
        for counter in TOKEN_COUNTERS:
            self.spend(counter, amount)

    def spent(self, counter: str) -> int:
        """What the counter's present window has used up."""
        window, amount = self._spent.get(counter, ("", 0))
        return amount if window == self._window(counter) else 0

    def exhausted(self) -> str | None:
        """The first counter with nothing left, or None."""
        return next((name for name in COUNTERS if self.spent(name) >= self.limits[name]), None)

    def status(self) -> dict[str, dict[str, int]]:
        """`propertyQuota` as in the API's answer; a counter's `consumed` is left out when it is 0."""
        shown = {}
        for name in COUNTERS:
            spent = self.spent(name)
            status = {"remaining": max(0, self.limits[name] - spent)}
            shown[name] = {"consumed": spent, **status} if spent else status
        return shown

    def _window(self, counter: str) -> str:
        now: datetime = self.clock.now()
        kind = COUNTERS[counter][1]
        if kind == "day":
            return now.astimezone(_PACIFIC).date().isoformat()
        return now.strftime("%Y-%m-%dT%H") if kind == "hour" else now.isoformat()
