"""Slack's mark-up as safe HTML.

Belongs here: text to HTML. Does not belong here: blocks and the page (`page`). Everything a sender wrote is escaped
before a tag is put around it, and a link is a link only if it leads to http, https or mailto.
"""

from __future__ import annotations

import html
import re

EMOJI = {
    "white_check_mark": "✅", "warning": "⚠️", "rotating_light": "🚨", "x": "❌", "fire": "🔥", "hourglass": "⌛",
    "large_green_circle": "🟢", "large_yellow_circle": "🟡", "large_orange_circle": "🟠", "red_circle": "🔴",
    "bell": "🔔", "information_source": "\u2139\ufe0f", "package": "📦", "chart_with_upwards_trend": "📈", "tada": "🎉",
    "heavy_check_mark": "✔️", "eyes": "👀", "mag": "🔍", "arrows_counterclockwise": "🔄", "no_entry": "⛔",
}  # fmt: skip
# Drawn by the page's style: not every machine has a font for them. The character stays for copying and for readers.
_DRAWN = frozenset(
    {
        "rotating_light", "red_circle", "large_orange_circle", "large_yellow_circle", "large_green_circle",
        "white_check_mark",
    }
)  # fmt: skip
_TOKEN = re.compile(r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]+)>", re.DOTALL)
_STYLES = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), r"<em>\1</em>"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), r"<del>\1</del>"),
)
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_SAFE_URL = re.compile(r"(?:https?://|mailto:)[^\s\"'<>]+", re.IGNORECASE)
# Stands for a finished piece of HTML while styles are applied around it; private-use, stripped from what is sent.
_MARK = "\ue000"


def to_html(text: str) -> str:
    """mrkdwn as HTML: bold, italic, strike, code, quotes, links, mentions, dates, emoji, line breaks."""
    pieces: list[str] = []

    def keep(piece: str) -> str:
        pieces.append(piece)
        return f"{_MARK}{len(pieces) - 1}{_MARK}"

    def token(match: re.Match[str]) -> str:
        if match["block"] is not None:
            return keep(f"<pre>{_escaped(match['block'].strip(chr(10)))}</pre>")
        if match["code"] is not None:
            return keep(f"<code>{_escaped(match['code'])}</code>")
        return keep(_angle(match["angle"]))

    marked = _escaped(_TOKEN.sub(token, text.replace(_MARK, "")))
    for pattern, replacement in _STYLES:
        marked = pattern.sub(replacement, marked)
    marked = _quoted(with_emoji(marked)).replace("\n", "<br>")
    return re.sub(f"{_MARK}(\\d+){_MARK}", lambda match: pieces[int(match[1])], marked)


def plain(text: str) -> str:
    """Plain text as HTML: escaped, with emoji."""
    return with_emoji(_escaped(text)).replace("\n", "<br>")


def with_emoji(text: str) -> str:
    """Known `:names:` as characters, some of them drawn; unknown ones stay as they are. `text` is HTML."""
    return _EMOJI.sub(lambda match: _emoji(match[1]) or match[0], text)


def _emoji(name: str) -> str | None:
    character = EMOJI.get(name)
    return f'<span class="dot {name}">{character}</span>' if name in _DRAWN else character


def safe_url(url: object) -> str | None:
    """The URL, escaped for an attribute, if it is one to follow; else None."""
    text = html.unescape(str(url))
    return html.escape(text, quote=True) if _SAFE_URL.fullmatch(text) else None


def _escaped(text: str) -> str:
    """HTML of a text in which the sender has already written &amp;, &lt; and &gt; for Slack."""
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return html.escape(text, quote=True)


def _angle(inner: str) -> str:
    target, _, label = inner.partition("|")
    if target.startswith("!date^"):
        return _escaped(label or target)
    if target[:1] in "@#!":
        kind = "#" if target.startswith("#") else "@"
        return f'<span class="mention">{kind}{_escaped(label or target[1:].split("^")[0])}</span>'
    if (url := safe_url(target)) is not None:
        return f'<a href="{url}" rel="noopener noreferrer">{_escaped(label or target)}</a>'
    return _escaped(f"<{inner}>")


def _quoted(text: str) -> str:
    """Runs of lines that begin with `>` as quotes; the text is escaped already."""
    lines: list[str] = []
    for line in text.split("\n"):
        if not line.startswith("&gt;"):
            lines.append(line)
            continue
        quote = line.removeprefix("&gt;").removeprefix(" ")
        if lines and lines[-1].endswith("</blockquote>"):
            lines[-1] = f"{lines[-1].removesuffix('</blockquote>')}<br>{quote}</blockquote>"
        else:
            lines.append(f"<blockquote>{quote}</blockquote>")
    return "\n".join(lines).replace("</blockquote>\n", "</blockquote>")
