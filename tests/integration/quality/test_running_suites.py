"""Running a suite against Postgres: what is refused, what is never revealed, what is kept."""

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.alerts import failed_blocking_checks
from hotdash_pipelines.quality import (
    EXPECTATIONS_DIR,
    CheckFinding,
    Expectation,
    QualityError,
    Suite,
    load_suite,
    run,
    run_suite,
    store_findings,
)
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.databases import fresh_database
from tests.integration.quality.shop_tables import NOW, PROJECT, insert, order

# One worker has all that run suites: Great Expectations takes two seconds to import.
pytestmark = pytest.mark.xdist_group("suites")
ORDERS = load_suite(EXPECTATIONS_DIR / "raw_shopify.orders.json")
PLANTED = "planted.person@example.com"


@pytest.fixture
def warehouse_url(server: EmbeddedPostgres, small_shop: str) -> Iterator[str]:
    """A small shop of the test's own."""
    with fresh_database(server.url("postgres"), small_shop) as url:
        yield url


@pytest.fixture
def shop(warehouse: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    return warehouse


def by_check(findings: list[CheckFinding]) -> dict[str, CheckFinding]:
    return {finding.check: finding for finding in findings}


def with_expectation(**changes: Any) -> Suite:
    """The suite of the orders with its second expectation changed."""
    floor, second, *_ = ORDERS.expectations
    return replace(ORDERS, expectations=(floor, replace(second, **changes)))


def role_url(warehouse_url: str, role: str) -> str:
    """The same database, signed in as another role without a password of the owner's."""
    return warehouse_url.split("//")[0] + f"//{role}:{role}@" + warehouse_url.rsplit("@", 1)[1]


@pytest.fixture
def reader(shop: psycopg.Connection[Any]) -> Iterator[str]:
    """A role that may read the raw tables but is subject to row-level security."""
    name = "reader_" + shop.info.dbname
    shop.execute(f"create role {name} login password '{name}'")
    shop.execute(f"grant usage on schema raw_shopify to {name}")
    shop.execute(f"grant select on all tables in schema raw_shopify to {name}")
    yield name
    shop.execute(f"drop owned by {name}")
    shop.execute(f"drop role {name}")


def test_selected_checks_run_and_no_others(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    findings = run_suite(ORDERS, warehouse_url, {"order_totals_add_up", "orders_are_present"}, PROJECT)
    assert [finding.check for finding in findings] == ["orders_are_present", "order_totals_add_up"]


def test_a_timeliness_check_without_now_is_refused(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    with pytest.raises(ValueError, match="pass now"):
        run_suite(ORDERS, warehouse_url, {"order_updates_are_recent"}, PROJECT)


def test_only_rows_of_the_project_are_checked(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    insert(shop, "raw_shopify.orders", [order(1, "28.00", currency_code="EUR", financial_status="ODD")], "other-shop")
    findings = run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW)
    assert all(finding.passed for finding in findings)
    assert {finding.element_count for finding in findings} == {2}
    other = by_check(run_suite(ORDERS, warehouse_url, None, "other-shop", now=NOW))
    assert not other["order_payment_states_are_known"].passed


def test_a_project_key_that_is_no_slug_is_refused(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    with pytest.raises(ValueError, match="is no project key"):
        run_suite(ORDERS, warehouse_url, None, "x' or 'a' = 'a", now=NOW)


def test_no_visible_rows_fire_the_floor_although_gx_passes_the_rest(
    warehouse_url: str, shop: psycopg.Connection[Any]
) -> None:
    findings = by_check(run_suite(ORDERS, warehouse_url, None, "empty-shop", now=NOW))
    assert not findings["orders_are_present"].passed
    assert findings["order_ids_are_unique"].passed
    assert findings["order_ids_are_unique"].element_count == 0


def test_counts_say_how_many_rows_broke_a_rule(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    shop.execute("update raw_shopify.orders set total_amount = total_amount + 1 where order_id = 1")
    finding = run_suite(ORDERS, warehouse_url, {"order_totals_add_up"}, PROJECT)[0]
    assert (finding.element_count, finding.unexpected_count) == (2, 1)
    assert finding.message.startswith("1 of 2 rows break it: ")


def test_a_role_that_row_level_security_keeps_from_rows_is_refused(
    warehouse_url: str, shop: psycopg.Connection[Any], reader: str
) -> None:
    url = role_url(warehouse_url, reader)
    assert all(found.passed for found in run_suite(ORDERS, url, {"orders_are_present"}, PROJECT))
    shop.execute("alter table raw_shopify.orders enable row level security")
    shop.execute("create policy own on raw_shopify.orders using (project_key = current_setting('app.project', true))")
    with pytest.raises(QualityError, match=r"row-level security hides rows of raw_shopify.orders from role reader_"):
        run_suite(ORDERS, url, None, PROJECT, now=NOW)
    assert all(found.passed for found in run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW))


def test_rows_hidden_in_another_table_of_a_query_fail_the_check(
    warehouse_url: str, shop: psycopg.Connection[Any], reader: str
) -> None:
    shop.execute("alter table raw_shopify.order_lines enable row level security")
    finding = run_suite(ORDERS, role_url(warehouse_url, reader), {"orders_have_all_their_lines"}, PROJECT)[0]
    assert not finding.passed
    assert finding.message == "not evaluated: the query raised InsufficientPrivilege"


def test_a_missing_table_is_refused_and_named(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    shop.execute("drop table raw_shopify.orders")
    with pytest.raises(QualityError, match=r"raw_shopify.orders does not exist: materialise raw_shopify/orders"):
        run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW)


def test_a_missing_column_fails_its_check_only(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    shop.execute("alter table raw_shopify.orders drop column fulfillment_status")
    findings = by_check(run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW))
    assert {name for name, finding in findings.items() if not finding.passed} == {"order_delivery_states_are_known"}
    assert findings["order_delivery_states_are_known"].message == (
        "not evaluated: raw_shopify.orders has no column fulfillment_status"
    )


def test_a_check_without_a_result_is_a_failure(
    warehouse_url: str, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_validate", lambda *_: {})
    finding = run_suite(ORDERS, warehouse_url, {"order_ids_are_unique"}, PROJECT)[0]
    assert not finding.passed
    assert finding.message == "not evaluated: no result came back for this check"


@pytest.mark.parametrize("changes", [{"type": "expect_column_values_to_be_uniqe"}, {"severity": "fatal"}])
def test_an_entry_that_gx_drops_silently_is_noticed(
    warehouse_url: str, shop: psycopg.Connection[Any], changes: dict[str, str]
) -> None:
    with pytest.raises(QualityError, match="took 1 of 2 entries"):
        run_suite(with_expectation(**changes), warehouse_url, None, PROJECT)


def test_planted_personal_data_appears_nowhere(
    warehouse_url: str,
    shop: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.execute("update raw_shopify.orders set email = %s, financial_status = %s", (PLANTED, PLANTED))
    nosy = "SELECT 1 AS broken FROM {batch} WHERE email::numeric > 0"
    entries: tuple[Expectation, ...] = (
        replace(
            ORDERS.expectations[1],
            check="mails_are_in_set",
            type="expect_column_values_to_be_in_set",
            kwargs={"column": "email", "value_set": ["x"]},
        ),
        replace(
            ORDERS.expectations[1],
            check="mails_are_common",
            type="expect_column_most_common_value_to_be_in_set",
            kwargs={"column": "email", "value_set": ["x"]},
        ),
        replace(
            ORDERS.expectations[1],
            check="mails_are_known",
            type="expect_column_distinct_values_to_be_in_set",
            kwargs={"column": "email", "value_set": ["x"]},
        ),
        replace(
            ORDERS.expectations[1],
            check="mails_are_numbers",
            type="unexpected_rows_expectation",
            kwargs={"unexpected_rows_query": nosy},
        ),
    )
    suite = replace(ORDERS, expectations=(*ORDERS.expectations, *entries))
    findings = run_suite(suite, warehouse_url, None, PROJECT, now=NOW)
    failed = {finding.check for finding in findings if not finding.passed}
    assert failed >= {entry.check for entry in entries} | {"order_payment_states_are_known"}
    store_findings(warehouse_url, findings, PROJECT, "run-1", NOW)
    stored = shop.execute("select json_agg(check_results)::text from ops.check_results").fetchone()
    alerts = failed_blocking_checks(shop, PROJECT, "run-1", {}, "team:data")
    output = capfd.readouterr()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    for text in (
        str([asdict(finding) for finding in findings]),
        str(stored),
        str(alerts),
        logged,
        output.out,
        output.err,
    ):
        assert "planted.person" not in text


def test_nothing_is_written_but_the_results(warehouse_url: str, shop: psycopg.Connection[Any], tmp_path: Path) -> None:
    writes = with_expectation(
        type="unexpected_rows_expectation",
        kwargs={"unexpected_rows_query": "SELECT 1 AS broken FROM {batch} WHERE setval('raw_shopify.counter', 5) > 0"},
    )
    shop.execute("create sequence raw_shopify.counter")
    finding = run_suite(writes, warehouse_url, {"order_ids_are_unique"}, PROJECT)[0]
    assert finding.message == "not evaluated: the query raised ReadOnlySqlTransaction"


def test_no_session_stays_behind(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW)
    query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    # A server process outlives its connection by a moment.
    deadline = time.monotonic() + 30
    while (left := shop.execute(query).fetchone()) != (0,) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == (0,)


def test_a_password_with_signs_that_gx_would_substitute_works(
    warehouse_url: str, shop: psycopg.Connection[Any], reader: str
) -> None:
    shop.execute(f"alter role {reader} password 'a$HOME${{USER}}b'")
    url = role_url(warehouse_url, reader).replace(f":{reader}@", ":a$HOME$%7BUSER%7Db@")
    assert run_suite(ORDERS, url, {"orders_are_present"}, PROJECT)[0].passed


def test_nobody_is_called_while_a_suite_runs(
    warehouse_url: str, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *target, **_: called.append(target) or [])
    monkeypatch.setattr(socket.socket, "connect", lambda _, target: called.append(target))
    assert run_suite(ORDERS, warehouse_url, {"orders_are_present"}, PROJECT)[0].passed
    assert [target for target in called if "127.0.0.1" not in str(target)] == []
    with pytest.raises(OSError, match="getaddrinfo returns an empty list"):
        socket.create_connection(("telemetry.example.org", 443))
    assert called[-1][0] == "telemetry.example.org"


def test_storing_the_same_run_again_changes_nothing(warehouse_url: str, shop: psycopg.Connection[Any]) -> None:
    findings = run_suite(ORDERS, warehouse_url, None, PROJECT, now=NOW)
    columns = (
        "asset, check_name, dimension, severity, blocking, passed, element_count, unexpected_count, run_id, details"
    )
    query = f"select {columns} from ops.check_results order by check_name"
    assert store_findings(warehouse_url, findings, PROJECT, "run-1", NOW) == len(ORDERS.expectations)
    once = shop.execute(query).fetchall()
    store_findings(warehouse_url, findings, PROJECT, "run-1", NOW + timedelta(minutes=1))
    assert shop.execute(query).fetchall() == once
    store_findings(warehouse_url, findings, PROJECT, "run-2", NOW)
    assert len(shop.execute(query).fetchall()) == 2 * len(once)


def test_a_retried_step_replaces_its_own_findings_and_leaves_the_others(
    warehouse_url: str, warehouse: psycopg.Connection[Any]
) -> None:
    bad = CheckFinding(
        "marts_core/fct_order", "keys_are_unique", "uniqueness", "critical", True, False, "dbt:unique", "2 rows", 9, 2
    )
    other = replace(bad, check="totals_add_up", severity="warning", blocking=False)
    store_findings(warehouse_url, [bad, other], PROJECT, "run-1", NOW)
    store_findings(warehouse_url, [replace(bad, passed=True, unexpected_count=0)], PROJECT, "run-1", NOW)
    kept = warehouse.execute(
        "select check_name, severity, passed, unexpected_count from ops.check_results order by check_name"
    ).fetchall()
    assert kept == [("keys_are_unique", "error", True, 0), ("totals_add_up", "warn", False, 2)]


def test_a_check_that_stands_twice_is_refused(warehouse_url: str) -> None:
    finding = CheckFinding("a/b", "x_are_y", "validity", "info", False, True, "dbt:test", "fine")
    with pytest.raises(ValueError, match="stands twice"):
        store_findings(warehouse_url, [finding, finding], PROJECT, "run-1", NOW)


def test_failed_blocking_checks_say_since_when_they_fail(
    warehouse_url: str, warehouse: psycopg.Connection[Any]
) -> None:
    finding = CheckFinding(
        "raw_x/things", "things_are_present", "completeness", "critical", True, False, "floor", "observed 0"
    )
    warning = replace(finding, check="things_are_nice", severity="warning", blocking=False)
    verdicts = [False, True, False, False]
    for day, passed in enumerate(verdicts):
        findings = [replace(finding, passed=passed), warning]
        store_findings(warehouse_url, findings, PROJECT, f"run-{day}", NOW + timedelta(days=day))
    failed = failed_blocking_checks(warehouse, PROJECT, "run-3", {"raw_x/things": "team:x"}, "team:data")
    assert [(check.check, check.since, check.owner) for check in failed] == [
        ("things_are_present", NOW + timedelta(days=2), "team:x")
    ]
    assert failed[0].message == "observed 0"
    assert failed_blocking_checks(warehouse, PROJECT, "run-1", {}, "team:data") == ()
    assert failed_blocking_checks(warehouse, "other-shop", "run-3", {}, "team:data") == ()


def test_a_check_that_passed_at_the_very_instant_it_failed_fails_since_then(
    warehouse: psycopg.Connection[Any], warehouse_url: str
) -> None:
    """A frozen clock does this: what was stored last counts."""
    finding = CheckFinding(
        "raw_x/things", "things_are_present", "completeness", "critical", True, True, "floor", "observed 0"
    )
    for name, passed in (("run-1", True), ("run-2", False)):
        store_findings(warehouse_url, [replace(finding, passed=passed)], PROJECT, name, NOW)
    (failed,) = failed_blocking_checks(warehouse, PROJECT, "run-2", {}, "team:data")
    assert failed.since == NOW
