"""What is kept, where and how long.

Belongs here: backups, archives, exports, the days after which leftovers go. Does not belong here: deleting anything
(operations).
"""

from pydantic import Field, SecretStr

from hotdash_pipelines.settings.store import StoreSettings


class KeepingSettings(StoreSettings):
    """Backups, archives, exports and how long things stay."""

    backup_url: str | None = Field(
        default=None, description="Where backups go: `s3://bucket/prefix` or a folder; unset: `<home>/backups`."
    )
    archive_url: str | None = Field(
        default=None,
        description="Where retention keeps what it deletes: `s3://bucket/prefix` or a folder; unset: `<home>/archive`.",
    )
    export_url: str | None = Field(
        default=None, description="Where exports go: `s3://bucket/prefix` or a folder; unset: `<home>/exports`."
    )
    backup_keep: int = Field(default=7, ge=1, description="How many of the newest verified backups are kept.")
    manifest_key: SecretStr | None = Field(
        default=None, description="Signs the manifests of backups, archives and exports (HMAC); unset: not signed."
    )
    export_key: SecretStr | None = Field(
        default=None,
        description="Turns conversation numbers of exports into pseudonyms (HMAC); unset: a random one in `<home>`.",
    )
    retain_observability_logs_days: int | None = Field(
        default=None, ge=1, description="Deletes the agent's log lines after so many days (90 is usual); unset: keeps."
    )
    retain_decision_logs_days: int | None = Field(
        default=None,
        ge=1,
        description="Deletes the agent's decision log after so many days (365 is usual); unset: keeps.",
    )
    retain_facts_days: int | None = Field(
        default=None, ge=1, description="Deletes the agent's facts after so many days; unset: keeps."
    )
    retain_curated_replies_days: int | None = Field(
        default=None, ge=1, description="Deletes curated replies so many days after their approval; unset: keeps."
    )
    retain_runs_days: int = Field(
        default=90, ge=1, description="How long Dagster keeps finished runs and their events."
    )
    raw_pages_days: int = Field(default=30, description="How long raw responses are kept beside the Parquet files.")
    quarantine_days: int = Field(
        default=90, ge=1, description="How long records that broke their contract are kept in the lake's quarantine."
    )
    rollback_dumps_days: int = Field(
        default=90, ge=1, description="How long the dumps that `hotdash schema rollback` makes are kept."
    )
    delivered_alerts_days: int = Field(
        default=90, ge=1, description="How long delivered alerts stay in `ops.alert_outbox`; dead ones stay for good."
    )
    check_results_days: int = Field(
        default=400, ge=1, description="How long results of checks stay in `ops.check_results`."
    )
    observations_days: int = Field(
        default=90,
        ge=1,
        description="How long figures stay in `ops.data_observations`: as far back as SLAs can be simulated.",
    )

    @property
    def backups(self) -> str:
        """Address of the backups: an s3:// URL or a folder."""
        return self.backup_url or str(self.home / "backups")

    @property
    def archive(self) -> str:
        """Address of what retention took out of the tables: an s3:// URL or a folder."""
        return self.archive_url or str(self.home / "archive")

    @property
    def exports(self) -> str:
        """Address of the exports: an s3:// URL or a folder."""
        return self.export_url or str(self.home / "exports")
