"""What a tick leaves in the tables is what the engine said, once, and the next tick goes on from there."""

import random
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hotdash_pipelines.sla import Definition, Observation, SlaError, State
from hotdash_pipelines.sla.records.history import incident, incidents, standings, versions, violations
from hotdash_pipelines.sla.records.incidents import Impact, severity_of
from hotdash_pipelines.sla.records.store import acknowledge, load_states
from tests.integration.sla.kept import Conn, Kept, column, rows
from tests.unit.sla.story import MIDNIGHT, STEP, Story, at, sla

SOURCE = "raw_shopify/orders"
MARTS = [f"marts_core/fct_{number:02}" for number in range(15)]
UPSTREAM = {mart: {SOURCE} for mart in MARTS}


def waiting(**more: object) -> Definition:
    return sla("waiting", "queue_age", **{"target": 5, "unit": "minutes", "dataset": "agent/agent_approvals"} | more)


def late(name: str, dataset: str, **more: object) -> Definition:
    return sla(name, "event_time_lag", target=2, unit="hours", dataset=dataset, **more)


def _open_rows(conn: Conn) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        """
        select
            sla_name, partition_key, kind, expected_value::float, actual_value::float, peak_value::float,
            impact_severity, escalation_level, v.breach_started_at, detected_at, last_seen_at, incident_key,
            suppressed_by is null
        from ops.sla_violations v join ops.incidents using (incident_id) where v.resolved_at is null order by 1, 2
        """,
    )


def _as_row(state: State) -> tuple[Any, ...]:
    one = state.violation
    assert one
    return (
        state.sla, state.partition, one.kind, one.expected, one.actual, one.peak, one.severity, one.level,
        one.breach_since, one.opened_at, one.last_seen_at, one.incident, one.loud_since is not None,
    )  # fmt: skip


def test_a_violation_is_opened_escalated_and_resolved_once_in_every_table(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting(escalate=[{"after": "15m", "severity": "high"}, {"after": "30m", "mention": "@a"}]))
    end = kept.run(MIDNIGHT, [1, *[7.5] * 20, 42.25, *[6.0] * 3, 2, 1])
    assert kept.told() == kept.outbox() == ["opened", "escalated", "escalated", "resolved"]
    (one,) = violations(warehouse)
    assert (one.kind, one.expected, one.peak, one.actual) == ("breach", 5, Decimal("42.25"), 6)
    assert (one.severity, one.escalation_level, one.reason) == ("high", 2, "recovered")
    assert (one.detected_at, one.resolved_at) == (MIDNIGHT + STEP, end - 2 * STEP)
    assert one.last_seen_at == end - 3 * STEP
    assert one.recovered_at
    assert one.duration == one.recovered_at - one.breach_started_at == 24 * STEP
    found = incident(warehouse, one.incident_id)
    assert [entry.kind for entry in found.timeline] == kept.told()
    assert (found.row.severity, found.row.resolved_at) == ("high", one.resolved_at)
    lines = rows(
        warehouse, "select level, message, metadata ->> 'duration_s' from agent.observability_logs order by id"
    )
    assert lines == [
        ("WARN", "SLA waiting opened", None),
        ("ERROR", "SLA waiting escalated", None),
        ("ERROR", "SLA waiting escalated", None),
        ("INFO", "SLA waiting resolved", str((24 * STEP).total_seconds())),
    ]


def test_every_tick_goes_on_from_the_tables_exactly_as_from_memory(warehouse: Conn) -> None:
    chance = random.Random(5)
    definitions = (
        waiting(open_after=2, resolve_after=2, alert_threshold=4),
        late("orders_lag", SOURCE, grace="10m", escalate=[{"after": "20m", "severity": "critical"}]),
        *(late(mart.rpartition("/")[2], mart, catch_up="5m") for mart in MARTS[:2]),
        sla("fct_by_six", dataset=MARTS[0], zone="America/New_York"),
    )
    kept, story = Kept(warehouse, *definitions, upstream=UPSTREAM), Story(*definitions, upstream=UPSTREAM)
    told = []
    for number in range(120):
        now = at("04:00") + number * STEP
        seen = [
            Observation(one.name, chance.choice([0.5, 1, 2.5, 4.7, 9.25, 1 / 3]))
            if chance.random() < 0.8
            else Observation(one.name, unknown_reason="no answer", details={"cause": "warehouse"})
            for one in definitions[:-1]
            if chance.random() < 0.95
        ]
        arrived = at("07:10") if now >= at("07:10") else None
        seen.append(Observation("fct_by_six", at=arrived, partition="2026-02-09"))
        events = story.tick(now, *seen)
        done = kept.tick(now, *seen)
        assert done.tick
        assert done.tick.events == events
        assert load_states(warehouse) == story.states
        told += [event.kind for event in events if not event.silent]
        assert _open_rows(warehouse) == sorted(_as_row(state) for state in story.states.values() if state.violation)
        assert (column(warehouse, "select count(*) from ops.incidents where resolved_at is null") == [0]) == (
            not story.open
        )
    assert kept.told() == kept.outbox() == told
    assert {"opened", "escalated", "resolved", "suppressed", "unsuppressed", "warned"} <= set(told)
    standing = {(one.sla, one.partition): one.standing for one in standings(warehouse)}
    assert story.last
    assert standing == {key: story.last.verdicts[key].state for key in story.states if key in story.last.verdicts}


def test_a_changed_target_is_a_new_version_and_the_open_violation_keeps_its_own(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting())
    now = kept.run(MIDNIGHT, [1, 7])
    kept.definitions = (waiting(target=6),)
    now = kept.run(now, [7, 1])
    kept.definitions = (waiting(target=6, owner="team:other"),)
    now = kept.run(now, [1])
    kept.definitions = (waiting(),)
    kept.run(now, [1, 9])
    assert [(one.version, one.target, one.owner, one.retired_at is None) for one in versions(warehouse, "waiting")] == [
        (3, 5, "team:data", True),
        (2, 6, "team:other", False),
        (1, 5, "team:data", False),
    ]
    second, first = violations(warehouse)
    assert (first.version, first.expected, first.reason) == (1, 5, "recovered")
    assert (second.version, second.expected, second.resolved_at) == (3, 5, None)


def test_a_removed_sla_is_retired_and_closes_its_violation(warehouse: Conn) -> None:
    other = late("orders_lag", SOURCE)
    kept = Kept(warehouse, waiting(), other)
    now = kept.run(MIDNIGHT, [1, 7])
    kept.definitions = (other,)
    kept.tick(now, Observation("orders_lag", 1))
    (one,) = violations(warehouse)
    assert (one.reason, one.resolved_at) == ("retired", now)
    assert [sla.retired_at for sla in versions(warehouse, "waiting")] == [now]
    last = kept.notices[-1]
    assert (last.event.kind, last.event.reason, last.definition) == ("resolved", "retired", None)
    assert (last.dataset, last.owner, last.runbook) == (
        "agent/agent_approvals",
        "team:data",
        "docs/runbooks/sla-late.md",
    )
    assert {key[0] for key in load_states(warehouse)} == {"orders_lag"}
    assert [row.resolved_at for row in incidents(warehouse)] == [now]


def test_no_definition_at_all_retires_nothing(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting())
    now = kept.run(MIDNIGHT, [1, 7])
    kept.definitions = ()
    with pytest.raises(SlaError, match="no SLA is defined"):
        kept.tick(now)
    assert len(violations(warehouse, open_only=True)) == 1
    assert [sla.retired_at for sla in versions(warehouse, "waiting")] == [None]


def test_a_root_with_fifteen_marts_behind_it_is_one_incident_as_severe_as_what_it_reaches(warehouse: Conn) -> None:
    tiles = tuple(f"tile {number}" for number in range(5))
    marts = [late(mart.rpartition("/")[2], mart, severity="low") for mart in MARTS]
    kept = Kept(
        warehouse,
        late("orders_lag", SOURCE, severity="low"),
        *marts,
        upstream=UPSTREAM,
        impact={SOURCE: Impact(tuple(MARTS[:3]), ()), MARTS[3]: Impact((MARTS[4],), tiles)},
    )
    bad = [Observation(one.name, 30) for one in kept.definitions]
    good = [Observation(one.name, 1) for one in kept.definitions]
    kept.tick(MIDNIGHT, *good)
    kept.tick(MIDNIGHT + STEP, *bad)
    kept.tick(MIDNIGHT + 2 * STEP, *bad)
    (row,) = incidents(warehouse, open_only=True)
    assert (row.sla, row.dataset, row.violations, row.open_violations) == ("orders_lag", SOURCE, 16, 16)
    assert (row.severity, row.assets, row.tiles) == ("high", tuple(sorted(MARTS[:3] + MARTS[4:5])), tiles)
    assert kept.told() == kept.outbox() == ["opened"]
    (notice,) = kept.notices
    assert [behind.dataset for behind in notice.behind] == MARTS
    assert (notice.impact.tiles, notice.incident_severity, notice.incident_id) == (tiles, "high", row.incident_id)
    assert column(warehouse, "select distinct suppressed_by from ops.sla_violations order by 1") == ["orders_lag", None]
    kept.tick(MIDNIGHT + 3 * STEP, *good)
    assert kept.told() == ["opened", "resolved"]
    (row,) = incidents(warehouse)
    assert (row.resolved_at, row.open_violations, row.severity) == (MIDNIGHT + 3 * STEP, 0, "high")
    timeline = incident(warehouse, row.incident_id).timeline
    assert Counter(entry.kind for entry in timeline) == {"opened": 16, "resolved": 16}
    assert sum(not entry.silent for entry in timeline) == 2


@pytest.mark.parametrize(
    "assets, tiles, severity",
    [(0, 0, "low"), (19, 0, "low"), (20, 0, "high"), (0, 1, "medium"), (0, 4, "medium"), (0, 5, "high")],
)
def test_severity_grows_with_what_is_downstream_and_never_shrinks(assets: int, tiles: int, severity: str) -> None:
    impact = Impact(tuple(map(str, range(assets))), tuple(map(str, range(tiles))))
    assert severity_of(["low"], impact) == severity_of([], impact) == severity
    assert severity_of(["low", "critical"], impact) == "critical"


def test_a_violation_told_before_its_root_joins_the_roots_incident(warehouse: Conn) -> None:
    mart = late("fct_00", MARTS[0])
    kept = Kept(warehouse, late("orders_lag", SOURCE), mart, upstream=UPSTREAM)
    for number, (source, fct) in enumerate([(1, 1), (1, 9), (9, 9), (9, 9)]):
        kept.tick(MIDNIGHT + number * STEP, Observation("orders_lag", source), Observation("fct_00", fct))
    assert kept.told() == ["opened", "opened", "suppressed"]
    root, own = incidents(warehouse)
    assert (root.sla, root.open_violations, own.sla, own.violations) == ("orders_lag", 2, "fct_00", 0)
    assert (root.resolved_at, own.resolved_at) == (None, MIDNIGHT + 2 * STEP)
    assert [entry.kind for entry in incident(warehouse, own.incident_id).timeline] == ["opened", "suppressed"]


def test_flaps_go_on_with_the_incident_and_open_it_again(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting(flap_window="1h"))
    kept.run(MIDNIGHT, [1, 9, 1, 1, 9, 9])
    (row,) = incidents(warehouse)
    assert (row.resolved_at, row.violations, row.open_violations) == (None, 2, 1)
    assert [one.reopened for one in violations(warehouse)] == [1, 0]


def test_an_acknowledgement_stops_escalation_and_is_in_the_timeline(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting(escalate=[{"after": "15m", "severity": "high"}]))
    with pytest.raises(SlaError, match="no open violation"):
        acknowledge(warehouse, kept.definitions, "waiting", None, "sam", MIDNIGHT)
    now = kept.run(MIDNIGHT, [1, 9])
    for by, wrong in (("  ", "name of a person"), ("x" * 101, "at most 100")):
        with pytest.raises(SlaError, match=wrong):
            acknowledge(warehouse, kept.definitions, "waiting", None, by, now)
    with pytest.raises(SlaError, match="no SLA"):
        acknowledge(warehouse, kept.definitions, "waitin", None, "sam", now)
    with pytest.raises(SlaError, match="2026-02-09 has no open violation"):
        acknowledge(warehouse, kept.definitions, "waiting", "2026-02-09", "sam", now)
    (notice,) = acknowledge(warehouse, kept.definitions, "waiting", None, " sam\n\x00smith ", now - STEP / 2)
    assert (notice.event.kind, notice.event.by) == ("acknowledged", "sam smith")
    assert acknowledge(warehouse, kept.definitions, "waiting", None, "kim", now) == ()
    kept.run(now, [9] * 5)
    assert kept.told() == ["opened"]
    (one,) = violations(warehouse)
    assert (one.acked_by, one.acked_at, one.escalation_level) == ("sam smith", now - STEP / 2, 0)
    timeline = incident(warehouse, one.incident_id).timeline
    assert [(entry.kind, entry.by) for entry in timeline] == [("opened", None), ("acknowledged", "sam smith")]


def test_of_several_open_partitions_one_is_named(warehouse: Conn) -> None:
    kept = Kept(warehouse, sla())
    for now in (at("05:00"), at("07:00"), at("07:00", 1)):
        kept.tick(now, Observation("orders_by_six"))
    assert [one.partition for one in violations(warehouse, open_only=True)] == ["2026-02-10", "2026-02-09"]
    with pytest.raises(SlaError, match="2026-02-09, 2026-02-10"):
        acknowledge(warehouse, kept.definitions, "orders_by_six", None, "sam", at("08:00", 1))
    (notice,) = acknowledge(warehouse, kept.definitions, "orders_by_six", "2026-02-09", "sam", at("08:00", 1))
    assert notice.event.partition == "2026-02-09"


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1e300, 0.1])
def test_whatever_an_observer_saw_the_tick_takes_it(warehouse: Conn, value: float) -> None:
    strange = {"text": "a\x00b\ud800", "set": {1}, "instant": MIDNIGHT, "of": object, 3: Decimal("0.1"), "n": value}
    kept = Kept(warehouse, sla("rate", "check_rate", target=99, unit="percent"), waiting(grace="0s"))
    for number in range(2):
        now = MIDNIGHT + number * STEP
        unseen = Observation("waiting", unknown_reason="\x00no\nway")
        kept.tick(now, Observation("rate", value, details=strange), unseen)
    states = {"ok" if value in (float("inf"), 1e300) else "unknown" if value != value else "breach", "unknown"}
    assert {one.standing for one in standings(warehouse)} == states


def test_a_log_that_cannot_be_written_does_not_stop_the_evaluation(warehouse: Conn) -> None:
    warehouse.execute("revoke insert on agent.observability_logs from service_role")
    kept = Kept(warehouse, waiting())
    kept.run(MIDNIGHT, [1])
    done = kept.tick(MIDNIGHT + STEP, Observation("waiting", 9))
    assert done.warnings
    assert "1 log lines were not written (permission denied for table observability_logs)" in done.warnings[0]
    assert kept.outbox() == ["opened"]
    assert len(violations(warehouse, open_only=True)) == 1


def test_log_lines_carry_no_text_of_errors(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting(grace="0s"))
    kept.tick(MIDNIGHT, Observation("waiting", unknown_reason="could not sign in ann@example.com"))
    assert kept.told() == ["opened"]
    assert column(warehouse, "select count(*) from agent.observability_logs where message = 'SLA waiting opened'") == [
        1
    ]
    assert column(warehouse, "select count(*) from agent.observability_logs l where l::text ~ 'example'") == [0]


def test_a_message_that_cannot_be_written_undoes_the_tick(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting())
    now = kept.run(MIDNIGHT, [1])
    warehouse.execute("alter table ops.alert_outbox add constraint full_up check (id < 0) not valid")
    with pytest.raises(SlaError, match=r"did not take it .*full_up.*: nothing was changed"):
        kept.tick(now, Observation("waiting", 9))
    assert violations(warehouse) == []
    warehouse.execute("alter table ops.alert_outbox drop constraint full_up")
    kept.tick(now + timedelta(seconds=1), Observation("waiting", 9))
    assert kept.outbox() == ["opened"]


def test_without_the_tables_the_error_says_what_to_do(empty_database_url: str) -> None:
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(empty_database_url, autocommit=True) as conn:
        with pytest.raises(SlaError, match="run `hotdash db migrate`"):
            Kept(conn, waiting()).tick(MIDNIGHT)
        with pytest.raises(SlaError, match="run `hotdash db migrate`"):
            standings(conn)
        with conn.transaction(), pytest.raises(ValueError, match="outside"):
            Kept(conn, waiting()).tick(MIDNIGHT)


def test_a_name_whose_bytes_are_no_utf8_acknowledges_too(warehouse: Conn) -> None:
    kept = Kept(warehouse, waiting())
    now = kept.run(MIDNIGHT, [1, 9])
    (notice,) = acknowledge(warehouse, kept.definitions, "waiting", None, "J\udcffrg", now)
    assert notice.event.by == "J?rg"
