"""The channels there are: every folder beside this file has one record, and all else follows from the records.

Belongs here: finding them, refusing one that is there twice or half. Does not belong here: any one channel.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from hotdash_pipelines.alerts import channels
from hotdash_pipelines.alerts.channels.channel import ChannelKind
from hotdash_pipelines.base.errors import HotdashError

# Alerts that no channel takes wait here, where they are seen.
DEFAULT = "slack"


class ChannelRecordError(HotdashError):
    """A channel is there twice or half, or is not there at all."""

    exit_code = 2


@cache
def kinds() -> Mapping[str, ChannelKind]:
    """Every channel by name, the default one first. Raises ChannelRecordError naming a folder that is none."""
    records: list[ChannelKind] = []
    for module in iter_modules(channels.__path__, f"{channels.__name__}."):
        if module.ispkg:
            record = getattr(import_module(module.name), "CHANNEL", None)
            if not isinstance(record, ChannelKind):
                raise ChannelRecordError(f"{module.name} has no record: give it a CHANNEL, or no folder there")
            records.append(record)
    return registered(records)


def kind_of(name: str) -> ChannelKind:
    """The record of a channel. Raises ChannelRecordError when there is none of that name."""
    if name not in kinds():
        raise ChannelRecordError(f"no alert channel is called {name!r}: known are {', '.join(kinds())}")
    return kinds()[name]


def registered(records: Iterable[ChannelKind]) -> Mapping[str, ChannelKind]:
    """The records by name. Raises ChannelRecordError for a name that is taken, and for half a record."""
    by_name: dict[str, ChannelKind] = {}
    for record in sorted(records, key=lambda record: (record.name != DEFAULT, record.name)):
        if not re.fullmatch(r"[a-z][a-z_]{0,29}", record.name):
            raise ChannelRecordError(f"alert channel {record.name!r}: a name has small letters and _ only")
        if record.name in by_name:
            raise ChannelRecordError(f"alert channel {record.name} is registered twice")
        parts = (record.read, record.validate, record.compose, record.open_courier)
        if not record.variables or not all(callable(part) for part in parts):
            raise ChannelRecordError(f"alert channel {record.name} is half a record: variables and four functions")
        by_name[record.name] = record
    return by_name
