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
from hotdash_pipelines.sla.records.notice import Behind, Enqueue, Notice

if TYPE_CHECKING:
    import psycopg

    from hotdash_pipelines.alerts.channels.channel import Destination

_NEAR = "near its limit"
_BROKEN = "a promise was broken"


def _unheard(_reason: str) -> None:
    pass


def notice_writer(settings: Settings, run_of: Callable[[str], str | None] | None = None) -> Enqueue:
    """What the store of SLA records calls with each notice: writes its messages, and never commits.

    `run_of` names the run to look at for a dataset; without it the message links to the list of runs. It gives what
    failed, one line each. What cannot be worded, or not be taken as it was worded, goes out as a plain line; an outbox
    that does not take that either raises.
    """

    def write(conn: "psycopg.Connection[Any]", notice: Notice, now: datetime) -> tuple[str, ...]:
        failed: list[str] = []
        destinations: tuple[Destination, ...] = ()
        try:
            destinations = alert_destinations(settings)
            # Whatever the server refuses of the message must not end the caller's transaction.
            with conn.transaction():
                run_id = run_of(notice.dataset) if run_of else None
                alerts = notice_alerts(settings, notice, run_id, failed.append)
                enqueue_all(conn, alerts, now, destinations)
        except Exception as error:
            if conn.closed:
                raise
            failed.append(f"its message could not be worded ({type(error).__name__})")
            enqueue_all(conn, [plain_alert(settings, notice, failed[-1])], now, destinations)
        return tuple(failed)

    return write


def notice_alerts(
    settings: Settings, notice: Notice, run_id: str | None = None, failed: Callable[[str], None] = _unheard
) -> tuple[Alert, ...]:
    """The messages of a notice, in order; none for an event that a root's message speaks for.

    `failed` is told what was left out.
    """
    if notice.event.silent:
        return ()
    return violation_alerts(notice_news(settings, notice, run_id, failed), ui_links(settings))


def plain_alert(settings: Settings, notice: Notice, reason: str) -> Alert:
    """The message of a notice whose own could not be made: names alone, worded by nothing that could fail again."""
    event = notice.event
    what = f"{notice.dataset} {event.partition}".strip()
    is_of_thread = notice.violation_id is not None and event.incident is not None
    return Alert(
        f"violation:{notice.violation_id}:{event.kind}:{event.level}"
        if is_of_thread
        else f"warned:{event.sla}:{event.partition}:{event.at.isoformat()}",
        f"sla_{event.kind}",
        event.severity,
        f"[{settings.stage}] {what}: SLA {event.sla} {event.kind}, {event.severity}, owner {notice.owner}; {reason}: "
        "see `hotdash sla status`",
        (),
        target=_target(notice),
        thread_key=event.incident if is_of_thread else None,
        action="reply" if is_of_thread else "post",
        violation_id=notice.violation_id if is_of_thread else None,
        incident_id=notice.incident_id if is_of_thread else None,
        event_kind=event.kind if is_of_thread else None,
        event_level=event.level if is_of_thread else None,
        hold_until=event.hold_until,
    )


def notice_news(
    settings: Settings, notice: Notice, run_id: str | None = None, failed: Callable[[str], None] = _unheard
) -> ViolationNews:
    """A notice as the facts of its message."""
    event, violation = notice.event, notice.event.violation
    is_unknown = violation is not None and violation.kind == "unknown"
    return ViolationNews(
        kind=event.kind,
        sla=event.sla,
        dataset=notice.dataset,
        title=_title(notice, failed),
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
        target=_target(notice),
        hold_until=event.hold_until,
    )


def _target(notice: Notice) -> str:
    return notice.event.channel or (notice.definition.channel if notice.definition else None) or notice.owner


def _title(notice: Notice, failed: Callable[[str], None]) -> str:
    violation = notice.event.violation
    if violation is not None and violation.kind == "unknown":
        return "nobody can tell how it is"
    if notice.event.kind == "warned":
        return _NEAR
    if notice.definition is None:
        return _BROKEN
    try:
        return f"{notice.definition.sla_type.title}"
    except Exception as error:  # noqa: BLE001 - a message without its title is better than none
        failed(f"its title could not be worded ({type(error).__name__})")
        return _BROKEN


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


def _behind(behind: Behind) -> str:
    what = f"{behind.dataset} {behind.partition}".strip()
    return f"{what} ({behind.sla}, {behind.owner})"
