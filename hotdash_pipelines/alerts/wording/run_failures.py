"""What an alert says: pure functions from the facts of a failure to Slack's Block Kit.

Belongs here: wording, links, and the removal of personal data and secrets from text that others wrote.
Does not belong here: reading the facts (checks.py, the sensor), keeping and sending the message (outbox.py,
alerts/channels/slack/webhook.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Severity = Literal["critical", "high", "medium", "low", "warning", "info"]
Action = Literal["post", "reply", "update"]
# Ends the dedupe key of an edit that repeats what another message told.
EDIT = ":edit"

RUN_RUNBOOK = "docs/runbooks/run-failed.md"
CHECK_RUNBOOK = "docs/runbooks/quality-check-failed.md"

# Limits of Block Kit are 150 characters for a header and 3,000 for a section.
_HEADER_LENGTH = 150
_REASON_LENGTH = 300
_CHECKS_SHOWN = 10

_REMOVED = (
    # Postgres quotes the values it could not take: `...: "value"` and `Key (column)=(value)`.
    (re.compile(r":\s*\"[^\"]*\""), ": (value)"),
    (re.compile(r"=\([^)]*\)"), "=(value)"),
    (re.compile(r"https?://hooks\.slack\.com/\S+"), "(webhook)"),
    (re.compile(r"(\w+://)[^\s/@]+@"), r"\1(credentials)@"),
    (re.compile(r"[^\s@<>\"(),;:=]+@[^\s@<>\"'(),;:=]+\.\w+"), "(e-mail)"),
    (re.compile(r"\b(shp[a-z]{2}_|xox[a-z]-|ghp_|sk-)\S+"), "(token)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 (token)"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_key|apikey|access_key)(\s*[=:]\s*)\S+"), r"\1\2(secret)"),
    (re.compile(r"\b[A-Za-z0-9+/_]{32,}={0,2}"), "(token)"),
    (re.compile(r"\+\d[\d\s().-]{7,}\d"), "(phone)"),
)


@dataclass(frozen=True)
class Links:
    """Where links of an alert lead: the Dagster UI, and the folder `docs` of the documentation."""

    ui_url: str
    docs_url: str

    def run(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.ui_url.rstrip('/')}/runs/{run_id}"

    def runs(self) -> str:
        """The list of runs."""
        return f"{self.ui_url.rstrip('/')}/runs"

    def asset(self, asset: str) -> str:
        """The checks of an asset such as `raw_shopify/orders`."""
        return f"{self.ui_url.rstrip('/')}/assets/{asset}?view=checks"

    def runbook(self, path: str) -> str:
        """The page of a runbook such as `docs/runbooks/run-failed.md`."""
        return f"{self.docs_url.rstrip('/')}/{path.removeprefix('docs/')}"


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


@dataclass(frozen=True)
class Alert:
    """A message for the outbox. Two alerts with one `dedupe_key` are the same alert: the first one stands.

    `target` is a channel or an owner (channels/routing.py). Messages of one `thread_key` make one thread: `post` begins
    it, `reply` answers in it (`broadcast`: seen in the channel too), `update` edits the first message of
    `violation_id`. `everywhere`: also told wherever else the thread told of this violation. Quiet hours set
    `hold_until`. A violation comes with the kind and level of its event, which with the target are unique.
    """

    dedupe_key: str
    kind: str
    severity: Severity
    text: str
    blocks: tuple[dict[str, Any], ...]
    channel: str = "slack"
    target: str | None = None
    thread_key: str | None = None
    action: Action = "post"
    violation_id: int | None = None
    incident_id: int | None = None
    event_kind: str | None = None
    event_level: int | None = None
    hold_until: datetime | None = None
    everywhere: bool = False
    broadcast: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """The body of the call; `text` is what notifications and screen readers get."""
        body: dict[str, Any] = {"text": self.text, "blocks": list(self.blocks)}
        return {**body, "reply_broadcast": True} if self.broadcast else body


def failed_run_alert(run: FailedRun, links: Links, checks: Sequence[FailedCheck] = ()) -> Alert:
    """The alert of a failed run, with the failed blocking checks that explain it.

    A run and its failed blocking checks are one alert: both kinds carry the key of the root run.
    """
    if checks:
        return failed_checks_alert(run, checks, links)
    title = f"{run.job} failed"
    reason = safe_line(run.reason)
    details = [f"*Since* {_when(run.failed_at)}", f"*Owner* {escape(run.owner)}"]
    if run.failed_steps:
        details.append(f"*Steps* {escape(_listed(run.failed_steps))}")
    blocks = [_header(run, title), _section("\n".join(details))]
    if reason:
        blocks.append(_section(f"> {escape(reason)}"))
    blocks.append(_footer(run, links))
    text = f"[{run.environment}] {title} at {_when(run.failed_at)}, owner {run.owner}" + (
        f": {reason}" if reason else ""
    )
    return Alert(_key(run), "run_failed", "critical", escape(text), tuple(blocks))


def failed_checks_alert(run: FailedRun, checks: Sequence[FailedCheck], links: Links) -> Alert:
    """The alert of blocking checks that failed in a run. Raises ValueError without any check."""
    if not checks:
        raise ValueError("no failed check to report")
    title = f"{len(checks)} blocking check{'s' if len(checks) > 1 else ''} failed in {run.job}"
    blocks = [_header(run, title)]
    for check in checks[:_CHECKS_SHOWN]:
        blocks.append(
            _section(
                f"*<{links.asset(check.asset)}|{escape(check.asset)}>* `{escape(check.check)}`\n"
                f"{escape(safe_line(check.message))}\n"
                f"*Since* {_when(check.since)}   *Owner* {escape(check.owner)}   "
                f"<{links.runbook(check.runbook)}|Runbook>"
            )
        )
    if len(checks) > _CHECKS_SHOWN:
        blocks.append(_section(f"and {len(checks) - _CHECKS_SHOWN} more, see the run"))
    blocks.append(_footer(run, links))
    named = _listed([f"{check.asset} {check.check}" for check in checks])
    since = _when(min(check.since for check in checks))
    text = f"[{run.environment}] {title}: {named}, since {since}, owner {_listed(sorted({c.owner for c in checks}))}"
    return Alert(_key(run), "checks_failed", "critical", escape(text), tuple(blocks))


def safe_line(text: str) -> str:
    """The first line of `text` without e-mail addresses, phone numbers, credentials, tokens and quoted values.

    At most 300 characters. Rooms of this project write such errors anyway; this is for the errors of others.
    """
    # Neither the outbox nor Slack takes NUL, or what no UTF-8 can spell.
    line = text.replace("\x00", "").encode("utf-8", "replace").decode().strip().partition("\n")[0]
    for pattern, replacement in _REMOVED:
        line = pattern.sub(replacement, line)
    return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 1]}…"


def escape(text: str) -> str:
    """Text with Slack's three control characters escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _key(run: FailedRun) -> str:
    return f"run:{run.root_run_id}"


def _header(run: FailedRun, title: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": f"[{run.environment}] {title}"[:_HEADER_LENGTH]}}


def _section(markdown: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": markdown}}


def _footer(run: FailedRun, links: Links) -> dict[str, Any]:
    shown = [f"<{links.run(run.run_id)}|Run {run.run_id[:8]}>", f"<{links.runbook(run.runbook)}|Runbook>"]
    if run.started_at:
        shown.append(f"started {_when(run.started_at)}")
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(shown)}]}


def _listed(names: Sequence[str], shown: int = 3) -> str:
    listed = ", ".join(names[:shown])
    return listed if len(names) <= shown else f"{listed} and {len(names) - shown} more"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
