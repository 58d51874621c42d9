"""Names of people in a canonical text that only the words around them give away.

Belongs here: "my name is ...", "Dear ...,", titles, signatures, labelled names, in five languages. Does not belong
here: the known names of a conversation (known_people.py), the strong half: without them a name in mid-sentence stays.
"""

import re
from collections.abc import Iterator

from hotdash_pipelines.redaction.canonical import MASK, TokenKind, TokenSpan
from hotdash_pipelines.redaction.reading import Reading, words

_BIG = "[A-Z\u0386-\u03ab\u0400-\u042f]"
_SMALL = r"[^\W\d_]"
_CAP = rf"(?:(?:Mc|Mac|O'|D'|d'|L')?{_BIG}{_SMALL}{{1,24}}(?:[-']{_SMALL}{{1,24}})?)"
_INITIAL = rf"(?:{_BIG}\.?)"
_PARTICLE = r"(?:van der|van den|van de|von der|de la|de los|von|van|zu|de|da|di|del|dos|bin|al|el|le|la|ter)"
_NAME = (
    rf"(?:{_INITIAL}[ ]){{0,2}}(?:{_PARTICLE}[ ])?{_CAP}"
    rf"(?:[ ](?:(?:{_PARTICLE}[ ])?{_CAP}|{_INITIAL}(?!\w))){{0,3}}"
)
_TITLE = r"(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Herrn|Frau)\.?[ ]){0,2}"


# Words that stand where a name could, in a greeting or a signature.
_NO_NAME = words(
    "there team all everyone everybody customer customers support sir madam sirs folks guys friend friends you "
    "hotdash hi hello hey "
    "thanks thank please sent the a an i we my your our this that it is in on and or not no yes ok from best "
    "kind warm regards "
    "sincerely cheers service care sales shop store manager concern help helpdesk bot agent assistant monday "
    "tuesday wednesday "
    "thursday friday saturday sunday january february march april june july august september october november "
    "december order "
    "damen herren zusammen kunde kundin kunden kundenservice kundendienst liebes grusse gruesse gruss gruessen "
    "grussen groet groeten saludos saluti hallo guten tag madame monsieur messieurs "
    "bonjour client equipe service hola equipo cliente senor senora buenos dias ciao salve gentile happy sorry "
    "glad new so very "
    "just still also really trying looking writing waiting interested unhappy disappointed confused worried sure "
    "here back done "
    "returning asking going having using unable afraid located based american german french english german "
    "spanish italian "
    "dutch british canadian australian student gift refund return yours valued dear again mr mrs ms miss mx dr "
    "prof herr herrn frau mme mlle somebody someone anyone nobody "
    "one two three he she they with for to of at by"
)

_INTRODUCED = re.compile(
    r"(?:\b(?i:my (?:full |first |last )?name(?: is|'s|:)|name's|i am called|they call me|you can call me|call me"
    r"|mein name ist|ich heisse|mein name:|меня зовут|мое имя|je m'appelle"
    r"|mon nom est|me llamo|mi nombre es|soy|mi chiamo|il mio nome e|mijn naam is|ik heet|meu nome e|jag heter"
    r"|speaking with|spoke (?:to|with)|talked to"
    r"|on behalf of|registered (?:to|under)|under the name(?: of)?|in the name of|auf den namen|au nom de"
    r"|a nombre de|name on (?:the )?(?:card|order|account|parcel) (?:is|was)|addressed to|belongs to"
    r"|recipient is))"
    rf"[ :]{{1,2}}{_TITLE}({_NAME})"
)
_PRESENTED = re.compile(
    rf"\b(?i:this is|it's|hier ist|ici|c'est)[ ]{_TITLE}(?:({_CAP}[ ]{_CAP})|({_CAP})(?=[ ](?i:again|here|from"
    rf"|speaking|calling|writing)\b))"
)
_RELATED = re.compile(
    r"\b(?i:my|our|meine?|mon|ma|mi) (?i:wife|husband|son|daughter|mother|father|mom|mum|dad|brother|sister|friend"
    r"|neighbou?r|colleague|boss|partner|girlfriend|boyfriend|room ?mate|frau|mann|sohn|tochter|nachbar(?:in)?"
    r"|freund(?:in)?"
    rf"|femme|mari|fils|fille|esposa|marido|hijo|hija),?[ ]({_NAME})"
    rf"|(?<!\w)({_CAP})[ ](?i:from (?:your|the) (?:team|support|company|warehouse|store|shop))\b"
)
_INTRODUCED_LOWER = re.compile(
    r"\b(?:my (?:full )?name is|my name's|mein name ist|ich heisse|je m'appelle|me llamo"
    r"|mi chiamo) ([a-z]{2,20}(?: [a-z]{2,20})?)(?=[ ]?(?:[.,!\n;]|and\b|und\b|et\b|y\b|e\b|$))"
)
_I_AM = re.compile(
    rf"\b(?:I am|I'm|i'm|i am|Ich bin|Soy|Sono|Je suis) ({_NAME})(?=[ ]?(?:[.,!;\n({MASK}]|from\b|and\b|aus\b|und\b|$))"
)
_TITLED = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Herr|Herrn|Frau|Monsieur|Madame|Mme|Mlle|Senor|Senora|Sr|Sra|Signor"
    rf"|Signora|Sig|Dhr|Mevr)\.?[ ]{_TITLE}({_NAME})"
)
_GREETED = re.compile(
    rf"(?i:dear|hi|hello|hey|hiya|good (?:morning|afternoon|evening)|hallo"
    rf"|liebe[rs]?|guten (?:tag|morgen)|moin|servus|chere?|bonjour|salut|hola|estimad[oa]|querid[oa]|buenos dias"
    rf"|ciao|gentile|caro|cara|buongiorno|beste|geachte|hej|ola|thanks|thank you|cheers|sorry)"
    rf",?[ ]{_TITLE}({_NAME})(?=[ ]?(?:[,!.:;\n?-]|$))",
    re.MULTILINE,
)
_CLOSING = (
    r"(?:(?:with )?(?:best|kind|warm|warmest|many|kindest) (?:regards|wishes|thanks)|regards|best|sincerely"
    r"|yours(?: (?:sincerely|truly|faithfully))?|cheers|thanks(?: (?:again|so much|a lot|in advance))?"
    r"|thank you(?: (?:so much|very much|again|in advance))?|many thanks|thx|take care|respectfully|cordially"
    r"|love|xoxo|ta|mit freundlichen gruessen|mit freundlichen grussen|freundliche grusse|viele grusse"
    r"|liebe grusse|beste grusse|herzliche grusse"
    r"|mfg|vg|lg|gruss|danke|vielen dank|cordialement|bien cordialement|salutations|merci(?: d'avance)?"
    r"|bien a vous|saludos(?: cordiales)?|un saludo|atentamente|gracias|cordiali saluti|distinti saluti|grazie"
    r"|saluti"
    r"|met vriendelijke groet(?:en)?|groetjes|med vanlig halsning|atenciosamente|obrigad[oa]|sent from|signed"
    r"|greetings)"
)
_SIGNED = re.compile(
    rf"(?i:{_CLOSING})[ ]?(?:[,.!:-]{{1,2}}[ ]?\n{{0,3}}"
    rf"|\n{{1,3}})[ ]{{0,4}}(?:[-~][ ]?)?({_NAME})(?=[ ]?(?:[.,\n|(+\d{MASK}-]|$))"
)
_SIGNED_LOWER = re.compile(
    rf"{_CLOSING}[,.!]?[ ]?\n{{1,3}}[ ]{{0,4}}[-~]?[ ]?([a-z]{{2,20}}(?: [a-z]{{2,20}})?)[ ]*$",
    re.IGNORECASE,
)
_DASHED = re.compile(rf"(?:^|\n| )(?:--|-|~)[ ]?({_NAME})[ ]*$")
_LABELLED = re.compile(
    r"(?:^|[\n,;({|\"'] ?)[ ]{0,3}\"?(?i:(?:(?:full|first|last|family|given|customer|contact|recipient|sender"
    r"|buyer|cardholder|account holder|billing|shipping|your|display) ?_?name|surname|name|recipient|attn"
    r"|attention|c/o|vorname|nachname|empfaenger|kunde|nom(?: complet)?|prenom|nombre|apellidos?|nome|cognome"
    r"|from|to))"
    rf"\"?[ ]?[:=][ ]?\"?({_NAME})(?=[ ]?(?:[,;.)}}|\"'\n<({MASK}]|$))"
)

_INTRODUCING = words(
    "name call called heisse appelle nom llamo nombre soy chiamo nome naam heet heter speaking spoke talked "
    "behalf registered namen "
    "addressed belongs recipient зовут имя"
)
_LOWER_INTRODUCING = words("name heisse appelle llamo chiamo")
_TITLES = words(
    "mr mrs ms miss mx dr prof sir herr herrn frau monsieur madame mme mlle senor senora sr sra signor signora "
    "sig dhr mevr"
)
_RELATIONS = words(
    "wife husband son daughter mother father mom mum dad brother sister friend neighbor neighbour colleague boss "
    "partner girlfriend "
    "boyfriend roommate room frau mann sohn tochter nachbar nachbarin freund freundin femme mari fils fille "
    "esposa marido hijo hija"
)
_LABELS = words(
    "name firstname lastname fullname surname recipient attn attention c vorname nachname empfanger empfaenger "
    "kunde nom prenom "
    "nombre apellido apellidos nome cognome from to displayname"
)
_GREETINGS = words(
    "dear hi hello hey hiya good hallo liebe lieber liebes guten moin servus cher chere bonjour salut hola "
    "estimado estimada querido "
    "querida buenos ciao gentile caro cara buongiorno beste geachte hej ola thanks thank cheers sorry"
)
_CLOSINGS = words(
    "with best kind warm warmest many kindest regards sincerely yours cheers thanks thank thx take respectfully "
    "cordially love xoxo "
    "ta mit freundliche viele liebe beste herzliche mfg vg lg gruss danke vielen cordialement bien salutations "
    "merci saludos un "
    "atentamente gracias cordiali distinti grazie saluti met groetjes med atenciosamente obrigado obrigada sent "
    "signed greetings"
)
_SENTENCE_STARTS = "\n\r.!?>\"'," + MASK
_AT_SENTENCE = (_GREETED, _SIGNED, _SIGNED_LOWER)
_PRESENTINGS = ("this is ", "it's ", "hier ist ", "ici ", "c'est ")
_SELVES = ("i am ", "i'm ", "ich bin ", "soy ", "sono ", "je suis ")
_SPEAKING = ("from your ", "from the ")


def find_names(reading: Reading) -> list[TokenSpan]:
    """Names that their context tells; recall is lower than with known names."""
    text = reading.text
    spans = []
    for match in _matches(reading):
        span = _trimmed(text, *match.span(match.lastindex or 0))
        if span is not None and not (match.re is _I_AM and _is_lonely(match.group(1))):
            spans.append(span)
    return spans


def _matches(reading: Reading) -> Iterator[re.Match[str]]:
    text = reading.text
    if reading.has(_INTRODUCING):
        yield from _INTRODUCED.finditer(text)
        if reading.has(_LOWER_INTRODUCING):
            yield from _INTRODUCED_LOWER.finditer(text)
    if reading.has(_RELATIONS) or reading.contains(_SPEAKING):
        yield from _RELATED.finditer(text)
    if (":" in text or "=" in text) and reading.has(_LABELS):
        yield from _LABELLED.finditer(text)
    closings = list(reading.word_places(_CLOSINGS))
    for pattern, places in (
        (_PRESENTED, reading.places(_PRESENTINGS)),
        (_I_AM, reading.places(_SELVES)),
        (_TITLED, reading.word_places(_TITLES)),
        (_GREETED, reading.word_places(_GREETINGS)),
        (_SIGNED, closings),
        (_SIGNED_LOWER, closings),
    ):
        for at in places:
            if pattern in _AT_SENTENCE and not _begins_sentence(text, at):
                continue
            if match := pattern.match(text, at):
                yield match
    yield from _DASHED.finditer(text, max(0, len(text) - 90))


def _begins_sentence(text: str, at: int) -> bool:
    before = text[max(0, at - 6) : at].rstrip(" ")
    return not before or before[-1] in _SENTENCE_STARTS


def _trimmed(text: str, start: int, end: int) -> TokenSpan | None:
    """The span up to the first word that is no name; None when that is the first."""
    stop = start
    for word in re.finditer(r"\S+", text[start:end]):
        if word.group().strip(".,'").casefold() in _NO_NAME:
            break
        stop = start + word.end()
    while stop > start and text[stop - 1] in " .-'":
        stop -= 1
    return TokenSpan(start, stop, TokenKind.NAME) if stop - start >= 2 else None


def _is_lonely(name: str) -> bool:
    """Whether "I am X" has one word only, which could as well say a nationality or a mood."""
    return " " not in name and name.casefold().endswith(("ish", "ese", "ian", "ing", "ed", "ful"))
