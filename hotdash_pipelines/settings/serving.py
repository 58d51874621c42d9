"""How the pipeline runs and is shown.

Belongs here: the executor, the stand-in store, the Dagster UI, links. Does not belong here: starting any of them
(local).
"""

from typing import Literal

from pydantic import AliasChoices, Field

from hotdash_pipelines.settings.base import SettingsGroup


class ServingSettings(SettingsGroup):
    """Executor, stand-in store, UI."""

    executor: Literal["in_process", "multiprocess"] = Field(
        default="in_process", description="How steps run: see docs/performance.md."
    )
    demo_seed: int = Field(default=7, description="Seed of the stand-in store's world.")
    demo_scale: float = Field(
        default=0.1, gt=0, le=10, description="Size of that world; 0.1 is about 1,000 orders a day."
    )
    demo_roughness: str = Field(
        default="usual",
        description="How rough it is: `usual`, `calm` or `all`, then kinds such as `,-late_touches`.",
    )
    demo_port: int = Field(default=0, ge=0, le=65535, description="Port of the stand-in store; 0 takes a free one.")
    webserver_host: str = Field(default="127.0.0.1", description="Where the Dagster UI listens. It has no login.")
    webserver_port: int = Field(
        default=3000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("HOTDASH_WEBSERVER_PORT", "HOTDASH_PORT"),
        description="Port of the Dagster UI.",
    )
    ui_base_url: str | None = Field(
        default=None, description="Address of the Dagster UI in alerts, when a proxy stands in front of it."
    )
    runbook_base_url: str = Field(
        default="https://github.com/hotdash/pipelines/blob/main/docs",
        description="Where links from the UI to the docs lead.",
    )
