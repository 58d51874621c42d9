"""What the environment says of the shop.

Belongs here: address, version and credentials of the Admin API. Does not belong here: signing in (client.py).
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, SecretStr

from hotdash_pipelines.settings import SourceSettings


class ShopifySettings(SourceSettings):
    """Where the Admin API is and how to sign in: client credentials (new apps) or a static token (old apps)."""

    shopify_shop: str | None = Field(default=None, description="Shop domain, such as `my-store.myshopify.com`.")
    shopify_base_url: str | None = Field(default=None, description="Overrides `https://<shop>`.")
    shopify_api_version: str = Field(default="2026-10", description="Admin API version.")
    shopify_client_id: str | None = Field(default=None, description="Client id of the app (client-credentials grant).")
    shopify_client_secret: SecretStr | None = Field(default=None, description="Client secret of the app.")
    shopify_access_token: SecretStr | None = Field(
        default=None, description="Static Admin token (`shpat_...`) of an older app."
    )
    shopify_personal_fields: bool = Field(
        default=True,
        description="Read customers' names, e-mail addresses, phone numbers and addresses. `false` leaves them out of "
        "the queries, for apps that Shopify has not approved for them; the marts then know no e-mail hash or place.",
    )

    shopify_id_sweep_days: int = Field(
        default=7,
        ge=0,
        description="Within how many nights every loaded order and customer is looked for by its id, since Shopify "
        "tells of no merge, and of deletions for a year only; `0`: never.",
    )

    @property
    def is_given(self) -> bool:
        """A shop or an address in its place."""
        return bool(self.shopify_shop or self.shopify_base_url)

    def missing(self) -> str | None:
        """A token, or both halves of the client credentials."""
        is_whole = self.shopify_access_token or (self.shopify_client_id and self.shopify_client_secret)
        if is_whole or not self.is_given:
            return None
        return (
            "Shopify: set HOTDASH_SHOPIFY_CLIENT_ID and HOTDASH_SHOPIFY_CLIENT_SECRET, or HOTDASH_SHOPIFY_ACCESS_TOKEN"
        )

    def of_stand_in(self, endpoint: Mapping[str, Any]) -> Self:
        """The stand-in's shop, by client credentials."""
        return self.model_copy(
            update={
                "shopify_base_url": endpoint["url"],
                "shopify_client_id": endpoint["client_id"],
                "shopify_client_secret": SecretStr(endpoint["client_secret"]),
                "shopify_access_token": None,
            }
        )

    def identity(self) -> dict[str, Any]:
        """The shop's domain."""
        return {"shop_domain": self.shopify_shop}
