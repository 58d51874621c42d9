"""Removing personal data from texts and JSON values before they leave the warehouse.

Belongs here: the redactor, which puts the detectors (redact_*.py) in order, walks JSON, counts by kind; the gate that
looks again. Does not belong here: which columns are exported (export), single detectors. Pure Python: no database, no
network.

What it finds and misses is measured on a labelled corpus: docs/redaction.md. It never makes a text "free of" anything.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hotdash_pipelines.redaction import json_values as redact_json
from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan, apart, canonical, replace
from hotdash_pipelines.redaction.detectors.emails import find_emails
from hotdash_pipelines.redaction.detectors.ids import find_ids
from hotdash_pipelines.redaction.detectors.names import find_names
from hotdash_pipelines.redaction.detectors.numbers import find_cards, find_ibans, find_ips
from hotdash_pipelines.redaction.detectors.phones import find_phones
from hotdash_pipelines.redaction.detectors.places import find_places
from hotdash_pipelines.redaction.known_people import KnownEntity, KnownFinder, known_entities
from hotdash_pipelines.redaction.reading import Reading
from hotdash_pipelines.redaction.rescan import Rescan

__all__ = ["REDACTOR_VERSION", "KnownEntity", "Redactor", "TokenKind", "known_entities"]

# Written into the manifest of an export; changes whenever the same text could come out differently.
REDACTOR_VERSION = "1.0.1"

# A replacement can bring words together that now read as a context; more passes than two are rare.
_PASSES = 6


class Redactor:
    """Redacts the texts of one conversation.

    `known` are the people of the conversation (known_entities), compiled once; `default_region` is the country whose
    way of dialling a phone number without a country code follows (ISO 3166, such as US).
    """

    def __init__(self, known: Sequence[KnownEntity] = (), default_region: str = "US") -> None:
        self._rescan = Rescan(known)
        self._detectors: list[Callable[[Reading], list[TokenSpan]]] = [find_emails, find_ibans, find_ips, find_cards]
        if known:
            self._detectors.append(KnownFinder(known, default_region).find)
        self._detectors += [find_ids, find_places, partial(find_phones, region=default_region), find_names]

    def text(self, text: str) -> tuple[str, Counter[str]]:
        """The text with tokens such as `[EMAIL_REDACTED]`, and how many of each kind (keys as `email`) were put in.

        Whatever is not replaced stays as it was written. Redacting the result again changes nothing.
        """
        return self._until_settled(text)

    def value(self, value: Any) -> tuple[Any, Counter[str]]:
        """A JSON value (dict, list, str, number, bool, None) redacted through keys, values and JSON within strings.

        The key before a value is read as its context: `{"phone": 4155550123}` is a phone, `{"order_id": 4155550123}` is
        none. A number that is redacted becomes a string. Anything that is not JSON raises TypeError without its
        content.
        """
        counts: Counter[str] = Counter()
        return redact_json.walk(value, self._with_context, counts), counts

    def rescan(self, text: str) -> Counter[str]:
        """What a second, independent look still finds in a redacted text; anything at all forbids to publish it."""
        return self._rescan.look(text)

    def _with_context(self, context: str, text: str) -> tuple[str, Counter[str]]:
        """The text redacted as if the context (a key as words) stood before it."""
        return self._until_settled(text, f"{context}: " if context else "")

    def _until_settled(self, text: str, context: str = "") -> tuple[str, Counter[str]]:
        """Redact what follows the context, until a pass finds nothing."""
        counts: Counter[str] = Counter()
        prefix = len(canonical(context))
        for _ in range(_PASSES):
            folded = canonical(context + text)
            spans = [span for span in self._spans(folded) if span.end > prefix]
            if not spans:
                break
            counts.update(span.kind.value for span in spans)
            spans = [TokenSpan(max(start - prefix, 0), end - prefix, kind) for start, end, kind in spans]
            text = replace(text, folded[prefix:], spans)
        return text, counts

    def _spans(self, text: str) -> list[TokenSpan]:
        """Every find of one pass over a canonical text, in order and apart from each other.

        The surest detectors come first: what one has found is hidden from the others.
        """
        reading = Reading(text)
        found: list[TokenSpan] = []
        for detector in self._detectors:
            if spans := detector(reading):
                spans = apart(spans)
                found += spans
                reading.hide(spans)
        return sorted(found)


def counted(values: Mapping[str, int]) -> dict[str, int]:
    """Counts of every kind, zeros included, in the order of the kinds: what a manifest states."""
    return {kind.value: values.get(kind.value, 0) for kind in TokenKind}
