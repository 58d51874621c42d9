"""What is told of a broken promise: facts to words.

Belongs here: wording for a person who is woken by it. Does not belong here: the facts (sla), a channel's format
(alerts/channels), keeping and sending the message (outbox.py, delivery.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hotdash_pipelines.alerts.message import EDIT, Alert, Block, Line, Links, TextSpan, line
from hotdash_pipelines.alerts.wording.words import listed, store_time, utc
from hotdash_pipelines.base.durations import lasted
from hotdash_pipelines.redaction.scrub import safe_line

NewsKind = Literal["opened", "escalated", "raised", "acknowledged", "resolved", "suppressed", "unsuppressed", "warned"]
Level = Literal["low", "medium", "high", "critical"]

UNKNOWN_RUNBOOK = "docs/runbooks/sla-unknown.md"

_SHOWN = 10
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
                _whole(news, links),
                owners=(news.owner,),
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


def _alert(news: ViolationNews, key: str, blocks: tuple[Block, ...], **more: Any) -> Alert:
    return Alert(
        key,
        f"sla_{news.kind}",
        news.severity,
        _summary(news),
        blocks,
        owners=(news.owner,),
        target=news.target,
        thread_key=news.incident,
        violation_id=news.violation_id,
        incident_id=news.incident_id,
        event_kind=news.kind,
        event_level=news.level,
        hold_until=news.hold_until,
        **more,
    )


def _whole(news: ViolationNews, links: Links) -> tuple[Block, ...]:
    """All that a person needs; of a resolved one, its title struck and the end above it."""
    is_over = news.kind == "resolved"
    blocks: list[Block] = []
    if is_over:
        blocks.append(Block("text", (line(TextSpan(_title(news), "struck")), _end_line(news))))
    else:
        blocks.append(Block("title", (line(TextSpan(news.severity, "sign"), " ", _title(news)),)))
    mention = line(TextSpan(news.mention.strip(), "mention")) if news.mention and news.mention.strip() else ()
    opening = _opening_line(news)
    if mention or opening:
        blocks.append(Block("text", ((*mention, *(line(" ") if mention and opening else ()), *opening),)))
    blocks.append(Block("quote", (line(safe_line(news.told)),)))
    blocks.append(Block("facts", tuple(_facts(news))))
    if not is_over:
        blocks += _impact(news)
    if news.acked_by and not is_over:
        blocks.append(Block("text", (_acked_line(news),)))
    return (*blocks, _footer(news, links))


def _ending(news: ViolationNews, links: Links) -> tuple[Block, ...]:
    """A short answer in the thread; it names the promise, for it may be read outside of its thread."""
    if news.kind == "acknowledged":
        first = _acked_line(news)
    elif news.kind == "suppressed":
        cause = TextSpan(news.suppressed_by, "code") if news.suppressed_by else "something upstream"
        first = line(
            TextSpan("Quiet from here", "bold"), ": ", cause, " is behind it, and its incident tells when it is over"
        )
    else:
        first = _end_line(news)
    blocks = [Block("text", (first, line(_title(news))))]
    if news.kind == "acknowledged" and (note := _note(news)):
        blocks.append(Block("quote", (line(safe_line(note)),)))
    return (*blocks, _footer(news, links))


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
    return f"{what}{_title(news)}, {news.severity}: {safe_line(news.told)}; since {utc(news.since)}, owner {news.owner}"


def _title(news: ViolationNews) -> str:
    what = f"{news.dataset} {news.partition}".strip()
    again = " again" if news.reopened and news.kind == "opened" else ""
    return f"[{news.environment}] {what}: {news.title}{again}"


def _opening_line(news: ViolationNews) -> Line:
    def said(strong: str, rest: str) -> Line:
        return line(TextSpan(strong, "bold"), rest)

    if news.kind == "escalated":
        length = lasted(news.at - news.since)
        return said("Escalated", f" (level {news.level}): broken for {length} and not acknowledged")
    if news.kind == "raised":
        return said(f"Now {news.severity}", ": more depends on it than before")
    if news.kind == "unsuppressed":
        return said("Still broken", " after what was behind it has recovered")
    if news.kind == "warned":
        return said("Warning", ": it nears the limit and has not broken it")
    if news.reopened and news.kind == "opened":
        return said("It is back", f": time {news.reopened + 1} in this incident")
    return ()


def _end_line(news: ViolationNews) -> Line:
    when = f" · {store_time(news.recovered_at, news.zone)}" if news.recovered_at else ""
    what = _REASONS.get(news.reason or "", "Resolved")
    return line(TextSpan("resolved", "sign"), " ", TextSpan(what, "bold"), f" after {lasted(news.duration)}{when}")


def _acked_line(news: ViolationNews) -> Line:
    by = safe_line(news.acked_by or "somebody")
    return line(TextSpan("Acknowledged", "bold"), f" by {by}; it escalates no further")


def _note(news: ViolationNews) -> str:
    """What was said with an acknowledgement, behind the name."""
    name = f"acknowledged by {news.acked_by}; "
    return news.told.removeprefix(name) if news.told.startswith(name) else ""


def _facts(news: ViolationNews) -> list[Line]:
    lasts = lasted(news.duration if news.duration is not None else news.at - news.since)
    facts = [
        line("Last seen" if news.kind == "resolved" else "Now", news.actual),
        line("Promised", news.expected),
        line("Since", f"{store_time(news.since, news.zone)}\nfor {lasts}"),
        line("Severity", news.severity),
        line("Owner", news.owner),
        line("SLA", TextSpan(news.sla, "code")),
    ]
    if news.peak and news.peak != news.actual:
        facts.append(line("Worst", news.peak))
    return facts


def _impact(news: ViolationNews) -> Sequence[Block]:
    blocks = []
    if news.tiles:
        tiles = f" ({len(news.tiles)}): {listed(news.tiles, _SHOWN)}"
        blocks.append(Block("text", (line(TextSpan("Dashboards", "bold"), tiles),)))
    if news.assets:
        assets = f" ({len(news.assets)}): {listed(news.assets, _SHOWN)}"
        blocks.append(Block("text", (line(TextSpan("Made from it", "bold"), assets),)))
    if news.behind:
        first = line(TextSpan("Late behind it", "bold"), f" ({len(news.behind)}), not told by themselves:")
        late = [line(f"• {name}") for name in news.behind[:_SHOWN]]
        if len(news.behind) > _SHOWN:
            late.append(line(f"• and {len(news.behind) - _SHOWN} more"))
        blocks.append(Block("text", (first, *late)))
    return blocks or [Block("text", (line(TextSpan("Impact", "bold"), ": nothing is made from it"),))]


def _footer(news: ViolationNews, links: Links) -> Block:
    shown = []
    if "/" in news.dataset:
        shown.append(TextSpan("Asset", url=links.asset(news.dataset)))
    shown.append(
        TextSpan(f"Run {news.run_id[:8]}", url=links.run(news.run_id))
        if news.run_id
        else TextSpan("Runs", url=links.runs())
    )
    if news.runbook:
        shown.append(TextSpan("Runbook", url=links.runbook(news.runbook)))
    if news.is_unknown:
        shown.append(TextSpan("Why it is not known", url=links.runbook(UNKNOWN_RUNBOOK)))
    if news.kind in ("opened", "escalated", "raised", "unsuppressed"):
        shown.append(TextSpan(f"hotdash sla ack {news.sla} --by YOU", "code"))
    return Block("footer", tuple(line(span) for span in shown))
