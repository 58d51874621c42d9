"""E-mail addresses in a canonical text, however they are written.

Belongs here: plain, IDN, quoted, percent-encoded, spaced and spelled-out addresses. Does not belong here: known
addresses.

Every pattern starts at a sign that is rare (`@`, `at`) and looks a bounded way left and right: linear time on any
input.
"""

import re

from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import Reading, words

_LEFT = 96
_RIGHT = 254

_PLAIN_AT = re.compile(r"@|%40|&#0*64;|&#x0*40;|&commat;|\\u0040|=40", re.IGNORECASE)
# Read backwards from the sign, so that a long text without a name before its signs costs no more than its length.
_LOCAL_BACKWARDS = re.compile(r'"[^"\n]{1,64}"|[\w+-][\w.+%\'#&*=!/^{|}~$-]{0,64}')
_DOMAIN = re.compile(
    r"(?:[\w-]{1,63}(?:\.|%2e))+(?:[^\W\d_]{2,24}|xn--[\w-]{2,59})|\[[\d.:a-fA-F]{3,45}\]", re.IGNORECASE
)
_BARE_HOST = re.compile(
    r"(?:gmail|googlemail|yahoo|hotmail|outlook|icloud|aol|gmx|web|proton|protonmail|live|msn|qq|yandex|localhost)\b",
    re.IGNORECASE,
)
# In a query string the address begins after the last of these; a path or a scheme is no part of it either.
_BEFORE_LOCAL = re.compile(r"(?:[?&=/:,;<(]|%3[ad]|%2f|%26)", re.IGNORECASE)

_TLDS = [
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "info",
    "biz",
    "io",
    "co",
    "dev",
    "app",
    "shop",
    "store",
    "online",
    "me",
    "us",
    "uk",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "be",
    "ch",
    "at",
    "se",
    "no",
    "dk",
    "fi",
    "pl",
    "pt",
    "ie",
    "cz",
    "gr",
    "hu",
    "ro",
    "bg",
    "jp",
    "cn",
    "kr",
    "in",
    "au",
    "nz",
    "ca",
    "mx",
    "br",
    "ar",
    "cl",
    "za",
    "ru",
    "ua",
    "tr",
    "il",
    "eu",
    "xyz",
    "email",
    "example",
    "test",
]
_TLD = "(?:" + "|".join(_TLDS) + r")\b"
_DOT_WORD = (
    r"(?:\s*[\[({<]\s*(?:dot|punkt|point|punto|ponto|\.)\s*[\])}>]\s*|\s+(?:dot|punkt|point|punto)\s+|\s+d0t\s+)"
)
_DOT_ANY = rf"(?:{_DOT_WORD}|\s?\.\s?)"
_WORD_AT = re.compile(
    r"\s*[\[({<]\s*(?:at|@|arr?oba(?:se)?|chez)\s*[\])}>]\s*|\s+(?:at|arr?oba(?:se)?|aet|chez)\s+|\s+@\s*|@\s+|_at_",
    re.IGNORECASE,
)
_SPELLED_LOCAL = re.compile(
    rf"[\w+-]{{1,40}}(?:(?:{_DOT_ANY}|\s+(?:underscore|dash|minus|plus|hyphen)\s+)[\w+-]{{1,40}}){{0,4}}$",
    re.IGNORECASE,
)
_SPELLED_DOMAIN = re.compile(rf"[\w-]{{1,63}}(?:{_DOT_WORD}[\w-]{{1,63}}){{0,3}}{_DOT_WORD}{_TLD}", re.IGNORECASE)
_SPACED_DOMAIN = re.compile(rf"[\w-]{{1,63}}(?:{_DOT_ANY}[\w-]{{1,63}}){{0,3}}?{_DOT_ANY}{_TLD}", re.IGNORECASE)
_ABOUT_MAIL = re.compile(
    r"(?:e-?mail|mail|address|adresse|correo|courriel|contact|reach|write to)\b[^@\n]{0,40}$", re.IGNORECASE
)
_BRACKETED = re.compile(r"[\[({<] ?(?:at|@|ar|chez)")
_AT_WORDS = frozenset({"at", "aet", "chez", "arroba", "aroba", "arobase"})
_DOT_WORDS = frozenset({"dot", "d0t", "punkt", "point", "punto", "ponto"})
_MAIL_WORDS = words("mail email e adresse address correo courriel contact reach write")
_LEADING_WORDS = re.compile(
    r"^(?:(?:is|me|it|to|on|at|email|e-mail|mail|address|us|write|reach|contact|und|an|est|es|by|via|under"
    r"|or)\s*[:.]?\s+)+",
    re.IGNORECASE,
)


def find_emails(reading: Reading) -> list[TokenSpan]:
    """Addresses, written or spelled out."""
    spans = _written(reading.text)
    if "@" in reading.text or "_at_" in reading.lowered or _BRACKETED.search(reading.lowered):
        return spans + _spelled(reading.text)
    if reading.has(_AT_WORDS) and (reading.has(_DOT_WORDS) or reading.has(_MAIL_WORDS)):
        return spans + _spelled(reading.text)
    return spans


def _written(text: str) -> list[TokenSpan]:
    spans: list[TokenSpan] = []
    if "@" not in text and "40" not in text and "64;" not in text and "commat" not in text:
        return spans
    last = 0
    for sign in _PLAIN_AT.finditer(text):
        left = text[max(last, sign.start() - _LEFT) : sign.start()]
        local = _LOCAL_BACKWARDS.match(_after_separator(left)[::-1])
        if local is None:
            continue
        domain = _DOMAIN.match(text, sign.end(), sign.end() + _RIGHT) or _BARE_HOST.match(text, sign.end())
        if domain is None:
            continue
        last = domain.end()
        spans.append(TokenSpan(sign.start() - len(local.group()), last, TokenKind.EMAIL))
    return spans


def _after_separator(left: str) -> str:
    if left.endswith('"'):
        return left
    end = 0
    for separator in _BEFORE_LOCAL.finditer(left):
        end = separator.end()
    return left[end:]


def _spelled(text: str) -> list[TokenSpan]:
    spans: list[TokenSpan] = []
    last = 0
    for sign in _WORD_AT.finditer(text):
        if sign.start() < last:
            continue
        word = sign.group().strip()
        bracketed = word[:1] in "[({<" or word == "_at_"
        at_sign = "@" in word and not bracketed
        right = text[sign.end() : sign.end() + 100]
        if bracketed or at_sign:
            domain = _SPACED_DOMAIN.match(right)
        else:
            domain = _SPELLED_DOMAIN.match(right)
            if domain is None and _ABOUT_MAIL.search(text[max(0, sign.start() - 60) : sign.start()]):
                domain = _SPACED_DOMAIN.match(right)
        if domain is None:
            continue
        left = text[max(last, sign.start() - _LEFT) : sign.start()]
        local = _SPELLED_LOCAL.search(left)
        if local is None:
            continue
        skipped = _LEADING_WORDS.match(local.group())
        start = sign.start() - len(local.group()) + (skipped.end() if skipped else 0)
        if start >= sign.start():
            continue
        last = sign.end() + domain.end()
        spans.append(TokenSpan(start, last, TokenKind.EMAIL))
    return spans
