"""Whether a word is a known one misspelt.

Belongs here: the edit distance and how much of it a length allows. Does not belong here: where names stand
(redact_known).
"""


def is_typo_of(word: str, known: str) -> bool:
    """Whether `word` is `known` with a slip: one edit from four letters on, two from nine on (both in lower case).

    In words under eight letters a replaced letter counts only in the same length and never the first one: `turned` is
    not `Turner`, because the last letter of a short word often makes another word.
    """
    if word == known:
        return True
    edits = _one_edit(word, known)
    if edits == "replaced":
        return len(known) >= 8 or (len(known) >= 6 and word[-1] == known[-1])
    if edits == "swapped":
        return len(known) >= 4
    if edits in {"dropped", "added"}:
        return len(known) >= 6 and word[-1] == known[-1] and word[0] == known[0]
    return len(known) >= 9 and word[:1] == known[:1] and _distance_at_most_two(word, known)


def _one_edit(word: str, known: str) -> str | None:
    """Which single edit makes one of the other, or None."""
    at = 0
    for left, right in zip(word, known, strict=False):
        if left != right:
            break
        at += 1
    rest, wanted = word[at:], known[at:]
    if rest[1:] == wanted[1:] and rest and wanted:
        return "replaced"
    if rest == wanted[1:]:
        return "dropped"
    if rest[1:] == wanted:
        return "added"
    if len(rest) >= 2 and len(wanted) >= 2 and rest[0] == wanted[1] and rest[1] == wanted[0] and rest[2:] == wanted[2:]:
        return "swapped"
    return None


def _distance_at_most_two(word: str, known: str) -> bool:
    """Optimal string alignment distance of at most 2; the words are short, so the whole table is small."""
    if abs(len(word) - len(known)) > 2:
        return False
    older: list[int] = []
    old = list(range(len(known) + 1))
    for row, left in enumerate(word, 1):
        new = [row]
        for column, right in enumerate(known, 1):
            cost = min(old[column] + 1, new[column - 1] + 1, old[column - 1] + (left != right))
            if row > 1 and column > 1 and left == known[column - 2] and word[row - 2] == right:
                cost = min(cost, older[column - 2] + 1)
            new.append(cost)
        if min(new) > 2:
            return False
        older, old = old, new
    return old[-1] <= 2
