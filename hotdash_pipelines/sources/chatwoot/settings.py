"""What the environment says of the Chatwoot account.

Belongs here: address, account and token. Does not belong here: the check that it is an administrator's (client.py).
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, SecretStr

from hotdash_pipelines.settings import SourceSettings


class ChatwootSettings(SourceSettings):
    """Where Chatwoot is; the token must be an administrator's (an agent's token silently sees less)."""

    chatwoot_base_url: str | None = Field(default=None, description="Address of the Chatwoot server.")
    chatwoot_account_id: int | None = Field(default=None, description="Chatwoot account.")
    chatwoot_api_token: SecretStr | None = Field(default=None, description="Access token of an administrator.")

    @property
    def is_given(self) -> bool:
        """An address or a token; an account number alone is none."""
        return bool(self.chatwoot_base_url or self.chatwoot_api_token)

    def missing(self) -> str | None:
        """All three or nothing."""
        given = (self.chatwoot_base_url, self.chatwoot_account_id, self.chatwoot_api_token)
        if all(given) or not any(given):
            return None
        return (
            "Chatwoot: set HOTDASH_CHATWOOT_BASE_URL, HOTDASH_CHATWOOT_ACCOUNT_ID "
            "and HOTDASH_CHATWOOT_API_TOKEN together"
        )

    def of_stand_in(self, endpoint: Mapping[str, Any]) -> Self:
        """The stand-in's account, by its administrator's token."""
        return self.model_copy(
            update={
                "chatwoot_base_url": endpoint["url"],
                "chatwoot_account_id": endpoint["chatwoot_account_id"],
                "chatwoot_api_token": SecretStr(endpoint["chatwoot_token"]),
            }
        )

    def identity(self) -> dict[str, Any]:
        """The account's number."""
        return {"chatwoot_account_id": self.chatwoot_account_id}
