"""The people of a conversation, and finding them in its texts however they are spelled.

Belongs here: known_entities (from rows of contacts, customers, orders), exact and fuzzy finding. Does not belong here:
persons nobody told about (redact_names). Lookups are of strings and sets: compiling a pattern for each conversation
would cost more than the search.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hotdash_pipelines.redaction.canonical import MASK, TokenKind, TokenSpan, apart, canonical, fold
from hotdash_pipelines.redaction.reading import WORD, Reading, lower
from hotdash_pipelines.redaction.similar import is_typo_of
from hotdash_pipelines.redaction.words import (
    COMMON_TOWNS,
    COMMON_WORDS,
    PLACEHOLDERS,
    SHARED_MAILBOXES,
    TITLES,
    street_spellings,
)

_KINDS = {
    "name": TokenKind.NAME, "email": TokenKind.EMAIL, "phone": TokenKind.PHONE, "address": TokenKind.ADDRESS,
    "postcode": TokenKind.ADDRESS, "city": TokenKind.ADDRESS, "id": TokenKind.ID, "ip": TokenKind.IP,
}  # fmt: skip
_NO_WORD = re.compile(rf"[^\w{MASK}]|_")


@dataclass(frozen=True)
class KnownEntity:
    """One known fact about a person: `kind` is name, email, phone, address, postcode, city, id or ip."""

    kind: str
    value: str

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"a known entity is one of {', '.join(_KINDS)}")

    def __repr__(self) -> str:
        return f"KnownEntity({self.kind!r}, ...)"


_FIELDS = {
    "name": "name display_name displayname full_name fullname customer_name contact_name sender_name recipient",
    "email": "email contact_email customer_email email_address",
    "phone": "phone phone_number phonenumber mobile telephone",
    "address": "address address1 address2 street address_line1 address_line2",
    "postcode": "zip zip_code postcode postal_code",
    "city": "city town",
    "id": "identifier",
    "ip": "ip ip_address browser_ip",
}  # fmt: skip
_KIND_OF_FIELD = {field.replace("_", ""): kind for kind, fields in _FIELDS.items() for field in fields.split()}
_FIRST = ("firstname", "givenname")
_LAST = ("lastname", "surname", "familyname")


def known_entities(person: Mapping[str, Any]) -> tuple[KnownEntity, ...]:
    """What is known of a person from a row of a contact, customer or order; nested addresses are read too.

    Fields are read by name (`name`, `first_name` + `last_name`, `email`, `phone_number`, `address1`, `zip`, `city` ...,
    also in camelCase); others are passed over.
    """
    entities: dict[KnownEntity, None] = {}
    _read(person, entities, 0)
    return tuple(entities)


def _read(person: Mapping[str, Any], entities: dict[KnownEntity, None], depth: int) -> None:
    fields = {re.sub(r"[^a-z0-9]", "", str(key).lower()): value for key, value in person.items()}
    first = next((str(fields[key]) for key in _FIRST if fields.get(key)), "")
    last = next((str(fields[key]) for key in _LAST if fields.get(key)), "")
    if first or last:
        entities[KnownEntity("name", f"{first} {last}".strip())] = None
    for field, value in fields.items():
        if isinstance(value, Mapping) and depth < 4:
            _read(value, entities, depth + 1)
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, Mapping) and depth < 4:
                    _read(item, entities, depth + 1)
        elif field in _KIND_OF_FIELD and isinstance(value, str | int) and str(value).strip(" 01").strip():
            entities[KnownEntity(_KIND_OF_FIELD[field], str(value).strip())] = None


class KnownFinder:
    """Finds known entities in canonical texts; made once for the texts of a conversation."""

    def __init__(self, known: Sequence[KnownEntity], region: str) -> None:
        # Squashed (letters and digits alone, lower case) -> kind; and whether it may stand inside a longer word.
        self._whole: dict[str, tuple[TokenKind, bool]] = {}
        self._parts: dict[str, TokenKind] = {}
        self._shy: dict[str, TokenKind] = {}
        self._digits: dict[str, int] = {}
        self._streets: list[tuple[str, ...]] = []
        for entity in sorted(known, key=lambda one: one.kind != "name"):
            getattr(self, f"_learn_{entity.kind}")(entity.value) if entity.kind != "phone" else self._learn_phone(
                entity.value, region
            )
        self._long_parts = [part for part in self._parts if len(part) >= 6 and self._parts[part] is TokenKind.NAME]
        self._initials = {part[0] for part in self._long_parts}
        self._house_numbers = {street[0] for street in self._streets} | {street[-1] for street in self._streets}

    def find(self, reading: Reading) -> list[TokenSpan]:
        """Finds in a text, in order and apart; parts of one name that stand together are one find."""
        text, lowered, words = reading.text, reading.lowered, reading.words
        squashed = reading.squashed()
        spans = list(self._find_whole(text, lowered, squashed))
        hits = {word: self._parts[word] for word in words & self._parts.keys()}
        for word in words:
            if word[0] in self._initials and len(word) > 4 and word not in hits and self._is_misspelt(word):
                hits[word] = TokenKind.NAME
        shy = words & self._shy.keys()
        if hits or shy:
            for match in WORD.finditer(lowered):
                word = match.group()
                if word in hits and (word in self._parts or _may_be_typo(text, match)):
                    spans.append(TokenSpan(*match.span(), hits[word]))
                elif word in shy and text[match.start()].isupper():
                    spans.append(TokenSpan(*match.span(), self._shy[word]))
        if self._streets and not self._house_numbers.isdisjoint(words):
            spans += self._find_streets(lowered)
        return _joined(text, apart(spans)) if spans else []

    def _learn_name(self, value: str) -> None:
        local, _, domain = value.partition("@")
        if "." in domain and " " not in value:
            # Where nobody's name is known chats put the address.
            self._learn_email(value)
            if lower(local) not in SHARED_MAILBOXES:
                self._learn_name(local)
            return
        if value != (umlauts := _with_e(value)):
            self._learn_name(umlauts)
        # "O'Brien" is one name of two words: it is learned whole and in its parts.
        names = ["".join(WORD.findall(part)) for part in lower(canonical(value)).split()]
        titled = "".join(names)
        names = [name for name in names if name and name not in TITLES]
        if not names or all(name in PLACEHOLDERS for name in names):
            return
        self._learn_orders(names)
        if len(titled) >= 5:
            self._whole.setdefault(titled, (TokenKind.NAME, len(titled) >= 7))
        words = [word for word in WORD.findall(lower(canonical(value))) if word not in TITLES]
        for word in {*names, *words}:
            if len(word) > 1 or not word.isascii():
                self._learn_word(word, TokenKind.NAME, COMMON_WORDS)

    def _learn_orders(self, words: list[str]) -> None:
        orders = {"".join(words), "".join(reversed(words)), "".join([*words[-1:], *words[:-1]])}
        if len(words) > 2:
            orders |= {words[0] + words[-1], words[-1] + words[0]}
        for order in orders:
            if len(order) >= 5 or not order.isascii():
                self._whole[order] = (TokenKind.NAME, len(order) >= 7 or not order.isascii())
        if len(words) > 1:
            initialled = words[0][0] + words[-1]
            if len(initialled) >= 6:
                self._whole[initialled] = (TokenKind.NAME, False)

    def _learn_word(self, word: str, kind: TokenKind, common: frozenset[str]) -> None:
        if word in PLACEHOLDERS:
            return
        if (len(word) < 3 and word.isascii()) or word in common:
            self._shy[word] = kind
        else:
            self._parts[word] = kind
            if word.isascii():
                self._parts.setdefault(word + "s", kind)
                if len(word) >= 6:
                    # "O'Brien" in a text is two words.
                    self._whole.setdefault(word, (kind, False))
            elif len(word) >= 2:
                self._whole[word] = (kind, True)

    def _learn_email(self, value: str) -> None:
        local, _, domain = lower(canonical(value)).partition("@")
        squashed = _NO_WORD.sub("", local)
        if domain:
            self._whole[squashed + _NO_WORD.sub("", domain)] = (TokenKind.EMAIL, True)
        if (
            len(squashed) >= 6
            and squashed not in self._parts
            and squashed not in SHARED_MAILBOXES
            and squashed not in COMMON_WORDS
        ):
            self._whole.setdefault(squashed, (TokenKind.EMAIL, len(squashed) >= 8))

    def _learn_phone(self, value: str, region: str) -> None:
        import phonenumbers

        digits = re.sub(r"\D", "", fold(value))
        try:
            number = phonenumbers.parse(fold(value), region)
            national = phonenumbers.national_significant_number(number)
            if number.country_code == 1 and len(national) == 10:
                self._digits[national[3:]] = 0
        except phonenumbers.NumberParseException:
            national = digits
        for form in (national, digits):
            if len(form) >= 7:
                self._digits[form] = 1

    def _learn_address(self, value: str) -> None:
        for line in re.split(r"[\n,;]", value):
            words = WORD.findall(lower(canonical(line)))
            squashed = "".join(words)
            if len(squashed) < 4 or (len(words) == 1 and squashed.isdigit() and len(squashed) < 5):
                continue
            for spelling in street_spellings(words):
                self._whole["".join(spelling)] = (TokenKind.ADDRESS, False)
                if any(map(str.isdigit, spelling[0])) and len(spelling) > 2:
                    self._whole["".join(spelling[1:])] = (TokenKind.ADDRESS, False)
                    self._whole["".join([*spelling[1:], spelling[0]])] = (TokenKind.ADDRESS, False)
                elif any(map(str.isdigit, spelling[-1])) and len("".join(spelling[:-1])) >= 8:
                    self._whole["".join(spelling[:-1])] = (TokenKind.ADDRESS, False)
                if len(spelling) > 1:
                    self._streets.append(tuple(spelling))

    def _learn_postcode(self, value: str) -> None:
        squashed = _NO_WORD.sub("", lower(canonical(value)))
        if len(squashed) >= 4:
            self._whole[squashed] = (TokenKind.ADDRESS, False)
            if len(squashed) == 9 and squashed.isdigit():
                self._whole[squashed[:5]] = (TokenKind.ADDRESS, False)

    def _learn_city(self, value: str) -> None:
        words = WORD.findall(lower(canonical(value)))
        if len(words) == 1:
            if len(words[0]) >= 3 or not words[0].isascii():
                self._learn_word(words[0], TokenKind.ADDRESS, COMMON_TOWNS)
        elif words:
            self._whole["".join(words)] = (TokenKind.ADDRESS, False)

    def _learn_id(self, value: str) -> None:
        squashed = _NO_WORD.sub("", lower(canonical(value)))
        if "@" in value:
            self._learn_email(value)
        elif len(squashed) >= 4:
            self._whole[squashed] = (TokenKind.ID, len(squashed) >= 8)

    def _learn_ip(self, value: str) -> None:
        self._whole[_NO_WORD.sub("", lower(value))] = (TokenKind.IP, False)

    def _is_misspelt(self, word: str) -> bool:
        last = word[-2:]
        for part in self._long_parts:
            # A slip in a short name leaves its last letter at the end or, swapped, before it.
            near = part[0] == word[0] and (len(part) >= 8 or part[-1] in last)
            if near and -2 <= len(part) - len(word) <= 2 and is_typo_of(word, part):
                return True
        return False

    def _find_whole(self, text: str, lowered: str, squashed: str) -> Iterator[TokenSpan]:
        places: list[int] | None = None
        for value in (*self._whole, *self._digits):
            at = squashed.find(value)
            while at >= 0:
                if places is None:
                    places = [index for index, char in enumerate(lowered) if char == MASK or (char.isalnum())]
                    if len(places) != len(squashed):
                        return
                start, end = places[at], places[at + len(value) - 1] + 1
                span = self._bounded(text, value, start, end)
                if span is not None:
                    yield span
                at = squashed.find(value, at + (len(value) if span else 1))

    def _bounded(self, text: str, value: str, start: int, end: int) -> TokenSpan | None:
        """The find widened to what belongs to it, or None when it begins or ends amid something else."""
        before, after = text[start - 1 : start], text[end : end + 1]
        if value in self._digits:
            if not self._digits[value] and (
                _digit_near(text[max(0, start - 2) : start]) or after.isdigit() or before.isalpha()
            ):
                return None
            return TokenSpan(_phone_start(text, start), end, TokenKind.PHONE) if end - start <= 4 * len(value) else None
        kind, inside = self._whole[value]
        if kind is TokenKind.ADDRESS and value.isdigit() and not (text[start:end].isdigit() or len(value) >= 7):
            return None
        starts = not before.isalnum() or (text[start].isupper() and before.islower())
        ends = not after.isalnum() or (after in "sS" and not text[end + 1 : end + 2].isalnum())
        if starts and ends:
            return TokenSpan(start, end, kind)
        # Inside one word or handle, such as janedoe84, the whole word goes.
        if inside and (not text[start].isascii() or WORD.fullmatch(text[start:end])):
            if text[start].isascii():
                while start and text[start - 1].isalnum():
                    start -= 1
                while text[end : end + 1].isalnum():
                    end += 1
            return TokenSpan(start, end, kind)
        return None

    def _find_streets(self, lowered: str) -> Iterator[TokenSpan]:
        matches = list(WORD.finditer(lowered))
        for index, match in enumerate(matches):
            if match.group() not in self._house_numbers:
                continue
            for street in self._streets:
                for first in (index, index - len(street) + 1):
                    window = matches[max(first, 0) : max(first, 0) + len(street)]
                    if len(window) == len(street) and all(map(_alike, (m.group() for m in window), street)):
                        yield TokenSpan(window[0].start(), window[-1].end(), TokenKind.ADDRESS)


def _alike(written: str, known: str) -> bool:
    return written == known or (len(known) >= 4 and not known.isdigit() and is_typo_of(written, known))


def _may_be_typo(text: str, match: re.Match[str]) -> bool:
    """A misspelt name counts when it is written with a capital; in lower case only where no common word is near it."""
    return text[match.start()].isupper() or match.group() not in COMMON_WORDS


def _with_e(name: str) -> str:
    """The German spelling without umlauts: Müller is Mueller."""
    return name.translate({0xE4: "ae", 0xF6: "oe", 0xFC: "ue", 0xC4: "Ae", 0xD6: "Oe", 0xDC: "Ue"})


def _digit_near(text: str) -> bool:
    return any(char.isdigit() for char in text)


def _phone_start(text: str, start: int) -> int:
    """Where a phone begins whose national digits begin at `start`: country code, trunk zero and brackets go with it."""
    widened = re.search(
        r"(?:\+|00)?\d{0,4}[ ().\-/]{0,3}(?:\(?0\)?[ ().\-/]{0,2})?\(?$", text[max(0, start - 14) : start]
    )
    begin = start - len(widened.group()) if widened else start
    while begin < start and text[begin] in " .-/)":
        begin += 1
    return begin


# What may stand between the parts of one name or one address; two phones or e-mails stay two.
_BETWEEN = {
    TokenKind.NAME: re.compile(r"(?: |, |-|\.|_| [A-Za-z]\.? )"),
    TokenKind.ADDRESS: re.compile(r",? {1,2}|, ?[A-Z]{2} | [A-Z]{2} "),
}


def _joined(text: str, spans: list[TokenSpan]) -> list[TokenSpan]:
    """Spans of one kind that only a space or an initial keeps apart become one; initials beside a name go with it."""
    joined: list[TokenSpan] = []
    for span in spans:
        last = joined[-1] if joined else None
        if (
            last
            and last.kind is span.kind
            and span.kind in _BETWEEN
            and _BETWEEN[span.kind].fullmatch(text[last.end : span.start])
        ):
            joined[-1] = last._replace(end=span.end)
        else:
            joined.append(span)
    return [_with_initials(text, span) if span.kind is TokenKind.NAME else span for span in joined]


def _with_initials(text: str, span: TokenSpan) -> TokenSpan:
    before = re.search(r"(?<![\w.])(?!A )(?!I )[A-Z]\.? $", text[max(0, span.start - 4) : span.start])
    after = re.match(r" [A-Z]\.(?!\w)", text[span.end : span.end + 4])
    return TokenSpan(
        span.start - len(before.group()) if before else span.start, span.end + (after.end() if after else 0), span.kind
    )
