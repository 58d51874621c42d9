"""Events of one transaction -> violations, incidents, their timelines, and what is to be told.

Belongs here: following the events in their order. Does not belong here: the single statements (ledger.py,
incidents.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.model import Definition, Severity
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.state import Event, State, Violation
from hotdash_pipelines.sla.records.incidents import NOTHING, Impact, Incidents
from hotdash_pipelines.sla.records.ledger import follow_rows, open_row, open_violations, resolve_row
from hotdash_pipelines.sla.records.notice import Behind, Notice
from hotdash_pipelines.sla.records.promises import Promise, last_promises

if TYPE_CHECKING:
    import psycopg


class Writing:
    """What a tick, or an acknowledgement, writes about violations and incidents."""

    def __init__(
        self,
        conn: "psycopg.Connection[Any]",
        definitions: Sequence[Definition],
        promises: Mapping[str, Promise],
        impact: Mapping[str, Impact],
        now: datetime,
    ) -> None:
        self._conn, self._impact, self._now = conn, impact, now
        self._definitions = {definition.name: definition for definition in definitions}
        self._promises = dict(promises)
        self._incidents = Incidents(conn, impact)
        self._open: dict[Key, tuple[int, int]] = {}

    def write(
        self,
        before: Mapping[Key, State],
        after: Mapping[Key, State],
        events: Sequence[Event],
        behind: Mapping[Key, tuple[Key, ...]],
    ) -> tuple[Notice, ...]:
        """Bring the tables from the states before to those after; what to tell, in order."""
        changed = [state for key, state in after.items() if _violation(before, key) is not state.violation]
        if not events and not changed:
            self._incidents.settle(self._now)
            return ()
        self._open = open_violations(self._conn)
        self._know([*(event.sla for event in events), *(name for keys in behind.values() for name, _ in keys)])
        followed = [(event, *self._follow(event)) for event in events]
        self._catch_up(changed)
        severities = self._incidents.settle(self._now)
        return tuple(
            self._notice(event, violation_id, incident_id, severities)
            for event, violation_id, incident_id in followed
            if not event.silent
        )

    def _know(self, names: Iterable[str]) -> None:
        unknown = {name for name in names if name not in self._promises}
        if unknown:
            self._promises |= last_promises(self._conn, sorted(unknown))

    def _follow(self, event: Event) -> tuple[int | None, int | None]:
        """Write one event; the numbers of its violation and incident."""
        violation = event.violation
        if violation is None:
            return None, None
        incident_id = self._incidents.number(violation.incident, event, self._promises[event.sla])
        violation_id, was_in = self._open.get(event.key, (None, incident_id))
        if violation_id is None:
            violation_id = open_row(self._conn, self._promises[event.sla].sla_id, incident_id, event, violation)
        elif was_in != incident_id:
            # It goes on as part of another incident; the one that it began keeps its first lines.
            self._incidents.note(was_in, None, event)
        self._open[event.key] = violation_id, incident_id
        if event.kind == "resolved":
            resolve_row(self._conn, violation_id, event, violation)
            del self._open[event.key]
        self._incidents.note(incident_id, violation_id, event)
        return violation_id, incident_id

    def _catch_up(self, changed: Iterable[State]) -> None:
        rows = []
        for state in changed:
            if state.violation and state.key in self._open:
                rows.append((*self._open[state.key], state, state.violation))
        follow_rows(self._conn, rows)

    def _notice(
        self, event: Event, violation_id: int | None, incident_id: int | None, severities: Mapping[int, Severity]
    ) -> Notice:
        promise = self._promises[event.sla]
        behind = tuple(
            Behind(*key, self._promises[key[0]].dataset, self._promises[key[0]].owner) for key in event.behind
        )
        impact = self._impact.get(promise.dataset, NOTHING)
        for other in behind:
            impact |= self._impact.get(other.dataset, NOTHING)
        return Notice(
            event=event,
            definition=self._definitions.get(event.sla),
            violation_id=violation_id,
            incident_id=incident_id,
            incident_severity=severities.get(incident_id) if incident_id is not None else None,
            dataset=promise.dataset,
            owner=promise.owner,
            runbook=promise.runbook,
            impact=impact,
            behind=behind,
        )


def _violation(states: Mapping[Key, State], key: Key) -> Violation | None:
    state = states.get(key)
    return state.violation if state else None
