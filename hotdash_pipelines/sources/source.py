"""The one record of a source.

Belongs here: what everything else derives from: pool, nightly run, doctor, connection, settings page. Does not belong
here: any source; finding the records (registry.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from hotdash_pipelines.settings import SourceSettings


class SourceClient(Protocol):
    """What every source's client can do besides what its own streams ask of it."""

    def ping(self) -> str:
        """The cheapest call that proves address and credentials; tells what answered. Raises SourceError."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True)
class Limit:
    """Something the credentials leave out: what is missing, what that costs, what to do about it.

    `is_fatal` where a stream cannot be read at all for want of it.
    """

    missing: str
    costs: str
    advice: str
    is_fatal: bool = True


def _no_limits(_client: Any, _store_timezone: str) -> Iterable[Limit]:
    return ()


@dataclass(frozen=True)
class Source:
    """One source. `sources/<name>/__init__.py` holds it as `SOURCE`; the streams are contracts/<name>/*.yaml.

    `open` makes the client from the source's own settings and imports it only then. `advice` names the variables to
    set. `readers` is how many steps may read the API at once. `limits(client, store_timezone)` tells,
    after a `ping`, what the credentials leave out.
    """

    name: str
    label: str
    settings: type[SourceSettings]
    open: Callable[[Any], SourceClient]
    advice: str
    kind: str = "api"
    readers: int = 1
    limits: Callable[[Any, str], Iterable[Limit]] = _no_limits
