"""Every stream against the stand-in: pages fit their contract, and windows are disjoint and complete."""

from collections import Counter

import pytest

from hotdash_pipelines.contracts import load_contracts
from hotdash_pipelines.contracts.parse import parse_pages

# What is gone is found beside what is held: test_chatwoot_deletions.py.
STREAMS = [(one.source, one.stream) for one in load_contracts() if one.stream != "deletions"]
DAYS = ("2026-11-17", "2026-11-18")
# Longer ago than Chatwoot is asked by last change.
OLD_DAY = "2026-11-05"


def contract_of(source, stream):
    return next(one for one in load_contracts() if (one.source, one.stream) == (source, stream))


def rows(bench, source, stream, key, table=None):
    fetched = bench.fetch(source, stream, key)
    parsed = parse_pages(contract_of(source, stream), fetched.pages)
    assert parsed.bad_pages == []
    return parsed.tables[table or stream].to_pylist()


@pytest.mark.parametrize(("source", "stream"), STREAMS)
def test_pages_fit_their_contract_and_the_sources_own_count(bench, source, stream):
    fetched = bench.fetch(source, stream, DAYS[1])
    contract = contract_of(source, stream)
    parsed = parse_pages(contract, fetched.pages)
    assert parsed.bad_pages == []
    assert parsed.unknown_fields == {}
    assert parsed.unknown_enum_values == {}
    table = parsed.tables[stream]
    assert table.num_rows > 0
    # Chatwoot counts no window: what it would claim is its own reading.
    assert fetched.expected_rows == (None if source == "chatwoot" else table.num_rows)
    assert fetched.requests > 0
    for table in contract.tables:
        keys = Counter(tuple(row[name] for name in table.key) for row in parsed.tables[table.name].to_pylist())
        assert not [key for key, count in keys.items() if count > 1], table.name


@pytest.mark.parametrize(("source", "stream"), STREAMS)
def test_reading_a_window_twice_gives_the_same_records_in_the_same_order(bench, source, stream):
    first, second = (bench.records(bench.fetch(source, stream, DAYS[0])) for _ in range(2))
    assert first == second != []


def test_orders_of_two_days_are_disjoint_and_all_of_the_worlds(bench):
    days = [{row["order_id"] for row in rows(bench, "shopify", "orders", key)} for key in DAYS]
    assert not days[0] & days[1]
    for key, ids in zip(DAYS, days, strict=True):
        window = bench.window(key)
        assert ids == {one.id for one in bench.store.world.shop.orders_updated_between(window.start, window.end)}


def test_customers_of_two_days_are_disjoint_and_all_of_the_worlds(bench):
    days = [{row["customer_id"] for row in rows(bench, "shopify", "customers", key)} for key in DAYS]
    assert not days[0] & days[1]
    for key, ids in zip(DAYS, days, strict=True):
        window = bench.window(key)
        start, end = int(window.start.timestamp()), int(window.end.timestamp())
        assert ids == {one for _, one, _ in bench.store.world.shop.customers_updated_between(start, end)}


def test_products_are_all_of_the_worlds_with_all_their_variants(bench):
    shop = bench.store.world.shop
    assert {row["product_id"] for row in rows(bench, "shopify", "products", DAYS[1])} <= {
        one.id for one in shop.products
    }
    variants = rows(bench, "shopify", "products", DAYS[1], "product_variants")
    listed = {row["product_id"] for row in variants}
    expected = {variant.id for product in shop.products if product.id in listed for variant in product.variants}
    assert {row["variant_id"] for row in variants} == expected


def test_money_of_orders_adds_up(bench):
    """Line parts that the client summed agree with the order's own totals, to the cent."""
    orders = {row["order_id"]: row for row in rows(bench, "shopify", "orders", DAYS[1])}
    tax, discount, gross, units = Counter(), Counter(), Counter(), Counter()
    for line in rows(bench, "shopify", "orders", DAYS[1], "order_lines"):
        tax[line["order_id"]] += line["tax_amount"]
        discount[line["order_id"]] += line["discount_amount"]
        gross[line["order_id"]] += line["gross_amount"]
        units[line["order_id"]] += 0 if line["is_gift_card"] else line["quantity"]
    assert any(discount.values())
    for number, order in orders.items():
        tip, duties, fee = (order[name] or 0 for name in ("tip_amount", "duty_amount", "fee_amount"))
        # What the lines are not taxed is shipping's tax; a tip is a line that is part of neither subtotal nor units.
        shipping_tax = order["tax_amount"] - tax[number]
        assert 0 <= shipping_tax <= order["shipping_amount"] / 4
        assert discount[number] == order["discount_amount"]
        assert gross[number] - discount[number] == order["subtotal_amount"] + tip
        added_tax = 0 if order["taxes_included"] else order["tax_amount"]
        charges = order["subtotal_amount"] + order["shipping_amount"] + tip + duties + fee
        assert charges + added_tax == order["total_amount"]
        assert units[number] == order["line_quantity"] + bool(tip)


def test_an_order_of_300_lines_is_whole(bench):
    shop = bench.store.world.shop
    giant = max(
        (order for day in range(1, 20) for order in shop.orders_created_on(bench.window(f"2026-11-{day:02}").day)),
        key=lambda order: len(order.basket.lines),
    )
    assert len(giant.basket.lines) == 300
    state = giant.updated_ts(shop.now_ts())
    key = shop.day_of(state).isoformat()
    lines = [row for row in rows(bench, "shopify", "orders", key, "order_lines") if row["order_id"] == giant.id]
    assert len(lines) == 300
    assert "OrderLines" in {entry["operation"] for entry in bench.store.log.entries("shopify")}


def test_conversations_of_two_days_are_disjoint_and_all_of_the_worlds(bench):
    days = [{row["conversation_id"] for row in rows(bench, "chatwoot", "conversations", key)} for key in DAYS]
    assert not days[0] & days[1]
    conversations = bench.store.world.support.conversations()
    assert days == [within(bench, key, conversations, "display_id", lambda one: one.updated_at) for key in DAYS]


def test_conversations_of_an_older_day_are_those_last_active_on_it(bench):
    ids = {row["conversation_id"] for row in rows(bench, "chatwoot", "conversations", OLD_DAY)}
    conversations = bench.store.world.support.conversations()
    assert ids == within(bench, OLD_DAY, conversations, "display_id", lambda one: int(one.last_activity_at))
    assert len(bench.store.log.entries("chatwoot")) <= 4


def test_contacts_of_two_days_are_disjoint_and_all_of_the_worlds(bench):
    days = [{row["contact_id"] for row in rows(bench, "chatwoot", "contacts", key)} for key in DAYS]
    assert not days[0] & days[1]
    contacts = bench.store.world.support.contacts()
    assert days == [within(bench, key, contacts, "id", lambda one: int(one.last_activity_at)) for key in DAYS]


def within(bench, key, things, identity, instant):
    window = bench.window(key)
    start, end = window.start.timestamp(), window.end.timestamp()
    return {getattr(one, identity) for one in things if start <= instant(one) < end}


@pytest.mark.parametrize("key", [*DAYS, OLD_DAY])
def test_messages_of_a_day_are_all_of_the_worlds_and_what_changed_is_read_anew(bench, key):
    ids = {row["message_id"] for row in rows(bench, "chatwoot", "messages", key)}
    conversations = bench.store.world.support.conversations()
    messages = [message for talk in conversations for message in talk.messages]
    expected = within(bench, key, messages, "id", lambda one: int(one.at))
    if key != OLD_DAY:
        changed = within(bench, key, conversations, "display_id", lambda one: one.updated_at)
        expected |= {m.id for talk in conversations if talk.display_id in changed for m in talk.messages}
    assert ids == expected


def test_listings_are_the_worlds(bench):
    support = bench.store.world.support
    assert {row["inbox_id"] for row in rows(bench, "chatwoot", "inboxes", DAYS[1])} == {
        one.id for one in support.inboxes
    }
    assert {row["agent_id"] for row in rows(bench, "chatwoot", "agents", DAYS[1])} == {one.id for one in support.agents}


@pytest.mark.parametrize("stream", ["traffic_daily", "landing_daily"])
def test_web_traffic_of_two_days_is_disjoint_and_all_of_the_worlds(bench, stream):
    for key in DAYS:
        cells_read = rows(bench, "ga4", stream, key)
        assert {row["property_date"].isoformat() for row in cells_read} == {key}
        cells = bench.store.world.traffic.day(bench.window(key).day)
        assert sum(row["sessions"] for row in cells_read) == sum(cell.sessions for cell in cells.values())


def test_a_day_before_the_history_is_empty_and_still_fits(bench):
    for source, stream in (
        ("shopify", "orders"),
        ("shopify", "customers"),
        ("chatwoot", "messages"),
        ("ga4", "traffic_daily"),
    ):
        fetched = bench.fetch(source, stream, "2019-01-01")
        assert not fetched.expected_rows
        assert parse_pages(contract_of(source, stream), fetched.pages).tables[stream].num_rows == 0
