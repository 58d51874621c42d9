"""The labelled corpus of the redactor and how its recall is counted.

Belongs here: reading tests/corpus/redaction, the rule for "removed", the table of docs/redaction.md. Does not belong
here: assertions.

A label is removed when none of its words (three letters or digits on; any for shorter labels) is left at its place. It
is exact when the text came out with one token in its place and nothing else changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hotdash_pipelines.redaction.redactor import Redactor, known_entities

CORPUS = Path(__file__).parent / "corpus" / "redaction"
FILES = {
    "email": "emails", "phone": "phones", "card": "cards", "iban": "ibans",
    "ip": "ips", "id": "ids", "address": "addresses", "name": "names",
}  # fmt: skip
_LABEL = re.compile(r"\{([^{}]*)\}")
_TOKEN = re.compile(r"\[[A-Z]+_REDACTED\]")


@dataclass(frozen=True)
class Case:
    """A text without its braces, the labels in order, and who is known in it."""

    text: str
    plain: tuple[str, ...]
    labels: tuple[str, ...]
    redactor: Redactor


@dataclass(frozen=True)
class Outcome:
    """One label: whether it went, whether with nothing else, and the kind of the token in its place."""

    case: Case
    label: str
    output: str
    is_removed: bool
    is_exact: bool


def _load(name: str) -> list[Any]:
    return yaml.safe_load((CORPUS / f"{name}.yaml").read_text())


def _case(marked: str, redactor: Redactor) -> Case:
    parts = _LABEL.split(marked)
    return Case("".join(parts), tuple(parts[::2]), tuple(parts[1::2]), redactor)


def cases(kind: str) -> list[Case]:
    """The positives of a kind, nothing known about anybody."""
    return [_case(marked, Redactor()) for marked in _load(FILES[kind])]


def known_cases() -> list[Case]:
    """The positives of conversations whose people are known."""
    return [
        _case(marked, redactor)
        for conversation in _load("known")
        for redactor in [Redactor(known_entities(conversation["person"]))]
        for marked in conversation["texts"]
    ]


def held_out_cases() -> list[Case]:
    """Positives of every kind, written when the detectors were done."""
    return [_case(marked, Redactor()) for marked in _load("held_out")]


def negatives() -> list[str]:
    """Texts in which nothing is personal."""
    return _load("negatives")


def outcomes(found: list[Case]) -> Iterator[Outcome]:
    """What became of each label."""
    for case in found:
        output, _ = case.redactor.text(case.text)
        left = _TOKEN.sub(" ", output)
        for plain in case.plain:
            left = left.replace(plain, " ", 1) if plain.strip() else left
        shape = r"\s*".join(
            re.escape(plain.strip()) + (r"\s*\[[A-Z]+_REDACTED\]" if at < len(case.labels) else "")
            for at, plain in enumerate(case.plain)
        )
        is_exact = re.fullmatch(r"\s*" + shape + r"\s*", output) is not None
        for label in case.labels:
            others = left
            for other in sorted(set(case.labels) - {label}, key=len, reverse=True):
                # A label that holds this one, or is it, tells of this one as well.
                others = others if label in other else others.replace(other, " ")
            yield Outcome(case, label, output, is_exact or not _survives(label, others), is_exact)


def _survives(label: str, left: str) -> bool:
    visible = re.sub("[\u200b\u00ad]", "", label)
    words = [word for word in re.findall(r"[^\W_]+", visible) if len(word) >= 3] or [visible]
    return label in left or any(word.casefold() in re.sub("[\u200b\u00ad]", "", left).casefold() for word in words)


@cache
def measured() -> dict[str, tuple[int, int, int]]:
    """Kind (and "known") -> labels, removed, exact."""
    table = {}
    found_by_kind = {kind: cases(kind) for kind in FILES} | {"known": known_cases(), "held out": held_out_cases()}
    for kind, found in found_by_kind.items():
        all_of_it = list(outcomes(found))
        table[kind] = (len(all_of_it), sum(one.is_removed for one in all_of_it), sum(one.is_exact for one in all_of_it))
    return table


@cache
def untouched() -> tuple[int, int]:
    """Negatives, and how many of them came out as they went in."""
    found = negatives()
    return len(found), sum(Redactor().text(text) == (text, {}) for text in found)


def table() -> str:
    """The table of docs/redaction.md."""
    rows = ["| kind | labels | removed | recall | exactly |", "|---|---|---|---|---|"]
    for kind, (labels, removed, exact) in measured().items():
        rows.append(f"| {kind} | {labels} | {removed} | {removed / labels:.1%} | {exact / labels:.1%} |")
    count, kept = untouched()
    rows.append(f"\n{count} texts with nothing personal in them: {kept} came out unchanged ({kept / count:.1%}).")
    return "\n".join(rows) + "\n"
