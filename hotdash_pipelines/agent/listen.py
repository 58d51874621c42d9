"""Following what the support agent writes, from Postgres' notifications, without losing or repeating anything.

Belongs here: the channels, one connection that listens, coming back after it broke. Does not belong here: the SQL that
reads rows (listen_rows.py), what is drawn (cli/monitor/verbs.py).

A notification holds numbers only; each row is read again under the reader's role. After a break the rows are read that
transactions wrote which were not surely over before it: neither ids nor times are in the order of commits.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from hotdash_pipelines.agent.listen_rows import CHANNELS, Row, check_reader, read_missed, read_rows
from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect, unreachable

if TYPE_CHECKING:
    import psycopg

_T = TypeVar("_T")
HEARTBEAT_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_CATCH_UP_SECONDS = 60.0
# A server that is cut off, not gone, answers nothing: the system gives up on it after about 20 seconds.
_KEEPALIVE = {"keepalives_idle": "5", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}
# Numbers of one channel that are remembered as missing.
_MOST_MISSING = 1000
_HEARTBEAT = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    array(select pg_listening_channels())
"""


class ListenError(HotdashError):
    """The database cannot be followed. One line, says what to do."""


@dataclass(frozen=True)
class AgentEvent:
    """One row that was written. `at` is created_at of an INSERT, updated_at of an UPDATE, ISO 8601 in UTC.

    `seq` counts the notifications of a channel; None when the event was found by catching up, which tells a row that
    changed several times once, as it stands now. `row` holds its non-personal columns. `lag_ms` is the time from `at`
    to reading the row, both by the server's clock.
    """

    channel: str
    op: str
    id: int
    at: str
    seq: int | None
    lag_ms: float | None
    row: Mapping[str, Any]


@dataclass
class ListenState:
    """How the connection does. `reason` says why it is down, `unreadable` which channels the role may not read."""

    connected: bool = False
    reason: str | None = None
    connects: int = 0
    round_trip_ms: float | None = None
    lag_ms: float | None = None
    delivered: int = 0
    caught_up: int = 0
    hidden: int = 0
    notes: list[str] = field(default_factory=list)
    unreadable: tuple[str, ...] = ()


class Listener:
    """Follows the four channels. `step` waits and returns what is new; it reconnects by itself.

    `role`: read rows as this role; None: as the connection's own user.
    """

    def __init__(self, url: str, *, role: str | None = None, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._url = _with_keepalive(url)
        self._role = role
        self._heartbeat_seconds = heartbeat_seconds
        self.state = ListenState()
        self._hearing: psycopg.Connection[Any] | None = None
        self._reading: psycopg.Connection[Any] | None = None
        self._told = _Told()
        # A transaction is visible before its notification is sent, so what came before a snapshot is surely here only
        # when the next one is: the mark lags one heartbeat behind.
        self._mark: _Snapshot | None = None
        self._next_mark: _Snapshot | None = None
        self._ready: list[AgentEvent] = []
        self._last_seq: dict[str, int] = {}
        self._missing: set[tuple[str, int]] = set()
        self._behind = False
        self._caught_up_at = self._beat_at = self._retry_at = 0.0
        self._wait = _FIRST_WAIT

    def open(self) -> None:
        """Connect for the first time.

        Raises WarehouseError when the server cannot be reached, ListenError when the database has no notifications,
        when it cannot be listened to, and when there is no such role or it is not the user's to take.
        """
        import psycopg

        try:
            self._connect()
        except psycopg.OperationalError as error:
            raise unreachable(self._url, str(error)) from error

    def close(self) -> None:
        """End both connections."""
        for conn in (self._hearing, self._reading):
            if conn is not None:
                conn.close()
        self._hearing = self._reading = None
        self.state.connected = False

    def step(self, timeout: float) -> list[AgentEvent]:
        """What was written since the last step, oldest first; waits at most `timeout` seconds for it.

        While the server is away it returns nothing, and what it missed once it is back. Raises ListenError when it is
        back without our schema, or when a pooler took the LISTEN away.
        """
        import psycopg

        try:
            if self._hearing is not None or self._reconnected(timeout):
                self._hear(timeout)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._lost(str(error))
        except psycopg.Error as error:
            self.close()
            raise ListenError(f"rows could not be read ({type(error).__name__}): start the monitor again") from error
        ready, self._ready = self._ready, []
        return ready

    def _reconnected(self, timeout: float) -> bool:
        pause = self._retry_at - time.monotonic()
        if pause > timeout:
            time.sleep(timeout)
            return False
        time.sleep(max(0.0, pause))
        try:
            self._connect()
        except WarehouseError as error:
            self._lost(str(error))
            return False
        return True

    def _connect(self) -> None:
        import psycopg

        self.close()
        self._reading = connect(self._url, autocommit=True)
        try:
            self.state.unreadable = check_reader(self._reading, self._role)
        except WarehouseError as error:
            self.close()
            raise ListenError(str(error)) from error
        self._hearing = connect(self._url, autocommit=True)
        if self._mark is None:
            # Known, if not told: what was written before the first step, by transactions that a running one outlives.
            self._mark = self._next_mark = self._beat()
            for row in self._missed(self._mark):
                self._told.add_version(row)
        try:
            for channel in CHANNELS:
                self._hearing.execute(f"listen {channel}".encode())
        except (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.FeatureNotSupported) as error:
            self.close()
            raise ListenError("a standby sends no notifications: name the primary in HOTDASH_DATABASE_URL") from error
        self._behind = self.state.connects > 0
        self.state.connected, self.state.reason = True, None
        self.state.connects += 1
        self._wait = _FIRST_WAIT
        self._caught_up_at = time.monotonic()
        self._last_seq.clear()

    def _lost(self, reason: str) -> None:
        self.close()
        self.state.reason = next((line for line in reason.splitlines() if line.strip()), "the connection is gone")
        self._retry_at = time.monotonic() + self._wait
        self._wait = min(self._wait * 2, _LONGEST_WAIT)

    def _hear(self, timeout: float) -> None:
        hearing = _present(self._hearing)
        if self._behind or (self._missing and time.monotonic() - self._caught_up_at > _CATCH_UP_SECONDS):
            self._catch_up()
            timeout = 0.0
        beat_in = max(0.0, self._beat_at + self._heartbeat_seconds - time.monotonic())
        notifications = list(hearing.notifies(timeout=min(timeout, beat_in), stop_after=1))
        if time.monotonic() < self._beat_at + self._heartbeat_seconds:
            self._tell_heard(notifications)
            return
        beat = self._checked_beat()
        notifications += hearing.notifies(timeout=0)
        self._tell_heard(notifications)
        if not self._missing:
            self._mark, self._next_mark = _present(self._next_mark), beat
            self._told.turn(self._mark, beat)

    def _checked_beat(self) -> "_Snapshot":
        beat = self._beat()
        if set(CHANNELS) - beat.channels:
            raise ListenError(
                "the connection no longer listens: name the server itself in HOTDASH_DATABASE_URL, "
                "not a pooler that hands out a connection for each transaction"
            )
        return beat

    def _beat(self) -> "_Snapshot":
        began = time.monotonic()
        running, newest, channels = _present(_present(self._hearing).execute(_HEARTBEAT).fetchone())
        self._beat_at = time.monotonic()
        self.state.round_trip_ms = (self._beat_at - began) * 1000
        return _Snapshot(running, newest, frozenset(channels))

    def _catch_up(self) -> None:
        """Tell what was committed since the mark and not told."""
        mark, now = _present(self._mark), self._checked_beat()
        if now.newest < mark.newest:
            self._mark = self._next_mark = now
            self.state.notes.append("the server is older than it was (restored?): what happened meanwhile is not told")
        else:
            for row in self._missed(mark):
                op = row.newest_op
                if self._told.add_caught_up(row):
                    self._ready.append(AgentEvent(row.channel, op, row.id, row.at[op], None, None, row.shown))
                    self.state.delivered += 1
                    self.state.caught_up += 1
        self._behind, self._caught_up_at = False, time.monotonic()
        self._missing.clear()

    def _missed(self, mark: "_Snapshot") -> list[Row]:
        readable = [channel for channel in CHANNELS if channel not in self.state.unreadable]
        return read_missed(_present(self._reading), readable, mark.running)

    def _tell_heard(self, notifications: Iterable["psycopg.Notify"]) -> None:
        heard: dict[str, list[dict[str, Any]]] = {}
        for notification in notifications:
            payload = _payload(notification.payload)
            if payload is not None:
                heard.setdefault(notification.channel, []).append(payload)
        events: list[AgentEvent] = []
        for channel, payloads in heard.items():
            if channel not in self.state.unreadable:
                rows = read_rows(_present(self._reading), channel, sorted({payload["id"] for payload in payloads}))
                events += self._events(channel, payloads, rows)
            for payload in payloads:
                self._count(channel, payload["seq"])
        events.sort(key=lambda event: (event.at, event.channel, event.seq or 0))
        self.state.delivered += len(events)
        self._ready += events

    def _events(
        self, channel: str, payloads: Iterable[Mapping[str, Any]], rows: Mapping[int, Row]
    ) -> Iterable[AgentEvent]:
        for payload in payloads:
            row, op, at = rows.get(payload["id"]), payload["op"], payload["at"]
            if row is None:
                self.state.hidden += 1
            elif self._told.add_heard(row, op, at):
                # A row that has changed again since is read late through no fault of the notification.
                lag = row.lag_ms[op] if op == row.newest_op and row.at[op] == at else None
                self.state.lag_ms = lag if lag is not None else self.state.lag_ms
                yield AgentEvent(channel, op, row.id, at, payload["seq"], lag, row.shown)

    def _count(self, channel: str, seq: int) -> None:
        last = self._last_seq.get(channel, seq - 1)
        self._missing.discard((channel, seq))
        self._missing.update((channel, number) for number in range(max(last + 1, seq - _MOST_MISSING), seq))
        self._last_seq[channel] = max(seq, last)


@dataclass(frozen=True)
class _Snapshot:
    """Transactions before `running` were over, those from `newest` on had not begun; the channels listened to."""

    running: int
    newest: int
    channels: frozenset[str]


class _Told:
    """What was told, as far back as a catch-up may come upon it again.

    Kept in parts, one a heartbeat: a part may go once the mark is past every transaction that it can hold.
    """

    def __init__(self) -> None:
        self._current: set[tuple[object, ...]] = set()
        self._past: list[tuple[int, set[tuple[object, ...]]]] = []

    def add_version(self, row: Row) -> None:
        """Know a row as it stands."""
        self._current.add((row.channel, row.id, row.version))

    def add_heard(self, row: Row, op: str, at: str) -> bool:
        """Whether a heard change is new. A later one of the same row is, though the row was read after both."""
        key = (row.channel, row.id, op, at)
        known = self._has(key) or self._has(("caught up", row.channel, row.id, row.version))
        self.add_version(row)
        self._current.add(key)
        return not known

    def add_caught_up(self, row: Row) -> bool:
        """Whether the row as it stands is new."""
        op = row.newest_op
        known = self._has((row.channel, row.id, row.version)) or self._has((row.channel, row.id, op, row.at[op]))
        if not known:
            self._current.update(
                {
                    (row.channel, row.id, row.version),
                    (row.channel, row.id, op, row.at[op]),
                    ("caught up", row.channel, row.id, row.version),
                }
            )
        return not known

    def turn(self, mark: _Snapshot, now: _Snapshot) -> None:
        """Begin a new part; everything told so far was written by transactions before `now.newest`."""
        self._past = [(newest, part) for newest, part in self._past if newest > mark.running]
        if self._current:
            self._past.append((now.newest, self._current))
            self._current = set()

    def _has(self, key: tuple[object, ...]) -> bool:
        return key in self._current or any(key in part for _, part in self._past)


def _payload(text: str) -> dict[str, Any] | None:
    """Of our own version; anybody may send to a channel, so anything else is passed over."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kinds = {"id": int, "seq": int, "at": str, "op": str}
    known = isinstance(payload, dict) and payload.get("v") == 1 and payload.get("op") in ("INSERT", "UPDATE")
    return payload if known and all(isinstance(payload.get(name), kind) for name, kind in kinds.items()) else None


def _with_keepalive(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode({**_KEEPALIVE, **dict(parse_qsl(parts.query))}, quote_via=quote)))


def _present(value: _T | None) -> _T:
    if value is None:
        raise ListenError("the listener is not open")
    return value
