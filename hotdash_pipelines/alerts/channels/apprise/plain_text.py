"""The format of every service behind apprise: a title and plain text.

Belongs here: neutral blocks as lines that any service can show. Does not belong here: words (alerts/wording), sending
(courier.py).
"""

from dataclasses import dataclass
from html import unescape

from hotdash_pipelines.alerts.channels.channel import Letter
from hotdash_pipelines.alerts.message import Block, Line, TextSpan, blocks_of

_TITLE_LENGTH = 150


@dataclass(frozen=True)
class PlainMessage:
    """What a person reads. `severity` is the alert's."""

    title: str
    body: str
    severity: str


def compose(letter: Letter) -> PlainMessage:
    """The alert with all that it tells; where a service has no titles, apprise puts the title above the body."""
    # An earlier version kept the line as Slack takes it.
    text = letter.payload["text"] if "body" in letter.payload else unescape(letter.payload.get("text", ""))
    parts = ["\n".join(_lines(block)) for block in blocks_of(letter.payload) if block.kind != "title"]
    body = "\n\n".join(part for part in (*(parts or [text]), " · ".join(letter.marks)) if part.strip())
    return PlainMessage(shortened(text), body, letter.severity)


def shortened(text: str) -> str:
    """One line of a title's length."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1]}…"


def _lines(block: Block) -> list[str]:
    lines = []
    for line in block.lines:
        if block.kind == "facts":
            name, *value = line
            shown = f"{name.text}: {_text(tuple(value))}".replace("\n", ", ")
        else:
            shown = _text(line)
        lines.append(f"> {shown}" if block.kind == "quote" else shown)
    return lines


def _text(line: Line) -> str:
    return "".join(_span(span) for span in line).strip()


def _span(span: TextSpan) -> str:
    if span.style == "sign":
        return ""
    if span.style == "mention":
        # A number of Slack's names nobody here.
        word = span.text.strip("<>")
        return "" if word.startswith("@U") else word.replace("!", "@", 1) if word.startswith("!") else word
    return f"{span.text}: {span.url}" if span.url else span.text
