"""What every group of settings has: where values come from, and the error of a wrong one.

Belongs here: the base of the groups, SettingsError. Does not belong here: any setting.
"""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from hotdash_pipelines.base.errors import HotdashError

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class SettingsError(HotdashError, ValueError):
    """A setting is missing or wrong. The message names the variable and what to do."""


class SettingsGroup(BaseSettings):
    """Settings that belong together. Every field is the variable `HOTDASH_<NAME>`; an empty one counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix="HOTDASH_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )
