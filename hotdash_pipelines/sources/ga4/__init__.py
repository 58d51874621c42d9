"""Google Analytics 4: client, streams and settings.

Belongs here: all that is particular to the Data API. Does not belong here: the stand-in (demo/ga4).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hotdash_pipelines.sources.ga4.settings import Ga4Settings
from hotdash_pipelines.sources.source import Limit, Source

if TYPE_CHECKING:
    from hotdash_pipelines.sources.ga4.client import Ga4Client


def _open(settings: Ga4Settings) -> "Ga4Client":
    from hotdash_pipelines.sources.ga4.client import Ga4Client

    return Ga4Client(settings.ga4_base_url, settings.ga4_property_id or "", settings.service_account())


def _limits(client: "Ga4Client", store_timezone: str) -> Iterator[Limit]:
    from hotdash_pipelines.sources.ga4.access import limits

    return limits(client, store_timezone)


SOURCE = Source(
    name="ga4",
    label="Google Analytics 4",
    settings=Ga4Settings,
    open=_open,
    advice="set HOTDASH_GA4_PROPERTY_ID and HOTDASH_GA4_CREDENTIALS_FILE",
    limits=_limits,
)
