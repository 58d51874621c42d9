"""What the support agent asks of its tools, proposes and is told: words for each topic of a conversation.

Belongs here: the agents, their tools with typical latencies, the actions that need an operator, marks and labels of
annotators. Does not belong here: when any of it happens (`agent`), what customers write (`support_texts`).
"""

from __future__ import annotations

from dataclasses import dataclass

OPERATORS = ("Dana Whitfield", "Marco Bianchi", "Aiko Mori")
ANNOTATORS = ("Ruth Adeyemi", "Paul Lindqvist", "Mina Castell")
# No answer of the tool within this many milliseconds counts as slow, and is logged.
SLOW_MS = 200


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the agent asks: `median_ms` is its usual latency, `question` is written with {order} or {product}."""

    name: str
    median_ms: float
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Action:
    """Something the agent may do only with an operator's consent; `odds` is how often a conversation comes to it."""

    tool: str
    reason: str
    odds: float


@dataclass(frozen=True, slots=True)
class Playbook:
    """How one agent handles one topic; `scope` is the part of the business its decisions concern."""

    agent: str
    scope: str
    tools: tuple[Tool, ...]
    action: Action | None


_ORDER = Tool("shopify.order", 34, "Which items and totals does order {order} have?", "order found")
_TRACKING = Tool("shopify.fulfillment", 62, "Where is the parcel of order {order}?", "tracking events found")
_POLICY = Tool("knowledge.policy", 21, "Which policy applies to a question about {topic}?", "policy found")
_HISTORY = Tool("chatwoot.history", 41, "What has this contact written before about {topic}?", "earlier messages found")
_REFUNDS = Tool("shopify.refunds", 48, "What was refunded for order {order} so far?", "refunds found")
_STOCK = Tool("shopify.inventory", 39, "How many of {product} are in stock?", "stock level found")
_PRODUCT = Tool("shopify.product", 28, "What is known of {product}: sizes, material, care?", "product found")
_CODES = Tool("shopify.discounts", 55, "Is the customer's discount code valid?", "discount found")

PLAYBOOKS = {
    "delivery": Playbook(
        "order-agent", "support.orders", (_ORDER, _TRACKING, _HISTORY),
        Action("send_replacement", "the parcel counts as lost", 0.16),
    ),
    "address": Playbook(
        "order-agent", "support.orders", (_ORDER, _POLICY),
        Action("change_order", "the order is paid and not packed yet", 0.7),
    ),
    "return": Playbook(
        "returns-agent", "support.returns", (_ORDER, _POLICY, _HISTORY),
        Action("create_return_label", "the item was bought within the return window", 0.55),
    ),
    "damaged": Playbook(
        "returns-agent", "support.returns", (_ORDER, _REFUNDS, _HISTORY),
        Action("refund_order", "the photo shows damage", 0.6),
    ),
    "refund": Playbook(
        "returns-agent", "support.returns", (_REFUNDS, _ORDER, _POLICY),
        Action("refund_order", "the return has arrived", 0.65),
    ),
    "product-question": Playbook("product-agent", "support.sales", (_PRODUCT, _STOCK), None),
    "discount": Playbook(
        "product-agent", "support.sales", (_CODES, _POLICY),
        Action("create_discount_code", "the code did not work for a new customer", 0.4),
    ),
    "wholesale": Playbook("product-agent", "support.sales", (_POLICY, _PRODUCT), None),
}  # fmt: skip

GOOD_LABELS = ("accurate", "complete", "concise", "friendly")
BAD_LABELS = ("wrong-order", "policy-breach", "invented-fact", "tone")
BAD_NOTES = {
    "wrong-order": "Speaks of another order than the customer's.",
    "policy-breach": "Promises more than the policy allows.",
    "invented-fact": "States a date that no tool returned.",
    "tone": "Too curt for an upset customer.",
}
SYNC_ERRORS = ("timeout after 2000 ms", "HTTP 503 from the order service", "connection reset by peer")
