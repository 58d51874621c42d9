"""Whether the subject of a commit is as CONTRIBUTING.md asks: an order, short, no full stop, no tag.

Run by git with the file of the message: `.venv/bin/pre-commit install` sets that up.
"""

import re
import sys
from pathlib import Path

LONGEST = 72
# Git's own words, and commits that are to be folded into another one.
_NOT_OURS = re.compile(r"(Merge|Revert) |(fixup|squash|amend)! ")
# `Added`, `Adding`, `Adds`; but `Feed`, `Bring`, `Pass` and `Focus` are orders.
_NO_ORDER = re.compile(r"\w*(?<!e)ed|\w*[aeiouy]\w*ing|\w*[^su]s", re.IGNORECASE)
_ORDERS = {"embed", "shed", "shred", "alias"}
_TAG = re.compile(r"#\d+|^\W|^[A-Z]+-\d+\b|^\w+(\([^)]*\))?!?:|\([A-Z]+-\d+\)$")


def problems(message: str) -> list[str]:
    """What is wrong with the first line of a commit's message, each in a few words."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = next((line for line in lines if line.strip()), "").rstrip()
    if _NOT_OURS.match(subject):
        return []
    first = re.match(r"\w*", subject)
    word = first.group() if first else ""
    wrong = {
        "it is empty": not subject,
        f"it has {len(subject)} characters, more than {LONGEST}": len(subject) > LONGEST,
        "it ends with a full stop": subject.endswith("."),
        "it carries a tag": bool(_TAG.search(subject)),
        "it begins with a small letter": subject[:1].islower(),
        f"`{word}` is no order (Add, Mend, Give ...)": word.lower() not in _ORDERS and bool(_NO_ORDER.fullmatch(word)),
    }
    return [text for text, is_so in wrong.items() if is_so]


def main(path: str) -> int:
    """1 when something is wrong, told on standard error."""
    wrong = problems(Path(path).read_text(encoding="utf-8"))
    for text in wrong:
        print(f"the commit's subject: {text}; see CONTRIBUTING.md, Commits", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
