"""Street addresses and post codes in a canonical text, by their form or the words before them.

Belongs here: US, UK, Canadian, German, French, Spanish, Italian, Dutch, Nordic, Polish and Portuguese forms, PO boxes.
Does not belong here: the known addresses of a conversation (known_people.py). A town alone is not taken for an address.
"""

import re
from collections.abc import Iterator

from hotdash_pipelines.redaction.canonical import TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import Reading, words

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK "
    "OR PA RI SC "
    "SD TN TX UT VT VA WA WV WI WY DC PR"
).replace(" ", "|")
_NUMBER = r"\d{1,6}(?:[ -]?[A-Za-z](?![A-Za-z])|-\d{1,4}|/\d{1,4}|[ ]1/2)?"
_CAP = r"[A-Z][\w'.-]{0,24}"
_SUFFIX = (
    "street|str|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|terrace|ter|way"
    "|parkway|pkwy|highway|hwy"
    "|circle|cir|square|sq|crescent|cres|close|gardens|gdns|grove|mews|row|hill|trail|trl|walk|loop|alley|wharf"
    "|quay|green|park|view|rise|plaza"
)
_SURE_SUFFIX = "street|avenue|ave|road|rd|boulevard|blvd|lane|drive|parkway|pkwy|terrace|crescent"
_UNIT = r"(?:,? {0,2}(?:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|building|bldg|#)\.? {0,2}#?[\w-]{1,6})?"
# Tail of an address: a town, a state and a post code, each only with the next one.
_TOWN = rf"{_CAP}(?:[ -]{_CAP}){{0,2}}"
_TAIL = (
    rf"(?:,? {{0,2}}\n?(?:(?:[A-Z]{{1,2}}-)?\d{{4,5}}|\d{{4}} ?[A-Z]{{2}}|\d{{2}}-\d{{3}}|\d{{3}} \d{{2}}"
    rf"|\d{{4}}-\d{{3}}) {_TOWN}"
    rf"|,? {{0,2}}\n?(?:{_CAP}(?: {_CAP}){{0,3}},? )?(?:(?:{_STATES}),? )?\d{{5}}(?:-\d{{4}})?(?!\d)"
    rf"|,? {{0,2}}\n?(?:{_CAP}(?:[ ,]{{1,2}}{_CAP}){{0,3}},? )?[A-Z]{{1,2}}\d[A-Z\d]? ?\d[A-Z]{{2}}\b"
    rf"|,? {{0,2}}\n?(?:{_CAP}(?: {_CAP}){{0,3}},? )?(?:[A-Z]{{2}},? )?[A-Z]\d[A-Z] ?\d[A-Z]\d\b"
    rf"|, {{0,2}}{_CAP}(?: {_CAP}){{0,2}}(?:, (?:{_STATES}))?)?"
)
_AMERICAN = re.compile(
    rf"(?<![\w#$€£.,-]){_NUMBER},? {{1,2}}(?:[NSEWnsew]{{1,2}}\.? |(?:north|south|east|west|North|South|East|West) )?"
    rf"(?:(?:{_CAP}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?i:{_SUFFIX})\b\.?(?: [NSEW]{{1,2}}\b)?(?i:{_UNIT}){_TAIL}"
)
_LOWER = re.compile(
    rf"(?<![\w#$€£.,-])\d{{1,5}} (?:[nsew]\.? )?(?!(?:in|on|the|a|of|at|to|for|by|and|or|days?|hours?|items?"
    rf"|minutes?|weeks?|more|left|x|st|nd|rd|th)\b)"
    rf"(?:[a-z][\w'-]{{1,20}}|\d{{1,3}}(?:st|nd|rd|th)) (?:(?!(?:on|the|a|of|at|to|for|by|and|or"
    rf"|down)\b)[a-z][\w'-]{{1,20}} ){{0,2}}(?:{_SURE_SUFFIX}|st)\b"
    rf"(?i:{_UNIT})(?:,? (?:[a-z]{{3,20}} ){{0,3}}(?:[a-z]{{2}} )?\d{{5}}\b)?",
    re.IGNORECASE,
)
_BROADWAY = re.compile(
    rf"(?<![\w#$€£.,-])\d{{1,5}} (?:Broadway|Embarcadero|Piccadilly|Strand|Whitehall)\b(?i:{_UNIT}){_TAIL}"
)
_FLAT = re.compile(
    rf"\b(?:Flat|Apartment|Apt|Unit|Suite"
    rf"|House) \d{{1,4}}[A-Za-z]?, (?:\d{{1,5}}[A-Za-z]? )?{_CAP}(?: {_CAP}){{0,3}}{_TAIL}"
)
_GERMAN = re.compile(
    rf"\b(?:[A-Z][A-Za-z.-]{{1,30}}(?:strasse|str\.|str|weg|platz|allee|gasse|ring|damm|ufer|steig|markt|berg"
    rf"|chaussee|hof)"
    rf"|(?:[A-Z][A-Za-z-]{{1,30}}[ -]){{1,3}}(?:Strasse|Str\.|Str|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer|Chaussee"
    rf"|Landstrasse)"
    rf"|(?:Am|An der|An den|Auf der|Auf dem|Im|In der|In den|Zum|Zur|Unter den"
    rf"|Hinter der) [A-Z][a-z-]{{2,30}}) \d{{1,4}} ?[a-z]?(?![\w.])"
    rf"(?: ?[-/] ?\d{{1,4}}[a-z]?)?{_TAIL}"
)
_GERMAN_LOWER = re.compile(
    r"\b[a-z-]{2,30}(?:strasse|str\.|gasse|allee) \d{1,4} ?[a-z]?(?!\w)(?:,? \d{5} [a-z-]{3,30})?", re.IGNORECASE
)
_FRENCH = re.compile(
    rf"(?<![\w.,-])\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D]))?,? (?i:rue|avenue|av\.?|boulevard|bd\.?|place|pl\.?"
    rf"|chemin|impasse|allee|quai|route|cours|passage|square|villa)"
    rf" (?:(?i:de la|de l'|du|des|de|d'|la|le|les|l'|saint|sainte) ?){{0,2}}{_CAP}"
    rf"(?:[ -](?:(?:de|du|des|la|le|et) ){{0,2}}{_CAP}){{0,4}}{_TAIL}"
)
_SOUTHERN = re.compile(
    rf"\b(?i:Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrer|Carretera|Camino|Ronda|Via|Viale|Piazza|Corso"
    rf"|Largo|Vicolo|Rua|Travessa|Praca|ul\.|ulica|al\.|aleja)"
    rf" ?(?:(?i:de la|de los|de las|del|de|della|delle|dei|di|da|do|dos|das) )?{_CAP}"
    rf"(?: (?:(?:de|del|la|y|e|da|do|dos) )?{_CAP}){{0,3}},? (?:n[o.]?\.? ?|nr\.? ?|numero )?\d{{1,4}}(?!\d)"
    rf"(?:[ -]?[A-Za-z](?!\w)|/\d{{1,4}}|, ?\d{{1,2}}[oa](?!\w))?{_TAIL}"
)
_NORTHERN = re.compile(
    rf"\b[A-Z][A-Za-z-]{{1,30}}(?:straat|laan|weg|plein|gracht|kade|dijk|singel|hof|steeg|gatan|vagen|gata|vej"
    rf"|gade|alle|katu|tie|veien|gaten|vei) \d{{1,4}}(?: ?[A-Za-z](?!\w)|-\d{{1,3}})?{_TAIL}"
)
_BOX = re.compile(
    rf"\b(?:p\.? ?o\.? ?box|post office box|postfach|boite postale|b\.?p\.|apartado(?: de correos)?"
    rf"|casella postale|postbus) {{0,2}}(?:no\.? )?\d{{1,6}}(?: \d{{2,4}})*\b(?-i:{_TAIL})",
    re.IGNORECASE,
)

_CODES = re.compile(
    rf"\b(?:{_STATES}),? \d{{5}}(?:-\d{{4}})?(?![\w-])"
    r"|(?<![\w-])(?:GIR 0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPS-UW]"
    r"|[A-HK-Y]\d[ABEHMNPRV-Y]) \d[ABD-HJLNP-UW-Z]{2})(?![\w-])"
    r"|(?<![\w-])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d(?![\w-])"
    r"|〒 ?\d{3}-\d{4}"
)
_CODE_NAMED = re.compile(
    r"\b(?:zip(?: ?code)?|post ?code|postal code|plz|postleitzahl|code postal|codigo postal|c\.p\.|cap|eircode"
    r"|pin ?code)"
    r"(?: (?:is|ist|est|es|was|number|to"
    r"|of))?[ :=#-]{0,3}(?:is )?((?=[A-Za-z -]{0,5}\d)[A-Za-z\d]{2,5}(?:[ -]?[\dA-Za-z]{2,4})??(?:[ "
    r"-]\d[A-Za-z\d]{2,3})?)\b",
    re.IGNORECASE,
)
_CODE_TOWN = re.compile(
    rf"(?:\b(?:live|living|based|located|wohne?n?|wohnhaft|habite|vivo|ship|deliver|send|sent|moved|abito|liefern"
    rf"|adresse|address)\b[^\n\d]{{0,30}}\b(?:in|to|at|nach|a|en|ist|is|:)[ :]{{0,2}})"
    rf"((?:[A-Z]{{1,2}}-)?\d{{4,5}}(?: [A-Z]{{2}})? {_CAP}(?:[ -]{_CAP}){{0,2}})"
)
_ADDRESS_NAMED = re.compile(
    r"\b(?:(?:my|our|the|new|correct|right|shipping|delivery|billing|home|work|current|old|postal|mailing"
    r"|street) ){1,3}address (?:is|was|should be|has changed to|:)?[ :]{0,3}(?:now )?"
    r"(?=[^\n.!?@]{0,60}\d)([^\n!?@;]{6,90}?\d[^\n!?@;.]{0,60}|[^\n!?@;]{6,100})"
    r"|\b(?:ship(?:ped)?|deliver(?:ed)?|send(?: it)?|sent) to:[ ]{0,2}(?=[^\n]{0,60}\d)([^\n!?@;]{6,120})"
    r"|\b(?:lieferadresse|rechnungsadresse|meine adresse|anschrift|adresse de livraison|mon adresse"
    r"|direccion(?: de envio)?|mi direccion|indirizzo(?: di spedizione)?)(?: (?:ist|est|es|e"
    r"|lautet))?[ :]{1,3}(?=[^\n]{0,60}\d)([^\n!?@;]{6,100})",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"\. (?=[A-Z])|, (?=(?:please|can|could|thanks|and|but|not|bitte|merci|gracias)\b)| (?:please|thanks"
    r"|and (?:my|not|I)|but|instead|not)\b",
    re.IGNORECASE,
)

_THEN_WORD = re.compile(r"\d{1,6}[ A-Za-z]?[ A-Za-z]{0,6}[ ,/-]{1,3}[A-Za-z\d]")
_AT_NUMBER = (_AMERICAN, _FRENCH, _LOWER, _BROADWAY)
_BEFORE_NUMBER = (
    (words("flat apartment apt unit suite house"), _FLAT),
    (words("box postfach postale bp apartado postbus"), _BOX),
    (
        words(
            "calle c avenida avda av plaza paseo carrer carretera camino ronda via viale piazza corso largo "
            "vicolo rua travessa "
            "praca ul ulica al aleja"
        ),
        _SOUTHERN,
    ),
)
_STREET_ENDS = (
    "strasse", "str", "str.", "weg", "platz", "allee", "gasse", "ring", "damm", "ufer", "steig", "markt", "berg",
    "chaussee", "hof",
    "straat", "laan", "plein", "gracht", "kade", "dijk", "singel", "steeg", "gatan", "vagen", "gata", "vej", "gade",
    "alle", "katu",
    "tie", "veien", "gaten", "vei",
)  # fmt: skip
_STREET_STARTS = words("am an auf im in zum zur unter hinter")
_CODE_WORDS = words("zip zipcode post postcode postal plz postleitzahl codigo cap eircode pin pincode")
_TOWN_CODE = re.compile(r"\d{4,5} (?:[A-Z]{2} )?[A-Z]")
_TOWN_WORDS = words(
    "live living based located wohn wohne wohnen wohnhaft habite vivo ship deliver send sent moved abito liefern "
    "adresse address"
)
_ADDRESS_PIECES = ("address", "to:", "adresse", "anschrift", "direccion", "indirizzo")


def find_places(reading: Reading) -> list[TokenSpan]:
    """Addresses and post codes of a text that has a digit."""
    text = reading.text
    spans: list[TokenSpan] = []
    if not reading.runs:
        return spans
    for run in reading.runs:
        for first, _ in run.groups:
            spans += _at_number(text, first)
    for starts, form in _BEFORE_NUMBER:
        if reading.has(starts):
            spans += [TokenSpan(*match.span(), TokenKind.ADDRESS) for match in form.finditer(text)]
    if "〒" in text:
        spans += [TokenSpan(*match.span(), TokenKind.ADDRESS) for match in _CODES.finditer(text)]
    for pattern, wanted in (
        (_CODE_NAMED, reading.has(_CODE_WORDS) or "c.p." in reading.lowered),
        (_CODE_TOWN, reading.has(_TOWN_WORDS) and _TOWN_CODE.search(text) is not None),
    ):
        if wanted:
            spans += [
                TokenSpan(*match.span(1), TokenKind.ADDRESS)
                for match in pattern.finditer(text)
                if any(map(str.isdigit, match.group(1)))
            ]
    if reading.contains(_ADDRESS_PIECES):
        spans += _named(text)
    return spans


def _at_number(text: str, first: int) -> Iterator[TokenSpan]:
    """Addresses that begin with this number, streets that end with it, codes that hold it."""
    for form in _AT_NUMBER if _THEN_WORD.match(text, first) else ():
        if match := form.match(text, first):
            yield TokenSpan(*match.span(), TokenKind.ADDRESS)
            return
    before = text[first - 1 : first]
    start = max(0, first - 70)
    if before == " ":
        ahead = text[start:first].split()
        lowered = [word.lower() for word in ahead]
        if ahead and (
            lowered[-1].endswith(_STREET_ENDS) or (ahead[-1][0].isupper() and not _STREET_STARTS.isdisjoint(lowered))
        ):
            for form in (_GERMAN, _GERMAN_LOWER, _NORTHERN):
                for match in form.finditer(text, start, first + 80):
                    if match.start() < first < match.end():
                        yield TokenSpan(*match.span(), TokenKind.ADDRESS)
    if before.isupper() or before in {" ", ","}:
        for match in _CODES.finditer(text, max(0, first - 5), first + 12):
            yield TokenSpan(*match.span(), TokenKind.ADDRESS)


def _named(text: str) -> Iterator[TokenSpan]:
    for match in _ADDRESS_NAMED.finditer(text):
        start, end = match.span(match.lastindex or 0)
        stop = _SENTENCE_END.search(text, start + 6, end)
        end = stop.start() if stop else end
        if any(char.isdigit() for char in text[start:end]):
            yield TokenSpan(start, len(text[:end].rstrip(" .,")), TokenKind.ADDRESS)
