"""`HOTDASH_ALERT_URLS`: addresses for alerts, each with whom and what it is for.

Belongs here: taking the text apart, and saying what is wrong with it without repeating it (an address is a password).
Does not belong here: what an address means (alerts.channels.apprise).
"""

import re
from collections import Counter
from dataclasses import dataclass

from pydantic import SecretStr

from hotdash_pipelines.base.severities import SEVERITIES

# A comma may stand inside an address; one between two entries is followed by the next.
_BETWEEN = re.compile(r"[\s,]*\s[\s,]*|,+(?=(?:[^\s,=/?]+=)?[A-Za-z][A-Za-z0-9]*://)")
_ENTRY = re.compile(r"(?:(?P<whom>[^\s=/?,]+)=)?(?P<url>(?P<schema>[A-Za-z][A-Za-z0-9]*)://\S+)")
_OWNER = re.compile(r"[^\s:+]+:[^\s:+]+|[^\s:+@]+@[^\s:+@]+")


@dataclass(frozen=True)
class AlertUrl:
    """An entry: an address for the alerts of `owners` (empty: all) that are `severity` or worse (None: all).

    `name` tells entries apart without their addresses: `team:support mailtos`, `critical pagerduty`, `all json`.
    """

    name: str
    url: SecretStr
    owners: tuple[str, ...] = ()
    severity: str | None = None


def parse_alert_urls(text: str) -> tuple[AlertUrl, ...]:
    """The entries of the setting. Raises ValueError naming an entry by its number, never by its text."""
    entries: list[AlertUrl] = []
    names: Counter[str] = Counter()
    for number, part in enumerate(filter(None, _BETWEEN.split(text.strip(", \t\r\n"))), start=1):
        match = _ENTRY.fullmatch(part)
        if match is None:
            raise ValueError(f"entry {number} is no address: write mailtos://..., or critical=pagerduty://...")
        owners, severities = [], []
        for word in filter(None, (match["whom"] or "").split("+")):
            if word in SEVERITIES:
                severities.append(word)
            elif _OWNER.fullmatch(word):
                owners.append(word)
            else:
                raise ValueError(
                    f"entry {number}: before = stand owners such as team:support and one of {', '.join(SEVERITIES)}, "
                    "joined by +"
                )
        if len(severities) > 1:
            raise ValueError(f"entry {number} names two severities: the lesser one holds for the worse, too")
        name = f"{match['whom'] or 'all'} {match['schema'].lower()}"
        names[name] += 1
        entries.append(
            AlertUrl(
                name=name if names[name] == 1 else f"{name} #{names[name]}",
                url=SecretStr(match["url"]),
                owners=tuple(owners),
                severity=severities[0] if severities else None,
            )
        )
    return tuple(entries)
