"""The support agent's tables in Dagster: the declaration against the database, and freshness from the newest rows."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest

from hotdash_pipelines.agent.tables import SCHEMA, load_agent_tables
from hotdash_pipelines.defs.agent.sensors import agent_rows_sensor
from hotdash_pipelines.defs.agent.tables import agent_tables
from hotdash_pipelines.orchestration.resources import ClockResource, WarehouseResource
from hotdash_pipelines.settings import get_settings
from hotdash_pipelines.warehouse import newest_rows as newest

TABLES = load_agent_tables()
QUERIES = dg.AssetKey(["agent", "agent_queries"])
FRESH, LATE, NEVER = FreshnessState.PASS, FreshnessState.FAIL, FreshnessState.UNKNOWN
ADD = """
insert into agent.agent_queries (query, result, conversation_id, agent, created_at, updated_at)
values ('ann@example.com', '{}', '40', 'order_support', %(at)s, %(at)s)
"""


@pytest.fixture
def settings(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings point to the test's own database."""
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


class Ticks:
    """The sensor on an instance of its own; it keeps its cursor from tick to tick."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None

    def tick(self) -> dict[str, str]:
        """One tick: what was told, by table."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = agent_rows_sensor(context, warehouse=WarehouseResource(), clock=ClockResource())
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for event in result.asset_events:
            assert "ann@example.com" not in str(event)
            self.instance.report_runless_asset_event(event)  # type: ignore[arg-type]
        return {event.asset_key.path[1]: type(event).__name__ for event in result.asset_events}

    def state(self) -> FreshnessState:
        """What Dagster's own judge says of agent_queries."""
        node = dg.Definitions(assets=agent_tables).resolve_asset_graph().get(QUERIES)
        judge = TimeWindowFreshnessPolicyEvaluator()
        return asyncio.run(judge.evaluate_freshness(LoadingContextForTest(self.instance), node))


@pytest.fixture
def ticks(settings: None) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance)


def test_the_declaration_is_the_database(warehouse: psycopg.Connection[Any]) -> None:
    rows = warehouse.execute(
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull from pg_attribute as a"
        " join pg_class as c on c.oid = a.attrelid where c.relnamespace = 'agent'::regnamespace and c.relkind = 'r'"
        " and a.attnum > 0 and not a.attisdropped"
    ).fetchall()
    declared = {
        (table.name, column.name, column.type, column.is_nullable) for table in TABLES for column in table.columns
    }
    assert declared == set(rows)
    indexed = warehouse.execute(
        "select c.relname, a.attname from pg_index as i join pg_class as c on c.oid = i.indrelid"
        " join pg_attribute as a on a.attrelid = c.oid and a.attnum = i.indkey[0]"
    ).fetchall()
    assert {(table.name, table.newest_by) for table in TABLES} <= set(indexed)


def test_columns_with_words_of_people_are_marked() -> None:
    marked = {f"{table.name}.{column.name}" for table in TABLES for column in table.columns if column.pii}
    wordy = {
        "query",
        "result",
        "input_text",
        "model_draft",
        "notes",
        "serialized",
        "last_interruptions",
        "message_body",
    }
    wordy |= {"value", "approved_by", "annotator", "approver", "message", "metadata", "payload", "error", "meta"}
    assert marked == {
        f"{table.name}.{column.name}" for table in TABLES for column in table.columns if column.name in wordy
    }
    assert len(marked) == 19


def test_an_empty_agent_tells_nothing_and_is_never_late(ticks: Ticks) -> None:
    assert ticks.tick() == {}
    assert ticks.state() == NEVER


def test_new_rows_make_a_table_fresh_and_a_tick_without_any_tells_nothing(
    ticks: Ticks, warehouse: psycopg.Connection[Any]
) -> None:
    ticks.tick()
    at = datetime.now(UTC) - timedelta(minutes=2)
    warehouse.execute(ADD, {"at": at})
    events = {"agent_queries": "AssetMaterialization", "agent_queries_history": "AssetMaterialization"}
    assert ticks.tick() == events
    assert ticks.state() == FRESH
    (record,) = ticks.instance.fetch_materializations(QUERIES, limit=1).records
    metadata = record.asset_materialization.metadata  # type: ignore[union-attr]
    assert metadata["dagster/row_count"].value == 1
    assert metadata["dagster/last_updated_timestamp"].value == pytest.approx(at.timestamp())
    assert ticks.tick() == {}


def test_old_rows_do_not_make_a_table_fresh(ticks: Ticks, warehouse: psycopg.Connection[Any]) -> None:
    warehouse.execute(ADD, {"at": datetime.now(UTC) - timedelta(hours=25)})
    assert ticks.tick()["agent_queries"] == "AssetObservation"
    assert ticks.state() == NEVER
    warehouse.execute(ADD, {"at": datetime.now(UTC)})
    assert ticks.tick()["agent_queries"] == "AssetMaterialization"
    assert ticks.state() == FRESH
    warehouse.execute("delete from agent.agent_queries where created_at < now() - interval '1 day'")
    assert ticks.tick()["agent_queries"] == "AssetObservation"


def test_a_table_is_late_when_its_newest_row_is(
    ticks: Ticks, warehouse: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.execute(ADD, {"at": datetime.now(UTC)})
    ticks.tick()
    for hours, state in ((23, FRESH), (25, LATE)):
        later = datetime.now(UTC).timestamp() + hours * 3600
        monkeypatch.setattr(
            "dagster._core.definitions.freshness_evaluator.get_current_timestamp", lambda now=later: now
        )
        assert ticks.state() == state


def test_a_database_without_the_tables_says_what_to_do(ticks: Ticks, warehouse: psycopg.Connection[Any]) -> None:
    warehouse.execute("drop schema agent cascade")
    result = agent_rows_sensor(
        dg.build_sensor_context(instance=ticks.instance), warehouse=WarehouseResource(), clock=ClockResource()
    )
    assert isinstance(result, dg.SensorResult)
    assert "hotdash schema migrate" in str(result.skip_reason)


def test_a_large_table_is_estimated(warehouse: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        warehouse.execute(ADD, {"at": datetime.now(UTC)})
    warehouse.execute("analyze agent.agent_queries")
    warehouse.execute(ADD, {"at": datetime.now(UTC)})
    columns = {"agent_queries": "created_at"}
    counted = newest.newest_rows(warehouse, SCHEMA, columns)["agent_queries"]
    assert (counted.rows, counted.is_estimate) == (4, False)
    monkeypatch.setattr(newest, "_COUNTED_UP_TO", 2)
    estimated = newest.newest_rows(warehouse, SCHEMA, columns)["agent_queries"]
    assert (estimated.rows, estimated.is_estimate) == (3, True)
