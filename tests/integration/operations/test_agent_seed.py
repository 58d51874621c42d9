"""Seed and clean-up of the support agent's tables: exact, repeatable, and blind to real rows."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from hotdash_pipelines.agent import cleanup as agent_cleanup
from hotdash_pipelines.agent.activity import read_from, write_days
from hotdash_pipelines.agent.rows import MARK, AgentDataError
from hotdash_pipelines.agent.seed import seed
from hotdash_pipelines.cli import app
from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse.postgres import connect

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
NAMES = ("agent_approvals", "agent_feedback", "agent_queries", "support_curated_replies", "agent_queries_history")


def only_row(conn: "psycopg.Connection[Any]", statement: str) -> tuple[Any, ...]:
    row = conn.execute(statement).fetchone()
    assert row is not None
    return row


def dump(conn: "psycopg.Connection[Any]") -> dict[str, list[Any]]:
    return {
        table: conn.execute(f"select to_jsonb(t) from agent.{table} t order by to_jsonb(t)::text").fetchall()
        for table in NAMES
    }


@pytest.fixture
def hotdash(warehouse_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """The command in this process, on the test's database."""
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_FIXED_NOW", NOW.isoformat())
    get_settings.cache_clear()

    def run(*arguments: str, answer: str | None = None) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(app, ["agent", *arguments], input=answer)

    yield run
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_seed_is_the_36_rows_and_a_second_one_adds_nothing(hotdash: Any, warehouse: Any) -> None:
    preview = json.loads(hotdash("seed", "--dry-run", "--json").stdout)
    assert (preview["total"], preview["dry_run"]) == (36, True)
    assert only_row(warehouse, "select count(*) from agent.agent_approvals") == (0,)

    written = json.loads(hotdash("seed", "--json").stdout)
    assert written["rows"] == {"agent_approvals": 12, "agent_feedback": 11, "agent_queries": 13}
    assert only_row(
        warehouse,
        "select count(*), count(*) filter (where status = 'pending'), count(*) filter (where status = 'approved'), "
        "count(*) filter (where status = 'rejected'), count(*) filter (where status = 'expired') "
        "from agent.agent_approvals",
    ) == (12, 5, 3, 2, 2)
    assert only_row(
        warehouse,
        "select count(*), count(*) filter (where safe_to_send), count(*) filter (where not safe_to_send), "
        "count(*) filter (where safe_to_send is null) from agent.agent_feedback",
    ) == (11, 8, 2, 1)
    assert only_row(
        warehouse,
        "select count(*), count(*) filter (where approved), count(*) filter (where human_edited), "
        "count(*) filter (where latency_ms > 100), min(latency_ms), max(latency_ms) from agent.agent_queries",
    ) == (13, 11, 2, 3, 18, 340)
    for table in ("agent_approvals", "agent_feedback", "agent_queries"):
        assert only_row(
            warehouse,
            f"select count(*) from agent.{table} where created_at > '{NOW}' or updated_at > '{NOW}' "
            "or updated_at < created_at or conversation_id not like 'seed-%'",
        ) == (0,), table
    for table in ("facts", "decision_sync_event_logs", "observability_logs", "support_curated_replies"):
        assert only_row(warehouse, f"select count(*) from agent.{table}") == (0,)

    again = hotdash("seed")
    assert again.exit_code == 0
    assert "nothing written: 36 seeded rows are there already" in again.stdout
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (13,)


def test_seed_clean_up_and_seed_again_gives_the_same_rows(warehouse_url: str) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        texts = "select array_agg(query order by id), array_agg(created_at order by id) from agent.agent_queries"
        seed(conn, NOW)
        first = only_row(conn, texts)
        assert agent_cleanup.remove(conn).removable == {
            "agent_approvals": 12,
            "agent_feedback": 11,
            "agent_queries": 13,
            "support_curated_replies": 0,
            "agent_queries_history": 13,
        }
        assert set(map(len, dump(conn).values())) == {0}
        assert seed(conn, NOW).total == 36
        assert only_row(conn, texts) == first


REAL = """
insert into agent.agent_approvals (conversation_id, serialized) values
    ('4711', '{"state": {"hotdash_written_by": "demo"}}'), ('4712', '["hotdash_written_by"]'), ('seed-like', '{}');
insert into agent.agent_feedback (conversation_id, input_text, model_draft, meta) values
    ('4711', 'hotdash_written_by', 'demo', null), ('4712', 'a', 'b', '{"hotdash_written_by": "the agent"}');
insert into agent.agent_queries (query, result, conversation_id, agent) values
    ('seed', '"demo"', '4711', 'demo'), ('q', '[{"hotdash_written_by": "seed"}]', '4712', 'order-agent');
update agent.agent_queries set approved = true;
insert into agent.support_curated_replies (conversation_id, source_message_id, message_body, approver, approved_at)
    values ('4711', '182069406016', 'seed-', 'demo', now()), ('4711', 'x-demo-1', 'b', 'd', now());
"""


def test_clean_up_removes_what_seed_and_demo_wrote_and_no_real_row(any_warehouse_url: str) -> None:
    """Real rows that look alike stay, their history too; a row of the seed that somebody has edited since goes."""
    with connect(any_warehouse_url, autocommit=True) as conn:
        conn.execute(REAL)
        real = dump(conn)
        assert all(real.values())
        seed(conn, NOW)
        with start_stand_in(scale=0.1, now=NOW) as stand_in:
            write_days(any_warehouse_url, read_from(stand_in.url), ["2026-11-19"], "toy", NOW)
        conn.execute("update agent.agent_queries set approved = false where conversation_id like 'seed-%'")
        audit = "select (select count(*) from agent.facts), (select count(*) from agent.decision_sync_event_logs), \
            (select count(*) from agent.observability_logs)"
        kept = only_row(conn, audit)
        assert min(kept) > 0

        counted = agent_cleanup.count(conn)
        assert tuple(counted.kept.values()) == kept
        assert all(counted.removable.values())
        assert agent_cleanup.remove(conn) == counted
        assert dump(conn) == real
        assert only_row(conn, audit) == kept
        assert agent_cleanup.count(conn).total == 0


def test_clean_up_that_fails_half_way_removes_nothing(warehouse_url: str) -> None:
    with connect(warehouse_url, autocommit=True) as conn:
        seed(conn, NOW)
        before = dump(conn)
        conn.execute("create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$")
        conn.execute(
            "create trigger refuse before delete on agent.agent_queries_history for each row execute function refuse()"
        )
        with pytest.raises(psycopg.errors.RaiseException):
            agent_cleanup.remove(conn)
        assert dump(conn) == before


def test_the_commands_refuse_preview_and_report(hotdash: Any, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDASH_ENVIRONMENT", "prod")
    refused = hotdash("seed")
    assert refused.exit_code == 3
    assert "production" in refused.stderr
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (0,)
    assert hotdash("seed", "--yes").exit_code == 0
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (13,)

    unasked = hotdash("cleanup")
    assert (unasked.exit_code, "--yes" in unasked.stderr) == (3, True)
    preview = hotdash("cleanup", "--dry-run")
    assert preview.exit_code == 0
    assert "49 marked rows" in preview.stdout
    assert "audit rows (facts, decision_sync_event_logs, observability_logs) stay" in preview.stdout
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (13,)
    monkeypatch.setattr("hotdash_pipelines.cli.output.somebody_answers", lambda: True)
    assert hotdash("cleanup", "--json").exit_code == 3
    declined = hotdash("cleanup", answer="n\n")
    assert declined.exit_code == 3
    assert "nothing removed" in declined.stdout
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (13,)
    done = json.loads(hotdash("cleanup", "--yes", "--json").stdout)
    assert sum(done["removed"].values()) == 49
    assert only_row(warehouse, "select count(*) from agent.agent_queries") == (0,)
    assert "nothing removed" in hotdash("cleanup", "--yes").stdout
    assert hotdash("seed", "--yes").exit_code == 0
    assert "removed 49 rows" in hotdash("cleanup", answer="y\n").stdout
    assert only_row(warehouse, "select count(*) from agent.agent_queries_history") == (0,)


def test_simulate_belongs_to_the_demo_and_needs_its_store(
    hotdash: Any, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_stand_in(scale=0.02, now=NOW) as stand_in:
        endpoint = get_settings().demo_endpoint_file
        endpoint.parent.mkdir(parents=True)
        endpoint.write_text(json.dumps(stand_in.endpoint()))
        done = json.loads(hotdash("simulate", "--days", "2", "--json").stdout)
        assert done["written"] == ["2026-11-18", "2026-11-19"]
        assert "nothing new: 2 days written before" in hotdash("simulate", "--days", "2").stdout
    assert only_row(warehouse, f"select count(*) > 0 from agent.agent_queries where result ->> '{MARK}' = 'demo'") == (
        True,
    )
    monkeypatch.setenv("HOTDASH_CHATWOOT_BASE_URL", "https://chat.example.com")
    refused = hotdash("simulate")
    assert refused.exit_code == 3
    assert "demo only" in refused.stderr


def test_a_plain_user_needs_both_roles_and_is_told_so(warehouse_url: str, warehouse: Any) -> None:
    name = f"plain_{os.getpid()}"
    warehouse.execute(f"create role {name} login password 'secret'")
    try:
        info = psycopg.conninfo.conninfo_to_dict(warehouse_url)
        with psycopg.connect(**{**info, "user": name, "password": "secret"}, autocommit=True) as conn:
            advice = f"let an administrator run `grant service_role, hotdash_retention to {name}`"
            with pytest.raises(AgentDataError, match=advice):
                seed(conn, NOW)
            warehouse.execute(f"grant service_role to {name}")
            assert seed(conn, NOW).total == 36
            with pytest.raises(AgentDataError, match=advice):
                agent_cleanup.remove(conn)
            assert only_row(warehouse, "select count(*) from agent.agent_queries") == (13,)
            warehouse.execute(f"grant hotdash_retention to {name}")
            assert agent_cleanup.remove(conn).total == 49
    finally:
        warehouse.execute(f"drop role {name}")
