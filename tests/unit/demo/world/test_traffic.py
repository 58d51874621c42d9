"""Visits to the site of the stand-in's world: they hold every purchase, settle with time, and are always the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.traffic import FIRST_SHARE, Numbers, Traffic, cell_of

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SETTLED = date(2026, 11, 10)


def make_traffic(now: datetime = NOW, seed: int = 7, scale: float = 0.02) -> tuple[Traffic, VirtualClock, Shop]:
    clock = VirtualClock(now)
    shop = Shop(seed, scale, clock)
    return Traffic(shop), clock, shop


def total(traffic: Traffic, day: date) -> Numbers:
    summed = Numbers()
    for numbers in traffic.day(day).values():
        summed.add(numbers)
    return summed


def test_every_order_of_the_site_is_a_purchase_session_in_the_cell_of_its_visit() -> None:
    traffic, _, shop = make_traffic()
    orders = [o for o in shop.orders_created_on(SETTLED) if not o.is_test and o.basket.source_name == "web"]
    purchases = {cell: n.purchases for cell, n in traffic.day(SETTLED).items() if n.purchases}
    assert purchases == Counter(cell_of(order.visit) for order in orders)
    assert total(traffic, SETTLED).revenue_cents == sum(int(order.total * 100) for order in orders)


def test_two_to_three_in_a_hundred_sessions_buy() -> None:
    traffic, _, _ = make_traffic()
    for n in range(5, 12):
        day = total(traffic, NOW.date() - timedelta(days=n))
        assert 0.018 < day.purchases / day.sessions < 0.032


def test_the_numbers_of_a_cell_fit_each_other() -> None:
    traffic, _, _ = make_traffic()
    for day in (SETTLED, NOW.date() - timedelta(days=1), NOW.date()):
        for cell, numbers in traffic.day(day).items():
            assert numbers.sessions > 0, cell
            assert 0 <= numbers.engaged_sessions <= numbers.sessions
            assert 0 <= numbers.new_users <= numbers.users <= numbers.sessions
            assert numbers.views >= numbers.sessions
            assert numbers.purchases <= numbers.key_events


def test_the_same_seed_gives_the_same_day_whatever_was_asked_before() -> None:
    first, _, _ = make_traffic()
    two, _, _ = make_traffic()
    for n in range(4):
        two.day(SETTLED - timedelta(days=n))
    two.day(NOW.date())
    assert first.day(SETTLED) == two.day(SETTLED)
    assert make_traffic(seed=8)[0].day(SETTLED) != first.day(SETTLED)


def test_a_day_grows_until_two_days_after_its_end_and_not_after() -> None:
    day = NOW.date() - timedelta(days=1)
    traffic, clock, shop = make_traffic()
    end = datetime.fromtimestamp(shop.day_start_ts(day + timedelta(days=1)), UTC)
    seen = []
    for hours in (-12, 4, 16, 30, 48, 60, 24 * 9):
        clock.set(end + timedelta(hours=hours))
        seen.append(asdict(total(traffic, day)))
    for name in seen[0]:
        values = [one[name] for one in seen]
        assert values == sorted(values), name
    sessions = [one["sessions"] for one in seen]
    assert sessions[0] < 0.6 * sessions[-1]
    assert FIRST_SHARE - 0.03 < sessions[1] / sessions[-1] < 0.99
    assert seen[1]["revenue_cents"] < seen[-1]["revenue_cents"]
    assert seen[3] != seen[4] == seen[5] == seen[6]


def test_a_clock_turned_back_unsettles_the_day_again() -> None:
    day = NOW.date() - timedelta(days=1)
    traffic, clock, _ = make_traffic()
    before = dict(traffic.day(day))
    clock.advance(timedelta(days=5))
    assert traffic.day(day) != before
    clock.set(NOW)
    assert traffic.day(day) == before


def test_a_day_that_has_not_begun_has_no_sessions() -> None:
    traffic, _, _ = make_traffic()
    assert traffic.day(NOW.date() + timedelta(days=1)) == {}


def test_users_add_up_to_fewer_than_the_sum_of_the_cells() -> None:
    traffic, _, _ = make_traffic()
    summed = total(traffic, SETTLED)
    assert summed.users > traffic.users_of(summed, 100) > 0.8 * summed.users
    assert traffic.users_of(summed, 1) == summed.users


@pytest.mark.parametrize("scale", [0.002, 0.05])
def test_sessions_grow_with_the_scale(scale: float) -> None:
    traffic, _, _ = make_traffic(scale=scale)
    assert 0.6 < total(traffic, SETTLED).sessions / (10_000 * scale / 0.025) < 1.5
