"""From a failed run to the alert in the outbox, and from the outbox to the channels.

Belongs here: the order of the steps, shared by the sensors and `hotdash up`.
Does not belong here: wording and delivery (alerts), noticing a failure (defs/alerts, local).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hotdash_pipelines.alerts import (
    Delivery,
    Destination,
    FailedRun,
    Links,
    deliver_everywhere,
    enqueue,
    failed_blocking_checks,
    failed_run_alert,
)
from hotdash_pipelines.services.connections import alert_destinations
from hotdash_pipelines.settings import Settings
from hotdash_pipelines.sla.records.heartbeat import DELIVERY, beat
from hotdash_pipelines.warehouse.postgres import connect


def ui_links(settings: Settings) -> Links:
    """Where links of an alert lead."""
    host = "127.0.0.1" if settings.webserver_host in ("0.0.0.0", "::") else settings.webserver_host  # noqa: S104 - compared
    return Links(settings.ui_base_url or f"http://{host}:{settings.webserver_port}", settings.runbook_base_url)


def raise_alert(
    settings: Settings, database_url: str, run: FailedRun, owners: Mapping[str, str], default_owner: str, now: datetime
) -> bool:
    """Put the alert of a failed run into the outbox; False when its root run has one already.

    A run and the failed blocking checks that ended it are one alert.
    """
    with connect(database_url) as conn:
        checks = failed_blocking_checks(conn, settings.project, run.run_id, owners, default_owner)
        alert = failed_run_alert(run, ui_links(settings), checks)
        return enqueue(conn, alert, now, alert_destinations(settings))


def deliver(database_url: str, destinations: Sequence[Destination], now: datetime) -> Delivery:
    """Send what is due in the outbox, and leave a sign of life: nobody is told by a delivery that stands still."""
    with connect(database_url, autocommit=True) as conn:
        done = deliver_everywhere(conn, destinations, now)
        beat(conn, DELIVERY, now)
        return done
