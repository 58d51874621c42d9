"""Verdicts and events in one line of plain English.

Belongs here: texts for logs, checks and the plain part of a message. Does not belong here: Block Kit (alerts).
"""

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotdash_pipelines.sla.engine.evaluate import Verdict

_SIGNS = {"percent": " %", "ms": " ms", "count": ""}


def told(verdict: "Verdict") -> str:
    """What was promised, what is, and why that is not known."""
    definition = verdict.definition
    unit = definition.unit or "count"
    if verdict.due is not None or definition.kind == "deadline":
        return _deadline(verdict)
    expected = f"{'at least' if definition.comparison == 'at_least' else 'at most'} {measured(verdict.expected, unit)}"
    if verdict.state == "unknown" or verdict.actual is None:
        return f"{definition.dataset}: not known: {verdict.reason} (promised: {expected})"
    return f"{definition.dataset}: {measured(verdict.actual, unit)} (promised: {expected})"


def _deadline(verdict: "Verdict") -> str:
    definition, due = verdict.definition, verdict.due
    what = f"{definition.dataset} {verdict.partition_key}".strip()
    promised = f"promised by {definition.by:%H:%M} {definition.zone}" if definition.by else "promised"
    if due is not None:
        promised += f" on {due.day}"
    if verdict.state == "unknown" or verdict.actual is None:
        return f"{what}: not known: {verdict.reason} ({promised})"
    because = f"; {verdict.reason}" if verdict.reason else ""
    amount = measured(abs(verdict.actual), definition.unit or "minutes")
    if verdict.state == "ok":
        when = f"there {amount} late" if verdict.breach_since else "there"
        return f"{what}: {when} ({promised})"
    if verdict.state == "pending":
        return f"{what}: not there yet ({promised}{because})"
    return f"{what}: not there, {amount} late ({promised}{because})"


def measured(value: float, unit: str) -> str:
    """A number with its unit: `42 minutes`, `99.2 %`, `3`."""
    if not math.isfinite(value):
        return f"{value}{_SIGNS.get(unit, f' {unit}')}"
    # Cut, not rounded: 99.996 % must not read as 100 %.
    cut = math.floor(value * 100 + 1e-6) / 100
    number = f"{cut:.2f}".rstrip("0").rstrip(".") if abs(cut) < 1000 else f"{cut:,.0f}"
    if unit in _SIGNS:
        return f"{number}{_SIGNS[unit]}"
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}"


def lasted(span: timedelta) -> str:
    """A length of time: `40 s`, `42 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    parts = (f"{hours} h", f"{minutes % 60} min") if hours < 24 else (f"{days} d", f"{hours % 24} h")
    return parts[0] if parts[1].startswith("0 ") else " ".join(parts)


def since(moment: datetime) -> str:
    """An instant as messages show it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
