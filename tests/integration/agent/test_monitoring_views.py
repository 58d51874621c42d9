"""What the monitoring views say, worked out by hand; the report on the data sees each thing that it looks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from hotdash_pipelines.warehouse.postgres import connect

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.xdist_group("monitoring")


def rows(conn: "psycopg.Connection[Any]", query: str) -> list[dict[str, Any]]:
    """The rows of a query by column."""
    cursor = conn.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def by(key: str, entries: Sequence[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {row[key]: row for row in entries}


def add_queries(
    conn: "psycopg.Connection[Any]",
    agent: str,
    queries: list[tuple[bool | None, bool, int | None]],
    ago: str = "0 seconds",
) -> None:
    """Queries of an agent as (approved, human_edited, latency_ms), `ago` before now."""
    for approved, edited, latency in queries:
        conn.execute(
            "insert into agent.agent_queries"
            " (query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at)"
            " values ('q', '{}', 'c-1', %s, %s, %s, %s, now() - %s::interval, now())",
            (agent, approved, edited, latency, ago),
        )


def add_approval(
    conn: "psycopg.Connection[Any]", status: str, ago: str, waited: str = "0", conversation: str = "c-1"
) -> None:
    """An item that came in `ago` before now and was decided after `waited`."""
    conn.execute(
        "insert into agent.agent_approvals (conversation_id, serialized, status, approved_by, created_at, updated_at)"
        """ values (%s, '{"run": 1}', %s, %s, now() - %s::interval, now() - %s::interval + %s::interval)""",
        (conversation, status, "ann" if status in ("approved", "rejected") else None, ago, ago, waited),
    )


def add_feedback(
    conn: "psycopg.Connection[Any]",
    annotator: str | None,
    safe: bool | None,
    rubric: str = "{}",
    labels: str = "{}",
    conversation: str = "c-1",
) -> None:
    """A draft of this minute with what an annotator says of it."""
    conn.execute(
        "insert into agent.agent_feedback"
        " (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator)"
        " values (%s, 'question', 'draft', %s, %s, %s, %s)",
        (conversation, safe, labels, rubric, annotator),
    )


def test_the_quality_score_is_the_one_worked_out_by_hand(warehouse: "psycopg.Connection[Any]") -> None:
    """Three agents: one measured in full, one so slow that its latency counts for nothing, one not judged yet."""
    add_queries(warehouse, "swift", [(True, False, 20), (True, True, 40), (False, False, 60), (None, False, 80)])
    add_queries(warehouse, "slow", [(True, False, 4000), (True, False, None)])
    add_queries(warehouse, "new", [(None, False, 10)])
    agents = by("agent", rows(warehouse, "select * from monitoring.v_agent_response_accuracy"))
    # 2 of 3 decided: 66.67 %; 1 of 4 edited: 25 %; mean 50 ms: 0.5 * 66.67 + 0.3 * 75 + 0.2 * 95.
    swift = agents["swift"]
    assert (swift["query_count"], swift["decided_count"], swift["approved_count"], swift["edited_count"]) == (
        4,
        3,
        2,
        1,
    )
    assert (float(swift["approval_rate_pct"]), float(swift["edit_rate_pct"])) == (66.67, 25)
    assert (swift["avg_latency_ms"], swift["p50_latency_ms"], swift["p95_latency_ms"]) == (50, 40, 80)
    assert float(swift["quality_score"]) == 74.83
    # 0.5 * 100 + 0.3 * 100 + 0.2 * 0, though 100 - 4000 / 10 is -300.
    assert float(agents["slow"]["quality_score"]) == 80
    assert agents["new"]["quality_score"] is None
    assert agents["new"]["approval_rate_pct"] is None


def test_health_follows_latency_and_approval(warehouse: "psycopg.Connection[Any]") -> None:
    """At each bound and just beyond it: 50 and 200 ms, 80 and 50 %. What is not known counts for nothing."""
    yes, no = (True, False, 1), (False, False, 1)
    for queries, health in (
        ([(True, False, 50)], "healthy"),
        ([(True, False, 51)], "warning"),
        ([(True, False, 200)], "warning"),
        ([(True, False, 201)], "degraded"),
        ([yes, yes, yes, yes, no], "healthy"),
        ([yes, yes, yes, no], "warning"),
        ([yes, no], "warning"),
        ([yes, no, no], "degraded"),
        ([(None, False, None)], "healthy"),
    ):
        with warehouse.transaction(force_rollback=True):
            add_queries(warehouse, "one", queries)
            (row,) = rows(warehouse, "select health from monitoring.v_agent_performance_snapshot")
            assert (queries, row["health"]) == (queries, health)


def test_the_snapshot_counts_the_last_hour_and_the_last_24(warehouse: "psycopg.Connection[Any]") -> None:
    for ago in ("59 minutes", "61 minutes", "23 hours 59 minutes", "24 hours 1 minute"):
        add_queries(warehouse, "one", [(True, False, 5)], ago)
    (row,) = rows(warehouse, "select * from monitoring.v_agent_performance_snapshot")
    assert (row["queries_last_hour"], row["queries_last_24_hours"]) == (1, 3)


def test_an_item_that_waits_over_5_minutes_is_a_breach_in_both_queue_views(
    warehouse: "psycopg.Connection[Any]",
) -> None:
    """Whatever happened to it later; one that expired undecided is a breach however short it waited."""
    for status, ago, waited in (
        ("pending", "4 minutes 30 seconds", "0"),
        ("pending", "5 minutes 1 second", "0"),
        ("approved", "2 hours", "5 minutes"),
        ("approved", "2 hours", "5 minutes 1 second"),
        ("rejected", "2 hours", "10 seconds"),
        ("expired", "2 hours", "1 minute"),
        # Older than a day: only what still waits counts.
        ("pending", "3 days", "0"),
        ("approved", "3 days", "1 hour"),
    ):
        add_approval(warehouse, status, ago, waited)
    status = by("status", rows(warehouse, "select * from monitoring.v_approval_queue_status"))
    assert {name: (row["item_count"], row["sla_breaches"]) for name, row in status.items()} == {
        "pending": (3, 2),
        "approved": (2, 1),
        "rejected": (1, 0),
        "expired": (1, 1),
    }
    pending = status["pending"]
    assert [pending[f"waited_{upto}"] for upto in ("to_5_minutes", "to_1_hour", "to_24_hours", "longer")] == [
        1,
        1,
        0,
        1,
    ]
    assert (status["approved"]["median_wait_seconds"], status["approved"]["longest_wait_seconds"]) == (300, 301)
    (depth,) = rows(
        warehouse,
        "select sum(item_count) as items, sum(pending_count) as pending, sum(approved_count) as approved,"
        " sum(sla_breach_count) as breaches, max(oldest_pending_seconds) as oldest"
        " from monitoring.v_approval_queue_depth",
    )
    assert (depth["items"], depth["pending"], depth["approved"], depth["breaches"]) == (6, 2, 2, 3)
    assert 301 <= depth["oldest"] < 360
    (hour,) = rows(warehouse, "select * from monitoring.v_approval_queue_depth where approved_count > 0")
    # Of four, two were decided in time; the mean of 300, 301 and 10 seconds.
    assert (float(hour["sla_compliance_pct"]), float(hour["avg_resolution_seconds"])) == (50, 203.7)


def test_a_young_item_neither_keeps_nor_breaks_the_5_minutes(warehouse: "psycopg.Connection[Any]") -> None:
    add_approval(warehouse, "pending", "10 seconds")
    (row,) = rows(warehouse, "select * from monitoring.v_approval_queue_depth")
    assert (row["pending_count"], row["sla_breach_count"], row["sla_compliance_pct"]) == (1, 0, None)


def test_training_quality_leaves_out_marks_that_are_no_marks(warehouse: "psycopg.Connection[Any]") -> None:
    add_feedback(warehouse, "ann", True, '{"clarity": 5, "accuracy": 4, "tone": 3}', "{tone,short}")
    add_feedback(warehouse, "ann", False, '{"clarity": 2.5, "accuracy": "five", "tone": 9}', "{tone}")
    add_feedback(warehouse, "bob", True, '{"clarity": null, "tone": -1}')
    add_feedback(warehouse, None, None)
    (row,) = rows(warehouse, "select * from monitoring.v_training_data_quality")
    assert (row["draft_count"], row["reviewed_count"], row["safe_count"]) == (4, 3, 2)
    assert (float(row["safe_share_pct"]), row["label_counts"]) == (66.67, {"tone": 2, "short": 1})
    assert (float(row["clarity_mean"]), float(row["accuracy_mean"]), float(row["tone_mean"])) == (3.75, 4, 3)
    assert (row["active_annotators"], float(row["annotations_per_annotator"])) == (2, 1.5)


def test_annotators_are_consistent_when_verdict_and_marks_agree(warehouse: "psycopg.Connection[Any]") -> None:
    add_feedback(warehouse, "ann", True, '{"clarity": 3, "accuracy": 3, "tone": 3}', "{tone}")
    add_feedback(warehouse, "ann", False, '{"clarity": 5, "accuracy": 5, "tone": 5}')
    add_feedback(warehouse, "ann", False, '{"clarity": 1, "accuracy": 2, "tone": 5}')
    add_feedback(warehouse, "ann", True, '{"clarity": 5}')
    add_feedback(warehouse, "ann", None)
    (row,) = rows(warehouse, "select * from monitoring.v_annotation_progress")
    assert (row["annotator"], row["assigned_count"], row["reviewed_count"], row["labelled_count"]) == ("ann", 5, 4, 1)
    assert (float(row["progress_pct"]), float(row["safe_share_pct"])) == (80, 50)
    # Two of the three with all marks agree; their means are 3, 5 and 2.67.
    assert (float(row["consistency_pct"]), float(row["mark_mean"])) == (66.67, 3.56)


_RULES = {
    "approvals_are_signed": (
        "alter table agent.agent_approvals drop constraint agent_approvals_decided_by_somebody;"
        "insert into agent.agent_approvals (conversation_id, serialized, status) values ('c', '{\"a\": 1}', 'approved')"
    ),
    "approvals_hold_a_run": "insert into agent.agent_approvals (conversation_id, serialized) values ('c', '[]')",
    "approvals_run_forwards": (
        "alter table agent.agent_approvals drop constraint agent_approvals_updated_after_created;"
        "insert into agent.agent_approvals (conversation_id, serialized, updated_at)"
        " values ('c', '{\"a\": 1}', now() - interval '1 minute')"
    ),
    "approvals_are_not_forgotten": (
        "insert into agent.agent_approvals (conversation_id, serialized, created_at)"
        " values ('c', '{\"a\": 1}', now() - interval '30 days')"
    ),
    "feedback_is_signed": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, safe_to_send)"
        " values ('c', 'q', 'd', false)"
    ),
    "feedback_marks_are_0_to_5": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, rubric)"
        " values ('c', 'q', 'd', '{\"clarity\": 3, \"tone\": \"good\"}')"
    ),
    "feedback_has_text": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft) values ('c', E' \\n', 'd')"
    ),
    "feedback_labels_have_names": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, labels)"
        " values ('c', 'q', 'd', array['tone', null])"
    ),
    "query_latency_is_plausible": (
        "insert into agent.agent_queries (query, result, conversation_id, agent, latency_ms)"
        " values ('q', '{}', 'c', 'a', 600001)"
    ),
    "edited_queries_are_decided": (
        "insert into agent.agent_queries (query, result, conversation_id, agent, human_edited)"
        " values ('q', '{}', 'c', 'a', true)"
    ),
    "query_history_is_complete": (
        "insert into agent.agent_queries (query, result, conversation_id, agent) values ('q', '{}', 'c', 'a');"
        "update agent.agent_queries_history set approved = true"
    ),
    "nothing_is_from_the_future": (
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, created_at, updated_at)"
        " values ('c', 'q', 'd', now() + interval '6 minutes', now() + interval '6 minutes')"
    ),
}


def test_each_rule_of_the_report_sees_the_row_that_breaks_it(warehouse: "psycopg.Connection[Any]") -> None:
    """And no rule fires on another's row."""
    report = "select name, broken_rows, checked_rows, is_ok from monitoring.v_data_quality_report"
    assert {(row["checked_rows"], row["is_ok"]) for row in rows(warehouse, report)} == {(0, None)}
    for name, planted in _RULES.items():
        with warehouse.transaction(force_rollback=True):
            add_approval(warehouse, "pending", "1 minute")
            add_feedback(warehouse, "ann", True, '{"clarity": 5}', "{tone}")
            add_queries(warehouse, "one", [(True, True, 600000)])
            clean = by("name", rows(warehouse, report))
            assert set(clean) == set(_RULES)
            assert {row["is_ok"] for row in clean.values()} == {True}
            warehouse.execute(planted.encode())
            broken = {row["name"]: row["broken_rows"] for row in rows(warehouse, report) if not row["is_ok"]}
            assert broken == {name: 1}


def test_a_history_that_lacks_a_query_is_not_complete(warehouse: "psycopg.Connection[Any]") -> None:
    add_queries(warehouse, "one", [(True, False, 5), (True, False, 5)])
    warehouse.execute("delete from agent.agent_queries_history where id = 1")
    report = by("name", rows(warehouse, "select * from monitoring.v_data_quality_report"))
    assert report["query_history_is_complete"]["broken_rows"] == 1


def test_stored_figures_say_what_the_live_ones_said_when_they_were_refreshed(
    warehouse: "psycopg.Connection[Any]",
) -> None:
    add_queries(warehouse, "one", [(True, True, 5), (None, False, 90), (False, False, 400)], "50 hours")
    add_queries(warehouse, "one", [(True, False, 5)])
    add_approval(warehouse, "pending", "10 minutes")
    add_feedback(warehouse, "ann", True, '{"clarity": 5}', "{tone}")
    assert rows(warehouse, "select * from monitoring_private.mv_daily_agent_metrics") == []
    warehouse.execute("select monitoring_private.refresh_daily_agent_metrics()")
    warehouse.execute("select monitoring_private.refresh_realtime_metrics()")
    daily = rows(warehouse, "select * from monitoring_private.mv_daily_agent_metrics")
    # Today is not complete yet, so it is not stored.
    today = "(now() at time zone app.store_timezone())::date"
    assert daily == rows(warehouse, f"select * from monitoring.v_agent_response_accuracy where day < {today}")
    assert len(daily) == 1
    for stored, live in (
        ("mv_realtime_agent_performance", "v_agent_performance_snapshot"),
        ("mv_realtime_training_quality", "v_training_data_quality"),
        ("mv_realtime_approval_queue", "v_approval_queue_status"),
    ):
        (kept,) = rows(warehouse, f"select * from monitoring_private.{stored}")
        (now,) = rows(warehouse, f"select * from monitoring.{live}")
        assert kept.pop("refreshed_at") is not None
        for moving in ("median_wait_seconds", "longest_wait_seconds"):
            kept.pop(moving, None), now.pop(moving, None)
        assert kept == now


def test_every_column_of_every_view_says_what_it_is(warehouse: "psycopg.Connection[Any]") -> None:
    columns = warehouse.execute(
        "select c.relname, a.attname, col_description(c.oid, a.attnum) from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
        " where c.relnamespace in ('monitoring'::regnamespace, 'monitoring_private'::regnamespace)"
        " and c.relkind in ('v', 'm')"
    ).fetchall()
    assert len({view for view, _, _ in columns}) == 12
    assert [(view, column) for view, column, says in columns if not says] == []


def test_windows_do_not_depend_on_the_zone_of_the_session(warehouse_url: str) -> None:
    """Days are the store's and hours are UTC, whatever zone the client and the server are set to."""
    views = (
        "select day, agent, query_count from monitoring.v_agent_response_accuracy",
        "select day, draft_count from monitoring.v_training_data_quality",
        "select day, annotator, assigned_count from monitoring.v_annotation_progress",
        "select extract(epoch from hour_starts_at), item_count from monitoring.v_approval_queue_depth",
        "select agent, queries_last_hour, queries_last_24_hours from monitoring.v_agent_performance_snapshot",
        "select day, agent, query_count from monitoring_private.mv_daily_agent_metrics",
    )
    with connect(warehouse_url, autocommit=True) as conn:
        conn.execute(
            "insert into ops.projects values ('shop', null, 'USD', 'America/New_York', null, null, true, now())"
        )
        for hours in range(190):
            add_queries(conn, "one", [(True, False, 5)], f"{hours} hours")
        add_approval(conn, "pending", "20 minutes")
        add_feedback(conn, "ann", True)
        seen = []
        for zone in ("UTC", "Asia/Kolkata", "Pacific/Auckland", "America/Los_Angeles"):
            conn.execute(f"set time zone '{zone}'".encode())
            conn.execute("select monitoring_private.refresh_daily_agent_metrics()")
            seen.append([sorted(map(str, conn.execute(view.encode()).fetchall())) for view in views])
        assert all(len(found) > 0 for found in seen[0])
        assert seen[1:] == seen[:1] * 3
        days = conn.execute(
            "select (created_at at time zone 'America/New_York')::date::text, count(*) from agent.agent_queries"
            " group by 1 order by 1 desc limit 7"
        ).fetchall()
        live = conn.execute(
            "select day::text, query_count from monitoring.v_agent_response_accuracy order by 1 desc"
        ).fetchall()
        assert live == days


def test_a_tenant_sees_figures_of_its_own_rows_only(warehouse: "psycopg.Connection[Any]") -> None:
    """One item, draft and query of the tenant among those of another; a reader of the operators counts all."""
    for conversation in ("mine", "other", "other"):
        warehouse.execute(
            "insert into agent.agent_queries (query, result, conversation_id, agent) values ('q', '{}', %s, 'one')",
            (conversation,),
        )
        add_approval(warehouse, "pending", "10 minutes", conversation=conversation)
        add_feedback(warehouse, "ann", True, conversation=conversation)
    counts = {
        "v_agent_response_accuracy": ("sum(query_count)", "operator"),
        "v_agent_performance_snapshot": ("sum(queries_last_24_hours)", "operator"),
        "v_approval_queue_depth": ("sum(item_count)", "monitoring_team"),
        "v_approval_queue_status": ("sum(item_count)", "operator_readonly"),
        "v_training_data_quality": ("sum(draft_count)", "annotator"),
        "v_annotation_progress": ("sum(assigned_count)", "qa_team"),
        "v_data_quality_report": (
            "max(checked_rows) filter (where name = 'query_history_is_complete')",
            "service_role",
        ),
    }
    for view, (count, reader) in counts.items():
        for role, conversation, expected in (
            ("authenticated", "mine", 1),
            ("authenticated", "", 0),
            (reader, "", 3),
        ):
            with warehouse.transaction(force_rollback=True):
                warehouse.execute(
                    "select set_config('app.conversation_id', %s, true), set_config('role', %s, true)",
                    (conversation, role),
                )
                ((visible,),) = warehouse.execute(f"select {count} from monitoring.{view}".encode()).fetchall()
                assert (view, role, visible or 0) == (view, role, expected)


def test_anybody_may_ask_whether_the_database_answers_and_only_the_service_may_refresh(
    warehouse: "psycopg.Connection[Any]",
) -> None:
    import psycopg

    newest = warehouse.execute("select max(revision) from ops.schema_migrations").fetchone()
    with warehouse.transaction(force_rollback=True):
        warehouse.execute("set local role anon")
        assert warehouse.execute("select schema_revision from monitoring.v_health").fetchone() == newest
    for refresh in ("refresh_daily_agent_metrics", "refresh_realtime_metrics"):
        call = f"select monitoring_private.{refresh}()".encode()
        with warehouse.transaction(force_rollback=True):
            warehouse.execute("set local role service_role")
            assert warehouse.execute(call).fetchone()
        for role in ("operator", "monitoring_team", "authenticated", "hotdash_backup"):
            with warehouse.transaction(force_rollback=True):
                warehouse.execute(f"set local role {role}".encode())
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    warehouse.execute(call)
