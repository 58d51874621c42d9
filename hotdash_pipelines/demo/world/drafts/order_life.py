"""Which events an order gets, and when.

Belongs here: the draws. Does not belong here: what an event takes and adds (`drafter`).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from hotdash_pipelines.demo.world.drafts.drafter import Drafter
from hotdash_pipelines.demo.world.shop_orders import Basket, Line, repricing_of
from hotdash_pipelines.demo.world.shop_timeline import DAY, PAGE_LINES, Cancellation, OrderEvent, RefundItem

HOUR = 3_600
# When the nightly export tags what it took, after the store's midnight.
EXPORT_AFTER_S = 4 * HOUR + 900
REPRICED_PERCENT = 15


def draft_events(
    created_ts: int,
    basket: Basket,
    midnight_ts: int,
    random_: random.Random,
    is_rough: Callable[[str], bool],
    addition: Line | None = None,
    merged_ts: int | None = None,
) -> tuple[OrderEvent, ...]:
    """All events of an order, oldest first, whether or not they have happened yet.

    `midnight_ts` ends the order's day: a part of the orders is tagged in the second of the export after it.
    `is_rough` says which kinds of roughness hit the order, `addition` is the line that staff add to it if it is
    shipped one day, `merged_ts` when its customer becomes another.
    """
    d = Drafter(created_ts, basket, random_, is_rough)
    r = d.r
    paid_ts = created_ts
    u = r()
    if u >= 0.97:
        d.add(created_ts, "create", "PENDING")
        paid_ts = created_ts + DAY + int(r() * 4 * DAY)
    elif u >= 0.88:
        d.add(created_ts, "create", "AUTHORIZED")
        paid_ts = created_ts + HOUR + int(r() * 47 * HOUR)
    else:
        d.add(created_ts, "create", "PAID")
    if r() < 0.08:
        d.add(midnight_ts + EXPORT_AFTER_S, "tag", "exported")
    if r() < 0.04:
        d.add(created_ts + 600 + int(r() * 9 * DAY), "tag", ("gift", "priority", "call-back")[int(r() * 3)])
    if r() < 0.025:
        _draft_cancellation(d, paid_ts)
    else:
        _draft_life(d, paid_ts, addition)
    if is_rough("late_touches"):
        d.add(midnight_ts + created_ts * 2_654_435_761 % (4 * HOUR), "tag", "reviewed")
    if merged_ts is not None and merged_ts > created_ts:
        d.add(merged_ts, "tag", "merged")
    d.events.sort(key=lambda event: event.ts)
    return tuple(d.events)


def _draft_cancellation(d: Drafter, paid_ts: int) -> None:
    ts = d.created_ts + 900 + int(d.r() * 2 * DAY)
    reason = ("CUSTOMER", "INVENTORY", "FRAUD", "OTHER")[int(d.r() * 4)]
    unpaid_items: list[RefundItem] = []
    if paid_ts < ts:
        if paid_ts > d.created_ts:
            d.add(paid_ts, "pay", d.owed())
        d.refund(ts, d.take_all("CANCEL"), with_shipping=True, with_duties=True)
    else:
        unpaid_items = d.take_all("CANCEL")
    d.add(ts, "cancel", Cancellation(reason, tuple(unpaid_items)))


def _draft_life(d: Drafter, paid_ts: int, addition: Line | None) -> None:
    r = d.r
    has_parcels = any(line.requires_shipping for line in d.basket.lines)
    is_divisible = len(d.basket.goods()) > 1
    settled_ts = paid_ts
    if paid_ts > d.created_ts:
        # Only what is not yet paid is edited here, so no edit leaves money owed to the buyer.
        if r() < 0.22:
            _draft_edit(d, d.created_ts + int((paid_ts - d.created_ts) * (0.1 + 0.8 * r())))
        if addition and has_parcels:
            d.add_line(d.created_ts + 1 + _spread(addition, paid_ts - d.created_ts - 1), addition)
        if d.basket.source_name != "pos" and d.is_rough("repriced_lines"):
            _draft_repricing(d, paid_ts)
        d.add(paid_ts, "pay", d.owed())
    elif addition and has_parcels:
        # Before the parcel leaves; the buyer pays the rest within two days.
        ts = paid_ts + 600 + _spread(addition, 3 * HOUR)
        settled_ts = ts + HOUR + _spread(addition, 2 * DAY)
        d.add(settled_ts, "pay", d.add_line(ts, addition))
    if has_parcels:
        if r() < 0.985:
            shipped_ts = paid_ts + 4 * HOUR + int(r() ** 2 * 4.5 * DAY)
            if is_divisible and r() < 0.12:
                d.add(shipped_ts, "fulfil_part")
                shipped_ts += DAY + int(r() * 2 * DAY)
            d.add(shipped_ts, "fulfil")
    else:
        d.add(paid_ts + 60, "fulfil")
    if len(d.basket.lines) > PAGE_LINES and d.is_rough("giant_refunds"):
        d.refund(settled_ts + DAY + int(r() * DAY), d.take_all("RETURN"), with_shipping=True, with_duties=True)
    elif d.left.shop and r() < 0.07:
        _draft_refund(d, max(settled_ts + HOUR, d.created_ts + DAY + int(r() * 28.5 * DAY)))


def _spread(line: Line, seconds: int) -> int:
    """An instant of the line's own below `seconds`; no draw, so that the order's other events stay as they are."""
    return line.id * 2_654_435_761 % seconds


def _draft_edit(d: Drafter, ts: int) -> None:
    lines, goods = d.basket.lines, d.basket.goods()
    index = goods[int(d.r() * len(goods))]
    # The last unit of an order stays: an order edited down to nothing would be a cancellation.
    if lines[index].quantity > 1:
        d.add(ts, "edit", d.take(index, 1, "NO_RESTOCK"))
    elif len(goods) > 1:
        d.add(ts, "edit", d.take(index, lines[index].quantity, "NO_RESTOCK"))


def _draft_repricing(d: Drafter, paid_ts: int) -> None:
    lines = d.basket.lines
    whole = [i for i in d.basket.goods() if not d.taken[i] and not lines[i].is_gift_card and lines[i].net.shop >= 100]
    if whole:
        index = whole[lines[0].id * 2_654_435_761 % len(whole)]
        ts = d.created_ts + 1 + _spread(lines[index], paid_ts - d.created_ts - 1)
        d.reprice(ts, repricing_of(d.basket, index, REPRICED_PERCENT))


def _draft_refund(d: Drafter, ts: int) -> None:
    r = d.r
    u = r()
    if u < 0.1 and d.shipping_left.shop:
        d.refund(ts, [], note="Arrived late", with_shipping=True)
    elif u < 0.2 and d.left.shop >= 1_000:
        d.refund(ts, [], d.left.share(1, 10), "Goodwill")
    elif u < 0.4:
        d.refund(ts, d.take_all("RETURN"), with_shipping=True, with_duties=True)
    else:
        indexes = d.remaining()
        index = indexes[int(r() * len(indexes))]
        d.refund(ts, [d.take(index, 1, "RETURN" if r() < 0.8 else "NO_RESTOCK")])
        if r() < 0.15 and (rest := d.remaining()):
            later = min(ts + HOUR + int(r() * 5 * DAY), d.created_ts + 30 * DAY)
            if later > ts:
                d.refund(later, [d.take(rest[0], 1, "RETURN")], note="Second parcel")
