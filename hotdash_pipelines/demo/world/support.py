"""The support desk of the store: who wrote, about what, and the state of every conversation now.

Belongs here: conversations by day, the desk's state at the clock's instant, and look-ups. Does not belong here: the
course of one conversation (`support_timeline`), the wording (`support_texts`), the API's shapes (`demo.chatwoot`).

A day's conversations depend on the seed, the scale and that day's orders alone, so two servers agree on them whatever
they were asked before. The desk keeps `history_days` before the clock's instant at its construction.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.seeded import rng
from hotdash_pipelines.demo.world.shop import CUSTOMER_ID_BASE, OPENED_ON
from hotdash_pipelines.demo.world.support_model import (
    AGENTS,
    INBOXES,
    INCOMING,
    LABELS,
    OF_THE_DESK,
    Agent,
    Contact,
    Conversation,
    Gone,
    Inbox,
    Label,
    Message,
    SupportEvent,
)
from hotdash_pipelines.demo.world.support_texts import pick_topic
from hotdash_pipelines.demo.world.support_timeline import Roughening, Script, Slots, unscripted_number

if TYPE_CHECKING:
    from hotdash_pipelines.demo.world.shop import Order, Shop

# Chance that an order's buyer writes on the n-th day after it; together about 6 %.
ASK_ODDS = (0.012, 0.008, 0.010, 0.012, 0.008, 0.006, 0.004)
# Other people who write, as a share of the day's orders.
STRANGERS = 0.02
HISTORY_DAYS = 21
# Conversations of one day are numbered in a block of this many at scale 1.
DAILY_BLOCK = 1_000
# The desk is one account of a bigger installation: internal ids and the account's own numbers differ.
INTERNAL_ID_OFFSET = 40_000_000
_DAYS_ALIVE = 10
_EPOCH_DAY = date(2024, 1, 1)
_HOUR_WEIGHTS = (1, 1, 0, 0, 0, 0, 1, 3, 5, 8, 9, 9, 8, 8, 8, 8, 7, 7, 7, 8, 9, 8, 5, 3)
_WIDGET_NAMES = ("late-river", "bold-meadow", "quiet-forest", "amber-cloud", "summer-hill", "misty-lake")
_BROWSERS = (("Chrome", "Windows"), ("Mobile Safari", "iOS"), ("Chrome Mobile", "Android"), ("Safari", "macOS"))


class Support:
    """The desk's conversations and contacts as of the clock's instant. Safe to use from several threads."""

    def __init__(self, shop: Shop, history_days: int = HISTORY_DAYS) -> None:
        self._shop = shop
        self._lock = threading.RLock()
        self._block = max(50, int(DAILY_BLOCK * max(1.0, shop.scale)))
        self.opened_on = max(OPENED_ON, shop.day_of(shop.now_ts()) - timedelta(days=history_days))
        self._last_received = 0.0
        self._reset()

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The desk's users."""
        return AGENTS

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        """The ways in."""
        return INBOXES

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels in use."""
        return LABELS

    def conversations(self) -> list[Conversation]:
        """Every conversation begun by now, newest activity first. The caller must not change the list."""
        with self._lock:
            self._sync()
            if self._unsorted:
                self._listed.sort(key=lambda c: (-c.last_activity_at, -c.display_id))
                self._unsorted = False
            return self._listed

    def conversation(self, display_id: int) -> Conversation | None:
        """The conversation with this number in the account, if it has begun by now."""
        with self._lock:
            self._sync()
            conversation = self._by_display_id.get(display_id)
            return conversation if conversation is not None and conversation.messages else None

    def contacts(self) -> list[Contact]:
        """Everybody who has written by now and can be told from others, by id."""
        with self._lock:
            self._sync()
            wrote = [c for c in self._contacts.values() if c.last_activity_at and c.is_listed]
            return sorted(wrote, key=lambda c: c.id)

    def gone(self) -> list[Gone]:
        """What was deleted or merged by now, in the order of time."""
        with self._lock:
            self._sync()
            return list(self._gone)

    def contact(self, contact_id: int) -> Contact | None:
        """The contact with this number, if it has written by now and is still there."""
        with self._lock:
            self._sync()
            contact = self._contacts.get(contact_id)
            return contact if contact is not None and contact.last_activity_at else None

    def now(self) -> float:
        """The clock's instant in epoch seconds."""
        return self._shop.clock.now().timestamp()

    def receive(self, display_id: int, text: str) -> Message | None:
        """Have the contact of this conversation write `text` right now; None if there is no such conversation."""
        with self._lock:
            conversation = self.conversation(display_id)
            if conversation is None:
                return None
            at = self._last_received = max(self.now(), self._last_received + 0.001)
            message = Message(unscripted_number(at), at, INCOMING, text, conversation.contact)
            conversation.apply(SupportEvent(at, "message", message))
            self._unsorted = True
            return message

    def _reset(self) -> None:
        self._at = float("-inf")
        self._next_day = self.opened_on
        self._serial = itertools.count()
        self._queue: list[tuple[float, int, Conversation, SupportEvent]] = []
        self._contacts: dict[int, Contact] = {}
        self._by_display_id: dict[int, Conversation] = {}
        self._listed: list[Conversation] = []
        self._unsorted = False
        self._gone: list[Gone] = []

    def _sync(self) -> None:
        """Bring the state to the clock's instant; a clock turned back starts the fold anew."""
        now = self.now()
        if now < self._at:
            self._reset()
        while self._shop.day_start_ts(self._next_day) <= now:
            self._open_day(self._next_day)
            self._next_day += timedelta(days=1)
        queue = self._queue
        while queue and queue[0][0] <= now:
            _, _, conversation, event = heapq.heappop(queue)
            if event.op in OF_THE_DESK:
                self._change(conversation, event)
                continue
            if not conversation.messages:
                self._listed.append(conversation)
            conversation.apply(event)
            self._unsorted = True
        self._at = now

    def _change(self, conversation: Conversation, event: SupportEvent) -> None:
        """What happens to the desk's lists rather than to a conversation."""
        former = conversation.contact
        if event.op == "edit_contact":
            former.phone = event.value
        elif event.op == "merge":
            conversation.apply(event)
            base: Contact = event.value
            base.last_activity_at = max(base.last_activity_at, former.last_activity_at)
            base.source_ids = {**former.source_ids, **base.source_ids}
            self._contacts[base.id] = base
        else:
            self._listed.remove(conversation)
            del self._by_display_id[conversation.display_id]
            self._gone.append(Gone(event.at, "conversation", conversation.display_id))
        if event.op in ("merge", "delete_contact"):
            del self._contacts[former.id]
            self._gone.append(Gone(event.at, "contact", former.id))

    def _open_day(self, day: date) -> None:
        for conversation, events in self.begun_on(day):
            self._by_display_id[conversation.display_id] = conversation
            for event in events:
                heapq.heappush(self._queue, (event.at, next(self._serial), conversation, event))

    def begun_on(self, day: date) -> list[tuple[Conversation, list[SupportEvent]]]:
        """The conversations that begin on this day of the store, each with its events, in the order they begin.

        Made anew by each call and regardless of the clock. Calling it on the desk that the API shows would forget what
        its contacts did last: another reader of scripts takes a `Support` of its own.
        """
        random_ = rng(self._shop.seed, "support", day.isoformat())
        starts: list[tuple[float, Order | None]] = []
        opens, closes = self._shop.day_start_ts(day), self._shop.day_start_ts(day + timedelta(days=1))
        for lag, odds in enumerate(ASK_ODDS):
            for order in self._shop.orders_created_on(day - timedelta(days=lag)):
                if random_.random() < odds and order.customer_id is not None and not order.is_test:
                    at = _hour_of_day(opens, random_)
                    if lag == 0:
                        at = order.created_ts + (closes - order.created_ts) * (0.05 + 0.9 * random_.random())
                    starts.append((at, order))
        strangers = STRANGERS * len(self._shop.orders_created_on(day))
        for _ in range(int(strangers + random_.random())):
            starts.append((_hour_of_day(opens, random_), None))
        starts.sort(key=lambda start: start[0])
        return [self._begin(day, index, at, order) for index, (at, order) in enumerate(starts[: self._block])]

    def _begin(self, day: date, index: int, at: float, order: Order | None) -> tuple[Conversation, list[SupportEvent]]:
        number = (day - _EPOCH_DAY).days
        display_id = number * self._block + index + 1
        random_ = rng(self._shop.seed, "conversation", display_id)
        topic = pick_topic(order is not None, random_)
        inbox = random_.choices(INBOXES, (55, 35, 10))[0]
        contact = self._buyer(order) if order is not None else self._stranger(display_id, at, inbox, random_)
        contact.source_ids.setdefault(inbox.id, _source_id(contact, inbox, random_))
        conversation = Conversation(
            id=INTERNAL_ID_OFFSET + display_id * 3,
            display_id=display_id,
            uuid=str(uuid.UUID(int=random_.getrandbits(128), version=4)),
            contact=contact,
            inbox=inbox,
            created_at=at,
            topic=topic.name,
            additional_attributes=_additional_attributes(inbox, at, topic.name, random_),
            custom_attributes={"order_name": order.name} if order is not None and random_.random() < 0.5 else {},
        )
        residue = (number % _DAYS_ALIVE) * self._block + index
        slots = Slots(residue, self._block * _DAYS_ALIVE)
        rough = Roughening(self._shop, conversation)
        script = Script(
            conversation, topic, _texts(contact, order, topic.name), slots, random_, at, is_rough=rough.hits
        )
        base = self._another_buyer(day, contact) if order is None else None
        return conversation, rough.add(script.write(), base)

    def _another_buyer(self, day: date, contact: Contact) -> Contact | None:
        """Who the stranger turns out to be: a buyer of the day, by the stranger's number."""
        buyers = [
            order
            for order in self._shop.orders_created_on(day)
            if order.customer is not None
            and not order.is_test
            and order.customer.created_at.timestamp() <= contact.created_at
        ]
        return self._buyer(buyers[contact.id % len(buyers)]) if buyers else None

    def _buyer(self, order: Order) -> Contact:
        customer = order.customer
        assert customer is not None  # noqa: S101 - the caller asked for orders with a customer
        contact_id = 2 * (customer.id - CUSTOMER_ID_BASE)
        known = self._contacts.get(contact_id)
        if known is None:
            random_ = rng(self._shop.seed, "contact", customer.id)
            known = self._contacts[contact_id] = Contact(
                id=contact_id,
                name=" ".join(part for part in (customer.first_name, customer.last_name) if part),
                email=customer.email,
                phone=customer.phone,
                identifier=f"shopify:{customer.id}" if random_.random() < 0.6 else None,
                created_at=customer.created_at.timestamp(),
                city=customer.city,
                country_code=customer.country_code,
                shopify_customer_id=customer.id,
            )
        return known

    def _stranger(self, display_id: int, at: float, inbox: Inbox, random_: random.Random) -> Contact:
        """Somebody the store has never sold to; one in four website visitors leaves no address."""
        # Odd numbers are strangers', even ones buyers'.
        contact_id = 2 * display_id + 1
        anonymous = inbox.channel_type == "Channel::WebWidget" and random_.random() < 0.25
        name = f"{random_.choice(_WIDGET_NAMES)}-{int(random_.random() * 1000)}"
        contact = Contact(
            id=contact_id,
            name=name if anonymous else name.replace("-", " ").title().rstrip("0123456789 "),
            email=None if anonymous else f"visitor.{display_id}@example.org",
            phone=None,
            identifier=None,
            created_at=at,
            city=random_.choice(("Boston", "Toronto", "Leeds", "Lyon", "Austin")),
            country_code=None,
            shopify_customer_id=None,
        )
        self._contacts[contact_id] = contact
        return contact


def _hour_of_day(midnight: float, random_: random.Random) -> float:
    hour = random_.choices(range(24), _HOUR_WEIGHTS)[0]
    # A day of 23 hours must not push its last hour into the next day.
    return midnight + min(hour * 3600.0 + random_.random() * 3600.0, 82_000.0)


def _texts(contact: Contact, order: Order | None, topic: str) -> dict[str, str]:
    """What the sentences' slots may be filled with; a slot nobody knows is left out."""
    known = {
        "name": contact.name.split(" ")[0],
        "email": contact.email,
        "phone": contact.phone,
        "city": contact.city,
        "order": order.name if order is not None else None,
        "product": order.lines[0].title if order is not None and order.lines else "Linen Shirt",
        "subject": f"{topic.replace('-', ' ').capitalize()}{f' {order.name}' if order is not None else ''}",
    }
    return {slot: text for slot, text in known.items() if text}


def _source_id(contact: Contact, inbox: Inbox, random_: random.Random) -> str:
    if inbox.channel_type == "Channel::Email" and contact.email:
        return contact.email
    return str(uuid.UUID(int=random_.getrandbits(128), version=4))


def _additional_attributes(inbox: Inbox, at: float, topic: str, random_: random.Random) -> dict[str, Any]:
    if inbox.channel_type == "Channel::WebWidget":
        browser, platform = random_.choice(_BROWSERS)
        return {
            "browser": {"browser_name": browser, "browser_version": "139.0.0.0", "platform_name": platform},
            "referer": random_.choice(("https://hotdash-demo.example/", "https://hotdash-demo.example/pages/help")),
            "initiated_at": {"timestamp": datetime.fromtimestamp(at, UTC).strftime("%a %b %d %Y %H:%M:%S GMT+0000")},
            "browser_language": random_.choice(("en", "en", "fr", "de")),
        }
    if inbox.channel_type == "Channel::Email":
        return {"source": "email", "mail_subject": topic.replace("-", " ").capitalize(), "in_reply_to": None}
    return {}
