"""The streams of GA4: one report each, one day a request.

Belongs here: dimensions and metrics, in the order of the positions that contracts/ga4/ names. Does not belong here:
paging, quotas (client.py).
"""

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.ga4.client import API_VERSION, Ga4Client, Ga4Report
from hotdash_pipelines.sources.registry import Fetched, Pages, fetches

TRAFFIC_DAILY = Ga4Report(
    dimensions=("date", "sessionDefaultChannelGroup", "sessionSource", "sessionMedium", "sessionCampaignName"),
    metrics=("sessions", "engagedSessions", "totalUsers", "newUsers", "ecommercePurchases", "totalRevenue"),
)
LANDING_DAILY = Ga4Report(
    dimensions=("date", "landingPage", "sessionDefaultChannelGroup", "deviceCategory"),
    metrics=(
        "sessions",
        "engagedSessions",
        "totalUsers",
        "screenPageViews",
        "keyEvents",
        "ecommercePurchases",
        "totalRevenue",
    ),
)


@fetches("ga4", "traffic_daily")
def fetch_traffic_daily(client: Ga4Client, _contract: Contract, window: Window, pages: Pages) -> Fetched:
    """Sessions of the day by channel group, source, medium and campaign."""
    return _fetched(client, TRAFFIC_DAILY, window, pages)


@fetches("ga4", "landing_daily")
def fetch_landing_daily(client: Ga4Client, _contract: Contract, window: Window, pages: Pages) -> Fetched:
    """Sessions of the day by landing page, channel group and device."""
    return _fetched(client, LANDING_DAILY, window, pages)


def _fetched(client: Ga4Client, report: Ga4Report, window: Window, pages: Pages) -> Fetched:
    """The window's date, in the property's calendar: a property in another zone than the store has other days."""
    before = client.requests
    answer = client.report(report, window.key, pages)
    return Fetched(pages, client.requests - before, answer.tokens, API_VERSION, answer.rows, dict(answer.flags))
