"""Every setting of the project, read from the environment and validated once.

Belongs here: names, defaults, validation, the folders derived from them. Does not belong here: connecting to anything
(services).
"""

from hotdash_pipelines.settings.core import (
    DEMO_CHANNEL,
    PROJECT_ROOT,
    SOURCES,
    Endpoints,
    Settings,
    SettingsError,
    get_settings,
)

__all__ = ["DEMO_CHANNEL", "PROJECT_ROOT", "SOURCES", "Endpoints", "Settings", "SettingsError", "get_settings"]
