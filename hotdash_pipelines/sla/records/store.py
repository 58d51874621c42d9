"""A tick that is kept: the engine between the tables, in one transaction.

Belongs here: what is read and written around a tick and an acknowledgement, and in which order. Does not belong here:
deciding (sla/engine/tick.py, sla/engine/machine.py), the single tables (promises, ledger, incidents, record),
messages (alerts).

A tick that is killed or cut off leaves nothing: states, violations and messages are committed together or not at all.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.base.failpoints import reach
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.definitions.rule import Key
from hotdash_pipelines.sla.engine.evaluate import OBSERVER
from hotdash_pipelines.sla.engine.machine import acknowledge as acknowledged
from hotdash_pipelines.sla.engine.observation import Observation, by_key
from hotdash_pipelines.sla.engine.state import State
from hotdash_pipelines.sla.engine.tick import Tick, tick
from hotdash_pipelines.sla.engine.verdict import CLOCK_SKEW, Verdict
from hotdash_pipelines.sla.records.encode import clean
from hotdash_pipelines.sla.records.heartbeat import EVALUATION, beat, failure_details
from hotdash_pipelines.sla.records.incidents import Impact, remark
from hotdash_pipelines.sla.records.ledger import keep_states, keep_verdicts, note_failure, read_states
from hotdash_pipelines.sla.records.logbook import log_events
from hotdash_pipelines.sla.records.notice import Enqueue, Notice
from hotdash_pipelines.sla.records.promises import keep_definitions, last_promises
from hotdash_pipelines.sla.records.record import as_recorded, write_observations
from hotdash_pipelines.sla.records.transaction import SlaBusy, one_writer, told
from hotdash_pipelines.sla.records.writing import Writing

if TYPE_CHECKING:
    import psycopg

_NAME_LENGTH = 100
# Who says in a timeline that a message failed.
_WE = "hotdash"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a tick: `tick` is None when it was `skipped`, which says why. `warnings` are one line each."""

    tick: Tick | None
    notices: tuple[Notice, ...] = ()
    skipped: str | None = None
    warnings: tuple[str, ...] = ()


def load_states(conn: "psycopg.Connection[Any]") -> dict[Key, State]:
    """The states as the last tick left them: what `watched` asks for. Raises SlaError."""
    with told(conn), conn.transaction():
        return read_states(conn)


def apply_tick(
    conn: "psycopg.Connection[Any]",
    definitions: Sequence[Definition],
    observations: Iterable[Observation],
    upstream: Mapping[str, Collection[str]],
    now: datetime,
    *,
    impact: Mapping[str, Impact] | None = None,
    enqueue: Enqueue | None = None,
    apart: timedelta = timedelta(0),
) -> Applied:
    """Judge every definition at `now` (aware) from the stored states, and keep what comes of it.

    Everything is one transaction: versions, states, violations, incidents, the record of `observations`, the heartbeat,
    log lines, and what `enqueue` writes of each event that is to be told. Two processes at once take turns: the later
    one is skipped when the other's tick is newer, or less than `apart` old. `impact` is downstream of each dataset.

    Raises SlaError when the server refuses or goes away, and when there is no definition at all; then nothing has
    changed. An error of `enqueue` undoes the tick too: a violation that cannot be told is not taken for told. What
    fails of an observer, a verdict's wording or a message costs itself only: it stands in `warnings`, in the heartbeat,
    on the SLA, and for a message in the timeline of its incident.
    """
    if not definitions:
        raise SlaError("no SLA is defined, so all would be given up as removed: check the folder of SLA files")
    seen = by_key(map(as_recorded, observations))
    try:
        with one_writer(conn):
            if why := _too_early(conn, now, apart):
                return Applied(None, skipped=why)
            promises = keep_definitions(conn, definitions, now)
            before = read_states(conn)
            done = tick(definitions, before, seen, upstream, now)
            writing = Writing(conn, definitions, promises, impact or {}, now)
            notices = writing.write(before, done.states, done.events, done.behind)
            reach("sla.violations")
            keep_states(conn, before, done.states, now)
            keep_verdicts(conn, done.verdicts, now)
            reach("sla.states")
            write_observations(conn, seen, done.verdicts, now)
            failed = [*_failed(done.verdicts), *_enqueue(conn, enqueue, notices, now)]
            reach("sla.enqueued")
            still_open = sum(state.violation is not None for state in done.states.values())
            beat(conn, EVALUATION, now, {"slas": len(definitions), "open": still_open, **failure_details(failed, now)})
            warnings = (*failed, *log_events(conn, done.events, now))
    except SlaBusy as error:
        return Applied(None, skipped=str(error))
    return Applied(done, notices, warnings=warnings)


def acknowledge(
    conn: "psycopg.Connection[Any]",
    definitions: Sequence[Definition],
    name: str,
    partition: str | None,
    by: str,
    now: datetime,
    enqueue: Enqueue | None = None,
) -> tuple[Notice, ...]:
    """Somebody takes an open violation on; empty when somebody had before.

    `partition` None is the only open one. Raises SlaError for an unknown SLA, when nothing is open, when several
    partitions are, and without a name.
    """
    who = " ".join(clean(by).split())
    if not who or len(who) > _NAME_LENGTH:
        raise SlaError(f"an acknowledgement needs the name of a person, at most {_NAME_LENGTH} characters")
    definition = next((known for known in definitions if known.name == name), None)
    if definition is None:
        raise SlaError(f"{name} is no SLA; `hotdash sla list` names them")
    with one_writer(conn):
        before = read_states(conn)
        state = _to_acknowledge(before, definition, partition, now)
        after, events = acknowledged(definition, state, who, now)
        states = {**before, after.key: after}
        writing = Writing(conn, definitions, last_promises(conn, [name]), {}, now)
        notices = writing.write(before, states, events, {})
        keep_states(conn, before, states, now)
        _enqueue(conn, enqueue, notices, now)
        log_events(conn, events, now)
    return notices


def _too_early(conn: "psycopg.Connection[Any]", now: datetime, apart: timedelta) -> str | None:
    row = conn.execute("select beat_at from ops.heartbeats where name = %s", (EVALUATION,)).fetchone()
    if row is None:
        return None
    since = now - row[0]
    # A last tick far in the future was made by a wrong clock: waiting for it would be standing still for ever.
    if since < -CLOCK_SKEW or (since > timedelta(0) and since >= apart):
        return None
    return f"another evaluation ran at {row[0].isoformat(timespec='seconds')}"


def _to_acknowledge(states: Mapping[Key, State], definition: Definition, partition: str | None, now: datetime) -> State:
    name = definition.name
    open_states = [state for state in states.values() if state.sla == name and state.violation]
    if partition is None and len(open_states) > 1:
        listed = ", ".join(sorted(state.partition for state in open_states))
        raise SlaError(f"{name} has several open violations: say which partition ({listed})")
    for state in open_states:
        if partition in (None, state.partition):
            return state
    # The engine says that nothing is open.
    return State(name, partition or "", definition.version, now)


def _failed(verdicts: Mapping[Key, Verdict]) -> list[str]:
    """What of our own failed on the way to the verdicts and to their words, a line an SLA."""
    reasons = (
        (name, verdict.reason if verdict.state == "unknown" and verdict.cause == OBSERVER else verdict.failure)
        for (name, _), verdict in sorted(verdicts.items())
    )
    return list(dict.fromkeys(f"{name}: {reason}" for name, reason in reasons if reason))


def _enqueue(
    conn: "psycopg.Connection[Any]", enqueue: Enqueue | None, notices: Iterable[Notice], now: datetime
) -> list[str]:
    failed: list[str] = []
    if enqueue is None:
        return failed
    for notice in notices:
        for reason in enqueue(conn, notice, now) or ():
            event = notice.event
            note_failure(conn, event.key, reason)
            if notice.incident_id is not None:
                remark(conn, notice.incident_id, reason, _WE, now)
            failed.append(f"{event.sla}: {reason}")
    return failed
