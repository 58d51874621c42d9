"""What is too old, without a database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.operations.retention.rules import cut_offs, lock_of, rules, too_old

RULES = {rule.table: rule for rule in rules()}


@pytest.mark.parametrize(
    "now, expected",
    [
        ("2024-03-30T12:00+00:00", "2024-02-29"),
        ("2024-03-31T23:59:59.999999+00:00", "2024-03-01"),
        ("2023-03-30T00:00+00:00", "2023-02-28"),
        ("2024-01-30T00:00+00:00", "2023-12-31"),
        # Still the day before in UTC.
        ("2024-03-31T05:29+05:30", "2024-02-29"),
        # Already the day after in UTC.
        ("2024-03-29T20:00-04:00", "2024-02-29"),
    ],
)
def test_the_cut_off_is_a_midnight_of_utc(now: str, expected: str) -> None:
    at = cut_offs(RULES["agent_feedback"], datetime.fromisoformat(now))
    assert at.normal == datetime.fromisoformat(f"{expected}T00:00+00:00")
    assert at.normal.utcoffset() == timedelta(0)
    assert at.long == at.normal - timedelta(days=150)


def test_every_instant_of_a_day_has_the_same_cut_offs() -> None:
    midnight = datetime(2024, 3, 10, tzinfo=UTC)
    for rule in RULES.values():
        instants = [midnight + timedelta(hours=hour) for hour in range(24)]
        local = [instant.astimezone(ZoneInfo("America/New_York")) for instant in instants]
        assert len({cut_offs(rule, instant) for instant in (*instants, *local)}) == 1
        assert cut_offs(rule, midnight + timedelta(days=1)) != cut_offs(rule, midnight)


def test_a_clock_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        cut_offs(RULES["agent_feedback"], datetime(2024, 1, 1))  # noqa: DTZ001 - what is refused


def test_tables_without_a_setting_are_kept() -> None:
    assert list(RULES) == ["agent_feedback", "agent_approvals", "agent_queries", "agent_queries_history"]
    with_settings = rules(
        retain_observability_logs_days=90,
        retain_decision_logs_days=365,
        retain_facts_days=10,
        retain_curated_replies_days=20,
    )
    assert {rule.table: (rule.days, rule.age) for rule in with_settings[4:]} == {
        "observability_logs": (90, ("created_at",)),
        "decision_sync_event_logs": (365, ("created_at",)),
        "facts": (10, ("created_at",)),
        "support_curated_replies": (20, ("approved_at",)),
    }


def test_versions_wait_for_the_runs_over_their_table() -> None:
    queries, history = RULES["agent_queries"], RULES["agent_queries_history"]
    assert lock_of(queries, "run") == lock_of(history, "run")
    assert len({lock_of(rule, what) for rule in RULES.values() for what in ("run", "part")}) == 6


def test_conditions_hold_their_instants_with_an_offset() -> None:
    now = datetime(2024, 7, 1, tzinfo=UTC)
    for rule in RULES.values():
        condition = too_old(rule, cut_offs(rule, now))
        assert condition.count("+00:00'::timestamptz") == condition.count("::timestamptz") > 0
