"""E-mail, PagerDuty, Teams, Discord and others, by the library apprise.

Belongs here: the record, and in the files beside it the addresses, the format and the call. Does not belong here:
wording.
"""

from typing import Any

from hotdash_pipelines.alerts.channels.apprise.destination import AppriseDestination, apprise_destination
from hotdash_pipelines.alerts.channels.apprise.plain_text import compose
from hotdash_pipelines.alerts.channels.channel import ChannelKind, Courier


def _open_courier(destination: AppriseDestination, transport: Any = None) -> Courier:
    from hotdash_pipelines.alerts.channels.apprise.courier import open_courier

    return open_courier(destination, transport)


def _validate(destination: AppriseDestination) -> None:
    from hotdash_pipelines.alerts.channels.apprise.courier import open_courier

    with open_courier(destination) as courier:
        courier.validate()


CHANNEL = ChannelKind(
    name=AppriseDestination.kind,
    variables=("HOTDASH_ALERT_URLS",),
    read=apprise_destination,
    validate=_validate,
    compose=compose,
    open_courier=_open_courier,
)
