"""`hotdash monitor`: watch the support agent at work.

Belongs here: the loop, and events as lines. Does not belong here: the drawing (view.py), connections
(agent.listen, agent.live).
"""

import json
import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.cli.db import warehouse
from hotdash_pipelines.cli.output import note, picked

if TYPE_CHECKING:
    from rich.console import Console

    from hotdash_pipelines.agent.listen import AgentEvent, Listener
    from hotdash_pipelines.agent.live import Refresher

app = typer.Typer(help="Watch the support agent at work.", no_args_is_help=True)

_STEP_SECONDS = 0.5
_FIGURE_SECONDS = 2.0
_KEPT_EVENTS = 200


@app.callback()
def monitor() -> None:
    """Watch the support agent at work."""


@app.command()
def start(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line for each event, and no view.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.", min=0)] = None,
    role: Annotated[
        str | None, typer.Option(help="Read as this role, and see what it may see. Default: the warehouse's own user.")
    ] = None,
) -> None:
    """Show the queue, the agents and every event as it happens, until Ctrl-C.

    Slow answers (over 200 ms), new and decided approvals, feedback and decisions appear within a second. After a break
    of the connection it shows what was missed. Nobody's words are shown. While it runs, the stored live figures are
    refreshed every 30 seconds.
    """
    from rich.console import Console

    from hotdash_pipelines.agent.listen import Listener
    from hotdash_pipelines.agent.live import Refresher
    from hotdash_pipelines.local.children import Terminated, unwind_on_signals

    unwind_on_signals()
    url = warehouse()
    listener = Listener(url, role=role)
    deadline = None if seconds is None else time.monotonic() + seconds
    console = Console()
    try:
        with ExitStack() as stack:
            stack.callback(listener.close)
            listener.open()
            refresher = Refresher(url)
            stack.callback(refresher.stop)
            refresher.start()
            if as_json or not console.is_terminal:
                _lines(listener, deadline, as_json)
            else:
                _view(listener, refresher, url, role, deadline, console)
    except Terminated:
        raise typer.Exit(143) from None
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read our lines has seen enough; what is left to write has nowhere to go.
        sys.stdout = None
    note(f"{listener.state.delivered} events shown")


def as_line(event: "AgentEvent") -> str:
    """An event as one line of JSON."""
    return json.dumps({**picked(event, "channel", "op", "id", "at", "seq", "lag_ms"), "row": dict(event.row)})


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _timeout(deadline: float | None) -> float:
    return _STEP_SECONDS if deadline is None else max(0.0, min(_STEP_SECONDS, deadline - time.monotonic()))


def _lines(listener: "Listener", deadline: float | None, as_json: bool) -> None:
    """Events on standard output, the state of the connection on standard error."""
    from hotdash_pipelines.cli.monitor.view import event_text

    shown = None
    while True:
        state = listener.state
        if (now := (state.connected, state.reason)) != shown:
            shown = now
            note("listening" if state.connected else f"connection lost, trying again: {state.reason}")
        if _over(deadline):
            return
        for event in listener.step(_timeout(deadline)):
            print(as_line(event) if as_json else event_text(event).plain, flush=True)


def _view(
    listener: "Listener",
    refresher: "Refresher",
    url: str,
    role: str | None,
    deadline: float | None,
    console: "Console",
) -> None:
    from rich.live import Live

    from hotdash_pipelines.agent.live import FigureReader
    from hotdash_pipelines.cli.monitor.view import Picture, draw
    from hotdash_pipelines.warehouse.postgres import describe

    events: deque[AgentEvent] = deque(maxlen=_KEPT_EVENTS)
    reader = FigureReader(url, role)
    figures, read_at = None, 0.0
    with ExitStack() as stack:
        stack.callback(reader.close)
        live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
        while not _over(deadline):
            new = listener.step(_timeout(deadline))
            events.extend(new)
            if listener.state.connected and time.monotonic() - read_at >= (_STEP_SECONDS if new else _FIGURE_SECONDS):
                figures, read_at = reader.read() or figures, time.monotonic()
            picture = Picture(describe(url), role, listener.state, refresher.note, figures, tuple(events))
            live.update(draw(picture, console.height), refresh=True)
