"""How bad something is, worst first.

Belongs here: the words, which settings, SLAs and alerts share. Does not belong here: who is told of which.
"""

from typing import Literal, get_args

Severity = Literal["critical", "high", "medium", "low", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def is_at_least(severity: str, least: str) -> bool:
    """Whether `severity` is `least` or worse. Raises ValueError for a word that is none."""
    order: tuple[str, ...] = SEVERITIES
    return order.index(severity) <= order.index(least)
