"""What the environment says of the GA4 property.

Belongs here: the property and the service account's key. Does not belong here: signing with it (client.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr

from hotdash_pipelines.settings import SettingsError, SourceSettings


class Ga4Settings(SourceSettings):
    """The property to read and the service account's key, as the JSON that Google issues."""

    ga4_base_url: str = Field(default="https://analyticsdata.googleapis.com", description="GA4 Data API.")
    ga4_property_id: str | None = Field(default=None, description="GA4 property number.")
    ga4_credentials_file: Path | None = Field(default=None, description="Service-account key file (JSON).")
    ga4_credentials_json: SecretStr | None = Field(default=None, description="The same key as text.")

    @property
    def is_given(self) -> bool:
        """A property."""
        return bool(self.ga4_property_id)

    def missing(self) -> str | None:
        """A key beside the property."""
        if not self.is_given or self.ga4_credentials_json or self.ga4_credentials_file:
            return None
        return "GA4: set HOTDASH_GA4_CREDENTIALS_FILE or HOTDASH_GA4_CREDENTIALS_JSON beside HOTDASH_GA4_PROPERTY_ID"

    def service_account(self) -> str:
        """The key's JSON: never log it. SettingsError when its file cannot be read."""
        if self.ga4_credentials_json:
            return self.ga4_credentials_json.get_secret_value()
        try:
            return (self.ga4_credentials_file or Path()).read_text()
        except OSError as error:
            raise SettingsError(f"HOTDASH_GA4_CREDENTIALS_FILE cannot be read: {error.strerror}") from error

    def of_stand_in(self, endpoint: Mapping[str, Any]) -> Self:
        """The stand-in's property."""
        return self.model_copy(
            update={
                "ga4_base_url": endpoint["url"],
                "ga4_property_id": str(endpoint["ga4_property_id"]),
                "ga4_credentials_json": SecretStr(json.dumps(endpoint["ga4_service_account"])),
            }
        )

    def identity(self) -> dict[str, Any]:
        """The property's number."""
        return {"ga4_property_id": self.ga4_property_id}
