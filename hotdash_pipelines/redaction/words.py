"""Words that the finding of known people has to be careful with.

Belongs here: word lists and street spellings. Does not belong here: matching.
"""

from collections.abc import Iterator

from hotdash_pipelines.redaction.reading import words as word_set

# Names that are words as well: alone they count as names only when written with a capital.
COMMON_WORDS = word_set(
    "will may mark grace rose hope art bill rich sue pat frank summer april june august dawn faith joy iris ivy "
    "lily violet "
    "daisy ruby amber jade pearl chase grant drew wade dean guy rob nick gene ray penny sandy robin young king "
    "long little white "
    "black brown green gray grey short small best bush cook baker hill wood woods stone rivers lake day early "
    "price cash banks "
    "bank page case cross bell ball church field fields love good rice bean fox wolf bird moon star silver gold "
    "power powers "
    "walker parker turner fisher shepherd ward ring post gift sale order orders street store van von der den del "
    "dos las los and "
    "the for our out has had can see sun song you son park ford hall law lord major sharp sweet strong wise "
    "bright noble "
    "marsh meadow forest west east north south winter spring autumn monday friday sunday max miles rush swift "
    "chance destiny "
    "harmony melody heaven angel prince duke earl baron knight mason hunter carter porter cooper potter tailor weaver "
    "butcher farmer gardener miller page read reed rain storm sky ocean river brook brooks clay flint rock cliff "
    "ridge dale "
    "glen heath moor drake swan finch crane hawk robin wren lamb bull pike trout bass salmon berry cherry olive "
    "rosemary "
    "sage basil ginger pepper sugar honey candy cookie mercy charity patience prudence constance victor norm "
    "earnest chuck skip "
    "buck rod tad bud dot fern flora gay grey happy holly lane marina mason misty nova paris sierra skye star stormy "
    "roman christian pilot major chance case gale hale hardy rusty sonny lucky art "
)

TITLES = word_set("mr mrs ms miss mx dr prof sir herr frau mme mlle monsieur madame senor senora jr sr ii iii phd")

# What shops and chats put in the place of a name.
PLACEHOLDERS = word_set(
    "guest customer client user visitor unknown anonymous test none null na contact person kunde gast invitado "
    "undefined"
)

SHARED_MAILBOXES = word_set(
    "contact support service orders billing office customer customerservice accounts newsletter webmaster "
    "noreply donotreply "
    "hotdash reception enquiries inquiries marketing finance returns shipping"
)

# Towns that are words: alone they count only with a capital.
COMMON_TOWNS = word_set(
    "reading bath nice orange mobile essen split sale deal hull rugby cork corona independence enterprise "
    "commerce industry "
    "paradise normal surprise hope home liberty union superior orient battle sandwich ware wells rye eye bury "
    "diss street "
    "march poole ripe beer barking worth cool best most how halle hamm hagen plan burg bonn kiel tours lens brest pau"
)

_STREET_WORDS = (
    ("street", "st", "str"), ("avenue", "ave", "av"), ("road", "rd"), ("boulevard", "blvd", "bd"), ("lane", "ln"),
    ("drive", "dr"), ("court", "ct"), ("place", "pl"), ("square", "sq"), ("terrace", "ter"), ("parkway", "pkwy"),
    ("highway", "hwy"), ("crescent", "cres"), ("circle", "cir"), ("gardens", "gdns"), ("apartment", "apt"),
    ("suite", "ste"), ("north", "n"), ("south", "s"), ("east", "e"), ("west", "w"), ("strasse", "str"), ("saint", "st"),
    ("avenida", "avda", "av"), ("plaza", "pza"), ("chemin", "ch"), ("floor", "fl"), ("building", "bldg"),
    ("platz", "pl"),
)  # fmt: skip
_SPELLINGS: dict[str, set[str]] = {}
for _group in _STREET_WORDS:
    for _word in _group:
        _SPELLINGS.setdefault(_word, set()).update(_group)
_MOST = 24


def street_spellings(words: list[str]) -> Iterator[list[str]]:
    """The line of an address as written and with its street words in their other spellings; at most 24 of them."""
    forms: list[list[str]] = [[]]
    for word in words:
        choices = [word, *sorted(_SPELLINGS.get(word, set()) - {word})]
        # "hauptstrasse" is written "hauptstr" too, and the other way round.
        if word.endswith("strasse") and len(word) > 7:
            choices.append(word[:-4])
        elif word.endswith("str") and len(word) > 5:
            choices.append(word + "asse")
        forms = [[*form, choice] for form in forms for choice in choices][:_MOST]
    yield from forms
