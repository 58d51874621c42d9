"""The things of a support desk and how an event changes a conversation.

Belongs here: agents, inboxes, contacts, messages, conversations and the fold of events over one conversation. Does
not belong here: which events happen (`support_timeline`), and how an API shows the result. Instants are epoch seconds
as floats, because thousands of them are compared on every request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
ACCOUNT_ID = 1
DELETED_TEXT = "This message was deleted"
# Events that change the desk's lists of conversations and contacts.
OF_THE_DESK = frozenset({"delete_conversation", "delete_contact", "merge", "edit_contact"})
# A doubled key: the answer spells this one like the one before it (`demo.chatwoot.routes`).
AGAIN = "tier__again"


@dataclass(frozen=True, slots=True)
class Agent:
    """A user of the desk. An administrator sees every inbox, an agent the assigned ones only."""

    id: int
    name: str
    display_name: str
    email: str
    role: str
    inbox_ids: tuple[int, ...]
    availability: str


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot that answers, and is put in charge like an agent. Its numbers are its own: one may be an agent's too."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Inbox:
    """A way in: website widget, e-mail or API channel."""

    id: int
    channel_id: int
    name: str
    channel_type: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label agents put on conversations."""

    id: int
    title: str
    description: str
    color: str


INBOXES = (
    Inbox(1, 11, "Website chat", "Channel::WebWidget"),
    Inbox(2, 12, "Support e-mail", "Channel::Email"),
    Inbox(3, 13, "Instagram bridge", "Channel::Api"),
)
AGENTS = (
    Agent(1, "Dana Whitfield", "Dana", "dana@hotdash-demo.example", "administrator", (1, 2, 3), "online"),
    Agent(2, "Marco Bianchi", "Marco", "marco@hotdash-demo.example", "agent", (1, 2), "online"),
    Agent(3, "Aiko Mori", "Aiko", "aiko@hotdash-demo.example", "agent", (1, 3), "busy"),
    Agent(4, "Lena Fischer", "Lena", "lena@hotdash-demo.example", "agent", (2,), "offline"),
    Agent(5, "Samuel Okoye", "Sam", "samuel@hotdash-demo.example", "agent", (1,), "online"),
)
# The number is that of an agent.
BOT = Bot(2, "Pre-sale bot")
LABELS = tuple(
    Label(number, title, description, color)
    for number, (title, description, color) in enumerate(
        (
            ("billing", "Charges, invoices, payment", "#8B5CF6"),
            ("damaged", "Arrived broken or wet", "#EF4444"),
            ("delivery", "Where is my order", "#1F93FF"),
            ("order-change", "Address, items, cancellation", "#F59E0B"),
            ("pre-sale", "Before an order", "#10B981"),
            ("promotion", "Codes and campaigns", "#EC4899"),
            ("quality", "The product is not as it should be", "#B91C1C"),
            ("refund", "Money back", "#6366F1"),
            ("return", "Goods back", "#0EA5E9"),
            ("sizing", "Too small, too big", "#84CC16"),
            ("wholesale", "Business buyers", "#64748B"),
        ),
        start=1,
    )
)


@dataclass(slots=True)
class Contact:
    """Somebody who wrote. A buyer carries the store customer's e-mail, and `shopify_customer_id` once identified."""

    id: int
    name: str
    email: str | None
    phone: str | None
    identifier: str | None
    created_at: float
    city: str | None
    country_code: str | None
    shopify_customer_id: int | None
    last_activity_at: float = 0.0
    source_ids: dict[int, str] = field(default_factory=dict)
    custom_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_listed(self) -> bool:
        """True if the contact can be told from others; an anonymous visitor is not listed."""
        return bool(self.email or self.phone or self.identifier)


@dataclass(slots=True)
class Message:
    """One message. `kind` is the API's integer; `sender` is a contact, an agent, a bot or None (the system)."""

    id: int
    at: float
    kind: int
    content: str
    sender: Contact | Agent | Bot | None
    private: bool = False
    content_type: str = "text"
    content_attributes: dict[str, Any] = field(default_factory=dict)
    source_id: str | None = None
    has_photo: bool = False


class SupportEvent(NamedTuple):
    """Something that happens to a conversation at `at`; what `value` is follows from `op`."""

    at: float
    op: str
    value: Any


class Gone(NamedTuple):
    """Something that is no longer there: since when (epoch seconds), its kind and its number."""

    at: float
    entity: str
    number: int


@dataclass(slots=True)
class Conversation:
    """A conversation and its state after the events applied so far.

    `id` is the desk's internal one; `topic` is why they wrote, which no API shows.
    """

    id: int
    display_id: int
    uuid: str
    contact: Contact
    inbox: Inbox
    created_at: float
    additional_attributes: dict[str, Any]
    custom_attributes: dict[str, Any]
    topic: str
    updated_at: float = 0.0
    last_activity_at: float = 0.0
    status: str = "open"
    assignee: Agent | Bot | None = None
    priority: str | None = None
    labels: list[str] = field(default_factory=list)
    snoozed_until: float | None = None
    waiting_since: float | None = None
    first_reply_created_at: float | None = None
    agent_last_seen_at: float | None = None
    assignee_last_seen_at: float | None = None
    contact_last_seen_at: float | None = None
    unread_count: int = 0
    messages: list[Message] = field(default_factory=list)
    version: int = 0

    def apply(self, event: SupportEvent) -> None:
        """Fold one event into the state. Events must come in the order of time."""
        at, op, value = event
        self.version += 1
        if op == "message":
            self._add(value, at)
        elif op == "status":
            self.status = value
            if value == "resolved":
                self.waiting_since = None
            if value != "snoozed":
                self.snoozed_until = None
        elif op == "snooze":
            self.status, self.snoozed_until = "snoozed", value
        elif op == "assign":
            self.assignee = value
        elif op == "label":
            if value not in self.labels:
                self.labels.append(value)
        elif op == "priority":
            self.priority = value
        elif op == "agent_seen":
            # Seeing a conversation does not touch its updated_at on the real server either.
            self.agent_last_seen_at = at
            if value is self.assignee:
                self.assignee_last_seen_at = at
            self.unread_count = 0
            return
        elif op == "contact_seen":
            self.contact_last_seen_at = at
            return
        elif op == "delete_message":
            value.content = DELETED_TEXT
            value.content_attributes = {**value.content_attributes, "deleted": True}
        elif op == "merge":
            for message in self.messages:
                if message.sender is self.contact:
                    message.sender = value
            self.contact = value
        else:
            raise ValueError(f"unknown event {op!r}")
        self.updated_at = at

    def _add(self, message: Message, at: float) -> None:
        self.messages.append(message)
        self.last_activity_at = at
        if message.kind == INCOMING:
            self.unread_count += 1
            self.contact.last_activity_at = at
            self.contact_last_seen_at = at
            if self.waiting_since is None:
                self.waiting_since = at
        elif message.kind == OUTGOING and not message.private:
            self.waiting_since = None
            if self.first_reply_created_at is None and isinstance(message.sender, Agent):
                self.first_reply_created_at = at
