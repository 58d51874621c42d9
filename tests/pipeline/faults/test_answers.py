"""What a source sends is odd or little: it is set aside, held back or told, and its neighbours land."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hotdash_pipelines.orchestration import keys
from tests.pipeline.faults.states import (
    CONVERSATIONS,
    OPERATION,
    ORDERS,
    TRAFFIC,
    content,
    failure_line,
    main_rows,
    rows_of,
)
from tests.pipeline.harness.in_process import KEY, Bench, lake_files

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]


def test_an_unknown_field_is_loaded_around_and_the_check_warns(
    bench: Bench, clean: Callable[[str], dict[str, Any]]
) -> None:
    whole = clean(ORDERS)["tables"]
    bench.plant("unknown_field", "shopify", "Orders")
    outcome = bench.run(ORDERS)
    assert outcome.success
    # A part of the job runs every check of its assets, also those that only show how an SLA stands.
    # Of the orders of a day, those that were touched later lie in windows that were not read.
    beside = (": sla_", "raw_shopify/orders: days_match_the_source")
    warned = [name for name in outcome.failed_checks if not any(other in name for other in beside)]
    assert warned == ["lake_shopify/orders: all_fields_and_values_are_known (warning)"]
    assert bench.state(ORDERS)["tables"] == whole


@pytest.mark.parametrize("name", [ORDERS, TRAFFIC])
def test_a_record_with_a_wrong_type_is_set_aside_and_its_neighbours_land(
    bench: Bench, clean: Callable[[str], dict[str, Any]], name: str
) -> None:
    whole = clean(name)
    bench.plant("wrong_type", name.partition("/")[0], OPERATION[name])
    outcome = bench.run(name)
    assert outcome.success, outcome.errors
    assert outcome.assets[f"lake_{name}"] == main_rows(whole, name) - 1
    warned = f"lake_{name}: no_record_waits_in_quarantine (warning)"
    assert warned in outcome.failed_checks
    (kept,) = (path for path in lake_files(bench.stack.home) if path.startswith("quarantine/"))
    assert kept.startswith(f"quarantine/{name}/")
    assert told_to_wait(bench) == {"records_waiting": 1, name: 1}
    bench.heal()
    healed = bench.run(name)
    assert healed.success
    assert warned not in healed.failed_checks
    assert told_to_wait(bench) == {"records_waiting": 0}
    assert bench.state(name)["tables"] == whole["tables"]
    assert not [path for path in lake_files(bench.stack.home) if path.startswith("quarantine/")]


def told_to_wait(bench: Bench) -> dict[str, Any]:
    """What the asset of the records set aside shows last."""
    (seen,) = bench.instance.fetch_observations(keys.QUARANTINE_KEY, limit=1).records
    assert seen.asset_observation is not None
    return {name: entry.value for name, entry in seen.asset_observation.metadata.items()}


def test_a_window_of_wrong_types_is_refused(bench: Bench, clean: Callable[[str], dict[str, Any]]) -> None:
    bench.plant("wrong_type", "chatwoot", OPERATION[CONVERSATIONS])
    line = failure_line(bench.run(CONVERSATIONS))
    assert re.match(
        rf"^{CONVERSATIONS} {KEY}: (\d+) of \1 records break the contract .*mend contracts/{CONVERSATIONS}.yaml", line
    )
    kept = lake_files(bench.stack.home)
    assert kept
    assert all(path.startswith(f"quarantine/{CONVERSATIONS}/") for path in kept)
    assert str(bench.stack.home / "lake" / kept[0]) in line
    assert rows_of(bench.state(CONVERSATIONS)) == 0
    bench.heal()
    assert bench.run(CONVERSATIONS).success
    assert content(bench.state(CONVERSATIONS)) == content(clean(CONVERSATIONS))


def test_an_empty_day_is_a_partition_without_rows(bench: Bench) -> None:
    """Nobody wrote on that day, long before the store's support began."""
    assert bench.run(CONVERSATIONS).success
    before = bench.state(CONVERSATIONS)
    outcome = bench.run(CONVERSATIONS, first="2025-01-15")
    assert outcome.success, outcome.errors
    state = bench.state(CONVERSATIONS)
    assert outcome.assets["lake_chatwoot/conversations"] == 0
    assert len(state["manifests"]) == len(state["loads"]) == 2
    assert state["tables"] == before["tables"]


def test_a_restated_day_that_comes_back_empty_keeps_its_rows_until_it_is_confirmed(
    bench: Bench, clean: Callable[[str], dict[str, Any]]
) -> None:
    whole = clean(TRAFFIC)["tables"]
    assert bench.run(TRAFFIC).success
    bench.plant("empty", "ga4", OPERATION[TRAFFIC])
    outcome = bench.run(TRAFFIC)
    assert outcome.success, outcome.errors
    assert outcome.failed == 1
    assert "lake_ga4/traffic_daily: no_answer_was_held_back" in outcome.failed_checks
    told = (
        "select blocking, severity from ops.check_results where check_name = 'no_answer_was_held_back' and not passed"
    )
    assert bench.stack.query(told) == [(False, "error")]
    assert bench.state(TRAFFIC)["tables"] == whole
    bench.set(second_read_after_minutes="0")
    assert bench.run(TRAFFIC).success
    assert rows_of(bench.state(TRAFFIC)) == 0
    bench.heal()
    assert bench.run(TRAFFIC).success
    assert bench.state(TRAFFIC)["tables"] == whole


def test_a_person_may_say_that_an_empty_day_is_right(bench: Bench) -> None:
    assert bench.run(TRAFFIC).success
    bench.plant("empty", "ga4", OPERATION[TRAFFIC])
    wanted = [keys.lake_key("ga4", "traffic_daily"), keys.raw_key("ga4", "traffic_daily")]
    word = {keys.FEWER_ROWS_TAG: keys.FEWER_ROWS_ACCEPTED}
    assert bench.execute(wanted, KEY, KEY, tags=word).success
    assert rows_of(bench.state(TRAFFIC)) == 0


def test_a_setting_says_how_little_is_doubted(bench: Bench) -> None:
    assert bench.run(TRAFFIC).success
    bench.plant("empty", "ga4", OPERATION[TRAFFIC])
    bench.set(small_answer_share="0")
    outcome = bench.run(TRAFFIC)
    assert "lake_ga4/traffic_daily: no_answer_was_held_back" not in outcome.failed_checks
    assert rows_of(bench.state(TRAFFIC)) == 0


def test_a_listing_that_comes_back_empty_marks_nothing_deleted(bench: Bench) -> None:
    newest, living = "2026-03-09", "select count(*) from raw_chatwoot.inboxes where _deleted_at is null"
    assert bench.run("chatwoot/inboxes", first=newest).success
    ((before,),) = bench.stack.query(living)
    assert before > 0
    bench.plant("empty", "chatwoot", "inboxes")
    outcome = bench.run("chatwoot/inboxes", first=newest)
    assert "lake_chatwoot/inboxes: no_answer_was_held_back" in outcome.failed_checks
    assert bench.stack.query(living) == [(before,)]


def test_a_window_shorter_than_the_source_counted_is_not_loaded_and_is_read_again(bench: Bench) -> None:
    """The day is past its re-fetch days, so only the count says that it must be read again."""
    day = "2026-03-05"
    bench.plant("empty", "shopify", "Orders")
    failed = bench.run(ORDERS, first=day, refetch=keys.REFETCH_DUE)
    assert failure_line(failed) == (
        "1 blocking asset check failed with ERROR severity: lake_shopify/orders: row_counts_match_the_source"
    )
    assert rows_of(bench.state(ORDERS)) == 0
    bench.heal()
    assert bench.run(ORDERS, first=day, refetch=keys.REFETCH_DUE).success
    assert rows_of(bench.state(ORDERS)) > 0


def test_a_routine_run_does_not_read_again_what_was_read_just_now(bench: Bench) -> None:
    assert bench.run(ORDERS).success
    loaded = bench.state(ORDERS)
    bench.plant("status", "shopify", None, status=500)
    assert bench.run(ORDERS, refetch=keys.REFETCH_DUE).success
    assert bench.state(ORDERS) == loaded
    failure_line(bench.run(ORDERS))


def test_a_day_that_is_not_over_is_read_up_to_now_and_again_when_it_is_over(bench: Bench) -> None:
    bench.set(fixed_now="2026-03-09T03:59:59+00:00")
    assert bench.run(ORDERS).success
    (manifest,) = bench.state(ORDERS)["manifests"].values()
    assert (manifest["is_open"], manifest["fetched_at"]) == (True, "2026-03-09T03:59:59+00:00")
    bench.set(fixed_now="2026-03-09T04:00:00+00:00", reread_after_minutes="30")
    assert bench.run(ORDERS, refetch=keys.REFETCH_DUE).success
    (manifest,) = bench.state(ORDERS)["manifests"].values()
    assert not manifest["is_open"]
    loads = "select is_open, complete_to from ops.lake_loads"
    assert bench.stack.query(loads) == [(False, datetime(2026, 3, 9, 4, tzinfo=UTC))]


def test_a_date_that_is_not_over_is_not_asked_for_and_says_when_it_is(bench: Bench) -> None:
    """By hand as in a range that includes today; what depends on it goes on."""
    bench.set(fixed_now="2026-03-09T03:59:59+00:00")
    assert bench.run(TRAFFIC, first="2026-03-07").success
    before = bench.state(TRAFFIC)
    bench.plant("status", "ga4", None, status=500)
    outcome = bench.run(TRAFFIC)
    assert outcome.success, outcome.errors
    assert bench.state(TRAFFIC) == before
    event = bench.instance.get_latest_materialization_event(keys.lake_key("ga4", "traffic_daily"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["not_read"].value == (
        f"{KEY}: its source counts a date once it is over; materialise it after 2026-03-09 04:00 UTC"
    )


def test_a_day_that_has_not_begun_is_refused(bench: Bench) -> None:
    bench.set(fixed_now="2026-03-08T04:59:59+00:00")
    line = failure_line(bench.run(ORDERS))
    assert re.match(rf"^{ORDERS} {KEY}: the day has not begun .*after 2026-03-08 05:00 UTC", line)
