"""What the support agent writes is told on four channels: when it should be, once, and with nobody's words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.agent.listen import AgentEvent, Listener, ListenError
from hotdash_pipelines.agent.listen_rows import CHANNELS
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import migrate, rollback
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

APPROVAL = "insert into agent.agent_approvals (conversation_id, serialized) values ('c', '{}') returning id"
FEEDBACK = (
    "insert into agent.agent_feedback (conversation_id, input_text, model_draft) values ('c', 'i', 'm') returning id"
)
QUERY = (
    "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)"
    " values ('q', '{}', 'c', 'a', %s) returning id"
)
DECISION = (
    "insert into agent.decision_sync_event_logs (decision_id, scope, status) values ('d', 's', 'ok') returning id"
)

QUEUE, SLOW, TRAINING, SYNC = CHANNELS


class Ear:
    """A bare LISTEN on every channel."""

    def __init__(self, url: str) -> None:
        self.conn = connect(url, autocommit=True)
        for channel in CHANNELS:
            self.conn.execute(f"listen {channel}")

    def heard(self) -> list[tuple[str, dict[str, Any]]]:
        """What arrived; a marker sent behind it says when that is all."""
        self.conn.execute("listen marker")
        self.conn.execute("notify marker")
        arrived = []
        for notification in self.conn.notifies(timeout=10):
            if notification.channel == "marker":
                return arrived
            arrived.append((notification.channel, json.loads(notification.payload)))
        raise AssertionError("the marker did not arrive")

    def short(self) -> list[tuple[str, str, int]]:
        return [(channel, payload["op"], payload["id"]) for channel, payload in self.heard()]


def _id(conn: "psycopg.Connection[Any]", statement: str, *values: object) -> int:
    row = conn.execute(statement, values).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]


def test_each_trigger_fires_when_it_should_and_not_otherwise(any_warehouse_url: str) -> None:
    ear = Ear(any_warehouse_url)
    with connect(any_warehouse_url, autocommit=True) as conn:
        approval = _id(conn, APPROVAL)
        assert ear.short() == [(QUEUE, "INSERT", approval)]
        conn.execute("update agent.agent_approvals set serialized = '[]'")
        conn.execute("update agent.agent_approvals set status = 'pending'")
        assert ear.short() == []
        conn.execute("update agent.agent_approvals set status = 'approved', approved_by = 'Ann'")
        assert ear.short() == [(QUEUE, "UPDATE", approval)]

        quick, slow, untimed = _id(conn, QUERY, 200), _id(conn, QUERY, 201), _id(conn, QUERY, None)
        assert ear.short() == [(SLOW, "INSERT", slow)]
        conn.execute("update agent.agent_queries set latency_ms = 199 where id = %s", (untimed,))
        assert ear.short() == []
        conn.execute("update agent.agent_queries set latency_ms = 900 where id = %s", (quick,))
        conn.execute("update agent.agent_queries set approved = true where id = %s", (slow,))
        assert ear.short() == [(SLOW, "UPDATE", quick), (SLOW, "UPDATE", slow)]

        feedback = _id(conn, FEEDBACK)
        assert ear.short() == [(TRAINING, "INSERT", feedback)]
        conn.execute("update agent.agent_feedback set notes = 'n', annotator = 'Ann', meta = '[]'")
        assert ear.short() == []
        for change in ("safe_to_send = true", "labels = '{kind}'", """rubric = '{"tone": 5}'"""):
            conn.execute(f"update agent.agent_feedback set {change}")
            assert ear.short() == [(TRAINING, "UPDATE", feedback)]

        assert ear.short() == []
        decision = _id(conn, DECISION)
        assert ear.short() == [(SYNC, "INSERT", decision)]

        for table in ("agent_queries", "agent_feedback", "agent_approvals"):
            conn.execute(f"delete from agent.{table}")
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', '{}')")
        conn.execute("insert into agent.observability_logs (level, message) values ('ERROR', 'm')")
        assert ear.short() == []


def test_there_are_five_triggers_on_four_tables(warehouse: "psycopg.Connection[Any]") -> None:
    rows = warehouse.execute(
        "select tgrelid::regclass::text from pg_trigger where tgfoid = 'agent.announce'::regproc order by 1"
    ).fetchall()
    assert [name for (name,) in rows] == [
        "agent.agent_approvals", "agent.agent_approvals", "agent.agent_feedback", "agent.agent_queries",
        "agent.decision_sync_event_logs",
    ]  # fmt: skip


def test_a_payload_holds_numbers_and_an_instant_only(any_warehouse_url: str) -> None:
    ear = Ear(any_warehouse_url)
    with connect(any_warehouse_url, autocommit=True) as conn:
        # The instant does not depend on the writer's zone.
        conn.execute("set time zone 'Asia/Kolkata'")
        for statement in (APPROVAL, QUERY, FEEDBACK, DECISION):
            conn.execute(statement, (900,) if "%s" in statement else ())
        conn.execute("update agent.agent_approvals set status = 'expired'")
        times = conn.execute(
            "select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
            " to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from agent.agent_approvals"
        ).fetchone()
    heard = ear.heard()
    assert [channel for channel, _ in heard] == [QUEUE, SLOW, TRAINING, SYNC, QUEUE]
    for _, payload in heard:
        assert list(payload) == ["v", "op", "id", "at", "seq"]
        assert payload["v"] == 1
        assert payload["op"] in ("INSERT", "UPDATE")
        assert isinstance(payload["id"], int)
    queue = [payload for channel, payload in heard if channel == QUEUE]
    assert (queue[0]["at"], queue[1]["at"]) == times
    assert queue[1]["seq"] == queue[0]["seq"] + 1


def test_a_huge_row_or_an_odd_instant_does_not_abort_the_writer(any_warehouse_url: str) -> None:
    ear = Ear(any_warehouse_url)
    listener = Listener(any_warehouse_url)
    listener.open()
    huge = "x" * 2_000_000
    odd = ("now", "infinity", "-infinity", "0044-03-15 00:00:00+00 BC", "294276-12-31 00:00:00+00")
    with connect(any_warehouse_url, autocommit=True) as conn:
        for at in odd:
            conn.execute(
                "insert into agent.agent_feedback (conversation_id, input_text, model_draft, notes, meta, created_at,"
                " updated_at) values ('c', %s, %s, %s, to_jsonb(%s::text), %s, greatest(%s, now()))",
                (*[huge] * 4, at, at),
            )
        conn.execute("update agent.agent_feedback set safe_to_send = true")
    assert [op for _, op, _ in ear.short()] == ["INSERT"] * len(odd) + ["UPDATE"] * len(odd)
    assert len(_follow(listener, 2 * len(odd))) == 2 * len(odd)
    listener.close()


def test_a_rolled_back_writer_tells_nothing_and_leaves_a_gap_in_the_numbers(warehouse_url: str) -> None:
    ear = Ear(warehouse_url)
    with connect(warehouse_url) as conn:
        conn.execute(APPROVAL)
        conn.rollback()
        assert ear.heard() == []
        conn.execute(APPROVAL)
        assert ear.heard() == []
        conn.commit()
    ((_, payload),) = ear.heard()
    assert payload["seq"] == 2


def test_a_writer_needs_no_right_to_the_sequences(any_warehouse_url: str) -> None:
    ear = Ear(any_warehouse_url)
    with connect(any_warehouse_url, autocommit=True) as conn:
        conn.execute("create role a_writer_of_approvals")
        try:
            conn.execute("grant usage on schema agent to a_writer_of_approvals")
            conn.execute("grant insert, select on agent.agent_approvals to a_writer_of_approvals")
            conn.execute("grant usage on sequence agent.agent_approvals_id_seq to a_writer_of_approvals")
            conn.execute("alter table agent.agent_approvals no force row level security")
            conn.execute("alter table agent.agent_approvals disable row level security")
            conn.execute("set role a_writer_of_approvals")
            conn.execute(APPROVAL)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("select nextval('agent.approval_queue_stream_seq')")
        finally:
            conn.execute("reset role")
            conn.execute("drop owned by a_writer_of_approvals")
            conn.execute("drop role a_writer_of_approvals")
    assert len(ear.heard()) == 1


def _follow(listener: Listener, count: int, steps: int = 100) -> list[AgentEvent]:
    """Steps until `count` events have come, and one more that must bring none."""
    events: list[AgentEvent] = []
    for _ in range(steps):
        events += listener.step(0.1)
        if len(events) >= count:
            break
    return events + listener.step(0.1)


def _short(events: list[AgentEvent]) -> list[tuple[str, str, int]]:
    return [(event.channel, event.op, event.id) for event in events]


@pytest.fixture
def listener(warehouse_url: str) -> Iterator[Listener]:
    opened = Listener(warehouse_url)
    opened.open()
    yield opened
    opened.close()


def test_the_listener_reads_each_row_again_without_anybodys_words(
    listener: Listener, warehouse: "psycopg.Connection[Any]"
) -> None:
    secret = "mia@example.com"
    warehouse.execute(
        "insert into agent.agent_approvals (conversation_id, serialized) values (%s, to_jsonb(%s::text))",
        (secret, secret),
    )
    warehouse.execute(
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)"
        " values (%s, to_jsonb(%s::text), %s, 'order_agent', 412)",
        (secret, secret, secret),
    )
    warehouse.execute(
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, annotator, notes, labels)"
        " values (%s, %s, %s, %s, %s, array[%s])",
        [secret] * 6,
    )
    warehouse.execute(
        "insert into agent.decision_sync_event_logs (decision_id, scope, status, error, payload, duration_ms)"
        " values (%s, 'ops', 'failed', %s, to_jsonb(%s::text), 7)",
        [secret] * 3,
    )
    events = _follow(listener, 4)
    assert [dict(event.row) for event in events] == [
        {"status": "pending"},
        {"agent": "order_agent", "latency_ms": 412, "approved": None, "human_edited": False},
        {"safe_to_send": None},
        {"scope": "ops", "status": "failed", "attempt": 1, "duration_ms": 7},
    ]
    assert secret not in repr(events)
    assert all(event.lag_ms is not None and 0 <= event.lag_ms < 5_000 for event in events)


def test_after_a_killed_connection_what_was_missed_is_told_once(
    listener: Listener, warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    before, waits = _id(warehouse, APPROVAL), _id(warehouse, APPROVAL)
    old = _id(warehouse, FEEDBACK)
    assert len(_follow(listener, 3)) == 3
    late = connect(warehouse_url)
    # Takes its number and its time before the break, in a savepoint, and commits after it.
    late.execute("select 1")
    with late.transaction():
        late_id = _id(late, APPROVAL)
    _kill_listener(warehouse)
    late.commit()
    warehouse.execute(
        "update agent.agent_approvals set status = 'rejected', approved_by = 'Bo' where id = %s", (before,)
    )
    warehouse.execute("update agent.agent_feedback set safe_to_send = false where id = %s", (old,))
    slow, _ = _id(warehouse, QUERY, 777), _id(warehouse, QUERY, 20)
    decision = _id(warehouse, DECISION)
    both = _id(warehouse, APPROVAL)
    warehouse.execute("update agent.agent_approvals set status = 'expired' where id = %s", (both,))
    events = _follow(listener, 6)
    assert sorted(_short(events)) == sorted([
        (QUEUE, "INSERT", late_id), (QUEUE, "UPDATE", before), (TRAINING, "UPDATE", old), (SLOW, "INSERT", slow),
        (SYNC, "INSERT", decision), (QUEUE, "UPDATE", both),
    ])  # fmt: skip
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.seq for event in events} == {None}
    assert listener.state.connects == 2
    assert listener.state.caught_up == 6
    # Followed again, and nothing twice at the next break.
    warehouse.execute("update agent.agent_approvals set status = 'expired' where id = %s", (waits,))
    assert _short(_follow(listener, 1)) == [(QUEUE, "UPDATE", waits)]
    _kill_listener(warehouse)
    after = _id(warehouse, DECISION)
    assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", after)]
    late.close()


def _kill_listener(conn: "psycopg.Connection[Any]") -> None:
    killed = conn.execute(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()"
        " and (query like 'listen %%' or query like '%%pg_listening_channels%%')"
        " and pid <> pg_backend_pid()"
    ).fetchone()
    assert killed is not None
    assert killed[0] >= 1


def test_many_breaks_among_many_writers_lose_and_repeat_nothing(warehouse_url: str) -> None:
    listener = Listener(warehouse_url, heartbeat_seconds=0.05)
    listener.open()
    events: list[AgentEvent] = []
    with connect(warehouse_url, autocommit=True) as admin:
        writers = [connect(warehouse_url) for _ in range(4)]
        for number in range(60):
            writer = writers[number % 4]
            writer.execute("select 1")
            with writer.transaction():  # a savepoint: the row bears a number that snapshots do not list
                writer.execute(DECISION)
            if number % 5 == 0:
                writer.commit()
            elif number % 7 == 0:
                writer.rollback()
            if number % 15 == 14:
                _kill_listener(admin)
            events += listener.step(0.01)
        for writer in writers:
            writer.commit()
            writer.close()
        expected = {row[0] for row in admin.execute("select id from agent.decision_sync_event_logs")}
        for _ in range(50):
            events += listener.step(0.05)
            if len(events) >= len(expected):
                break
        for _ in range(5):
            events += listener.step(0.05)
    listener.close()
    assert sorted(event.id for event in events) == sorted(expected)
    assert listener.state.connects >= 4


def test_a_long_transaction_is_not_missed_and_makes_nothing_old_look_new(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    running = connect(warehouse_url)
    running.execute(APPROVAL)
    with running.transaction():
        late = _id(running, APPROVAL)
    for _ in range(3):
        warehouse.execute(DECISION)
    listener = Listener(warehouse_url, heartbeat_seconds=0.05)
    listener.open()
    heard = _id(warehouse, DECISION)
    assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", heard)]
    for _ in range(6):
        assert listener.step(0.05) == []
    _kill_listener(warehouse)
    new = _id(warehouse, DECISION)
    running.commit()
    assert _short(_follow(listener, 3)) == [(QUEUE, "INSERT", late - 1), (QUEUE, "INSERT", late), (SYNC, "INSERT", new)]
    running.close()
    listener.close()


def test_a_number_that_never_came_is_looked_for(
    listener: Listener, warehouse: "psycopg.Connection[Any]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotdash_pipelines.agent.listen._CATCH_UP_SECONDS", 0.0)
    first = _id(warehouse, DECISION)
    assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", first)]
    # As if a notification had been lost on its way: the row is there, its message is not.
    warehouse.execute("alter table agent.decision_sync_event_logs disable trigger announce_insert")
    silent = _id(warehouse, DECISION)
    warehouse.execute("select nextval('agent.decision_sync_stream_seq')")
    warehouse.execute("alter table agent.decision_sync_event_logs enable trigger announce_insert")
    assert _follow(listener, 1, steps=3) == []
    third = _id(warehouse, DECISION)
    assert _short(_follow(listener, 2)) == [(SYNC, "INSERT", third), (SYNC, "INSERT", silent)]


def test_a_restarted_server_is_found_again(reachable_tmp: Path) -> None:
    server = EmbeddedPostgres(reachable_tmp / "home", profile="fast")
    (reachable_tmp / "home").mkdir(mode=0o711)
    server.up()
    try:
        url = server.url()
        migrate(url)
        listener = Listener(url)
        listener.open()
        with connect(url, autocommit=True) as conn:
            first = _id(conn, DECISION)
        assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", first)]
        server.down()
        assert listener.step(0.2) == []
        assert not listener.state.connected
        assert listener.state.reason
        server.up()
        with connect(url, autocommit=True) as conn:
            second = _id(conn, DECISION)
        assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", second)]
        listener.close()
    finally:
        server.destroy()


def test_rows_are_read_as_the_role_that_was_asked_for(warehouse: "psycopg.Connection[Any]", warehouse_url: str) -> None:
    warehouse.execute("grant usage on schema agent to monitoring_team")
    warehouse.execute("grant select on agent.decision_sync_event_logs to monitoring_team")
    warehouse.execute("alter table agent.decision_sync_event_logs enable row level security")
    warehouse.execute(
        "create policy only_these on agent.decision_sync_event_logs as restrictive for select to monitoring_team"
        " using (status = 'seen')"
    )
    warehouse.execute(
        "create policy every_row on agent.decision_sync_event_logs for select to monitoring_team using (true)"
    )
    listener = Listener(warehouse_url, role="monitoring_team")
    listener.open()
    assert TRAINING in listener.state.unreadable
    warehouse.execute(DECISION)
    seen = _id(warehouse, DECISION.replace("'ok'", "'seen'"))
    warehouse.execute(FEEDBACK)
    assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", seen)]
    assert listener.state.hidden == 1
    listener.close()


def test_messages_of_others_on_the_channels_are_passed_over(
    listener: Listener, warehouse: "psycopg.Connection[Any]"
) -> None:
    for payload in (
        "",
        "{",
        "[]",
        '{"v": 2}',
        '{"v": 1, "op": "INSERT", "id": "1; drop", "at": "", "seq": 1}',
        "[" * 7000,
    ):
        warehouse.execute("select pg_notify(%s, %s)", (SYNC, payload))
    decision = _id(warehouse, DECISION)
    assert _short(_follow(listener, 1)) == [(SYNC, "INSERT", decision)]


def test_what_cannot_be_followed_is_refused_in_one_line(empty_database_url: str, warehouse_url: str) -> None:
    for url, role, words in (
        (empty_database_url, None, "run `hotdash schema migrate`"),
        (warehouse_url, "nobody_at_all", "there is no role nobody_at_all"),
        (warehouse_url, "anon", "anon may read none"),
    ):
        with pytest.raises(ListenError, match=words) as refused:
            Listener(url, role=role).open()
        assert "\n" not in str(refused.value)
    migrate(empty_database_url)
    Listener(empty_database_url).open()
    rollback(empty_database_url, "0006")
    with pytest.raises(ListenError, match="run `hotdash schema migrate`"):
        Listener(empty_database_url).open()


def test_a_pooler_that_takes_the_listen_away_is_noticed(warehouse_url: str) -> None:
    listener = Listener(warehouse_url, heartbeat_seconds=0.0)
    listener.open()
    listener._hearing.execute("unlisten *")  # type: ignore[union-attr]
    with pytest.raises(ListenError, match="not a pooler"):
        listener.step(0.1)
    listener.close()
