"""What breaks an SLA of each type: the promise, and what is in the warehouse or at the orchestrator then."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hotdash_pipelines.sla import Definition, sla_types
from hotdash_pipelines.sla.observers.facts import Facts, FinishedRun
from tests.integration.sla.kept import Conn
from tests.unit.sla.story import sla

# A Tuesday, 07:00 in New York.
NOW = datetime(2026, 3, 10, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nothing(_conn: Conn) -> None:
    """What is not there needs no planting."""


@dataclass(frozen=True)
class Breaking:
    """An SLA as given beside its type, and what makes the warehouse break it at NOW."""

    given: dict[str, Any]
    plant: Callable[[Conn], None] = nothing


def old_order(conn: Conn) -> None:
    conn.execute("create schema raw_shopify")
    conn.execute("create table raw_shopify.orders (project_key text, updated_at timestamptz)")
    conn.execute("insert into raw_shopify.orders values ('toy', %s)", (NOW - 9 * HOUR,))


def old_window(conn: Conn) -> None:
    at = NOW - 60 * HOUR
    conn.execute(
        "insert into ops.lake_loads values ('toy', 'ga4', 'traffic_daily', '2026-03-07', 'sha', %s, %s, '{}')", (at, at)
    )


def waiting_approval(conn: Conn) -> None:
    at = NOW - HOUR
    conn.execute(
        "insert into agent.agent_approvals (conversation_id, serialized, created_at, updated_at) "
        "values ('1', '{}', %s, %s)",
        (at, at),
    )


def failed_checks(conn: Conn) -> None:
    for asset, check, at in (
        ("marts_core/fct_order", "order_ids_are_unique", NOW - HOUR),
        ("raw_ga4/traffic_daily", "all_fields_and_values_are_known", NOW - 40 * HOUR),
    ):
        conn.execute(
            "insert into ops.check_results (project_key, asset, check_name, dimension, severity, blocking, passed, "
            "run_id, checked_at) values ('toy', %s, %s, 'uniqueness', 'error', true, false, 'run', %s)",
            (asset, check, at),
        )


def old_backup(conn: Conn) -> None:
    conn.execute(
        "insert into ops.backup_runs (backup_id, scope, state, location, started_at, finished_at, restore_tested_at) "
        "values ('20260201T120000Z-0000000a', 'operational', 'verified', 'here', %(at)s, %(at)s, %(at)s)",
        {"at": NOW - 900 * HOUR},
    )


def old_heartbeat(conn: Conn) -> None:
    conn.execute("insert into ops.heartbeats (name, beat_at) values ('alert_delivery', %s)", (NOW - HOUR,))


def slow_answer(conn: Conn) -> None:
    at = NOW - HOUR / 10
    conn.execute(
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms, created_at, updated_at) "
        "values ('q', '{}', '1', 'a', 5000, %s, %s)",
        (at, at),
    )


def old_installation(conn: Conn) -> None:
    conn.execute("update ops.schema_migrations set applied_at = %s", (NOW - 900 * HOUR,))


BREAKING: dict[str, Breaking] = {
    "materialized_within": Breaking({"by": "06:00"}, old_installation),
    "retention_done": Breaking({"by": "06:00", "target": 0}),
    "event_time_lag": Breaking(
        {"dataset": "raw_shopify/orders", "params": {"column": "updated_at"}, "target": 30}, old_order
    ),
    "source_watermark_lag": Breaking({"dataset": "raw_ga4/traffic_daily", "target": 30}, old_window),
    "queue_age": Breaking({"params": {"queue": "approvals"}, "target": 5}, waiting_approval),
    "drift_raised_within": Breaking({"target": 24}, failed_checks),
    "backup_age": Breaking({"target": 26}, old_backup),
    "restore_tested_within": Breaking({"target": 8}),
    "heartbeat": Breaking({"params": {"of": "alert_delivery"}, "target": 5}, old_heartbeat),
    "freshness_state": Breaking({"dataset": "raw_shopify/products", "target": 0}),
    "check_status": Breaking({"dataset": "marts_core/fct_order", "target": 0}),
    "check_rate": Breaking({"dataset": "pipeline", "params": {"dimension": "uniqueness"}, "target": 100}),
    "latency_p95": Breaking({"target": 200}, slow_answer),
    "availability": Breaking({"params": {"of": "runs"}, "target": 95}),
    "sql": Breaking({"params": {"query": "select 7"}, "target": 5, "comparison": "at_most"}),
}
FACTS = Facts(
    freshness={"raw_shopify/products": "FAIL"}, runs=(FinishedRun("nightly_job", succeeded=False, ended_at=NOW - HOUR),)
)


def broken_definitions() -> tuple[Definition, ...]:
    """An SLA of every type, named after it, on a dataset of its own unless it has to be another."""
    missing = {known.name for known in sla_types()} - BREAKING.keys()
    assert not missing, f"say in {__name__} what breaks {', '.join(sorted(missing))}"
    return tuple(
        sla(known.name, known.name, **{"dataset": f"toy/{known.name}", **BREAKING[known.name].given})
        for known in sla_types()
    )


def plant_all(conn: Conn) -> None:
    """Make the warehouse break them all."""
    for breaking in BREAKING.values():
        breaking.plant(conn)
