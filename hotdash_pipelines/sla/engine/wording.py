"""Numbers with their units as plain English.

Does not belong here: lengths of time (base/durations.py), verdicts (verdict.py), messages (alerts).
"""

import math

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
