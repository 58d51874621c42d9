"""Chatwoot: client, paging, streams and settings.

Belongs here: all that is particular to the application API. Does not belong here: the stand-in (demo/chatwoot).
"""

from typing import TYPE_CHECKING

from hotdash_pipelines.sources.chatwoot.settings import ChatwootSettings
from hotdash_pipelines.sources.source import Source

if TYPE_CHECKING:
    from hotdash_pipelines.sources.chatwoot.client import ChatwootClient


def _open(settings: ChatwootSettings) -> "ChatwootClient":
    from hotdash_pipelines.sources.chatwoot.client import ChatwootClient

    token = settings.chatwoot_api_token
    return ChatwootClient(
        settings.chatwoot_base_url or "",
        settings.chatwoot_account_id or 0,
        token.get_secret_value() if token else "",
    )


SOURCE = Source(
    name="chatwoot",
    label="Chatwoot",
    settings=ChatwootSettings,
    open=_open,
    advice="set HOTDASH_CHATWOOT_BASE_URL, HOTDASH_CHATWOOT_ACCOUNT_ID and HOTDASH_CHATWOOT_API_TOKEN "
    "(an administrator's)",
)
