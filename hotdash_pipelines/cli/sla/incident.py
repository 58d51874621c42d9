"""`hotdash incident`: violations that belong together, their timeline, and what people learn from them.

Belongs here: asking, printing. Does not belong here: what an incident is (sla.records.incidents), the template
(sla.records.postmortem).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.base.durations import lasted
from hotdash_pipelines.cli.output import Json, say
from hotdash_pipelines.cli.sla.given import Since, start, warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from hotdash_pipelines.sla.records.history import Incident, IncidentRow

app = typer.Typer(
    help="Incidents: violations of SLAs that belong together. Exit codes: 0 done, 1 failed or unknown, 2 wrong usage.",
    no_args_is_help=True,
)

_Number = Annotated[int, typer.Argument(metavar="ID", help="Its number, as `hotdash incident list` shows it.", min=1)]


@app.command("list")
def list_them(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """Incidents, the newest first. Times are the store's."""
    from hotdash_pipelines.cli.sla.view import columns
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.history import as_json as plain
    from hotdash_pipelines.sla.records.history import incidents

    settings = get_settings()
    with warehouse(settings) as conn:
        rows = incidents(conn, open_only=only_open, since=start(since, settings), limit=limit)
    lines = columns([_row(row, settings.zone) for row in rows])
    say({"incidents": [plain(row) for row in rows]}, lines or ["no incident"], as_json)


@app.command()
def show(number: _Number, as_json: Json = False) -> None:
    """One incident: what it touched, its violations and its timeline. Times are the store's."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.history import as_json as plain
    from hotdash_pipelines.sla.records.history import incident

    settings = get_settings()
    with warehouse(settings) as conn:
        whole = incident(conn, number)
    say(plain(whole), _whole(whole, settings.zone), as_json)


@app.command()
def postmortem(
    number: _Number,
    out: Annotated[
        Path, typer.Option("--out", help="The folder it is written to; a file that is there is never overwritten.")
    ] = Path("docs/postmortems"),
    as_json: Json = False,
) -> None:
    """Write the file of a postmortem: what is known filled in, what people have to say left open.

    The incident keeps its path. Exit code 1 when it is there already.
    """
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.history import incident
    from hotdash_pipelines.sla.records.postmortem import write

    settings = get_settings()
    with warehouse(settings) as conn:
        path = write(conn, incident(conn, number), out, settings.now(), settings.store_timezone)
    say({"incident": number, "path": str(path)}, [str(path)], as_json)


def _row(row: "IncidentRow", zone: "ZoneInfo") -> tuple[str, ...]:

    ended = f"for {lasted(row.resolved_at - row.opened_at)}" if row.resolved_at else f"{row.open_violations} open"
    violations = f"{row.violations} violation{'s' if row.violations != 1 else ''}"
    return (
        str(row.incident_id), f"{row.opened_at.astimezone(zone):%Y-%m-%d %H:%M}", ended, row.severity, row.owner,
        violations, f"{len(row.assets)} downstream", row.title, row.postmortem or "",
    )  # fmt: skip


def _whole(incident: "Incident", zone: "ZoneInfo") -> "Iterator[str]":
    from hotdash_pipelines.cli.sla.view import columns, past

    row = incident.row
    opened = f"{row.opened_at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
    ended = f"{row.resolved_at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" if row.resolved_at else "open"
    yield f"incident {row.incident_id}: {row.title}"
    yield f"severity {row.severity}, owner {row.owner}, opened {opened}, resolved {ended}"
    yield f"runbook    {row.runbook or 'none'}"
    yield f"downstream {', '.join(row.assets) or 'nothing'}"
    yield f"tiles      {', '.join(row.tiles) or 'none'}"
    yield f"postmortem {row.postmortem or 'none yet'}"
    yield ""
    yield from columns([past(violation, zone) for violation in incident.violations])
    yield ""
    yield from columns(
        [
            (
                f"{entry.at.astimezone(zone):%a %H:%M:%S}",
                f"{entry.kind}{' (silent)' if entry.silent else ''}",
                f"{entry.sla or ''} {entry.partition or ''}".strip(),
                entry.message,
                f"by {entry.by}" if entry.by else "",
            )
            for entry in incident.timeline
        ]
    )
