"""Advice on performance: every finding has a planted cause, is alone, and goes away with its remedy."""

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.warehouse.advice.advise import analyze
from hotdash_pipelines.warehouse.advice.model import AdviceFinding, Limits
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import migrate

# Small enough that a test can plant the cause: 40 reads in 30 days are more than one a day.
LIMITS = Limits(full_reads_a_day=1, table_reads=20)
MONTH = timedelta(days=30)

HEALTHY = """
create schema shop;
grant usage on schema shop, app to authenticated;
grant execute on all functions in schema app to authenticated;
create function shop.fill(wanted text, rows int) returns void language plpgsql as $$
begin
    execute format('create table shop.%I (id int primary key, tenant text, other text)', wanted);
    execute format('alter table shop.%I set (autovacuum_enabled = off)', wanted);
    execute format('insert into shop.%I select n, ''t'' || n %% 500, md5(n::text) from generate_series(1, %s) n',
        wanted, rows);
    execute format('grant select on shop.%1$I to authenticated', wanted);
end $$;

-- One of everything that must not be told.
select shop.fill('fine', 12000);
create index fine_tenant_idx on shop.fine (tenant);
alter table shop.fine enable row level security, force row level security;
create policy own on shop.fine to authenticated using (tenant = (select app.claim_project()) and other <> 'x');
select shop.fill('open_to_all', 12000);
alter table shop.open_to_all enable row level security;
create policy everything on shop.open_to_all to authenticated using (true);
select shop.fill('mostly', 12000);
create index mostly_tenant_idx on shop.mostly (tenant);
create index mostly_other_idx on shop.mostly (other);
alter table shop.mostly enable row level security;
create policy common on shop.mostly to authenticated using (tenant <= 't9' or other = (select app.claim_scope()));
create policy levels on shop.mostly to authenticated using (tenant in ('t1', 't2'));
select shop.fill('unlike', 2000);
create index unlike_ab_idx on shop.unlike (tenant, other);
create index unlike_ba_idx on shop.unlike (other, tenant);
create index unlike_mixed_idx on shop.unlike (tenant desc, other);
create index unlike_partial_idx on shop.unlike (tenant) where other is not null;
create index unlike_pattern_idx on shop.unlike (tenant text_pattern_ops);
create unique index unlike_unique_idx on shop.unlike (tenant, id);
create unique index unlike_id_idx on shop.unlike (id) include (other);
select shop.fill('empty', 0);
create index empty_a_idx on shop.empty (tenant);
create index empty_b_idx on shop.empty (tenant);
select shop.fill('parent', 2000);
create table shop.served (id int primary key, parent_id int references shop.parent, extra int);
create index served_parent_idx on shop.served (parent_id, extra) where parent_id is not null;
"""

PLANTED = """
select shop.fill('unindexed_policy', 12000);
alter table shop.unindexed_policy enable row level security;
create policy own on shop.unindexed_policy to authenticated using (tenant = (select app.claim_project()));
select shop.fill('wrapped_policy', 12000);
create index wrapped_policy_tenant_idx on shop.wrapped_policy (tenant);
alter table shop.wrapped_policy enable row level security;
create policy own on shop.wrapped_policy to authenticated using (lower(tenant) = (select app.claim_project()));
select shop.fill('role_policy', 12000);
create index role_policy_tenant_idx on shop.role_policy (tenant);
alter table shop.role_policy enable row level security;
create policy own on shop.role_policy
using (tenant = (select app.claim_project()) or current_user = 'service_role');
create table shop.child ("Parent" int references shop.parent, note text);
create index child_note_idx on shop.child ("Parent") where note is not null;
select shop.fill('twins', 2000);
create index twins_first_idx on shop.twins (tenant, other);
create index twins_second_idx on shop.twins (tenant, other);
create index twins_prefix_idx on shop.twins (tenant desc);
select shop.fill('idle', 2000);
create index idle_tenant_idx on shop.idle (tenant);
create index idle_kept_idx on shop.idle (other);
comment on index shop.idle_kept_idx is 'keep: for the yearly report';
select shop.fill('unknown', 5000);
select shop.fill('scanned', 12000);
select shop.fill('dead', 12000);
select shop.fill('broken', 2000);
"""

EXPECTED = {
    ("policy_scan:shop.unindexed_policy:authenticated", "critical"),
    ("policy_scan:shop.wrapped_policy:authenticated", "critical"),
    ("policy_scan:shop.role_policy:authenticated", "critical"),
    ("missing_index:shop.unindexed_policy(tenant)", "critical"),
    ('missing_index:shop.child("Parent")', "warning"),
    ("redundant_index:shop.twins_second_idx", "warning"),
    ("redundant_index:shop.twins_prefix_idx", "warning"),
    ("unused_index:shop.idle_tenant_idx", "warning"),
    ("never_analysed:shop.unknown", "warning"),
    ("sequential_scans:shop.scanned", "warning"),
    ("dead_rows:shop.dead", "warning"),
    ("invalid_index:shop.broken_twice_idx", "warning"),
}

REMEDIES_WITHOUT_DDL = """
alter policy own on shop.wrapped_policy using (tenant = (select app.claim_project()));
alter policy own on shop.role_policy using (tenant = (select app.claim_project()));
select pg_stat_reset_single_table_counters('shop.scanned'::regclass);
"""


def _now() -> datetime:
    return datetime.now(UTC)


def _plant(conn: "psycopg.Connection[Any]") -> None:
    conn.execute(HEALTHY + PLANTED)
    # Else the inserts are counted once more after ANALYZE has counted the rows.
    conn.execute("select pg_stat_force_next_flush()")
    tables = ("fine", "open_to_all", "mostly", "unlike", "parent", "twins", "idle", "scanned", "dead", "broken")
    for table in (*tables, "unindexed_policy", "wrapped_policy", "role_policy"):
        conn.execute(f"analyze shop.{table}".encode())
    conn.execute("update shop.dead set other = 'x'")
    conn.execute("update shop.broken set other = 'same'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("create unique index concurrently broken_twice_idx on shop.broken (other)")
    for _ in range(40):
        conn.execute("select count(*) from shop.scanned where other = 'x'")
        conn.execute("select count(*) from shop.idle where id = 7")
    conn.execute("select pg_stat_force_next_flush()")


def _found(url: str) -> dict[str, AdviceFinding]:
    return {finding.id: finding for finding in analyze(url, _now() + MONTH, LIMITS).findings}


def test_each_planted_cause_is_found_alone_and_gone_after_its_remedy(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        _plant(conn)
        report = analyze(any_warehouse_url, _now() + MONTH, LIMITS)
        assert {(finding.id, finding.severity) for finding in report.findings} == EXPECTED
        assert [finding.severity for finding in report.findings][:4] == ["critical"] * 4
        # The one planted here, and five of the shipped schema.
        assert any("6 are kept" in note for note in report.notes)
        assert not any("cannot be planned" in note for note in report.notes)
        for finding in report.findings:
            if finding.ddl:
                conn.execute(finding.ddl.encode())
        conn.execute(REMEDIES_WITHOUT_DDL)
        conn.execute("select pg_stat_force_next_flush()")
        assert _found(any_warehouse_url) == {}


def test_a_migrated_empty_warehouse_has_no_finding(warehouse_url: str) -> None:
    assert _found(warehouse_url) == {}


AGENT_AT_SCALE = """
insert into agent.agent_approvals (conversation_id, serialized)
select 'c' || n % 3000, '{}' from generate_series(1, 11000) n;
insert into agent.agent_feedback (conversation_id, input_text, model_draft)
select 'c' || n % 3000, 'asked', 'drafted' from generate_series(1, 11000) n;
insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)
select 'asked', '{}', 'c' || n % 3000, 'a' || n % 3, n % 300 from generate_series(1, 11000) n;
insert into agent.facts (project, topic, key, value)
select 'p' || n % 300, 't' || n % 30, 'k' || n, '{}' from generate_series(1, 11000) n;
insert into agent.decision_sync_event_logs (decision_id, scope, status)
select 'd' || n, 's' || n % 30, 'ok' from generate_series(1, 11000) n;
insert into agent.observability_logs (level, message, request_id)
select (array['DEBUG', 'INFO', 'WARN', 'ERROR'])[n % 4 + 1], 'said', 'r' || n from generate_series(1, 11000) n;
insert into agent.support_curated_replies (conversation_id, source_message_id, message_body, approver, approved_at)
select 'c' || n % 3000, 'm' || n, 'said', 'somebody', now() from generate_series(1, 11000) n;
"""


def test_indexes_serve_every_policy_of_the_agents_tables(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        conn.execute(AGENT_AT_SCALE)
        conn.execute("select pg_stat_force_next_flush()")
        conn.execute("analyze")
        report = analyze(any_warehouse_url, _now(), LIMITS)
        structural = {"policy_scan", "missing_index", "invalid_index", "never_analysed"}
        assert [finding.id for finding in report.findings if finding.kind in structural] == []
        assert [note for note in report.notes if note.startswith("policies")] == []
        # The same look, once the index that a policy needs is gone.
        conn.execute("drop index agent.decision_sync_event_logs_scope_idx")
        lacking = {finding.id for finding in analyze(any_warehouse_url, _now(), LIMITS).findings}
        assert lacking >= {
            "policy_scan:agent.decision_sync_event_logs:authenticated",
            "missing_index:agent.decision_sync_event_logs(scope)",
        }


def test_a_table_that_autovacuum_will_analyse_is_a_note(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    warehouse.execute("create schema shop; create table shop.loaded (id int, other text)")
    warehouse.execute("insert into shop.loaded select n, md5(n::text) from generate_series(1, 5000) n")
    report = analyze(warehouse_url, _now(), LIMITS)
    assert [finding.id for finding in report.findings] == []
    assert any(note.startswith("not analysed yet: shop.loaded;") for note in report.notes)
    warehouse.execute("alter table shop.loaded set (autovacuum_enabled = off)")
    assert "never_analysed:shop.loaded" in _found(warehouse_url)
    warehouse.execute("vacuum shop.loaded")
    assert "never_analysed:shop.loaded" in _found(warehouse_url), "vacuum alone makes no statistics"
    warehouse.execute("analyze shop.loaded")
    assert _found(warehouse_url) == {}


def test_unused_indexes_are_not_judged_by_young_statistics(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    warehouse.execute(HEALTHY + "select shop.fill('idle', 2000); create index idle_tenant_idx on shop.idle (tenant)")
    for _ in range(40):
        warehouse.execute("select count(*) from shop.idle where id = 7")
    warehouse.execute("select pg_stat_force_next_flush()")
    assert "unused_index:shop.idle_tenant_idx" in _found(warehouse_url)
    young = analyze(warehouse_url, _now() + timedelta(days=6), LIMITS)
    assert "unused_index:shop.idle_tenant_idx" not in {finding.id for finding in young.findings}
    assert any(note.startswith("unused indexes: the statistics are 6.0 days old") for note in young.notes)
    warehouse.execute("select pg_stat_reset()")
    assert "unused_index:shop.idle_tenant_idx" not in _found(warehouse_url)


def test_analyze_writes_nothing_even_through_the_function_of_a_policy(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    """The planner runs stable functions to estimate; a sequence would keep what a rolled-back transaction took."""
    warehouse.execute(HEALTHY)
    warehouse.execute("""
        create sequence shop.told;
        create function shop.sly() returns text language sql stable security definer
        as $$ select 't' || nextval('shop.told') $$;
        grant execute on function shop.sly() to authenticated;
        drop policy own on shop.fine;
        create policy own on shop.fine to authenticated using (tenant = shop.sly());
        analyze shop.fine;
    """)
    warehouse.execute("begin; set local role authenticated; explain select 1 from shop.fine; rollback")
    before = warehouse.execute("select last_value, is_called from shop.told").fetchone()
    assert before == (1, True), "the planted function must be one that planning runs"
    report = analyze(warehouse_url, _now() + MONTH, LIMITS)
    assert "policies of shop.fine for authenticated: cannot be planned (SQLSTATE 25006)" in report.notes
    warehouse.execute("select setval('shop.told', 1, false)")
    analyze(warehouse_url, _now() + MONTH, LIMITS)
    assert warehouse.execute("select last_value, is_called from shop.told").fetchone() == (1, False)


def test_a_user_who_may_not_act_as_a_tenant_is_told_so(
    warehouse: "psycopg.Connection[Any]", warehouse_url: str
) -> None:
    warehouse.execute(HEALTHY + PLANTED)
    warehouse.execute("analyze")
    name = f"looker_{os.getpid()}_{time.monotonic_ns()}"
    warehouse.execute(f"create role {name} login password 'looker'; grant pg_read_all_data to {name}".encode())
    try:
        address = warehouse_url.split("@", 1)[1]
        report = analyze(f"postgresql://{name}:looker@{address}", _now() + MONTH, LIMITS)
    finally:
        warehouse.execute(f"drop owned by {name}; drop role {name}".encode())
    assert "missing_index:shop.unindexed_policy(tenant)" in {finding.id for finding in report.findings}
    assert any("may not act as authenticated" in note for note in report.notes)


@pytest.fixture(scope="module")
def statements_url() -> Iterator[str]:
    """URL of a server that has pg_stat_statements loaded, not yet installed in the database."""
    from tests.databases import DEBIAN_15, debian_postgres_15

    if not (DEBIAN_15.parent / "lib" / "pg_stat_statements.so").exists():
        pytest.skip("pg_stat_statements is not installed for Debian's Postgres 15")
    with debian_postgres_15(shared_preload_libraries="pg_stat_statements") as url:
        migrate(url)
        yield url


def test_slow_queries_are_sorted_by_their_mean_and_shown_without_values(statements_url: str) -> None:
    assert any("not installed in this database" in note for note in analyze(statements_url, _now()).notes)
    with connect(statements_url, autocommit=True) as conn:
        conn.execute("create schema spare; create extension pg_stat_statements schema spare")
        conn.execute("create table spare.written (id int)")
        # Utility texts are kept as they were written, secrets included.
        conn.execute("create role planted_role password 'hunter2'")
        for _ in range(5):
            conn.execute("select pg_sleep(0.07), 'jane@example.com' as mail")
            conn.execute("select 4711 as code, pg_sleep(0.21)")
            conn.execute("insert into spare.written select n from generate_series(1, 300) n, pg_sleep(0.07)")
            conn.execute('/* {"app": "dbt"} */ select pg_sleep(0.07), 1 as model')
            conn.execute("do $$ begin perform pg_sleep(0.07), 'hunter2'; end $$")
        conn.execute("select pg_sleep(0.3) as rare")
        conn.execute("select 1")

        report = analyze(statements_url, _now())
        slow = [finding for finding in report.findings if finding.kind == "slow_query"]
        assert [(finding.severity, finding.object) for finding in slow] == [
            ("critical", "select $1 as code, pg_sleep($2)"),
            ("warning", "select pg_sleep($1), $2 as mail"),
        ]
        assert "over 5 calls" in slow[0].measured
        # On a busy machine what makes the table, or looks for slow statements, may be one of them.
        (left_out,) = re.findall(r"(\d+) slow batch statements", " ".join(report.notes))
        assert int(left_out) >= 4
        assert not any(secret in str(report) for secret in ("hunter2", "jane@", "4711"))
        assert len(analyze(statements_url, _now() + timedelta(days=2)).findings) == len(report.findings) - 2

        conn.execute("create role nosy login password 'nosy'")
        hidden = analyze(statements_url.replace("owner:fifteen", "nosy:nosy"), _now())
        assert not any(finding.kind == "slow_query" for finding in hidden.findings)
        assert any("grant pg_read_all_stats" in note for note in hidden.notes)

        conn.execute("select spare.pg_stat_statements_reset()")
        assert not any(finding.kind == "slow_query" for finding in analyze(statements_url, _now()).findings)


def test_a_server_without_the_extension_says_how_to_get_it(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        offered = conn.execute("select 1 from pg_available_extensions where name = 'pg_stat_statements'").fetchone()
        notes = analyze(any_warehouse_url, _now()).notes
        assert sum("docs/runbooks/slow-queries.md" in note for note in notes) == 1
        if offered:
            conn.execute("create extension pg_stat_statements")
            assert any("not loaded at the server's start" in note for note in analyze(any_warehouse_url, _now()).notes)
