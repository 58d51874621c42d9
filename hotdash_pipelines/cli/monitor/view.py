"""The picture that `hotdash monitor` draws.

Belongs here: figures and events as panels and lines. Does not belong here: reading them.
Names from the database are put in as text, never as markup.
"""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hotdash_pipelines.agent.listen import AgentEvent, ListenState
from hotdash_pipelines.agent.live import LiveFigures
from hotdash_pipelines.base.durations import roughly

_HEALTH = {"healthy": "green", "warning": "yellow", "degraded": "red"}
_KINDS = {
    "approval_queue_stream": "approval",
    "performance_alert_stream": "slow answer",
    "training_feedback_stream": "feedback",
    "decision_sync_stream": "decision",
}
_FEWEST_EVENTS = 3


@dataclass(frozen=True)
class Picture:
    """All that is drawn at one moment. `server` is host, port and database, `stored` one line on the stored figures."""

    server: str
    role: str | None
    state: ListenState
    stored: str
    figures: LiveFigures | None
    events: tuple[AgentEvent, ...]


def draw(picture: Picture, height: int) -> RenderableType:
    """The picture for a terminal of `height` lines: events fill what the figures leave."""
    figures = picture.figures
    agents = _rows(figures, "agents")
    shown = max(1, min(len(agents), height - 18 - _FEWEST_EVENTS))
    room = max(_FEWEST_EVENTS, height - 16 - shown)
    return Group(
        _header(picture),
        _side_by_side(_queue(figures), _feedback(figures), _decisions(figures)),
        _agents(figures, shown),
        Text(),
        _events(picture.events, room),
    )


def event_text(event: AgentEvent) -> Text:
    """One event as one line: when, what, which row."""
    row = dict(event.row)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{event.at[11:19]}  ", style="dim")
    text.append(f"{_KINDS[event.channel]:12}", style="bold")
    text.append(f"#{event.id:<8} ")
    text.append_text(_what(event.channel, event.op, row))
    if event.seq is None:
        text.append("  (caught up)", style="yellow")
    elif event.lag_ms is not None and 0 <= event.lag_ms < 60_000:
        text.append(f"  {event.lag_ms:.0f} ms", style="dim")
    return text


def _what(channel: str, op: str, row: dict[str, object]) -> Text:
    if channel == "approval_queue_stream":
        status = str(row["status"])
        return Text(
            "waits for an operator" if status == "pending" else status, style="red" if status == "rejected" else ""
        )
    if channel == "performance_alert_stream":
        verdict = {True: ", approved", False: ", rejected"}.get(row["approved"], "")  # type: ignore[call-overload]
        return Text.assemble(f"{row['agent']} took ", (f"{row['latency_ms']:,} ms", "red"), verdict)
    if channel == "training_feedback_stream":
        return {
            True: Text("safe to send", style="green"),
            False: Text("not safe to send", style="red"),
        }.get(row["safe_to_send"], Text("new draft" if op == "INSERT" else "marked, no verdict yet"))  # type: ignore[call-overload]
    duration = "" if row["duration_ms"] is None else f" in {row['duration_ms']:,} ms"
    return Text(f"{row['scope']}: {row['status']}, attempt {row['attempt']}{duration}")


def _header(picture: Picture) -> Text:
    state = picture.state
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("HotDash monitor  ", style="bold")
    text.append(f"{picture.server} as {picture.role or 'its own user'}", style="dim")
    text.append("\n")
    if state.connected:
        text.append("● connected", style="green")
        text.append(f"  answers in {state.round_trip_ms or 0:.1f} ms")
        if state.lag_ms is not None and state.lag_ms < 60_000:
            text.append(f", last event shown {state.lag_ms:.0f} ms after it was written")
    else:
        text.append("● connection lost, trying again", style="bold red")
        text.append(f": {state.reason}")
    text.append("\n")
    words = [f"stored figures {picture.stored}", f"{state.delivered:,} events"]
    words += [f"{state.caught_up:,} of them caught up"] if state.caught_up else []
    words += [f"connection {state.connects}"] if state.connects > 1 else []
    words += [f"{state.hidden:,} not for this reader"] if state.hidden else []
    words += [f"no {_KINDS[channel]} events for {picture.role or 'this user'}" for channel in state.unreadable]
    words += state.notes[-1:]
    text.append(" · ".join(words), style="dim")
    return text


def _rows(figures: LiveFigures | None, part: str) -> list[dict[str, object]]:
    return [dict(row) for row in figures.parts.get(part, ())] if figures else []


def _panel(title: str, figures: LiveFigures | None, part: str, lines: list[Text | str]) -> Panel:
    if figures is None:
        lines = ["waiting for the server"]
    elif part in figures.missing:
        lines = [figures.missing[part]]
    body = Text("\n").join(line if isinstance(line, Text) else Text(line, style="dim") for line in lines)
    return Panel(body, title=title, title_align="left", height=6, border_style="dim")


def _side_by_side(*panels: Panel) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _queue(figures: LiveFigures | None) -> Panel:
    lines: list[Text | str] = []
    for row in _rows(figures, "queue"):
        oldest = row["oldest_seconds"]
        breaches = int(str(row["breaches"]))
        lines = [
            Text.assemble((f"{row['pending']:,}", "bold"), " pending"),
            Text(f"oldest waits {roughly(float(str(oldest)))}" if oldest is not None else "nothing waits"),
            Text(f"{breaches:,} over 5 minutes", style="bold red" if breaches else "green"),
            f"{row['approved']:,} yes {row['rejected']:,} no {row['expired']:,} late",
        ]
    return _panel("Approval queue", figures, "queue", lines)


def _feedback(figures: LiveFigures | None) -> Panel:
    lines: list[Text | str] = []
    for row in _rows(figures, "feedback"):
        lines = [
            Text.assemble((f"{row['drafts']:,}", "bold"), " drafts in 24 h"),
            Text(f"{row['safe']:,} safe", style="green"),
            Text(f"{row['unsafe']:,} not safe", style="red" if row["unsafe"] else ""),
            f"{row['unreviewed']:,} to be looked at",
        ]
    return _panel("Feedback", figures, "feedback", lines)


def _decisions(figures: LiveFigures | None) -> Panel:
    rows = _rows(figures, "decisions")
    lines: list[Text | str] = [
        Text(
            f"{row['events']:,} {row['status']}"
            + ("" if row["avg_duration_ms"] is None else f", {row['avg_duration_ms']:,} ms")
        )
        for row in rows[:4]
    ]
    return _panel("Decisions, last hour", figures, "decisions", lines or ["none"])


def _agents(figures: LiveFigures | None, shown: int) -> RenderableType:
    rows = _rows(figures, "agents")
    if figures and "agents" in figures.missing:
        return Text(f"Agents: {figures.missing['agents']}", style="dim")
    if not rows:
        return Text("No agent has asked anything in the last 24 hours.", style="dim")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("agent", no_wrap=True, max_width=32)
    for name in ("queries last hour", "mean ms", "p95 ms", "approved"):
        table.add_column(name, justify="right")
    table.add_column("health")
    for row in rows[:shown]:
        health = str(row["health"])
        table.add_row(
            Text(str(row["agent"])),
            f"{row['queries_last_hour']:,}",
            _number(row["avg_latency_ms"]),
            _number(row["p95_latency_ms"]),
            "-" if row["approval_rate_pct"] is None else f"{row['approval_rate_pct']:.0f} %",
            Text(health, style=_HEALTH[health]),
        )
    left = len(rows) - shown
    return Group(table, Text(f"and {left} more, healthier ones", style="dim")) if left > 0 else table


def _events(events: tuple[AgentEvent, ...], room: int) -> RenderableType:
    newest = [event_text(event) for event in reversed(events[-room:])]
    title = Text("Last events (UTC)", style="bold")
    return Group(title, *(newest or [Text("nothing yet", style="dim")]))


def _number(value: object) -> str:
    return "-" if value is None else f"{value:,.0f}"
