"""What customers and agents write to each other: a small grammar of support talk, filled in by a generator.

Belongs here: topics, sentences and the rule that fills their slots. Does not belong here: when a message is sent, by
whom, or what becomes of the conversation (`support`). Some sentences carry an e-mail address, a phone number or an
order name on purpose: whoever redacts text later needs something to find. All of it lies in ranges reserved for
examples.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """What a conversation is about.

    `needs_order` topics are written by buyers. `labels` are set by the agent with the odds given, `urgency` is the
    chance of a raised priority, `photo` the chance that the customer attaches a picture.
    """

    name: str
    weight: int
    needs_order: bool
    labels: tuple[tuple[str, float], ...]
    urgency: float
    photo: float
    openings: tuple[str, ...]
    answers: tuple[str, ...]
    follow_ups: tuple[str, ...]
    notes: tuple[str, ...]


TOPICS: tuple[Topic, ...] = (
    Topic(
        "delivery", 30, True, (("delivery", 0.9),), 0.10, 0.0,
        (
            "Hi, where is my order {order}? The tracking page has not moved for {days} days.",
            "Hello, I ordered the {product} last week and still have nothing. Order {order}.",
            "The courier says {order} was delivered but there is no parcel here. My phone is {phone}, please call me.",
            "Could you tell me when {order} will arrive? I need it by {weekday}.",
        ),
        (
            "Hi {name}, thanks for writing in. I have asked the carrier to trace {order} and will tell you today.",
            "Hello {name}, the parcel left our warehouse and is with the carrier. It should reach {city} by {weekday}.",
            "I am sorry about the wait, {name}. {order} is held at the depot; I have asked for a new delivery.",
        ),
        (
            "Still nothing today, can you check again?",
            "Thanks. My number is {phone} if the driver cannot find the entrance.",
            "Ok, but I leave on {weekday}. Can it go to a pick-up point instead?",
        ),
        (
            "Carrier claim opened for {order}, expecting an answer in 48 h.",
            "Second complaint about this carrier in {city} this week.",
        ),
    ),
    Topic(
        "return", 20, True, (("return", 0.9), ("sizing", 0.3)), 0.05, 0.0,
        (
            "I would like to return the {product} from order {order}. It does not fit. How do I do that?",
            "Hi! The {product} is smaller than I expected. Can I swap it for another size? Order {order}.",
            "What is your return policy? I bought a {product} as a gift and they already have one.",
        ),
        (
            "Hi {name}, of course. I have sent a return label to {email}; it is valid for 14 days.",
            "No problem, {name}. Shall we exchange it or would you rather have your money back?",
            "Sure, {name}. Please put the parcel in any drop-off box; we refund within five days of its arrival.",
        ),
        (
            "Exchange please, one size up.",
            "I did not get the label. My address is {email}, maybe there was a typo?",
            "Dropped it off this morning, thank you.",
            "I would rather have the refund.",
        ),
        ("Customer is a regular, waive the return fee.", "Label for {order} re-sent by hand."),
    ),
    Topic(
        "damaged", 12, True, (("damaged", 0.9), ("quality", 0.4)), 0.45, 0.6,
        (
            "My {product} arrived broken. See the photo. Order {order}. I am really disappointed.",
            "Hello, one of the items in {order} has a big scratch. What can we do about this?",
            "The parcel was wet and the {product} inside is ruined. Please call me on {phone}.",
        ),
        (
            "I am so sorry, {name}. A replacement for {order} goes out tomorrow, and you can keep the damaged one.",
            "That should not happen, {name}. Would you like a replacement or a refund?",
        ),
        ("A refund please.", "Replacement is fine, thanks for the quick answer.", "How long will the new one take?"),
        ("Packaging issue again, tell the warehouse.", "Photo checked, clearly transport damage on {order}."),
    ),
    Topic(
        "refund", 12, True, (("refund", 0.9), ("billing", 0.3)), 0.30, 0.0,
        (
            "When will I get my money back for {order}? I returned everything {days} days ago.",
            "I was charged twice for order {order}. Please refund one of them. My e-mail is {email}.",
            "You refunded less than I paid for {order}. Why?",
        ),
        (
            "Hi {name}, your refund was sent to your card today. Banks need three to five days to show it.",
            "You are right, {name}, that was our mistake. I have refunded the difference for {order} just now.",
            "Hello {name}, I have passed {order} on to our billing team and will write to you at {email}.",
        ),
        ("I still do not see it on my statement.", "Great, it arrived. Thank you!", "Which card did you send it to?"),
        ("Refund approved, amount checked against {order}.", "Asked billing, they answer tomorrow."),
    ),
    Topic(
        "address", 8, True, (("order-change", 0.9),), 0.20, 0.0,
        (
            "I typed the wrong street number in order {order}. Can you still change it?",
            "Please cancel {order}, I ordered twice by accident.",
            "Can I add one more {product} to {order} before it ships?",
        ),
        (
            "Done, {name}: {order} has the new address and ships tomorrow.",
            "Hi {name}, {order} is packed already, I am afraid. I can try to redirect it on its way.",
            "Cancelled, {name}. You will find the confirmation at {email}.",
        ),
        ("Perfect, thank you.", "Yes please, try to redirect it. My neighbour's phone is {phone}."),
        ("Warehouse confirmed, {order} not picked yet.",),
    ),
    Topic(
        "product-question", 14, False, (("pre-sale", 0.8),), 0.02, 0.0,
        (
            "Hi, is the {product} coming back in stock soon?",
            "Do you ship to {city}? And how much is it?",
            "Hello! What is the {product} made of? I am allergic to wool.",
            "Which size should I take if I am between M and L?",
        ),
        (
            "Hi {name}! Yes, it is back in about two weeks. Shall I put you on the list? I would need your e-mail.",
            "Hello {name}, we do. Shipping to {city} takes three to five working days.",
            "Good question, {name}: I would take the larger one, it shrinks a little in the wash.",
        ),
        ("Yes please, {email}.", "Thank you, I will order tonight.", "And does it come in blue?"),
        ("Asked purchasing about the restock date.",),
    ),
    Topic(
        "discount", 6, False, (("promotion", 0.8), ("pre-sale", 0.3)), 0.02, 0.0,
        (
            "My discount code WELCOME10 does not work, can you help?",
            "I signed up for the newsletter with {email} but never got the code.",
            "Is there going to be a sale soon?",
        ),
        (
            "Hi {name}, the code works once per customer. I have made you a new one: HELLO-AGAIN.",
            "Sorry about that, {name}. I have sent the code to {email} again.",
        ),
        ("It worked, thanks!", "It says it has expired."),
        ("Code replaced, campaign set-up was wrong.",),
    ),
    Topic(
        "wholesale", 3, False, (("wholesale", 0.9),), 0.05, 0.0,
        (
            "We run a small shop in {city} and would like to sell the {product}. Who can I talk to? {phone}",
            "Do you offer wholesale prices from 50 pieces on?",
        ),
        ("Hello {name}, thank you for your interest. Our wholesale team will write to {email} this week.",),
        ("Great, you can also reach me on {phone}.",),
        ("Forwarded to sales.",),
    ),
)  # fmt: skip

CLOSINGS = (
    "Is there anything else I can help you with?",
    "You are welcome, {name}. Have a good day!",
    "Glad that is sorted. Write to us any time.",
)
COMEBACKS = (
    "Sorry to come back to this, but it is still not solved.",
    "Hi again, nothing has happened since. Could you look into {order} once more?",
    "One more thing: can you send the invoice to {email}?",
)
BOT_ANSWER = "Hi, I am the store's assistant. Somebody of the team will be with you shortly."
# Lines of activity as desks in other languages write them: none says "resolved" or "reopened".
_LINES = {
    "de": {
        "resolved": "Die Konversation wurde als gelöst markiert",
        "open": "Die Konversation wurde wieder geöffnet",
        "pending": "Die Konversation wartet",
        "snooze": "Die Konversation wurde zurückgestellt",
        "assign": "Zugewiesen von Automation System",
        "label": "Ein Label wurde hinzugefügt",
        "priority": "Die Priorität wurde geändert",
    },
    "fr": {
        "resolved": "La conversation a été marquée comme résolue",
        "open": "La conversation a été rouverte",
        "pending": "La conversation est en attente",
        "snooze": "La conversation a été mise en veille",
        "assign": "Assignée par Automation System",
        "label": "Une étiquette a été ajoutée",
        "priority": "La priorité a été modifiée",
    },
    "ja": {
        "resolved": "会話は解決済みになりました",
        "open": "会話が再開されました",
        "pending": "会話は保留中です",
        "snooze": "会話はスヌーズされました",
        "assign": "担当者が割り当てられました",
        "label": "ラベルが追加されました",
        "priority": "優先度が変更されました",
    },
}
GREETING = "Hi there! Thanks for writing to HotDash Demo Store. We usually answer within an hour."
EMAIL_PROMPT = "Get notified by email"
_WEEKDAYS = ("Monday", "Wednesday", "Thursday", "Friday", "Saturday")


def pick_topic(has_order: bool, random_: random.Random) -> Topic:
    """A topic by weight: any for a buyer, one that needs no order for everybody else."""
    topics, weights = (_BUYER_TOPICS, _BUYER_WEIGHTS) if has_order else (_OPEN_TOPICS, _OPEN_WEIGHTS)
    return random_.choices(topics, weights)[0]


def fill(sentences: Sequence[str], slots: Mapping[str, str], random_: random.Random) -> str:
    """One of the sentences with its slots filled; a sentence whose slot is unknown to `slots` is avoided if possible.

    `slots` gives order, product, name, email, phone and city where they are known; days and weekday are drawn.
    """
    known = {**slots, "days": str(2 + int(random_.random() * 9)), "weekday": random_.choice(_WEEKDAYS)}
    start = int(random_.random() * len(sentences))
    for step in range(len(sentences)):
        sentence = sentences[(start + step) % len(sentences)]
        try:
            return sentence.format_map(known)
        except KeyError:
            continue
    return "Thank you, I will have a look and come back to you."


def line_in(number: int, op: str, value: object) -> str:
    """The line of activity for a change, in one of the other languages: always the same for a conversation's number."""
    lines = _LINES[sorted(_LINES)[number % len(_LINES)]]
    return lines[str(value) if op == "status" else op]


TOPICS_BY_NAME = {topic.name: topic for topic in TOPICS}
_BUYER_TOPICS = TOPICS
_BUYER_WEIGHTS = tuple(topic.weight for topic in TOPICS)
_OPEN_TOPICS = tuple(topic for topic in TOPICS if not topic.needs_order)
_OPEN_WEIGHTS = tuple(topic.weight for topic in _OPEN_TOPICS)
