"""How rough the answers of the GA4 face are: spellings of numbers, rows folded or withheld, samples.

Belongs here: which reports a kind of roughness hits, and how a number is spelled then. Does not belong here: the rates
(demo/roughness.py), what a report means (`report`).

A total of dates alone is never hit: Google folds, withholds and samples where a report is broken down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotdash_pipelines.demo.ga4.request import ReportRequest
from hotdash_pipelines.demo.world.shop import Shop

FOLDED_ROW_CAP = 8
WITHHELD_BELOW_USERS = 25
SAMPLED_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Roughened:
    """What happens to one report of one date range."""

    folds: bool
    withholds: bool
    samples: bool


def roughened(shop: Shop, asked: ReportRequest) -> Roughened:
    """What happens to this report, always the same for the same dates and dimensions."""
    labels = (asked.date_ranges[0].start.isoformat(), ",".join(asked.dimensions))
    is_broken_down = bool({*asked.dimensions} - {"date"})
    folds, withholds, samples = (
        is_broken_down and shop.is_rough(kind, *labels) for kind in ("folded_rows", "withheld_rows", "sampled_reports")
    )
    return Roughened(folds, withholds, samples)


def spelled(shop: Shop, value: float, *labels: object) -> str:
    """A figure as text: plain, or as the double that it is inside Google's server.

    No double is further from the figure than doubles of its size lie apart.
    """
    plain = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    if not shop.is_rough("double_figures", *labels):
        return plain
    if value != int(value):
        return repr(math.nextafter(value, 0))
    number = int(value)
    if number and number % 10 == 0:
        exponent = len(str(number)) - 1
        return f"{number / 10**exponent!r}E{exponent}"
    return f"{number}.0"
