"""What a failed step or dbt build is told as: one line, without classes, values of rows or secrets."""

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.orchestration.failures import dbt_failure, windows_of

ORDERS = next(one for one in load_contracts() if one.stream == "orders")


def result(name: str, status: str, message: str) -> dict[str, str]:
    return {"unique_id": f"model.hotdash.{name}", "status": status, "message": message}


def test_a_dbt_failure_names_the_first_model_and_counts_the_others() -> None:
    entries = [
        result("stg_a", "success", "OK"),
        result("fct_b", "error", "Database Error in model fct_b (models/fct_b.sql)\n  no such column\n  LINE 1: x"),
        result("fct_c", "skipped", ""),
        result("t_d", "fail", "Got 3 results, configured to fail if != 0"),
    ]
    assert dbt_failure(entries) == (
        "dbt: model fct_b failed: no such column (and 1 more); mend that, then materialise again"
    )
    assert "t_d failed: Got 3 results" in dbt_failure(entries[3:])


@pytest.mark.parametrize("entries", [[], [result("a", "success", "OK")]])
def test_a_build_that_ended_before_any_model_says_so(entries: list[dict[str, str]]) -> None:
    assert dbt_failure(entries).startswith("dbt: the build ended before any model failed")


def test_values_that_postgres_quotes_stay_out_of_a_dbt_failure() -> None:
    message = 'Database Error in model a\n  invalid input syntax for type integer: "ann@example.com"'
    assert "ann" not in dbt_failure([result("a", "error", message)])


def test_windows_are_named_as_one_day_or_as_a_range() -> None:
    assert windows_of(ORDERS, ["2026-03-08"]) == "shopify/orders 2026-03-08"
    assert windows_of(ORDERS, ["2026-03-07", "2026-03-08", "2026-03-09"]) == "shopify/orders 2026-03-07 to 2026-03-09"
