"""`hotdash lake` and `hotdash quarantine`: what was fetched, parsed and loaded anew without asking the sources.

Belongs here: asking, printing. Does not belong here: how a window is replayed (ingest.replay).
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.cli.output import DryRun, Json, Yes, ask, must_ask, say

if TYPE_CHECKING:
    from hotdash_pipelines.contracts import Contract
    from hotdash_pipelines.ingest.replay import ReplayedWindow

app = typer.Typer(help="The lake: what the sources sent, as it was fetched.", no_args_is_help=True)
quarantine = typer.Typer(help="Records that a source sent and that could not be loaded.", no_args_is_help=True)

Stream = Annotated[str, typer.Option("--stream", help="A stream, such as shopify/orders.")]
From = Annotated[str, typer.Option("--from", help="The first day, such as 2026-03-01.")]
To = Annotated[str, typer.Option("--to", help="The last day.")]


@app.command()
def replay(
    stream: Stream, first: From, last: To, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Parse the kept raw pages of a stream's days by today's contract, and load them. Asks no source.

    Exit codes: 0 done, 1 a window could not be replayed, 3 nobody could be asked.
    """
    from hotdash_pipelines.contracts import load_contracts

    known = {f"{contract.source}/{contract.stream}": contract for contract in load_contracts()}
    if stream not in known:
        raise HotdashError(f"{stream} is no stream; there are {', '.join(known)}")
    days = [(known[stream], _day(first), _day(last))]
    asks = must_ask(goes_on=dry_run or yes, as_json=as_json)
    if asks:
        ask(f"Replay {stream} from {first} to {last}?", "nothing replayed")
    _replay(days, dry_run=dry_run, as_json=as_json)


@quarantine.command("list")
def list_records(as_json: Json = False) -> None:
    """What waits in the quarantine, by window and reason. Nothing of a record is shown but where it lies."""
    from collections import Counter

    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.lake.quarantine import quarantined
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    lake = Stores(settings).lake()
    waiting: Counter[tuple[str, str, str]] = Counter()
    for contract in load_contracts():
        name = f"{contract.source}/{contract.stream}"
        waiting.update((name, record.window, record.reason) for record in quarantined(lake, contract, settings.project))
    groups = [
        {"stream": stream, "window": window, "reason": reason, "records": count}
        for (stream, window, reason), count in sorted(waiting.items())
    ]
    lines = [f"{group['stream']} {group['window']}: {group['records']} x {group['reason']}" for group in groups]
    say({"waiting": groups}, lines or ["nothing is in quarantine"], as_json)


@quarantine.command("replay")
def replay_quarantined(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Replay every window that has records in quarantine, after the contract was mended. See `hotdash lake replay`."""
    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.lake.quarantine import quarantined
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    lake = Stores(settings).lake()
    days = [
        (contract, _day(key), _day(key))
        for contract in load_contracts()
        for key in sorted({record.window for record in quarantined(lake, contract, settings.project)})
    ]
    asks = must_ask(goes_on=dry_run or yes, as_json=as_json)
    if asks and days:
        ask(f"Replay {len(days)} windows?", "nothing replayed")
    _replay(days, dry_run=dry_run, as_json=as_json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HotdashError(f"{text!r} is no day: write it as 2026-03-01") from error


def _replay(days: "Sequence[tuple[Contract, date, date]]", *, dry_run: bool, as_json: bool) -> None:
    from hotdash_pipelines.base.windows import window_of
    from hotdash_pipelines.ingest.replay import replay as replay_days
    from hotdash_pipelines.ingest.run import load_windows
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.settings import get_settings

    settings, stores = get_settings(), Stores(get_settings())
    lake, workspace = stores.lake(), stores.workspace
    done: list[ReplayedWindow] = []
    for contract, first, last in days:
        part = list(replay_days(contract, lake, settings.project, first, last, dry_run=dry_run, workspace=workspace))
        windows = [window_of(window.key, settings.zone) for window in part if not window.error]
        if windows and not dry_run:
            with started(settings) as url:
                list(load_windows(contract, lake, url, settings.project, windows, settings.now(), workspace))
        done += part
    word = "would hold" if dry_run else "holds"
    lines = [
        f"{window.stream} {window.key}: {window.error}"
        if window.error
        else f"{window.stream} {window.key}: {word} {window.rows} rows (had {window.rows_before}), "
        f"{window.quarantined} in quarantine (had {window.quarantined_before})"
        for window in done
    ]
    document = {"dry_run": dry_run, "windows": [window.as_json() for window in done]}
    say(document, lines or ["the lake has no such window"], as_json)
    raise typer.Exit(1 if any(window.error for window in done) else 0)
