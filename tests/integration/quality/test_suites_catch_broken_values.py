"""Every expectation of every suite is shown one broken value that it, and it alone, must catch."""

from collections.abc import Iterator

import psycopg
import pytest

from hotdash_pipelines.quality import EXPECTATIONS_DIR, CheckFinding, load_suite, load_suites, run_suite
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres
from tests.databases import fresh_database
from tests.integration.quality.shop_tables import AGENT_FACTS, NOW, PROJECT, ROWS

# One worker has all that run suites: Great Expectations takes two seconds to import.
pytestmark = pytest.mark.xdist_group("suites")

TABLES = sorted(ROWS)
KEYWORDS = ("update ", "delete ", "insert ", "with ")
# (suite, check) -> the statement that breaks it.
BREAKS: dict[tuple[str, str], str] = {}


def breaks(suite: str, row: str, **statements: str) -> None:
    """A statement that is only an assignment updates the one row; `{t}` stands for the table."""
    for check, statement in statements.items():
        full = statement if statement.lstrip().startswith(KEYWORDS) else f"update {{t}} set {statement} where {row}"
        BREAKS[suite, check] = full.replace("{t}", suite)


breaks(
    "raw_shopify.orders",
    "order_id = 1",
    orders_are_present="delete from {t}",
    order_ids_are_unique="insert into {t} select * from {t} where order_id = 1",
    orders_have_a_processing_time="processed_at = null",
    orders_are_in_one_shop_currency="currency_code = 'EUR'",
    order_currency_codes_are_well_formed="update {t} set currency_code = 'usd'",
    order_amounts_are_not_negative="refunded_amount = -0.01",
    order_totals_add_up="total_amount = total_amount + 0.02",
    orders_have_all_their_lines="update raw_shopify.order_lines set quantity = 1 where order_line_id = 11",
    order_payment_states_are_known="financial_status = 'HALF_PAID'",
    order_delivery_states_are_known="fulfillment_status = 'LOST'",
    order_updates_are_after_creation="update {t} set created_at = updated_at + interval '1 second' where order_id = 1",
    order_updates_are_recent="""
        update {t} set created_at = created_at - interval '1 day', updated_at = updated_at - interval '1 day'
    """,
)
breaks(
    "raw_shopify.order_lines",
    "order_line_id = 11",
    order_lines_are_present="delete from {t}",
    order_line_ids_are_unique="insert into {t} select * from {t} where order_line_id = 11",
    order_lines_belong_to_an_order="order_id = 3",
    order_line_currencies_match_the_order="currency_code = 'EUR'",
    order_line_amounts_are_not_negative="tax_amount = -0.01",
    order_line_quantities_are_positive="quantity = 0, current_quantity = 0, gross_amount = 0, discount_amount = 0",
    order_line_gross_amounts_equal_price_times_quantity="gross_amount = gross_amount + 0.02",
    order_line_discounts_are_within_gross="discount_amount = 20.01",
    order_line_removals_are_within_the_order="current_quantity = 3",
)
breaks(
    "raw_chatwoot.conversations",
    "conversation_id = 1",
    conversations_are_present="delete from {t}",
    conversation_ids_are_unique="insert into {t} select * from {t} where conversation_id = 1",
    conversations_have_an_inbox="inbox_id = null",
    conversation_states_are_known="status = 'closed'",
    conversation_priorities_are_known="priority = 'asap'",
    conversation_updates_are_after_creation="last_activity_at = created_at - interval '1 hour'",
    conversation_first_replies_are_after_creation="first_reply_created_at = created_at - interval '1 hour'",
    conversation_activities_are_recent="""
        update {t}
        set created_at = created_at - interval '9 days', last_activity_at = last_activity_at - interval '9 days'
    """,
)
for stream in ("landing", "traffic"):
    breaks(
        f"raw_ga4.{stream}_daily",
        "property_date = '2026-03-09'",
        **{
            f"{stream}_rows_are_present": "delete from {t}",
            f"{stream}_keys_are_unique": "insert into {t} select * from {t} where property_date = '2026-03-09'",
            f"{stream}_days_have_no_gap": "delete from {t} where property_date = '2026-03-08'",
            f"{stream}_sessions_are_not_negative": "sessions = -1, engaged_sessions = -1",
            f"{stream}_engaged_sessions_are_within_sessions": "engaged_sessions = 11",
            f"{stream}_currency_codes_are_well_formed": "update {t} set currency_code = '$'",
            f"{stream}_time_zones_match_the_store": "time_zone = 'Etc/UTC'",
            f"{stream}_days_are_recent": "update {t} set property_date = property_date - 7",
        },
    )
breaks(
    "marts_core.fct_order",
    "order_id = 1",
    orders_are_present="delete from {t}",
    order_ids_are_unique="""
        with gone as (delete from {t} where order_id = 2) insert into {t} select * from {t} where order_id = 1
    """,
    order_counts_match_the_raw_orders="update raw_shopify.orders set is_test = true where order_id = 1",
    orders_have_a_business_date="date_key = null",
    order_customers_are_known="customer_key = gen_random_uuid()",
    order_channels_are_known="channel_key = gen_random_uuid()",
    orders_are_in_one_shop_currency="currency_code = 'EUR'",
    order_net_amounts_add_up="net_amount = net_amount + 0.02",
    order_totals_add_up="unreconciled_reason = 'the sales come to 24.80, the order says 24.82'",
    order_updates_are_after_creation="update {t} set created_at = updated_at + interval '1 second' where order_id = 1",
)
breaks(
    "marts_core.fct_order_line",
    "order_line_id = 11",
    order_lines_are_present="delete from {t}",
    order_line_ids_are_unique="update {t} set order_line_id = 11 where order_line_id = 12",
    order_line_counts_match_the_raw_lines="delete from {t} where order_line_id = 12",
    order_lines_have_a_business_date="date_key = null",
    order_line_orders_are_known="order_id = 3",
    order_line_variants_are_known="product_variant_key = gen_random_uuid()",
    order_line_net_amounts_add_up="net_amount = net_amount + 0.02",
    order_line_amounts_are_not_negative="returned_amount = -1, net_amount = net_amount + 4",
    order_line_returns_are_within_the_order="returned_quantity = 3",
)
breaks(
    "metrics.agg_sales_daily",
    "business_date = '2026-03-09'",
    sales_days_are_present="delete from {t}",
    sales_days_and_channels_are_unique="update {t} set business_date = '2026-03-09'",
    sales_channels_are_known="channel_key = gen_random_uuid()",
    sales_order_counts_match_the_orders="order_count = 2",
    sales_net_amounts_match_the_order_lines="""
        update marts_core.fct_order_line set net_amount = 14.98 where order_line_id = 11
    """,
    sales_net_amounts_add_up="net_amount = net_amount + 0.02, total_amount = total_amount + 0.02",
    sales_totals_add_up="total_amount = total_amount + 0.02",
    sales_of_a_day_are_not_negative_before_returns="discount_amount = -1, returned_amount = returned_amount + 3",
    sales_days_are_recent="update {t} set business_date = business_date - 7",
)
breaks(
    "marts_agent.fct_agent_query",
    "query_id = 1",
    agent_query_ids_are_unique="update {t} set query_id = 1",
    agent_queries_have_a_business_date="date_key = null",
    agent_query_agents_are_known="agent_key = gen_random_uuid()",
    agent_query_conversations_are_known="conversation_key = gen_random_uuid()",
    agent_query_verdicts_add_up="approved_count = 0, undecided_count = 1",
    agent_query_latencies_are_plausible="latency_ms = 600001",
    agent_query_updates_are_after_creation="created_at = _loaded_at + interval '1 second'",
)
breaks(
    "marts_agent.fct_approval",
    "approval_id = 1",
    approval_ids_are_unique="update {t} set approval_id = 1",
    approvals_have_a_business_date="date_key = null",
    approval_states_are_known="status = 'lost'",
    approval_users_are_known="user_key = gen_random_uuid()",
    approval_states_add_up="approved_count = 0, pending_count = 1",
    approval_breaches_follow_the_five_minutes="decision_seconds = 300.001",
    approval_decisions_are_after_the_request="decision_seconds = -1",
)
breaks(
    "metrics.agg_agent_daily_performance",
    "business_date = '2026-03-09'",
    agent_days_are_unique="update {t} set business_date = '2026-03-09'",
    agent_day_agents_are_known="agent_key = gen_random_uuid()",
    agent_day_query_counts_match_the_queries="query_count = 2, undecided_count = 1",
    agent_day_verdicts_add_up="rejected_count = 1",
    agent_day_percentiles_are_in_order="p50_latency_ms = 41",
)


def failed(findings: list[CheckFinding]) -> set[str]:
    return {finding.check for finding in findings if not finding.passed}


def test_every_check_has_a_statement_that_breaks_it() -> None:
    assert set(BREAKS) == {(suite.name, check) for suite in load_suites() for check in suite.checks}


@pytest.fixture(scope="module")
def shop_url(server: EmbeddedPostgres, small_shop: str) -> Iterator[str]:
    """A small shop for the whole module, with a copy of every table in schema `kept`."""
    with fresh_database(server.url("postgres"), small_shop) as url:
        with connect(url) as conn:
            conn.execute("create schema kept")
            for table in TABLES:
                conn.execute(f'create table kept."{table}" as table {table}'.encode())
        yield url


@pytest.fixture
def shop(shop_url: str) -> Iterator[psycopg.Connection]:
    """The small shop, whole before each test."""
    with connect(shop_url, autocommit=True) as conn:
        yield conn
        for table in TABLES:
            conn.execute(f'delete from {table}; insert into {table} table kept."{table}"'.encode())


def findings_of(name: str, url: str) -> list[CheckFinding]:
    return run_suite(load_suite(EXPECTATIONS_DIR / f"{name}.json"), url, None, PROJECT, now=NOW)


@pytest.mark.parametrize("name", sorted({suite for suite, _ in BREAKS}))
def test_the_small_shop_satisfies_every_check(shop: psycopg.Connection, shop_url: str, name: str) -> None:
    findings = findings_of(name, shop_url)
    assert failed(findings) == set()
    assert all(finding.unexpected_count == 0 and finding.element_count for finding in findings)


def test_a_store_without_a_support_agent_satisfies_every_check(shop: psycopg.Connection, shop_url: str) -> None:
    for name in AGENT_FACTS:
        shop.execute(f"delete from {name}".encode())
        findings = findings_of(name, shop_url)
        assert failed(findings) == set()
        assert not [finding for finding in findings if "not evaluated" in finding.message]


@pytest.mark.parametrize(("name", "check"), sorted(BREAKS), ids=lambda value: value)
def test_a_broken_value_fails_its_check_and_no_other(
    shop: psycopg.Connection, shop_url: str, name: str, check: str
) -> None:
    shop.execute(BREAKS[name, check].encode())
    findings = findings_of(name, shop_url)
    expected = {check}
    if check.endswith("_are_present"):
        expectations = load_suite(EXPECTATIONS_DIR / f"{name}.json").expectations
        expected |= {found.check for found in expectations if found.rule == "T1"}
    assert failed(findings) == expected
    broken = next(finding for finding in findings if finding.check == check)
    assert "not evaluated" not in broken.message
