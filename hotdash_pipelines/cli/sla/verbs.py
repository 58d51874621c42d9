"""`hotdash sla`: what was promised, whether it holds, and who has taken on what does not.

Belongs here: asking, printing, exit codes. Does not belong here: judging and its tables (sla), playing a stretch of
time again (simulate.py), how a line looks (view.py).
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.cli.output import Json, WrongUsage, note, say
from hotdash_pipelines.cli.sla import simulate as sla_simulate
from hotdash_pipelines.cli.sla.given import Since, Slas, read_definitions, start, warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from hotdash_pipelines.settings import Settings
    from hotdash_pipelines.sla import Definition
    from hotdash_pipelines.sla.records.history import Standing
    from hotdash_pipelines.sla.records.notice import Enqueue, Notice

app = typer.Typer(
    help="Promises about the data: what they are and whether they hold. Exit codes: 0 fine, 1 open, late or wrong, "
    "2 wrong usage.",
    no_args_is_help=True,
)
app.command("simulate")(sla_simulate.simulate)

_NOTE_LENGTH = 500
_PROBE_SECONDS = 10


@app.command("list")
def list_them(slas: Slas = None, as_json: Json = False) -> None:
    """Every definition: what is promised of which dataset, its owner and runbook. Needs no database."""
    from hotdash_pipelines.cli.sla.view import columns, promise
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    definitions = read_definitions(settings, slas)
    entries = [definition.model_dump(mode="json") | {"version": definition.version} for definition in definitions]
    rows = [
        (one.name, one.dataset, promise(one, settings.zone), one.severity, one.owner, one.runbook)
        for one in definitions
    ]
    say({"slas": entries}, columns(rows), as_json)


@app.command()
def validate(slas: Slas = None, as_json: Json = False) -> None:
    """Read every definition, its parameters and its runbook. Exit code 1 names the file and entry at fault."""
    from hotdash_pipelines.cli.sla.view import missing_headings
    from hotdash_pipelines.quality.dimensions import DimensionError, check_rated
    from hotdash_pipelines.settings import PROJECT_ROOT, get_settings
    from hotdash_pipelines.sla import SlaError

    problems: list[str] = []
    definitions: tuple[Definition, ...] = ()
    try:
        definitions = read_definitions(get_settings(), slas)
        check_rated(definitions)
    except (SlaError, DimensionError) as error:
        problems.append(str(error))
    # An image carries the definitions without the docs.
    if (PROJECT_ROOT / "docs").is_dir():
        problems += [
            f"{definition.name}: runbook: {definition.runbook} {lacks}"
            for definition in definitions
            if (lacks := missing_headings(PROJECT_ROOT / definition.runbook))
        ]
    lines = [] if problems else [f"{len(definitions)} definitions are valid"]
    say({"ok": not problems, "slas": len(definitions), "problems": problems}, lines, as_json)
    for problem in () if as_json else problems:
        note(f"hotdash: {problem}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def status(as_json: Json = False) -> None:
    """How every SLA stood at the last look, one line each. Exit code 1 when one is open, or nobody has looked lately.

    Verdict, actual value and promise, how long it has been broken, owner, open violation, next deadline. Times are the
    store's.
    """
    from hotdash_pipelines.cli.sla.view import verdicts
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.heartbeat import EVALUATION, failures, heartbeats
    from hotdash_pipelines.sla.records.history import as_json as plain
    from hotdash_pipelines.sla.records.history import standings
    from hotdash_pipelines.sla.records.loops import loops

    settings = get_settings()
    definitions = read_definitions(settings)
    now = settings.now()
    with warehouse(settings) as conn:
        stood = standings(conn)
        evaluation = next(loop for loop in loops(heartbeats(conn), now) if loop.name == EVALUATION)
        failed = failures(conn)
    is_open = any(standing.violation_id is not None for standing in stood)
    if as_json:
        entries = [plain(standing) for standing in stood]
        say({"evaluation": plain(evaluation), "open": is_open, "slas": entries}, (), as_json)
    else:
        # Takes the colours away where nobody looks.
        typer.echo("\n".join(verdicts(definitions, stood, now, settings.zone)))
    for failure in failed:
        note(f"hotdash: {failure}")
    if not evaluation.ok:
        note(f"hotdash: {evaluation.message}: what stands here is old; see `hotdash sla probe`")
    raise typer.Exit(1 if is_open or not evaluation.ok else 0)


@app.command()
def history(
    since: Since = None,
    name: Annotated[str | None, typer.Option(help="Only of this SLA.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """Violations, the newest first: when, how long, how bad, and who took them on. Times are the store's."""
    from hotdash_pipelines.cli.sla.view import columns, past
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.history import as_json as plain
    from hotdash_pipelines.sla.records.history import violations

    settings = get_settings()
    with warehouse(settings) as conn:
        rows = violations(conn, name=name, since=start(since, settings), limit=limit)
    lines = columns([past(violation, settings.zone) for violation in rows])
    say({"violations": [plain(violation) for violation in rows]}, lines or ["no violation"], as_json)


@app.command()
def ack(
    which: Annotated[str, typer.Argument(metavar="NAME|VIOLATION", help="An SLA, or the number of a violation.")],
    by: Annotated[str, typer.Option(help="Who takes it on; shown in Slack and kept.")],
    note: Annotated[
        str | None, typer.Option(help="A line for Slack and the incident. Others read it: nothing secret.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take an open violation on: it escalates no further, and Slack says who has it. Exit code 1 when none is open."""
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.encode import clean
    from hotdash_pipelines.sla.records.incidents import remark
    from hotdash_pipelines.sla.records.store import acknowledge
    from hotdash_pipelines.sla.records.transaction import told

    who, said = " ".join(clean(by).split()), " ".join(clean(note or "").split())
    if len(said) > _NOTE_LENGTH:
        raise WrongUsage(f"--note takes at most {_NOTE_LENGTH} characters")
    settings = get_settings()
    definitions = read_definitions(settings)
    now = settings.now()
    with warehouse(settings) as conn, told(conn):
        standing = _open_one(conn, which)
        acknowledge(conn, definitions, standing.sla, standing.partition, who, now, _teller(settings, said))
        if said and standing.incident_id is not None:
            remark(conn, standing.incident_id, said, who, now)
    entry = {"sla": standing.sla, "partition": standing.partition, "violation_id": standing.violation_id}
    entry |= {"acked_by": standing.acked_by or who, "is_new": standing.acked_by is None}
    had = f"had been taken on by {standing.acked_by}" if standing.acked_by else f"taken on by {who}"
    say(entry, [f"{standing.sla} #{standing.violation_id}: {had}"], as_json)


@app.command()
def probe(as_json: Json = False) -> None:
    """Whether somebody watches: exit code 1 when the evaluation or the delivery of alerts has missed three turns.

    For a monitor outside of this machine, every minute. It needs the warehouse and nothing of Dagster; a warehouse that
    does not answer within ten seconds is exit code 1 too.
    """
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.heartbeat import heartbeats
    from hotdash_pipelines.sla.records.history import as_json as plain
    from hotdash_pipelines.sla.records.loops import Loop, loops
    from hotdash_pipelines.sla.records.transaction import told

    settings = get_settings()
    checked: list[Loop] = []
    reason = None
    try:
        with warehouse(settings) as conn, told(conn):
            conn.execute("select set_config('statement_timeout', %s, false)", (f"{_PROBE_SECONDS}s",))
            checked = loops(heartbeats(conn), settings.now())
    except HotdashError as error:
        reason = str(error)
    ok = reason is None and all(loop.ok for loop in checked)
    if reason and not as_json:
        note(f"hotdash: nobody can be asked: {reason}")
    lines = [f"{'ok' if loop.ok else 'STOPPED':8} {loop.message}" for loop in checked]
    say({"ok": ok, "reason": reason, "loops": [plain(loop) for loop in checked]}, lines, as_json)
    raise typer.Exit(0 if ok else 1)


def _open_one(conn: "psycopg.Connection[Any]", which: str) -> "Standing":
    """The open violation of that number or SLA. Raises SlaError when there is none, or more than one."""
    from hotdash_pipelines.sla.definitions.fields import SlaError
    from hotdash_pipelines.sla.records.history import standings

    opened = [one for one in standings(conn) if one.violation_id is not None]
    matching = [one for one in opened if which in (one.sla, str(one.violation_id))]
    if not matching:
        raise SlaError(f"nothing is open under {which}; `hotdash sla status` names what is")
    if len(matching) > 1:
        listed = ", ".join(f"{one.violation_id} ({one.partition})" for one in matching)
        raise SlaError(f"{which} has several open violations, give the number of one: {listed}")
    return matching[0]


def _teller(settings: "Settings", said: str) -> "Enqueue":
    """Writes the message about an acknowledgement, with what was said behind it."""
    from dataclasses import replace

    from hotdash_pipelines.services.sla_notices import notice_writer

    write = notice_writer(settings)

    def tell(conn: "psycopg.Connection[Any]", notice: "Notice", now: datetime) -> "Sequence[str] | None":
        if said:
            notice = replace(notice, event=notice.event.changed(message=f"{notice.event.message}; {said}"))
        return write(conn, notice, now)

    return tell
