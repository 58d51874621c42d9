"""The Slack face of the stand-in: it keeps what it is sent and shows it as a channel.

Belongs here: an incoming webhook, `chat.postMessage`, `chat.update`, `auth.test`, the page. Does not belong here: what
is worth an alert, and how an alert is worded.
"""

from hotdash_pipelines.demo.slack.routes import routes

__all__ = ["routes"]
