"""From an event of the SLA engine to the messages of the outbox.

Belongs here: which fact of a notice goes where in a message, shared by the evaluation sensor and `hotdash sla ack`.
Does not belong here: the events (sla), layout and delivery (alerts).
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts import Alert, enqueue_all
from hotdash_pipelines.alerts.wording.violations import ViolationNews, violation_alerts
from hotdash_pipelines.services.connections import alert_destinations
from hotdash_pipelines.services.notifications import ui_links
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sla import measured
from hotdash_pipelines.sla.records.notice import Behind, Notice

if TYPE_CHECKING:
    import psycopg

_NEAR = "near its limit"


def notice_writer(
    settings: Settings, run_of: Callable[[str], str | None] | None = None
) -> "Callable[[psycopg.Connection[Any], Notice, datetime], int]":
    """What the store of SLA records calls with each notice: writes its messages, and never commits.

    `run_of` names the run to look at for a dataset; without it the message links to the list of runs.
    """

    def write(conn: "psycopg.Connection[Any]", notice: Notice, now: datetime) -> int:
        alerts = notice_alerts(settings, notice, run_of(notice.dataset) if run_of else None)
        return enqueue_all(conn, alerts, now, alert_destinations(settings))

    return write


def notice_alerts(settings: Settings, notice: Notice, run_id: str | None = None) -> tuple[Alert, ...]:
    """The messages of a notice, in order; none for an event that a root's message speaks for."""
    if notice.event.silent:
        return ()
    return violation_alerts(notice_news(settings, notice, run_id), ui_links(settings))


def notice_news(settings: Settings, notice: Notice, run_id: str | None = None) -> ViolationNews:
    """A notice as the facts of its message."""
    event, definition, violation = notice.event, notice.definition, notice.event.violation
    is_unknown = violation is not None and violation.kind == "unknown"
    return ViolationNews(
        kind=event.kind,
        sla=event.sla,
        dataset=notice.dataset,
        title=_title(notice),
        told=_told(event.message, notice.dataset, event.partition),
        expected=_expected(notice),
        actual="not known" if is_unknown else _value(notice, "actual"),
        peak="" if is_unknown else _value(notice, "peak"),
        severity=event.severity,
        owner=notice.owner,
        environment=settings.stage,
        at=event.at,
        since=violation.breach_since if violation else event.at,
        zone=settings.zone,
        runbook=notice.runbook,
        partition=event.partition,
        level=event.level,
        is_unknown=is_unknown,
        reopened=event.reopened,
        reason=event.reason,
        duration=event.duration,
        recovered_at=event.recovered_at,
        acked_by=violation.acked_by if violation else None,
        mention=event.mention,
        suppressed_by=event.suppressed_by[0] if event.suppressed_by else None,
        behind=tuple(_behind(one) for one in notice.behind),
        assets=notice.impact.assets,
        tiles=notice.impact.tiles,
        run_id=run_id,
        violation_id=notice.violation_id,
        incident_id=notice.incident_id,
        incident=event.incident,
        target=event.channel or (definition.channel if definition else None) or notice.owner,
        hold_until=event.hold_until,
    )


def _title(notice: Notice) -> str:
    violation = notice.event.violation
    if violation is not None and violation.kind == "unknown":
        return "nobody can tell how it is"
    if notice.event.kind == "warned":
        return _NEAR
    return notice.definition.sla_type.title if notice.definition else "a promise was broken"


def _told(message: str, dataset: str, partition: str) -> str:
    """The engine's line without its subject, which the title names: long names read like tokens to the cleaning."""
    return message.removeprefix(f"{dataset} {partition}".strip()).removeprefix(dataset).lstrip(" :") or message


def _expected(notice: Notice) -> str:
    definition, violation = notice.definition, notice.event.violation
    if definition is None:
        return f"{violation.expected:g}" if violation else "removed"
    if definition.kind == "deadline":
        slack = definition.rule.target
        grace = f" and {measured(slack, definition.unit or 'minutes')}" if slack else ""
        return f"by {definition.by:%H:%M} {definition.zone}{grace}"
    target = violation.expected if violation else definition.rule.target
    words = "at least" if definition.rule.at_least else "at most"
    return f"{words} {measured(target, definition.unit or 'count')}"


def _value(notice: Notice, name: str) -> str:
    definition, violation = notice.definition, notice.event.violation
    value: float | None = getattr(violation, name) if violation else None
    if value is None:
        return "see above" if violation is None else "not there"
    if definition is None:
        return f"{value:g}"
    amount = measured(abs(value), definition.unit or "count")
    return f"{amount} late" if definition.kind == "deadline" else amount


def _behind(one: Behind) -> str:
    what = f"{one.dataset} {one.partition}".strip()
    return f"{what} ({one.sla}, {one.owner})"
