"""One `runReport`: the request checked, the visits grouped, filtered, ordered and cut.

Belongs here: what a report means. Does not belong here: HTTP, tokens, quota accounting (`routes`).

After the published reference: values are text and positional, `rowCount` counts before paging, empty lists, zeroes
and false flags are left out, and a row whose metrics are all 0 is dropped unless `keepEmptyRows` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from hotdash_pipelines.demo.ga4.request import DateRange, InvalidArgument, ReportRequest
from hotdash_pipelines.demo.world.traffic import Cell, Numbers, Traffic


class Visited(NamedTuple):
    """A day, as YYYYMMDD, and a cell of it."""

    day: str
    cell: Cell


# name -> value in a report.
DIMENSIONS: dict[str, Callable[[Visited], str]] = {
    "date": lambda visited: visited.day,
    "sessionDefaultChannelGroup": lambda visited: visited.cell.channel_group,
    "sessionSource": lambda visited: visited.cell.source,
    "sessionMedium": lambda visited: visited.cell.medium,
    "sessionSourceMedium": lambda visited: f"{visited.cell.source} / {visited.cell.medium}",
    "sessionCampaignName": lambda visited: visited.cell.campaign,
    "landingPage": lambda visited: visited.cell.landing_page,
    "deviceCategory": lambda visited: visited.cell.device,
}
# name -> (type, number of it in the API's enumeration).
METRICS: dict[str, tuple[str, int]] = {
    "sessions": ("TYPE_INTEGER", 1),
    "engagedSessions": ("TYPE_INTEGER", 1),
    "totalUsers": ("TYPE_INTEGER", 1),
    "newUsers": ("TYPE_INTEGER", 1),
    "screenPageViews": ("TYPE_INTEGER", 1),
    "keyEvents": ("TYPE_FLOAT", 2),
    "ecommercePurchases": ("TYPE_INTEGER", 1),
    "totalRevenue": ("TYPE_CURRENCY", 9),
}
OTHER = "(other)"
ROW_CAP = 50_000


@dataclass(slots=True)
class Group:
    """Cells that share a row, added up."""

    total: Numbers = field(default_factory=Numbers)
    cells: int = 0

    def add(self, numbers: Numbers, cells: int = 1) -> None:
        """Count `cells` more cells in."""
        self.total.add(numbers)
        self.cells += cells

    def value(self, metric: str) -> float:
        """The metric's value; revenue in the shop's currency."""
        total = self.total
        if metric == "totalUsers":
            return Traffic.users_of(total, self.cells)
        return {
            "sessions": total.sessions,
            "engagedSessions": total.engaged_sessions,
            "newUsers": total.new_users,
            "screenPageViews": total.views,
            "keyEvents": total.key_events,
            "ecommercePurchases": total.purchases,
            "totalRevenue": total.revenue_cents / 100,
        }[metric]


Rows = dict[tuple[str, ...], Group]


@dataclass(slots=True)
class ReportAnswer:
    """The rows of a report before paging, and what its metadata must own up to."""

    rows: Rows
    loses_to_other: bool = False
    thresholded: bool = False
    sampled_share: float = 1.0


def check_fields(request: ReportRequest) -> None:
    """Raise InvalidArgument for a dimension or metric the property does not have."""
    for kind, names, known in (
        ("dimension", [*request.dimensions, *request.filter_fields], DIMENSIONS),
        ("metric", request.metrics, METRICS),
    ):
        for name in names:
            if name not in known:
                raise InvalidArgument(
                    f"Field {name} is not a valid {kind}. For a list of valid dimensions and metrics, see "
                    "https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema "
                )


def run(request: ReportRequest, traffic: Traffic, *, row_cap: int = ROW_CAP, min_users: int = 0) -> ReportAnswer:
    """Group the visits. Rows over `row_cap` go to `(other)`; rows of fewer than `min_users` users are withheld."""
    rows: Rows = {}
    readers = [DIMENSIONS[name] for name in request.dimensions]
    for date_range in request.date_ranges:
        prefix = (date_range.name,) if len(request.date_ranges) > 1 else ()
        for day in _days(date_range):
            date_text = day.strftime("%Y%m%d")
            for cell, numbers in traffic.day(day).items():
                visited = Visited(date_text, cell)
                if request.filter is None or request.filter(_reader(visited)):
                    key = (*[reader(visited) for reader in readers], *prefix)
                    group = rows.get(key)
                    if group is None:
                        group = rows[key] = Group()
                    group.add(numbers)
    report = ReportAnswer(rows)
    if len(rows) > row_cap:
        report.rows = _into_other(rows, request.dimensions, row_cap)
        report.loses_to_other = True
    if min_users:
        kept = {key: group for key, group in report.rows.items() if group.value("totalUsers") >= min_users}
        report.thresholded = len(kept) < len(report.rows)
        report.rows = kept
    if not request.keep_empty_rows:
        report.rows = {
            key: group for key, group in report.rows.items() if any(group.value(name) for name in request.metrics)
        }
    return report


def _reader(visited: Visited) -> Callable[[str], str]:
    return lambda name: DIMENSIONS[name](visited)


def body(
    request: ReportRequest,
    report: ReportAnswer,
    *,
    currency: str,
    time_zone: str,
    enums_as_numbers: bool,
    spell: Callable[..., str],
) -> dict[str, Any]:
    """The answer's JSON: headers, the page of rows, counts and metadata; `spell(value, *labels)` words a figure."""
    names = [*request.dimensions, *(["dateRange"] if len(request.date_ranges) > 1 else [])]
    types = {name: METRICS[name][1] if enums_as_numbers else METRICS[name][0] for name in request.metrics}
    answer: dict[str, Any] = {}
    if names:
        answer["dimensionHeaders"] = [{"name": name} for name in names]
    answer["metricHeaders"] = [{"name": name, "type": types[name]} for name in request.metrics]
    ordered = _ordered(request, report.rows)
    page = ordered[request.offset : request.offset + request.limit]
    if page:
        answer["rows"] = [_row(key, report.rows[key], request.metrics, spell) for key in page]
    if ordered:
        answer["rowCount"] = len(ordered)
    metadata: dict[str, Any] = {"currencyCode": currency, "timeZone": time_zone}
    if report.loses_to_other:
        metadata["dataLossFromOtherRow"] = True
    if report.thresholded:
        metadata["subjectToThresholding"] = True
    if report.sampled_share < 1:
        space = sum(group.total.views for group in report.rows.values())
        read = str(int(space * report.sampled_share))
        metadata["samplingMetadatas"] = [{"samplesReadCount": read, "samplingSpaceSize": str(space)}]
    answer["metadata"] = metadata
    answer["kind"] = "analyticsData#runReport"
    return answer


def cost(request: ReportRequest, report: ReportAnswer) -> int:
    """The tokens a report takes; Google does not publish its rule, so this one is merely monotonic in its size."""
    days = sum((one.end - one.start).days + 1 for one in request.date_ranges)
    return 1 + len(request.dimensions) // 3 + days // 30 + len(report.rows) // 5_000


def _row(key: tuple[str, ...], group: Group, metrics: list[str], spell: Callable[..., str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if key:
        row["dimensionValues"] = [{"value": value} for value in key]
    row["metricValues"] = [{"value": spell(group.value(name), *key, name)} for name in metrics]
    return row


def _days(date_range: DateRange) -> list[date]:
    return [date_range.start + timedelta(days=n) for n in range((date_range.end - date_range.start).days + 1)]


def _into_other(rows: Rows, dimensions: list[str], row_cap: int) -> Rows:
    """The biggest rows, and one row `(other)` a date for the rest; sums stay what they were."""
    biggest = sorted(rows, key=lambda key: (-rows[key].total.sessions, key))[:row_cap]
    kept = {key: rows[key] for key in biggest}
    for key, group in rows.items():
        if key not in kept or kept[key] is not group:
            named = zip(key, [*dimensions, "dateRange"], strict=False)
            other = tuple(value if name in ("date", "dateRange") else OTHER for value, name in named)
            if other not in kept:
                kept[other] = Group()
            kept[other].add(group.total, group.cells)
    return kept


def _ordered(request: ReportRequest, rows: Mapping[tuple[str, ...], Group]) -> list[tuple[str, ...]]:
    """Keys in the order asked for; by the first metric, biggest first, if nothing was asked for."""
    keys = sorted(rows)
    if not request.order_bys:
        return sorted(keys, key=lambda key: -rows[key].value(request.metrics[0]))
    for order in reversed(request.order_bys):
        if order.metric is not None:
            metric = order.metric
            keys.sort(key=lambda key: rows[key].value(metric), reverse=order.descending)
        else:
            index = request.dimensions.index(order.dimension or "")
            keys.sort(key=lambda key: order.key(key[index]), reverse=order.descending)
    return keys
