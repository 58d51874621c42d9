"""Runs of digits in a canonical text, and what their own check digits or format prove: cards, IBANs, network addresses.

Belongs here: Luhn, mod-97, IPv4 and IPv6. Does not belong here:
numbers that only their context tells (phones, ids).
"""

import ipaddress
import re
from collections.abc import Iterator

from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import Reading, Run

# Issuer prefixes and lengths in use; 13-digit Visa is gone, and an EAN-13 that passes Luhn by chance is not.
_CARD_LENGTHS = (16, 15, 14, 19, 18, 17)
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_CARD_DETAIL = re.compile(
    r"\b(?:cvv2?|cvc2?|cid|security code|prue?fziffer|kartenprue?fnummer)\b(?: (?:is|code|number"
    r"|no))?[ :#=.-]{0,3}(\d{3,4})\b"
    r"|\b(?:card|karte|carte|tarjeta)\b[^\n\d]{0,20}\b(?:exp(?:iry|ires|iration)?|valid (?:thru"
    r"|until))\b[^\n\d]{0,12}(\d{1,2} ?[/-] ?\d{2,4})\b",
    re.IGNORECASE,
)
_CODE_WORDS = frozenset({"cvv", "cvv2", "cvc", "cvc2", "cid", "prufziffer", "kartenprufnummer", "pruefziffer"})
_CARD_WORDS = frozenset({"card", "karte", "carte", "tarjeta"})
_EXPIRY_WORDS = frozenset({"exp", "expiry", "expires", "expiration", "valid"})
_TRACKING = re.compile(
    r"\b(?:tracking|track|awb|waybill|parcel|shipment|sendungsnummer|suivi)\b[\w .:#-]{0,16}$", re.IGNORECASE
)

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?\d{2}(?=[ .-]{0,2}[A-Za-z0-9]{2})")
_IBAN_CHAR = re.compile(r"[ .-]{0,2}([A-Za-z0-9])")

_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:(?:\.|\[\.\])\d{1,3}){3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?![\w:])")
_HEX = re.compile("[0-9A-Fa-f]+")
_VERSION = re.compile(
    r"(?:\bv|version|chapter|section|kapitel|firmware|release|build|chrome/|firefox/|safari/|[a-z]/)\W{0,2}$",
    re.IGNORECASE,
)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        total += _LUHN_DOUBLED[int(digit)] if index % 2 else int(digit)
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Whether the digits have an issuer's prefix, its length and a right check digit."""
    return _issued(digits) and len(set(digits)) > 1 and luhn(digits)


def _issued(digits: str) -> bool:
    length, first, two = len(digits), digits[0], int(digits[:2])
    if length == 16:
        return first in "456" or 51 <= two <= 55 or 2221 <= int(digits[:4]) <= 2720 or two in {35, 36, 30, 38}
    if length == 15:
        return two in {34, 37} or digits[:4] in {"1800", "2131"}
    if length == 14:
        return two in {36, 38, 39, 30}
    return 17 <= length <= 19 and (first in "46" or two in {50, 56, 57, 58})


def find_cards(reading: Reading) -> list[TokenSpan]:
    """Card numbers, and codes or expiry dates that their own words name."""
    cards = [card for run in reading.runs if len(run.digits) >= 14 for card in _cards_of(reading.text, run)]
    if (
        reading.has(_CODE_WORDS)
        or "security code" in reading.lowered
        or (reading.has(_CARD_WORDS) and reading.has(_EXPIRY_WORDS))
    ):
        for match in _CARD_DETAIL.finditer(reading.text):
            cards.append(TokenSpan(*match.span(1 if match.group(1) else 2), TokenKind.CARD))
    return cards


def _cards_of(text: str, run: Run) -> Iterator[TokenSpan]:
    ends: dict[int, int] = {}
    starts: list[tuple[int, int]] = []
    count = 0
    for first, last in run.groups:
        starts.append((count, first))
        count += last - first
        ends[count] = last
    done = 0
    for offset, first in starts:
        if offset < done:
            continue
        for length in _CARD_LENGTHS:
            last = ends.get(offset + length)
            if last is None or not is_card(run.digits[offset : offset + length]):
                continue
            if length != 16 and _TRACKING.search(text[max(0, first - 40) : first]):
                continue
            yield TokenSpan(first, last, TokenKind.CARD)
            done = offset + length
            break


def find_ibans(reading: Reading) -> list[TokenSpan]:
    """Account numbers whose country, structure and mod-97 check (ISO 13616) hold."""
    text = reading.text
    spans: list[TokenSpan] = []
    for run in reading.runs:
        # The country stands before the check digits: two letters, then a separator or none.
        start = run.start - (2 if text[run.start - 1 : run.start].isalpha() else 3)
        head = _IBAN.match(text, start) if start >= 0 and run.start else None
        if head is None or (spans and start < spans[-1].end):
            continue
        at, compact, matched = head.end(), head.group().replace(" ", "").replace("-", ""), None
        while len(compact) < 34 and (char := _IBAN_CHAR.match(text, at)):
            at, compact = char.end(), compact + char.group(1)
            if len(compact) >= 15 and not text[at : at + 1].isalnum() and _mod97(compact):
                matched = at
        if matched is not None:
            spans.append(TokenSpan(start, matched, TokenKind.IBAN))
    return spans


def _mod97(compact: str) -> bool:
    if int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 != 1:
        return False
    from stdnum import iban

    return bool(iban.is_valid(compact.upper(), check_country=False))


def find_ips(reading: Reading) -> list[TokenSpan]:
    """IPv4 and IPv6 addresses, also written with [.]; a version number is none."""
    text = reading.text
    spans = []
    if "[.]" in text or any(len(run.groups) >= 4 for run in reading.runs):
        for match in _IPV4.finditer(text):
            before = text[max(0, match.start() - 12) : match.start()]
            if _is_address(match.group().replace("[.]", ".")) and not _VERSION.search(before):
                spans.append(TokenSpan(*match.span(), TokenKind.IP))
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            written = match.group()
            end = match.end() - (written.endswith(":") and not written.endswith("::"))
            written = text[match.start() : end]
            if len(_HEX.findall(written)) >= 2 and any(map(str.isdigit, written)) and _is_address(written):
                spans.append(TokenSpan(match.start(), end, TokenKind.IP))
    return spans


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
