"""Numbers of a state or a bank for one person: social security, passport, licence, tax, account, birth date.

Belongs here: numbers proved by their check digits (python-stdnum) and numbers named by the words before them. Does not
belong here: numbers of the shop (orders, parcels, articles), which stay.
"""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import Reading, Run

# Formats that only such a number has: the digits that its run has at least, the letters before them, the pattern,
# and the module of python-stdnum that knows the check digit (None: the format alone tells).
_PROVED: tuple[tuple[int, int, re.Pattern[str], str | None], ...] = (
    (2, 6, re.compile(r"(?<!\w)[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z](?!\w)"), "it.codicefiscale"),
    (
        6,
        2,
        re.compile(r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D](?!\w)"),
        None,
    ),
    (7, 1, re.compile(r"(?<![\w-])[XYZxyz]-?\d{7}-?[A-Za-z](?![\w-])"), "es.nie"),
    (8, 0, re.compile(r"(?<![\w-])\d{8}[- ]?[A-Za-z](?![\w-])"), "es.dni"),
    (9, 0, re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([-. ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])"), None),
    (10, 0, re.compile(r"(?<![\w-])\d{6}(?:\d{2})?[-+]\d{4}(?![\w-])"), "se.personnummer"),
    (11, 0, re.compile(r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"), "br.cpf"),
    (13, 0, re.compile(r"(?<![\w-])[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3}(?: ?/? ?\d{2})(?![\w-])"), "fr.nir"),
    (13, 0, re.compile(r"(?<![\w.-])756\.\d{4}\.\d{4}\.\d{2}(?![\w.-])"), "ch.ssn"),
)
_MAC = re.compile(r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")

_NAMED = re.compile(
    r"\b(?:ssn|social security|sozialversicherung\w*|passport|reisepass\w*|passeport|pasaporte|passaporto"
    r"|personalausweis\w*"
    r"|ausweis\w*|national (?:id|identity|insurance)|identity card|id card|nino?|driver'?s?'? ?licen[cs]e"
    r"|driving licen[cs]e"
    r"|fue?hrerschein\w*|permis de conduire|licen[cs]e (?:number|no)|dni|nie|codice fiscale|nhs(?: number)?"
    r"|aadhaar|pan card"
    r"|tax(?:payer)? ?(?:id|identification|number)|tin|itin|ein|steuer-?id\w*|steuer(?:nummer"
    r"|identifikationsnummer)|bsn|pesel"
    r"|cpf|curp|nir|(?:numero de )?secu|ni (?:number|no)|securite sociale|numero fiscal|medicare|vat id"
    r"|ust-?id\w*|bank account|account (?:number|no)|acct"
    r"|kontonummer|routing(?: number)?|sort code|bic|swift(?: code)?)\b",
    re.IGNORECASE,
)
# A piece of each label, so that most texts are done after a few searches.
_NAMED_WORDS = frozenset(
    {
        "ssn",
        "nino",
        "ni",
        "dni",
        "nie",
        "nhs",
        "tin",
        "itin",
        "ein",
        "bsn",
        "pesel",
        "cpf",
        "curp",
        "nir",
        "bic",
        "swift",
        "ust",
    }
)
_NAMED_PIECES = (
    "social sec", "sozialv", "pass", "pasap", "ausweis", "national i", "identity", "id card", "licen", "fuhrer",
    "fuehrer", "permis",
    "codice f", "aadhaar", "pan card", "tax", "steuer", "secu", "numero fiscal", "medicare", "vat id", "account",
    "acct",
    "kontonummer", "routing", "sort code", "ustid",
)  # fmt: skip
_BORN_PIECES = (
    "birth", "born", "dob", "d.o.b", "gebor", "geburt", "ne le", "nee le", "ne(e) le", "naissance", "nacim", "nacid",
    "nascita",
)  # fmt: skip
_FILLER = re.compile(
    r"(?:(?:[ :#=.,()'\"°-]|\b(?:number|num|no|n|nr|numero|nummer|code|id|is|it|its|was|ist|lautet|es|est|my|the|and"
    r"|card|of|mine)\b){0,8})"
    r"(?=[A-Za-z0-9])",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?=[A-Za-z-]{0,8}[ ]?[\d])[A-Za-z0-9]{1,20}(?:[ ./-]?[A-Za-z]{0,3}\d[A-Za-z0-9]{0,20}){0,7}")
_BORN = re.compile(
    r"\b(?:date of birth|birth ?date|birthday|d\.?o\.?b\.?|born(?: on)?|geboren(?: am)?|geburtsdatum"
    r"|ne\(?e?\)? le|date de naissance"
    r"|fecha de nacimiento|nacido el|nacida el|data di nascita)\b[ :=.-]{0,3}(?:(?:is|was|ist|on|est|es|am"
    r"|the)\b[ :]*){0,2}"
    r"(\d{1,4}[./ -]{1,2}\d{1,2}[./ -]{1,2}\d{2,4}|\d{1,2}(?:st|nd|rd|th)?\.? ?(?:of )?[A-Za-z]{3,10}\.?,? \d{4}"
    r"|[A-Za-z]{3,10}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4})",
    re.IGNORECASE,
)
_BIC = re.compile(r"[A-Za-z]{6}[A-Za-z0-9]{2}(?:[A-Za-z0-9]{3})?(?!\w)")


@cache
def _module(name: str) -> Any:
    return importlib.import_module(f"stdnum.{name}")


def find_ids(reading: Reading) -> list[TokenSpan]:
    """Personal numbers in a text that has a digit."""
    text = reading.text
    if not reading.runs:
        return []
    spans = [span for run in reading.runs for span in _proved(text, run)]
    if text.count(":") >= 5 or text.count("-") >= 5:
        spans += [TokenSpan(*match.span(), TokenKind.ID) for match in _MAC.finditer(text)]
    if reading.has(_NAMED_WORDS) or reading.contains(_NAMED_PIECES):
        spans += _named(text)
    if reading.contains(_BORN_PIECES):
        spans += [TokenSpan(*match.span(1), TokenKind.ID) for match in _BORN.finditer(text)]
    return spans


def _proved(text: str, run: Run) -> Iterator[TokenSpan]:
    for first, _ in run.groups:
        lettered = text[first - 1 : first].isalpha() or text[first - 2 : first - 1].isalpha()
        if not lettered and len(run.digits) < 8:
            continue
        for digits, letters, pattern, module in _PROVED:
            if len(run.digits) < digits or (letters and not lettered):
                continue
            for start in (first - letters, first - letters - 1)[: 1 + bool(letters)]:
                match = pattern.match(text, start) if start >= 0 else None
                if match and (module is None or _module(module).is_valid(re.sub("[ /]", "", match.group()))):
                    yield TokenSpan(*match.span(), TokenKind.ID)
                    break


def _named(text: str) -> Iterator[TokenSpan]:
    for label in _NAMED.finditer(text):
        filler = _FILLER.match(text, label.end(), label.end() + 60)
        if filler is None:
            continue
        number = _NUMBER.match(text, filler.end(), filler.end() + 48)
        if (number and sum(map(str.isdigit, number.group())) >= 4) or (
            label.group().lower()[:3] in {"bic", "swi"} and (number := _BIC.match(text, filler.end()))
        ):
            yield TokenSpan(*number.span(), TokenKind.ID)
