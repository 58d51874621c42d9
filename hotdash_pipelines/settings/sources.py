"""What every source's own settings have, and where they are found.

Belongs here: the base of `sources/<source>/settings.py`, the list of sources. Does not belong here: any source by name.
A source is found by its folder, as Dagster finds what lies in defs/: this room lies below theirs and imports none.
"""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.settings.base import SettingsGroup

SOURCES_DIR = Path(__file__).resolve().parents[1] / "sources"


class HalfSource(HotdashError, LookupError):
    """A source or a stream is there by half, or twice. The message names it and what to add; nothing is loaded."""


class SourceSettings(SettingsGroup):
    """What the environment says of one source. Every field begins with the source's name: `shopify_shop`."""

    @property
    @abstractmethod
    def is_given(self) -> bool:
        """Whether a credential is set, be it half of one: the stand-in store is not used then."""

    @abstractmethod
    def missing(self) -> str | None:
        """Which variables to set where a credential is given by half, None when nothing lacks."""

    def of_stand_in(self, endpoint: Mapping[str, Any]) -> Self:  # noqa: ARG002 - for those that override it
        """The same for the stand-in store, whose endpoint file holds `endpoint`; as it is where none is played."""
        return self

    def identity(self) -> dict[str, Any]:
        """The columns of `ops.projects` that this source knows the store by."""
        return {}


@cache
def source_names() -> tuple[str, ...]:
    """The folders of the sources, in the order of the alphabet."""
    return tuple(sorted(folder.parent.name for folder in SOURCES_DIR.glob("*/__init__.py")))


def settings_classes() -> dict[str, type[SourceSettings]]:
    """The settings that each source's record declares. HalfSource names one that lacks a part."""
    classes: dict[str, type[SourceSettings]] = {}
    for name in source_names():
        record = getattr(import_module(f"hotdash_pipelines.sources.{name}"), "SOURCE", None)
        settings = getattr(record, "settings", None)
        if settings is None:
            raise HalfSource(f"sources/{name}/__init__.py has no SOURCE: see docs/how-to/add-a-source.md")
        if settings.__abstractmethods__:
            lacking = ", ".join(sorted(settings.__abstractmethods__))
            raise HalfSource(f"sources/{name}: its settings do not say {lacking}: see docs/how-to/add-a-source.md")
        classes[name] = settings
    return classes


def read_sources() -> dict[str, SourceSettings]:
    """The settings of every source as the environment has them now."""
    return {name: settings() for name, settings in settings_classes().items()}
