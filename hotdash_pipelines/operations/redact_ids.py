"""Numbers of a state or a bank for one person: social security, passport, licence, tax, account, birth date.

Belongs here: numbers proved by their check digits (python-stdnum) and numbers named by the words before them. Does not
belong here: numbers of the shop (orders, parcels, articles), which stay.
"""

import importlib
import re
from functools import cache

from hotdash_pipelines.operations.redact_canonical import Kind, Span

# Formats that only such a number has, with the module of python-stdnum that knows its check digit (or none has one).
_PROVED: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([-. ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])"), None),
    (re.compile(r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D](?!\w)"), None),
    (re.compile(r"(?<![\w-])\d{8}[- ]?[A-Za-z](?![\w-])"), "es.dni"),
    (re.compile(r"(?<![\w-])[XYZxyz]-?\d{7}-?[A-Za-z](?![\w-])"), "es.nie"),
    (re.compile(r"(?<!\w)[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z](?!\w)"), "it.codicefiscale"),
    (re.compile(r"(?<![\w-])[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3}(?: ?/? ?\d{2})(?![\w-])"), "fr.nir"),
    (re.compile(r"(?<![\w-])\d{6}(?:\d{2})?[-+]\d{4}(?![\w-])"), "se.personnummer"),
    (re.compile(r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"), "br.cpf"),
    (re.compile(r"(?<![\w.-])756\.\d{4}\.\d{4}\.\d{2}(?![\w.-])"), "ch.ssn"),
)  # fmt: skip
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
def _module(name: str) -> object:
    return importlib.import_module(f"stdnum.{name}")


def find_ids(text: str) -> list[Span]:
    """Personal numbers in a text that has a digit, in order of their place."""
    found = [
        Span(*match.span(), Kind.ID)
        for pattern, module in _PROVED
        for match in pattern.finditer(text)
        if module is None or _module(module).is_valid(match.group().replace(" ", "").replace("/", ""))  # type: ignore[attr-defined]
    ]
    found += [Span(*match.span(), Kind.ID) for match in _MAC.finditer(text)]
    for label in _NAMED.finditer(text):
        filler = _FILLER.match(text, label.end(), label.end() + 60)
        number = filler and _NUMBER.match(text, filler.end(), filler.end() + 48)
        if number is None and filler is not None and label.group().lower()[:3] in {"bic", "swi"}:
            number = _BIC.match(text, filler.end())
        if number and (sum(char.isdigit() for char in number.group()) >= 4 or number.re is _BIC):
            found.append(Span(*number.span(), Kind.ID))
    found += [Span(*match.span(1), Kind.ID) for match in _BORN.finditer(text)]
    return sorted(found)
