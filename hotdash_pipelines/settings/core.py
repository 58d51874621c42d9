"""Every setting of the project in one object, and what follows from several of them.

Belongs here: the sum of the groups, demo mode, the project's slug, how a source is reached.
Does not belong here: a setting (its group), connecting to anything. Nothing is read from the network, and no secret
leaves its SecretStr.

Unset credentials mean demo mode: the stand-in store started by `hotdash up` or `hotdash demo serve` leaves its address
and throw-away credentials in `<home>/demo/endpoint.json`, and `reach()` reads them from there.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import PrivateAttr
from pydantic.fields import FieldInfo

from hotdash_pipelines.settings.alerts import AlertSettings
from hotdash_pipelines.settings.base import SettingsError
from hotdash_pipelines.settings.keeping import KeepingSettings
from hotdash_pipelines.settings.serving import ServingSettings
from hotdash_pipelines.settings.sources import SourceSettings, read_sources, settings_classes


class Settings(ServingSettings, AlertSettings, KeepingSettings):
    """The settings of one process."""

    _sources: dict[str, SourceSettings] = PrivateAttr(default_factory=read_sources)

    @property
    def sources(self) -> Mapping[str, SourceSettings]:
        """What the environment says of each source."""
        return self._sources

    @property
    def uses_demo(self) -> bool:
        """True while no credential of any source is set."""
        return not any(source.is_given for source in self.sources.values())

    @property
    def stage(self) -> str:
        """The environment as alerts name it."""
        return self.environment or ("demo" if self.uses_demo else "dev")

    @property
    def project(self) -> str:
        """The slug that marks every row of this store."""
        if self.project_key:
            return self.project_key
        domains = (source.identity().get("shop_domain") for source in self.sources.values())
        domain = next(filter(None, domains), "hotdash-demo" if self.uses_demo else "store")
        return re.sub(r"[^a-z0-9]+", "-", domain.lower().removesuffix(".myshopify.com")).strip("-")

    def identity(self) -> dict[str, Any]:
        """What the sources call the store: columns of `ops.projects`. SettingsError when demo mode has no stand-in."""
        sources = list(self.sources.values())
        if self.uses_demo:
            endpoint = self.stand_in()
            sources = [source.of_stand_in(endpoint) for source in sources]
        return {column: value for source in sources for column, value in source.identity().items()}

    def reach(self, name: str) -> SourceSettings:
        """How a source is reached; in demo mode the stand-in has it. SettingsError names what to set or to start."""
        source = self.sources[name]
        if self.uses_demo:
            source = source.of_stand_in(self.stand_in())
        lacking = source.missing()
        if lacking:
            raise SettingsError(lacking)
        if not source.is_given:
            raise SettingsError(
                f"{name} is not configured: `hotdash doctor` names the variables, "
                "HOTDASH_PIPELINE_SOURCES leaves it out"
            )
        return source

    def stand_in(self) -> dict[str, Any]:
        """What the running stand-in store left in its endpoint file. SettingsError when none runs."""
        try:
            return json.loads(self.demo_endpoint_file.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise SettingsError(
                "no credentials are set and no stand-in store runs: start it with `hotdash demo serve`, "
                "or set HOTDASH_SHOPIFY_SHOP and the other credentials (`hotdash doctor` lists them)"
            ) from error

    def demo_url(self) -> str | None:
        """Address of the running stand-in store; None outside demo mode. SettingsError when none runs."""
        return self.stand_in()["url"] if self.uses_demo else None


def every_setting() -> dict[str, FieldInfo]:
    """Each variable with what it is, sources' own included. SettingsError when two groups declare the same."""
    fields: dict[str, FieldInfo] = {}
    for group in (Settings, *settings_classes().values()):
        for name, field in group.model_fields.items():
            variable = f"HOTDASH_{name.upper()}"
            if variable in fields:
                raise SettingsError(f"{variable} is declared twice, once by {group.__name__}")
            fields[variable] = field
    return fields


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
