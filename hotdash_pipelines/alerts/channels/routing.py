"""Which channels take an alert, and where in them it goes.

Belongs here: asking every destination. Does not belong here: what a destination makes of owner and severity (the
folders of the channels), reading the settings (services.connections).
"""

from collections.abc import Sequence
from typing import NamedTuple

from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.channels.kinds import DEFAULT, kind_of, kinds
from hotdash_pipelines.alerts.message import Alert


class AlertPlace(NamedTuple):
    """A target within a channel."""

    channel: str
    target: str | None


def places_of(alert: Alert, destinations: Sequence[Destination]) -> tuple[AlertPlace, ...]:
    """Where an alert goes, the default channel first. What nobody takes waits in the default one, where it is seen.

    Empty for an edit that only channels without edits would take: the message before it tells the same.
    Raises ChannelRecordError for an alert of a channel that is none.
    """
    if alert.channel is not None:
        kind_of(alert.channel)
    asked = [
        destination
        for destination in destinations
        if destination.is_configured and alert.channel in (None, destination.kind)
    ]
    taken = [AlertPlace(destination.kind, target) for destination in asked for target in destination.targets_of(alert)]
    order = list(kinds())
    places = sorted(
        taken or [AlertPlace(alert.channel or DEFAULT, alert.target)], key=lambda place: order.index(place.channel)
    )
    return tuple(place for place in places if shows(alert, place.channel))


def told_elsewhere(
    alert: Alert, earlier: Sequence[AlertPlace], places: Sequence[AlertPlace], destinations: Sequence[Destination]
) -> tuple[AlertPlace, ...]:
    """Those of the places where a violation was told of before that its end must reach too."""
    reached = {destination.kind: destination for destination in destinations if destination.is_configured}

    def is_open(place: AlertPlace) -> bool:
        if place.channel not in reached:
            return place.channel in {wanted.channel for wanted in places}
        return reached[place.channel].reaches(place.target)

    return tuple(place for place in earlier if place not in places and shows(alert, place.channel) and is_open(place))


def shows(alert: Alert, channel: str) -> bool:
    """Whether a channel has a use for the alert: not for an edit, if it has no edits."""
    return alert.action != "update" or (channel in kinds() and kinds()[channel].can_edit)
