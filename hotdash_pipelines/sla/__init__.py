"""Room 6: what was promised about the data, whether it holds, and what is told when it does not.

Belongs here: SLA definitions, their evaluation and the state machine of violations (pure: the clock, observations and
states are passed in), the tables that keep them, incidents.
Does not belong here: messages and their delivery (alerts), checks themselves (their stored results are read), Dagster.
"""

from hotdash_pipelines.sla.definitions.calendar import Calendar, CalendarWindow, Due, Once
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.kinds import SlaType, Unit, sla_types
from hotdash_pipelines.sla.definitions.load import load_definitions
from hotdash_pipelines.sla.definitions.model import SEVERITIES, Definition, Escalation, Severity, worst
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.evaluate import evaluate
from hotdash_pipelines.sla.engine.machine import acknowledge, advance
from hotdash_pipelines.sla.engine.observation import Observation, by_key
from hotdash_pipelines.sla.engine.simulate import simulate
from hotdash_pipelines.sla.engine.state import Event, EventKind, Reason, State, Suppressor, Violation, ViolationKind
from hotdash_pipelines.sla.engine.suppress import Trouble, roots
from hotdash_pipelines.sla.engine.tick import Tick, tick, watched
from hotdash_pipelines.sla.engine.verdict import Verdict
from hotdash_pipelines.sla.engine.wording import measured
from hotdash_pipelines.sla.observers.observe import observe

__all__ = [
    "SEVERITIES",
    "Calendar",
    "CalendarWindow",
    "Definition",
    "Due",
    "Escalation",
    "Event",
    "EventKind",
    "Key",
    "Observation",
    "Once",
    "Reason",
    "Severity",
    "SlaError",
    "SlaType",
    "State",
    "Suppressor",
    "Tick",
    "Trouble",
    "Unit",
    "Verdict",
    "Violation",
    "ViolationKind",
    "acknowledge",
    "advance",
    "by_key",
    "evaluate",
    "load_definitions",
    "measured",
    "observe",
    "roots",
    "simulate",
    "sla_types",
    "tick",
    "watched",
    "worst",
]
