"""What the verbs about SLAs are given: folders of definitions, instants, the database.

Belongs here: turning words of the command line into values. Does not belong here: verbs, printing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotdash_pipelines.base.durations import FORM, is_duration, parse_duration
from hotdash_pipelines.settings import PROJECT_ROOT

if TYPE_CHECKING:
    import psycopg

    from hotdash_pipelines.settings import Settings
    from hotdash_pipelines.sla import Definition

Slas = Annotated[
    Path | None, typer.Option("--slas", help="Another folder of definitions, to try a change. Default: slas/.")
]

Since = Annotated[
    str | None,
    typer.Option(help="Only from this instant on, such as 2026-11-01, or how long ago, such as 30d.", metavar="WHEN"),
]

FOLDER = PROJECT_ROOT / "slas"


def read_definitions(settings: "Settings", folder: Path | None = None) -> "tuple[Definition, ...]":
    """The definitions of a folder, the installation's own by default. Raises SlaError naming file and entry."""
    from hotdash_pipelines.sla import load_definitions

    return load_definitions(folder or FOLDER, store_zone=settings.store_timezone)


def span(option: str, text: str) -> timedelta:
    """A length of time written as in slas/*.yaml: 90s, 15m, 1h30m, 2d."""
    try:
        length = parse_duration(text)
    except ValueError:
        length = timedelta(0)
    if not length:
        raise typer.BadParameter(f"{option} takes a length of time such as {FORM}")
    return length


def instant(option: str, text: str, settings: "Settings") -> datetime:
    """An instant (UTC): ISO 8601, in the store's zone without an offset, or how long ago, such as 2d."""
    try:
        if is_duration(text):
            return settings.now() - span(option, text)
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=settings.zone)).astimezone(UTC)
        # The first days of the calendar have no room for what was seen shortly before.
        _ = moment - timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{option} takes an instant such as 2026-11-01 or 2026-11-01T06:00, or how long ago, such as 2d"
        ) from error
    return moment


def start(since: str | None, settings: "Settings") -> datetime | None:
    """The instant (UTC) of a `Since`."""
    return instant("--since", since, settings) if since else None


@contextmanager
def warehouse(settings: "Settings") -> "Iterator[psycopg.Connection[Any]]":
    """A connection in autocommit to the warehouse as it runs; nothing is started. Raises WarehouseError."""
    from hotdash_pipelines.services.connections import warehouse_url
    from hotdash_pipelines.warehouse.postgres import connect

    with connect(warehouse_url(settings, start=False), autocommit=True) as conn:
        yield conn
