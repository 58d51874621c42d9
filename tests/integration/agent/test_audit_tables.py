"""The audit tables are appended to and nothing else, whoever tries and however; tenants read by an index."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.warehouse.access.declared import CLAIMS, ROLES, TABLES
from hotdash_pipelines.warehouse.postgres import connect
from tests.integration.agent.matrix import SAMPLES, become, seed

AUDIT = ("agent.facts", "agent.decision_sync_event_logs", "agent.observability_logs")
TEXT = {"agent.facts": "key", "agent.decision_sync_event_logs": "status", "agent.observability_logs": "message"}


@pytest.fixture
def seeded(any_warehouse_url: str) -> Iterator["psycopg.Connection[Any]"]:
    with connect(any_warehouse_url, autocommit=True) as conn:
        seed(conn)
        yield conn


def _changes(table: str) -> dict[str, str]:
    """Statements that are no plain append, by what they are; each is tried with rows to meet and without."""
    column = TEXT[table]
    values = ", ".join(SAMPLES[table].values()).replace("{}", "{{}}")
    upsert = f"insert into {table} (id, {', '.join(SAMPLES[table])}) values ({{}}, {values})"
    merge = f"merge into {table} t using (select 1 as id) s on t.id = s.id when matched then"
    return {
        "update": f"update {table} set {column} = 'x'",
        "update that meets no row": f"update {table} set {column} = 'x' where false",
        "truncate": f"truncate {table}",
        "truncate with its sequence": f"truncate {table} restart identity cascade",
        "merge that updates": f"{merge} update set {column} = 'x'",
        "merge that updates no row": f"{merge.replace('select 1', 'select -1')} update set {column} = 'x'",
        "upsert": f"{upsert.format(1)} on conflict (id) do update set {column} = 'x'",
        "upsert that meets no row": f"{upsert.format(-1)} on conflict (id) do update set {column} = 'x'",
        "delete": f"delete from {table}",
        "delete that meets no row": f"delete from {table} where false",
        "merge that deletes": f"{merge} delete",
    }


def _sqlstate(conn: "psycopg.Connection[Any]", statement: str) -> str | None:
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statement)
    except psycopg.Error as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize("table", AUDIT)
def test_nothing_but_appending_is_possible_for_anybody(seeded: "psycopg.Connection[Any]", table: str) -> None:
    allowed = []
    for role in (seeded.info.user, *ROLES):
        seeded.execute(f"set role {role}")
        for what, statement in _changes(table).items():
            if _sqlstate(seeded, statement) != "42501":
                allowed.append((role, what))
        seeded.execute("reset role")
    # A MERGE that deletes is a deletion: retention may.
    assert allowed == [
        ("hotdash_retention", what) for what in ("delete", "delete that meets no row", "merge that deletes")
    ]


def _refusal(conn: "psycopg.Connection[Any]", role: str, statement: str) -> str:
    """What Postgres says when it refuses a role a statement."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught, conn.transaction():
        conn.execute(f"set local role {role}; {statement}")
    return str(caught.value)


def test_the_trigger_refuses_whatever_grants_and_policies_say(seeded: "psycopg.Connection[Any]") -> None:
    for table in AUDIT:
        with seeded.transaction(force_rollback=True):
            seeded.execute(f"grant all on {table} to service_role")
            for what, statement in _changes(table).items():
                if what != "truncate with its sequence":
                    assert "is an audit trail" in _refusal(seeded, "service_role", statement), what


def test_without_the_trigger_grants_refuse_all_but_a_superuser(seeded: "psycopg.Connection[Any]") -> None:
    for table in AUDIT:
        with seeded.transaction(force_rollback=True):
            seeded.execute(f"alter table {table} disable trigger refuse_change")
            for role in sorted(set(ROLES) - {"hotdash_retention"}):
                assert "permission denied" in _refusal(seeded, role, f"delete from {table}")
            assert seeded.execute(f"delete from {table}").rowcount > 0


def _copy(conn: "psycopg.Connection[Any]", table: str) -> str | None:
    names = SAMPLES[table]
    try:
        with conn.transaction(force_rollback=True):
            row = conn.execute(f"select {', '.join(names.values())}").fetchone()
            assert row is not None
            with conn.cursor().copy(f"copy {table} ({', '.join(names)}) from stdin") as copy:
                copy.write_row(row)
    except psycopg.Error as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize("table", AUDIT)
def test_copy_appends_for_a_superuser_and_for_nobody_under_row_security(
    seeded: "psycopg.Connection[Any]", table: str
) -> None:
    (declared,) = (one for one in TABLES if one.name == table)
    assert _copy(seeded, table) is None
    for role in ROLES:
        seeded.execute(f"set role {role}")
        # Who may insert is told by Postgres that COPY and row security do not go together.
        assert _copy(seeded, table) == ("0A000" if "insert" in declared.granted_to(role) else "42501"), role
        seeded.execute("reset role")


def test_the_webhook_sent_twice_adds_one_reply_and_reads_nothing(seeded: "psycopg.Connection[Any]") -> None:
    statement = """
        insert into agent.support_curated_replies (
            conversation_id, source_message_id, message_body, approver, approved_at
        ) values ('mine', 'message-1', 'b', 'a', now()) on conflict {} do nothing
    """
    with seeded.transaction():
        seeded.execute("set local role webhook_writer")
        assert [seeded.execute(statement.format("")).rowcount for _ in range(2)] == [1, 0]
    for refused in (statement.format("(source_message_id)"), statement.format("") + " returning id"):
        assert "permission denied" in _refusal(seeded, "webhook_writer", refused)


def test_nobody_writes_the_history_but_its_trigger(seeded: "psycopg.Connection[Any]") -> None:
    with seeded.transaction(force_rollback=True):
        seeded.execute("set local role operator")
        assert seeded.execute("update agent.agent_queries set human_edited = true").rowcount == 3
        assert seeded.execute("select from agent.agent_queries_history where operation_type = 'UPDATE'").rowcount == 3
    with seeded.transaction(force_rollback=True):
        seeded.execute("set local role hotdash_retention")
        assert seeded.execute("delete from agent.agent_queries").rowcount == 3
        # Retention deletes the history too, else it would defeat the deletion; so it leaves no last version either.
        assert seeded.execute("delete from agent.agent_queries_history").rowcount == 3
    with seeded.transaction(force_rollback=True):
        seeded.execute("set local role service_role")
        assert seeded.execute("delete from agent.agent_queries").rowcount == 3
        assert seeded.execute("select from agent.agent_queries_history where operation_type = 'DELETE'").rowcount == 3


READS = {
    table.name: next(rule.rows.column for rule in table.rules if rule.rows.is_own)
    for table in TABLES
    if any(rule.rows.is_own for rule in table.rules)
}


def test_a_tenant_reads_its_rows_of_a_filled_table_by_an_index(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        for table, column in READS.items():
            if table != "agent.agent_queries_history":
                row = SAMPLES[table] | {column: "'tenant ' || n % 400"}
                values = ", ".join(row.values())
                conn.execute(f"insert into {table} ({', '.join(row)}) select {values} from generate_series(1, 4000) n")
            conn.execute(f"analyze {table}")
        everything = [*((table, column, "") for table, column in READS.items() if table != "agent.observability_logs")]
        # Every tenant reads all INFO and WARN lines, so only a question for some lines can use an index.
        everything.append(("agent.observability_logs", "request_id", "where request_id = 'tenant 7'"))
        everything.append(("agent.decision_sync_events", "scope", ""))
        for relation, column, where in everything:
            with conn.transaction(force_rollback=True):
                become(conn, "authenticated", json.dumps(dict.fromkeys(CLAIMS, "tenant 7")), None)
                (plan,) = conn.execute(f"explain (format json) select * from {relation} {where}").fetchone() or ()
                text = json.dumps(plan)
                assert "Seq Scan" not in text, (relation, text)
                assert "Index" in text, (relation, text)
                assert f"({column} = " in text, (relation, text)
                assert conn.execute(f"select from {relation} {where}").rowcount == 10
