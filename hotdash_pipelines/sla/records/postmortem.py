"""The file in which people write down what an incident was and what follows from it.

Belongs here: the template, filled with what is known. Does not belong here: finding causes; that is left to people.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hotdash_pipelines.base.durations import lasted
from hotdash_pipelines.sla.definitions.fields import SlaError
from hotdash_pipelines.sla.engine.wording import measured
from hotdash_pipelines.sla.records.history import Incident, TimelineEntry, ViolationRow
from hotdash_pipelines.sla.records.transaction import told

if TYPE_CHECKING:
    import psycopg

_STATED = "from the violations themselves"


def render(incident: Incident, now: datetime, zone: str) -> str:
    """The postmortem as Markdown, instants in UTC and in the store's `zone`. What people have to write is left open."""
    row = incident.row
    ends = f"{_when(row.resolved_at, zone)}" if row.resolved_at else f"still open at {_when(now, zone)}"
    lines = [
        f"# Postmortem of incident {row.incident_id}: {_one_line(row.title)}",
        "",
        f"- Severity: {row.severity}",
        f"- Owner: {_one_line(row.owner)}",
        f"- Began: {_when(_began(incident), zone)}",
        f"- Detected: {_when(row.opened_at, zone)}",
        f"- Resolved: {ends}",
        f"- Runbook: {row.runbook or 'none'}",
        f"- Written: {_when(now, zone)}",
        "",
        "## Durations",
        "",
        *_durations(incident),
        "",
        "## Impact",
        "",
        *_impact(incident),
        "",
        "## Violations",
        "",
        *_table(incident.violations),
        "",
        "## Timeline",
        "",
        *_timeline(incident.timeline, zone),
        "",
        "## What happened",
        "",
        "(What broke, and how it led to the violations above.)",
        "",
        "## Why",
        "",
        "(The causes, not the people: what made it possible, what made it last.)",
        "",
        "## What went well, what did not",
        "",
        "- ",
        "",
        "## Actions",
        "",
        "- [ ] (action, owner, date)",
        "- [ ] The runbook says what helped",
        "- [ ] The SLA would have told this sooner, or it is right as it is",
        "",
    ]
    return "\n".join(lines)


def write(conn: "psycopg.Connection[Any]", incident: Incident, folder: Path, now: datetime, zone: str) -> Path:
    """Write the postmortem to `folder` and note its path with the incident; the path.

    Raises SlaError when it is there already, whatever it holds by now, and when the folder cannot be written.
    """
    row = incident.row
    path = folder / f"{row.opened_at.astimezone(ZoneInfo(zone)):%Y-%m-%d}-incident-{row.incident_id}.md"
    text = render(incident, now, zone)
    # First noted, then written, then committed: a file without its note would never be taken again.
    with told(conn), conn.transaction():
        conn.execute("update ops.incidents set postmortem = %s where incident_id = %s", (str(path), row.incident_id))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _create(path, text)
        except OSError as error:
            raise SlaError(f"{path} cannot be written ({error.strerror}): choose another folder") from error
    return path


def _create(path: Path, text: str) -> None:
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise SlaError(f"{path} is there already and is not written over: go on writing there") from None
    try:
        with file:
            file.write(text)
    except OSError:
        # A full disk: half a postmortem would stand in the way of the next try.
        path.unlink(missing_ok=True)
        raise


def _began(incident: Incident) -> datetime:
    return min((violation.breach_started_at for violation in incident.violations), default=incident.row.opened_at)


def _durations(incident: Incident) -> Iterator[str]:
    row = incident.row
    yield f"- Detection: {lasted(row.opened_at - _began(incident))} ({_STATED})"
    ended = [violation.recovered_at or violation.resolved_at for violation in incident.violations]
    last = max((end for end in ended if end), default=None)
    if row.resolved_at and last:
        yield f"- Resolution, from detection to the first good verdict: {lasted(last - row.opened_at)}"
        yield f"- Broken in all: {lasted(last - _began(incident))}"
    else:
        yield "- Resolution: still open"
    taken = [violation.acked_at for violation in incident.violations if violation.acked_at]
    yield f"- Until somebody acknowledged: {lasted(min(taken) - row.opened_at) if taken else 'nobody did'}"


def _impact(incident: Incident) -> Iterator[str]:
    row = incident.row
    yield f"- Root: {row.dataset} (SLA {row.sla})"
    yield f"- Assets downstream ({len(row.assets)}): {_listed(row.assets)}"
    yield f"- Dashboard tiles ({len(row.tiles)}): {_listed(row.tiles)}"
    late = sorted({_named(one) for one in incident.violations if one.sla != row.sla})
    yield f"- Late behind it ({len(late)}): {_listed(late)}"


def _table(violations: Iterable[ViolationRow]) -> Iterator[str]:
    yield "| SLA | kind | promised | worst | severity | lasted | ended |"
    yield "|---|---|---|---|---|---|---|"
    for violation in violations:
        worst = "not known" if violation.peak is None else measured(float(violation.peak), violation.unit)
        span = lasted(violation.duration) if violation.duration is not None else "open"
        promised = measured(float(violation.expected), violation.unit)
        cells = (_named(violation), violation.kind, promised, worst, violation.severity, span, violation.reason or "")
        yield f"| {' | '.join(cells)} |"


def _timeline(entries: Iterable[TimelineEntry], zone: str) -> Iterator[str]:
    yield "| UTC | in the store | what | SLA | |"
    yield "|---|---|---|---|---|"
    for entry in entries:
        local = entry.at.astimezone(ZoneInfo(zone))
        name = f"{entry.sla or ''} {entry.partition or ''}".strip()
        more = " (silent)" if entry.silent else ""
        message = _one_line(entry.message).replace("|", "\\|")
        when = f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} | {local:%a %H:%M %Z}"
        yield f"| {when} | {entry.kind}{more} | {name} | {message} |"


def _named(violation: ViolationRow) -> str:
    return f"{violation.sla} {violation.partition}".strip()


def _when(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _one_line(text: str) -> str:
    return " ".join(text.split())
