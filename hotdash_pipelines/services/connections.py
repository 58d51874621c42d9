"""What the settings lead to: the warehouse's address, clients of the sources, alert channels, dbt's variables.

Belongs here: plain functions that commands and resources share. Dagster stays out: a command that needs an address
would wait two seconds for it.
Does not belong here: ConfigurableResources (orchestration/resources.py), the settings themselves.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hotdash_pipelines.settings import Settings, SettingsError, get_settings

if TYPE_CHECKING:
    from hotdash_pipelines.alerts.channels.channel import Destination
    from hotdash_pipelines.sources.source import SourceClient


def warehouse_url(settings: Settings, *, start: bool = True) -> str:
    """The warehouse's URL; unless `start` is False, starts the embedded server when no other is set."""
    from hotdash_pipelines.warehouse.postgres import database_url

    given = settings.database_url.get_secret_value() if settings.database_url else None
    return database_url(given, settings.home, start)


def open_client(settings: Settings, source: str) -> "SourceClient":
    """The client of one source. Raises SettingsError naming the variables to set."""
    from hotdash_pipelines.sources import all_sources

    return all_sources()[source].open(settings.reach(source))


def alert_destinations(settings: Settings) -> "tuple[Destination, ...]":
    """Where every alert channel leads to, the default one first; one that is not set says so."""
    from hotdash_pipelines.alerts.channels.kinds import kinds

    return tuple(kind.read(settings) for kind in kinds().values())


def check_alert_channels(settings: Settings) -> None:
    """Look closer at every alert channel that is set, without sending anything: a mistake shows at the start.

    Raises SettingsError naming the variable and what is wrong with it.
    """
    from hotdash_pipelines.alerts.channels.kinds import kind_of
    from hotdash_pipelines.base.errors import HotdashError

    for destination in alert_destinations(settings):
        if destination.is_configured:
            try:
                kind_of(destination.kind).validate(destination)
            except HotdashError as error:
                raise SettingsError(str(error)) from None


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
