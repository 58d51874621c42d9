"""What is handed to whoever tells people: an event with all that a message about it needs.

Belongs here: the form. Does not belong here: wording and delivery (alerts), what has happened (the engine).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.model import Definition, Severity
from hotdash_pipelines.sla.engine.state import Event
from hotdash_pipelines.sla.records.incidents import NOTHING, Impact

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True, slots=True)
class Behind:
    """An SLA that a root keeps from being told."""

    sla: str
    partition: str
    dataset: str
    owner: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to tell. `definition` is None when the SLA was removed; a `warned` event has neither a violation nor an
    incident. `impact` is downstream of the dataset and of all that is behind it."""

    event: Event
    definition: Definition | None
    violation_id: int | None
    incident_id: int | None
    incident_severity: Severity | None
    dataset: str
    owner: str
    runbook: str | None
    impact: Impact = NOTHING
    behind: tuple[Behind, ...] = ()


# Writes the message into the outbox within the caller's transaction, and commits nothing. Gives one line for each part
# of the message that failed and was left out.
Enqueue = Callable[["psycopg.Connection[Any]", Notice, datetime], Sequence[str] | None]
