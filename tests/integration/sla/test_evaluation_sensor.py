"""The sensor that judges, tick by tick on an instance of its own: told once, shown beside the asset, never broken."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.definitions import defs
from hotdash_pipelines.defs.sla import sensors
from hotdash_pipelines.defs.sla.checks import news
from hotdash_pipelines.defs.sla.facts import facts_of
from hotdash_pipelines.orchestration.resources import ClockResource, WarehouseResource
from hotdash_pipelines.orchestration.sla_checks import check_key, shown
from hotdash_pipelines.services import slas as promised
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.sla import Definition, Verdict
from hotdash_pipelines.sla.observers.facts import Wanted
from hotdash_pipelines.sla.records.history import violations
from hotdash_pipelines.sla.records.store import load_states
from tests.integration.sla.kept import Conn, column, rows

# 07:00 in New York.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDERS = dg.AssetKey(["marts_core", "fct_order"])
APPROVALS = dg.AssetCheckKey(dg.AssetKey(["agent", "agent_approvals"]), "sla_approvals_answered")
RUN = "8d3c1f0a-5b7e-4a9d-9c35-1f6a0c2f7b11"


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


class Ticks:
    """The sensor with its cursor, a minute from tick to tick."""

    def __init__(
        self, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, patch: pytest.MonkeyPatch
    ) -> None:
        self.instance, self.repository, self.patch = instance, repository, patch
        self.cursor: str | None = None
        self.now = NOW

    def tick(self, after: timedelta = MINUTE) -> dg.SensorResult:
        """What the daemon does: evaluate, keep the cursor, report the events."""
        self.now += after
        self.patch.setenv("HOTDASH_FIXED_NOW", self.now.isoformat())
        get_settings.cache_clear()
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self.repository, cursor=self.cursor
        ) as context:
            result = sensors.sla_evaluation_sensor(context, warehouse=WarehouseResource(), clock=ClockResource())
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return result

    def shown(self, key: dg.AssetCheckKey) -> Any:
        """The newest evaluation of a check, as the UI finds it."""
        summary = self.instance.event_log_storage.get_asset_check_summary_records([key])[key]
        record = summary.last_completed_check_execution_record
        return record.evaluation if record else None


@pytest.fixture
def ticks(warehouse_url: str, repository: dg.RepositoryDefinition, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_PROJECT_KEY", "toy")
    get_settings.cache_clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance, repository, monkeypatch)
    get_settings.cache_clear()


def ask(conn: Conn, at: datetime) -> None:
    conn.execute(
        "insert into agent.agent_approvals (conversation_id, serialized, created_at, updated_at) "
        "values ('1', '{\"draft\": \"ann@example.com\"}', %s, %s)",
        (at, at),
    )


def answer(conn: Conn) -> None:
    conn.execute("update agent.agent_approvals set status = 'approved', approved_by = 'op'")


def open_ones(conn: Conn) -> list[str]:
    return sorted(row.sla for row in violations(conn, open_only=True))


def outbox(conn: Conn) -> list[str]:
    return column(conn, "select event_kind from ops.alert_outbox where event_kind is not null order by id")


def test_a_violation_opens_once_lasts_and_resolves(ticks: Ticks, warehouse: Conn) -> None:
    ask(warehouse, NOW - 3 * MINUTE)
    assert ticks.tick().asset_events
    assert ticks.shown(APPROVALS).passed
    assert open_ones(warehouse) == []

    reported = [len(ticks.tick().asset_events) for _ in range(10)]
    assert open_ones(warehouse) == ["approvals_answered"]
    assert sum(reported) == 1, "the event log grows by what changes, not by every tick"
    shown = ticks.shown(APPROVALS)
    assert (shown.passed, shown.metadata["state"].value) == (False, "breach")
    assert "ann@example.com" not in repr(shown)
    assert [kind for kind in outbox(warehouse) if kind == "opened"] == ["opened"]

    answer(warehouse)
    ticks.tick()
    ticks.tick()
    assert open_ones(warehouse) == []
    assert ticks.shown(APPROVALS).passed
    (one,) = violations(warehouse, name="approvals_answered")
    assert one.reason == "recovered"
    # Late since five minutes after it was asked, until the first tick that saw the answer.
    assert one.duration == timedelta(minutes=10)
    said = str(rows(warehouse, "select payload from ops.alert_outbox"))
    for part in ("agent/agent_approvals", "team:support", "approvals-waiting.md", "Agent queue"):
        assert part in said, part
    assert "ann@example.com" not in said


def test_every_sla_is_judged_and_every_check_is_told_again_once_an_hour(ticks: Ticks, warehouse: Conn) -> None:
    first = ticks.tick()
    names = {definition.name for definition in promised.promised()}
    assert {state.sla for state in load_states(warehouse).values()} == names
    checks = {key.name for key in ticks.repository.asset_graph.asset_check_keys}
    told = {event.check_name for event in first.asset_events}
    assert told == {name for name in checks if name.startswith("sla_")}
    assert len(told) > 15
    assert ticks.tick().asset_events == []
    assert column(warehouse, "select beats from ops.heartbeats where name = 'sla_evaluation'") == [2]
    ticks.tick(61 * MINUTE)
    events = ticks.instance.event_log_storage.get_asset_check_execution_history(APPROVALS, limit=10)
    assert len(events) == 2


def test_a_fresh_installation_wakes_nobody(ticks: Ticks, warehouse: Conn) -> None:
    warehouse.execute("update ops.schema_migrations set applied_at = %s", (NOW,))
    for _ in range(60):
        ticks.tick(5 * MINUTE)
    assert open_ones(warehouse) == [], "the first load may come with the first night"
    # Two days later nothing has ever been loaded, backed up or checked.
    for _ in range(24):
        ticks.tick(2 * timedelta(hours=1))
    assert {"shopify_orders_lag", "backup_recent", "sales_ready_by_six"} <= set(open_ones(warehouse))


def test_postgres_away_breaks_no_tick_and_resolves_nothing(ticks: Ticks, warehouse_url: str, warehouse: Conn) -> None:
    ask(warehouse, NOW - 30 * MINUTE)
    ticks.tick()
    ticks.tick()
    assert open_ones(warehouse) == ["approvals_answered"]
    before = ticks.cursor
    ticks.patch.setenv("HOTDASH_DATABASE_URL", "postgresql://nobody:pass-word@127.0.0.1:9/none")
    answer(warehouse)
    for _ in range(3):
        result = ticks.tick()
        assert result.asset_events == []
        assert "cannot be reached" in str(result.skip_reason)
        assert "pass-word" not in str(result.skip_reason)
    assert ticks.cursor == before
    assert open_ones(warehouse) == ["approvals_answered"]
    ticks.patch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    ticks.tick()
    ticks.tick()
    assert open_ones(warehouse) == []


def test_a_pause_of_the_evaluation_is_told_afterwards(ticks: Ticks, warehouse: Conn) -> None:
    ticks.tick()
    ticks.tick()
    assert open_ones(warehouse) == []
    ticks.tick(20 * MINUTE)
    assert open_ones(warehouse) == ["evaluation_alive"]
    ticks.tick()
    (one,) = violations(warehouse, name="evaluation_alive")
    assert (one.reason, one.peak) == ("recovered", 20)


def test_whatever_a_turn_raises_is_a_line_in_the_log(ticks: Ticks) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("ann@example.com")

    ticks.patch.setattr(sensors, "take_turn", broken)
    reason = str(ticks.tick().skip_reason)
    assert "ValueError in broken" in reason
    assert "ann@example.com" not in reason
    # A lost cursor tells everything once more, no less.
    ticks.patch.undo()
    assert news((), {}, "not json", NOW) == ([], "{}")


def test_two_daemons_make_one_tick(ticks: Ticks, warehouse: Conn) -> None:
    ticks.tick()
    second = ticks.tick(timedelta(seconds=5))
    assert "another evaluation" in str(second.skip_reason)
    assert second.asset_events == []
    assert column(warehouse, "select beats from ops.heartbeats where name = 'sla_evaluation'") == [1]


def test_a_run_under_way_is_neither_kept_nor_broken_before_the_deadline(ticks: Ticks, warehouse: Conn) -> None:
    warehouse.execute("update ops.schema_migrations set applied_at = %s", (NOW - timedelta(days=9),))
    ticks.now = NOW - timedelta(hours=1, minutes=20)
    run = dg.DagsterRun(
        job_name="nightly_job", run_id=RUN, status=dg.DagsterRunStatus.STARTING, asset_selection=frozenset({ORDERS})
    )
    ticks.instance.add_run(run)
    ticks.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="nightly_job"), run_id=RUN
    )
    ticks.tick()
    shown = ticks.shown(dg.AssetCheckKey(ORDERS, "sla_orders_ready_by_six"))
    assert (shown.passed, shown.metadata["state"].value) == (True, "pending")
    assert "a run is under way since" in shown.description
    ticks.tick(30 * MINUTE)
    shown = ticks.shown(dg.AssetCheckKey(ORDERS, "sla_orders_ready_by_six"))
    assert (shown.passed, shown.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "orders_ready_by_six" in open_ones(warehouse)

    ticks.instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS))
    ticks.patch.setattr(sensors, "facts_of", made_at(ticks))
    ticks.tick()
    assert ticks.shown(dg.AssetCheckKey(ORDERS, "sla_orders_ready_by_six")).passed


def made_at(ticks: Ticks) -> Any:
    """`facts_of`, with what was materialised (by the machine's clock) dated to the simulated present."""

    def facts(*given: Any) -> Any:
        found = facts_of(*given)
        object.__setattr__(found, "newest", dict.fromkeys(found.newest, ticks.now - MINUTE))
        return found

    return facts


def test_dagster_tells_partitions_runs_and_freshness_in_few_queries(
    repository: dg.RepositoryDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = dg.AssetKey(["raw_shopify", "orders"])
    with dg.DagsterInstance.ephemeral() as instance:
        wanted = Wanted(
            deadlines=frozenset({"marts_core/fct_order", "raw_shopify/orders", "no/asset"}),
            partitions=frozenset({"2026-11-18", "2026-11-19"}),
            freshness=frozenset({"raw_shopify/products"}),
            runs_since=datetime(2000, 1, 1, tzinfo=UTC),
        )
        empty = facts_of(instance, repository, wanted)
        assert (empty.failure, empty.newest, empty.first, empty.runs) == (None, {}, {}, ())
        assert empty.partitioned == {"raw_shopify/orders"}
        began = datetime.now(UTC)
        for partition in ("2026-11-01", "2026-11-18"):
            instance.report_runless_asset_event(dg.AssetMaterialization(raw, partition=partition))
        between = datetime.now(UTC)
        instance.report_runless_asset_event(dg.AssetMaterialization(raw, partition="2026-11-18"))
        instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS))
        found = facts_of(instance, repository, wanted)
        assert set(found.newest) == {"marts_core/fct_order"}
        assert set(found.first) == {("raw_shopify/orders", "2026-11-18")}
        assert found.first["raw_shopify/orders", "2026-11-18"] < between, "the first success, not a repeat"
        for at in (*found.newest.values(), *found.first.values()):
            assert abs(at - began) < MINUTE

        def away(*_: object) -> None:
            raise ConnectionError("postgresql://user:secret@host")

        monkeypatch.setattr(instance, "get_asset_records", away)
        assert facts_of(instance, repository, wanted).failure == "Dagster's instance did not answer (ConnectionError)"


def test_the_worst_partition_is_shown_and_told_only_when_it_changes() -> None:
    definition = next(one for one in promised.promised() if one.name == "sales_ready_by_six")

    def told(cursor: str | None, now: datetime, **states: str) -> tuple[list[str], str]:
        verdicts = {(definition.name, day): verdict(definition, state) for day, state in states.items()}
        events, cursor = news([definition], verdicts, cursor, now)
        return [str(event.metadata["state"].value) for event in events], cursor

    events, cursor = told(None, NOW, monday="ok", tuesday="breach")
    assert events == ["breach"]
    assert told(cursor, NOW + MINUTE, monday="ok", tuesday="breach")[0] == []
    assert told(cursor, NOW + MINUTE, monday="ok", tuesday="unknown")[0] == ["unknown"]
    assert told(cursor, NOW + 60 * MINUTE, tuesday="breach")[0] == ["breach"]


def verdict(definition: Definition, state: Any) -> Verdict:
    return Verdict(definition, state, 0.0, 1.0, due=definition.rule.due_at(NOW))


def test_a_check_run_by_hand_tells_the_stored_verdict(ticks: Ticks, warehouse: Conn) -> None:
    ask(warehouse, NOW - 30 * MINUTE)
    ticks.tick()
    job = dg.define_asset_job("by_hand", selection=shown())
    location = dg.Definitions.merge(defs(), dg.Definitions(jobs=[job]))
    result = location.resolve_job_def("by_hand").execute_in_process(instance=ticks.instance)
    found = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert found["sla_approvals_answered"] is False
    assert found["sla_agent_query_latency"] is True
    assert len(found) == len([one for one in promised.promised() if check_key(one)])


def test_no_job_runs_the_checks_of_slas(repository: dg.RepositoryDefinition) -> None:
    for name in repository.job_names:
        if not name.startswith("__"):
            nodes = {node.name for node in repository.get_job(name).graph.nodes_in_topological_order}
            assert "sla_verdicts" not in nodes, name


def test_every_sla_is_about_something_that_exists(repository: dg.RepositoryDefinition) -> None:
    known = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    about = {definition.dataset for definition in promised.promised()}
    assert about - known == {"pipeline"}
