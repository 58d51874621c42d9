"""What the settings lead to: the warehouse's address, clients of the sources, Slack, dbt's variables.

Belongs here: plain functions that commands and resources share. Dagster stays out: a command that needs an address
would wait two seconds for it.
Does not belong here: ConfigurableResources (orchestration/resources.py), the settings themselves.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.settings import DEMO_CHANNEL, Endpoints, Settings, SettingsError, get_settings

if TYPE_CHECKING:
    from hotdash_pipelines.alerts.channels.routing import Destination


def warehouse_url(settings: Settings, *, start: bool = True) -> str:
    """The warehouse's URL; unless `start` is False, starts the embedded server when no other is set."""
    from hotdash_pipelines.warehouse.postgres import database_url

    given = settings.database_url.get_secret_value() if settings.database_url else None
    return database_url(given, settings.home, start)


def open_client(endpoints: Endpoints, source: str) -> Any:
    """The client of one source. Raises SettingsError naming the variables to set."""
    if source == "shopify" and endpoints.shopify:
        from hotdash_pipelines.sources.shopify.client import ShopifyClient

        shop = endpoints.shopify
        return ShopifyClient(
            shop.base_url,
            shop.api_version,
            client_id=shop.client_id,
            client_secret=shop.client_secret.get_secret_value() if shop.client_secret else None,
            access_token=shop.access_token.get_secret_value() if shop.access_token else None,
        )
    if source == "chatwoot" and endpoints.chatwoot:
        from hotdash_pipelines.sources.chatwoot.client import ChatwootClient

        chat = endpoints.chatwoot
        return ChatwootClient(chat.base_url, chat.account_id, chat.api_token.get_secret_value())
    if source == "ga4" and endpoints.ga4:
        from hotdash_pipelines.sources.ga4.client import Ga4Client

        return Ga4Client(
            endpoints.ga4.base_url, endpoints.ga4.property_id, endpoints.ga4.service_account.get_secret_value()
        )
    raise SettingsError(
        f"{source} is not configured: `hotdash doctor` names the variables, HOTDASH_PIPELINE_SOURCES leaves it out"
    )


def slack_destination(settings: Settings) -> "Destination":
    """The Slack that is set, else the stand-in's. A source without credentials must not silence its alert."""
    from hotdash_pipelines.alerts.channels.routing import Destination

    webhook, token = settings.slack_webhook_url, settings.slack_bot_token
    api_url, channel = settings.slack_api_url, settings.slack_channel
    if webhook is None and token is None:
        try:
            found = settings.endpoints()
        except SettingsError:
            return Destination()
        webhook, token, api_url = found.slack_webhook_url, found.slack_bot_token, found.slack_api_url
        channel = channel or (DEMO_CHANNEL if found.is_demo else None)
    return Destination(
        webhook_url=webhook.get_secret_value() if webhook else None,
        bot_token=token.get_secret_value() if token else None,
        api_url=api_url,
        channel=channel,
        channels=settings.slack_channels,
    )


def dbt_environment(database_url: str) -> Mapping[str, str]:
    """The variables that dbt_project/profiles.yml reads. dbt keeps values named DBT_ENV_SECRET_* out of its logs."""
    from hotdash_pipelines.warehouse.postgres import libpq_env

    libpq = libpq_env(database_url)
    return {
        "HOTDASH_PG_HOST": libpq.get("PGHOST", "127.0.0.1"),
        "HOTDASH_PG_PORT": libpq.get("PGPORT", "5432"),
        "HOTDASH_PG_USER": libpq.get("PGUSER", ""),
        "DBT_ENV_SECRET_PG_PASSWORD": libpq.get("PGPASSWORD", ""),
        "HOTDASH_PG_DATABASE": libpq.get("PGDATABASE", ""),
        "HOTDASH_EMAIL_SALT": get_settings().email_salt,
        "HOTDASH_AGENT_PROJECT": get_settings().project,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
