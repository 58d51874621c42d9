"""Each lint catches the open door that it is there for, and the shipped schema has none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.warehouse.access.lint import LintFinding, lint, lints
from hotdash_pipelines.warehouse.access.lint_policies import bare_calls
from hotdash_pipelines.warehouse.postgres import WarehouseError, connect
from tests.databases import fresh_database, template

POLICY = "create policy extra on agent.facts for select to anon using"
FUNCTION = "create function agent.extra() returns text language sql set search_path = '' as 'select null::text'"
TRIGGER = "for each {} execute function agent.refuse_change()"
SEEDS = [
    ("view-not-invoker", "create view agent.extra as select 1 as x; grant select on agent.extra to authenticated"),
    (
        "view-not-invoker",
        "create view monitoring.extra as select 1 as x; grant select (x) on monitoring.extra to annotator",
    ),
    (
        "view-not-invoker",
        "create view marts_core.extra with (security_invoker = off) as select 1 as x;"
        "grant select on marts_core.extra to anon",
    ),
    (
        "matview-readable",
        "create materialized view monitoring.extra as select 1 as x; grant select on monitoring.extra to qa_team",
    ),
    ("private-schema-open", "grant usage on schema monitoring_private to authenticated"),
    ("table-without-rls", "create table agent.extra (id int); alter table agent.extra force row level security"),
    ("table-without-force", "create table agent.extra (id int); alter table agent.extra enable row level security"),
    ("tenant-outside-agent", "create table ops.extra (id int); grant insert on ops.extra to authenticated"),
    ("tenant-outside-agent", "create table marts_core.extra (id int); grant select (id) on marts_core.extra to anon"),
    ("grant-to-public", "grant select on agent.support_curated_replies to public"),
    ("grant-to-public", "grant select (key) on agent.facts to public"),
    ("grant-to-public", "grant select on sequence agent.facts_id_seq to public"),
    ("grant-to-public", "grant usage on schema app to public"),
    ("function-public-execute", "grant execute on function app.claim_project() to public"),
    (
        "function-public-execute",
        f"{FUNCTION}; alter function agent.extra() stable; grant all on function agent.extra() to public",
    ),
    ("default-privileges-open", "alter default privileges grant execute on functions to public"),
    ("default-privileges-open", "alter default privileges in schema agent grant select on tables to authenticated"),
    ("definer-search-path", "alter function app.store_timezone() reset search_path"),
    ("definer-search-path", "alter function app.store_timezone() set search_path = ops, public"),
    ("definer-search-path", "alter function app.store_timezone() set search_path = pg_temp, ops"),
    ("function-search-path", "alter function app.claim_project() reset search_path"),
    ("function-search-path", "alter function agent.touch_updated_at() reset all"),
    ("claim-helper-volatile", "alter function app.claim_project() volatile"),
    (
        "claim-helper-volatile",
        f"{FUNCTION}; create policy extra on agent.facts for insert to anon with check (key = (select agent.extra()))",
    ),
    ("audit-change-grant", "grant update on agent.facts to service_role"),
    ("audit-change-grant", "grant update (value) on agent.facts to operator"),
    ("audit-change-grant", "grant truncate on agent.decision_sync_event_logs to hotdash_retention"),
    ("audit-change-grant", "grant delete on agent.observability_logs to service_role"),
    ("audit-change-grant", "grant update on agent.facts to current_user"),
    ("audit-trigger-missing", "drop trigger refuse_change on agent.facts"),
    ("audit-trigger-missing", "alter table agent.observability_logs disable trigger refuse_change"),
    ("audit-trigger-missing", "alter table agent.observability_logs enable replica trigger refuse_change"),
    (
        "audit-trigger-missing",
        "alter table agent.facts rename to gone;"
        "alter table agent.gone enable row level security, force row level security",
    ),
    (
        "audit-trigger-missing",
        "create or replace trigger refuse_change before update or delete on agent.facts " + TRIGGER.format("statement"),
    ),
    (
        "audit-trigger-missing",
        "create or replace trigger refuse_change before update of value or delete or truncate on agent.facts "
        + TRIGGER.format("statement"),
    ),
    (
        "audit-trigger-missing",
        "drop trigger refuse_change on agent.facts;"
        "create trigger refuse_change before update or delete on agent.facts "
        + TRIGGER.format("row")
        + "; create trigger refuse_truncate before truncate on agent.facts "
        + TRIGGER.format("statement"),
    ),
    ("role-attributes", "alter role operator superuser"),
    ("role-attributes", "alter role authenticated bypassrls"),
    ("role-attributes", "alter role service_role bypassrls"),
    ("role-attributes", "alter role hotdash_retention login"),
    ("role-attributes", "alter role hotdash_backup createrole"),
    ("role-attributes", "alter role hotdash_api inherit"),
    ("role-membership", "grant service_role to authenticated"),
    ("role-membership", "grant hotdash_backup to hotdash_api"),
    ("schema-create", "grant create on schema agent to authenticated"),
    ("schema-create", "grant create on schema public to public"),
    (
        "schema-create",
        "do $$ begin execute format('grant create on database %I to service_role', current_database()); end $$",
    ),
    ("sequence-writable", "grant usage on sequence agent.facts_id_seq to webhook_writer"),
    (
        "sequence-writable",
        "grant insert on agent.facts to operator; grant update on sequence agent.facts_id_seq to operator",
    ),
    ("sequence-writable", "create sequence ops.extra; grant usage on sequence ops.extra to authenticated"),
    ("foreign-owner", "alter table agent.agent_queries owner to hotdash_retention"),
    ("foreign-owner", "alter function app.store_timezone() owner to hotdash_retention"),
    ("foreign-owner", "alter schema monitoring owner to hotdash_retention"),
    ("policy-to-public", "create policy extra on agent.facts for select using (topic = 'x')"),
    ("policy-to-public", "create policy extra on agent.facts as restrictive for update to public using (false)"),
    ("policy-column-unindexed", f"{POLICY} (key = 'x')"),
    (
        "policy-column-unindexed",
        f"{POLICY} (key = 'x'); create index on agent.facts (key) where topic = 'x';"
        "create index on agent.facts (topic, key)",
    ),
    (
        "policy-column-unindexed",
        f"{POLICY} (project = (select app.claim_project())); drop index agent.facts_project_topic_created_idx",
    ),
    ("policy-has-or", f"{POLICY} (topic = 'x' or topic = 'y')"),
    ("policy-has-or", "create policy extra on agent.facts for insert to anon with check (topic = 'x' or key = 'y')"),
    ("policy-asks-role", f"{POLICY} (topic = 'x' and current_user = 'operator')"),
    ("policy-asks-role", f"{POLICY} ((select session_user) = 'operator')"),
    ("policy-asks-role", f"{POLICY} ((select pg_has_role('operator', 'member')))"),
    ("policy-asks-role", f"{POLICY} ((select app.claim('role', 'app.role')) = 'operator')"),
    ("policy-asks-role", f"{POLICY} ((select current_setting('request.jwt.claims')::jsonb ->> 'role') = 'operator')"),
    ("claim-not-wrapped", f"{POLICY} (project = app.claim_project())"),
    ("claim-not-wrapped", f"{POLICY} (project = coalesce((select app.claim_scope()), app.claim_project()))"),
    ("claim-not-wrapped", f"{POLICY} (project = nullif(current_setting('app.current_project', true), ''))"),
    (
        "claim-not-wrapped",
        "create policy extra on agent.facts for insert to anon with check (project = app.claim_project())",
    ),
    ("policy-permissive-false", "create policy extra on agent.facts for update to anon using (false)"),
    ("policy-permissive-false", "create policy extra on agent.facts for insert to anon with check (false)"),
]
CLEAN = [
    "create view agent.extra with (security_invoker) as select 1 as x; grant select on agent.extra to authenticated",
    "create view ops.extra as select 1 as x",
    "create materialized view monitoring_private.extra as select 1 as x;"
    "grant select on monitoring_private.extra to monitoring_team",
    f"{POLICY} (project = (select app.claim_project()))",
    f"{POLICY} (topic in ('a OR b', 'CURRENT_USER {{BOOLEXPR :boolop or', 'it''s app.claim_project()'))",
    f"{POLICY} (key = 'x'); create index on agent.facts (key, topic)",
    "create policy extra on agent.facts as restrictive for update to anon using (false)",
    "create policy extra on agent.facts for insert to anon with check (key = 'x')",
    "alter function app.store_timezone() set search_path = ops, pg_temp",
    "grant insert on agent.facts to operator; grant usage on sequence agent.facts_id_seq to operator",
    "create function agent.extra() returns text language sql stable return null::text",
]


@pytest.fixture(scope="module", params=["embedded", "postgres15"])
def shipped(request: pytest.FixtureRequest, session_home: Path) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the shipped schema; every test takes back what it does."""
    admin = (
        request.getfixturevalue("server").url("postgres")
        if request.param == "embedded"
        else request.getfixturevalue("postgres15")
    )
    with fresh_database(admin, template(admin, session_home)) as url, connect(url, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="module")
def before(shipped: psycopg.Connection[Any]) -> set[LintFinding]:
    return set(lint(shipped))


@pytest.mark.parametrize(("expected", "seed"), SEEDS, ids=lambda value: value[:60])
def test_an_open_door_is_found_by_its_lint_and_by_no_other(
    shipped: psycopg.Connection[Any], before: set[LintFinding], expected: str, seed: str
) -> None:
    with shipped.transaction(force_rollback=True):
        shipped.execute(seed.encode())
        found = set(lint(shipped)) - before
    assert {finding.id for finding in found} == {expected}
    for finding in found:
        assert "{" not in finding.problem + finding.remedy
        assert finding.object in finding.problem


@pytest.mark.parametrize("seed", CLEAN, ids=lambda value: value[:60])
def test_a_closed_door_is_left_alone(shipped: psycopg.Connection[Any], before: set[LintFinding], seed: str) -> None:
    with shipped.transaction(force_rollback=True):
        shipped.execute(seed.encode())
        assert set(lint(shipped)) - before == set()


def test_the_shipped_schema_has_no_open_door(shipped: psycopg.Connection[Any]) -> None:
    assert lint(shipped) == []
    guarded = shipped.execute("select count(*) from pg_policy where polrelid::regclass::text ~ '^agent\\.'").fetchone()
    assert guarded is not None
    assert guarded[0] >= 37


def test_every_lint_has_a_door_to_find() -> None:
    assert {expected for expected, _ in SEEDS} == {rule.id for rule in lints()}
    assert len({rule.id for rule in lints()}) == len(lints())


def test_linting_changes_nothing_and_leaves_the_search_path(warehouse: psycopg.Connection[Any]) -> None:
    warehouse.execute("set search_path = agent")
    lint(warehouse)
    assert warehouse.execute("show search_path").fetchone() == ("agent",)


def test_a_database_without_the_schema_is_no_good_news(empty_database_url: str) -> None:
    with (
        connect(empty_database_url) as conn,
        pytest.raises(WarehouseError, match="has no schema of ours to look at: run `hotdash schema migrate`"),
    ):
        lint(conn)


def test_a_call_counts_as_bare_outside_subqueries_only() -> None:
    tree = (
        "{OPEXPR :opfuncid 67 :args ({VAR :varno 1} {FUNCEXPR :funcid 11 :args ({CONST :constvalue 4 [ 1 0 ]})} "
        "{SUBLINK :subselect {QUERY :targetList ({TARGETENTRY :expr {FUNCEXPR :funcid 12 :args <>} :resname a\\}b})}} "
        "{FUNCEXPR :funcid 13 :args <>})}"
    )
    assert list(bare_calls(tree)) == [11, 13]
