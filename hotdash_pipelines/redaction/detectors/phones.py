"""Phone numbers in a canonical text.

Belongs here: which run of digits is a phone number, by its format, the words before it and the numbering plans
(phonenumbers, leniency VALID). Does not belong here: known numbers of the conversation (known_people.py).

Words of the shop before a run ("order", "tracking", "SKU", "#") veto it unless it is written with a plus.
"""

import re

from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import WORD, Reading, Run, words

_WORDS_BEFORE = 48
_PHONE_WORDS = words(
    "call calls called calling phone telephone tel mobile mob cell cellphone cellular whatsapp whats sms text "
    "fax landline reach "
    "ring contact dial rufnummer ruckruf rueckruf anrufen ruf erreichbar erreichen portable joindre appeler "
    "appelez appele movil "
    "celular cellulare bellen bel signal viber telegram"
)
_PHONE_STEMS = ("telefon", "telefoon", "handy", "mobil", "llam", "chiam", "telephon")
_SHOP_WORDS = words(
    "order orders orderid auftrag commande pedido ordine invoice facture factura tracking track trk awb waybill "
    "suivi shipment "
    "parcel paket package consignment ref reference referenz sku ean upc gtin isbn asin article item product "
    "variant model serial "
    "imei seriennummer lot batch part ticket case confirmation booking transaction payment txn charge return rma "
    "po quote "
    "coupon voucher giftcard promo customer account conversation message draft request session user checkout "
    "cart id ids uuid code "
    "timestamp epoch version port gid ups fedex usps dhl dpd gls hermes barcode inventory stock qty quantity"
)
_SHOP_STEMS = ("bestell", "rechnung", "sendung", "artikel", "auftrag", "paketn")
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
_DOUBLES = frozenset({"double", "triple", "doppel"})
_BRACKETED = re.compile(r"\([2-9]\d{2}\) ?\d{3}[ .-]?\d{4}$")


def find_phones(reading: Reading, region: str) -> list[TokenSpan]:
    """Numbers of phones; `region` is how numbers without a country are dialled (such as US)."""
    spans = []
    for run in reading.runs:
        if 7 <= len(run.digits) <= 17:
            span = _phone(reading, run, region)
            if span is not None:
                spans.append(span)
    if len(reading.words & DIGIT_OF_WORD.keys()) >= 3 or reading.has(_DOUBLES):
        spans += _spelled(reading)
    return spans


def _phone(reading: Reading, run: Run, region: str) -> TokenSpan | None:
    text, (start, end, digits, _) = reading.text, run
    written = text[start:end]
    # A plus or an area code in brackets is how nothing else is written.
    strong = written[0] == "+" or _BRACKETED.match(written) is not None
    asked = False
    if not strong:
        before, after = text[max(0, start - 8) : start], text[end : end + 24]
        if (
            _in_a_code(before, after)
            or _DATE.match(written)
            or _MONEY_BEFORE.search(before)
            or _MONEY_AFTER.match(after)
        ):
            return None
        asked, vetoed = _context(reading.lowered, start)
        if vetoed or (asked and _looks_counted(written, digits)):
            return None
    if not (strong or asked or _is_dialled(written, digits, region)):
        return None
    extension = _EXTENSION.match(text, end)
    return TokenSpan(start, extension.end() if extension else end, TokenKind.PHONE)


def _context(lowered: str, start: int) -> tuple[bool, bool]:
    """Whether the words before on the same line speak of a phone, and whether the nearer ones speak of the shop."""
    before = lowered[max(0, start - _WORDS_BEFORE) : start].rpartition("\n")[2]
    if before.rstrip().endswith(("#", "№")):
        return False, True
    ahead = WORD.findall(before)
    for distance, word in enumerate(reversed(ahead)):
        if (
            word in _PHONE_WORDS
            or word.startswith(_PHONE_STEMS)
            or (word == "number" and ahead[-2 - distance :][:1] == ["my"])
        ):
            return True, False
        if distance < 5 and (word in _SHOP_WORDS or word.startswith(_SHOP_STEMS)):
            return False, True
    return False, False


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


def _is_valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _spelled(reading: Reading) -> list[TokenSpan]:
    spans = []
    for match in _SPELLED.finditer(reading.text):
        if len(spoken_digits(match.group())) >= 7 and not _context(reading.lowered, match.start())[1]:
            spans.append(TokenSpan(*match.span(), TokenKind.PHONE))
    return spans


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
