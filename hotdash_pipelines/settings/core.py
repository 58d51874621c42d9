"""Every setting of the project, read from the environment (prefix `HOTDASH_`) and validated once.

Belongs here: names, defaults and validation of settings, and the folders derived from them.
Does not belong here: connecting to anything. Nothing is read from the network, and no secret leaves its SecretStr.

Unset credentials mean demo mode: the stand-in store started by `hotdash up` or `hotdash demo serve` leaves its address
and throw-away credentials in `<home>/demo/endpoint.json`, and `endpoints()` reads them from there.
"""

import json
import re
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, AwareDatetime, BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hotdash_pipelines.base.errors import HotdashError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("shopify", "chatwoot", "ga4")
SLACK_API_URL = "https://slack.com/api/"
# Where the stand-in's bot writes while no channel is set.
DEMO_CHANNEL = "#alerts"
_CHANNEL = re.compile(r"#[^\s#,=]{1,80}|[CDG][A-Z0-9]{8,}")


class SettingsError(HotdashError, ValueError):
    """A setting is missing or wrong. The message names the variable and what to do."""


class ShopifyEndpoint(BaseModel):
    """Where the Admin API is and how to sign in: client credentials (new apps) or a static token (old apps)."""

    base_url: str
    api_version: str
    client_id: str | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None


class ChatwootEndpoint(BaseModel):
    """Where Chatwoot is; the token must be an administrator's (an agent's token silently sees less)."""

    base_url: str
    account_id: int
    api_token: SecretStr


class Ga4Endpoint(BaseModel):
    """The property to read and the service account's key, as the JSON that Google issues."""

    base_url: str
    property_id: str
    service_account: SecretStr


class Endpoints(BaseModel):
    """The sources that are configured; None for one that is not."""

    is_demo: bool
    shopify: ShopifyEndpoint | None = None
    chatwoot: ChatwootEndpoint | None = None
    ga4: Ga4Endpoint | None = None
    slack_webhook_url: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_api_url: str = SLACK_API_URL


class Settings(BaseSettings):
    """The settings of one process. Every field is the environment variable `HOTDASH_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="HOTDASH_", env_ignore_empty=True, extra="ignore", frozen=True)

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

    database_url: SecretStr | None = Field(
        default=None, description="Postgres 15-18 to use; unset: the embedded server."
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="Database for Dagster's own tables; unset: database `dagster` on the same server."
    )
    lake_url: str | None = Field(default=None, description="`s3://bucket/prefix` or a folder; unset: `<home>/lake`.")
    s3_endpoint_url: str | None = Field(default=None, description="S3-compatible endpoint other than AWS.")
    reread_after_minutes: float = Field(
        default=15,
        ge=0,
        description="A nightly run or `hotdash up` does not read a window again that was read this recently.",
    )
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
        default=90, ge=1, description="How long pages that broke their contract are kept in the lake's quarantine."
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

    shopify_shop: str | None = Field(default=None, description="Shop domain, such as `my-store.myshopify.com`.")
    shopify_base_url: str | None = Field(default=None, description="Overrides `https://<shop>`.")
    shopify_api_version: str = Field(default="2026-10", description="Admin API version.")
    shopify_client_id: str | None = Field(default=None, description="Client id of the app (client-credentials grant).")
    shopify_client_secret: SecretStr | None = Field(default=None, description="Client secret of the app.")
    shopify_access_token: SecretStr | None = Field(
        default=None, description="Static Admin token (`shpat_...`) of an older app."
    )
    chatwoot_base_url: str | None = Field(default=None, description="Address of the Chatwoot server.")
    chatwoot_account_id: int | None = Field(default=None, description="Chatwoot account.")
    chatwoot_api_token: SecretStr | None = Field(default=None, description="Access token of an administrator.")
    ga4_base_url: str = Field(default="https://analyticsdata.googleapis.com", description="GA4 Data API.")
    ga4_property_id: str | None = Field(default=None, description="GA4 property number.")
    ga4_credentials_file: Path | None = Field(default=None, description="Service-account key file (JSON).")
    ga4_credentials_json: SecretStr | None = Field(default=None, description="The same key as text.")
    slack_webhook_url: SecretStr | None = Field(
        default=None, description="Incoming webhook for alerts: plain messages to its one channel."
    )
    slack_bot_token: SecretStr | None = Field(
        default=None,
        description="Bot token for alerts (`xoxb-...`, scope `chat:write`): threads, edits, a channel an owner. Goes "
        "before the webhook.",
    )
    slack_channel: str | None = Field(
        default=None, description="The bot's channel for alerts (`#alerts` or an id) of everybody without one."
    )
    slack_channels: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Channels of owners, comma-separated: `team:support=#support,team:data=#data`.",
    )
    slack_api_url: str = Field(default=SLACK_API_URL, description="Slack's Web API, for a proxy or a stand-in.")

    fixed_now: AwareDatetime | None = Field(
        default=None, description="Pins the present (ISO 8601 with an offset), for tests and replays."
    )
    executor: Literal["in_process", "multiprocess"] = Field(
        default="in_process", description="How steps run: see docs/performance.md."
    )
    demo_seed: int = Field(default=7, description="Seed of the stand-in store's world.")
    demo_scale: float = Field(
        default=0.1, gt=0, le=10, description="Size of that world; 0.1 is about 1,000 orders a day."
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
    email_salt: str = Field(
        default="hotdash",
        description="Mixed into the e-mail hashes of the marts; choose one per company and never change it.",
    )
    runbook_base_url: str = Field(
        default="https://github.com/hotdash/pipelines/blob/main/docs",
        description="Where links from the UI to the docs lead.",
    )
    pipeline_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        default=SOURCES, description="Sources to ingest, comma-separated."
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
        if isinstance(names, tuple) and not set(names) <= set(SOURCES):
            raise ValueError(f"HOTDASH_PIPELINE_SOURCES: known are {', '.join(SOURCES)}")
        return names

    @field_validator("slack_channel")
    @classmethod
    def _is_channel(cls, value: str | None) -> str | None:
        if value is not None and not _CHANNEL.fullmatch(value):
            raise ValueError(f"{value!r} is no channel: write #alerts, or the channel's id")
        return value

    @field_validator("slack_channels", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in value.split(","))):
            owner, _, channel = (part.strip() for part in pair.partition("="))
            if not re.fullmatch(r"[^\s:=]+:\S+", owner) or not _CHANNEL.fullmatch(channel):
                raise ValueError(f"{pair!r} is no owner with a channel: write team:support=#support")
            if owner in found:
                raise ValueError(f"{owner} has two channels")
            found[owner] = channel
        return found

    @field_validator("slack_api_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("write an address such as https://slack.com/api/")
        return value

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

    @property
    def uses_demo(self) -> bool:
        """True while no credential of any source is set."""
        return not any(
            (
                self.shopify_shop,
                self.shopify_base_url,
                self.chatwoot_base_url,
                self.chatwoot_api_token,
                self.ga4_property_id,
            )
        )

    @property
    def stage(self) -> str:
        """The environment as alerts name it."""
        return self.environment or ("demo" if self.uses_demo else "dev")

    @property
    def project(self) -> str:
        """The slug that marks every row of this store."""
        if self.project_key:
            return self.project_key
        domain = self.shopify_shop or ("hotdash-demo" if self.uses_demo else "store")
        return re.sub(r"[^a-z0-9]+", "-", domain.lower().removesuffix(".myshopify.com")).strip("-")

    def endpoints(self) -> Endpoints:
        """How each source is reached. Demo mode reads the stand-in's file: SettingsError when absent."""
        if self.uses_demo:
            return self._demo_endpoints()
        return Endpoints(
            is_demo=False,
            shopify=self._shopify(),
            chatwoot=self._chatwoot(),
            ga4=self._ga4(),
            slack_webhook_url=self.slack_webhook_url,
            slack_bot_token=self.slack_bot_token,
            slack_api_url=self.slack_api_url,
        )

    def _demo_endpoints(self) -> Endpoints:
        try:
            found = json.loads(self.demo_endpoint_file.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise SettingsError(
                "no credentials are set and no stand-in store runs: start it with `hotdash demo serve`, "
                "or set HOTDASH_SHOPIFY_SHOP and the other credentials (`hotdash doctor` lists them)"
            ) from error
        url = found["url"]
        return Endpoints(
            is_demo=True,
            shopify=ShopifyEndpoint(
                base_url=url,
                api_version=self.shopify_api_version,
                client_id=found["client_id"],
                client_secret=found["client_secret"],
            ),
            chatwoot=ChatwootEndpoint(
                base_url=url, account_id=found["chatwoot_account_id"], api_token=found["chatwoot_token"]
            ),
            ga4=Ga4Endpoint(
                base_url=url,
                property_id=str(found["ga4_property_id"]),
                service_account=SecretStr(json.dumps(found["ga4_service_account"])),
            ),
            **self._demo_slack(found),
        )

    def _demo_slack(self, found: dict[str, Any]) -> dict[str, Any]:
        """A Slack that is set goes before the stand-in's, whose bot can do more than its webhook."""
        if self.slack_bot_token or self.slack_webhook_url:
            return {
                "slack_webhook_url": self.slack_webhook_url,
                "slack_bot_token": self.slack_bot_token,
                "slack_api_url": self.slack_api_url,
            }
        # A stand-in of an earlier version has no bot.
        return {
            "slack_webhook_url": found["slack_webhook_url"],
            "slack_bot_token": found.get("slack_bot_token"),
            "slack_api_url": f"{found['url']}/slack/api/",
        }

    def demo_url(self) -> str | None:
        """Address of the running stand-in store; None outside demo mode. SettingsError when none runs."""
        endpoints = self.endpoints() if self.uses_demo else None
        return endpoints.shopify.base_url if endpoints and endpoints.shopify else None

    def _shopify(self) -> ShopifyEndpoint | None:
        if not (self.shopify_shop or self.shopify_base_url):
            return None
        if not (self.shopify_access_token or (self.shopify_client_id and self.shopify_client_secret)):
            raise SettingsError(
                "Shopify: set HOTDASH_SHOPIFY_CLIENT_ID and HOTDASH_SHOPIFY_CLIENT_SECRET, "
                "or HOTDASH_SHOPIFY_ACCESS_TOKEN"
            )
        return ShopifyEndpoint(
            base_url=self.shopify_base_url or f"https://{self.shopify_shop}",
            api_version=self.shopify_api_version,
            client_id=self.shopify_client_id,
            client_secret=self.shopify_client_secret,
            access_token=self.shopify_access_token,
        )

    def _chatwoot(self) -> ChatwootEndpoint | None:
        given = (self.chatwoot_base_url, self.chatwoot_account_id, self.chatwoot_api_token)
        if not any(given):
            return None
        if not (self.chatwoot_base_url and self.chatwoot_account_id and self.chatwoot_api_token):
            raise SettingsError(
                "Chatwoot: set HOTDASH_CHATWOOT_BASE_URL, HOTDASH_CHATWOOT_ACCOUNT_ID "
                "and HOTDASH_CHATWOOT_API_TOKEN together"
            )
        return ChatwootEndpoint(
            base_url=self.chatwoot_base_url, account_id=self.chatwoot_account_id, api_token=self.chatwoot_api_token
        )

    def _ga4(self) -> Ga4Endpoint | None:
        if not self.ga4_property_id:
            return None
        if self.ga4_credentials_json:
            key = self.ga4_credentials_json
        elif self.ga4_credentials_file:
            try:
                key = SecretStr(self.ga4_credentials_file.read_text())
            except OSError as error:
                raise SettingsError(f"HOTDASH_GA4_CREDENTIALS_FILE cannot be read: {error.strerror}") from error
        else:
            raise SettingsError(
                "GA4: set HOTDASH_GA4_CREDENTIALS_FILE or HOTDASH_GA4_CREDENTIALS_JSON beside HOTDASH_GA4_PROPERTY_ID"
            )
        return Ga4Endpoint(base_url=self.ga4_base_url, property_id=self.ga4_property_id, service_account=key)


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
