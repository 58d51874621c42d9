"""`hotdash up`: the whole pipeline on this machine.

Belongs here: the order of the start, what is printed, and the exit code.
Does not belong here: the instance, the processes and the run (hotdash_pipelines.local).
"""

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.cli.output import Json, picked, say

if TYPE_CHECKING:
    from rich.console import Console

    from hotdash_pipelines.local.children import Children
    from hotdash_pipelines.local.first_load import LoadOutcome
    from hotdash_pipelines.settings import Settings


def up(
    days: Annotated[int, typer.Option(help="How many past days to have in the warehouse.", min=1, max=1000)] = 14,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the Dagster UI afterwards, or end.")] = True,
    as_json: Json = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Serve the UI without buttons that change anything.")
    ] = False,
) -> None:
    """Start Postgres and the stand-in store as needed, load what is missing, and serve the Dagster UI.

    Running it again only fetches what is new. Ctrl-C stops everything it started.
    """
    from rich.console import Console

    from hotdash_pipelines.local.children import Terminated, unwind_on_signals, was_terminated
    from hotdash_pipelines.settings import get_settings

    console = Console(stderr=True)
    try:
        unwind_on_signals()
        outcome = _run(get_settings(), console, days, serve, read_only, as_json)
    except (Exception, Terminated):
        if not was_terminated():
            raise
        console.print("stopped by SIGTERM; run `hotdash up` again, it continues where this ended")
        raise typer.Exit(143) from None
    except KeyboardInterrupt:
        console.print("stopped")
        # Under `python -m` an interrupt within an `exec` of text (a module that loads has many) would end the process
        # by SIGINT at its very end; the next `exec` forgets it.
        exec("")  # noqa: S102
        raise typer.Exit(130) from None
    raise typer.Exit(0 if outcome.success and not outcome.failed else 1)


def _run(
    settings: "Settings", console: "Console", days: int, serve: bool, read_only: bool, as_json: bool
) -> "LoadOutcome":
    from hotdash_pipelines.local.children import ChildError, Children, port_is_free
    from hotdash_pipelines.local.lock import home_lock
    from hotdash_pipelines.local.private import keep_private
    from hotdash_pipelines.services.connections import check_alert_channels

    began = time.monotonic()
    check_alert_channels(settings)
    keep_private(settings.home)
    with ExitStack() as stack:
        stack.enter_context(home_lock(settings.home))
        if serve and not port_is_free(settings.webserver_host, settings.webserver_port):
            raise ChildError(
                f"port {settings.webserver_port} on {settings.webserver_host} is taken: "
                "stop what uses it or set HOTDASH_WEBSERVER_PORT"
            )
        children = stack.enter_context(Children(settings.home / "logs"))
        outcome = _load(settings, console, children, stack, days)
        seconds = time.monotonic() - began
        if as_json:
            say(_as_json(outcome, seconds), (), as_json)
            sys.stdout.flush()
        _summary(console, outcome, seconds)
        if serve:
            try:
                _serve(settings, console, children, read_only)
            finally:
                # Before the server: a sensor that ticks after that would start it again.
                children.stop()
    return outcome


def _as_json(outcome: "LoadOutcome", seconds: float) -> dict[str, Any]:
    checks = picked(outcome, "passed", "failed", "warned")
    built = picked(outcome, "assets", "left_out")
    return {**built, "checks": checks, "seconds": round(seconds, 1)}


def _load(settings: "Settings", console: "Console", children: "Children", stack: ExitStack, days: int) -> "LoadOutcome":
    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.local import warehouse as local_warehouse
    from hotdash_pipelines.local.first_load import due_range, joined, load, runs_over
    from hotdash_pipelines.local.instance import prepare_instance
    from hotdash_pipelines.services.connections import dbt_environment
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.transform.manifest import prepare_manifest
    from hotdash_pipelines.warehouse.postgres import describe

    # First of all: it refuses a wrong address, and nothing has been started yet.
    store = Stores(settings).lake()
    stand_in = local_warehouse.start_stand_in(settings, children) if settings.uses_demo else None
    with console.status("starting Postgres"):
        url = stack.enter_context(local_warehouse.started(settings))
        applied = local_warehouse.prepare(url)
        prepare_instance(settings, url)
    console.print(
        f"warehouse   Postgres at {describe(url)}" + (f", {len(applied)} migrations applied" if applied else "")
    )
    with console.status("reading the dbt project"):
        prepare_manifest(environment=dbt_environment(url))
    address = None
    if stand_in:
        address = local_warehouse.wait_for_stand_in(settings, children, stand_in)
        console.print(f"source      stand-in store at {address} (no credentials are set)")
    else:
        console.print(f"source      {', '.join(settings.pipeline_sources)}")
    if address:
        _simulate_agent(settings, console, url, address, days)
    contracts = [contract for contract in load_contracts() if contract.source in settings.pipeline_sources]
    first, last = due_range(
        settings, contracts, store, local_warehouse.loaded_windows(url, settings.project), days, settings.now()
    )
    runs = runs_over(first, last)
    console.print(f"partitions  {first} to {last}" + (f", in {len(runs)} runs" if len(runs) > 1 else "") + "\n")

    def run(number: int) -> "LoadOutcome":
        begin, end = runs[number]
        if len(runs) > 1:
            console.print(f"run {number + 1} of {len(runs)}  {begin} to {end}")
        with _progress(console) as show:
            return load(
                settings.home / "logs",
                begin,
                end,
                show,
                lambda run_id: console.print(f"ended       run {run_id[:8]}, whose process had been killed"),
                is_past=number + 1 < len(runs),
            )

    outcome = joined([run(number) for number in range(len(runs))])
    if not outcome.success:
        local_warehouse.alert_failure(settings, url, outcome)
    return outcome


def _simulate_agent(settings: "Settings", console: "Console", url: str, address: str, days: int) -> None:
    from hotdash_pipelines.agent.activity import read_from, write_days
    from hotdash_pipelines.base.windows import days_ending, last_complete_day

    now = settings.now()
    wanted = days_ending(last_complete_day(now, settings.zone), days)
    with console.status("writing the agent's activity"):
        done = write_days(url, read_from(address), wanted, settings.project, now)
    console.print(f"agent       {done.describe()}")


def _progress(console: "Console") -> Any:
    from hotdash_pipelines.cli.progress import live_steps

    return live_steps(console)


def _summary(console: "Console", outcome: "LoadOutcome", seconds: float) -> None:
    from rich.table import Table

    table = Table("asset", "rows", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for key in sorted(outcome.assets, key=_layer):
        table.add_row(key, f"{outcome.assets[key]:,}")
    console.print(table)
    verdict = "[green]all green[/]" if outcome.success and not outcome.failed else "[red]failed[/]"
    console.print(
        f"\n{verdict}: {len(outcome.assets)} assets, {outcome.passed} checks passed, "
        f"{outcome.warned} warned, {outcome.failed} failed, {seconds:.0f} s"
    )
    for line in [*outcome.errors, *outcome.failed_checks]:
        # As text and unwrapped: errors hold brackets and paths, and somebody greps for them.
        colour = "yellow" if line.endswith("(warning)") else "red"
        console.print(f"  {line}", style=colour, markup=False, highlight=False, soft_wrap=True)
    for key in sorted(outcome.left_out, key=_layer):
        line = f"  left out    {key}, last state: {outcome.left_out[key]}"
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _layer(key: str) -> tuple[int, str]:
    order = ("lake_", "raw_", "staging", "intermediate", "marts_", "metrics")
    return next((rank for rank, prefix in enumerate(order) if key.startswith(prefix)), len(order)), key


def _serve(settings: "Settings", console: "Console", children: "Children", read_only: bool) -> None:
    from hotdash_pipelines.local.serve import start_dagster

    with console.status("starting the Dagster UI"):
        url = start_dagster(settings, children, read_only=read_only)
    console.print(f"\nDagster UI  [bold]{url}[/]   (Ctrl-C stops everything; logs in {children.logs})", soft_wrap=True)
    ended = children.watch()
    from hotdash_pipelines.local.children import ChildError

    raise ChildError(
        f"{ended.name} ended with exit code {ended.process.returncode}; see {ended.log}:\n{ended.last_lines()}"
    )
