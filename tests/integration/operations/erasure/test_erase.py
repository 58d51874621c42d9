"""Erasing a conversation: two people, all of its rows and no other, the record, and again after a restore."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hotdash_pipelines.operations.erasure import run as erase
from hotdash_pipelines.operations.erasure.run import TABLES, EraseError, EraseRefused, Holder, UnknownSubject
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.warehouse.postgres import connect

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
PEOPLE = ("Ada", "Grace")
# 42 is the one to go; 421 and the JSON string "about 42" only look like it.
KEPT, GONE = "421", "42"


def fill(conn: "psycopg.Connection[Any]", *subjects: str) -> None:
    for subject in subjects:
        named = json.dumps({"conversation": subject, "note": f"about {GONE}"})
        conn.execute(
            "insert into agent.agent_approvals (conversation_id, serialized) values (%s, %s)", (subject, named)
        )
        conn.execute(
            "insert into agent.agent_feedback (conversation_id, input_text, model_draft) values (%s, 'words', 'd')",
            (subject,),
        )
        conn.execute(
            "insert into agent.agent_queries (query, result, conversation_id, agent) values ('words', '{}', %s, 'a')",
            (subject,),
        )
        conn.execute("update agent.agent_queries set approved = true where conversation_id = %s", (subject,))
        conn.execute(
            "insert into agent.support_curated_replies "
            "(conversation_id, source_message_id, message_body, approver, approved_at) "
            "values (%s, %s, 'b', 'x', now())",
            (subject, f"m{subject}"),
        )
        conn.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', %s)", (named,))
        conn.execute(
            "insert into agent.decision_sync_event_logs (decision_id, scope, status, payload) "
            "values ('d', 's', 'x', %s)",
            (json.dumps({"conversation_id": int(subject)}),),
        )
        conn.execute(
            "insert into agent.observability_logs (level, message, metadata) values ('INFO', 'words', %s)", (named,)
        )


def held(conn: "psycopg.Connection[Any]", subject: str) -> dict[str, int]:
    return {table: rows for table, rows in erase.count(conn, subject).items() if rows}


def test_all_of_a_conversation_goes_and_nothing_of_another(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        fill(conn, GONE, KEPT)
        before, others = held(conn, GONE), held(conn, KEPT)
        assert set(before) == set(TABLES)
        # The first version and its update.
        assert before["agent_queries_history"] == others["agent_queries_history"] == 2

        done = erase.erase(conn, GONE, (" Ada ", "Grace"), NOW, reason="asked by letter")
        assert done.deleted_rows == before
        assert held(conn, GONE) == {}
        assert held(conn, KEPT) == others
        assert conn.execute("select count(*) from agent.agent_queries_history").fetchone() == (2,)
        assert erase.listed(conn) == [done]
        assert done.approved_by == PEOPLE

        line = conn.execute(
            "select level, message || coalesce(metadata::text, '') from agent.observability_logs where request_id = %s",
            (f"erasure-{done.erasure_id}",),
        ).fetchone()
        assert line is not None
        assert line[0] == "INFO"
        assert not [
            secret for secret in (GONE, *PEOPLE, "letter") if f'"{secret}"' in line[1] or f" {secret}" in line[1]
        ]
        # The session's own role is back.
        assert conn.execute("select current_user = session_user").fetchone() == (True,)


@pytest.mark.parametrize(
    "first, second",
    [("Ada", "Ada"), ("Ada", " ada "), ("ADA", "ada"), ("Ada", "Ａｄａ"), ("Ada", ""), ("Ada", None), ("  ", "Ada")],
)
def test_one_person_is_refused(first: str, second: str | None, warehouse: Any) -> None:
    fill(warehouse, GONE)
    before = held(warehouse, GONE)
    with pytest.raises(EraseRefused, match="two people"):
        erase.erase(warehouse, GONE, (first, second), NOW)  # type: ignore[arg-type]
    assert held(warehouse, GONE) == before
    assert erase.listed(warehouse) == []


@pytest.mark.parametrize(
    "people",
    ["{Ada}", '{Ada," ada"}', '{Ada,"\tADA\n"}', '{Ada," "}', "{Ada,NULL}", "[0:1]={Ada,Ada}", "{{Ada,Eve}}"],
)
def test_the_table_itself_refuses_one_person(people: str, warehouse: Any) -> None:
    statement = (
        "insert into ops.erasures (subject_kind, subject, approved_by, requested_at, finished_at, deleted_rows) "
        "values ('conversation', '1', %s::text[], now(), now(), '{}')"
    )
    warehouse.execute(statement, ("{Ada,Eve}",))
    with pytest.raises(psycopg.errors.CheckViolation):
        warehouse.execute(statement, (people,))


def test_an_unknown_conversation_changes_nothing_and_a_file_makes_it_known(warehouse: Any) -> None:
    fill(warehouse, KEPT)
    before = held(warehouse, KEPT)
    with pytest.raises(UnknownSubject):
        erase.erase(warehouse, GONE, PEOPLE, NOW)
    assert erase.listed(warehouse) == []
    assert warehouse.execute("select count(*) from agent.observability_logs").fetchone() == (1,)

    holder = Holder("archive", "agent_queries/2026.parquet", 3)
    done = erase.erase(warehouse, GONE, PEOPLE, NOW, holders=[holder])
    assert (done.total, done.holders) == (0, (holder,))
    assert erase.erase(warehouse, GONE, ("Eve", "Bob"), NOW + timedelta(days=1)) == done
    assert erase.listed(warehouse) == [done]
    assert held(warehouse, KEPT) == before


@pytest.mark.parametrize("point", ["erase.deleted", "erase.recorded"])
def test_a_killed_erasure_leaves_everything_and_a_second_one_ends_it(point: str, warehouse_url: str) -> None:
    script = (
        "import sys; from datetime import UTC, datetime; from hotdash_pipelines.operations.erasure.run import erase; "
        "from hotdash_pipelines.warehouse.postgres import connect; "
        "erase(connect(sys.argv[1], autocommit=True), '42', ('Ada', 'Grace'), datetime(2026, 11, 20, tzinfo=UTC))"
    )
    with connect(warehouse_url, autocommit=True) as conn:
        fill(conn, GONE, KEPT)
        before = held(conn, GONE)
        killed = subprocess.run(
            [sys.executable, "-c", script, warehouse_url], env={**os.environ, "HOTDASH_KILL_AT": point}, check=False
        )
        assert killed.returncode == -9
        assert held(conn, GONE) == before
        assert erase.listed(conn) == []
        assert erase.erase(conn, GONE, PEOPLE, NOW).deleted_rows == before
        assert held(conn, GONE) == {}


def test_a_row_that_is_being_written_goes_too(warehouse_url: str) -> None:
    with connect(warehouse_url) as writer, connect(warehouse_url, autocommit=True) as conn:
        fill(writer, GONE)
        done: list[erase.Erasure] = []
        eraser = threading.Thread(target=lambda: done.append(erase.erase(conn, GONE, PEOPLE, NOW)))
        eraser.start()
        with connect(warehouse_url, autocommit=True) as watcher:
            waiting = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            while watcher.execute(waiting).fetchone() == (0,):
                assert eraser.is_alive()
        writer.commit()
        eraser.join(20)
        assert done[0].deleted_rows["agent_feedback"] == 1
        assert held(conn, GONE) == {}


def test_what_was_erased_is_erased_again_in_an_older_copy(warehouse: Any, tmp_path: Path) -> None:
    fill(warehouse, GONE, KEPT)
    others = held(warehouse, KEPT)
    done = erase.erase(warehouse, GONE, PEOPLE, NOW, holders=[Holder("backup", "20261119T020000Z-00000000")])
    store = FolderStore(tmp_path / "archive")
    assert (erase.keep_beside(store, erase.listed(warehouse)), erase.keep_beside(store, [done])) == (1, 0)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "archive").rglob("*.json")] == [0o600]

    # The older copy: its rows are back, its record of the erasure is not there yet.
    warehouse.execute("delete from ops.erasures")
    fill(warehouse, GONE)
    again = erase.reapply(warehouse, erase.kept_beside(store))
    assert again == done.deleted_rows
    assert held(warehouse, GONE) == {}
    assert held(warehouse, KEPT) == others
    assert erase.listed(warehouse) == [done]
    assert not any(erase.reapply(warehouse, [done]).values())
    assert erase.listed(warehouse) == [done]

    (next((tmp_path / "archive").rglob("*.json"))).write_text("{}")
    with pytest.raises(EraseError, match="no record of an erasure"):
        erase.kept_beside(store)


def test_a_user_who_may_not_is_told_what_to_grant(warehouse_url: str) -> None:
    with connect(warehouse_url, autocommit=True) as admin:
        fill(admin, GONE)
        admin.execute("create role eraser_without_rights")
        try:
            admin.execute("grant usage on schema agent, ops to eraser_without_rights")
            with connect(warehouse_url, autocommit=True) as conn:
                conn.execute("set session authorization eraser_without_rights")
                with pytest.raises(EraseError, match="grant service_role, hotdash_retention to"):
                    erase.erase(conn, GONE, PEOPLE, NOW)
            assert held(admin, GONE)
        finally:
            admin.execute("drop owned by eraser_without_rights; drop role eraser_without_rights")
