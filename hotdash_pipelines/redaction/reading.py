"""One reading of a canonical text, shared by the detectors: its words, its runs of digits, what is hidden already.

Belongs here: what every detector asks, worked out once. Does not belong here: what a detector looks for.

A pattern is tried only where a rare word or a digit stands: each pattern over each text costs ten times as much.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hotdash_pipelines.redaction.canonical import MASK, TokenSpan, mask

WORD = re.compile(r"[^\W_]+")
_PLAIN_WORD = re.compile(r"\w+")
# Up to three separators between digits, never a line break: a column of figures is no number.
_RUN = re.compile(r"\d(?:[ ().\-/_*~]{0,3}\d)*")
_GROUP = re.compile(r"\d+")


def words(text: str) -> frozenset[str]:
    """The words of a list written with spaces."""
    return frozenset(text.split())


class Run(NamedTuple):
    """Digits with their separators: its place, the digits alone, and the groups as written."""

    start: int
    end: int
    digits: str
    groups: tuple[tuple[int, int], ...]


class _Squashing(dict[int, str | None]):
    """Drops what is no letter, digit or mask, for str.translate."""

    def __missing__(self, code: int) -> str | None:
        char = chr(code)
        self[code] = kept = char if char.isalnum() or char == MASK else None
        return kept


_SQUASHING = _Squashing()


class Reading:
    """A canonical text with what is known of it; places are those of the text and never move."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lowered = lower(text)
        self._list = _PLAIN_WORD.findall(self.lowered.replace("_", " "))
        self.words = frozenset(self._list)
        self._is_whole = MASK not in text
        self.runs = list(_runs(text))

    def hide(self, spans: list[TokenSpan]) -> None:
        """Hide spans (in order, apart) from the detectors that follow."""
        self._is_whole = False
        self.text = mask(self.text, spans)
        self.lowered = mask(self.lowered, spans)
        self.runs = [run for run in self.runs if MASK not in self.text[run.start : run.end]]

    def has(self, words: frozenset[str]) -> bool:
        """Whether any of the words (lower case) stands in the text."""
        return not self.words.isdisjoint(words)

    def contains(self, phrases: Iterable[str]) -> bool:
        """Whether any of the phrases (lower case) stands in the text, in words or apart."""
        return any(map(self.lowered.__contains__, phrases))

    def squashed(self) -> str:
        """The text in lower case without all that is no letter, digit or mask."""
        return "".join(self._list) if self._is_whole else self.lowered.translate(_SQUASHING)

    def places(self, phrases: Iterable[str]) -> Iterator[int]:
        """Where the phrases (lower case) begin at the start of a word."""
        for phrase in phrases:
            at = self.lowered.find(phrase)
            while at >= 0:
                if not self.lowered[at - 1 : at].isalnum() or not at:
                    yield at
                at = self.lowered.find(phrase, at + len(phrase))

    def word_places(self, words: frozenset[str]) -> Iterator[int]:
        """Where one of the words begins."""
        for word in self.words & words:
            for at in self.places((word,)):
                if not self.lowered[at + len(word) : at + len(word) + 1].isalnum():
                    yield at


def _runs(text: str) -> Iterator[Run]:
    for match in _RUN.finditer(text):
        start, end = match.span()
        raw = match.group()
        groups = (
            ((start, end),) if raw.isdigit() else tuple(group.span() for group in _GROUP.finditer(text, start, end))
        )
        digits = raw if raw.isdigit() else "".join(text[first:last] for first, last in groups)
        # A plus or a bracket before the first digit belongs to the run.
        if text[start - 1 : start] in {"+", "("}:
            start -= 1
        elif text[start - 2 : start] == "+ ":
            start -= 2
        yield Run(start, end, digits, groups)


def lower(text: str) -> str:
    """Lower case of the same length."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
