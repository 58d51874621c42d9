"""Violations for tests of the outbox, and what is told of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from hotdash_pipelines.alerts import Links, enqueue_all
from hotdash_pipelines.alerts.wording.violations import ViolationNews, violation_alerts

NOW = datetime(2026, 3, 11, 10, 42, tzinfo=UTC)
LINKS = Links("http://127.0.0.1:3000", "https://docs.example.org/docs")


def news(kind: Any, **more: Any) -> ViolationNews:
    """An event of a violation of `nightly_marts_ready` at NOW; without numbers it is nobody's."""
    facts: dict[str, Any] = {
        "sla": "nightly_marts_ready",
        "dataset": "marts_core/fct_order",
        "title": "not ready in time",
        "told": "not there, 42 minutes late (promised by 06:00 America/New_York on 2026-03-11)",
        "expected": "by 06:00 America/New_York",
        "actual": "42 minutes late",
        "severity": "high",
        "owner": "team:data",
        "environment": "prod",
        "at": NOW,
        "since": NOW - timedelta(minutes=42),
        "zone": ZoneInfo("America/New_York"),
        "runbook": "docs/runbooks/marts-late.md",
        "partition": "2026-03-10",
        "incident": "marts_core/fct_order@2026-03-11T10:42:00+00:00",
        "target": "team:data",
    }
    if kind == "resolved":
        facts |= {"reason": "recovered", "duration": timedelta(minutes=81), "recovered_at": NOW + timedelta(minutes=39)}
    return ViolationNews(kind, **{**facts, **more})


def violation(conn: psycopg.Connection[Any], name: str, key: str = "the incident") -> dict[str, Any]:
    """A violation in the tables, in the incident of `key`; its numbers, as `news` takes them."""
    [sla] = (
        conn.execute(
            "insert into ops.data_slas (name, version, dataset_name, sla_type, sla_target, sla_unit, definition, "
            "definition_hash, owner, created_at) values (%s, 1, 'd', 't', 1, 'minutes', '{}', %s, 'team:data', %s) "
            "returning sla_id",
            (name, "0" * 16, NOW),
        ).fetchone()
        or ()
    )
    [incident] = (
        conn.execute(
            "insert into ops.incidents (incident_key, title, root_dataset, root_sla, owner, severity, opened_at) "
            "values (%s, 't', 'd', %s, 'team:data', 'low', %s) "
            "on conflict (incident_key) do update set title = 't' returning incident_id",
            (key, name, NOW),
        ).fetchone()
        or ()
    )
    [number] = (
        conn.execute(
            "insert into ops.sla_violations (sla_id, sla_name, incident_id, kind, expected_value, impact_severity, "
            "breach_started_at, detected_at, last_seen_at) values (%s, %s, %s, 'breach', 1, 'low', %s, %s, %s) "
            "returning violation_id",
            (sla, name, incident, NOW, NOW, NOW),
        ).fetchone()
        or ()
    )
    return {"sla": name, "violation_id": number, "incident_id": incident, "incident": key}


def tell(conn: psycopg.Connection[Any], event: ViolationNews, now: datetime = NOW) -> int:
    """Put the messages of an event into the outbox."""
    return enqueue_all(conn, violation_alerts(event, LINKS), now)
