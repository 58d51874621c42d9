"""The sensor of failed runs as the daemon evaluates it: what cannot be stored now is stored by a later tick."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest

from hotdash_pipelines.defs.alerts.sensors import run_failure_sensor
from hotdash_pipelines.orchestration.resources import WarehouseResource
from hotdash_pipelines.settings import get_settings

AWAY = "postgresql://nobody@127.0.0.1:1/nothing"


@dg.op
def break_off() -> None:
    raise dg.Failure("the source answered 403\x00 \udcff")


@dg.job
def broken_job() -> None:
    break_off()


class Daemon:
    """Evaluates the sensor and keeps its cursor as the daemon does: not after a tick that raised."""

    def __init__(self, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.instance, self.patch = instance, patch
        self.cursor: str | None = None

    def tick(self, url: str) -> None:
        self.patch.setenv("HOTDASH_DATABASE_URL", url)
        get_settings.cache_clear()
        resources = {"warehouse": WarehouseResource()}
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources) as context:
            done = run_failure_sensor.evaluate_tick(context)
        # After a reaction the daemon keeps the cursor even where the reaction holds an error.
        self.cursor = done.cursor


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance, monkeypatch)
    get_settings.cache_clear()


def texts(warehouse: psycopg.Connection[Any]) -> list[str]:
    return [text for (text,) in warehouse.execute("select payload ->> 'text' from ops.alert_outbox order by id")]


def test_a_run_that_fails_while_the_warehouse_is_away_is_told_when_it_is_back(
    daemon: Daemon, warehouse: psycopg.Connection[Any], warehouse_url: str
) -> None:
    daemon.tick(warehouse_url)
    assert not broken_job.execute_in_process(instance=daemon.instance, raise_on_error=False).success
    for _ in range(2):
        with pytest.raises(dg.DagsterError, match="cannot be reached"):
            daemon.tick(AWAY)
    daemon.tick(warehouse_url)
    daemon.tick(warehouse_url)
    (text,) = texts(warehouse)
    assert "broken_job failed" in text
    assert "answered 403" in text


def test_an_alert_that_no_tick_could_store_does_not_hold_up_the_next_one(
    daemon: Daemon, warehouse: psycopg.Connection[Any], warehouse_url: str
) -> None:
    daemon.tick(warehouse_url)
    warehouse.execute("alter table ops.alert_outbox add constraint picky check (created_at < '2000-01-01') not valid")
    warehouse.commit()
    broken_job.execute_in_process(instance=daemon.instance, raise_on_error=False)
    daemon.tick(warehouse_url)
    warehouse.execute("alter table ops.alert_outbox drop constraint picky")
    warehouse.commit()
    broken_job.execute_in_process(instance=daemon.instance, raise_on_error=False)
    daemon.tick(warehouse_url)
    assert len(texts(warehouse)) == 1
