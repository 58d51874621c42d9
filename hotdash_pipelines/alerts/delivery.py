"""From the outbox to Slack: what is due, in order within its thread, and what becomes of a message that is not taken.

Belongs here: claiming, sending row by row, waiting and giving up. Does not belong here: how one message is placed
(alerts/channels/slack/courier.py), the HTTP calls (alerts/channels/slack/webhook.py, alerts/channels/slack/bot.py),
the wording (alerts/wording/run_failures.py).
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.alerts.channels.routing import UNDELIVERABLE, Destination
from hotdash_pipelines.base.failpoints import reach

if TYPE_CHECKING:
    import httpx
    import psycopg

    from hotdash_pipelines.alerts.channels.slack.courier import Courier, Letter

MAX_ATTEMPTS = 10
# One re-sending of a message that Slack may have taken is a duplicate at most; a second one could be two.
MAX_UNANSWERED = 2

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_REFUSED_WAIT = timedelta(minutes=10)
_LONGEST_DRAIN_S = 30.0

Outcome = Literal["delivered", "pending", "refused", "dead"]

# In order: a message waits while an earlier one of its thread and target does. Quiet hours end early when a later
# message of the thread may go out. What the settings barred is due again as soon as they change.
_NEXT = """
select id, payload, attempts, action, target, thread_key, violation_id, incident_id, unanswered, dedupe_key
from ops.alert_outbox as mine
where state = 'pending' and channel = 'slack'
    and (next_attempt_at <= %(now)s or blocked_by not in ('slack', %(settings)s))
    and not exists (
        select from ops.alert_outbox as held_up
        where held_up.state = 'pending' and held_up.blocked_by = 'slack' and held_up.next_attempt_at > %(now)s
    )
    and (thread_key is null or not exists (
        select from ops.alert_outbox as earlier
        where earlier.thread_key = mine.thread_key and earlier.target is not distinct from mine.target
            and earlier.id < mine.id and earlier.state = 'pending'
    ))
    and (hold_until is null or hold_until <= %(now)s or exists (
        select from ops.alert_outbox as later
        where later.thread_key = mine.thread_key and later.id > mine.id and later.state = 'pending'
            and (later.hold_until is null or later.hold_until <= %(now)s)
    ))
order by id limit 1
for update skip locked
"""


@dataclass(frozen=True)
class Delivery:
    """What one drain of the outbox did: messages `sent`, attempts that `failed` (of these `dead` for good), and what
    is left `waiting`; of these `undeliverable` have nowhere to go, and `held` wait for the end of quiet hours."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    undeliverable: int = 0
    held: int = 0


def deliver_pending(
    conn: "psycopg.Connection[Any]",
    destination: Destination,
    now: datetime,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    transport: "httpx.BaseTransport | None" = None,
) -> Delivery:
    """Send what is due, oldest first, and commit each row by itself, so that a crash forgets at most one answer.

    The row stays locked while it is sent: a second deliverer skips it, and waits for it within a thread. After a
    failure that may pass the row waits (30 s doubling to 1 h); when another one fails too, Slack is away and everything
    waits as long, or as long as Slack says. After `max_attempts`, two sendings without an answer, or a message that
    Slack does not take, the row is dead. What the settings bar waits, says `undeliverable`, and is tried again when
    they change and every ten minutes. `conn` must not be inside a transaction (ValueError).
    """
    from psycopg.pq import TransactionStatus

    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("deliver_pending commits row by row and needs a connection outside a transaction")
    if not destination.is_configured:
        _mark_undeliverable(conn, UNDELIVERABLE)
        return _left(conn, now)

    from hotdash_pipelines.alerts.channels.slack.courier import open_courier
    from hotdash_pipelines.alerts.channels.slack.webhook import RefusedSlackError

    try:
        courier = open_courier(destination, transport)
    except RefusedSlackError as error:
        _mark_undeliverable(conn, f"undeliverable: {error}")
        return _left(conn, now)
    sent = failed = dead = gone_wrong = 0
    ends = time.monotonic() + _LONGEST_DRAIN_S
    with courier:
        while time.monotonic() < ends:
            round_ = _Round(conn, courier, now, max_attempts, slack_is_doubtful=gone_wrong > 0)
            outcome = round_.deliver_one()
            if outcome is None:
                break
            sent += outcome == "delivered"
            failed += outcome != "delivered"
            dead += outcome == "dead"
            gone_wrong = 0 if outcome == "delivered" else gone_wrong + (outcome == "pending")
    return _left(conn, now, sent, failed, dead)


@dataclass(frozen=True)
class _Round:
    """One message: claimed, sent, and its row written, in one transaction."""

    conn: "psycopg.Connection[Any]"
    courier: "Courier"
    now: datetime
    max_attempts: int
    slack_is_doubtful: bool

    def deliver_one(self) -> Outcome | None:
        """Send the oldest due row that nobody else holds; what became of it, or None when there is none."""
        from hotdash_pipelines.alerts.channels.slack.courier import Letter
        from hotdash_pipelines.alerts.channels.slack.webhook import RefusedSlackError, SlackError, TransientSlackError

        with self.conn.transaction():
            settings = self.courier.destination.fingerprint
            row = self.conn.execute(_NEXT, {"now": self.now, "settings": settings}).fetchone()
            if row is None:
                return None
            letter = Letter(*row)
            is_asking = letter.unanswered > 0
            try:
                # Sent again only to a Slack that answers: else an outage would look like a second sending.
                if is_asking:
                    self.courier.probe()
                is_asking = False
                placed = self.courier.deliver(self.conn, letter)
            except TransientSlackError as error:
                return self._wait(letter, error, was_sent=error.may_have_arrived and not is_asking)
            except RefusedSlackError as error:
                return self._refuse(letter, error, settings)
            except SlackError as error:
                self._note(letter, "dead", letter.attempts + 1, self.now, str(error), letter.unanswered)
                return "dead"
            reach("alert.accepted")
            self.conn.execute(
                """
                update ops.alert_outbox
                set state = 'delivered', delivered_at = %s, attempts = attempts + 1, last_error = %s, blocked_by = null,
                    action = %s, slack_channel = %s, slack_ts = %s
                where id = %s
                """,
                (self.now, placed.note, placed.action, placed.channel, placed.ts, letter.id),
            )
            return "delivered"

    def _wait(self, letter: "Letter", error: Any, *, was_sent: bool) -> Outcome:
        asked = error.retry_after
        unanswered = letter.unanswered + was_sent
        # Being asked to wait is no failure of the message, so it does not bring the row closer to dead.
        attempts = letter.attempts + (asked is None)
        if unanswered >= MAX_UNANSWERED:
            reason = (
                f'{error}, for the second time: look for "alert {letter.id}" in the channel; if it is not there, '
                "`hotdash alerts retry` sends it again"
            )
            self._note(letter, "dead", attempts, self.now, reason, unanswered)
            return "dead"
        if attempts >= self.max_attempts:
            self._note(letter, "dead", attempts, self.now, str(error), unanswered)
            return "dead"
        until = self.now + (backoff(attempts) if asked is None else timedelta(seconds=asked))
        self._note(letter, "pending", attempts, until, str(error), unanswered)
        if asked is not None or self.slack_is_doubtful:
            self._hold_everything(until)
        return "pending"

    def _refuse(self, letter: "Letter", error: Any, settings: str) -> Outcome:
        """No attempt is counted: the message is as good as before. Its like would be refused the same way."""
        self.conn.execute(
            """
            with waiting as (
                select id from ops.alert_outbox
                where state = 'pending' and channel = 'slack'
                    and (id = %(id)s or %(all)s or target is not distinct from %(target)s)
                for update skip locked
            )
            update ops.alert_outbox set last_error = %(why)s, blocked_by = %(settings)s, next_attempt_at = %(until)s
            where id in (select id from waiting)
            """,
            {
                "id": letter.id,
                "all": not error.is_about_channel,
                "target": letter.target,
                "why": f"undeliverable: {error}",
                "settings": settings,
                "until": self.now + _REFUSED_WAIT,
            },
        )
        return "refused"

    def _note(self, letter: "Letter", state: str, attempts: int, until: datetime, error: str, unanswered: int) -> None:
        self.conn.execute(
            """
            update ops.alert_outbox
            set state = %s, attempts = %s, next_attempt_at = %s, last_error = %s, unanswered = %s, blocked_by = null
            where id = %s
            """,
            (state, attempts, until, error, unanswered, letter.id),
        )

    def _hold_everything(self, until: datetime) -> None:
        """Slack's limit or outage is not the message's: nothing else goes out before it ends."""
        self.conn.execute(
            """
            with waiting as (
                select id from ops.alert_outbox where state = 'pending' and channel = 'slack'
                for update skip locked
            )
            update ops.alert_outbox
            set next_attempt_at = %(until)s, blocked_by = 'slack'
            where id in (select id from waiting)
            """,
            {"until": until},
        )


def backoff(attempts: int) -> timedelta:
    """How long a message waits after so many failures."""
    return min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)


def _mark_undeliverable(conn: "psycopg.Connection[Any]", reason: str) -> None:
    with conn.transaction():
        conn.execute(
            """
            update ops.alert_outbox set last_error = %(why)s
            where state = 'pending' and last_error is distinct from %(why)s
            """,
            {"why": reason},
        )


def _left(conn: "psycopg.Connection[Any]", now: datetime, sent: int = 0, failed: int = 0, dead: int = 0) -> Delivery:
    with conn.transaction():
        counted = conn.execute(
            """
            select
                count(*),
                count(*) filter (where last_error like 'undeliverable: %%'),
                count(*) filter (where hold_until > %s)
            from ops.alert_outbox where state = 'pending'
            """,
            (now,),
        ).fetchone()
    waiting, undeliverable, held = counted or (0, 0, 0)
    return Delivery(sent, failed, dead, waiting, undeliverable, held)
