"""The second look over a redacted text, on which publication hangs.

Belongs here: a search that shares neither patterns nor canonical form with the detectors, so that a mistake there is
not made twice. It asks for strong evidence only: what it finds is a leak, and an export with one is not published.
Does not belong here: redacting.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hotdash_pipelines.redaction.words import PLACEHOLDERS, TITLES

if TYPE_CHECKING:
    from hotdash_pipelines.redaction.known_people import KnownEntity

_TOKENS = re.compile(r"\[[A-Z]{2,7}_REDACTED\]")
_BREAK = "\x1f"
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\x00-\x08\x0e-\x1e\x7f]"
)

_DOTTED_WORDS = re.compile(
    r"\b\w+ ?[\[({]? ?(?:at|@) ?[\])}]? ?\w+ ?[\[({]? ?dot ?[\])}]? ?(?:com|net|org|de|fr|uk|es|it|example|io)\b"
)
_PLUS_NUMBER = re.compile(r"\+[\d(][\d ().-]{7,20}\d")
_BRACKET_NUMBER = re.compile(r"\([2-9]\d\d\) ?\d{3}[ .-]?\d{4}(?!\d)")
_SOCIAL = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_OCTETS = re.compile(r"(?<![\d.\w/-])(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)(?!\w)")
_STREET = re.compile(
    r"(?:^|[ \n])\d{2,5} (?!(?:from|with|this|that|more|your|days|hours|each|only|blocks|down|along|over"
    r"|near)\b)[a-z]{4,} (?:street|avenue|boulevard)\b"
)
_LONG_DIGITS = re.compile(r"\d(?:[\s._*-]{0,4}\d)+")
_ANY_DIGITS = re.compile(r"\d(?:[^\w\x1f]{0,4}\d)+")
_IBAN_LENGTHS = {
    item[:2]: int(item[3:])
    for item in re.findall(
        r"[a-z]{2}:\d\d",
        (
            "ad:24 ae:23 al:28 at:20 az:28 ba:20 be:16 bg:22 bh:22 br:29 by:28 ch:21 cr:22 cy:28 cz:24 de:22 "
            "dk:18 do:28 "
            "ee:20 es:24 fi:18 fo:18 fr:27 gb:22 ge:22 gi:23 gl:18 gr:27 gt:28 hr:21 hu:28 ie:22 il:23 is:26 "
            "it:27 jo:30 "
            "kw:30 kz:20 lb:28 li:21 lt:20 lu:20 lv:21 mc:27 md:24 me:22 mk:19 mr:27 mt:31 mu:30 nl:18 no:15 "
            "pk:24 pl:28 "
            "ps:29 pt:25 qa:29 ro:24 rs:22 sa:24 se:24 si:19 sk:24 sm:27 tn:24 tr:26 ua:29 va:22 xk:20"
        ),
    )
}
_IBAN_HEAD = re.compile(r"(?<![^\W_])[a-z]{2}\d{2}")


class Rescan:
    """The look for one conversation: general evidence, and what is known of its people."""

    def __init__(self, known: Sequence["KnownEntity"] = ()) -> None:
        self._words: dict[str, str] = {}
        self._digits: set[str] = set()
        for entity in known:
            plain = _plain(entity.value)
            squashed = "".join(char for char in plain if char.isalnum())
            if entity.kind == "phone":
                digits = "".join(char for char in plain if char.isdigit())
                if len(digits) >= 9:
                    self._digits.add(digits[-9:])
            elif entity.kind == "name" and _is_nobodys(plain):
                continue
            elif entity.kind in {"name", "email", "address"}:
                enough = 8 if entity.kind == "address" else 6
                if len(squashed) >= enough and (entity.kind != "address" or "," not in plain):
                    self._words[squashed] = entity.kind

    def look(self, text: str) -> Counter[str]:
        """What is left, counted by kind; empty means that the text may go."""
        plain = _plain(_TOKENS.sub(_BREAK, text))
        left: Counter[str] = Counter()
        left["email"] = _emails(plain)
        left["id"] = len(_SOCIAL.findall(plain))
        left["ip"] = _addresses(plain)
        left["iban"] = _ibans(plain)
        left["phone"] = sum(9 <= sum(map(str.isdigit, number)) <= 15 for number in _PLUS_NUMBER.findall(plain))
        left["phone"] += len(_BRACKET_NUMBER.findall(plain))
        left["address"] = len(_STREET.findall(plain))
        for number in _LONG_DIGITS.findall(plain):
            digits = "".join(char for char in number if char.isdigit())
            left["card"] += len(digits) in {15, 16} and _is_card(digits)
        if self._digits:
            for number in _ANY_DIGITS.findall(plain):
                digits = "".join(char for char in number if char.isdigit())
                left["phone"] += any(known in digits for known in self._digits)
        if self._words:
            left.update(self._known(plain))
        return +left

    def _known(self, plain: str) -> Counter[str]:
        letters = [(char, at) for at, char in enumerate(plain) if char.isalnum() or char == _BREAK]
        squashed = "".join(char for char, _ in letters)
        left: Counter[str] = Counter()
        for value, kind in self._words.items():
            at = squashed.find(value)
            while at >= 0:
                start, end = letters[at][1], letters[at + len(value) - 1][1] + 1
                if not plain[start - 1 : start].isalnum() and not plain[end : end + 1].isalnum():
                    left[kind] += 1
                at = squashed.find(value, at + 1)
        return left


def _is_nobodys(name: str) -> bool:
    """Whether a name is one that the first look leaves on purpose: it stands for whoever has none."""
    words = ("".join(filter(str.isalnum, word)) for word in name.split())
    return all(word in PLACEHOLDERS or word in TITLES for word in words if word)


def _plain(text: str) -> str:
    """Unescaped, decomposed, without marks and what cannot be seen, in lower case."""
    if "&" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text, errors="ignore")
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return _UNSEEN.sub("", text).lower()


def _emails(plain: str) -> int:
    count = 0
    if "@" in plain:
        for word in plain.replace(_BREAK, " ").split():
            left, _, right = word.rpartition("@")
            name, dot, ending = right.rstrip(".,;:!?)>]}\"'").rpartition(".")
            if left[-1:].isalnum() and dot and name[-1:].isalnum() and len(ending) >= 2 and ending[:2].isalpha():
                count += 1
    if "dot" in plain:
        count += len(_DOTTED_WORDS.findall(plain))
    return count


def _addresses(plain: str) -> int:
    count = 0
    if plain.count(".") >= 3:
        for match in _OCTETS.finditer(plain):
            before = plain[max(0, match.start() - 12) : match.start()]
            if (
                all(int(octet) <= 255 for octet in match.groups())
                and "v" not in before
                and not re.search("release|build|firmware|chapter|section|kapitel|[a-z]/", before)
            ):
                count += 1
    return count


def _ibans(plain: str) -> int:
    count = 0
    for head in _IBAN_HEAD.finditer(plain):
        length = _IBAN_LENGTHS.get(head.group()[:2], 0)
        if not length:
            continue
        compact = "".join(char for char in plain[head.start() : head.start() + 3 * length] if char not in " .-")[
            :length
        ]
        if len(compact) == length and compact.isalnum() and compact.isascii():
            remainder = 0
            for char in compact[4:] + compact[:4]:
                value = int(char, 36)
                remainder = (remainder * (10 if value < 10 else 100) + value) % 97
            count += remainder == 1
    return count


def _is_card(digits: str) -> bool:
    if not (digits[0] in "456" and len(digits) == 16) and not (digits[:2] in {"34", "37"} and len(digits) == 15):
        return False
    if len(set(digits)) == 1:
        return False
    checked = sum(int(digit) for digit in digits[-1::-2])
    return (checked + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0
