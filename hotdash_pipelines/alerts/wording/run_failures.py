"""What is told of a run that failed, and of the blocking checks behind it: facts to words.

Belongs here: titles, lines, links. Does not belong here: reading the facts (checks.py, the sensor), a channel's format
(alerts/channels), keeping and sending the message (outbox.py, delivery.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hotdash_pipelines.alerts.message import Alert, Block, Links, TextSpan, line
from hotdash_pipelines.alerts.wording.words import listed, utc
from hotdash_pipelines.redaction.scrub import safe_line

RUN_RUNBOOK = "docs/runbooks/run-failed.md"
CHECK_RUNBOOK = "docs/runbooks/quality-check-failed.md"

_CHECKS_SHOWN = 10
_NAMES_SHOWN = 3
_APART = "   "


@dataclass(frozen=True)
class FailedRun:
    """A run that ended badly. `root_run_id` is the first run of its chain of retries, its own id when it is the first.

    `reason` may be any error text; it is cut to one line and cleaned before it is shown. `runbook` is the page of docs/
    that says what to do.
    """

    run_id: str
    root_run_id: str
    job: str
    environment: str
    owner: str
    failed_at: datetime
    started_at: datetime | None = None
    failed_steps: tuple[str, ...] = ()
    reason: str = ""
    runbook: str = RUN_RUNBOOK


@dataclass(frozen=True)
class FailedCheck:
    """A blocking check that failed: `since` is its first failure after it last passed; `message` holds counts only."""

    asset: str
    check: str
    message: str
    since: datetime
    owner: str
    runbook: str = CHECK_RUNBOOK


def failed_run_alert(run: FailedRun, links: Links, checks: Sequence[FailedCheck] = ()) -> Alert:
    """The alert of a failed run, with the failed blocking checks that explain it.

    A run and its failed blocking checks are one alert: both kinds carry the key of the root run.
    """
    if checks:
        return failed_checks_alert(run, checks, links)
    title = f"[{run.environment}] {run.job} failed"
    reason = safe_line(run.reason)
    details = [_fact("Since", utc(run.failed_at)), _fact("Owner", run.owner)]
    if run.failed_steps:
        details.append(_fact("Steps", listed(run.failed_steps, _NAMES_SHOWN)))
    blocks = [Block("title", (line(title),)), Block("text", tuple(details))]
    if reason:
        blocks.append(Block("quote", (line(reason),)))
    blocks.append(_footer(run, links))
    text = f"{title} at {utc(run.failed_at)}, owner {run.owner}" + (f": {reason}" if reason else "")
    return Alert(_key(run), "run_failed", "critical", text, tuple(blocks), owners=(run.owner,))


def failed_checks_alert(run: FailedRun, checks: Sequence[FailedCheck], links: Links) -> Alert:
    """The alert of blocking checks that failed in a run. Raises ValueError without any check."""
    if not checks:
        raise ValueError("no failed check to report")
    title = f"[{run.environment}] {len(checks)} blocking check{'s' if len(checks) > 1 else ''} failed in {run.job}"
    blocks = [Block("title", (line(title),)), *(_check(check, links) for check in checks[:_CHECKS_SHOWN])]
    if len(checks) > _CHECKS_SHOWN:
        blocks.append(Block("text", (line(f"and {len(checks) - _CHECKS_SHOWN} more, see the run"),)))
    blocks.append(_footer(run, links))
    named = listed([f"{check.asset} {check.check}" for check in checks], _NAMES_SHOWN)
    since, owners = min(check.since for check in checks), sorted({check.owner for check in checks})
    text = f"{title}: {named}, since {utc(since)}, owner {listed(owners, _NAMES_SHOWN)}"
    return Alert(_key(run), "checks_failed", "critical", text, tuple(blocks), owners=tuple(owners))


def _key(run: FailedRun) -> str:
    return f"run:{run.root_run_id}"


def _fact(name: str, value: str) -> tuple[TextSpan, ...]:
    return line(TextSpan(name, "bold"), f" {value}")


def _check(check: FailedCheck, links: Links) -> Block:
    return Block(
        "text",
        (
            line(TextSpan(check.asset, "bold", links.asset(check.asset)), " ", TextSpan(check.check, "code")),
            line(safe_line(check.message)),
            line(
                *_fact("Since", utc(check.since)),
                _APART,
                *_fact("Owner", check.owner),
                _APART,
                TextSpan("Runbook", url=links.runbook(check.runbook)),
            ),
        ),
    )


def _footer(run: FailedRun, links: Links) -> Block:
    shown = [
        line(TextSpan(f"Run {run.run_id[:8]}", url=links.run(run.run_id))),
        line(TextSpan("Runbook", url=links.runbook(run.runbook))),
    ]
    if run.started_at:
        shown.append(line(f"started {utc(run.started_at)}"))
    return Block("footer", tuple(shown))
