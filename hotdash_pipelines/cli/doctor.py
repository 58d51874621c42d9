"""`hotdash doctor`: what this machine, the warehouse and each credential need.

Belongs here: one line a finding, with what to do. Does not belong here: mending anything.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.cli.output import say
from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    from hotdash_pipelines.sources import Source

_SMALLEST_DISK_GIB = 2


@dataclass(frozen=True)
class Diagnosis:
    """One thing looked at. `advice` says what to do when it is not fine; `is_fatal` decides the exit code."""

    subject: str
    is_fine: bool
    finding: str
    advice: str = ""
    is_fatal: bool = True


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of lines.")] = False,
) -> None:
    """Check Python, packages, disk, ports, the warehouse and each credential by its cheapest call.

    Exits 1 when something must be mended. Starts nothing.
    """
    from dataclasses import asdict

    from hotdash_pipelines.settings import get_settings

    diagnoses = list(examine(get_settings()))
    if as_json:
        say([asdict(entry) for entry in diagnoses], (), as_json)
    else:
        _show(diagnoses)
    if any(not entry.is_fine and entry.is_fatal for entry in diagnoses):
        raise typer.Exit(1)


def _show(diagnoses: list[Diagnosis]) -> None:
    from rich.console import Console

    console = Console()
    for entry in diagnoses:
        mark = "[green]ok[/]  " if entry.is_fine else "[red]mend[/]" if entry.is_fatal else "[yellow]note[/]"
        console.print(f"{mark} [bold]{entry.subject:18}[/] {entry.finding}", highlight=False, soft_wrap=True)
        if entry.advice and not entry.is_fine:
            console.print(f"{'':23} {entry.advice}", highlight=False, style="dim", soft_wrap=True)


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Every diagnosis, cheapest first."""
    yield _python()
    yield from _packages()
    yield _disk(settings)
    yield _port(settings)
    yield _warehouse(settings)
    yield _lake(settings)
    yield from _sources(settings)
    yield _slack(settings)
    yield from _further_channels(settings)


def _python() -> Diagnosis:
    running = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis("python", (3, 11) <= sys.version_info[:2] <= (3, 13), running, "use Python 3.11, 3.12 or 3.13")


def _packages() -> Iterator[Diagnosis]:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.version import Version

    # The pairs that break each other silently: see docs/decisions.md.
    for name, below in (("sqlalchemy", "2.1"), ("dbt-core", "1.12"), ("great-expectations", "2")):
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Diagnosis(name, False, "not installed", "run `make setup`")
            continue
        yield Diagnosis(
            name, Version(installed) < Version(below), installed, f"needs a version below {below}: run `make setup`"
        )


def _disk(settings: Settings) -> Diagnosis:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 2**30
    return Diagnosis(
        "disk",
        free >= _SMALLEST_DISK_GIB,
        f"{free:.1f} GiB free in {place}",
        f"free at least {_SMALLEST_DISK_GIB} GiB or set HOTDASH_HOME",
    )


def _port(settings: Settings) -> Diagnosis:
    from hotdash_pipelines.local.children import port_is_free

    free = port_is_free(settings.webserver_host, settings.webserver_port)
    where = f"{settings.webserver_host}:{settings.webserver_port}"
    return Diagnosis(
        "port",
        free,
        f"{where} is {'free' if free else 'taken'}",
        "set HOTDASH_WEBSERVER_PORT, unless it is HotDash's own UI",
        is_fatal=False,
    )


def _warehouse(settings: Settings) -> Diagnosis:
    from hotdash_pipelines.services.connections import warehouse_url
    from hotdash_pipelines.warehouse.postgres import WarehouseError, connect
    from hotdash_pipelines.warehouse.schema.migrate import current
    from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

    if not settings.database_url and not EmbeddedPostgres(settings.home).status().running:
        return Diagnosis("warehouse", True, "embedded server, not running; `hotdash up` starts it")
    try:
        with connect(warehouse_url(settings)) as conn:
            server = conn.info.server_version // 10000
        revision = current(warehouse_url(settings))
    except WarehouseError as error:
        return Diagnosis(
            "warehouse",
            False,
            str(error),
            "check HOTDASH_DATABASE_URL and that the server accepts connections from here",
        )
    return Diagnosis(
        "warehouse",
        15 <= server <= 18,
        f"Postgres {server}, schema {revision or 'not yet migrated'}",
        "use Postgres 15 to 18",
    )


def _lake(settings: Settings) -> Diagnosis:
    from hotdash_pipelines.services.stores import Stores
    from hotdash_pipelines.storage import StoreError

    try:
        Stores(settings).lake().list("")
    except (OSError, StoreError) as error:
        return Diagnosis("lake", False, f"{settings.lake}: {error}", "check HOTDASH_LAKE_URL and the AWS_* variables")
    return Diagnosis("lake", True, settings.lake)


def _sources(settings: Settings) -> Iterator[Diagnosis]:
    from hotdash_pipelines.contracts import load_contracts
    from hotdash_pipelines.sources import HalfSource, all_sources, whole

    try:
        whole(load_contracts())
    except HalfSource as error:
        yield Diagnosis("sources", False, str(error), "nothing runs until that is mended")
        return
    for source in all_sources().values():
        yield from _source(settings, source)


def _source(settings: Settings, source: "Source") -> Iterator[Diagnosis]:
    from hotdash_pipelines.settings import SettingsError
    from hotdash_pipelines.sources import QuotaExhausted, SourceError

    name = source.name
    if name not in settings.pipeline_sources:
        yield Diagnosis(name, True, "left out by HOTDASH_PIPELINE_SOURCES")
        return
    if settings.uses_demo and not settings.demo_endpoint_file.exists():
        yield Diagnosis(
            name, False, "no credentials; `hotdash up` uses the stand-in store", source.advice, is_fatal=False
        )
        return
    try:
        yield from _access(settings, source)
    except SettingsError as error:
        yield Diagnosis(name, False, str(error), source.advice)
    except QuotaExhausted as error:
        yield Diagnosis(name, False, str(error), "nothing is to be mended: wait until then", is_fatal=False)
    except SourceError as error:
        note = " (stand-in store, not running)" if settings.uses_demo else ""
        yield Diagnosis(name, False, f"{error}{note}", source.advice, is_fatal=not settings.uses_demo)


def _access(settings: Settings, source: "Source") -> Iterator[Diagnosis]:
    """Whether the source answers, and what its credentials leave out."""
    from hotdash_pipelines.services.connections import open_client

    client = open_client(settings, source.name)
    try:
        yield Diagnosis(source.name, True, client.ping())
        for limit in source.limits(client, settings.store_timezone):
            text = f"without {limit.missing} {limit.costs}"
            yield Diagnosis(source.name, False, text, limit.advice, is_fatal=limit.is_fatal)
    finally:
        client.close()


def _slack(settings: Settings) -> Diagnosis:
    channels = f"{settings.slack_channel or 'no default channel'}, {len(settings.slack_channels)} owners with their own"
    if settings.slack_bot_token:
        unused = "; the webhook that is set too is not used" if settings.slack_webhook_url else ""
        text = f"bot token set (not called; `hotdash alerts test` sends a message): {channels}{unused}"
        has_channel = bool(settings.slack_channel)
        return Diagnosis("slack", has_channel, text, "set HOTDASH_SLACK_CHANNEL", is_fatal=not settings.slack_channels)
    if settings.slack_webhook_url:
        text = "webhook set (not called: a webhook has no call without a message): plain messages, no threads"
        return Diagnosis("slack", True, text)
    where = "the stand-in's channel" if settings.uses_demo else "nowhere: alerts stay in ops.alert_outbox"
    return Diagnosis(
        "slack",
        settings.uses_demo,
        f"neither bot token nor webhook; alerts go to {where}",
        "set HOTDASH_SLACK_BOT_TOKEN and HOTDASH_SLACK_CHANNEL, or HOTDASH_SLACK_WEBHOOK_URL",
        is_fatal=False,
    )


def _further_channels(settings: Settings) -> Iterator[Diagnosis]:
    """Each alert channel beside Slack; nothing is sent."""
    from hotdash_pipelines.alerts.channels.kinds import DEFAULT, kinds
    from hotdash_pipelines.base.errors import HotdashError

    for kind in kinds().values():
        if kind.name == DEFAULT:
            continue
        destination = kind.read(settings)
        if not destination.is_configured:
            yield Diagnosis(kind.name, True, f"not set: no alerts go there ({', '.join(kind.variables)})")
            continue
        try:
            kind.validate(destination)
        except HotdashError as error:
            yield Diagnosis(kind.name, False, str(error), f"mend {', '.join(kind.variables)}")
        else:
            sends = f"`hotdash alerts test --channel {kind.name}` sends a message"
            yield Diagnosis(kind.name, True, f"alerts go to {destination.way} (not called; {sends})")
