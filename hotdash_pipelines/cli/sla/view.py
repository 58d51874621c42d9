"""How SLAs look on a terminal: one line each.

Belongs here: words, columns, colours. Does not belong here: reading them (verbs.py), texts of verdicts
(sla.engine.wording).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

from hotdash_pipelines.base.durations import lasted

if TYPE_CHECKING:
    from hotdash_pipelines.sla import Definition
    from hotdash_pipelines.sla.records.history import Standing, ViolationRow

HEADINGS = ("Detection", "Triage", "Resolution")
_COLOURS = {"breach": "red", "unknown": "yellow", "pending": "cyan", "ok": "green"}
# The worst first, as they are sorted.
_ORDER = ("breach", "unknown", "pending", "ok")


def columns(rows: Iterable[Sequence[str]], colours: Mapping[str, str] | None = None) -> list[str]:
    """Rows as lines, each column as wide as its widest word; nothing is cut. `colours` are of the first column."""
    rows = [tuple(row) for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    # A column that is empty everywhere takes no room.
    shown = [place for place, width in enumerate(widths) if width]
    lines = []
    for row in rows:
        padded = [row[place].ljust(widths[place]) for place in shown]
        text = "  ".join(padded).rstrip()
        colour = (colours or {}).get(row[0])
        if colour and shown and shown[0] == 0:
            text = typer.style(text[: widths[0]], fg=colour) + text[widths[0] :]
        lines.append(text)
    return lines


def promise(definition: "Definition", zone: ZoneInfo) -> str:
    """What is promised, in a few words: `by 06:00`, `at most 26 hours`, `at least 99.5 %`.

    A time of day names its zone when that is not the store's `zone`.
    """
    from hotdash_pipelines.sla import measured

    target = float(definition.target or 0)
    if states := definition.sla_type.states:
        return f"not {states[-1]}"
    amount = measured(target, definition.unit or "count")
    if counts := definition.sla_type.counts:
        return f"at most {amount} {counts}"
    if definition.kind == "deadline":
        clock = "" if definition.zone == str(zone) else f" {definition.zone}"
        return f"by {definition.by:%H:%M}{clock}{f' and {amount}' if target else ''}"
    return f"{'at least' if definition.comparison == 'at_least' else 'at most'} {amount}"


def verdicts(
    definitions: Iterable["Definition"],
    standings: Iterable["Standing"],
    now: datetime,
    zone: ZoneInfo,
) -> list[str]:
    """One line an SLA, what is open first; of several partitions the worst one."""
    by_name: dict[str, list[Standing]] = {}
    for standing in standings:
        by_name.setdefault(standing.sla, []).append(standing)
    rows = [_row(one, sorted(by_name.get(one.name, ()), key=_rank), now, zone) for one in definitions]
    rows.sort(key=lambda row: (not row[5], _ORDER.index(row[0]), row[1]))
    return columns(rows, _COLOURS)


def past(violation: "ViolationRow", zone: ZoneInfo) -> tuple[str, ...]:
    """A violation as a row of `columns`."""
    from hotdash_pipelines.sla import measured

    began = violation.breach_started_at.astimezone(zone)
    name = f"{violation.sla} {violation.partition}".strip()
    length = lasted(violation.duration) if violation.duration is not None else "open"
    worst = "not known" if violation.peak is None else f"at worst {measured(float(violation.peak), violation.unit)}"
    # Only deadlines are about a partition; what was promised is a time of day then.
    promised = "late" if violation.partition else f"(promised {measured(float(violation.expected), violation.unit)})"
    taken = f"taken by {violation.acked_by}" if violation.acked_by else ""
    ended = violation.reason or ""
    incident = f"incident {violation.incident_id}"
    return (
        f"#{violation.violation_id}", f"{began:%Y-%m-%d %H:%M}", length, violation.severity, name,
        "unknown" if violation.kind == "unknown" else f"{worst} {promised}", ended, taken, incident,
    )  # fmt: skip


def _standing(standing: "Standing") -> str:
    return standing.standing or "unknown"


def _rank(standing: "Standing") -> tuple[bool, int, str]:
    return standing.violation_id is None, _ORDER.index(_standing(standing)), standing.partition


def _row(
    definition: "Definition", own: Sequence["Standing"], now: datetime, zone: ZoneInfo
) -> tuple[str, str, str, str, str, str, str]:
    if not own:
        actual = f"never looked at ({promise(definition, zone)})"
        return "unknown", definition.name, actual, "", definition.owner, "", ""
    worst = own[0]
    name = f"{definition.name} {worst.partition}".strip() if definition.kind == "deadline" else definition.name
    since = state = ""
    if worst.violation_id is not None:
        since = f"for {lasted(now - worst.breach_started_at)}" if worst.breach_started_at else ""
        state = _open(worst, sum(one.violation_id is not None for one in own[1:]))
    return (
        _standing(worst), name, _actual(definition, worst, zone), since, definition.owner, state,
        _next(definition, worst, now, zone),
    )  # fmt: skip


def _actual(definition: "Definition", standing: "Standing", zone: ZoneInfo) -> str:
    from hotdash_pipelines.sla import measured

    promised = promise(definition, zone)
    if standing.actual is None or _standing(standing) == "unknown":
        # The message begins with the dataset and says why.
        return (standing.message or f": not known ({promised})").partition(": ")[2]
    actual = float(standing.actual)
    if definition.kind == "deadline":
        return f"{_against(definition, standing, actual, zone)} ({promised})"
    if states := definition.sla_type.states:
        return f"{states[min(max(int(actual), 0), len(states) - 1)]} ({promised})"
    what = f" {definition.sla_type.counts}".rstrip()
    return f"{measured(actual, definition.unit or 'count')}{what} ({promised})"


def _against(definition: "Definition", standing: "Standing", actual: float, zone: ZoneInfo) -> str:
    """When it came, or how far it is from its deadline."""
    length = timedelta(seconds=actual * definition.rule.seconds)
    if _standing(standing) == "ok":
        came = definition.rule.due_of(standing.partition).deadline + length
        return f"there since {came.astimezone(zone):%a %m-%d %H:%M}"
    return f"{lasted(length)} late" if length > timedelta(0) else f"{lasted(-length)} to go"


def _open(standing: "Standing", others: int) -> str:
    words = [f"#{standing.violation_id} {standing.severity}"]
    if standing.suppressed_by:
        words.append(f"behind {standing.suppressed_by}")
    if standing.acked_by:
        words.append(f"taken by {standing.acked_by}")
    if others:
        words.append(f"and {others} more")
    return ", ".join(words)


def _next(definition: "Definition", standing: "Standing", now: datetime, zone: ZoneInfo) -> str:
    """The next deadline that is not kept yet, on the store's clock."""
    if definition.kind != "deadline":
        return ""
    due = definition.rule.due_at(now)
    if due.deadline <= now or (standing.standing == "ok" and standing.partition == due.partition):
        due = definition.rule.due_on(definition.calendar.after(due.day))
    return f"next {due.deadline.astimezone(zone):%a %Y-%m-%d %H:%M}"


def missing_headings(runbook: Path) -> str:
    """What a runbook lacks, in words; empty when it is complete."""
    if not runbook.is_file():
        return "is not there"
    lines = runbook.read_text().splitlines()
    lacking = [heading for heading in HEADINGS if f"## {heading}" not in lines]
    return f"lacks the heading {' and '.join(lacking)}" if lacking else ""
