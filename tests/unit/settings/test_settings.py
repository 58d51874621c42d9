"""Settings: what the environment means, and what is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from hotdash_pipelines.alerts import SlackDestination
from hotdash_pipelines.alerts.channels.slack.destination import slack_destination
from hotdash_pipelines.cli.docs import shown_default
from hotdash_pipelines.services.connections import open_client
from hotdash_pipelines.settings import Settings, SettingsError, core, every_setting
from hotdash_pipelines.sources.shopify.settings import ShopifySettings

_ENDPOINT = {
    "url": "http://127.0.0.1:1",
    "client_id": "id",
    "client_secret": "shh",
    "chatwoot_account_id": 1,
    "chatwoot_token": "token",
    "ga4_property_id": 424242,
    "ga4_service_account": {"type": "service_account"},
    "slack_webhook_url": "http://127.0.0.1:1/slack/webhook/x",
}


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"HOTDASH_{name.upper()}", value)
    return Settings()


def test_without_credentials_the_stand_in_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = settings(monkeypatch, home=str(tmp_path))
    assert given.uses_demo
    assert (given.project, given.stage) == ("hotdash-demo", "demo")
    with pytest.raises(SettingsError, match="hotdash demo serve"):
        given.reach("shopify")
    given.demo_endpoint_file.parent.mkdir()
    given.demo_endpoint_file.write_text(json.dumps(_ENDPOINT))
    shop = given.reach("shopify")
    assert isinstance(shop, ShopifySettings)
    assert shop.shopify_base_url == given.demo_url() == "http://127.0.0.1:1"
    assert given.identity() == {"chatwoot_account_id": 1, "ga4_property_id": "424242", "shop_domain": None}


def test_one_real_credential_switches_the_stand_in_off(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(monkeypatch, shopify_shop="my-store.myshopify.com", shopify_access_token="shpat_x")
    assert not given.uses_demo
    assert (given.project, given.stage) == ("my-store", "dev")
    assert given.reach("shopify") == given.sources["shopify"]
    for name in ("chatwoot", "ga4"):
        with pytest.raises(SettingsError, match=f"{name} is not configured"):
            given.reach(name)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"shopify_shop": "s.myshopify.com"}, "HOTDASH_SHOPIFY_CLIENT_SECRET"),
        ({"shopify_shop": "s.myshopify.com", "shopify_client_id": "x"}, "HOTDASH_SHOPIFY_ACCESS_TOKEN"),
        ({"chatwoot_base_url": "https://chat.example"}, "HOTDASH_CHATWOOT_API_TOKEN"),
        ({"ga4_property_id": "1"}, "HOTDASH_GA4_CREDENTIALS_FILE"),
        ({"ga4_property_id": "1", "ga4_credentials_file": "/no/such/file"}, "HOTDASH_GA4_CREDENTIALS_FILE"),
    ],
)
def test_half_a_credential_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        open_client(settings(monkeypatch, **variables), named.split("_")[1].lower())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store_timezone", "Mars/Olympus"),
        ("pipeline_sources", "shopify,etsy"),
        ("webserver_port", "0"),
        ("demo_scale", "0"),
        ("executor", "celery"),
        ("fixed_now", "2026-03-10T12:00:00"),
        ("slack_channel", "alerts"),
        ("slack_channel", "#a b"),
        ("slack_channels", "team:support"),
        ("slack_channels", "team:support=support"),
        ("slack_channels", "support=#support"),
        ("slack_channels", "team:a=#a,team:a=#b"),
        ("slack_api_url", "slack.com/api"),
        ("slack_api_url", "https://user@slack.com/api"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        settings(monkeypatch, **{name: value})


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, chatwoot_account_id="", database_url="").database_url is None


def test_the_clock_can_be_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = settings(monkeypatch, fixed_now="2026-03-10T08:00:00-04:00")
    assert pinned.now() == datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_no_secret_shows_in_the_settings_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(
        monkeypatch,
        database_url="postgresql://u:hunter2@h/d",
        shopify_shop="s.myshopify.com",
        shopify_access_token="shpat_hunter2",
        slack_webhook_url="https://hooks.example/hunter2",
        slack_bot_token="xoxb-hunter2",
    )
    assert "hunter2" not in repr(slack_destination(given))
    assert "hunter2" not in repr(given) + repr(given.sources) + str(given.reach("shopify"))


def test_every_owner_may_have_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(
        monkeypatch,
        slack_bot_token="xoxb-1",
        slack_channel="C0123456789",
        slack_channels=" team:support=#support, team:data = #data ,",
    )
    to = slack_destination(given)
    channels = [
        to.channel_of(target) for target in ("team:support", "team:data", "team:x", None, "#else", "C9876543210")
    ]
    assert channels == ["#support", "#data", "C0123456789", "C0123456789", "#else", "C9876543210"]


def test_the_stand_ins_bot_is_used_until_a_slack_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = settings(monkeypatch, home=str(tmp_path))
    assert not slack_destination(given).is_configured
    given.demo_endpoint_file.parent.mkdir()
    given.demo_endpoint_file.write_text(json.dumps(_ENDPOINT))
    assert slack_destination(given).webhook_url == _ENDPOINT["slack_webhook_url"]
    given.demo_endpoint_file.write_text(json.dumps({**_ENDPOINT, "slack_bot_token": "xoxb-demo"}))
    demo = slack_destination(given)
    assert (demo.bot_token, demo.api_url, demo.channel) == ("xoxb-demo", "http://127.0.0.1:1/slack/api/", "#alerts")
    own = slack_destination(settings(monkeypatch, home=str(tmp_path), slack_webhook_url="https://hooks.example/own"))
    assert (own.bot_token, own.webhook_url) == (None, "https://hooks.example/own")


def test_every_change_of_slacks_settings_is_seen_and_none_is_told() -> None:
    base = SlackDestination("https://hooks.example/hunter2", "xoxb-hunter2", channel="#a", channels={"team:a": "#a"})
    changed = [
        base,
        replace(base, webhook_url=None),
        replace(base, bot_token="xoxb-other"),
        replace(base, api_url="https://proxy.example/"),
        replace(base, channel="#b"),
        replace(base, channels={"team:a": "#b"}),
    ]
    assert len({one.fingerprint for one in changed}) == len(changed)
    assert base.fingerprint == replace(base).fingerprint


@pytest.mark.parametrize("variable", every_setting())
def test_every_setting_is_described_and_its_default_can_be_read(variable: str) -> None:
    field = every_setting()[variable]
    assert field.description
    default = shown_default(field)
    assert default == "" or (default.strip("`") and "Undefined" not in default and " object at " not in default)
    assert not ("SecretStr" in str(field.annotation) and default)


def test_a_default_that_is_made_when_asked_for_is_shown() -> None:
    assert shown_default(FieldInfo(default_factory=lambda: ("a", "b"))) == "`a,b`"
    assert shown_default(FieldInfo(default_factory=dict)) == ""


def test_a_setting_that_two_groups_declare_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(ShopifySettings):
        home: str = "elsewhere"

    monkeypatch.setattr(core, "settings_classes", lambda: {"shopify": Twice})
    with pytest.raises(SettingsError, match="HOTDASH_HOME is declared twice, once by Twice"):
        every_setting()
