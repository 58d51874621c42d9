"""What is told of a broken promise: pure functions from the facts of a violation to Slack's Block Kit.

Belongs here: wording and layout for a person who is woken by it. Does not belong here: the facts (sla), keeping and
sending the message (outbox.py, delivery.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hotdash_pipelines.alerts.wording.run_failures import EDIT, Alert, Links, escape, safe_line
from hotdash_pipelines.base.durations import lasted

NewsKind = Literal["opened", "escalated", "raised", "acknowledged", "resolved", "suppressed", "unsuppressed", "warned"]
Level = Literal["low", "medium", "high", "critical"]

UNKNOWN_RUNBOOK = "docs/runbooks/sla-unknown.md"

_SHOWN = 10
_HEADER_LENGTH = 150
_SIGNS: dict[Level, str] = {
    "critical": ":rotating_light:",
    "high": ":red_circle:",
    "medium": ":large_orange_circle:",
    "low": ":large_yellow_circle:",
}
_REASONS = {
    "recovered": "Resolved",
    "retired": "Closed: the SLA was removed",
    "changed": "Closed: the SLA was changed",
    "known": "Known again",
}
# These are seen in the channel too: an answer in a thread wakes nobody.
_LOUD = ("opened", "escalated", "raised", "unsuppressed")


@dataclass(frozen=True)
class ViolationNews:
    """One event of a violation, with all that its message says; lengths in `duration`, instants aware.

    `title` is what is wrong in a few words; `told` one line about it; `expected`, `actual` and `peak` are worded with
    their units. `behind` lists what is late because of it, `assets` and `tiles` what is made from it. A `warned` event
    has neither violation nor incident. `zone` is the store's.
    """

    kind: NewsKind
    sla: str
    dataset: str
    title: str
    told: str
    expected: str
    actual: str
    severity: Level
    owner: str
    environment: str
    at: datetime
    since: datetime
    zone: ZoneInfo
    runbook: str | None = None
    partition: str = ""
    peak: str = ""
    level: int = 0
    is_unknown: bool = False
    reopened: int = 0
    reason: str | None = None
    duration: timedelta | None = None
    recovered_at: datetime | None = None
    acked_by: str | None = None
    mention: str | None = None
    suppressed_by: str | None = None
    behind: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    run_id: str | None = None
    violation_id: int | None = None
    incident_id: int | None = None
    incident: str | None = None
    target: str | None = None
    hold_until: datetime | None = None


def violation_alerts(news: ViolationNews, links: Links) -> tuple[Alert, ...]:
    """What to send about an event, in order: a message of the incident's thread, and the edit of the violation's first.

    The edit strikes what is over, or says who looks after it; it tells nothing that the message before does not.
    """
    if news.violation_id is None or news.incident is None:
        key = f"warned:{news.sla}:{news.partition}:{news.at.isoformat()}"
        return (
            Alert(
                key,
                f"sla_{news.kind}",
                news.severity,
                _summary(news),
                tuple(_whole(news, links)),
                target=news.target,
                hold_until=news.hold_until,
            ),
        )
    key = f"violation:{news.violation_id}:{news.kind}:{news.level}"
    ends = news.kind in ("resolved", "acknowledged", "suppressed")
    blocks = _ending(news, links) if ends else _whole(news, links)
    message = _alert(news, key, blocks, action="reply", everywhere=ends, broadcast=news.kind in _LOUD)
    if news.kind not in ("resolved", "acknowledged"):
        return (message,)
    return message, _alert(news, key + EDIT, _whole(news, links), action="update", everywhere=True)


def _alert(news: ViolationNews, key: str, blocks: Sequence[dict[str, Any]], **more: Any) -> Alert:
    return Alert(
        key,
        f"sla_{news.kind}",
        news.severity,
        _summary(news),
        tuple(blocks),
        target=news.target,
        thread_key=news.incident,
        violation_id=news.violation_id,
        incident_id=news.incident_id,
        event_kind=news.kind,
        event_level=news.level,
        hold_until=news.hold_until,
        **more,
    )


def _whole(news: ViolationNews, links: Links) -> list[dict[str, Any]]:
    """All that a person needs; of a resolved one, its title struck and the end above it."""
    is_over = news.kind == "resolved"
    blocks: list[dict[str, Any]] = []
    if is_over:
        blocks.append(_section(f"*~{escape(_title(news))}~*\n{_end_line(news)}"))
    else:
        blocks.append(_header(f"{_SIGNS[news.severity]} {_title(news)}"))
    if line := " ".join(filter(None, (escape_mention(news.mention or ""), _opening_line(news)))):
        blocks.append(_section(line))
    blocks.append(_section(f"> {escape(safe_line(news.told))}"))
    blocks.append({"type": "section", "fields": [_mrkdwn(f"*{name}*\n{text}") for name, text in _facts(news)]})
    if not is_over:
        blocks += [_section(text) for text in _impact(news)]
    if news.acked_by and not is_over:
        blocks.append(_section(_acked_line(news)))
    return [*blocks, _footer(news, links)]


def _ending(news: ViolationNews, links: Links) -> list[dict[str, Any]]:
    """A short answer in the thread; it names the promise, for it may be read outside of its thread."""
    if news.kind == "acknowledged":
        line = _acked_line(news)
    elif news.kind == "suppressed":
        cause = f"`{escape(news.suppressed_by)}`" if news.suppressed_by else "something upstream"
        line = f"*Quiet from here*: {cause} is behind it, and its incident tells when it is over"
    else:
        line = _end_line(news)
    blocks = [_section(f"{line}\n{escape(_title(news))}")]
    if news.kind == "acknowledged" and (said := _note(news)):
        blocks.append(_section(f"> {escape(safe_line(said))}"))
    return [*blocks, _footer(news, links)]


def _summary(news: ViolationNews) -> str:
    """One line for notifications and screen readers."""
    what = {
        "escalated": f"escalated (level {news.level}): ",
        "raised": f"raised to {news.severity}: ",
        "acknowledged": "acknowledged: ",
        "suppressed": "quiet, something upstream is behind it: ",
        "warned": "warning: ",
    }.get(news.kind, "")
    if news.kind == "resolved":
        what = f"{_REASONS.get(news.reason or '', 'Resolved').lower()} after {lasted(news.duration)}: "
    return escape(
        f"{what}{_title(news)}, {news.severity}: {safe_line(news.told)}; since {_utc(news.since)}, owner {news.owner}"
    )


def _title(news: ViolationNews) -> str:
    what = f"{news.dataset} {news.partition}".strip()
    again = " again" if news.reopened and news.kind == "opened" else ""
    return f"[{news.environment}] {what}: {news.title}{again}"


def _opening_line(news: ViolationNews) -> str:
    if news.kind == "escalated":
        return f"*Escalated* (level {news.level}): broken for {lasted(news.at - news.since)} and not acknowledged"
    if news.kind == "raised":
        return f"*Now {news.severity}*: more depends on it than before"
    if news.kind == "unsuppressed":
        return "*Still broken* after what was behind it has recovered"
    if news.kind == "warned":
        return "*Warning*: it nears the limit and has not broken it"
    if news.reopened and news.kind == "opened":
        return f"*It is back*: time {news.reopened + 1} in this incident"
    return ""


def _end_line(news: ViolationNews) -> str:
    when = f" · {_store_time(news.recovered_at, news.zone)}" if news.recovered_at else ""
    what = _REASONS.get(news.reason or "", "Resolved")
    return f":white_check_mark: *{what}* after {lasted(news.duration)}{when}"


def _acked_line(news: ViolationNews) -> str:
    return f"*Acknowledged* by {escape(safe_line(news.acked_by or 'somebody'))}; it escalates no further"


def _note(news: ViolationNews) -> str:
    """What was said with an acknowledgement, behind the name."""
    name = f"acknowledged by {news.acked_by}; "
    return news.told.removeprefix(name) if news.told.startswith(name) else ""


def _facts(news: ViolationNews) -> list[tuple[str, str]]:
    lasts = lasted(news.duration if news.duration is not None else news.at - news.since)
    facts = [
        ("Last seen" if news.kind == "resolved" else "Now", escape(news.actual)),
        ("Promised", escape(news.expected)),
        ("Since", f"{_store_time(news.since, news.zone)}\nfor {lasts}"),
        ("Severity", news.severity),
        ("Owner", escape(news.owner)),
        ("SLA", f"`{escape(news.sla)}`"),
    ]
    if news.peak and news.peak != news.actual:
        facts.append(("Worst", escape(news.peak)))
    return facts


def _impact(news: ViolationNews) -> list[str]:
    texts = []
    if news.tiles:
        texts.append(f"*Dashboards* ({len(news.tiles)}): {escape(_listed(news.tiles))}")
    if news.assets:
        texts.append(f"*Made from it* ({len(news.assets)}): {escape(_listed(news.assets))}")
    if news.behind:
        lines = [f"• {escape(one)}" for one in news.behind[:_SHOWN]]
        if len(news.behind) > _SHOWN:
            lines.append(f"• and {len(news.behind) - _SHOWN} more")
        texts.append(f"*Late behind it* ({len(news.behind)}), not told by themselves:\n" + "\n".join(lines))
    return texts or ["*Impact*: nothing is made from it"]


def _footer(news: ViolationNews, links: Links) -> dict[str, Any]:
    shown = []
    if "/" in news.dataset:
        shown.append(f"<{links.asset(news.dataset)}|Asset>")
    shown.append(f"<{links.run(news.run_id)}|Run {news.run_id[:8]}>" if news.run_id else f"<{links.runs()}|Runs>")
    if news.runbook:
        shown.append(f"<{links.runbook(news.runbook)}|Runbook>")
    if news.is_unknown:
        shown.append(f"<{links.runbook(UNKNOWN_RUNBOOK)}|Why it is not known>")
    if news.kind in ("opened", "escalated", "raised", "unsuppressed"):
        shown.append(f"`hotdash sla ack {escape(news.sla)} --by YOU`")
    return {"type": "context", "elements": [_mrkdwn(" · ".join(shown))]}


def escape_mention(mention: str) -> str:
    """A mention as Slack reads it: `<!here>` and `<@U123>` as they are, `@here` as the former, all else as text."""
    word = mention.strip()
    if word.removeprefix("@") in ("here", "channel", "everyone"):
        return f"<!{word.removeprefix('@')}>"
    inner = word[1:-1]
    is_marked = word.startswith(("<@", "<!")) and word.endswith(">") and not set(inner) & set("<>& \n")
    return word if is_marked else escape(word)


def _store_time(moment: datetime, zone: ZoneInfo) -> str:
    local, utc = moment.astimezone(zone), moment.astimezone(UTC)
    if local.utcoffset() == utc.utcoffset():
        return _utc(moment)
    other_day = f"{utc:%m-%d} " if local.date() != utc.date() else ""
    return f"{local:%Y-%m-%d %H:%M %Z} ({other_day}{utc:%H:%M} UTC)"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_SHOWN])
    return listed if len(names) <= _SHOWN else f"{listed} and {len(names) - _SHOWN} more"


def _header(text: str) -> dict[str, Any]:
    shown = text if len(text) <= _HEADER_LENGTH else f"{text[: _HEADER_LENGTH - 1]}…"
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": True}}


def _section(markdown: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(markdown)}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text if len(text) <= 2900 else f"{text[:2899]}…"}
