"""What a detector sees of a text: one canonical spelling, with the way back to the places in the original.

Belongs here: the folding of characters, spans, masks, tokens. Does not belong here: what counts as personal.

The canonical text is NFKD without marks, zero-width and control characters: full-width letters and any script's digits
become plain ones, `José` reads `Jose`, dashes, quotes and spaces have one form each. Case is kept: names need it.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple


class TokenKind(StrEnum):
    """What was found; the value is the key in counts."""

    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    CARD = "card"
    ADDRESS = "address"
    IP = "ip"
    IBAN = "iban"
    ID = "id"

    @property
    def token(self) -> str:
        """What stands in the text instead, such as `[EMAIL_REDACTED]`."""
        return f"[{self.name}_REDACTED]"


class TokenSpan(NamedTuple):
    """Characters [start, end) of a canonical text that are of one kind."""

    start: int
    end: int
    kind: TokenKind


# A private-use character: no letter, no digit, no space, so no detector reads across what was found already.
MASK = "\ue000"
TOKEN = re.compile(r"\[(?:" + "|".join(kind.name for kind in TokenKind) + r")_REDACTED\]")

# Letters that have no decomposition but are written plainly by people in a hurry. One letter stays one where it can.
_LETTERS = {
    "ß": "ss", "ẞ": "SS", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE",
    "œ": "oe", "Œ": "OE", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H",
}  # fmt: skip
_PLAIN = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'", "\u0060": "'",
    "\u02bc": "'",    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u3002": ".", "\u00b7": ".",
    "\u2022": ".",
    "\u2219": ".",    "\u2212": "-", "\t": " ", "\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\u2044": "/",
    "\u2215": "/",
}  # fmt: skip
_KEPT_CONTROLS = "\n\r"


class _Folding(dict[int, str]):
    """Folds a character when it is first met; str.translate looks it up from then on."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


def _fold(char: str) -> str:
    if char in _LETTERS:
        return _LETTERS[char]
    if char in _PLAIN:
        return _PLAIN[char]
    return "".join(_fold_part(part) for part in unicodedata.normalize("NFKD", char))


def _fold_part(part: str) -> str:
    if part in _LETTERS or part in _PLAIN:
        return _LETTERS.get(part) or _PLAIN[part]
    category = unicodedata.category(part)
    if part == MASK or category in {"Mn", "Me", "Cf", "Cc", "Cs"}:
        return part if part in _KEPT_CONTROLS else ""
    # Hangul fillers are letters by category and blank on the screen.
    if part in "\u115f\u1160\u3164\uffa0":
        return ""
    if category == "Nd":
        return str(unicodedata.digit(part))
    return {"Zs": " ", "Pd": "-"}.get(category, part)


_FOLDING = _Folding()
# Anything but line breaks and printable ASCII; the backtick folds to an apostrophe.
_ODD = re.compile("[^\n\r -_a-~]")


def canonical(text: str) -> str:
    """The text as detectors see it, tokens of an earlier redaction masked. Time is linear in the text."""
    folded = text if _ODD.search(text) is None else text.translate(_FOLDING)
    return TOKEN.sub(lambda token: MASK * len(token.group()), folded) if "_REDACTED]" in folded else folded


def fold(text: str) -> str:
    """The canonical spelling in lower case, for comparing."""
    return text.translate(_FOLDING).casefold()


def mask(text: str, spans: Iterable[TokenSpan]) -> str:
    """The canonical text with the spans (in order, apart from each other) hidden from the next detector."""
    parts, at = [], 0
    for start, end, _ in spans:
        parts += [text[at:start], MASK * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def apart(spans: Iterable[TokenSpan]) -> list[TokenSpan]:
    """The spans in order without overlaps: of two that overlap, the one that begins first, then the longer, stays."""
    kept: list[TokenSpan] = []
    for span in sorted(spans, key=lambda found: (found.start, -found.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:
            kept[-1] = kept[-1]._replace(end=span.end)
    return kept


def replace(original: str, folded: str, spans: list[TokenSpan]) -> str:
    """The original with a token for each span (in order, apart) of its canonical text; all else stays as it was."""
    if len(original) != len(folded) or not original.isascii():
        # offsets[i] is where the folded i-th character of the original ends in the canonical text.
        offsets = list(accumulate(len(_FOLDING[ord(char)]) for char in original))
        spans = [
            TokenSpan(bisect_right(offsets, start), bisect_right(offsets, end - 1) + 1, kind)
            for start, end, kind in spans
        ]
    parts, at = [], 0
    for start, end, kind in spans:
        parts += [original[at : max(start, at)], kind.token]
        at = max(end, at)
    return "".join([*parts, original[at:]])
