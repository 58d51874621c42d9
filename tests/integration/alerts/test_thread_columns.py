"""The migration that teaches the outbox threads keeps every alert, forth and back."""

from hotdash_pipelines.alerts import Alert, enqueue
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import migrate, rollback
from tests.integration.alerts.harness.violations import NOW, news, tell, violation

_KEPT = "select id, dedupe_key, kind, severity, channel, payload, created_at, attempts, state from ops.alert_outbox"


def test_alerts_of_before_and_after_outlive_a_rollback_and_a_second_migration(any_warehouse_url: str) -> None:
    with connect(any_warehouse_url, autocommit=True) as conn:
        about = violation(conn, "late")
        assert enqueue(conn, Alert("run:1", "run_failed", "critical", "run 1 failed", ()), NOW)
        tell(conn, news("opened", **about))
        tell(conn, news("escalated", level=1, **{**about, "target": "#oncall"}))
        tell(conn, news("resolved", **about))
        before = conn.execute(f"{_KEPT} order by id").fetchall()
        assert len(before) == 7
    assert "0012" in rollback(any_warehouse_url, "0011")
    with connect(any_warehouse_url, autocommit=True) as conn:
        assert conn.execute(f"{_KEPT} order by id").fetchall() == before
        left = conn.execute("select event_kind from ops.alert_outbox where violation_id is not null order by id")
        assert left.fetchall() == [("opened",), ("escalated",), ("resolved",)]
    migrate(any_warehouse_url)
    with connect(any_warehouse_url, autocommit=True) as conn:
        assert conn.execute(f"{_KEPT} order by id").fetchall() == before
        assert tell(conn, news("resolved", **about)) == 0
        assert conn.execute("select distinct action from ops.alert_outbox").fetchall() == [("post",)]
