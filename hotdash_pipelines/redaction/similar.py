"""Whether a word is a known one misspelt.

Belongs here: how many slips a length allows, and which. Does not belong here: where names stand (known_people.py).
"""

from rapidfuzz.distance import OSA


def is_typo_of(word: str, known: str) -> bool:
    """Whether `word` is `known` with a slip: one edit from four letters on, two from nine on (both in lower case).

    In words under eight letters a replaced letter counts only in the same length and never the first one: `turned` is
    not `Turner`, because the last letter of a short word often makes another word.
    """
    edits = OSA.distance(word, known, score_cutoff=2)
    if edits == 0:
        return True
    if edits == 2:
        return len(known) >= 9 and word[:1] == known[:1]
    if edits > 2:
        return False
    if len(word) != len(known):
        return len(known) >= 6 and word[-1] == known[-1] and word[0] == known[0]
    if sorted(word) == sorted(known):
        # Two letters are swapped.
        return len(known) >= 4
    return len(known) >= 8 or (len(known) >= 6 and word[-1] == known[-1])
