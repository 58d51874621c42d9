"""Every setting of the project, read from the environment and validated once.

Belongs here: names, defaults, validation, the folders derived from them; one file a group. Does not belong here:
connecting to anything (services); the settings of one source (sources/<source>/settings.py).
"""

from hotdash_pipelines.settings.base import PROJECT_ROOT, SettingsError
from hotdash_pipelines.settings.core import Settings, every_setting, get_settings
from hotdash_pipelines.settings.sources import SourceSettings

__all__ = [
    "PROJECT_ROOT",
    "Settings",
    "SettingsError",
    "SourceSettings",
    "every_setting",
    "get_settings",
]
