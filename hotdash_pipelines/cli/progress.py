"""The live view of a run's steps on a terminal; plain lines where there is none.

Belongs here: drawing. Does not belong here: the run (local.first_load).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hotdash_pipelines.local.first_load import StepProgress

# A step over many days takes minutes: so often it says how far it is where nobody looks at a terminal.
_SECONDS_A_LINE = 10.0
_MARKS = {
    "waiting": "[dim]·[/]",
    "running": "[cyan]▸[/]",
    "done": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "retrying": "[yellow]↻[/]",
    "skipped": "[dim]-[/]",
}


@contextmanager
def live_steps(console: Console) -> Iterator[Callable[[list[StepProgress]], None]]:
    """Yields the function to report steps to."""
    if not console.is_terminal:
        yield _line_printer(console)
        return
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        yield lambda steps: live.update(_table(steps, console.height))


def _table(steps: list[StepProgress], height: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    finished = sum(step.state in ("done", "failed", "skipped") for step in steps)
    table.add_row("", f"[bold]{finished} of {len(steps)} steps[/]", "")
    # What runs and what failed matters most when the terminal is small.
    ranked = sorted(
        steps, key=lambda step: ("failed", "retrying", "running", "waiting", "done", "skipped").index(step.state)
    )
    shown = {step.name for step in ranked[: max(5, height - 6)]}
    for step in steps:
        if step.name in shown:
            told = [f"{step.seconds:.1f} s"] if step.seconds else []
            told += [f"{step.windows} days"] if step.windows else []
            table.add_row(_MARKS[step.state], step.name, f"[dim]{', '.join(told)}[/]" if told else "")
    return table


def _line_printer(console: Console) -> Callable[[list[StepProgress]], None]:
    printed: set[str] = set()
    told_at: dict[str, float] = {}

    def report(steps: list[StepProgress]) -> None:
        for step in steps:
            if step.state == "running" and step.windows and step.seconds >= told_at.get(step.name, 0) + _SECONDS_A_LINE:
                told_at[step.name] = step.seconds
                console.print(f"{step.state:8} {step.name} {step.windows} days, {step.seconds:.1f} s", highlight=False)
            if step.state in ("done", "failed", "skipped") and step.name not in printed:
                printed.add(step.name)
                console.print(f"{step.state:8} {step.name} {step.seconds:.1f} s", highlight=False)

    return report
