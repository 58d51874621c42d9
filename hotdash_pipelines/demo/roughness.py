"""What makes the stand-in's world as rough as a real one, each kind by a name, so that single kinds can be left out.

Belongs here: one record a kind, and reading which of them are wanted. Does not belong here: what a kind does to the
world or to an answer; the part that acts it out asks `Shop.is_rough`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of roughness: how many of `unit` it hits (0 to 1), and what it does.

    `left_out` says why the usual world goes without it; None for what is on by default.
    """

    name: str
    rate: float
    unit: str
    effect: str
    left_out: str | None = None


KINDS: tuple[Kind, ...] = (
    Kind(
        "late_touches",
        0.1,
        "orders",
        "Staff touch an order between midnight and 04:00 of the next day: its last change leaves the day of its sale.",
    ),
    Kind(
        "taxed_shipping",
        0.4,
        "orders with shipping to pay",
        "Shipping is taxed at the rate of the goods, and a refund gives its tax back.",
    ),
    Kind(
        "tax_included",
        0.5,
        "orders of the site from abroad",
        "Prices, shipping and refunds hold their tax, as where prices are shown so.",
    ),
    Kind(
        "tips",
        0.03,
        "orders",
        "The buyer adds a tip: a line without a product that is no part of the subtotal.",
    ),
    Kind(
        "duties",
        0.15,
        "orders of the site from abroad",
        "Customs duties are charged on top, and a refund of all goods gives them back.",
    ),
    Kind(
        "fees",
        0.02,
        "orders of the site",
        "A fee for handling is charged on top, which no refund gives back.",
    ),
    Kind(
        "cash_rounding",
        0.5,
        "orders at the till",
        "The buyer pays in coins: the payment is rounded to five cents, the order's total is not.",
    ),
    Kind(
        "refund_rounding",
        0.5,
        "orders at the till",
        "Money is given back in coins: what the refund pays out is rounded to five cents, what it is worth is not.",
    ),
    Kind(
        "split_refunds",
        0.5,
        "orders",
        "A refund of several units names their line twice, each time with its own id.",
    ),
    Kind(
        "added_lines",
        0.03,
        "orders with parcels that are not sold at the till",
        "Staff add a line before the parcel leaves; of an order that was paid, the rest is owed for hours or days.",
    ),
    Kind(
        "repriced_lines",
        0.02,
        "orders of goods that are not paid at once and not at the till",
        "Staff lower the price of a line before the order is paid.",
    ),
    Kind(
        "no_agreements",
        0.02,
        "orders",
        "The order has no sales agreements, as one that is older than they are.",
    ),
    Kind(
        "giant_refunds",
        # There is one such order a week, and a fortnight is to meet its refund.
        1.0,
        "orders of more than 250 lines",
        "All of the order is given back a day or two after it was paid, in a refund of more than one page of lines.",
    ),
    Kind(
        "odd_attributes",
        0.05,
        "orders, lines, contacts and conversations",
        "Free-form attributes hold whatever an app wrote: numbers, lists, nulls, empty objects, deep nesting.",
    ),
    Kind(
        "bots",
        0.1,
        "conversations",
        "A bot is in charge and answers before any person does.",
    ),
    Kind(
        "other_languages",
        0.15,
        "conversations",
        "Lines of activity are in German, French or Japanese.",
    ),
    Kind(
        "redacted_messages",
        0.02,
        "conversations",
        "A message is deleted days after it was written: its row stays, its text goes, its number does not change.",
    ),
    Kind(
        "deleted_conversations",
        0.01,
        "conversations",
        "The conversation is deleted some days after its end.",
    ),
    Kind(
        "deleted_contacts",
        0.03,
        "conversations of people who never bought",
        "The contact is deleted some days after, and the conversation with it.",
    ),
    Kind(
        "merged_contacts",
        0.1,
        "conversations of people who never bought",
        "The contact turns out to be a buyer and is merged into that one.",
    ),
    Kind(
        "edited_contacts",
        0.03,
        "conversations",
        "The contact's phone number changes days after the last activity.",
    ),
    Kind(
        "doubled_keys",
        0.03,
        "lines",
        "The list of a line's attributes names one key twice.",
    ),
    Kind(
        "long_landing_pages",
        0.01,
        "orders and landing pages",
        "The address of a landing page is 1,000 characters long and longer.",
    ),
    Kind(
        "double_figures",
        0.2,
        "figures of GA4's reports",
        "A number is spelled as the double that it is: 3.0, 1.0E2, 6346.259999999999.",
    ),
    Kind(
        "folded_rows",
        0.1,
        "dates of a GA4 report",
        "All but the largest rows are folded into one that is called (other), and the answer says so.",
    ),
    Kind(
        "sampled_reports",
        0.1,
        "dates of a GA4 report",
        "The answer says that it was made of a quarter of the events.",
    ),
    Kind(
        "withheld_rows",
        0.3,
        "dates of a GA4 report",
        "Rows of fewer than 25 users are withheld, and the answer says so.",
        left_out="What Google withholds is in no sum of rows, so no such day is whole.",
    ),
    Kind(
        "deleted_orders",
        0.3,
        "orders that are tests or were cancelled",
        "The order is deleted some days later; only Shopify's events, and its absence, tell so.",
        left_out="A day's figures change long after the day, which only tests of deletions want.",
    ),
    Kind(
        "merged_customers",
        0.1,
        "customers",
        "The customer is merged into the one who signed up before: their orders move, and no event tells.",
        left_out="It is noticed within a round of nights, and until then days count a customer too many.",
    ),
    Kind(
        "untold_deletions",
        0.5,
        "deleted orders",
        "No event tells that the order was deleted, as after a year: only its absence does.",
        left_out="It is noticed within a round of nights, and until then days count an order too many.",
    ),
)
_BY_NAME = MappingProxyType({kind.name: kind for kind in KINDS})
USUAL, CALM, ALL = "usual", "calm", "all"


@dataclass(frozen=True)
class Roughness:
    """The kinds that occur, each with the share of its units that it hits."""

    rates: Mapping[str, float]

    @classmethod
    def read(cls, text: str = USUAL) -> Roughness:
        """What `text` asks for: `usual`, `calm` (nothing) or `all`, then kinds as `+tips`, `+tips=0.5` or `-tips`.

        Parts are separated by commas. Raises ValueError naming the part that is not understood.
        """
        first, *others = [part.strip() for part in text.split(",")]
        if first[:1] in ("+", "-"):
            first, others = USUAL, [first, *others]
        if first not in (USUAL, CALM, ALL):
            raise ValueError(f"roughness {text!r}: begin with {USUAL}, {CALM} or {ALL}")
        rates = {kind.name: kind.rate for kind in KINDS if first == ALL or (first == USUAL and kind.left_out is None)}
        for part in others:
            name, _, rate = part[1:].partition("=")
            if part[:1] not in ("+", "-") or name not in _BY_NAME:
                raise ValueError(f"roughness {part!r}: no such kind; +name or -name with one of {', '.join(_BY_NAME)}")
            rates.pop(name, None)
            if part[0] == "+":
                rates[name] = _share(part, rate) if rate else _BY_NAME[name].rate
        return cls(rates)

    def text(self) -> str:
        """The same roughness as `read` takes it."""
        return ",".join([CALM, *(f"+{name}={rate:g}" for name, rate in sorted(self.rates.items()))])

    def hits(self, name: str, seed: int, *labels: object) -> bool:
        """Whether the kind hits the thing that the labels name: always the same answer for the same seed.

        Raises KeyError for a kind without a record, so that none is acted out without one.
        """
        rate = self.rates.get(name, 0.0)
        if not rate:
            _BY_NAME[name]
            return False
        text = "\x1f".join([str(seed), "rough", name, *map(str, labels)])
        drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        return drawn < rate * 2**64


def _share(part: str, rate: str) -> float:
    try:
        share = float(rate)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"roughness {part!r}: the rate is a number from 0 to 1")
    return share
