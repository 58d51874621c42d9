"""The store and its data: whose they are, where they lie, which days there are.

Belongs here: home, zone, currency, addresses of the databases and the lake, the clock. Does not belong here:
credentials of sources (sources/<source>/settings.py).
"""

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from hotdash_pipelines.settings.base import PROJECT_ROOT, SettingsGroup
from hotdash_pipelines.settings.sources import source_names


class StoreSettings(SettingsGroup):
    """Whose the rows are and where they lie."""

    home: Path = Field(default=PROJECT_ROOT / ".hotdash", description="Folder for everything this machine keeps.")
    environment: Literal["demo", "dev", "prod"] | None = Field(
        default=None, description="Shown in alerts; guards dangerous verbs. Unset: demo without credentials, else dev."
    )
    project_key: str | None = Field(
        default=None, description="Slug that marks every row; derived from the shop's domain when unset."
    )
    store_timezone: str = Field(
        default="America/New_York", description="The store's zone: business dates and the nightly schedule."
    )
    store_currency: str = Field(default="USD", description="The shop's currency (ISO 4217).")
    first_partition: str = Field(default="2025-01-01", description="First business day that partitions exist for.")
    pipeline_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=source_names, description="Sources to ingest, comma-separated."
    )
    email_salt: str = Field(
        default="hotdash",
        description="Mixed into the e-mail hashes of the marts; choose one per company and never change it.",
    )
    database_url: SecretStr | None = Field(
        default=None, description="Postgres 15-18 to use; unset: the embedded server."
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="Database for Dagster's own tables; unset: database `dagster` on the same server."
    )
    lake_url: str | None = Field(default=None, description="`s3://bucket/prefix` or a folder; unset: `<home>/lake`.")
    s3_endpoint_url: str | None = Field(default=None, description="S3-compatible endpoint other than AWS.")
    ingest_memory_mib: int = Field(
        default=256,
        ge=64,
        description="Memory in MiB that reading and loading one window may take beyond the base process, "
        "however much the window holds.",
    )
    reread_after_minutes: float = Field(
        default=15,
        ge=0,
        description="A nightly run or `hotdash up` does not read a window again that was read this recently.",
    )
    small_answer_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="An answer with less than this share of the rows that were there is held back; 0 believes all.",
    )
    second_read_after_minutes: float = Field(
        default=60, ge=0, description="How long after an answer that was held back another one may confirm it."
    )
    fixed_now: AwareDatetime | None = Field(
        default=None, description="Pins the present (ISO 8601 with an offset), for tests and replays."
    )

    @field_validator("store_timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"HOTDASH_STORE_TIMEZONE: {value!r} is no IANA time zone, such as Europe/Berlin"
            ) from error
        return value

    @field_validator("pipeline_sources", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        names = tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        if isinstance(names, tuple) and not set(names) <= set(source_names()):
            raise ValueError(f"HOTDASH_PIPELINE_SOURCES: known are {', '.join(source_names())}")
        return names

    def now(self) -> datetime:
        """The present instant in UTC; the one place where the pipeline looks at the clock."""
        return self.fixed_now.astimezone(UTC) if self.fixed_now else datetime.now(UTC)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The store's time zone."""
        return ZoneInfo(self.store_timezone)

    @property
    def demo_endpoint_file(self) -> Path:
        """Where the running stand-in store says how it is reached."""
        return self.home / "demo" / "endpoint.json"

    @property
    def lake(self) -> str:
        """Address of the lake: an s3:// URL or a folder."""
        return self.lake_url or str(self.home / "lake")
