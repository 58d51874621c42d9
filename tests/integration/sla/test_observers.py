"""Every observer against a database whose truth is known: values, empty tables, hidden rows, refusals."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from hotdash_pipelines.sla import Definition, Observation, observe, watched
from hotdash_pipelines.sla.definitions import kinds
from hotdash_pipelines.sla.observers.ages import watermark
from hotdash_pipelines.sla.observers.facts import Facts, FinishedRun
from hotdash_pipelines.sla.observers.looking import Looking
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.sla.kept import Conn
from tests.unit.sla.story import sla

# A Tuesday, 07:00 in New York.
NOW = datetime(2026, 3, 10, 11, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
SECRET = "ann@example.com"


def look(conn: Conn, *definitions: Definition, facts: Facts | None = None, now: datetime = NOW) -> list[Observation]:
    dues = watched(definitions, {}, now)
    found = {
        seen.name: seen for seen in observe(definitions, conn, dues, facts or Facts(), now, project="toy", zone=ZONE)
    }
    return [found[definition.name] for definition in definitions]


def one(conn: Conn, definition: Definition, **more: Any) -> Observation:
    (found,) = look(conn, definition, **more)
    return found


def lag(name: str, dataset: str, column: str) -> Definition:
    return sla(name, "event_time_lag", dataset=dataset, params={"column": column}, target=30)


ORDERS = lag("orders", "raw_shopify/orders", "updated_at")
VISITS = lag("visits", "raw_ga4/traffic_daily", "property_date")
MISSING = lag("missing", "raw_shopify/nothing", "updated_at")
NO_COLUMN = lag("no_column", "raw_shopify/orders", "changed_at")


def raw_tables(conn: Conn) -> None:
    conn.execute("create schema raw_shopify")
    conn.execute("create schema raw_ga4")
    conn.execute("create table raw_shopify.orders (project_key text, email text, updated_at timestamptz)")
    conn.execute("create table raw_ga4.traffic_daily (project_key text, property_date date)")


def test_lag_is_the_newest_event_of_this_store_up_to_now(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        raw_tables(conn)
        orders, visits = look(conn, ORDERS, VISITS)
        assert (orders.at, orders.value, orders.unknown_reason) == (None, None, None), "an empty table: never, not now"
        assert (visits.at, visits.unknown_reason) == (None, None)

        conn.execute(
            "insert into raw_shopify.orders values ('toy', %s, %s), ('other', %s, %s), ('toy', %s, '2099-01-01')",
            (SECRET, NOW - 3 * HOUR, SECRET, NOW, SECRET),
        )
        conn.execute("insert into raw_ga4.traffic_daily values ('toy', '2026-03-07'), ('toy', '2026-03-08')")
        orders, visits, missing, no_column = look(conn, ORDERS, VISITS, MISSING, NO_COLUMN)
    assert orders.at == NOW - 3 * HOUR
    # The 8th ends at midnight in New York, by summer time already.
    assert visits.at == datetime(2026, 3, 9, 4, tzinfo=UTC)
    for blind in (missing, no_column):
        assert "not there yet" in str(blind.unknown_reason)
        assert "cause" not in blind.details, "each is a fault of its own"


def windows(*days: int, read: datetime) -> dict[date, datetime]:
    return {date(2026, 3, day): read for day in days}


@pytest.mark.parametrize(
    "held, settled_after, expected",
    [
        ({}, 0, None),
        (windows(7, 8, read=NOW), 0, date(2026, 3, 9)),
        (windows(6, 8, read=NOW), 0, date(2026, 3, 7)),
        # Read on the 10th: the 7th is final (two days after it ended), the 8th is not.
        (windows(6, 7, 8, 9, read=NOW), 2, date(2026, 3, 8)),
        (windows(8, 9, read=NOW), 2, date(2026, 3, 8)),
        (windows(5, read=datetime(2026, 3, 6, 9, tzinfo=UTC)) | windows(6, 7, read=NOW), 2, date(2026, 3, 5)),
    ],
    ids=["nothing", "whole", "gap", "settled", "all_young", "never_read_again"],
)
def test_the_watermark_is_where_the_first_missing_or_unsettled_window_begins(
    held: Mapping[date, datetime], settled_after: int, expected: date | None
) -> None:
    looking = Looking(None, NOW, "toy", ZONE, {}, Facts())  # type: ignore[arg-type]
    assert watermark(held, settled_after, looking) == (looking.starts(expected) if expected else None)


def test_the_watermark_reads_the_windows_of_its_own_stream_and_store(warehouse: Conn) -> None:
    settled = sla("settled", "source_watermark_lag", dataset="raw_ga4/traffic_daily", target=78)
    assert one(warehouse, settled) == Observation("settled")
    for project, stream, day in (
        ("toy", "traffic_daily", 7),
        ("toy", "landing_daily", 9),
        ("other", "traffic_daily", 9),
    ):
        warehouse.execute(
            "insert into ops.lake_loads values (%s, 'ga4', %s, %s, 'sha', %s, %s, '{}')",
            (project, stream, f"2026-03-{day:02}", NOW, NOW),
        )
    assert one(warehouse, settled).at == datetime(2026, 3, 8, 5, tzinfo=UTC)
    long_ago = settled.model_copy(update={"params": {"lookback_days": 2}})
    assert one(warehouse, long_ago).at is None


APPROVALS = sla("approvals", "queue_age", params={"queue": "approvals"}, target=5, unit="minutes")
ALERTS = sla("alerts", "queue_age", params={"queue": "alerts"}, target=5, unit="minutes")


def ask(conn: Conn, at: datetime, status: str = "pending") -> None:
    by = None if status == "pending" else "op"
    conn.execute(
        "insert into agent.agent_approvals (conversation_id, serialized, created_at, updated_at, status, approved_by) "
        "values ('1', '{}', %s, %s, %s, %s)",
        (at, at, status, by),
    )


def test_a_queue_is_as_old_as_its_oldest_waiting_item_and_an_empty_one_has_no_age(warehouse: Conn) -> None:
    ask(warehouse, NOW - 9 * HOUR, "approved")
    assert [(seen.value, seen.at) for seen in look(warehouse, APPROVALS, ALERTS)] == [(0, None), (0, None)]
    for hours in (1, 2):
        ask(warehouse, NOW - hours * HOUR)
    outbox = (
        "insert into ops.alert_outbox (dedupe_key, kind, severity, payload, created_at, next_attempt_at, hold_until) "
        "values (%s, 'sla', 'low', '{}', %s, %s, %s)"
    )
    held = NOW - 9 * HOUR
    warehouse.execute(outbox, ("till noon", held, held, NOW + HOUR))
    assert one(warehouse, ALERTS).value == 0, "what quiet hours hold back does not wait for Slack"
    warehouse.execute(outbox, ("till six", held, held, NOW - HOUR))
    approvals, alerts = look(warehouse, APPROVALS, ALERTS)
    assert (approvals.at, approvals.details["waiting"]) == (NOW - 2 * HOUR, 2)
    assert alerts.at == NOW - HOUR


def result(conn: Conn, check: str, passed: bool, at: datetime, **more: Any) -> None:
    row = {
        "project_key": "toy", "asset": "marts_core/fct_order", "check_name": check, "dimension": "completeness",
        "severity": "error", "blocking": True, "passed": passed, "run_id": at.isoformat(), "checked_at": at,
    } | more  # fmt: skip
    names = ", ".join(row)
    conn.execute(
        f"insert into ops.check_results ({names}) values ({', '.join(['%s'] * len(row))})".encode(), list(row.values())
    )


COMPLETE = sla("complete", "check_rate", dataset="pipeline", params={"dimension": "completeness"}, target=99)
PASSING = sla("passing", "check_status", dataset="marts_core/fct_order", target=0)
DRIFT = sla("drift", "drift_raised_within", dataset="pipeline", target=24)


def test_checks_count_by_their_last_verdict_and_score_by_the_share_of_rows_that_keep_them(warehouse: Conn) -> None:
    assert [seen.value for seen in look(warehouse, COMPLETE, PASSING)] == [None, None]
    result(warehouse, "a", False, NOW - 20 * HOUR)
    result(warehouse, "a", True, NOW - HOUR)
    result(warehouse, "b", False, NOW - HOUR, element_count=100, unexpected_count=4)
    result(warehouse, "c", False, NOW - HOUR, severity="warn", asset="marts_core/fct_order_line")
    result(warehouse, "of another day", False, NOW - 49 * HOUR)
    result(warehouse, "of another store", False, NOW - HOUR, project_key="other")
    result(warehouse, "of another dimension", False, NOW - HOUR, dimension="accuracy", severity="warn")
    complete, passing = look(warehouse, COMPLETE, PASSING)
    assert complete.value == pytest.approx((100 + 96 + 0) / 3)
    assert complete.details == {"samples": 3, "failing": 2}
    assert passing.value == 1
    everything = PASSING.model_copy(update={"params": {"severity": "any"}})
    assert one(warehouse, everything).value == 2


def test_a_failed_check_never_scores_as_whole(warehouse: Conn) -> None:
    result(warehouse, "failed for another reason", False, NOW, element_count=100, unexpected_count=0)
    assert one(warehouse, COMPLETE).value == 0


def test_a_drift_stands_from_its_first_load_until_a_load_without_it(warehouse: Conn) -> None:
    check = "all_fields_and_values_are_known"
    assert (one(warehouse, DRIFT).value, one(warehouse, DRIFT).at) == (None, None), "nobody looked yet"
    result(warehouse, check, True, NOW - 90 * HOUR, severity="warn")
    assert one(warehouse, DRIFT).value == 0
    for hours in (70, 46, 22):
        result(warehouse, check, False, NOW - hours * HOUR, severity="warn")
    assert one(warehouse, DRIFT).at == NOW - 70 * HOUR
    result(warehouse, check, True, NOW - HOUR, severity="warn")
    assert one(warehouse, DRIFT).value == 0


LATENCY = sla("latency", "latency_p95", params={"window_minutes": 15}, target=200)
DECISIONS = sla("decisions", "availability", params={"of": "decisions"}, target=95)


def test_latency_and_decisions_count_what_lies_in_their_window(warehouse: Conn) -> None:
    latency, decisions = look(warehouse, LATENCY, DECISIONS)
    assert (latency.value, latency.details, decisions.value) == (None, {"samples": 0}, None)
    query = (
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms, created_at, updated_at) "
        "select 'q', '{}', '1', 'a', ms, %s, %s from generate_series(%s::int, %s::int) as ms"
    )
    warehouse.execute(query, (NOW - HOUR / 10, NOW, 1, 100))
    warehouse.execute(query, (NOW - HOUR, NOW, 1000, 1010))
    warehouse.execute(query, (NOW + HOUR, NOW + HOUR, 1000, 1010))
    event = (
        "insert into agent.decision_sync_event_logs (decision_id, scope, status, created_at) "
        "select 'd', 's', %s, %s from generate_series(1, %s::int)"
    )
    for status, hours, count in (("synced", 1, 9), ("failed", 1, 1), ("retrying", 1, 50), ("failed", 25, 50)):
        warehouse.execute(event, (status, NOW - hours * HOUR, count))
    hour = LATENCY.model_copy(update={"name": "hour", "params": {"window_minutes": 61}})
    latency, longer, decisions = (one(warehouse, each) for each in (LATENCY, hour, DECISIONS))
    assert (latency.value, latency.details["samples"]) == (95, 100)
    assert (longer.value, longer.details["samples"]) == (1005, 111)
    assert (decisions.value, decisions.details["samples"]) == (90, 10)


BACKUP = sla("backup", "backup_age", dataset="backups/operational", target=26)
TESTED = sla("tested", "restore_tested_within", dataset="backups/operational", target=8)


def test_a_backup_counts_when_it_is_verified_and_of_all_operational_tables(warehouse: Conn) -> None:
    assert [seen.at for seen in look(warehouse, BACKUP, TESTED)] == [None, None]
    row = (
        "insert into ops.backup_runs "
        "(backup_id, scope, state, location, started_at, finished_at, restore_tested_at, error) "
        "values (%s, %s, %s, 'here', %s, %s, %s, %s)"
    )
    for number, (scope, state, hours, tested) in enumerate(
        (
            ("operational", "verified", 30, NOW - 20 * HOUR),
            ("full", "verified", 20, None),
            ("tables", "verified", 2, NOW - HOUR),
            ("operational", "failed", 1, None),
        )
    ):
        at = NOW - hours * HOUR
        error = "no" if state == "failed" else None
        warehouse.execute(row, (f"20260309T120000Z-{number:08x}", scope, state, at, at, tested, error))
    assert [seen.at for seen in look(warehouse, BACKUP, TESTED)] == [NOW - 20 * HOUR, NOW - 20 * HOUR]


def test_a_heartbeat_is_that_of_its_loop(warehouse: Conn) -> None:
    alive = sla("alive", "heartbeat", dataset="pipeline", target=5, unit="minutes")
    warehouse.execute("insert into ops.heartbeats (name, beat_at) values ('alert_delivery', %s)", (NOW,))
    assert one(warehouse, alive).at is None
    assert one(warehouse, alive.model_copy(update={"params": {"of": "alert_delivery"}})).at == NOW


def number(name: str, query: str) -> Definition:
    return sla(name, "sql", dataset="pipeline", params={"query": query}, target=1, unit="count", comparison="at_most")


def test_sql_returns_one_number_and_can_neither_change_nor_hold_up_anything(warehouse: Conn) -> None:
    found = look(
        warehouse,
        number("fine", "select extract(hour from %(now)s::timestamptz at time zone 'UTC') + length(%(project)s)"),
        number("nothing", "select max(id) from ops.check_results"),
        number("text", f"select '{SECRET}'"),
        number("truth", "select true"),
        number("two", "select 1, 2"),
        number("many", "select generate_series(1, 9)"),
        number("none", "select 1 where false"),
        number("quoting", f"select '{SECRET}'::int"),
        number("writing", "insert into ops.heartbeats (name, beat_at) values ('x', %(now)s) returning 1"),
        number("slow", "select pg_sleep(60)::text::int"),
        number("last", "select 7"),
    )
    told = {seen.name: seen.unknown_reason for seen in found if seen.unknown_reason}
    assert {seen.name: seen.value for seen in found if seen.name not in told} == {
        "fine": 14,
        "nothing": None,
        "last": 7,
    }
    assert set(told) == {"text", "truth", "two", "many", "none", "quoting", "writing", "slow"}
    assert "3 seconds" in str(told["slow"])
    assert SECRET not in repr(found)
    assert warehouse.execute("select count(*) from ops.heartbeats").fetchone() == (0,)


def dues_of(definition: Definition, now: datetime = NOW) -> str:
    return watched([definition], {}, now)[definition.name][-1].partition


MARTS = sla("marts", "materialized_within", dataset="marts_core/fct_order", by="06:00", zone="America/New_York")
YEAR_AGO = NOW - timedelta(days=365)


def born(conn: Conn, at: datetime) -> None:
    conn.execute("update ops.schema_migrations set applied_at = %s", (at,))


def test_a_deadline_is_kept_by_the_newest_success_or_by_that_of_its_partition(warehouse: Conn) -> None:
    born(warehouse, YEAR_AGO)
    dataset, due = MARTS.dataset, dues_of(MARTS)
    assert due == "2026-03-09"
    assert one(warehouse, MARTS) == Observation("marts")
    assert one(warehouse, MARTS, facts=Facts(newest={dataset: NOW - HOUR})).at == NOW - HOUR
    running = one(warehouse, MARTS, facts=Facts(running={dataset: NOW - HOUR}))
    assert running.details == {"running_since": "2026-03-10T10:00:00+00:00"}
    of_partitions = Facts(newest={dataset: NOW}, first={(dataset, "2026-03-01"): NOW}, partitioned={dataset})
    old = one(warehouse, MARTS, facts=of_partitions)
    assert (old.at, old.partition) == (None, due), "an old day loaded again does not make today's"
    made = one(warehouse, MARTS, facts=Facts(first={(dataset, due): NOW - 2 * HOUR}, partitioned={dataset}))
    assert (made.at, made.partition) == (NOW - 2 * HOUR, due)


def test_nothing_is_late_on_the_day_on_which_the_warehouse_was_set_up(warehouse: Conn) -> None:
    six = NOW - HOUR
    for hours, seen in ((2, NOW - 2 * HOUR), (0, six)):
        born(warehouse, NOW - hours * HOUR)
        assert one(warehouse, MARTS).at == seen, "set up after the deadline is not late"
    born(warehouse, NOW - 30 * HOUR)
    assert one(warehouse, MARTS).at is None


def test_what_dagster_says_is_passed_on_and_unknown_when_it_says_nothing(warehouse: Conn) -> None:
    fresh = sla("fresh", "freshness_state", dataset="raw_shopify/products", target=1)
    runs = sla("runs", "availability", dataset="pipeline", params={"of": "runs", "job": "nightly_job"}, target=90)
    ended = [
        FinishedRun("nightly_job", good, NOW - hours * HOUR) for good, hours in ((True, 1), (False, 2), (False, 25))
    ]
    facts = Facts(
        freshness={"raw_shopify/products": "FAIL"}, runs=(*ended, FinishedRun("backup_job", False, NOW - HOUR))
    )
    assert [seen.value for seen in look(warehouse, fresh, runs, facts=facts)] == [2, 50]
    assert [seen.value for seen in look(warehouse, fresh, runs)] == [None, None]
    away = look(warehouse, fresh, runs, MARTS, facts=Facts(failure="no answer"))
    assert {(seen.unknown_reason, seen.details.get("cause")) for seen in away} == {("no answer", "dagster")}


READER = f"sla_reader_{os.getpid()}"


@pytest.fixture
def limited(warehouse_url: str, warehouse: Conn) -> Iterator[Conn]:
    """A user of the database who may read, but from whom row-level security hides the agent's rows."""
    warehouse.execute(f"drop role if exists {READER}".encode())
    for statement in (
        f"create role {READER} login password 'reader'",
        f"grant usage on schema agent, ops to {READER}",
        f"grant select on all tables in schema agent to {READER}",
        f"grant select on all tables in schema ops to {READER}",
    ):
        warehouse.execute(statement.encode())
    with psycopg.connect(warehouse_url, user=READER, password="reader", autocommit=True) as conn:
        yield conn
    warehouse.execute(f"drop owned by {READER}".encode())
    warehouse.execute(f"drop role {READER}".encode())


def test_hidden_rows_are_unknown_and_not_an_empty_queue(warehouse: Conn, limited: Conn) -> None:
    ask(warehouse, NOW - HOUR)
    assert limited.execute("select count(*) from agent.agent_approvals").fetchone() == (0,)
    queries = lag("queries", "agent/agent_queries", "created_at")
    *blind, backup, alerts = look(limited, APPROVALS, LATENCY, DECISIONS, queries, BACKUP, ALERTS)
    assert (backup.unknown_reason, alerts.unknown_reason) == (None, None), "what is not hidden is seen"
    for hidden in blind:
        assert "row-level security hides rows" in str(hidden.unknown_reason), hidden
        assert hidden.details["cause"] == "rights"

    warehouse.execute(f"grant service_role to {READER}".encode())
    assert one(limited, APPROVALS).at == NOW - HOUR
    assert limited.execute("select current_user").fetchone() == (READER,), "the role is left again"


def test_a_user_who_may_not_read_is_told_so(warehouse: Conn, limited: Conn) -> None:
    warehouse.execute(f"revoke select on ops.backup_runs from {READER}".encode())
    seen = one(limited, BACKUP)
    assert ("may not read" in str(seen.unknown_reason), seen.details["cause"]) == (True, "rights")


def test_an_observer_that_fails_does_not_blind_the_others(warehouse: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.execute("drop table ops.backup_runs")

    def mistaken(*_: object) -> list[Observation]:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setitem(kinds._types, "heartbeat", replace(kinds.sla_type("heartbeat"), observer=mistaken))
    alive = sla("alive", "heartbeat", dataset="pipeline", target=5, unit="minutes")
    found = {seen.name: seen for seen in look(warehouse, BACKUP, alive, APPROVALS)}
    assert (found["backup"].details["cause"], found["alive"].details["cause"]) == ("schema", "observer")
    assert found["approvals"].value == 0
    assert SECRET not in repr(found)


def test_an_observer_waits_for_no_lock_and_a_closed_connection_is_one_cause(
    warehouse_url: str, warehouse: Conn
) -> None:
    with psycopg.connect(warehouse_url) as other:
        other.execute("lock table ops.backup_runs in access exclusive mode")
        seen = one(warehouse, BACKUP)
    assert (seen.details["cause"], "3 seconds" in str(seen.unknown_reason)) == ("warehouse", True)
    warehouse.close()
    assert {each.details["cause"] for each in look(warehouse, BACKUP, APPROVALS, COMPLETE)} == {"warehouse"}


@pytest.mark.parametrize(
    "definition, word",
    [
        (sla("orders", "event_time_lag", dataset="raw_shopify/orders", target=30), "lacks column"),
        (ORDERS.model_copy(update={"params": {"column": "a", "colum": "b"}}), "colum"),
        (sla("rate", "check_rate", dataset="pipeline", target=30), "lacks dimension"),
    ],
)
def test_a_parameter_that_is_missing_or_unknown_is_refused(definition: Definition, word: str) -> None:
    assert not any(whole.sla_type.objection(whole.params) for whole in (ORDERS, COMPLETE))
    assert word in definition.sla_type.objection(definition.params)
