"""The page that shows the messages as a channel.

Belongs here: HTML of blocks, threads and the page around them. Does not belong here: mark-up inside a text (`mrkdwn`).
The page runs no script and loads nothing from elsewhere.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hotdash_pipelines.demo.slack.mrkdwn import plain, safe_url, to_html

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;font:15px/1.47 Lato,"Segoe UI",Helvetica,Arial,sans-serif;color:#1d1c1d;background:#fff;display:flex;
min-height:100vh}
nav{width:220px;flex:none;background:#3f0e40;color:#cfc3cf;padding:18px 0}
nav h1{font-size:16px;color:#fff;margin:0 16px 18px}nav a{display:block;color:inherit;text-decoration:none;
padding:4px 16px}nav a.here{background:#1164a3;color:#fff}
main{flex:1;min-width:0}main>header{position:sticky;top:0;background:#fff;border-bottom:1px solid #ddd;
padding:12px 20px;font-weight:900;font-size:17px}main>header small{font-weight:400;color:#616061;margin-left:8px}
.empty{padding:40px 20px;color:#616061}.post{display:flex;gap:10px;padding:8px 20px}.post:hover{background:#f8f8f8}
.icon{width:36px;height:36px;border-radius:6px;background:#4a154b;color:#fff;font-weight:700;display:grid;
place-items:center;flex:none}.body{min-width:0;flex:1;max-width:760px}.who b{font-weight:900}
.app{background:#e8e8e8;color:#616061;font-size:10px;border-radius:2px;padding:0 3px;margin:0 6px}
.who time,.edited{color:#616061;font-size:12px}.thread{margin:4px 0 0 46px;border-left:2px solid #e0e0e0}
h3{font-size:18px;margin:6px 0 4px}.section{display:flex;gap:16px;margin:4px 0}.section>div{flex:1;min-width:0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:6px 16px;margin:4px 0}.context{color:#616061;font-size:13px;
margin:4px 0}.context span+span{margin-left:10px}hr{border:0;border-top:1px solid #ddd;margin:10px 0}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:8px 0}.button{display:inline-block;border:1px solid #bbb;
border-radius:4px;padding:4px 12px;font-weight:700;font-size:13px;color:#1d1c1d;text-decoration:none;background:#fff}
.button.primary{background:#007a5a;border-color:#007a5a;color:#fff}.button.danger{background:#e01e5a;
border-color:#e01e5a;color:#fff}code{background:#f6f6f6;border:1px solid #ddd;border-radius:3px;color:#c01343;
padding:1px 3px;font-size:12px}pre{background:#f6f6f6;border:1px solid #ddd;border-radius:4px;padding:8px;
overflow-x:auto;font-size:12px;margin:4px 0}blockquote{border-left:4px solid #ddd;margin:2px 0;padding-left:10px}
a{color:#1264a3}.mention{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
.too{color:#616061;font-size:12px;margin-left:8px}.replies{margin:2px 0 0 46px;padding:0 20px;font-size:13px;
font-weight:700;color:#1264a3}
.dot{display:inline-block;width:.8em;height:.8em;border-radius:50%;font-size:inherit;overflow:hidden;text-indent:2em;
white-space:nowrap;vertical-align:-.05em}.rotating_light{background:#a30200;box-shadow:0 0 0 .15em #f2b5b5}
.red_circle{background:#e01e5a}.large_orange_circle{background:#e8912d}.large_yellow_circle{background:#ecc23b}
.large_green_circle,.white_check_mark{background:#2eb67d}.white_check_mark{border-radius:.2em}
.attachment{border-left:4px solid #ddd;padding-left:12px;margin:6px 0}
"""


def render(posts: Sequence[Mapping[str, Any]], channel: str | None) -> str:
    """The page: the channel's messages with their threads; the first channel if none is named."""
    channels = list(dict.fromkeys(str(post["channel"]) for post in posts)) or ["#alerts"]
    here = channel if channel in channels else channels[0]
    shown = [post for post in posts if post["channel"] == here]
    roots = [post for post in shown if not post["thread_ts"] or post["thread_ts"] == post["ts"]]
    known = {post["ts"] for post in roots}
    # A reply outlives its root when the root is pushed out of memory.
    roots += [post for post in shown if post["ts"] not in known and post["thread_ts"] not in known]
    links = "".join(
        f'<a href="?channel={html.escape(name.removeprefix("#"), quote=True)}"'
        f"{' class=here' if name == here else ''}># {html.escape(name.removeprefix('#'))}</a>"
        for name in channels
    )
    content = "".join(_thread(root, shown) for root in roots) or '<p class="empty">No messages yet.</p>'
    title = html.escape(here)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - stand-in Slack</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<nav><h1>HotDash Demo</h1>{links}</nav><main><header>{title}<small>{len(shown)} messages, kept by the "
        f"stand-in store</small></header>{content}</main></body></html>"
    )


def _thread(root: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> str:
    replies = [post for post in shown if post["thread_ts"] == root["ts"] and post["ts"] != root["ts"]]
    if not replies:
        return _post(root)
    count = f'<div class="replies">{len(replies)} {"reply" if len(replies) == 1 else "replies"}</div>'
    return f'{_post(root)}{count}<div class="thread">{"".join(map(_post, replies))}</div>'


def _post(post: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(float(post["ts"]), UTC)
    user = html.escape(str(post["user"]))
    body = "".join(map(_block, post["blocks"])) or f'<div class="section"><div>{to_html(post["text"])}</div></div>'
    body += "".join(map(_attachment, post["attachments"]))
    edited = ' <span class="edited">(edited)</span>' if post["edited_ts"] else ""
    if post["is_broadcast"]:
        edited += '<span class="too">also sent to the channel</span>'
    return (
        f'<article class="post" id="ts-{html.escape(str(post["ts"]), quote=True)}"><div class="icon">{user[:1].upper()}'
        f'</div><div class="body"><div class="who"><b>{user}</b><span class="app">APP</span>'
        f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S} UTC</time>{edited}</div>{body}</div></article>'
    )


def _block(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    if kind == "header":
        return f"<h3>{_text(block.get('text'))}</h3>"
    if kind == "divider":
        return "<hr>"
    if kind == "section":
        text = f"<div>{_text(block['text'])}</div>" if block.get("text") else ""
        aside = _element(block["accessory"]) if isinstance(block.get("accessory"), Mapping) else ""
        fields = "".join(f"<div>{_text(one)}</div>" for one in block.get("fields") or [])
        return (f'<div class="section">{text}{aside}</div>' if text or aside else "") + (
            f'<div class="fields">{fields}</div>' if fields else ""
        )
    if kind == "context":
        inner = "".join(f"<span>{_element(one)}</span>" for one in block.get("elements") or [])
        return f'<div class="context">{inner}</div>'
    if kind == "actions":
        return f'<div class="actions">{"".join(map(_element, block.get("elements") or []))}</div>'
    if kind == "image":
        return f'<div class="context">[image: {html.escape(str(block.get("alt_text", "")))}]</div>'
    return f'<div class="context">[{html.escape(str(kind))}]</div>'


def _element(element: Mapping[str, Any]) -> str:
    kind = element.get("type")
    if kind in ("mrkdwn", "plain_text"):
        return _text(element)
    if kind == "button":
        style = element.get("style")
        classes = f"button {style}" if style in ("primary", "danger") else "button"
        label = _text(element.get("text"))
        if (url := safe_url(element.get("url", ""))) is not None:
            return f'<a class="{classes}" href="{url}" rel="noopener noreferrer">{label}</a>'
        return f'<span class="{classes}">{label}</span>'
    if kind == "image":
        return f"[image: {html.escape(str(element.get('alt_text', '')))}]"
    return f"[{html.escape(str(kind))}]"


def _attachment(attachment: Mapping[str, Any]) -> str:
    color = str(attachment.get("color", "")).removeprefix("#")
    known = {"good": "2eb886", "warning": "daa038", "danger": "a30200"}
    color = known.get(color, color)
    style = f' style="border-color:#{color}"' if len(color) == 6 and color.isalnum() and color.isascii() else ""
    inner = "".join(map(_block, attachment.get("blocks") or []))
    if not inner:
        title = f"<b>{plain(str(attachment['title']))}</b><br>" if attachment.get("title") else ""
        inner = title + to_html(str(attachment.get("text") or attachment.get("fallback") or ""))
    return f'<div class="attachment"{style}>{inner}</div>'


def _text(text: Any) -> str:
    if not isinstance(text, Mapping):
        return ""
    content = str(text.get("text", ""))
    return to_html(content) if text.get("type") == "mrkdwn" else plain(content)
