"""What was seen of the thing an SLA is about.

Belongs here: the form in which an observation reaches the engine. Does not belong here: making one
(sla/observers/observe.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from hotdash_pipelines.sla.definitions.rule import Key


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen for the SLA `name`, and for one `partition` where it is about one.

    An age takes `at`, the instant whose age counts, or `value`, the age in the SLA's unit (0 for an empty queue). A
    level takes `value`: failing checks, 0 pass 1 warn 2 fail for a freshness state, percent of a rate, milliseconds.
    A deadline takes `at`: with `partition`, the first success that made it; without, the newest success of the whole
    table. `value` and `at` both None: looked, and there has never been anything. `unknown_reason`: could not look.

    `details` the engine reads: `samples` (how many a level is made of), `running_since` (text), `cause` (what kept the
    observer from looking; the same for all that it hid).
    """

    name: str
    value: Decimal | float | None = None
    at: datetime | None = None
    partition: str | None = None
    unknown_reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def by_key(observations: Iterable[Observation]) -> dict[Key, Observation]:
    """Observations by SLA and partition ("" without one); of two with one key the later one stands."""
    return {(seen.name, seen.partition or ""): seen for seen in observations}
