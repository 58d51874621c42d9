"""What was seen can be played again, and what an incident was can be read and written down."""

import random
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hotdash_pipelines.sla import Definition, Observation, SlaError, simulate
from hotdash_pipelines.sla.records.history import as_json, incident, incidents, standings, violations
from hotdash_pipelines.sla.records.incidents import Impact
from hotdash_pipelines.sla.records.postmortem import render, write
from hotdash_pipelines.sla.records.record import KEYFRAME, STALE_AFTER, replay
from hotdash_pipelines.sla.records.store import acknowledge
from tests.integration.sla.kept import Conn, Kept, column, rows
from tests.unit.sla.story import MIDNIGHT, STEP, ZONE, at, sla

MINUTE = timedelta(minutes=1)
SOURCE, MART = "raw_shopify/orders", "marts_core/fct_order"


def lag(**more: object) -> Definition:
    return sla("orders_lag", "event_time_lag", target=2, unit="hours", dataset=SOURCE, **more)


def test_a_simulation_of_the_record_tells_what_was_told(warehouse: Conn) -> None:
    chance = random.Random(8)
    definitions = (
        lag(open_after=2, escalate=[{"after": "20m", "severity": "critical"}]),
        sla("rate", "check_rate", target=99, unit="percent", min_samples=10, dataset=MART),
        sla("fct_order_by_six", dataset=MART),
        sla("queue", "queue_age", target=5, unit="minutes", grace="10m", dataset="agent/agent_approvals"),
    )
    kept = Kept(warehouse, *definitions, upstream={MART: {SOURCE}})
    newest, start, end = at("05:00"), at("05:30"), at("10:30")
    now = start
    while now <= end:
        if chance.random() < 0.02:
            newest = now - timedelta(minutes=chance.randint(0, 60))
        unseen = chance.random() < 0.1
        kept.tick(
            now,
            Observation("orders_lag", at=newest),
            Observation(
                "rate", Decimal(chance.choice(["98.5", "99.25", "100"])), details={"samples": chance.randint(5, 50)}
            ),
            Observation("fct_order_by_six", at=at("06:40") if now >= at("06:40") else None, partition="2026-02-09"),
            Observation("queue", unknown_reason="no answer", details={"cause": "warehouse"})
            if unseen
            else Observation("queue", chance.choice([1, 2, 7])),
        )
        now += MINUTE
    steps = simulate(
        definitions, replay(warehouse, start, end), kept.upstream, start, end, MINUTE, stale_after=STALE_AFTER
    )
    again = [(when, event) for when, tick in steps for event in tick.events if not event.silent]
    assert [(event.sla, event.kind, when) for when, event in again] == [
        (notice.event.sla, notice.event.kind, notice.event.at) for notice in kept.notices
    ]
    assert len(again) > 20
    ticks = int((end - start) / MINUTE) + 1
    written = dict(rows(warehouse, "select sla_name, count(*) from ops.data_observations group by 1"))
    assert written["fct_order_by_six"] < ticks / 5
    assert written["rate"] > ticks / 2


def test_an_observation_is_written_when_it_changes_and_every_ten_minutes(warehouse: Conn) -> None:
    kept = Kept(warehouse, lag())
    for number in range(31):
        newest = MIDNIGHT if number < 4 else MIDNIGHT + MINUTE
        kept.tick(MIDNIGHT + number * MINUTE, Observation("orders_lag", at=newest))
    kept.tick(MIDNIGHT + timedelta(hours=3), Observation("orders_lag", at=MIDNIGHT + MINUTE))
    assert rows(
        warehouse,
        "select observed_at, table_name, metric_name, round(metric_value, 2), threshold_min, threshold_max, is_anomaly"
        " from ops.data_observations order by observed_at",
    ) == [
        (MIDNIGHT + timedelta(minutes=minutes), SOURCE, "sla", Decimal(value), None, 2, bad)
        for minutes, value, bad in [
            (0, "0.00", False), (4, "0.05", False), (14, "0.22", False), (24, "0.38", False), (180, "2.98", True)
        ]
    ]  # fmt: skip
    # From the middle on: what was known by then comes first.
    first, *_ = replay(warehouse, MIDNIGHT + 8 * MINUTE, MIDNIGHT + 9 * MINUTE)
    assert first == (MIDNIGHT, Observation("orders_lag", at=MIDNIGHT))
    assert STALE_AFTER > 2 * KEYFRAME


def test_an_observation_comes_back_as_it_was(warehouse: Conn) -> None:
    seen = [
        Observation("orders_lag", at=MIDNIGHT, details={"rows": 3, "of": ["a"], "samples": 20}),
        Observation("rate", 1 / 3, details={"samples": 20}),
        Observation("fct_order_by_six", partition="2026-02-08", details={"running_since": "2026-02-09T05:00:00+00:00"}),
        Observation("queue", unknown_reason="no answer", details={"cause": "warehouse"}),
    ]
    kept = Kept(
        warehouse,
        lag(),
        sla("rate", "check_rate", target=99, unit="percent"),
        sla("fct_order_by_six"),
        sla("queue", "queue_age"),
    )
    kept.tick(at("05:30"), *seen)
    found = [one for _, one in replay(warehouse, at("05:00"), at("06:00"))]
    assert sorted(found, key=lambda one: one.name) == sorted(seen, key=lambda one: one.name)
    assert list(replay(warehouse, at("06:00"), at("07:00"))) == []


def _an_incident(warehouse: Conn) -> Kept:
    """A source was late from 02:05 to 02:45 (New York), with a mart behind it."""
    kept = Kept(
        warehouse,
        lag(escalate=[{"after": "15m", "severity": "high"}]),
        sla("fct_lag", "event_time_lag", target=2, unit="hours", dataset=MART),
        upstream={MART: {SOURCE}},
        impact={SOURCE: Impact((MART, "metrics/agg_sales_daily"), ("Sales | today",))},
    )
    for number in range(12):
        value = 3 if 1 <= number <= 8 else 1
        kept.tick(at("02:00") + number * STEP, Observation("orders_lag", value), Observation("fct_lag", value))
        if number == 2:
            acknowledge(warehouse, kept.definitions, "orders_lag", None, "sam", at("02:12"))
    return kept


def test_a_postmortem_is_filled_with_what_is_known_and_never_written_over(warehouse: Conn, tmp_path: Path) -> None:
    _an_incident(warehouse)
    (row,) = incidents(warehouse)
    whole = incident(warehouse, row.incident_id)
    path = write(warehouse, whole, tmp_path / "new" / "postmortems", at("09:00"), ZONE)
    assert path.name == f"2026-02-10-incident-{row.incident_id}.md"
    text = path.read_text()
    for wanted in (
        f"# Postmortem of incident {row.incident_id}: raw_shopify/orders: 3 hours (promised: at most 2 hours)",
        "- Severity: medium",
        "- Began: 2026-02-10 07:05 UTC (Tue 2026-02-10 02:05 EST)",
        "- Resolved: 2026-02-10 07:45 UTC (Tue 2026-02-10 02:45 EST)",
        "- Detection: 0 s",
        "- Resolution, from detection to the first good verdict: 40 min",
        "- Broken in all: 40 min",
        "- Until somebody acknowledged: 7 min",
        "- Assets downstream (2): marts_core/fct_order, metrics/agg_sales_daily",
        "- Dashboard tiles (1): Sales | today",
        "- Late behind it (1): fct_lag",
        "| orders_lag | breach | 2 hours | 3 hours | medium | 40 min | recovered |",
        "| fct_lag | breach | 2 hours | 3 hours | medium | 40 min | recovered |",
        "| 2026-02-10 07:05:00 | Tue 02:05 EST | opened (silent) | fct_lag |",
        "| 2026-02-10 07:12:00 | Tue 02:12 EST | acknowledged | orders_lag | acknowledged by sam |",
        "- [ ] (action, owner, date)",
        "docs/runbooks/sla-late.md",
    ):
        assert wanted in text
    path.write_text("what people found out")
    with pytest.raises(SlaError, match="there already"):
        write(warehouse, whole, path.parent, at("10:00"), ZONE)
    assert path.read_text() == "what people found out"
    assert incidents(warehouse)[0].postmortem == str(path)
    (tmp_path / "file").touch()
    with pytest.raises(SlaError, match="cannot be written"):
        write(warehouse, whole, tmp_path / "file", at("10:00"), ZONE)


def test_a_postmortem_of_an_open_incident_says_so(warehouse: Conn) -> None:
    kept = Kept(warehouse, lag(grace="0s"))
    kept.tick(MIDNIGHT, Observation("orders_lag", 1))
    kept.tick(MIDNIGHT + STEP, Observation("orders_lag", unknown_reason="no answer"))
    text = render(incident(warehouse, incidents(warehouse)[0].incident_id), MIDNIGHT + timedelta(hours=1), ZONE)
    assert "- Resolved: still open at 2026-02-10 06:00 UTC (Tue 2026-02-10 01:00 EST)" in text
    assert "- Until somebody acknowledged: nobody did" in text
    assert re.search(r"\| orders_lag \| unknown \| 2 hours \| not known \| medium \| open \|  \|", text)


def test_history_is_read_by_name_by_time_and_by_what_is_open(warehouse: Conn) -> None:
    kept = _an_incident(warehouse)
    kept.tick(at("05:00"), Observation("orders_lag", 4), Observation("fct_lag", 1))
    assert [(one.sla, one.resolved_at is None) for one in violations(warehouse)] == [
        ("orders_lag", True),
        ("fct_lag", False),
        ("orders_lag", False),
    ]
    assert [one.sla for one in violations(warehouse, open_only=True)] == ["orders_lag"]
    assert len(violations(warehouse, name="orders_lag")) == 2
    assert len(violations(warehouse, until=at("03:00"))) == len(violations(warehouse, limit=2)) == 2
    assert [one.sla for one in violations(warehouse, since=at("03:00"))] == ["orders_lag"]
    assert violations(warehouse, name="other") == []
    assert len(incidents(warehouse)) == 2
    assert len(incidents(warehouse, open_only=True)) == len(incidents(warehouse, since=at("04:00"))) == 1
    with pytest.raises(SlaError, match="no incident 999"):
        incident(warehouse, 999)
    broken, fine = sorted(standings(warehouse), key=lambda one: one.standing or "")
    assert (broken.sla, broken.standing, broken.actual, broken.expected, broken.unit) == (
        "orders_lag", "breach", 4, 2, "hours",
    )  # fmt: skip
    assert (fine.sla, fine.standing, fine.violation_id) == ("fct_lag", "ok", None)
    assert broken.violation_id == column(warehouse, "select max(violation_id) from ops.sla_violations")[0]
    plain = as_json(incident(warehouse, incidents(warehouse)[-1].incident_id))
    assert plain["row"]["tiles"] == ["Sales | today"]
    assert plain["violations"][0]["duration"] == 2400.0
    assert plain["violations"][0]["expected"] == 2.0
    assert plain["timeline"][0]["at"] == at("02:05").isoformat()
