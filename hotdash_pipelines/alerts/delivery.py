"""From the outbox to the channels: what is due, in order within its thread, and what becomes of a message not taken.

Belongs here: claiming, sending row by row, waiting and giving up. Does not belong here: how one message is placed and
shown (alerts/channels), which channels take an alert (alerts/channels/routing.py), the wording (alerts/wording).
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    ChannelKind,
    Courier,
    Destination,
    Letter,
    RefusedChannelError,
    TransientChannelError,
)
from hotdash_pipelines.alerts.channels.kinds import kind_of, kinds
from hotdash_pipelines.base.failpoints import reach

if TYPE_CHECKING:
    import httpx
    import psycopg

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
select
    id, payload, attempts, action, target, thread_key, violation_id, incident_id, unanswered, dedupe_key, severity
from ops.alert_outbox as mine
where state = 'pending' and channel = %(channel)s
    and (next_attempt_at <= %(now)s or blocked_by not in (%(channel)s, %(settings)s))
    and not exists (
        select from ops.alert_outbox as held_up
        where held_up.state = 'pending' and held_up.channel = %(channel)s and held_up.blocked_by = %(channel)s
            and held_up.next_attempt_at > %(now)s
            and (%(together)s or held_up.target is not distinct from mine.target)
    )
    and (thread_key is null or not exists (
        select from ops.alert_outbox as earlier
        where earlier.thread_key = mine.thread_key and earlier.channel = mine.channel
            and earlier.target is not distinct from mine.target
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


def deliver_everywhere(conn: "psycopg.Connection[Any]", destinations: Sequence[Destination], now: datetime) -> Delivery:
    """Send what is due by every channel, each in its own share of the time, and say what is left of all of them.

    What waits for a channel that is none, or is not set, is counted undeliverable and says so.
    """
    share = _LONGEST_DRAIN_S / max(1, sum(destination.is_configured for destination in destinations))
    done = [deliver_pending(conn, destination, now, longest_s=share) for destination in destinations]
    _mark_undeliverable(conn, "no alert channel has this name", others=list(kinds()))
    return _left(
        conn,
        now,
        None,
        sum(delivery.sent for delivery in done),
        sum(delivery.failed for delivery in done),
        sum(delivery.dead for delivery in done),
    )


def deliver_pending(
    conn: "psycopg.Connection[Any]",
    destination: Destination,
    now: datetime,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    longest_s: float = _LONGEST_DRAIN_S,
    transport: "httpx.BaseTransport | None" = None,
) -> Delivery:
    """Send what is due by one channel, oldest first, and commit each row by itself: a crash forgets one answer at most.

    The row stays locked while it is sent: a second deliverer skips it, and waits for it within a thread. After a
    failure that may pass the row waits (30 s doubling to 1 h); when another one fails too, the channel (or the target,
    where targets have nothing in common) is away and everything for it waits as long, or as long as it says. After
    `max_attempts`, two sendings without an answer, or a message that the channel does not take, the row is dead. What
    the settings bar waits, says `undeliverable`, and is tried again when they change and every ten minutes. `conn` must
    not be inside a transaction (ValueError).
    """
    from psycopg.pq import TransactionStatus

    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("deliver_pending commits row by row and needs a connection outside a transaction")
    kind = kind_of(destination.kind)
    opened = _opened(kind, destination, transport)
    if not isinstance(opened, Courier):
        _mark_undeliverable(conn, opened, kind.name)
        return _left(conn, now, kind.name)
    with opened as courier:
        drain = _Drain(conn, kind, courier, destination.fingerprint, now, max_attempts)
        drain.run(longest_s)
    return _left(conn, now, kind.name, drain.sent, drain.failed, drain.dead)


def _opened(kind: ChannelKind, destination: Destination, transport: Any) -> Courier | str:
    """A courier, or why there is none."""
    if not destination.is_configured:
        return destination.missing
    try:
        return kind.open_courier(destination, transport)
    except RefusedChannelError as error:
        return str(error)
    # A library that is not there, or not the one that was expected, costs its own channel.
    except Exception as error:  # noqa: BLE001 - see above
        return f"{kind.name} cannot be opened ({type(error).__name__})"


@dataclass
class _Drain:
    """One channel's due messages in turn: each is claimed, sent, and its row written in one transaction."""

    conn: "psycopg.Connection[Any]"
    kind: ChannelKind
    courier: Courier
    settings: str
    now: datetime
    max_attempts: int
    sent: int = 0
    failed: int = 0
    dead: int = 0
    doubts: Counter[str | None] = field(default_factory=Counter)

    def run(self, longest_s: float) -> None:
        """Go on until nothing is due, or the time is over."""
        ends = time.monotonic() + longest_s
        while time.monotonic() < ends and (outcome := self._deliver_next()) is not None:
            self.sent += outcome == "delivered"
            self.failed += outcome != "delivered"
            self.dead += outcome == "dead"

    def _deliver_next(self) -> Outcome | None:
        """Send the oldest due row that nobody else holds; what became of it, or None when there is none."""
        with self.conn.transaction():
            row = self.conn.execute(_NEXT, self._names).fetchone()
            if row is None:
                return None
            letter = Letter(*row)
            outcome = self._deliver(letter)
            party = None if self.kind.holds_together else letter.target
            if outcome == "delivered":
                del self.doubts[party]
            else:
                self.doubts[party] += outcome == "pending"
            return outcome

    def _deliver(self, letter: Letter) -> Outcome:
        from psycopg import Error

        is_asking = letter.unanswered > 0
        try:
            # Sent again only to a channel that answers: else an outage would look like a second sending.
            if is_asking:
                self.courier.probe()
            is_asking = False
            placed = self.courier.deliver(self.conn, letter, self.kind.compose(letter))
        except TransientChannelError as error:
            return self._wait(letter, error, was_sent=error.may_have_arrived and not is_asking)
        except RefusedChannelError as error:
            return self._refuse(letter, error)
        except ChannelError as error:
            self._note(letter, "dead", letter.attempts + 1, self.now, str(error), letter.unanswered)
            return "dead"
        except Error:
            raise
        # A fault in a format or a library costs this message, and not those behind it.
        except Exception as error:  # noqa: BLE001 - see above
            fault = f"{self.kind.name}: {type(error).__name__} while it was composed or sent"
            return self._wait(letter, TransientChannelError(fault), was_sent=False)
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

    @property
    def _names(self) -> dict[str, Any]:
        return {
            "now": self.now,
            "channel": self.kind.name,
            "settings": self.settings,
            "together": self.kind.holds_together,
        }

    def _wait(self, letter: Letter, error: TransientChannelError, *, was_sent: bool) -> Outcome:
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
        if asked is not None or self.doubts[None if self.kind.holds_together else letter.target]:
            self._hold_everything(letter, until)
        return "pending"

    def _refuse(self, letter: Letter, error: RefusedChannelError) -> Outcome:
        """No attempt is counted: the message is as good as before. Its like would be refused the same way."""
        self.conn.execute(
            """
            with waiting as (
                select id from ops.alert_outbox
                where state = 'pending' and channel = %(channel)s
                    and (id = %(id)s or %(all)s or target is not distinct from %(target)s)
                for update skip locked
            )
            update ops.alert_outbox set last_error = %(why)s, blocked_by = %(settings)s, next_attempt_at = %(until)s
            where id in (select id from waiting)
            """,
            {
                **self._names,
                "id": letter.id,
                "all": not error.is_about_target,
                "target": letter.target,
                "why": f"undeliverable: {error}",
                "until": self.now + _REFUSED_WAIT,
            },
        )
        return "refused"

    def _note(self, letter: Letter, state: str, attempts: int, until: datetime, error: str, unanswered: int) -> None:
        self.conn.execute(
            """
            update ops.alert_outbox
            set state = %s, attempts = %s, next_attempt_at = %s, last_error = %s, unanswered = %s, blocked_by = null
            where id = %s
            """,
            (state, attempts, until, error, unanswered, letter.id),
        )

    def _hold_everything(self, letter: Letter, until: datetime) -> None:
        """A channel's limit or outage is not the message's: nothing else goes out before it ends."""
        self.conn.execute(
            """
            with waiting as (
                select id from ops.alert_outbox
                where state = 'pending' and channel = %(channel)s
                    and (%(together)s or target is not distinct from %(target)s)
                for update skip locked
            )
            update ops.alert_outbox
            set next_attempt_at = %(until)s, blocked_by = %(channel)s
            where id in (select id from waiting)
            """,
            {**self._names, "target": letter.target, "until": until},
        )


def backoff(attempts: int) -> timedelta:
    """How long a message waits after so many failures."""
    return min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)


def _mark_undeliverable(
    conn: "psycopg.Connection[Any]", reason: str, channel: str | None = None, others: Sequence[str] = ()
) -> None:
    """Have what waits for a channel, or else for none of `others`, say why nothing can be done for it."""
    with conn.transaction():
        conn.execute(
            """
            update ops.alert_outbox set last_error = %(why)s
            where state = 'pending' and last_error is distinct from %(why)s
                and (channel = %(channel)s or (%(channel)s::text is null and channel <> all(%(others)s)))
            """,
            {"why": f"undeliverable: {reason}", "channel": channel, "others": list(others)},
        )


def _left(
    conn: "psycopg.Connection[Any]",
    now: datetime,
    channel: str | None,
    sent: int = 0,
    failed: int = 0,
    dead: int = 0,
) -> Delivery:
    """What was done, and what waits now: of one channel, or of all."""
    with conn.transaction():
        counted = conn.execute(
            """
            select
                count(*),
                count(*) filter (where last_error like 'undeliverable: %%'),
                count(*) filter (where hold_until > %(now)s)
            from ops.alert_outbox
            where state = 'pending' and (%(channel)s::text is null or channel = %(channel)s)
            """,
            {"now": now, "channel": channel},
        ).fetchone()
    waiting, undeliverable, held = counted or (0, 0, 0)
    return Delivery(sent, failed, dead, waiting, undeliverable, held)
