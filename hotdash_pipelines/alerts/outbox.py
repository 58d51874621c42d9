"""The outbox `ops.alert_outbox`: an alert is committed with the facts it reports and sent afterwards.

Belongs here: enqueuing once, claiming, sending row by row, waiting and giving up.
Does not belong here: the HTTP call (slack.py), the wording (messages.py).
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.messages import Alert

if TYPE_CHECKING:
    import httpx
    import psycopg

    from hotdash_pipelines.alerts.slack import SlackWebhook

MAX_ATTEMPTS = 10
UNDELIVERABLE = "undeliverable: no Slack webhook is configured (HOTDASH_SLACK_WEBHOOK_URL)"

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Delivery:
    """What one drain of the outbox did: messages `sent`, attempts that `failed` (of these `dead` for good), and what
    is left `waiting`; `undeliverable` of the waiting ones have no webhook to go to."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    undeliverable: int = 0


def enqueue(conn: "psycopg.Connection[Any]", alert: Alert, now: datetime) -> bool:
    """Put an alert into the outbox within the caller's transaction; False when its dedupe key is there already.

    Nothing is sent if the caller rolls back. `now` is aware.
    """
    written = conn.execute(
        """
        insert into ops.alert_outbox
            (dedupe_key, kind, severity, channel, payload, created_at, attempts, next_attempt_at, state)
        values (%s, %s, %s, %s, %s, %s, 0, %s, 'pending')
        on conflict (dedupe_key) do nothing
        returning id
        """,
        (alert.dedupe_key, alert.kind, alert.severity, alert.channel, json.dumps(alert.payload), now, now),
    ).fetchone()
    return written is not None


def deliver_pending(
    conn: "psycopg.Connection[Any]",
    webhook_url: str | None,
    now: datetime,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    transport: "httpx.BaseTransport | None" = None,
) -> Delivery:
    """Send what is due, oldest first, and commit each row by itself, so that a crash forgets at most one answer.

    The row stays locked while it is sent: a second deliverer skips it. After a failure that may pass, the drain ends
    and the row waits (Retry-After, else 30 s doubling to 1 h); after `max_attempts`, or a refusal, it is dead. Without
    a webhook rows keep waiting and say `undeliverable`. `conn` must not be inside a transaction (ValueError).
    """
    from psycopg.pq import TransactionStatus

    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("deliver_pending commits row by row and needs a connection outside a transaction")
    if not webhook_url:
        return _mark_undeliverable(conn)

    from hotdash_pipelines.alerts.slack import PermanentSlackError, SlackWebhook

    try:
        slack = SlackWebhook(webhook_url, transport=transport)
    except PermanentSlackError as error:
        return _mark_undeliverable(conn, f"undeliverable: {error}")
    sent = failed = dead = 0
    with slack:
        while (outcome := _deliver_one(conn, slack, now, max_attempts)) is not None:
            sent += outcome == "delivered"
            failed += outcome != "delivered"
            dead += outcome == "dead"
            if outcome == "pending":
                break
    return Delivery(sent, failed, dead, waiting=_waiting(conn))


def requeue_dead(conn: "psycopg.Connection[Any]", now: datetime) -> int:
    """Give every dead alert a fresh set of attempts, after the webhook was mended; returns how many there were."""
    return conn.execute(
        "update ops.alert_outbox set state = 'pending', attempts = 0, next_attempt_at = %s where state = 'dead'", (now,)
    ).rowcount


def _deliver_one(
    conn: "psycopg.Connection[Any]", slack: "SlackWebhook", now: datetime, max_attempts: int
) -> str | None:
    """Send the oldest due row that nobody else holds; its new state, or None when there is none."""
    from hotdash_pipelines.alerts.slack import SlackError, TransientSlackError

    with conn.transaction():
        row = conn.execute(
            """
            select id, payload, attempts from ops.alert_outbox
            where state = 'pending' and channel = 'slack' and next_attempt_at <= %s
            order by id limit 1
            for update skip locked
            """,
            (now,),
        ).fetchone()
        if row is None:
            return None
        number, payload, attempts = row
        try:
            slack.post(_signed(payload, number))
        except SlackError as error:
            retry_after = error.retry_after if isinstance(error, TransientSlackError) else None
            # Being asked to wait is no failure of the message, so it does not bring the row closer to dead.
            attempts += retry_after is None
            gives_up = not isinstance(error, TransientSlackError) or attempts >= max_attempts
            state = "dead" if gives_up else "pending"
            until = now + (_backoff(attempts) if retry_after is None else timedelta(seconds=retry_after))
            _note_failure(conn, number, state, attempts, until, str(error))
            if retry_after is not None:
                _hold_others(conn, until)
            return state
        conn.execute(
            """
            update ops.alert_outbox
            set state = 'delivered', delivered_at = %s, attempts = attempts + 1, last_error = null
            where id = %s
            """,
            (now, number),
        )
        return "delivered"


def _signed(payload: dict[str, Any], number: int) -> dict[str, Any]:
    """The message with its number: a crash between Slack's answer and the commit may send it twice, and this tells."""
    mark = {"type": "context", "elements": [{"type": "mrkdwn", "text": f"alert {number}"}]}
    return {**payload, "blocks": [*payload.get("blocks", ()), mark]}


def _backoff(attempts: int) -> timedelta:
    return min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)


def _note_failure(
    conn: "psycopg.Connection[Any]", number: int, state: str, attempts: int, until: datetime, error: str
) -> None:
    conn.execute(
        "update ops.alert_outbox set state = %s, attempts = %s, next_attempt_at = %s, last_error = %s where id = %s",
        (state, attempts, until, error, number),
    )


def _hold_others(conn: "psycopg.Connection[Any]", until: datetime) -> None:
    """Slack's limit is the webhook's, not the message's: nothing else goes out before it ends."""
    conn.execute(
        """
        with waiting as (
            select id from ops.alert_outbox
            where state = 'pending' and channel = 'slack' and next_attempt_at < %(until)s
            for update skip locked
        )
        update ops.alert_outbox set next_attempt_at = %(until)s where id in (select id from waiting)
        """,
        {"until": until},
    )


def _mark_undeliverable(conn: "psycopg.Connection[Any]", reason: str = UNDELIVERABLE) -> Delivery:
    with conn.transaction():
        conn.execute(
            """
            update ops.alert_outbox set last_error = %(why)s
            where state = 'pending' and last_error is distinct from %(why)s
            """,
            {"why": reason},
        )
    waiting = _waiting(conn)
    return Delivery(waiting=waiting, undeliverable=waiting)


def _waiting(conn: "psycopg.Connection[Any]") -> int:
    with conn.transaction():
        counted = conn.execute("select count(*) from ops.alert_outbox where state = 'pending'").fetchone()
    return counted[0] if counted else 0
