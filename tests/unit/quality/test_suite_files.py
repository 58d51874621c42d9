"""The loader of expectation suites: what it takes, and that a typo stops it."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.quality import SuiteError, load_suite, load_suites
from hotdash_pipelines.quality.suites import known_types

ROOT = Path(__file__).resolve().parents[3]
# Arguments that every expectation takes; the loader keeps them out of suite files.
COMMON_ARGUMENTS = {
    "id",
    "meta",
    "notes",
    "result_format",
    "description",
    "catch_exceptions",
    "rendered_content",
    "windows",
    "batch_id",
    "severity",
    "library_metadata",
}


def entry(**changes: Any) -> dict[str, Any]:
    meta = {
        "check": "thing_ids_are_unique",
        "description": "A thing stands twice and is counted twice.",
        "rule": "U1",
        "dimension": "uniqueness",
        "blocking": True,
        "runbook": "docs/runbooks/quality-check-failed.md",
    }
    meta.update(changes.pop("meta", {}))
    kwargs = {"column": "thing_id"}
    return {
        "type": "expect_column_values_to_be_unique",
        "kwargs": kwargs,
        "severity": "critical",
        "meta": meta,
    } | changes


def floor() -> dict[str, Any]:
    return entry(
        type="expect_table_row_count_to_be_between", kwargs={"min_value": 1}, meta={"check": "things_are_present"}
    )


def rows(query: str) -> dict[str, Any]:
    return entry(type="unexpected_rows_expectation", kwargs={"unexpected_rows_query": query})


def test_the_tables_that_a_query_compares_with_are_known() -> None:
    compared = {
        expectation.check: set(expectation.compared_with)
        for suite in load_suites()
        for expectation in suite.expectations
        if expectation.compared_with
    }
    assert compared["order_customers_are_known"] == {"marts_core/dim_customer"}
    assert compared["order_counts_match_the_raw_orders"] == {"raw_shopify/orders"}


def suite(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"name": "raw_x.things", "meta": {"asset": "raw_x/things"}, "expectations": list(entries)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write_file(content: dict[str, Any]) -> Path:
        path = tmp_path / "raw_x.things.json"
        path.write_text(json.dumps(content))
        return path

    return write_file


def test_a_sound_suite_is_read_in_full(write: Callable[[dict[str, Any]], Path]) -> None:
    sound = load_suite(write(suite(floor(), entry())))
    assert (sound.schema, sound.table, sound.asset) == ("raw_x", "things", "raw_x/things")
    assert sound.checks == ("things_are_present", "thing_ids_are_unique")
    assert sound.expectations[1].columns == ("thing_id",)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (entry(type="expect_column_values_to_be_uniqe"), "unknown expectation type 'expect_column_values_to_be_uniqe'"),
        (entry(severity="fatal"), "'fatal' is not one of"),
        (entry(kwargs={"colum": "thing_id"}), "kwargs lack column"),
        (entry(kwargs={"column": "thing_id", "mosty": 1}), "does not take: mosty"),
        (entry(meta={"dimension": "beauty"}), "'beauty' is not one of"),
        (entry(meta={"check": "uniqueness"}), "does not match"),
        (entry(meta={"blocking": "yes"}), "'yes' is not of type 'boolean'"),
        (entry(meta={"runbook": "docs/elsewhere.md"}), "does not match"),
        (entry(severity="warning"), "a blocking check must be critical"),
        (entry(kwargs={"column": "thing_id", "mostly": {"$PARAMETER": "x"}}), "the only objects taken"),
        (entry(serverity="critical"), "Additional properties"),
        (rows("SELECT email FROM {batch}"), "fetches no value"),
        (rows("SELECT 1 AS broken FROM raw_x.things"), "fetches no value"),
        (rows("SELECT 1 AS broken FROM {batch}; DROP TABLE raw_x.things"), "without a semicolon"),
        (rows("SELECT 1 AS broken FROM {batch} WHERE at < now()"), "reads the wall clock"),
        (rows("SELECT 1 AS broken FROM {batch} WHERE day < CURRENT_DATE - 1"), "reads the wall clock"),
    ],
)
def test_a_wrong_entry_stops_the_load_and_is_named(
    write: Callable[[dict[str, Any]], Path], broken: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SuiteError) as error:
        load_suite(write(suite(floor(), broken)))
    assert str(error.value).startswith(f"raw_x.things.json: expectation 2 ({broken['meta']['check']}): ")
    assert complaint in str(error.value)


def test_an_entry_without_meta_is_named_by_its_number(write: Callable[[dict[str, Any]], Path]) -> None:
    nameless = entry()
    del nameless["meta"]
    with pytest.raises(SuiteError, match=r"raw_x.things.json: expectation 2 \(unnamed\): entry: 'meta' is a required"):
        load_suite(write(suite(floor(), nameless)))


def test_a_check_name_used_twice_stops_the_load(write: Callable[[dict[str, Any]], Path]) -> None:
    with pytest.raises(SuiteError, match=r"expectation 3 \(thing_ids_are_unique\): the check name is used twice"):
        load_suite(write(suite(floor(), entry(), entry())))


@pytest.mark.parametrize("lowest", [{}, {"min_value": 0}, {"min_value": 1, "row_condition": "thing_id > 0"}])
def test_a_suite_without_a_row_count_floor_stops_the_load(
    write: Callable[[dict[str, Any]], Path], lowest: dict[str, Any]
) -> None:
    with pytest.raises(SuiteError, match="no row-count floor"):
        load_suite(write(suite(floor() | {"kwargs": lowest}, entry())))


def test_a_suite_may_do_without_a_floor_when_it_says_why(write: Callable[[dict[str, Any]], Path]) -> None:
    reason = {
        "asset": "raw_x/things",
        "may_be_empty": "Not every shop has things; the check of y sees those that are lost.",
    }
    assert load_suite(write(suite(entry()) | {"meta": reason})).checks == ("thing_ids_are_unique",)
    with pytest.raises(SuiteError, match=r"may_be_empty.* is too short"):
        load_suite(write(suite(entry()) | {"meta": reason | {"may_be_empty": "because"}}))
    with pytest.raises(SuiteError, match="contradicts the row-count floor"):
        load_suite(write(suite(floor(), entry()) | {"meta": reason}))


def test_a_suite_must_be_named_as_its_file(write: Callable[[dict[str, Any]], Path]) -> None:
    with pytest.raises(SuiteError, match=r"raw_x.things.json: the name 'raw_x.thing' must equal the file's"):
        load_suite(write(suite(floor()) | {"name": "raw_x.thing"}))


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "raw_x.things.json").write_text('{"name": ')
    with pytest.raises(SuiteError, match=r"raw_x.things.json: cannot be read as JSON"):
        load_suites(tmp_path)


def test_a_missing_folder_is_an_error_and_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such folder"):
        load_suites(tmp_path / "gone")


def test_relative_instants_are_resolved_against_the_given_now(write: Callable[[dict[str, Any]], Path]) -> None:
    kwargs = {"column": "at", "min_value": {"$hours_from_now": -36}}
    late = load_suite(write(suite(floor(), entry(type="expect_column_max_to_be_between", kwargs=kwargs)))).expectations[
        1
    ]
    now = datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert late.needs_now
    assert late.kwargs_at(now)["min_value"] == now - timedelta(hours=36)
    assert replace(late, kwargs={"min_value": {"$days_from_now": -3}}).kwargs_at(now)["min_value"] == date(2026, 3, 7)
    with pytest.raises(ValueError, match="pass now"):
        late.kwargs_at(None)
    with pytest.raises(ValueError, match="pass now"):
        late.kwargs_at(now.replace(tzinfo=None))


def test_an_unknown_check_cannot_be_selected(write: Callable[[dict[str, Any]], Path]) -> None:
    with pytest.raises(SuiteError, match="no such check: thing_ids_are_uniqe"):
        load_suite(write(suite(floor(), entry()))).select({"thing_ids_are_uniqe"})


def test_the_repository_has_the_promised_suites() -> None:
    assert [found.name for found in load_suites()] == [
        "marts_agent.fct_agent_query",
        "marts_agent.fct_approval",
        "marts_core.fct_order",
        "marts_core.fct_order_line",
        "metrics.agg_agent_daily_performance",
        "metrics.agg_sales_daily",
        "raw_chatwoot.conversations",
        "raw_ga4.landing_daily",
        "raw_ga4.traffic_daily",
        "raw_shopify.order_lines",
        "raw_shopify.orders",
    ]


def test_every_runbook_of_a_check_exists_and_has_its_three_parts() -> None:
    runbooks = {expectation.runbook for found in load_suites() for expectation in found.expectations}
    for runbook in runbooks:
        text = (ROOT / runbook).read_text()
        assert all(f"## {part}" in text for part in ("Detection", "Triage", "Resolution")), runbook


def test_columns_and_value_sets_of_raw_suites_are_those_of_the_contracts() -> None:
    fields = {
        (f"raw_{contract.source}.{table.name}", name): contract.field_of(table, name)
        for contract in load_contracts()
        for table in contract.tables
        for name in table.column_names
    }
    for raw_suite in load_suites():
        if not raw_suite.schema.startswith("raw_"):
            continue
        for expectation in raw_suite.expectations:
            for column in expectation.columns:
                assert (raw_suite.name, column) in fields, f"{raw_suite.name} {expectation.check}: no column {column}"
            if "value_set" in expectation.kwargs:
                allowed = fields[raw_suite.name, expectation.columns[0]].enum
                assert sorted(expectation.kwargs["value_set"]) == sorted(allowed), expectation.check


@pytest.mark.slow
def test_the_committed_list_of_expectation_types_is_what_the_pinned_version_offers() -> None:
    import great_expectations  # noqa: F401
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    offered = {}
    for name in list_registered_expectation_implementations():
        fields = get_expectation_impl(name).__fields__
        arguments = set(fields) - COMMON_ARGUMENTS
        offered[name] = {
            "required": sorted(argument for argument in arguments if fields[argument].required),
            "optional": sorted(argument for argument in arguments if not fields[argument].required),
        }
    assert offered == known_types()


def test_great_expectations_is_not_imported_with_the_rooms() -> None:
    script = (
        "import sys, hotdash_pipelines.alerts, hotdash_pipelines.quality as q; q.load_suites();"
        "print([m for m in ('great_expectations', 'pandas', 'sqlalchemy', 'dagster') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
