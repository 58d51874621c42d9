"""What is told of a run that failed, and of the blocking checks behind it: facts to words.

Belongs here: titles, lines, links. Does not belong here: reading the facts (checks.py, the sensor), a channel's format
(alerts/channels), keeping and sending the message (outbox.py, delivery.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hotdash_pipelines.alerts.message import Alert, Block, Line, Links, TextSpan, line
from hotdash_pipelines.alerts.wording.words import listed, utc
from hotdash_pipelines.redaction.scrub import safe_line

RUN_RUNBOOK = "docs/runbooks/run-failed.md"
CHECK_RUNBOOK = "docs/runbooks/quality-check-failed.md"

_CHECKS_SHOWN = 10
_REASONS_SHOWN = 5
_NAMES_SHOWN = 3
_APART = "   "


@dataclass(frozen=True)
class FailedStep:
    """A step that failed, and why: any error text, which is cut to one line and cleaned before it is shown."""

    name: str
    reason: str


@dataclass(frozen=True)
class FailedRun:
    """A run that ended badly. `root_run_id` is the first run of its chain of retries, its own id when it is the first.

    `reason` is why the run ended where no step of it failed. `runbook` is the page of docs/ that says what to do.
    """

    run_id: str
    root_run_id: str
    job: str
    environment: str
    owner: str
    failed_at: datetime
    started_at: datetime | None = None
    failed_steps: tuple[FailedStep, ...] = ()
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
    details = [_fact("Since", utc(run.failed_at)), _fact("Owner", run.owner)]
    blocks = [Block("title", (line(title),)), *_failures(run.failed_steps, run.reason, details), _footer(run, links)]
    text = f"{title} at {utc(run.failed_at)}, owner {run.owner}"
    text += _in_short([step.reason for step in run.failed_steps] or [run.reason])
    return Alert(_key(run), "run_failed", "critical", text, tuple(blocks), owners=(run.owner,))


def failed_checks_alert(run: FailedRun, checks: Sequence[FailedCheck], links: Links) -> Alert:
    """The alert of blocking checks that failed in a run, and of what else failed in it. Raises ValueError without any
    check.
    """
    if not checks:
        raise ValueError("no failed check to report")
    others = [step for step in run.failed_steps if not any(_is_of(step, check) for check in checks)]
    title = f"[{run.environment}] {_counted(len(checks), 'blocking check')}"
    title += f" and {_counted(len(others), 'step')}" if others else ""
    title += f" failed in {run.job}"
    blocks = [Block("title", (line(title),)), *(_check(check, links) for check in checks[:_CHECKS_SHOWN])]
    if len(checks) > _CHECKS_SHOWN:
        blocks.append(Block("text", (line(f"and {len(checks) - _CHECKS_SHOWN} more, see the run"),)))
    blocks += [*_failures(others, "", []), _footer(run, links)]
    named = listed([f"{check.asset} {check.check}" for check in checks], _NAMES_SHOWN)
    since, owners = min(check.since for check in checks), sorted({check.owner for check in checks})
    if others:
        owners = sorted({*owners, run.owner})
    text = f"{title}: {named}, since {utc(since)}, owner {listed(owners, _NAMES_SHOWN)}"
    text += _in_short([step.reason for step in others])
    return Alert(_key(run), "checks_failed", "critical", text, tuple(blocks), owners=tuple(owners))


def _is_of(step: FailedStep, check: FailedCheck) -> bool:
    """Whether a step failed by this check: then its reason only names it."""
    return check.check in step.reason and check.asset in step.reason


def _failures(steps: Sequence[FailedStep], reason: str, details: Sequence[Line]) -> list[Block]:
    """Facts, the steps, and each reason once: a source that is away has one for each of its streams."""
    reasons = list(dict.fromkeys(told for step in steps if (told := safe_line(step.reason))))
    if not steps and reason:
        reasons = [safe_line(reason)]
    facts = [*details]
    if steps:
        facts.append(_fact("Steps", listed([step.name for step in steps], _NAMES_SHOWN)))
    blocks = [Block("text", tuple(facts))] if facts else []
    if reasons:
        blocks.append(Block("quote", tuple(line(told) for told in reasons[:_REASONS_SHOWN])))
    if len(reasons) > _REASONS_SHOWN:
        blocks.append(Block("text", (line(f"and {len(reasons) - _REASONS_SHOWN} more, see the run"),)))
    return blocks


def _in_short(reasons: Sequence[str]) -> str:
    told = list(dict.fromkeys(filter(None, map(safe_line, reasons))))
    if not told:
        return ""
    return f": {told[0]}" + (f" (and {len(told) - 1} more)" if len(told) > 1 else "")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"


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
