"""A store watched night by night at 04:05 while its answers fail: each morning every figure is the world's own.

The world is the usual rough one, a fifth of all requests fail in every way that passes, and the clock moves a day at a
time. The truth is added up from the world's objects (tests/truth.py), never read back through lake, raw or models.
A test run watches a few nights; `SIMULATED_NIGHTS=30` watches a month, `SIMULATED_SEED=5` another store.
"""

import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hotdash_pipelines.demo.testing import RunningStandIn, start_stand_in
from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.mornings import Mornings, open_mornings
from tests.truth import is_deleted, new_customers_by_day, sales_by_day, support_by_day, web_by_day

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("month")]

# The nights lie around a day of 23 hours.
FIRST_NIGHT = datetime(2026, 3, 7, 4, 5, tzinfo=ZoneInfo("America/New_York"))
NIGHTS = int(os.environ.get("SIMULATED_NIGHTS", "4"))
DAYS_AT_FIRST = 3
FIRST_DAY = FIRST_NIGHT.date() - timedelta(days=DAYS_AT_FIRST)
SEED = int(os.environ.get("SIMULATED_SEED", "23"))
SCALE, FAILING = 0.003, 0.2
# Every order that is a test or was cancelled is deleted some days later.
ROUGHNESS = "usual,+deleted_orders=1"


@pytest.fixture
def store() -> Iterator[RunningStandIn]:
    with start_stand_in(seed=SEED, scale=SCALE, now=FIRST_NIGHT, rough=ROUGHNESS) as running:
        yield running


@pytest.fixture
def mornings(store: RunningStandIn, warehouse_url: str, dbt: Dbt, tmp_path: Path) -> Iterator[Mornings]:
    with open_mornings(tmp_path / "home", warehouse_url, store, dbt.run) as mornings:
        yield mornings


def told_and_true(mornings: Mornings, store: RunningStandIn) -> list[tuple[str, date, Any, Any]]:
    """Every complete day since the first whose figures are not the world's: what of, the day, told, true."""
    world = store.world
    now = world.shop.now_ts()
    days = [FIRST_DAY + timedelta(days=n) for n in range((world.shop.day_of(now) - FIRST_DAY).days)]
    figures = (
        ("sales", mornings.sales(), sales_by_day(world, FIRST_DAY, now)),
        ("support", mornings.support(), support_by_day(world, FIRST_DAY)),
        ("new customers", mornings.new_customers(), new_customers_by_day(world, FIRST_DAY, now)),
        ("whole days", mornings.whole_days(), dict.fromkeys(days, True)),
        ("visits", mornings.visits(), web_by_day(world, days)),
    )
    assert all(figures[0][2][day].gross_amount for day in days)
    orders = mornings.ledger("shopify", "orders")
    placed = {
        day: sum(o.created_ts <= now and not is_deleted(world, o, now) for o in world.shop.orders_created_on(day))
        for day in {*days, *orders}
    }
    # Days before the first are there too, for an order of theirs changed since: none that lacks some passes for whole.
    assert [day for day, (state, count) in orders.items() if state == "complete" and count != placed[day]] == []
    assert orders.get(world.shop.day_of(now), ("open", 0))[0] == "open"
    figures += (("ledger", orders, {day: ("complete", placed[day]) for day in days}),)
    return [
        (what, day, told.get(day), true.get(day))
        for what, told, true in figures
        for day in days
        if told.get(day) != true.get(day)
    ]


def test_every_morning_of_a_month_every_day_is_the_worlds_own(mornings: Mornings, store: RunningStandIn) -> None:
    store.scenarios.add_rough(share=FAILING, seed=SEED)
    for night in range(NIGHTS):
        mornings.night(FIRST_NIGHT + timedelta(days=night), DAYS_AT_FIRST if night == 0 else None)
        assert told_and_true(mornings, store) == []
    failed = [entry for entry in store.log.entries() if entry["status"] >= 400]
    assert len(failed) > 0.05 * len(store.log.entries())


def test_without_the_open_day_yesterday_is_not_whole(mornings: Mornings, store: RunningStandIn) -> None:
    mornings.night(FIRST_NIGHT, DAYS_AT_FIRST, with_today=False)
    wrong = {(what, day) for what, day, _, _ in told_and_true(mornings, store)}
    assert ("sales", FIRST_NIGHT.date() - timedelta(days=1)) in wrong
