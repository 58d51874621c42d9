"""Killed, doubled, cut off, away for hours: one open violation, told once, nothing resolved by ignorance."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hotdash_pipelines.sla import Observation, SlaError
from hotdash_pipelines.sla.records import transaction
from hotdash_pipelines.sla.records.heartbeat import DELIVERY, EVALUATION, age, beat, heartbeats
from hotdash_pipelines.sla.records.history import violations
from hotdash_pipelines.sla.records.store import load_states
from hotdash_pipelines.sla.records.transaction import one_writer
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect
from tests.cut_proxy import cut_proxy
from tests.integration.sla.kept import Conn, Kept, column, rows
from tests.integration.sla.tick_once import WAITING
from tests.unit.sla.story import MIDNIGHT, STEP, sla

ROOT = Path(__file__).parents[3]
BEFORE_COMMIT = ("locked", "violations", "states", "enqueued", "before_commit")


def _tick(url: str, kill_at: str, now: datetime, value: float) -> int:
    program = [sys.executable, "-m", "tests.integration.sla.tick_once", url, now.isoformat(), str(value)]
    environment = {**os.environ, "HOTDASH_KILL_AT": kill_at}
    return subprocess.run(program, cwd=ROOT, env=environment, check=False).returncode


def _tables(conn: Conn) -> list[object]:
    names = ("data_slas", "sla_violations", "sla_state", "data_observations", "incidents", "incident_events")
    queries = [f"select t::text from ops.{name} t order by 1" for name in (*names, "heartbeats", "alert_outbox")]
    return [rows(conn, query) for query in (*queries, "select t::text from agent.observability_logs t order by 1")]


@pytest.mark.parametrize("values", [(9,), (9, 1)], ids=["opening", "resolving"])
@pytest.mark.parametrize("point", [*BEFORE_COMMIT, "committed"])
def test_a_kill_at_any_point_leaves_all_of_a_tick_or_nothing(
    warehouse_url: str, warehouse: Conn, point: str, values: tuple[float, ...]
) -> None:
    kept = Kept(warehouse, WAITING)
    now = kept.run(MIDNIGHT, [1, *values[:-1]])
    before = _tables(warehouse)
    assert _tick(warehouse_url, f"sla.{point}", now, values[-1]) == -signal.SIGKILL
    kinds = ["opened", "resolved"][: len(values)]
    if point == "committed":
        # Nobody had the time to send anything: what is to be told is there.
        assert kept.outbox() == kinds
        assert column(warehouse, "select count(*) from ops.alert_outbox where delivered_at is null") == [len(kinds)]
    else:
        assert _tables(warehouse) == before
    kept.run(now + STEP, [values[-1]] * 2)
    assert kept.outbox() == kinds
    (one,) = violations(warehouse)
    assert (one.resolved_at is None) == (len(values) == 1)


def test_two_daemons_at_once_count_each_tick_once(warehouse_url: str, warehouse: Conn) -> None:
    slow = sla("waiting", "queue_age", target=5, unit="minutes", open_after=10, resolve_after=5)
    ticks = [MIDNIGHT + number * STEP for number in range(30)]
    together = threading.Barrier(2)
    outcomes: list[list[str | None]] = [[], []]

    def daemon(mine: int) -> None:
        with connect(warehouse_url, autocommit=True) as conn:
            kept = Kept(conn, slow)
            for number, now in enumerate(ticks):
                together.wait(30)
                seen = Observation("waiting", 9 if number < 24 else 1)
                # The clocks of two machines never agree to the microsecond.
                later = timedelta(milliseconds=3 * mine)
                outcomes[mine].append(kept.tick(now + later, seen, apart=STEP / 2).skipped)

    daemons = [threading.Thread(target=daemon, args=(number,)) for number in range(2)]
    for one in daemons:
        one.start()
    for one in daemons:
        one.join(60)
    assert [sum(why is None for why in pair) for pair in zip(*outcomes, strict=True)] == [1] * 30
    assert "another evaluation ran at" in next(why for why in outcomes[0] + outcomes[1] if why)
    assert column(warehouse, "select event_kind from ops.alert_outbox order by id") == ["opened", "resolved"]
    (one,) = violations(warehouse)
    assert timedelta(0) <= one.detected_at - ticks[9] < timedelta(seconds=1)
    assert one.resolved_at
    assert timedelta(0) <= one.resolved_at - ticks[28] < timedelta(seconds=1)


def test_the_tables_refuse_a_second_open_violation(warehouse: Conn) -> None:
    Kept(warehouse, WAITING).run(MIDNIGHT, [1, 9])
    copied = (
        "sla_id, sla_name, partition_key, incident_id, kind, expected_value, impact_severity, breach_started_at,"
        " detected_at, last_seen_at"
    )
    with pytest.raises(Exception, match="sla_violations_open_idx"):
        warehouse.execute(f"insert into ops.sla_violations ({copied}) select {copied} from ops.sla_violations")


def test_a_writer_that_holds_the_lock_makes_the_other_skip_its_tick(
    warehouse_url: str, warehouse: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(transaction._LIMITS, "lock_timeout", "100ms")
    kept = Kept(warehouse, WAITING)
    with connect(warehouse_url, autocommit=True) as other, one_writer(other):
        done = kept.tick(MIDNIGHT, Observation("waiting", 9))
    assert done.skipped
    assert "another process" in done.skipped
    assert kept.tick(MIDNIGHT, Observation("waiting", 9)).skipped is None


def test_a_daemon_that_stands_still_in_the_middle_loses_its_turn_and_changes_nothing(
    warehouse_url: str, warehouse: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(transaction._LIMITS, "idle_in_transaction_session_timeout", "200ms")

    def stand_still(conn: Conn) -> None:
        with one_writer(conn):
            beat(conn, "stopped", MIDNIGHT)
            assert Kept(warehouse, WAITING).tick(MIDNIGHT, Observation("waiting", 9)).skipped is None
            conn.execute("select 1")

    with connect(warehouse_url, autocommit=True) as stopped, pytest.raises(SlaError, match="went away"):
        stand_still(stopped)
    assert list(heartbeats(warehouse)) == [EVALUATION]


def test_a_connection_cut_after_any_number_of_bytes_leaves_all_of_a_tick_or_nothing(
    warehouse_url: str, warehouse: Conn
) -> None:
    kept = Kept(warehouse, WAITING)
    kept.run(MIDNIGHT, [1])
    now = MIDNIGHT + STEP
    cut_at, errors = 400, []
    with cut_proxy(warehouse_url) as proxy:
        while True:
            before = _tables(warehouse)
            proxy.heal()
            with connect(proxy.through(warehouse_url), autocommit=True) as conn:
                proxy.heal()
                proxy.cut_after = cut_at
                try:
                    Kept(conn, WAITING).tick(now, Observation("waiting", 9))
                except SlaError as error:
                    errors.append(str(error))
                else:
                    break
            if _tables(warehouse) != before:
                # The commit got through, its answer did not: the next tick goes on from it.
                assert kept.outbox() == ["opened"]
            now += timedelta(seconds=1)
            cut_at += 800
    assert len(errors) > 5
    assert all(re.fullmatch(r"the warehouse went away \(.*\): the tick is kept whole .*", error) for error in errors)
    kept.run(now + STEP, [9, 9])
    assert kept.outbox() == ["opened"]
    assert len(violations(warehouse)) == 1


def test_a_warehouse_that_is_away_is_one_line_and_resolves_nothing(warehouse_url: str, warehouse: Conn) -> None:
    kept = Kept(warehouse, WAITING)
    now = kept.run(MIDNIGHT, [1, 9])
    with connect(warehouse_url, autocommit=True) as lost:
        warehouse.execute("select pg_terminate_backend(%s)", (lost.info.backend_pid,))
        with pytest.raises(SlaError, match=r"^the warehouse went away \([^\n]*\): the tick is kept") as caught:
            Kept(lost, WAITING).tick(now, Observation("waiting", 1))
        assert "\n" not in str(caught.value)
        with pytest.raises(SlaError, match="went away"):
            load_states(lost)
    with pytest.raises(WarehouseError, match="cannot be reached"):
        connect("postgresql://nobody@127.0.0.1:1/none")
    # Back, but what it is judged by cannot be seen: neither resolved nor opened a second time.
    now = kept.run(now + timedelta(hours=2), [None] * 6)
    assert kept.outbox() == ["opened"]
    (one,) = violations(warehouse, open_only=True)
    assert (one.kind, one.last_seen_at) == ("breach", MIDNIGHT + STEP)
    kept.run(now, [1])
    assert kept.outbox() == ["opened", "resolved"]


def test_a_daemon_that_was_away_for_hours_goes_on_where_it_was(warehouse: Conn) -> None:
    steps = [{"after": "30m", "severity": "high"}, {"after": "4h", "severity": "critical"}]
    definitions = [
        sla(name, "queue_age", target=5, unit="minutes", escalate=steps, dataset=f"agent/{name}")
        for name in ("goes_on", "came_and_went", "ended", "fine")
    ]
    kept = Kept(warehouse, *definitions)

    def tick(now: datetime, **values: float) -> None:
        kept.tick(now, *(Observation(name, value) for name, value in values.items()))

    tick(MIDNIGHT, goes_on=1, came_and_went=1, ended=1, fine=1)
    tick(MIDNIGHT + STEP, goes_on=9, came_and_went=1, ended=9, fine=1)
    back = MIDNIGHT + timedelta(hours=6)
    tick(back, goes_on=369, came_and_went=1, ended=1, fine=1)
    told = [(notice.event.sla, notice.event.kind, notice.event.at) for notice in kept.notices[2:]]
    # Both escalations are due, one violation is over, and nothing else is told of the hours that nobody saw.
    assert sorted(told) == [("ended", "resolved", back), ("goes_on", "escalated", back), ("goes_on", "escalated", back)]
    tick(back + STEP, goes_on=1, came_and_went=1, ended=1, fine=1)
    found = {one.sla: one.duration for one in violations(warehouse)}
    assert found == {"goes_on": timedelta(hours=6), "ended": timedelta(hours=6) - STEP}


@pytest.mark.parametrize(
    "back, runs", [(timedelta(0), False), (timedelta(minutes=4), False), (timedelta(days=4), True)]
)
def test_a_clock_set_back_is_waited_for_while_it_is_a_matter_of_minutes(
    warehouse: Conn, back: timedelta, runs: bool
) -> None:
    kept = Kept(warehouse, WAITING)
    now = kept.run(MIDNIGHT, [1, 9]) - STEP
    done = kept.tick(now - back, Observation("waiting", 1))
    assert (done.skipped is None) == runs
    assert kept.outbox() == (["opened", "resolved"] if runs else ["opened"])
    assert heartbeats(warehouse)[EVALUATION] == (now - back if runs else now)


def test_heartbeats_tell_how_long_ago_a_loop_ran(warehouse: Conn) -> None:
    assert age(warehouse, DELIVERY, MIDNIGHT) is None
    beat(warehouse, DELIVERY, MIDNIGHT, {"sent": 3})
    beat(warehouse, DELIVERY, MIDNIGHT + STEP)
    assert age(warehouse, DELIVERY, MIDNIGHT + 3 * STEP) == 2 * STEP
    Kept(warehouse, WAITING).run(MIDNIGHT, [1, 9])
    assert heartbeats(warehouse) == {DELIVERY: MIDNIGHT + STEP, EVALUATION: MIDNIGHT + STEP}
    assert rows(warehouse, "select beats, details from ops.heartbeats order by name") == [
        (2, {}),
        (2, {"slas": 1, "open": 1}),
    ]


def test_a_tick_over_two_hundred_slas_takes_less_than_a_second_of_its_own(warehouse: Conn) -> None:
    definitions = [
        sla(f"lag_{number}", "event_time_lag", target=2, unit="hours", dataset=f"marts_core/t_{number}")
        for number in range(200)
    ]
    upstream = {f"marts_core/t_{number}": {f"marts_core/t_{number // 10}"} for number in range(1, 200)}
    kept = Kept(warehouse, *definitions, upstream=upstream)
    taken = []
    # All new, all fine, all broken at once, all still broken, all over at once.
    for number, value in enumerate([1, 1, 9, 9, 1]):
        seen = [Observation(one.name, value + number / 100) for one in definitions]
        # Not by the clock: what else runs on the machine once made a tick of 0.3 s one of 1.1 s.
        began = time.process_time()
        kept.tick(MIDNIGHT + number * STEP, *seen)
        taken.append(time.process_time() - began)
    assert max(taken) < 1
    assert len(violations(warehouse, limit=1000)) == 200
