"""The stores of this installation and what goes with them: keys, the folder for files on their way.

Belongs here: which setting leads to which store, shared by the commands and the Dagster skin.
Does not belong here: stores themselves (storage), what lies in them (lake, operations).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hotdash_pipelines.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from hotdash_pipelines.storage import Store, Workspace


@dataclass(frozen=True)
class Stores:
    """Opens stores by the settings. Opening touches nothing yet; StoreError names the variable at fault."""

    settings: Settings

    def lake(self) -> "Store":
        """The Parquet files and raw pages of the sources."""
        return self._open(self.settings.lake, "HOTDASH_LAKE_URL")

    def backups(self) -> "Store":
        """Backups of the warehouse."""
        return self._open(self.settings.backups, "HOTDASH_BACKUP_URL")

    def archive(self) -> "Store":
        """What retention took out of the tables."""
        return self._open(self.settings.archive, "HOTDASH_ARCHIVE_URL")

    def exports(self) -> "Store":
        """Training data without the people in it."""
        return self._open(self.settings.exports, "HOTDASH_EXPORT_URL")

    @property
    def manifest_key(self) -> str | None:
        """What signs the manifests of backups, archives and exports, None when they are not signed: never log it."""
        return _revealed(self.settings.manifest_key)

    @property
    def export_key(self) -> str | None:
        """What pseudonyms of exports are made with, None for the one kept in the home: never log it."""
        return _revealed(self.settings.export_key)

    @property
    def scratch(self) -> Path:
        """Local folder for files on their way; nothing stays there."""
        return self.settings.home / "scratch"

    @property
    def workspace(self) -> "Workspace":
        """What reading and loading one window may use."""
        from hotdash_pipelines.storage import Workspace

        return Workspace(self.scratch, self.settings.ingest_memory_mib << 20)

    @property
    def rollback_dumps(self) -> Path:
        """Local folder of the rows that a rollback of the schema would have lost."""
        return self.settings.home / "backups"

    def _open(self, address: str, setting: str) -> "Store":
        from hotdash_pipelines.storage import open_store

        return open_store(address, self.settings.s3_endpoint_url, setting)


def _revealed(secret: "SecretStr | None") -> str | None:
    return secret.get_secret_value() if secret else None
