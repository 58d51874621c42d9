"""The GA4 face of the stand-in: the token endpoint of a service account, and `runReport` of the Data API v1beta.

Belongs here: signing in, reports, quotas and error bodies. Does not belong here: the visits (`world.traffic`).
"""

from hotdash_pipelines.demo.ga4.auth import make_service_account
from hotdash_pipelines.demo.ga4.routes import routes

__all__ = ["make_service_account", "routes"]
