"""The outbox `ops.alert_outbox`: an alert is committed with the facts it reports and sent afterwards.

Belongs here: enqueuing once, listing, giving dead ones another chance. Does not belong here: sending (delivery.py), the
wording (alerts/wording/run_failures.py).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.wording.run_failures import Alert

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


def enqueue(conn: "psycopg.Connection[Any]", alert: Alert, now: datetime) -> bool:
    """Put an alert into the outbox within the caller's transaction; False when its dedupe key is there already.

    What is told of a violation stays in the thread that first told of it, whatever incident it has moved to since.
    Nothing is sent if the caller rolls back. `now` is aware. Raises ValueError for a reply or an edit without a thread.
    """
    if alert.action != "post" and not alert.thread_key:
        raise ValueError(f"{alert.dedupe_key}: a {alert.action} belongs to a thread")
    values = {
        "key": alert.dedupe_key,
        "kind": alert.kind,
        "severity": alert.severity,
        "channel": alert.channel,
        "payload": json.dumps(alert.payload),
        "now": now,
        "target": alert.target,
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
    for target in _other_targets(conn, alert) if alert.everywhere else ():
        conn.execute(_INSERT, {**values, "key": f"{alert.dedupe_key}@{target or ''}", "target": target})
    return True


def enqueue_all(conn: "psycopg.Connection[Any]", alerts: Iterable[Alert], now: datetime) -> int:
    """Put alerts into the outbox in this order; how many of them were new."""
    return sum(enqueue(conn, alert, now) for alert in alerts)


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
    found = conn.execute(
        """
        select
            id, state, kind, severity, target, action, created_at, delivered_at, next_attempt_at, hold_until, attempts,
            last_error, violation_id, thread_key, coalesce(payload ->> 'text', '')
        from ops.alert_outbox
        where %(state)s::text is null or state = %(state)s
        order by id desc limit %(limit)s
        """,
        {"state": state, "limit": limit},
    ).fetchall()
    return tuple(Waiting(*row) for row in found)


def _thread_of(conn: "psycopg.Connection[Any]", violation_id: int) -> str | None:
    found = conn.execute(
        """
        select thread_key from ops.alert_outbox
        where violation_id = %s and thread_key is not null order by id limit 1
        """,
        (violation_id,),
    ).fetchone()
    return found[0] if found else None


def _other_targets(conn: "psycopg.Connection[Any]", alert: Alert) -> list[str | None]:
    told = conn.execute(
        "select distinct target from ops.alert_outbox where violation_id = %s and target is distinct from %s",
        (alert.violation_id, alert.target),
    ).fetchall()
    return [target for (target,) in told]
