"""Numbers, spans and instants as plain English. Does not belong here: verdicts (verdict.py), messages (alerts)."""

import math
from datetime import datetime, timedelta

_SIGNS = {"percent": " %", "ms": " ms", "count": ""}


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
