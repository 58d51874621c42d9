"""Disk, database and models fail: one line says what to do, and nothing is lost."""

import errno
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from hotdash_pipelines.demo.testing import RunningStandIn
from tests.pipeline.faults.states import (
    ORDERS,
    TRANSIENT,
    closed_port,
    content,
    failure_line,
    rows_of,
    starts_of,
)
from tests.pipeline.harness.in_process import KEY, Bench, lake_files, open_bench
from tests.pipeline.harness.stack import Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("faults")]


def test_a_full_disk_leaves_the_partition_as_it_was(
    bench: Bench, clean: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.fsync, [2]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    line = failure_line(bench.run(ORDERS))
    assert re.match(rf"^{ORDERS} {KEY}: the disk refused .*No space left on device; the partition is as it was", line)
    assert bench.state(ORDERS)["manifests"] == {}
    assert not [path for path in lake_files(bench.stack.home) if ".partial-" in path]
    monkeypatch.setattr(os, "fsync", real)
    assert bench.run(ORDERS).success
    assert content(bench.state(ORDERS)) == content(clean(ORDERS))
    assert len(lake_files(bench.stack.home)) == 9


def test_a_session_that_is_ended_again_and_again_is_told_and_changes_nothing(
    bench: Bench, clean: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.run(ORDERS, only="lake").success

    def cut(point: str) -> None:
        if point == "load.merged":
            bench.stack.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )

    monkeypatch.setattr("hotdash_pipelines.warehouse.loading.steps.reach", cut)
    failed = bench.run(ORDERS, only="raw")
    assert re.match(
        rf"^{ORDERS} {KEY}: the database server went away during the load; load again", failure_line(failed)
    )
    assert starts_of(bench, failed) == TRANSIENT
    assert rows_of(bench.state(ORDERS)) == 0
    monkeypatch.undo()
    assert bench.run(ORDERS, only="raw").success
    assert content(bench.state(ORDERS)) == content(clean(ORDERS))


@pytest.mark.slow
def test_a_server_killed_during_the_load_is_started_again_and_the_step_repeats(
    stack: Stack,
    store: RunningStandIn,
    clean: Callable[[str], dict[str, Any]],
    reachable_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The embedded server of a home of its own: SIGKILL to the postmaster between merge and commit."""
    from hotdash_pipelines.local.warehouse import prepare
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    # Durable: the load may commit before its backend sees the postmaster gone, and must then be found again.
    own = EmbeddedPostgres(reachable_tmp)
    own.up()
    try:
        prepare(own.url())
        alone = Stack(reachable_tmp, own.url(), stack.dagster_url)
        with open_bench(alone, store) as bench:
            bench.set(database_url=None)
            killed: list[int] = []

            def kill(point: str) -> None:
                if point == "load.merged" and not killed:
                    killed.append(own.status().pid)
                    os.kill(killed[0], signal.SIGKILL)

            monkeypatch.setattr("hotdash_pipelines.warehouse.loading.steps.reach", kill)
            outcome = bench.run(ORDERS)
            assert outcome.success, outcome.errors
            assert killed
            assert own.status().pid != killed[0]
            bench.stack.warehouse_url = own.url()
            assert content(bench.state(ORDERS)) == content(clean(ORDERS))
    finally:
        own.destroy()


def test_loading_a_window_that_the_lake_lacks_says_what_to_run(bench: Bench) -> None:
    line = failure_line(bench.run(ORDERS, only="raw"))
    assert line == f"{ORDERS} {KEY}: the lake has no partition; materialise lake_shopify/orders first"


def test_an_unreachable_warehouse_is_told_with_its_address_and_without_its_password(bench: Bench) -> None:
    assert bench.run(ORDERS, only="lake").success
    bench.set(database_url=f"postgresql://hotdash:sesame-street@127.0.0.1:{closed_port()}/hotdash")
    failed = bench.run(ORDERS, only="raw")
    line = failure_line(failed)
    assert not [error for error in failed.errors if "sesame" in error]
    assert re.match(
        rf"^{ORDERS} {KEY}: the warehouse at 127.0.0.1:\d+/hotdash cannot be reached .*HOTDASH_DATABASE_URL", line
    )
    assert starts_of(bench, failed) == TRANSIENT


@pytest.mark.slow
def test_a_model_that_cannot_be_built_is_named_with_its_error(bench: Bench) -> None:
    """The table below it is gone."""
    failed = bench.execute([dg.AssetKey(["staging", "stg_ga4__landing_daily"])], KEY, KEY)
    assert failure_line(failed) == (
        'dbt: model stg_ga4__landing_daily failed: relation "raw_ga4.landing_daily" does not exist; '
        "mend that, then materialise again"
    )
