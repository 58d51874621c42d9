"""The course of one conversation: who says what, when, and what becomes of it.

Belongs here: the script from the first message to the last event, drawn from the conversation's own generator, and what
makes it rough: deletions, merges, edits and redactions long after, odd attributes. Does not belong here: who writes and
how often (`support`), the wording (`support_texts`), the rates of roughness (`demo.roughness`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.support_model import (
    ACTIVITY,
    AGAIN,
    AGENTS,
    BOT,
    INCOMING,
    OUTGOING,
    TEMPLATE,
    Agent,
    Bot,
    Contact,
    Conversation,
    Message,
    SupportEvent,
)
from hotdash_pipelines.demo.world.support_texts import (
    BOT_ANSWER,
    CLOSINGS,
    COMEBACKS,
    EMAIL_PROMPT,
    GREETING,
    Topic,
    fill,
    line_in,
)

if TYPE_CHECKING:
    from hotdash_pipelines.demo.world.shop import Shop

MINUTE = 60.0
HOUR = 3_600.0
DAY = 86_400.0
# No event lies further from the start than this, so that a day's conversations need only the days just before it.
MAX_SPAN_S = 7.5 * DAY
# The Unix time that message numbers count from.
EPOCH_S = 1_704_067_200


@dataclass(slots=True)
class Slots:
    """The instants that belong to one conversation, and the message number that goes with each.

    Time is cut into buckets of `bucket_ms` milliseconds; a conversation may use the millisecond `residue` of each
    bucket only. Residues of conversations that live at the same time differ, so numbers are unique and ascend with
    time all over the desk, without any day having to know how many messages the days before it had.
    """

    residue: int
    bucket_ms: int
    _bucket: int = -1

    def next(self, not_before: float) -> float:
        """The first free instant after `not_before`, in epoch seconds; later than every one given before."""
        bucket = int((not_before - EPOCH_S) * 1000) // self.bucket_ms + 1
        self._bucket = max(bucket, self._bucket + 1)
        return EPOCH_S + (self._bucket * self.bucket_ms + self.residue) / 1000

    def number(self, at: float) -> int:
        """The number of the message sent at `at`, an instant that `next` gave: even."""
        return 2 * round((at - EPOCH_S) * 1000)


def unscripted_number(at: float) -> int:
    """The number of a message sent at `at` outside every script: odd, and ascending with time like the others."""
    return 2 * round((at - EPOCH_S) * 1000) + 1


@dataclass(slots=True)
class Script:
    """Writes the events of one conversation in the order of time."""

    conversation: Conversation
    topic: Topic
    texts: dict[str, str]
    slots: Slots
    random: random.Random
    opens_at: float
    events: list[SupportEvent] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    # Whether a kind of roughness hits the conversation.
    is_rough: Callable[[str], bool] = lambda _kind: False

    def write(self) -> list[SupportEvent]:
        """The whole course, from the first message on; instants ascend."""
        r = self.random.random
        contact, inbox = self.conversation.contact, self.conversation.inbox
        at = self._say(self.opens_at, INCOMING, self._sentence(self.topic.openings), contact)
        self.conversation.created_at = at
        if self.topic.photo and r() < self.topic.photo:
            self.events[-1].value.has_photo = True
        if inbox.channel_type == "Channel::WebWidget":
            at = self._greet(at)
        elif inbox.channel_type == "Channel::Api" and r() < 0.35:
            at = self._do(at, "status", "pending")
            if r() < 0.15:
                return self._within_span()
            waited = 5 * MINUTE + r() ** 3 * 10 * HOUR
            at = self._note(at + waited, "Conversation was marked open by Automation System", "status", "open")
        if self.is_rough("bots"):
            at = self._do(at, "assign", BOT)
            at = self._say(at + 2, OUTGOING, BOT_ANSWER, BOT)
        if r() < 0.07:
            self._leave_unanswered(at)
            return self._within_span()
        agent = self._pick_agent()
        if r() < 0.93:
            at += MINUTE + r() * 20 * MINUTE
            at = self._note(at, f"Assigned to {agent.name} by Automation System", "assign", agent)
        at = self._talk(at, agent)
        self._finish(at, agent)
        return self._within_span()

    def _greet(self, at: float) -> float:
        at = self._say(at + 1, TEMPLATE, GREETING, None)
        if self.conversation.contact.email is None:
            at = self._say(at + 1, TEMPLATE, EMAIL_PROMPT, None)
            self.events[-1].value.content_type = "input_email"
        return at

    def _leave_unanswered(self, at: float) -> None:
        r = self.random.random
        if r() < 0.5:
            at = self._say(at + DAY + r() * DAY, INCOMING, "Hello? Is anybody there?", self.conversation.contact)
        if r() < 0.5:
            text = "Conversation was marked resolved by system due to 5 days of inactivity"
            self._note(at + 5 * DAY, text, "status", "resolved")

    def _talk(self, at: float, agent: Agent) -> float:
        """The exchange; the first answer brings labels and priority."""
        r = self.random.random
        contact = self.conversation.contact
        for turn in range(1 + int(r() ** 1.5 * 4)):
            at = self._office_hours(at + self._delay())
            at = self._do(at, "agent_seen", agent)
            if turn == 0:
                at = self._triage(at, agent)
            if r() < 0.18:
                note = self._sentence(self.topic.notes)
                at = self._say(at + MINUTE, OUTGOING, note, agent, private=True)
            at = self._say(at + MINUTE, OUTGOING, self._sentence(self.topic.answers), agent)
            if r() < 0.004:
                wrong = self.events[-1].value
                at = self._do(at + 2 * MINUTE, "delete_message", wrong)
                at = self._say(at + MINUTE, OUTGOING, self._sentence(CLOSINGS), agent)
            if r() < 0.3:
                self._do(at + 3 * MINUTE, "contact_seen", None)
            if r() < 0.25:
                break
            text = self._sentence(self.topic.follow_ups)
            at = self._say(at + 3 * MINUTE + r() ** 3 * 20 * HOUR, INCOMING, text, contact)
        return at

    def _triage(self, at: float, agent: Agent) -> float:
        r = self.random.random
        for label, odds in self.topic.labels:
            if r() < odds:
                at = self._note(at, f"{agent.name} added {label}", "label", label)
        if r() < self.topic.urgency:
            priority = ("medium", "high", "high", "urgent")[int(r() * 4)]
            at = self._note(at, f"{agent.name} set the priority to {priority}", "priority", priority)
        elif r() < 0.05:
            at = self._note(at, f"{agent.name} set the priority to low", "priority", "low")
        return at

    def _finish(self, at: float, agent: Agent) -> None:
        """Solved, put aside, or left open; some solved ones come back."""
        r = self.random.random
        ending = r()
        at = self._office_hours(at + self._delay() / 2)
        if ending < 0.08:
            until = at + DAY + r() * DAY
            day = datetime.fromtimestamp(until, UTC).date().isoformat()
            at = self._note(at, f"Conversation was snoozed by {agent.name}", "snooze", until)
            if r() < 0.3:
                return
            at = self._note(until, f"Conversation was reopened after the snooze until {day}", "status", "open")
        elif ending < 0.14:
            return
        if r() < 0.6:
            at = self._say(at, OUTGOING, self._sentence(CLOSINGS), agent)
        at = self._resolve(at + 2 * MINUTE, agent)
        if r() < 0.09:
            text = self._sentence(COMEBACKS)
            at = self._say(at + HOUR + r() * 2 * DAY, INCOMING, text, self.conversation.contact)
            at = self._note(at, "System reopened the conversation due to a new incoming message.", "status", "open")
            if r() < 0.8:
                at = self._office_hours(at + self._delay())
                at = self._do(at, "agent_seen", agent)
                at = self._say(at, OUTGOING, self._sentence(self.topic.answers), agent)
                self._resolve(at + HOUR, agent)

    def _sentence(self, sentences: tuple[str, ...]) -> str:
        """A sentence nobody has said in this conversation yet, if chance finds one in three tries."""
        text = fill(sentences, self.texts, self.random)
        for _ in range(2):
            if text not in self.said:
                break
            text = fill(sentences, self.texts, self.random)
        self.said.add(text)
        return text

    def _resolve(self, at: float, agent: Agent) -> float:
        return self._note(at, f"Conversation was marked resolved by {agent.name}", "status", "resolved")

    def _say(
        self, at: float, kind: int, text: str, sender: Contact | Agent | Bot | None, *, private: bool = False
    ) -> float:
        at = self.slots.next(at)
        source = f"<{self.slots.number(at)}@mail.example.com>" if self._is_mail and kind == INCOMING else None
        message = Message(self.slots.number(at), at, kind, text, sender, private=private, source_id=source)
        if self._is_mail and kind in (INCOMING, OUTGOING) and not private:
            message.content_type = "incoming_email" if kind == INCOMING else "text"
            message.content_attributes = {"email": {"subject": self.texts["subject"]}} if kind == INCOMING else {}
        self.events.append(SupportEvent(at, "message", message))
        return at

    def _note(self, at: float, text: str, op: str, value: object) -> float:
        """A change of state and the activity message that tells of it."""
        at = self._do(at, op, value)
        if self.is_rough("other_languages"):
            text = line_in(self.conversation.display_id, op, value)
        return self._say(at, ACTIVITY, text, None)

    def _do(self, at: float, op: str, value: object) -> float:
        at = self.slots.next(at)
        self.events.append(SupportEvent(at, op, value))
        return at

    @property
    def _is_mail(self) -> bool:
        return self.conversation.inbox.channel_type == "Channel::Email"

    def _delay(self) -> float:
        """How long an answer takes: minutes in chat, hours by mail, with a long tail."""
        median = 40 * MINUTE if self._is_mail else 7 * MINUTE
        return median * math.exp(self.random.gauss(0.0, 0.9))

    def _office_hours(self, at: float) -> float:
        """`at`, or the next morning (13:00 UTC) if that is at night."""
        into_day = at % DAY
        if into_day < 2 * HOUR or into_day >= 13 * HOUR:
            return at
        return at - into_day + 13 * HOUR + self.random.random() * 40 * MINUTE

    def _pick_agent(self) -> Agent:
        return self.random.choice([agent for agent in AGENTS if self.conversation.inbox.id in agent.inbox_ids])

    def _within_span(self) -> list[SupportEvent]:
        end = self.opens_at + MAX_SPAN_S
        return [event for event in self.events if event.at <= end]


def odd_attributes() -> dict[str, Any]:
    """Free-form attributes as apps write them: every type, empty ones, depth, and one key twice."""
    return {
        "plan": ["gold", 3, None],
        "score": 150.0,
        "history": [],
        "nested": {"a": {"b": [{}, [1, "1"], None]}},
        "since": None,
        "vip": True,
        "tier": "silver",
        AGAIN: 2,
    }


@dataclass(frozen=True, slots=True)
class Roughening:
    """The roughness of one conversation."""

    shop: Shop
    conversation: Conversation

    def hits(self, kind: str) -> bool:
        """Whether a kind hits the conversation."""
        return self.shop.is_rough(kind, self.conversation.display_id)

    def add(self, events: list[SupportEvent], base: Contact | None) -> list[SupportEvent]:
        """The events, and what happens after the last of them. `base` is who a stranger turns out to be, if anybody."""
        conversation = self.conversation
        if self.shop.is_rough("odd_attributes", "conversation", conversation.display_id):
            conversation.custom_attributes = {**conversation.custom_attributes, **odd_attributes()}
        if self.shop.is_rough("odd_attributes", "contact", conversation.contact.id):
            conversation.contact.custom_attributes = odd_attributes()
        random_ = rng(self.shop.seed, "rough", conversation.display_id)
        at = events[-1].at + DAY * (0.2 + 2 * random_.random())
        more: list[SupportEvent] = []
        if self.hits("redacted_messages"):
            spoken = next(event.value for event in events if event.op == "message" and event.value.kind == INCOMING)
            more.append(SupportEvent(at, "delete_message", spoken))
        if self.hits("edited_contacts"):
            phone = f"+1555{conversation.display_id % 10_000_000:07}"
            more.append(SupportEvent(at + 3 * DAY, "edit_contact", phone))
        if base is not None and conversation.contact.is_listed and self.hits("merged_contacts"):
            more.append(SupportEvent(at + DAY, "merge", base))
        elif base is not None and self.hits("deleted_contacts"):
            more.append(SupportEvent(at + DAY, "delete_contact", None))
        elif self.hits("deleted_conversations"):
            more.append(SupportEvent(at + DAY, "delete_conversation", None))
        if more and more[-1].op in ("delete_contact", "delete_conversation"):
            more = [event for event in more if event.op != "edit_contact"]
        return [*events, *sorted(more, key=lambda event: event.at)]
