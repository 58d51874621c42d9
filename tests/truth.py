"""What a business day was worth as of an instant, added up from the world's own objects.

Belongs here: figures of orders, conversations and visits by day, from baskets and events alone. Does not belong here:
anything that an API, the lake, a raw table or a model says; comparing (the tests).

What we count as: gross is the price of goods without tax, tip and gift cards, before discounts; what comes back counts
on its own day, and so does what an edit takes off, adds or prices anew. Discounts are counted without the tax that they
save. An order without agreements tells no more than itself: what was edited counts on the day of the order, and where
prices include tax, its discounts are what was given off them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta

from hotdash_pipelines.demo.world import World
from hotdash_pipelines.demo.world.shop_order import Order
from hotdash_pipelines.demo.world.shop_orders import Line, Repricing
from hotdash_pipelines.demo.world.shop_timeline import MAX_AGE_DAYS, Cancellation, OrderEvent, Refund, RefundItem


@dataclass
class SalesDay:
    """One day's sales: counts, and money in cents of the shop's currency."""

    order_count: int = 0
    cancelled_order_count: int = 0
    ordered_quantity: int = 0
    returned_quantity: int = 0
    gross_amount: int = 0
    discount_amount: int = 0
    returned_amount: int = 0
    net_amount: int = 0
    tax_amount: int = 0
    shipping_amount: int = 0
    tip_amount: int = 0
    duty_amount: int = 0
    fee_amount: int = 0
    cash_rounding_amount: int = 0
    total_amount: int = 0
    gift_card_amount: int = 0
    refunded_amount: int = 0
    refund_discrepancy_amount: int = 0
    refund_rounding_amount: int = 0

    @classmethod
    def amounts(cls) -> tuple[str, ...]:
        """The names of the figures that are money."""
        return tuple(field.name for field in fields(cls) if field.name.endswith("_amount"))

    @classmethod
    def counts(cls) -> tuple[str, ...]:
        """The names of the figures that are numbers of something."""
        return tuple(field.name for field in fields(cls) if not field.name.endswith("_amount"))


@dataclass
class SupportDay:
    """The conversations that began on a day, as they stand."""

    conversation_count: int = 0
    resolved_count: int = 0
    incoming_message_count: int = 0
    outgoing_message_count: int = 0


@dataclass
class WebDay:
    """The visits of a day to the site; revenue in cents of the shop's currency."""

    session_count: int = 0
    purchase_count: int = 0
    revenue_amount: int = 0


def orders_until(world: World, first: date, now_ts: int) -> Iterator[Order]:
    """Every sale that can matter to `first` and later days: placed by `now_ts`, young enough to change then.

    An order that the shop deleted is a sale no more: its own reports leave it out.
    """
    day = first - timedelta(days=MAX_AGE_DAYS + 1)
    while day <= world.shop.day_of(now_ts):
        for order in world.shop.orders_created_on(day):
            if order.created_ts <= now_ts and not order.is_test and not is_deleted(world, order, now_ts):
                yield order
        day += timedelta(days=1)


def is_deleted(world: World, order: Order, now_ts: int) -> bool:
    """Whether the shop had deleted the order by `now_ts`."""
    removal = world.shop.removals.of_order(order)
    return removal is not None and removal.ts <= now_ts


def sales_by_day(world: World, first: date, now_ts: int) -> dict[date, SalesDay]:
    """The sales of each day from `first` on, as of `now_ts` (epoch seconds)."""
    days: dict[date, SalesDay] = defaultdict(SalesDay)
    for order in orders_until(world, first, now_ts):
        _place(days, world, order, now_ts)
        for event in order.events:
            if event.ts <= now_ts:
                _happen(days, world, order, event)
    for sales in days.values():
        sales.net_amount = sales.gross_amount - sales.discount_amount - sales.returned_amount
        charged = sales.tax_amount + sales.shipping_amount + sales.tip_amount + sales.duty_amount + sales.fee_amount
        rounded = sales.cash_rounding_amount - sales.refund_rounding_amount
        sales.total_amount = sales.net_amount + charged + rounded
    return {day: sales for day, sales in days.items() if day >= first}


def new_customers_by_day(world: World, first: date, now_ts: int) -> dict[date, int]:
    """How many customers bought for the first time on each day from `first` on; guests are nobody's first.

    Who bought before only what the shop deleted buys for the first time.
    """
    days: dict[date, int] = defaultdict(int)
    for order in orders_until(world, first, now_ts):
        if order.customer_id is not None:
            earlier = (one for one in world.shop.orders_of(order.customer_id, order.day) if one.id < order.id)
            is_first = all(one.is_test or is_deleted(world, one, now_ts) for one in earlier)
            days[_sold_on(world, order)] += is_first
    return {day: count for day, count in days.items() if day >= first}


def _sold_on(world: World, order: Order) -> date:
    return world.shop.day_of(order.processed_ts)


def has_agreements(world: World, order: Order) -> bool:
    """Whether the source tells by itself what was sold of the order when."""
    return not world.shop.is_rough("no_agreements", order.id)


def _place(days: dict[date, SalesDay], world: World, order: Order, now_ts: int) -> None:
    sales, basket = days[_sold_on(world, order)], order.basket
    inside = basket.taxes_included
    sales.order_count += 1
    sales.cancelled_order_count += any(event.kind == "cancel" and event.ts <= now_ts for event in order.events)
    sales.tax_amount += basket.tax.shop
    sales.shipping_amount += basket.shipping.shop - (basket.shipping_tax.shop if inside else 0)
    sales.tip_amount += basket.tip.shop
    sales.duty_amount += basket.duties.shop
    sales.fee_amount += basket.fees.shop
    sales.cash_rounding_amount += basket.rounding.shop
    for line in basket.lines:
        if not line.is_tip:
            _sell(sales, world, order, line)


def _sell(sales: SalesDay, world: World, order: Order, line: Line) -> None:
    sales.ordered_quantity += line.quantity
    if line.is_gift_card:
        sales.gift_card_amount += line.net.shop
        return
    inside, discount = order.basket.taxes_included, line.automatic_discount.shop + line.code_discount.shop
    sales.gross_amount += line.original.shop - (line.tax.shop if inside else 0)
    if inside and has_agreements(world, order):
        # The price before the discount held more tax than the one paid.
        saved = order.basket.tax_of(line, line.original).shop - line.tax.shop
        sales.gross_amount -= saved
        discount -= saved
    sales.discount_amount += discount


def _happen(days: dict[date, SalesDay], world: World, order: Order, event: OrderEvent) -> None:
    payload, on_its_day = event.payload, days[world.shop.day_of(event.ts)]
    inside = order.basket.taxes_included
    is_told = has_agreements(world, order)
    of_edit = on_its_day if is_told else days[_sold_on(world, order)]
    if isinstance(payload, Line):
        of_edit.tax_amount += payload.tax.shop
        _sell(of_edit, world, order, payload)
    elif isinstance(payload, Repricing):
        of_edit.tax_amount -= payload.tax.shop
        of_edit.discount_amount += payload.discount.shop - (payload.tax.shop if inside and is_told else 0)
        of_edit.gross_amount += payload.tax.shop if inside and not is_told else 0
    elif isinstance(payload, RefundItem):
        _take(of_edit, order, payload)
    elif isinstance(payload, Refund):
        for item in payload.items:
            _take(on_its_day, order, item)
        on_its_day.tax_amount -= payload.shipping_tax.shop
        on_its_day.shipping_amount -= payload.shipping.shop - (payload.shipping_tax.shop if inside else 0)
        on_its_day.duty_amount -= payload.duties.shop
        on_its_day.refunded_amount += payload.transaction.shop
        on_its_day.refund_discrepancy_amount -= payload.discrepancy.shop
        on_its_day.refund_rounding_amount += payload.rounding.shop
    elif isinstance(payload, Cancellation) and not any(
        earlier.kind == "refund" and earlier.ts <= event.ts for earlier in order.events
    ):
        for item in payload.items:
            _take(on_its_day, order, item)
        on_its_day.tax_amount -= order.basket.shipping_tax.shop
        on_its_day.shipping_amount -= order.basket.shipping.shop - (order.basket.shipping_tax.shop if inside else 0)
        on_its_day.duty_amount -= order.basket.duties.shop
        on_its_day.fee_amount -= order.basket.fees.shop


def _take(sales: SalesDay, order: Order, item: RefundItem) -> None:
    lines = [*order.lines, *(event.payload for event in order.events if isinstance(event.payload, Line))]
    line = lines[item.line_index]
    if line.is_tip:
        sales.tip_amount -= item.subtotal.shop
        return
    net = item.subtotal.shop - (item.tax.shop if order.basket.taxes_included else 0)
    sales.returned_quantity += item.quantity
    sales.tax_amount -= item.tax.shop
    if line.is_gift_card:
        sales.gift_card_amount -= net
    else:
        sales.returned_amount += net


def web_by_day(world: World, days: Iterable[date]) -> dict[date, WebDay]:
    """The visits of each of these days, as far as they are known at the world's clock."""
    return {
        day: WebDay(
            sum(cell.sessions for cell in world.traffic.day(day).values()),
            sum(cell.purchases for cell in world.traffic.day(day).values()),
            sum(cell.revenue_cents for cell in world.traffic.day(day).values()),
        )
        for day in days
    }


def support_by_day(world: World, first: date) -> dict[date, SupportDay]:
    """The conversations of each day from `first` on, as they stand at the world's clock."""
    days: dict[date, SupportDay] = defaultdict(SupportDay)
    for conversation in world.support.conversations():
        day = world.shop.day_of(int(conversation.created_at))
        if day >= first:
            support = days[day]
            support.conversation_count += 1
            support.resolved_count += conversation.status == "resolved"
            support.incoming_message_count += sum(message.kind == 0 for message in conversation.messages)
            support.outgoing_message_count += sum(
                message.kind == 1 and not message.private for message in conversation.messages
            )
    return dict(days)
