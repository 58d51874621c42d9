"""Phone numbers in a canonical text.

Belongs here: which run of digits is a phone number, by its format, the words before it and the numbering plans
(phonenumbers, leniency VALID). Does not belong here: known numbers of the conversation (redact_known).

Words of the shop before a run ("order", "tracking", "SKU", "#") veto it unless it is written with a plus.
"""

import re
from functools import cache

from hotdash_pipelines.operations.redact_canonical import Kind, Span
from hotdash_pipelines.operations.redact_numbers import Run

_ABOUT_PHONES = re.compile(
    r"\b(?:call(?:s|ed|ing)?|(?:tele)?phone|phone ?number|tel|mobile|mob|cell(?:phone|ular)?|whats ?app|sms"
    r"|text(?: me)?|fax|landline|reach|ring"
    r"|contact(?: me)?|dial|handy\w*|telefon\w*|mobil\w*|rufnummer|rue?ckruf|anrufen|erreichbar|portable|joindre"
    r"|appele[rz]|movil|celular"
    r"|llam\w+|cellulare|chiam\w+|telefoon\w*|bellen|numero de tel\w*|my number|phone no|signal|viber"
    r"|telegram)\b[^\d\n#]{0,30}$",
    re.IGNORECASE,
)
_ABOUT_SHOP = re.compile(
    r"(?:#|\bno\.|№|\b(?:orders?|order ?(?:id|number|no|nr)|bestell\w*|auftrag\w*|commande|pedido|ordine|invoice"
    r"|rechnung\w*|facture|factura"
    r"|tracking|track|trk|awb|waybill|sendung\w*|suivi|shipment|shipping label|parcel|paket\w*|package"
    r"|consignment|ref|reference|referenz"
    r"|sku|ean|upc|gtin|isbn|asin|article|artikel\w*|item|product|variant|model|serial|imei|seriennummer|lot|batch|part"
    r"|ticket|case|confirmation|booking|transaction|payment|txn|charge|return|rma|po|purchase order|quote|coupon"
    r"|voucher|gift ?card|promo"
    r"|customer|account|conversation|message|draft|request|session|user|checkout|cart|id|ids|uuid|code|timestamp"
    r"|epoch|version|port"
    r"|gid://\S*|ups|fedex|usps|dhl|dpd|gls|hermes|barcode|inventory|stock|qty|quantity)\b)[^\d\n]{0,24}$",
    re.IGNORECASE,
)
_NANP = re.compile(
    r"(?:\+?1[ .\-/]{0,2})?\(?[2-9]\d{2}\)?[ .\-/]{1,3}\d{3}[ .\-/]{1,2}\d{4}$"
    r"|(?:\+?1[ .\-]{0,2})?\([2-9]\d{2}\) ?\d{3}[ .-]?\d{4}$"
)
_DATE = re.compile(
    r"(?:19|20)\d{2}[-./ ]\d{1,2}[-./ ]\d{1,2}(?!\d)|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d{2}(?!\d)|(?:19"
    r"|20)\d{2} ?- ?(?:19|20)\d{2}$"
    r"|(?:19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])(?:[ _-]\d{4,6})?$"
)
_MONEY_BEFORE = re.compile(r"(?:[$€£¥₹]|\b(?:usd|eur|gbp|chf|cad|aud|jpy|rs|kr))[ .:]{0,2}$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    r" ?(?:[$€£¥₹%]|(?:usd|eur|euro?s?|gbp|chf|cad|aud|jpy|dollars?|pounds?|units?|pcs|pieces|stueck|items|ml|kg"
    r"|g|cm|mm|px|bytes|ms|km|points?)\b)",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r",? ?(?:ext(?:ension)?\.?|x|durchwahl|poste|apparat)[ .:]{0,2}\d{1,6}\b", re.IGNORECASE)

# A number written the way its own country dials it, after a leading zero or in its usual groups.
_TRUNK_REGIONS = ("GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "AU", "SE", "IE", "JP", "IN")
_GROUPED_REGIONS = ("ES", "PT", "PL", "CZ", "NO", "DK", "IT", "MX", "BR", "CN")

_NUMBER_WORDS = {
    "0": "zero oh null cero zerro nil", "1": "one eins ein un uno une", "2": "two zwei zwo deux dos due",
    "3": "three drei trois tres tre", "4": "four vier quatre cuatro quattro", "5": "five fuenf funf cinq cinco cinque",
    "6": "six sechs seis sei", "7": "seven sieben sept siete sette", "8": "eight acht huit ocho otto",
    "9": "nine neun neuf nueve nove",
}  # fmt: skip
DIGIT_OF_WORD = {word: digit for digit, words in _NUMBER_WORDS.items() for word in words.split()}
_WORD = "(?:" + "|".join(sorted(DIGIT_OF_WORD, key=len, reverse=True)) + r"|double|triple|doppel)"
_SPELLED = re.compile(
    rf"(?<![A-Za-z])\+?(?:plus )?{_WORD}(?:[ ,.\-/]{{1,3}}(?:(?:and|und|o) )?(?:{_WORD}"
    rf"|\d{{1,4}})(?![A-Za-z])){{5,16}}",
    re.IGNORECASE,
)
_SPELLED_GATE = re.compile(_WORD + r"[ ,.\-/]{1,3}(?:" + _WORD + r"|\d)", re.IGNORECASE)


def find_phones(text: str, found_runs: list[Run], region: str) -> list[Span]:
    """Numbers of phones in order of their place; `region` is how numbers without a country are dialled (such as US)."""
    found = []
    for run in found_runs:
        if 7 <= len(run.digits) <= 17:
            span = _phone(text, run, region)
            if span is not None:
                found.append(span)
    if _SPELLED_GATE.search(text):
        found += _spelled(text)
    return sorted(found)


def _phone(text: str, run: Run, region: str) -> Span | None:
    start, end, digits, _ = run
    written = text[start:end]
    before = text[max(0, start - 48) : start]
    after = text[end : end + 24]
    plus = written[0] == "+"
    if not plus and (_in_a_code(before, after) or _DATE.match(written)):
        return None
    asked = _ABOUT_PHONES.search(before)
    if not plus:
        vetoed = _ABOUT_SHOP.search(before)
        if vetoed is not None and not (asked and asked.start() > vetoed.start()):
            return None
        if _MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after):
            return None
    if not (plus or asked or _is_dialled(written, digits, region)):
        return None
    if asked and not plus and _looks_counted(written, digits):
        return None
    extension = _EXTENSION.match(text, end)
    return Span(start, extension.end() if extension else end, Kind.PHONE)


def _in_a_code(before: str, after: str) -> bool:
    """Whether the run is a part of a longer code, a decimal number or a path."""
    last = before[-1:]
    if last.isalpha() or (last in {"_", "#", "$", "€", "£"} and last):
        return True
    if last in {"-", "/", ".", ","} and before[-2:-1].isalnum():
        return True
    following = after[:1]
    if following.isalpha():
        return not _EXTENSION.match(after)
    return (following in {"_", "%"} and bool(following)) or (
        following in {"-", ",", "."} and after[1:2].isalnum() and after[1:2].isdigit()
    )


def _looks_counted(written: str, digits: str) -> bool:
    return len(digits) > 15 or ("." in written and written.count(".") == 1 and len(written.rsplit(".", 1)[1]) <= 2)


def _is_dialled(written: str, digits: str, region: str) -> bool:
    if _NANP.match(written):
        return True
    grouped = len(written) > len(digits)
    if digits.startswith("00") and 10 <= len(digits) <= 17:
        return _is_valid("+" + digits[2:], None)
    if digits[0] == "0" and 9 <= len(digits) <= 12:
        return any(_is_valid(digits, country) for country in (region, *_TRUNK_REGIONS))
    if 8 <= len(digits) <= 11 and _is_valid(digits, region):
        return True
    if grouped and 8 <= len(digits) <= 11 and min(len(part) for part in re.split(r"\D+", written) if part) >= 2:
        return any(_is_valid(digits, country) for country in _GROUPED_REGIONS)
    return len(digits) in {11, 12} and not grouped and _is_valid("+" + digits, None)


@cache
def _known_regions() -> frozenset[str]:
    from phonenumbers import SUPPORTED_REGIONS

    return frozenset(SUPPORTED_REGIONS)


def _is_valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _spelled(text: str) -> list[Span]:
    found = []
    for match in _SPELLED.finditer(text):
        if len(spoken_digits(match.group())) >= 7 and not _ABOUT_SHOP.search(
            text[max(0, match.start() - 40) : match.start()]
        ):
            found.append(Span(*match.span(), Kind.PHONE))
    return found


def spoken_digits(words: str) -> str:
    """The digits that number words say: "double five one" is 551."""
    digits, times = "", 1
    for word in re.findall(r"[a-z]+|\d+", words.lower()):
        if word in {"double", "doppel", "triple"}:
            times = 3 if word == "triple" else 2
            continue
        digits += DIGIT_OF_WORD.get(word, word if word.isdigit() else "") * times
        times = 1
    return digits
