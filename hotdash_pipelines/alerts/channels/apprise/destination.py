"""Where the addresses of HOTDASH_ALERT_URLS lead to, and which alert is for which of them.

Belongs here: routing by owner and severity. Does not belong here: taking the setting apart (settings), sending
(courier.py).
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hotdash_pipelines.alerts.channels.channel import Destination
from hotdash_pipelines.alerts.message import Alert
from hotdash_pipelines.base.severities import is_at_least


@dataclass(frozen=True)
class AppriseEntry:
    """An address, its name, and what it takes: alerts of `owners` (empty: of all) of `severity` or worse (None: all).

    The name is an alert's target in the outbox: the address may change behind it, and stands nowhere.
    """

    name: str
    url: str = field(repr=False)
    owners: tuple[str, ...] = ()
    severity: str | None = None

    def takes(self, alert: Alert) -> bool:
        """Whether the alert is for this address."""
        is_owners = not self.owners or not set(self.owners).isdisjoint(alert.owners)
        return is_owners and (self.severity is None or is_at_least(alert.severity, self.severity))


@dataclass(frozen=True)
class AppriseDestination(Destination):
    """The addresses that are set, in their order."""

    kind: ClassVar[str] = "apprise"

    entries: tuple[AppriseEntry, ...] = ()

    @property
    def way(self) -> str | None:
        """See `Destination`."""
        return ", ".join(entry.name for entry in self.entries) or None

    @property
    def missing(self) -> str:
        """See `Destination`."""
        return "no further address for alerts is configured (set HOTDASH_ALERT_URLS)"

    @property
    def fingerprint(self) -> str:
        """See `Destination`."""
        parts = (part for entry in self.entries for part in (entry.name, entry.url))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def targets_of(self, alert: Alert) -> tuple[str | None, ...]:
        """The names of all entries that take the alert."""
        return tuple(entry.name for entry in self.entries if entry.takes(alert))

    def reaches(self, target: str | None) -> bool:
        """See `Destination`."""
        return any(entry.name == target for entry in self.entries)


def apprise_destination(settings: Any) -> AppriseDestination:
    """The addresses of the settings."""
    return AppriseDestination(
        tuple(
            AppriseEntry(entry.name, entry.url.get_secret_value(), entry.owners, entry.severity)
            for entry in settings.alert_entries
        )
    )
