"""The marts of the support agent: increments, purged sources, late verdicts, days, privacy, and the checks' teeth."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.integration.dbt.agent_rows import AGENT_MARTS, AgentRows, agent_in
from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.marts import rows_of
from tests.integration.dbt.raw import LOADED, NOON, RawShop

FACTS = tuple(mart for mart in AGENT_MARTS if ".fct_" in mart)
# What reads schema `agent`, and before it the views: the rest of the project has its own tests.
VIEWS = ("stg_ops__projects", "path:models/staging/agent", "path:models/staging/chatwoot")
SELECT = ("path:models/marts/agent", "dim_conversation", "agg_agent_daily_performance")


@pytest.fixture
def agent(raw: RawShop) -> AgentRows:
    """Rows of the agent in the database of the raw shop."""
    return agent_in(raw)


def content(conn: psycopg.Connection[Any], marts: tuple[str, ...] = AGENT_MARTS) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the agent's marts."""
    return {mart: rows_of(conn, mart) for mart in marts}


def places(conn: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Where each row lies and which transaction wrote it."""
    return {
        mart: conn.execute(f"select ctid::text, xmin::text from {mart} order by 1").fetchall() for mart in AGENT_MARTS
    }  # type: ignore[arg-type]


@pytest.mark.agents_night
def test_increments_end_where_a_build_from_nothing_ends_and_a_rerun_writes_nothing(
    dbt: Dbt, raw: RawShop, agent: AgentRows, query: Any
) -> None:
    assert {mart: len(rows) for mart, rows in content(raw.conn).items()} == {
        "marts_agent.dim_agent": 4,
        "marts_agent.dim_user": 4,
        "marts_agent.fct_agent_query": 3,
        "marts_agent.fct_approval": 4,
        "marts_agent.fct_decision_event": 2,
        "marts_agent.fct_training": 2,
        "marts_support.dim_conversation": 3,
        "metrics.agg_agent_daily_performance": 2,
    }
    agent.query(LOADED, agent="returns")
    agent.query(NOON - timedelta(days=90), conversation_id="agent-8", latency_ms=7)
    raw.conn.execute("update agent.agent_queries set approved = true where id = 1")
    raw.conn.execute("update agent.agent_approvals set status = 'approved', approved_by = 'dora' where id = 1")
    raw.conn.execute("update agent.agent_feedback set safe_to_send = false, annotator = 'emil' where id = 1")
    agent.feedback(LOADED, annotator="ANN ")
    agent.decision_event(NOON - timedelta(days=90))
    dbt.run(*SELECT)
    increments, before = content(raw.conn), places(raw.conn)
    [flipped] = query("select * from marts_agent.fct_agent_query where query_id = 1")
    assert (flipped["approved_count"], flipped["undecided_count"]) == (1, 0)
    [decided] = query("select * from marts_agent.fct_approval where approval_id = 1")
    assert (decided["pending_count"], decided["approved_count"], decided["is_breached"]) == (0, 1, True)
    assert len(increments["metrics.agg_agent_daily_performance"]) == 4
    dbt.run(*SELECT)
    assert places(raw.conn) == before
    for mart in AGENT_MARTS:
        raw.conn.execute(f"truncate {mart}")  # type: ignore[arg-type]
    dbt.run(*SELECT)
    assert content(raw.conn) == increments


def test_a_late_change_rewrites_its_day_alone_also_behind_a_clock_that_is_ahead(
    dbt: Dbt, raw: RawShop, agent: AgentRows, query: Any
) -> None:
    agent.query(NOON)
    agent.query(NOON + timedelta(days=1))
    agent.query(datetime.now(UTC) + timedelta(days=30))
    dbt.run(*VIEWS, *SELECT)
    days = """
        select business_date, xmin::text, p95_latency_ms::int as p95 from metrics.agg_agent_daily_performance order by 1
    """
    before = query(days)
    raw.conn.execute("update agent.agent_queries set latency_ms = 900 where id = 2")
    dbt.run(*SELECT)
    after = query(days)
    assert (before[0], before[2]) == (after[0], after[2])
    assert (before[1]["p95"], after[1]["p95"]) == (40, 900)


@pytest.mark.agents_night
def test_a_purge_of_the_source_leaves_the_marts_also_on_a_full_refresh(
    dbt: Dbt, raw: RawShop, agent: AgentRows, query: Any
) -> None:
    agent.query(LOADED)
    dbt.run(*SELECT)
    before = content(raw.conn)
    agent.purge(LOADED)
    assert raw.conn.execute("select count(*) from agent.agent_queries").fetchone() == (1,)
    dbt.run(*SELECT)
    kept = content(raw.conn)
    assert {mart: kept[mart] for mart in FACTS} == {mart: before[mart] for mart in FACTS}
    raw.conn.execute("update marts_agent.fct_agent_query set query_length = 0 where business_date > '2026-03-02'")
    dbt.run(*SELECT, full_refresh=True)
    kept = content(raw.conn)
    # The one reply was purged too, which retention leaves alone by default: its approver had no other act.
    people = "marts_agent.dim_user"
    assert len(before.pop(people)) == len(kept.pop(people)) + 1
    # What is left of the source was written over the fact: the length is right again.
    assert kept == before
    assert dbt.build(*SELECT) == {}


def test_days_are_the_stores_at_both_changes_of_the_clock(dbt: Dbt, raw: RawShop, agent: AgentRows, query: Any) -> None:
    """New York: 8 March 2026 has 23 hours, 2 November 2025 has 25, 29 February 2024 exists."""
    edges = {
        "2026-03-07": ("2026-03-08 04:59:59",),
        "2026-03-08": ("2026-03-08 05:00:00", "2026-03-09 03:59:59"),
        "2026-03-09": ("2026-03-09 04:00:00",),
        "2025-11-01": ("2025-11-02 03:59:59",),
        "2025-11-02": ("2025-11-02 04:00:00", "2025-11-03 04:59:59"),
        "2025-11-03": ("2025-11-03 05:00:00",),
        "2024-02-29": ("2024-02-29 05:00:00", "2024-03-01 04:59:59"),
    }
    for instants in edges.values():
        for instant in instants:
            at = datetime.fromisoformat(f"{instant}+00:00")
            agent.query(at)
            agent.approval(at, after=timedelta(seconds=1))
            agent.feedback(at)
            agent.decision_event(at)
    raw.conn.execute(f"alter database {raw.conn.info.dbname} set timezone = 'Asia/Tokyo'".encode())
    dbt.run(*VIEWS, *SELECT)
    expected = {day: len(instants) for day, instants in edges.items()}
    for mart in (*FACTS, "metrics.agg_agent_daily_performance"):
        counted = "sum(query_count)" if mart.startswith("metrics") else "count(*)"
        days = query(f"select business_date::text as day, {counted}::int as n from {mart} group by 1")
        assert {row["day"]: row["n"] for row in days} == expected, mart
    decided = query(
        "select decided_date_key as day from marts_agent.fct_approval where created_at = '2026-03-08 04:59:59+00'"
    )
    assert decided == [{"day": 20260308}]


def test_no_text_and_no_login_reaches_staging_or_the_marts(dbt: Dbt, raw: RawShop, query: Any) -> None:
    raw.put("raw_chatwoot.agents", agent_id=3, name="Plantedname", email="planted@example.com")
    AgentRows(raw.conn, text="my mail is planted@example.com", login="plantedname").first_night()
    dbt.run(*SELECT)
    relations = query(
        "select table_schema || '.' || table_name as name from information_schema.tables"
        " where table_schema like 'marts%%' or table_schema in ('staging', 'metrics')"
    )
    assert {*AGENT_MARTS, "staging.stg_agent__facts"} <= {relation["name"] for relation in relations}
    assert all(content(raw.conn).values())
    for relation in relations:
        text = str(query(f"select t::text from {relation['name']} as t")).lower()
        assert not any(word in text for word in ("planted@", "plantedname", "bert", "carla")), relation["name"]


def test_rows_of_no_known_store_fail_the_build(dbt: Dbt, raw: RawShop, agent: AgentRows, query: Any) -> None:
    raw.prepare("north", "south")
    agent.first_night()
    unplaced = dbt.build("path:models/staging/agent")
    assert {"queries_belong_to_a_store", "approvals_belong_to_a_store", "feedback_rows_belong_to_a_store"} <= set(
        unplaced
    )
    dbt.agent_project = "south"
    assert dbt.build() == {}
    assert query("select distinct project_key from marts_agent.fct_agent_query") == [{"project_key": "south"}]


@pytest.mark.agents_night
def test_each_check_of_the_agents_marts_sees_what_breaks_it(dbt: Dbt, raw: RawShop) -> None:
    tests = (
        "test",
        "--select",
        "path:models/marts/agent",
        "agg_agent_daily_performance",
        "--exclude",
        "test_type:unit",
    )
    saved = {mart: f"public.saved_{mart.replace('.', '_')}" for mart in (*AGENT_MARTS, "marts_core.dim_date")}
    for mart, copy in saved.items():
        raw.conn.execute(f"create table {copy} as table {mart}".encode())
    for statements, expected in BREAKS:
        raw.conn.execute(statements.encode())
        outcome = dbt.invoke(*tests)
        failed = {r.node.name for r in outcome.result.results if str(r.status) in ("fail", "warn", "error")}
        assert failed == expected
        for mart, copy in saved.items():
            raw.conn.execute(f"truncate {mart}; insert into {mart} table {copy}".encode())


# What is broken at once, and the checks that must see it: these and no others.
BREAKS = (
    (
        """
        delete from marts_agent.fct_agent_query where query_id = 1;
        delete from marts_agent.fct_approval;
        delete from marts_agent.fct_training;
        delete from marts_agent.fct_decision_event where decision_event_id = 1;
        """,
        {
            "no_query_is_missing_from_the_fact",
            "agent_days_equal_the_sum_of_their_queries",
            "no_approval_is_missing_from_the_fact",
            "no_feedback_is_missing_from_the_fact",
            "no_decision_event_is_missing_from_the_fact",
        },
    ),
    (
        """
        update marts_agent.fct_agent_query set undecided_count = 1 where query_id = 2;
        update marts_agent.fct_approval set decided_at = null where approval_id = 2;
        update marts_agent.fct_training set safe_count = 0, bad_mark_count = 1;
        update metrics.agg_agent_daily_performance set decided_count = 9;
        """,
        {
            "approved_refused_and_undecided_are_all_queries",
            "approved_refused_expired_and_pending_are_all_approvals",
            "safe_unsafe_and_unreviewed_are_all_drafts",
            "marks_of_drafts_are_numbers_from_0_to_5",
            "approved_refused_and_undecided_are_all_queries_of_days",
        },
    ),
    (
        """
        delete from marts_agent.dim_agent where agent_name = 'returns';
        delete from marts_agent.dim_user where is_operator;
        """,
        {
            "every_key_of_fct_agent_query_has_its_member",
            "every_key_of_agg_agent_daily_performance_has_its_member",
            "every_key_of_fct_approval_has_its_member",
        },
    ),
    (
        "delete from marts_core.dim_date; delete from marts_support.dim_conversation where is_unknown",
        {
            "every_key_of_fct_agent_query_has_its_member",
            "every_key_of_fct_approval_has_its_member",
            "every_key_of_fct_training_has_its_member",
            "every_key_of_fct_decision_event_has_its_member",
            "every_key_of_agg_agent_daily_performance_has_its_member",
        },
    ),
)


@pytest.fixture
def reader(raw: RawShop, dbt: Dbt) -> Iterator[str]:
    """A login role that owns nothing and may read schema `agent`."""
    name = f"agent_reader_{raw.conn.info.dbname}"[-60:]
    raw.conn.execute(f"create role {name} login password '{name}'".encode())
    yield name
    raw.conn.execute(f"drop owned by {name}; drop role {name}".encode())


def test_rows_hidden_from_dbt_fail_the_build(dbt: Dbt, raw: RawShop, agent: AgentRows, reader: str) -> None:
    agent.first_night()
    dbt.run("path:models/staging/ops", "path:models/staging/agent")
    raw.conn.execute("alter table agent.agent_feedback enable row level security")
    raw.conn.execute(f"grant usage on schema agent, staging to {reader}".encode())
    raw.conn.execute(f"grant select on all tables in schema agent, staging to {reader}".encode())
    address = urlsplit(dbt.url)
    host = address.netloc.rpartition("@")[2]
    seen = Dbt(dbt.manifest, address._replace(netloc=f"{reader}:{reader}@{host}").geturl(), dbt.folder)
    test = ("test", "--select", "no_row_of_the_agent_is_hidden_from_dbt")
    assert not seen.invoke(*test).success
    raw.conn.execute(f"grant service_role to {reader}".encode())
    assert set(seen(*test).values()) == {"pass"}
