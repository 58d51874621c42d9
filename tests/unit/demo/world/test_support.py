"""The support desk of the stand-in's world: who writes, what becomes of it, and that it is always the same."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.support import Support
from hotdash_pipelines.demo.world.support_model import (
    ACTIVITY,
    DELETED_TEXT,
    INCOMING,
    OUTGOING,
    TEMPLATE,
    Agent,
    Bot,
    Conversation,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def make_desk(now: datetime = NOW, seed: int = 7, scale: float = 0.02, history_days: int = 21) -> Support:
    return Support(Shop(seed, scale, VirtualClock(now)), history_days)


@pytest.fixture(scope="module")
def desk() -> Support:
    return make_desk()


def state_of(conversation: Conversation) -> tuple[object, ...]:
    return (
        conversation.uuid,
        conversation.status,
        conversation.assignee.id if conversation.assignee else None,
        conversation.priority,
        tuple(conversation.labels),
        conversation.updated_at,
        conversation.waiting_since,
        conversation.first_reply_created_at,
        conversation.unread_count,
        tuple((m.id, m.at, m.kind, m.private, m.content) for m in conversation.messages),
    )


def test_the_same_seed_gives_the_same_desk_message_by_message(desk: Support) -> None:
    again = make_desk()
    assert [state_of(c) for c in again.conversations()] == [state_of(c) for c in desk.conversations()]


FINGERPRINT = """
import hashlib
from datetime import UTC, date, datetime
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.roughness import Roughness
from hotdash_pipelines.demo.world.shop import Shop
from hotdash_pipelines.demo.world.support import Support
from hotdash_pipelines.demo.world.traffic import Traffic
shop = Shop(7, 0.002, VirtualClock(datetime(2026, 11, 20, 15, tzinfo=UTC)))
desk = [(c.uuid, c.labels, [(m.id, m.content) for m in c.messages]) for c in Support(shop).conversations()]
visits = list(Traffic(shop).day(date(2026, 11, 10)).items())
print(len(desk), len(visits), hashlib.sha256(repr((desk, visits)).encode()).hexdigest())
"""


def test_desk_and_traffic_are_the_same_in_another_process_with_another_hash_seed() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert int(printed[0][0]) > 10
    assert int(printed[0][1]) > 100


def test_another_seed_gives_another_desk(desk: Support) -> None:
    other = make_desk(seed=8)
    assert {c.uuid for c in other.conversations()}.isdisjoint(c.uuid for c in desk.conversations())


def test_a_desk_that_ran_through_the_days_equals_one_that_starts_later() -> None:
    """Also with another length of history: a conversation does not depend on where the desk begins."""
    clock = VirtualClock(NOW - timedelta(days=6))
    running = Support(Shop(7, 0.02, clock))
    for _ in range(18):
        running.conversations()
        clock.advance(timedelta(hours=8))
    fresh = {c.display_id: state_of(c) for c in make_desk(history_days=12).conversations()}
    kept = {c.display_id: state_of(c) for c in running.conversations() if c.display_id in fresh}
    assert fresh
    assert kept == fresh


def test_a_clock_turned_back_shows_the_earlier_state_again() -> None:
    clock = VirtualClock(NOW)
    desk = Support(Shop(7, 0.02, clock))
    before = {c.display_id: state_of(c) for c in desk.conversations()}
    clock.advance(timedelta(days=2))
    assert {c.display_id: state_of(c) for c in desk.conversations()} != before
    clock.set(NOW)
    assert {c.display_id: state_of(c) for c in desk.conversations()} == before


def test_nothing_from_the_future_is_shown(desk: Support) -> None:
    now = NOW.timestamp()
    for conversation in desk.conversations():
        assert conversation.created_at <= now
        assert conversation.updated_at <= now
        assert all(message.at <= now for message in conversation.messages)


def test_about_six_in_a_hundred_orders_lead_to_a_conversation(desk: Support) -> None:
    days = [NOW.date() - timedelta(days=n) for n in range(1, 15)]
    orders = sum(len(desk._shop.orders_created_on(day)) for day in days)
    by_buyers = [c for c in desk.conversations() if c.contact.shopify_customer_id and _day(c, desk) in days]
    assert 0.03 < len(by_buyers) / orders < 0.08


def _day(conversation: Conversation, desk: Support) -> object:
    return desk._shop.day_of(int(conversation.created_at))


def test_a_buyers_contact_carries_the_store_customers_email_and_wrote_after_the_account_existed(desk: Support) -> None:
    buyers = [c for c in desk.contacts() if c.shopify_customer_id is not None]
    assert buyers
    for contact in buyers:
        customer = desk._shop.customer(contact.shopify_customer_id)
        assert contact.email == customer.email
        assert contact.created_at == customer.created_at.timestamp()
    for conversation in desk.conversations():
        assert conversation.contact.created_at <= conversation.created_at


def test_strangers_and_anonymous_visitors_write_too_and_the_anonymous_are_not_listed(desk: Support) -> None:
    strangers = [c.contact for c in desk.conversations() if c.contact.shopify_customer_id is None]
    anonymous = [c for c in strangers if c.email is None]
    assert anonymous
    assert len(anonymous) < len(strangers)
    assert not {c.id for c in anonymous} & {c.id for c in desk.contacts()}


def test_message_numbers_are_unique_and_ascend_with_time_all_over_the_desk(desk: Support) -> None:
    messages = sorted((m for c in desk.conversations() for m in c.messages), key=lambda m: m.at)
    numbers = [m.id for m in messages]
    assert len(set(numbers)) == len(numbers) > 500
    assert numbers == sorted(numbers)


def test_internal_ids_differ_from_the_accounts_numbers_and_ascend_alike(desk: Support) -> None:
    conversations = sorted(desk.conversations(), key=lambda c: c.display_id)
    assert all(c.id != c.display_id for c in conversations)
    assert [c.id for c in conversations] == sorted(c.id for c in conversations)
    # A start is moved to the next free instant, at most one bucket (ten seconds) later.
    started = [c.created_at for c in conversations]
    assert all(later >= earlier - 10 for earlier, later in itertools.pairwise(started))


def test_every_kind_of_message_status_priority_and_inbox_occurs() -> None:
    desk = make_desk(scale=0.05)
    conversations = desk.conversations()
    kinds = Counter(m.kind for c in conversations for m in c.messages)
    assert set(kinds) == {INCOMING, OUTGOING, ACTIVITY, TEMPLATE}
    assert any(m.private for c in conversations for m in c.messages)
    assert any(m.has_photo for c in conversations for m in c.messages)
    assert any(m.content_attributes.get("deleted") for c in conversations for m in c.messages)
    assert {"open", "resolved", "snoozed", "pending"} <= {c.status for c in conversations}
    assert {None, "low", "medium", "high", "urgent"} == {c.priority for c in conversations}
    assert {c.inbox.id for c in conversations} == {1, 2, 3}
    assert any(c.assignee is None for c in conversations)
    assert any("System reopened" in m.content for c in conversations for m in c.messages)


def test_waiting_and_first_reply_follow_from_the_messages(desk: Support) -> None:
    for conversation in desk.conversations():
        replies = [
            m for m in conversation.messages if m.kind == OUTGOING and not m.private and isinstance(m.sender, Agent)
        ]
        assert conversation.first_reply_created_at == (replies[0].at if replies else None)
        if conversation.status == "resolved":
            assert conversation.waiting_since is None
        spoken = [m for m in conversation.messages if m.kind in (INCOMING, OUTGOING) and not m.private]
        if conversation.status == "open" and spoken[-1].kind == INCOMING:
            assert conversation.waiting_since is not None
            assert conversation.waiting_since <= spoken[-1].at


def test_a_conversation_spans_hours_to_days_but_never_more_than_eight(desk: Support) -> None:
    spans = [c.messages[-1].at - c.messages[0].at for c in desk.conversations()]
    assert max(spans) < 8 * 86_400
    assert sum(span > 3_600 for span in spans) > len(spans) / 2


def test_texts_hold_something_to_redact_and_no_slot_is_left_open(desk: Support) -> None:
    texts = [m.content for c in desk.conversations() for m in c.messages]
    joined = "\n".join(texts)
    assert re.search(r"#\d{4,}", joined)
    assert re.search(r"[\w.]+@example\.(com|org)", joined)
    assert re.search(r"\+1\d{10}", joined)
    assert not re.search(r"[{}]", joined)
    assert len(set(texts)) > 200


def test_a_message_received_now_moves_the_conversation_to_the_top() -> None:
    desk = make_desk()
    last = desk.conversations()[-1]
    numbers = [m.id for c in desk.conversations() for m in c.messages]
    message = desk.receive(last.display_id, "Any news?")
    second = desk.receive(last.display_id, "Hello?")
    assert desk.conversations()[0] is last
    assert message.id > max(numbers)
    assert second.id > message.id
    assert desk.receive(999_999_999, "nobody") is None


def rough_desk(kind: str, rate: float = 0.5, **more: float) -> Support:
    """A desk on which one kind of roughness is frequent, and nothing else is rough."""
    text = ",".join(["calm", f"+{kind}={rate}", *(f"+{name}={share}" for name, share in more.items())])
    return Support(Shop(7, 0.02, VirtualClock(NOW), roughness=Roughness.read(text)))


def test_a_calm_desk_loses_nothing_and_has_no_bots() -> None:
    calm = Support(Shop(7, 0.02, VirtualClock(NOW), roughness=Roughness.read("calm")))
    assert calm.gone() == []
    assert not any(isinstance(m.sender, Bot) for c in calm.conversations() for m in c.messages)


def test_a_bot_in_charge_answers_first_and_is_no_first_reply() -> None:
    talks = [c for c in rough_desk("bots").conversations() if any(isinstance(m.sender, Bot) for m in c.messages)]
    assert any(isinstance(c.assignee, Bot) for c in talks)
    assert any(isinstance(c.assignee, Agent) for c in talks)
    for conversation in talks:
        by_agents = [m.at for m in conversation.messages if isinstance(m.sender, Agent) and not m.private]
        assert conversation.first_reply_created_at == (by_agents[0] if by_agents else None)


def test_deleted_conversations_and_contacts_are_gone_and_told() -> None:
    desk = rough_desk("deleted_conversations", deleted_contacts=0.5)
    numbers = {gone.number for gone in desk.gone() if gone.entity == "conversation"}
    assert numbers
    assert not numbers & {c.display_id for c in desk.conversations()}
    assert all(desk.conversation(number) is None for number in numbers)
    contacts = {gone.number for gone in desk.gone() if gone.entity == "contact"}
    assert contacts
    assert not contacts & {c.id for c in desk.contacts()}
    assert all(gone.at <= NOW.timestamp() for gone in desk.gone())


def test_a_merged_contacts_conversation_changes_without_activity() -> None:
    desk = rough_desk("merged_contacts", 1.0)
    merged = {gone.number for gone in desk.gone()}
    assert merged
    assert not merged & {c.contact.id for c in desk.conversations()}
    assert any(
        c.updated_at > c.last_activity_at + 3_600 and c.contact.shopify_customer_id for c in desk.conversations()
    )


def test_a_redacted_message_keeps_its_row_and_moves_its_conversation() -> None:
    talks = [c for c in rough_desk("redacted_messages", 1.0).conversations() if c.messages[0].content == DELETED_TEXT]
    assert talks
    for conversation in talks:
        assert conversation.messages[0].content_attributes["deleted"] is True
        assert conversation.updated_at > conversation.last_activity_at


def test_lines_of_activity_in_other_languages_name_no_state_in_english() -> None:
    talks = rough_desk("other_languages", 1.0).conversations()
    lines = [m.content for c in talks for m in c.messages if m.kind == ACTIVITY]
    assert any(c.status == "resolved" for c in talks)
    assert not [line for line in lines if "resolved" in line or "reopened" in line]
