"""The store's world: the same for the same seed, whatever is asked first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.shop import GIANT_ORDER_LINES, OPENED_ON, Order, Shop
from hotdash_pipelines.demo.world.shop_timeline import PAGE_LINES, Refund

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAYS = [date(2026, 11, 9), date(2026, 11, 10), date(2026, 11, 11)]


def make(seed: int = 7, scale: float = 0.005, now: datetime = NOW) -> Shop:
    return Shop(seed, scale, VirtualClock(now))


def content(order: Order) -> tuple[object, ...]:
    return (
        order.id,
        order.name,
        order.created_at,
        order.customer,
        order.visit,
        order.is_test,
        order.lines,
        order.events,
    )


def test_two_worlds_of_one_seed_are_equal() -> None:
    first, second = make(), make()
    assert [content(o) for d in DAYS for o in first.orders_created_on(d)] == [
        content(o) for d in DAYS for o in second.orders_created_on(d)
    ]
    assert first.products == second.products


def test_another_seed_gives_another_world() -> None:
    assert [o.total for o in make(7).orders_created_on(DAYS[0])] != [
        o.total for o in make(8).orders_created_on(DAYS[0])
    ]


def test_the_order_of_access_does_not_matter() -> None:
    forwards, backwards = make(), make()
    expected = {d: [content(o) for o in forwards.orders_created_on(d)] for d in DAYS}
    backwards.orders_updated_between(NOW - timedelta(days=2), NOW)
    read_backwards = {d: [content(o) for o in reversed(backwards.orders_created_on(d))][::-1] for d in reversed(DAYS)}
    assert read_backwards == expected


def test_orders_whose_baskets_were_dropped_come_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotdash_pipelines.demo.world.shop.KEPT_BASKETS", 5)
    shop = make()
    orders = shop.orders_created_on(DAYS[0])
    before = [(o.lines, o.events) for o in orders]
    assert sum(o._details is not None for o in orders) == 5
    assert [(o.lines, o.events) for o in orders] == before


def test_seeded_numbers_are_fixed_for_ever() -> None:
    # Another value here means that every demo's world changes with the release.
    assert rng(7, "orders", DAYS[0]).random() == pytest.approx(0.9814938742694053, abs=1e-15)


def test_ids_and_names_ascend_with_time() -> None:
    shop = make()
    orders = [o for d in DAYS for o in shop.orders_created_on(d)]
    assert [o.id for o in orders] == sorted({o.id for o in orders})
    assert [o.created_ts for o in orders] == sorted(o.created_ts for o in orders)
    numbers = [int(o.name[1:]) for o in orders]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert shop.orders_created_on(OPENED_ON)[0].name == "#1001"
    assert shop.orders_created_on(OPENED_ON - timedelta(days=1)) == ()


def test_an_order_is_found_by_its_id() -> None:
    shop = make()
    order = shop.orders_created_on(DAYS[0])[3]
    assert shop.order(order.id) is order
    assert shop.order(order.id + 500_000) is None
    assert shop.order(12) is None


@pytest.mark.parametrize("day, hours", [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 11, 9), 24)])
def test_a_business_day_is_as_long_as_the_stores_zone_says(day: date, hours: int) -> None:
    shop = make(scale=0.02)
    start, end = shop.day_start_ts(day), shop.day_start_ts(day + timedelta(days=1))
    orders = shop.orders_created_on(day)
    assert end - start == hours * 3_600
    assert all(start <= o.created_ts < end and shop.day_of(o.created_ts) == day for o in orders)


def test_some_days_have_orders_on_both_midnights() -> None:
    shop = make()
    day = OPENED_ON + timedelta(days=999)
    orders = shop.orders_created_on(day)
    assert orders[0].created_ts == shop.day_start_ts(day)
    assert orders[-1].created_ts == shop.day_start_ts(day + timedelta(days=1)) - 1


def test_every_week_has_one_giant_order() -> None:
    shop = make()
    counts = [len(o.lines) for n in range(7) for o in shop.orders_created_on(DAYS[0] + timedelta(days=n))]
    assert sum(count == GIANT_ORDER_LINES for count in counts) == 1


@pytest.mark.parametrize("seed", [7, 23])
def test_every_fortnight_of_the_usual_world_meets_a_refund_of_more_than_a_page_of_lines(seed: int) -> None:
    def giants(rough: str) -> list[Refund]:
        shop = Shop(seed, 0.003, VirtualClock(NOW), roughness=Roughness.read(rough))
        orders = [shop.orders_created_on(DAYS[0] - timedelta(days=n))[4] for n in range(140)]
        refunds = [event.payload for o in orders for event in o.events]
        return [one for one in refunds if isinstance(one, Refund) and len(one.items) > PAGE_LINES]

    refunds = sorted(giants("usual"), key=lambda refund: refund.ts)
    assert all(later.ts - earlier.ts < 14 * 86_400 for earlier, later in pairwise(refunds))
    assert len(refunds) >= 19
    assert len(giants("usual,-giant_refunds")) < 6


def test_the_awkward_orders_are_there() -> None:
    shop = make(scale=0.05)
    orders = [o for n in range(10) for o in shop.orders_created_on(DAYS[0] + timedelta(days=n))]
    lines = [line for o in orders for line in o.lines]
    assert any(o.is_test for o in orders)
    assert any(o.customer is None for o in orders)
    assert any(line.is_gift_card and line.product is None for line in lines)
    assert any(line.variant is None and not line.is_gift_card for line in lines)
    assert {o.basket.currency for o in orders} == {"USD", "CAD", "EUR", "GBP"}
    assert any(p.deleted_ts is not None and p.deleted_ts < shop.now_ts() for p in shop.products)
    assert any(not c.last_name.isascii() for c in shop.customers_created_on(DAYS[0]))
    kinds = {event.kind for o in orders for event in o.events}
    assert kinds == {"create", "pay", "edit", "fulfil_part", "fulfil", "refund", "cancel", "tag"}
    refunds = [event.payload for o in orders for event in o.events if event.kind == "refund"]
    assert any(not r.items and r.shipping.shop for r in refunds)
    assert any(r.discrepancy.shop for r in refunds)


def test_refunds_come_within_thirty_days() -> None:
    shop = make(scale=0.05)
    for order in shop.orders_created_on(DAYS[0]):
        ages = [event.ts - order.created_ts for event in order.events if event.kind == "refund"]
        assert all(0 < age <= 30 * 86_400 for age in ages)


def test_a_returning_customer_exists_before_the_order() -> None:
    shop = make(scale=0.02)
    orders = [o for o in shop.orders_created_on(DAYS[0]) if o.customer is not None]
    assert all(o.customer.created_at <= o.created_at for o in orders)
    returning = [o for o in orders if o.customer.created_at < o.created_at - timedelta(days=1)]
    assert returning
    assert all(o in shop.orders_of(o.customer_id) for o in orders)


def test_an_impossible_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        Shop(7, 0, VirtualClock(NOW))


def test_a_frozen_clock_stands_and_a_free_one_runs() -> None:
    frozen, free = VirtualClock(NOW), VirtualClock()
    assert frozen.now() == NOW == frozen.now()
    frozen.advance(timedelta(hours=1))
    assert frozen.now() == NOW + timedelta(hours=1)
    free.set(NOW)
    assert NOW <= free.now() < NOW + timedelta(minutes=1)
    with pytest.raises(ValueError, match="aware"):
        frozen.set(datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is the point
