"""`hotdash alerts`: what waits to be sent, another chance for it, and a message to try things out.

Belongs here: asking, printing. Does not belong here: delivery and wording (hotdash_pipelines.alerts).
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.cli.output import Json, say

if TYPE_CHECKING:
    from hotdash_pipelines.alerts.outbox import Waiting

app = typer.Typer(help="Alerts on their way: look, send again, try out.", no_args_is_help=True)

_STATES = ("pending", "delivered", "dead")
_EXPORT = "HOTDASH_SLACK_WEBHOOK_URL"


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="Only `pending`, `delivered` or `dead` ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 30,
    as_json: Json = False,
) -> None:
    """Show the newest alerts: where each goes, how often it was tried, and what stands in its way.

    Exit codes: 0 all fine, 1 some shown alert is dead or has nowhere to go, 2 usage.
    """
    from hotdash_pipelines.alerts.outbox import rows
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.services.connections import alert_destinations
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.transaction import told
    from hotdash_pipelines.warehouse.postgres import connect

    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"one of {', '.join(_STATES)}", param_hint="--state")
    settings = get_settings()
    with started(settings) as url, connect(url) as conn, told(conn):
        alerts = rows(conn, state, limit)
    ways = {destination.kind: destination.way for destination in alert_destinations(settings)}
    say({**ways, "alerts": [asdict(row) for row in alerts]}, _lines(alerts), as_json)
    stuck = [row for row in alerts if row.state == "dead" or (row.last_error or "").startswith("undeliverable")]
    raise typer.Exit(1 if any(row.state != "delivered" for row in stuck) else 0)


@app.command()
def retry(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Numbers of alerts; none: all that did not get through.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give dead alerts a fresh set of attempts, have waiting ones tried at once, and send what is due.

    One that was left without an answer may be there already: look for its number in the channel first. Exit codes:
    0 all are sent, 1 some still wait or are dead, 2 usage.
    """
    from hotdash_pipelines.alerts.delivery import deliver_everywhere
    from hotdash_pipelines.alerts.outbox import hurry_waiting, requeue_dead
    from hotdash_pipelines.local.warehouse import started
    from hotdash_pipelines.services.connections import alert_destinations
    from hotdash_pipelines.settings import get_settings
    from hotdash_pipelines.sla.records.transaction import told
    from hotdash_pipelines.warehouse.postgres import connect

    settings = get_settings()
    now = settings.now()
    with started(settings) as url, connect(url, autocommit=True) as conn, told(conn):
        again, hurried = requeue_dead(conn, now, ids or None), hurry_waiting(conn, now, ids or None)
        done = deliver_everywhere(conn, alert_destinations(settings), now)
    left = done.dead + done.waiting - done.held
    outcome = {"requeued": again, "hurried": hurried, "sent": done.sent, "dead": done.dead}
    outcome |= {"waiting": done.waiting, "undeliverable": done.undeliverable, "held": done.held}
    lines = [
        f"{again} dead ones and {hurried} waiting ones taken up again; sent {done.sent}, waiting {done.waiting} "
        f"(undeliverable {done.undeliverable}, held by quiet hours {done.held}), dead {done.dead}"
    ]
    say(outcome, [*lines, *(["`hotdash alerts list` says what stands in their way"] if left else [])], as_json)
    raise typer.Exit(1 if left else 0)


@app.command("test")
def try_out(
    target: Annotated[
        str | None, typer.Option("--to", help="`#channel`, a channel's id, or an owner such as `team:support`.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="`slack`, `apprise`, ...; unset: the first one that is configured.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send one message past the outbox, and say where it went. Exit codes: 0 the channel took it, 1 it did not."""
    from hotdash_pipelines.alerts.channels.kinds import DEFAULT, kind_of
    from hotdash_pipelines.services.connections import alert_destinations
    from hotdash_pipelines.settings import get_settings

    settings = get_settings()
    destinations = {destination.kind: destination for destination in alert_destinations(settings)}
    configured = [name for name, destination in destinations.items() if destination.is_configured]
    kind = kind_of(channel or next(iter(configured), DEFAULT))
    destination = destinations[kind.name]
    if not destination.is_configured:
        raise HotdashError(destination.missing)
    with kind.open_courier(destination) as courier:
        placed = courier.say(target, f"[{settings.stage}] A test of HotDash's alerts; nothing is wrong.")
    where = {"channel": placed.where, "channel_id": placed.channel, "ts": placed.ts}
    way = f"the {destination.way}" if kind.name == DEFAULT else kind.name
    say({kind.name: destination.way, **where}, [f"sent to {placed.where} by {way}"], as_json)


@app.command()
def configure(
    slack_webhook: Annotated[
        bool,
        typer.Option(
            "--slack-webhook",
            help="Read the webhook's address from HOTDASH_SLACK_WEBHOOK_URL or, if that is unset, from standard input: "
            "`hotdash alerts configure --slack-webhook < file`. It is never an argument: those show in process lists.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a webhook's address without sending a message, and say how to keep it set.

    Nothing is written to disk: the address is a secret, and belongs to where the machine keeps its own. Exit codes:
    0 Slack knows the webhook, 1 it does not, 2 usage.
    """
    import os

    from hotdash_pipelines.alerts.channels.channel import ChannelError, RefusedChannelError
    from hotdash_pipelines.alerts.channels.slack.webhook import SlackWebhook

    if not slack_webhook:
        raise typer.BadParameter("say what to configure: --slack-webhook", param_hint="--slack-webhook")
    given = os.environ.get(_EXPORT) or ("" if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not given:
        raise typer.BadParameter(
            f"set {_EXPORT}, or hand the address over on standard input", param_hint="--slack-webhook"
        )
    try:
        with SlackWebhook(given) as webhook:
            is_known = webhook.is_known()
    except RefusedChannelError:
        raise
    except ChannelError as error:
        raise ChannelError(f"{error}: the address was not checked") from error
    if not is_known:
        raise HotdashError("Slack does not know this webhook: make a new one at https://api.slack.com/apps")
    is_set = bool(os.environ.get(_EXPORT))
    use = (
        f", and {_EXPORT} is set: alerts go there"
        if is_set
        else (f"; set {_EXPORT} to it where `hotdash up` or Dagster is started")
    )
    say({"known": True, "is_set": is_set}, [f"Slack knows the webhook{use}"], as_json)


def _lines(alerts: "tuple[Waiting, ...]") -> Iterator[str]:
    if not alerts:
        yield "no alerts"
    for row in alerts:
        where = row.target or "default channel"
        tried = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
        since = f"{row.created_at:%Y-%m-%d %H:%M} UTC"
        yield f"{row.id:>6} {row.state:9} {since}  {row.severity:8} {where:18} {row.summary}"
        if row.state == "pending" and row.hold_until:
            yield f"{'':7}held by quiet hours until {row.hold_until:%Y-%m-%d %H:%M} UTC"
        if row.last_error:
            yield f"{'':7}{tried}: {row.last_error}"
