"""Slack's format: neutral blocks as Block Kit.

Belongs here: all that knows Block Kit, mrkdwn and its limits. Does not belong here: words (alerts/wording), the calls
(bot.py, webhook.py).
"""

from typing import Any

from hotdash_pipelines.alerts.channels.channel import Letter
from hotdash_pipelines.alerts.message import Block, Line, TextSpan, blocks_of

# Limits of Block Kit are 150 characters for a header and 3,000 for a section.
_HEADER_LENGTH = 150
_TEXT_LENGTH = 2900
_SIGNS = {
    "critical": ":rotating_light:",
    "high": ":red_circle:",
    "medium": ":large_orange_circle:",
    "low": ":large_yellow_circle:",
    "resolved": ":white_check_mark:",
}
# A title that is over is struck, and still a title.
_AROUND = {"bold": ("*", "*"), "code": ("`", "`"), "struck": ("*~", "~*")}


def compose(letter: Letter) -> dict[str, Any]:
    """The body of the call; `text` is what notifications and screen readers get."""
    payload = letter.payload
    mark = {"type": "context", "elements": [_mrkdwn(" · ".join(escape(mark) for mark in letter.marks))]}
    if "blocks" in payload:
        # Kept by an earlier version, as Slack takes it.
        return {**payload, "blocks": [*payload["blocks"], mark]}
    body: dict[str, Any] = {
        "text": escape(payload["text"]),
        "blocks": [*(_block(block) for block in blocks_of(payload)), mark],
    }
    return {**body, "reply_broadcast": True} if payload.get("broadcast") else body


def escape(text: str) -> str:
    """Text with Slack's three control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_mention(mention: str) -> str:
    """A mention as Slack reads it: `<!here>` and `<@U123>` as they are, `@here` as the former, all else as text."""
    word = mention.strip()
    if word.removeprefix("@") in ("here", "channel", "everyone"):
        return f"<!{word.removeprefix('@')}>"
    inner = word[1:-1]
    is_marked = word.startswith(("<@", "<!")) and word.endswith(">") and not set(inner) & set("<>& \n")
    return word if is_marked else escape(word)


def _block(block: Block) -> dict[str, Any]:
    if block.kind == "title":
        return _header(block.lines[0])
    if block.kind == "facts":
        fields = [_mrkdwn(f"*{escape(name.text)}*\n{_line(tuple(value))}") for name, *value in block.lines]
        return {"type": "section", "fields": fields}
    if block.kind == "footer":
        return {"type": "context", "elements": [_mrkdwn(" · ".join(_line(line) for line in block.lines))]}
    mark = "> " if block.kind == "quote" else ""
    return {"type": "section", "text": _mrkdwn("\n".join(f"{mark}{_line(line)}" for line in block.lines))}


def _header(line: Line) -> dict[str, Any]:
    text = "".join(_SIGNS.get(span.text, "") if span.style == "sign" else span.text for span in line).lstrip()
    shown = text if len(text) <= _HEADER_LENGTH else f"{text[: _HEADER_LENGTH - 1]}…"
    is_signed = any(span.style == "sign" for span in line)
    return {"type": "header", "text": {"type": "plain_text", "text": shown, **({"emoji": True} if is_signed else {})}}


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: TextSpan) -> str:
    if span.style == "sign":
        return _SIGNS.get(span.text, "")
    if span.style == "mention":
        return escape_mention(span.text)
    text = escape(span.text)
    if span.url:
        text = f"<{span.url}|{text}>"
    before, after = _AROUND.get(span.style, ("", ""))
    return f"{before}{text}{after}"


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"}
