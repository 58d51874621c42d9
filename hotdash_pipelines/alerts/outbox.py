"""The outbox `ops.alert_outbox`: an alert is committed with the facts it reports and sent afterwards.

Belongs here: enqueuing once, listing, giving dead ones another chance. Does not belong here: sending (delivery.py),
which channels take an alert (alerts/channels/routing.py), the wording (alerts/wording).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.channels.kinds import DEFAULT
from hotdash_pipelines.alerts.channels.routing import AlertPlace, places_of, told_elsewhere
from hotdash_pipelines.alerts.message import Alert

if TYPE_CHECKING:
    import psycopg

_INSERT = """
insert into ops.alert_outbox (
    dedupe_key, kind, severity, channel, payload, created_at, attempts, next_attempt_at, state,
    target, thread_key, action, violation_id, incident_id, event_kind, event_level, hold_until
)
values (
    %(key)s, %(kind)s, %(severity)s, %(channel)s, %(payload)s, %(now)s, 0, %(now)s, 'pending',
    %(target)s, %(thread)s, %(action)s, %(violation)s, %(incident)s, %(event)s, %(level)s, %(hold)s
)
on conflict do nothing
returning id
"""


@dataclass(frozen=True)
class Waiting:
    """A row of the outbox as people look at it. `summary` is the message in one line."""

    id: int
    state: str
    kind: str
    severity: str
    channel: str
    target: str | None
    action: str
    created_at: datetime
    delivered_at: datetime | None
    next_attempt_at: datetime
    hold_until: datetime | None
    attempts: int
    last_error: str | None
    violation_id: int | None
    thread_key: str | None
    summary: str


def enqueue(
    conn: "psycopg.Connection[Any]", alert: Alert, now: datetime, destinations: Sequence[Destination] = ()
) -> bool:
    """Put an alert into the outbox within the caller's transaction; False when its dedupe key is there already.

    Every place that takes it gets a row of its own, so that one that fails costs no other; without `destinations` it
    waits in the default channel. What is told of a violation stays in the thread that first told of it, whatever
    incident it has moved to since. Nothing is sent if the caller rolls back. `now` is aware. Raises ValueError for a
    reply or an edit without a thread, ChannelRecordError for a channel that is none.
    """
    if alert.action != "post" and not alert.thread_key:
        raise ValueError(f"{alert.dedupe_key}: a {alert.action} belongs to a thread")
    places = places_of(alert, destinations)
    if not places:
        return False
    values = {
        "key": alert.dedupe_key,
        "kind": alert.kind,
        "severity": alert.severity,
        "channel": places[0].channel,
        "payload": json.dumps(alert.payload),
        "now": now,
        "target": places[0].target,
        "action": alert.action,
        "violation": alert.violation_id,
        "incident": alert.incident_id,
        "event": alert.event_kind,
        "level": alert.event_level,
        "hold": alert.hold_until,
    }
    thread = _thread_of(conn, alert.violation_id) if alert.violation_id is not None else None
    values["thread"] = thread or alert.thread_key
    if conn.execute(_INSERT, values).fetchone() is None:
        return False
    earlier = _places_told(conn, alert.violation_id) if alert.everywhere else ()
    for place in (*places[1:], *told_elsewhere(alert, earlier, places, destinations)):
        conn.execute(_INSERT, {**values, **place._asdict(), "key": _key_of_copy(alert, place)})
    return True


def enqueue_all(
    conn: "psycopg.Connection[Any]", alerts: Iterable[Alert], now: datetime, destinations: Sequence[Destination] = ()
) -> int:
    """Put alerts into the outbox in this order; how many of them were new."""
    return sum(enqueue(conn, alert, now, destinations) for alert in alerts)


def requeue_dead(conn: "psycopg.Connection[Any]", now: datetime, ids: Iterable[int] | None = None) -> int:
    """Give dead alerts (all, or those of `ids`) a fresh set of attempts; returns how many there were."""
    return conn.execute(
        """
        update ops.alert_outbox
        set state = 'pending', attempts = 0, unanswered = 0, blocked_by = null, next_attempt_at = %(now)s
        where state = 'dead' and (%(ids)s::bigint[] is null or id = any(%(ids)s))
        """,
        {"now": now, "ids": None if ids is None else list(ids)},
    ).rowcount


def hurry_waiting(conn: "psycopg.Connection[Any]", now: datetime, ids: Iterable[int] | None = None) -> int:
    """Have alerts that wait after a failure (all, or those of `ids`) tried at once; returns how many there were."""
    return conn.execute(
        """
        update ops.alert_outbox set blocked_by = null, next_attempt_at = %(now)s
        where state = 'pending' and next_attempt_at > %(now)s and (%(ids)s::bigint[] is null or id = any(%(ids)s))
        """,
        {"now": now, "ids": None if ids is None else list(ids)},
    ).rowcount


def rows(conn: "psycopg.Connection[Any]", state: str | None = None, limit: int = 50) -> tuple[Waiting, ...]:
    """The newest alerts, newest first, of one state or of all."""
    newest = conn.execute(
        """
        select
            id, state, kind, severity, channel, target, action, created_at, delivered_at, next_attempt_at, hold_until,
            attempts, last_error, violation_id, thread_key, coalesce(payload ->> 'text', '')
        from ops.alert_outbox
        where %(state)s::text is null or state = %(state)s
        order by id desc limit %(limit)s
        """,
        {"state": state, "limit": limit},
    ).fetchall()
    return tuple(Waiting(*row) for row in newest)


def _key_of_copy(alert: Alert, place: AlertPlace) -> str:
    where = place.target or ""
    return f"{alert.dedupe_key}@{where if place.channel == DEFAULT else f'{place.channel}:{where}'}"


def _thread_of(conn: "psycopg.Connection[Any]", violation_id: int) -> str | None:
    thread = conn.execute(
        """
        select thread_key from ops.alert_outbox
        where violation_id = %s and thread_key is not null order by id limit 1
        """,
        (violation_id,),
    ).fetchone()
    return thread[0] if thread else None


def _places_told(conn: "psycopg.Connection[Any]", violation_id: int | None) -> tuple[AlertPlace, ...]:
    earlier = conn.execute(
        "select distinct channel, target from ops.alert_outbox where violation_id = %s", (violation_id,)
    )
    return tuple(AlertPlace(*row) for row in earlier)
