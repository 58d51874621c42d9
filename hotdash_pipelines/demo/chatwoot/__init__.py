"""The Chatwoot face of the stand-in: the part of the application API that the pipeline reads.

Belongs here: routes, paging, filters and shapes. Does not belong here: the conversations themselves (`world.support`).
"""

from hotdash_pipelines.demo.chatwoot.routes import routes

__all__ = ["routes"]
