"""The `hotdash` command.

Belongs here: the verbs, one file or folder a group, each a thin voice over the rooms. Exit codes everywhere: 0 done,
1 something failed or was found, 2 wrong usage, 3 refused for safety.
Does not belong here: logic. Verbs import what they need when they run, so `hotdash --help` answers at once.
"""

import typer

from hotdash_pipelines.cli import (
    agent,
    alerts,
    backup,
    contracts,
    db,
    demo,
    docs,
    doctor,
    erase,
    export,
    housekeeping,
    lake,
    performance,
    restore,
    retention,
    schema,
    up,
)
from hotdash_pipelines.cli.monitor import verbs as monitor
from hotdash_pipelines.cli.output import Verbs
from hotdash_pipelines.cli.sla import incident
from hotdash_pipelines.cli.sla import verbs as sla

app = typer.Typer(
    cls=Verbs,
    name="hotdash",
    help="The data platform behind HotDash. `hotdash up` runs everything; `hotdash doctor` says what is missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("doctor")(doctor.doctor)
app.command("dbt", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(db.dbt)
app.command("docs")(docs.docs)
app.command("restore")(restore.restore)
app.add_typer(db.app, name="db")
app.add_typer(schema.app, name="schema")
app.add_typer(agent.app, name="agent")
app.add_typer(alerts.app, name="alerts")
app.add_typer(backup.app, name="backup")
app.add_typer(export.app, name="export")
app.add_typer(monitor.app, name="monitor")
app.add_typer(demo.app, name="demo")
app.add_typer(contracts.app, name="contracts")
app.add_typer(performance.app, name="performance")
app.add_typer(erase.app, name="erase")
app.add_typer(housekeeping.app, name="housekeeping")
app.add_typer(lake.app, name="lake")
app.add_typer(lake.quarantine, name="quarantine")
app.add_typer(retention.app, name="retention")
app.add_typer(sla.app, name="sla")
app.add_typer(incident.app, name="incident")


def main() -> None:
    """Run the command."""
    app()
